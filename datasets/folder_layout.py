"""Which files of a user's folder belong together: images with rows, masks with images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .catalog import closest_match
from .csv_tables import Row, Table
from .errors import InputError
from .image_files import IMAGE_SUFFIXES, ImageFile, check_mask_size, inspect_image
from .label_tables import NAME_COLUMN

_MASK_SEPARATOR = "__"


@dataclass(frozen=True, kw_only=True)
class MaskFiles:
    """The masks of one image.

    Attributes:
        whole: One mask for the image, or None.
        by_output: Masks of single outputs, by name of the output.
    """

    whole: ImageFile | None
    by_output: Mapping[str, ImageFile]


def find_images(folder: Path) -> dict[str, Path]:
    """Image files by stem, sorted.

    Raises:
        InputError: If the folder is missing or empty, or two files have one stem.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; wanted images ({', '.join(IMAGE_SUFFIXES)}) in it")
    found: dict[str, Path] = {}
    for path in _visible(folder):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if path.stem in found:
            raise InputError(f"{folder}: found {found[path.stem].name} and {path.name}; wanted one image per name")
        found[path.stem] = path
    if not found:
        raise InputError(f"{folder}: no image in it; wanted files ending in {', '.join(IMAGE_SUFFIXES)}")
    return found


def match_rows(table: Table, images: Mapping[str, Path]) -> list[Path]:
    """The image of every row.

    Args:
        table: Rows whose ``name`` is the name of an image's file, with or without its ending.
        images: Image files by stem.

    Raises:
        InputError: If a row has no image, an image no row or two rows.
    """
    by_name = {path.name: path for path in images.values()} | dict(images)
    folder = next(iter(images.values())).parent
    matched: dict[Path, Row] = {}
    for row in table.rows:
        name = row[NAME_COLUMN]
        path = by_name.get(name)
        if path is None:
            hint = closest_match(name, list(images)).split("known:")[0]
            raise InputError(
                f"{table.path}: line {row.line}: no image {name!r} in {folder}; {hint}"
                f"wanted one of {len(images)} files there, add the image or remove the row"
            )
        if path in matched:
            raise InputError(
                f"{table.path}: {path.name} stands on line {matched[path].line} and again on line {row.line}; "
                "wanted one row each, remove one of them"
            )
        matched[path] = row
    without = [path.name for path in images.values() if path not in matched]
    if without:
        raise InputError(
            f"{table.path}: no row for {', '.join(without[:3])}{' ...' if len(without) > 3 else ''} "
            f"({len(without)} of {len(images)} images in {folder}); add the rows or remove the images"
        )
    return list(matched)


def find_masks(
    folder: Path, *, images: Mapping[str, ImageFile], all_stems: Sequence[str], output_names: Sequence[str]
) -> dict[str, MaskFiles]:
    """Masks by stem of their image.

    Args:
        folder: Folder with ``<stem>.png`` or ``<stem>__<output>.png``.
        images: The images whose masks are wanted, by stem.
        all_stems: Stems of all images, wanted or not.
        output_names: Names of the outputs.

    Raises:
        InputError: If a mask has no image, no output, another format or another size.
    """
    whole: dict[str, ImageFile] = {}
    single: dict[str, dict[str, ImageFile]] = {}
    stems = set(all_stems)
    for path in _visible(folder):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if path.suffix.lower() != ".png":
            raise InputError(f"{path}: a mask in {path.suffix}; wanted .png, which keeps the edge of a region exact")
        stem, output = _owner(path, stems, output_names)
        if stem not in images:
            continue
        mask = inspect_image(path)
        check_mask_size(path, mask.size, image_path=images[stem].path, original_size=images[stem].size)
        if output is None:
            whole[stem] = mask
        else:
            single.setdefault(stem, {})[output] = mask
    both = sorted(whole.keys() & single.keys())
    if both:
        other = next(iter(single[both[0]].values())).path.name
        raise InputError(
            f"{folder}: found {whole[both[0]].path.name} and {other}; wanted one mask for the image or one per output"
        )
    return {stem: MaskFiles(whole=whole.get(stem), by_output=single.get(stem, {})) for stem in {*whole, *single}}


def _owner(path: Path, stems: set[str], output_names: Sequence[str]) -> tuple[str, str | None]:
    # The image that a mask belongs to, and the output or None; an image may have the separator in its own name.
    if path.stem in stems:
        return path.stem, None
    stem, separator, output = path.stem.rpartition(_MASK_SEPARATOR)
    while separator and stem not in stems:
        stem, separator, more = stem.rpartition(_MASK_SEPARATOR)
        output = f"{more}{_MASK_SEPARATOR}{output}"
    if not separator:
        raise InputError(
            f"{path}: a mask without an image; wanted <image>.png or <image>{_MASK_SEPARATOR}<output>.png, "
            "with <image> the name of a file in images/ without its ending"
        )
    if output not in output_names:
        raise InputError(f"{path}: a mask of unknown output {output!r}; {closest_match(output, list(output_names))}")
    return stem, output


def _visible(folder: Path) -> list[Path]:
    # Without the files that operating systems leave behind, in an order that is the same on every machine.
    return sorted((path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")), key=str)
