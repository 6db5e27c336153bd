"""A user's own images: a folder with images/, labels.csv and perhaps masks/."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from .csv_tables import Table, read_table
from .dataset import Dataset, Split
from .errors import InputError
from .folder_layout import MaskFiles, find_images, find_masks, match_rows
from .hashing import fingerprint
from .image_cache import ImageCache
from .image_files import ImageFile, check_image_size, inspect_image, read_image, read_mask
from .label_tables import NAME_COLUMN, SPLIT_COLUMN, Labels, read_labels
from .sample import DatasetInfo, MaskKind, Sample, Task
from .splits import FRACTIONS, assign_splits, check_split


@dataclass(frozen=True, kw_only=True)
class _Picture:
    image: ImageFile
    outputs: Tensor
    masks: MaskFiles | None


class ImageFolder(Dataset):
    """Images with labels and, where there, masks.

    ``root`` holds

    - ``images/``: png, jpg, jpeg, bmp, tif or tiff;
    - ``labels.csv``: a column ``name`` (file name, with or without its ending) and, by task: multiclass ``label``;
      multilabel ``labels`` (names between semicolons) or one column of 0 and 1 per output; regression one column of
      numbers per output. A column ``split`` (train, val, test) is followed where it is there;
    - ``masks/``: ``<image>.png`` with one region per image, or ``<image>__<output>.png`` with the region of one output;
      every pixel that is not black lies in the region.

    Images are resized (bilinear with antialiasing, masks nearest) to a square; the aspect ratio is not kept.
    """

    def __init__(
        self,
        *,
        root: Path,
        split: Split = "all",
        image_size: int | None = None,
        task: Literal["multiclass", "multilabel", "regression"] = "multiclass",
        output_names: tuple[str, ...] | None = None,
        label_map: dict[str, str] | None = None,
        mask_applies_to: Literal["label", "every_output"] = "every_output",
        group_column: str | None = None,
        channels: Literal[1, 3] = 3,
        cache: Path | None = None,
        seed: int = 0,
        license: str = "not stated",
        citation: str = "not stated",
    ) -> None:
        """Check the folder: which files belong together, and that each is an image.

        Args:
            root: Folder of the layout above.
            split: ``all``, or ``train``, ``val``, ``test``: by the column ``split``, else 70, 10 and 20 %, stratified
                by label.
            image_size: Height and width in pixels after resizing, or None for each image's own size.
            task: What the labels mean.
            output_names: The outputs in order, such as those of a classifier; None: labels sorted, or columns in their
                order.
            label_map: Output of a label, for labels that are not called as their output.
            mask_applies_to: What an image's one mask is the region of: ``label``: each label that the image has;
                ``every_output``: whatever output is explained, for images that show one thing. In regression every
                output has it. Masks of single outputs always belong to these.
            group_column: Column of labels.csv whose equal values never lie in two splits, such as a patient.
            channels: 3 for colour, 1 for grey.
            cache: Folder in which decoded images are kept, or None.
            seed: Seed of the split where there is no column ``split``.
            license: License of the images, for the results.
            citation: How to cite the images, for the results.

        Raises:
            InputError: For anything in the folder that cannot be used; the message names the file.
        """
        check_split(split, dataset="image_folder")
        if image_size is not None:
            check_image_size(image_size)
        if channels not in (1, 3):
            raise InputError(f"channels is {channels}; wanted 1 (grey) or 3 (colour)")
        if task not in tuple(Task):
            raise InputError(f"task is {task!r}; wanted {', '.join(Task)}")
        if mask_applies_to not in ("label", "every_output"):
            raise InputError(f"mask_applies_to is {mask_applies_to!r}; wanted label or every_output")
        root = Path(root)
        if not root.is_dir():
            raise InputError(f"{root}: no such folder; wanted images/ and labels.csv in it")
        _check_names(output_names, label_map)
        self._image_size, self._cache = image_size, ImageCache(cache)
        self._channels = int(channels)
        self._mask_applies_to = "every_output" if task == "regression" else mask_applies_to

        images = find_images(root / "images")
        table = read_table(root / "labels.csv", required=[NAME_COLUMN, *([group_column] if group_column else [])])
        paths = match_rows(table, images)
        labels = read_labels(
            table,
            task=Task(task),
            output_names=output_names,
            label_map=label_map or {},
            other_columns=[NAME_COLUMN, SPLIT_COLUMN, *([group_column] if group_column else [])],
        )
        chosen = _rows_of_split(table, labels, split=split, group_column=group_column, seed=seed)
        files = {paths[row].stem: inspect_image(paths[row]) for row in chosen}
        masks: Mapping[str, MaskFiles] = {}
        self._mask_folder = root / "masks"
        if self._mask_folder.is_dir():
            masks = find_masks(
                self._mask_folder, images=files, all_stems=list(images), output_names=labels.output_names
            )
        self._output_names = labels.output_names
        self._pictures = tuple(
            _Picture(image=image, outputs=labels.outputs[row], masks=masks.get(stem))
            for row, (stem, image) in zip(chosen, files.items(), strict=True)
        )
        self._info = self._describe({"split": split, "seed": seed}, task=Task(task), license=license, citation=citation)

    @property
    def info(self) -> DatasetInfo:
        """Facts about the folder."""
        return self._info

    def __len__(self) -> int:
        """Number of images."""
        return len(self._pictures)

    def __getitem__(self, index: int) -> Sample:
        """Load one image and its masks."""
        if not 0 <= index < len(self._pictures):
            raise IndexError(f"index {index} of {len(self._pictures)} images")
        picture = self._pictures[index]
        image = self._cache.image(
            picture.image.digest,
            image_size=self._image_size,
            channels=self._channels,
            read=lambda: read_image(picture.image.path, image_size=self._image_size, channels=self._channels),
        )
        return Sample(
            sample_id=picture.image.path.stem, image=image, outputs=picture.outputs, gt_masks=self._masks_of(picture)
        )

    def outputs(self) -> Tensor:
        """Outputs of every sample, float32 (N, K), without reading an image."""
        return torch.stack([picture.outputs for picture in self._pictures])

    def _masks_of(self, picture: _Picture) -> Tensor | None:
        if picture.masks is None:
            return None
        if picture.masks.whole is not None:
            region = self._read_mask(picture, picture.masks.whole)
            if self._mask_applies_to == "every_output":
                return region.expand(len(self._output_names), -1, -1)
            return region & (picture.outputs > 0.5)[:, None, None]
        regions = {name: self._read_mask(picture, mask) for name, mask in picture.masks.by_output.items()}
        empty = torch.zeros_like(next(iter(regions.values())))
        return torch.stack([regions.get(name, empty) for name in self._output_names])

    def _read_mask(self, picture: _Picture, mask: ImageFile) -> Tensor:
        return read_mask(
            mask.path,
            image_path=picture.image.path,
            original_size=picture.image.size,
            image_size=self._image_size,
        )

    def _describe(self, settings: Mapping[str, object], *, task: Task, license: str, citation: str) -> DatasetInfo:
        n_without = sum(picture.masks is None for picture in self._pictures)
        has_masks = n_without < len(self._pictures)
        notes = (f"{n_without} of {len(self._pictures)} images have no mask",) if has_masks and n_without else ()
        sizes = {picture.image.size for picture in self._pictures}
        side = self._image_size
        content = [
            {
                "image": [picture.image.path.name, picture.image.digest],
                "outputs": picture.outputs.tolist(),
                "masks": None if picture.masks is None else _mask_digests(picture.masks),
            }
            for picture in self._pictures
        ]
        return DatasetInfo(
            name="image_folder",
            version="1",
            task=task,
            output_names=self._output_names,
            mask_kind=MaskKind.PIXEL if has_masks else MaskKind.NONE,
            channels=self._channels,
            image_size=(side, side) if side is not None else sizes.pop() if len(sizes) == 1 else None,
            license=license,
            citation=citation,
            fingerprint=fingerprint(
                {
                    **settings,
                    "dataset": "image_folder",
                    "task": task,
                    "output_names": list(self._output_names),
                    "image_size": side,
                    "channels": self._channels,
                    "mask_applies_to": self._mask_applies_to,
                    "content": content,
                }
            ),
            notes=notes,
        )


def _mask_digests(masks: MaskFiles) -> list[list[str]]:
    whole = [["", masks.whole.digest]] if masks.whole is not None else []
    return whole + [[name, masks.by_output[name].digest] for name in sorted(masks.by_output)]


def _check_names(output_names: Sequence[str] | None, label_map: Mapping[str, str] | None) -> None:
    if output_names is None:
        return
    if len(set(output_names)) != len(output_names) or not output_names:
        raise InputError(f"output_names are {list(output_names)}; wanted at least one name and none twice")
    for label, output in (label_map or {}).items():
        if output not in output_names:
            raise InputError(f"label_map sends {label!r} to {output!r}; wanted one of {', '.join(output_names)}")


def _rows_of_split(table: Table, labels: Labels, *, split: Split, group_column: str | None, seed: int) -> list[int]:
    if split == "all":
        return list(range(len(table.rows)))
    if SPLIT_COLUMN in table.columns:
        for row in table.rows:
            if row[SPLIT_COLUMN] not in FRACTIONS:
                raise InputError(
                    f"{table.path}: line {row.line}: split is {row[SPLIT_COLUMN]!r}; wanted {', '.join(FRACTIONS)}"
                )
        assigned = [row[SPLIT_COLUMN] for row in table.rows]
    else:
        groups = [row[group_column or NAME_COLUMN] for row in table.rows]
        assigned = list(assign_splits(labels.strata, groups=groups, seed=seed))
    chosen = [index for index, its_split in enumerate(assigned) if its_split == split]
    if not chosen:
        raise InputError(f"{table.path}: {len(table.rows)} rows leave split {split!r} empty; set split = 'all'")
    return chosen
