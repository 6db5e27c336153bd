"""HAM10000: dermoscopic images of pigmented skin lesions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from .catalog import closest_match
from .csv_tables import Table, read_table
from .dataset import Dataset, Split
from .errors import InputError
from .hashing import fingerprint
from .image_cache import ImageCache
from .image_files import check_image_size, file_digest, inspect_image, read_image, read_mask
from .published_splits import Protocol, published_split
from .sample import DatasetInfo, MaskKind, Sample, Task
from .splits import assign_splits, check_split

DIAGNOSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
"""The outputs, in order: actinic keratosis, basal cell carcinoma, benign keratosis, dermatofibroma, melanoma, nevus,
vascular lesion."""

_OUTPUTS = {"diagnosis": DIAGNOSES, "melanoma": ("other", "melanoma")}
_METADATA = ("HAM10000_metadata.csv", "HAM10000_metadata")
_IMAGE_FOLDERS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
_MASK_FOLDER = "HAM10000_segmentations_lesion_tschandl"
_COLUMNS = ("lesion_id", "image_id", "dx")
_SOURCE = "get HAM10000 from https://doi.org/10.7910/DVN/DBW86T"


@dataclass(frozen=True, kw_only=True)
class _Photo:
    image_id: str
    output: int
    image_path: Path
    digest: str
    mask_path: Path | None


class HAM10000(Dataset):
    """The official folder: metadata table, two folders of images and, where there, one of segmentation masks.

    Splits are computed from all listed images, so that an absent image moves no other one. A photo shows one lesion,
    which is the evidence for whichever diagnosis: every output has the lesion as its region.

    References:
        Tschandl, Rosendahl, Kittler: The HAM10000 dataset, Scientific Data 5, 2018. Masks: Tschandl et al., Human-
        computer collaboration for skin cancer recognition, Nature Medicine 26, 2020.
    """

    def __init__(
        self,
        *,
        root: Path,
        split: Split = "test",
        task: Literal["diagnosis", "melanoma"] = "diagnosis",
        image_size: int = 224,
        masks: bool | None = None,
        protocol: Protocol = "clean",
        cache: Path | None = None,
        seed: int = 0,
    ) -> None:
        """Find the images that are there.

        Args:
            root: Folder with HAM10000_metadata.csv (or HAM10000_metadata), HAM10000_images_part_1,
                HAM10000_images_part_2 and perhaps HAM10000_segmentations_lesion_tschandl.
            split: ``train``, ``val``, ``test`` or ``all``.
            task: ``diagnosis``: the seven of `DIAGNOSES`; ``melanoma``: melanoma against all others.
            image_size: Height and width in pixels after resizing (bilinear, masks nearest, the aspect ratio is not
                kept).
            masks: True: masks must be there; False: they are not used; None: they are used where they are there.
            protocol: ``clean``: train, val and test hold 70, 10 and 20 % of the images, grouped by lesion and
                stratified by diagnosis; ``published``: image by image, so that a lesion may lie on both sides, with
                1,000 images as ``test``; see `published_split`.
            cache: Folder in which decoded images are kept, or None.
            seed: Seed of the clean split.

        Raises:
            InputError: If the folder, the table or all images are missing, or the table is wrong.
        """
        check_split(split, dataset="ham10000")
        check_image_size(image_size)
        if task not in _OUTPUTS:
            raise InputError(f"task {task!r} of ham10000; {closest_match(task, list(_OUTPUTS))}")
        if protocol not in ("clean", "published"):
            raise InputError(f"protocol is {protocol!r}; wanted clean or published")
        root = Path(root)
        if not root.is_dir():
            raise InputError(f"{root}: no such folder; wanted {_METADATA[0]} and {_IMAGE_FOLDERS[0]}/ in it; {_SOURCE}")
        table = _read_metadata(root)
        mask_paths = _find_masks(root, wanted=masks)
        listed = _rows_of_split(table, split=split, protocol=protocol, seed=seed)
        self._photos = _find_photos(root, table, listed, mask_paths or {})
        self._task, self._image_size, self._cache = task, image_size, ImageCache(cache)
        # What is usual is left out of the fingerprint: results stored before there was a choice still hold.
        choices = {"task": task, "protocol": protocol}
        usual = {"task": "diagnosis", "protocol": "clean"}
        settings = {"split": split, "seed": seed, **{k: v for k, v in choices.items() if v != usual[k]}}
        self._info = self._describe(settings, n_listed=len(listed), has_masks=mask_paths is not None)

    @property
    def info(self) -> DatasetInfo:
        """Facts about the images that were found."""
        return self._info

    def __len__(self) -> int:
        """Number of images that were found."""
        return len(self._photos)

    def __getitem__(self, index: int) -> Sample:
        """Load one image and its mask."""
        if not 0 <= index < len(self._photos):
            raise IndexError(f"index {index} of {len(self._photos)} images")
        photo = self._photos[index]
        gt_masks = None
        if photo.mask_path is not None:
            mask = read_mask(
                photo.mask_path,
                image_path=photo.image_path,
                original_size=inspect_image(photo.image_path).size,
                image_size=self._image_size,
            )
            gt_masks = mask.expand(len(_OUTPUTS[self._task]), -1, -1)
        return Sample(
            sample_id=photo.image_id,
            image=self._cache.image(
                photo.digest,
                image_size=self._image_size,
                channels=3,
                read=lambda: read_image(photo.image_path, image_size=self._image_size),
            ),
            outputs=self._one_hot(photo),
            gt_masks=gt_masks,
        )

    def outputs(self) -> Tensor:
        """Outputs of every sample, float32 (N, K), without reading an image."""
        return torch.stack([self._one_hot(photo) for photo in self._photos])

    def _one_hot(self, photo: _Photo) -> Tensor:
        outputs = torch.zeros(len(_OUTPUTS[self._task]))
        outputs[photo.output if self._task == "diagnosis" else int(DIAGNOSES[photo.output] == "mel")] = 1.0
        return outputs

    def _describe(self, settings: dict[str, Any], *, n_listed: int, has_masks: bool) -> DatasetInfo:
        n_found = len(self._photos)
        n_masks = sum(photo.mask_path is not None for photo in self._photos)
        notes = []
        if n_found < n_listed:
            notes.append(f"{n_listed - n_found} of {n_listed} listed images are absent and left out")
        if has_masks and n_masks < n_found:
            notes.append(f"{n_found - n_masks} of {n_found} images have no mask")
        content = [
            [
                photo.image_id,
                photo.output,
                photo.digest,
                photo.mask_path and file_digest(photo.mask_path),
            ]
            for photo in self._photos
        ]
        return DatasetInfo(
            name="ham10000",
            version="1.0",
            task=Task.MULTICLASS,
            output_names=_OUTPUTS[self._task],
            mask_kind=MaskKind.PIXEL if n_masks else MaskKind.NONE,
            channels=3,
            image_size=(self._image_size, self._image_size),
            license="CC BY-NC 4.0",
            citation=(
                "Tschandl, Rosendahl, Kittler: The HAM10000 dataset, a large collection of multi-source dermatoscopic "
                "images of common pigmented skin lesions. Scientific Data 5, 180161 (2018)"
            ),
            fingerprint=fingerprint(
                {"dataset": "ham10000", **settings, "image_size": self._image_size, "content": content}
            ),
            notes=tuple(notes),
        )


def _read_metadata(root: Path) -> Table:
    path = next((root / name for name in _METADATA if (root / name).is_file()), None)
    if path is None:
        raise InputError(f"{root}: found neither {' nor '.join(_METADATA)}; wanted the official layout; {_SOURCE}")
    table = read_table(path, required=_COLUMNS)
    table.refuse_duplicates("image_id")
    for row in table.rows:
        if row["dx"] not in DIAGNOSES:
            hint = closest_match(row["dx"], list(DIAGNOSES))
            raise InputError(f"{path}: line {row.line}: dx is {row['dx']!r}; {hint}")
    return table


def _find_masks(root: Path, *, wanted: bool | None) -> dict[str, Path] | None:
    folder = root / _MASK_FOLDER
    if wanted is False:
        return None
    if not folder.is_dir():
        if wanted:
            raise InputError(f"{folder}: no such folder; wanted the masks, set masks = false or {_SOURCE}")
        return None
    ending = "_segmentation.png"
    return {path.name.removesuffix(ending): path for path in folder.iterdir() if path.name.endswith(ending)}


def _rows_of_split(table: Table, *, split: Split, protocol: Protocol, seed: int) -> list[int]:
    if split == "all":
        return list(range(len(table.rows)))
    strata = [row["dx"] for row in table.rows]
    if protocol == "published":
        assigned = published_split(strata, evaluated=None, stratified=False)
    else:
        assigned = assign_splits(strata, groups=[row["lesion_id"] for row in table.rows], seed=seed)
    return [index for index, its_split in enumerate(assigned) if its_split == split]


def _find_photos(root: Path, table: Table, listed: list[int], mask_paths: dict[str, Path]) -> tuple[_Photo, ...]:
    image_paths: dict[str, Path] = {}
    for folder in _IMAGE_FOLDERS:
        if (root / folder).is_dir():
            found = {path.stem: path for path in sorted((root / folder).iterdir()) if path.suffix == ".jpg"}
            for name in found.keys() & image_paths.keys():
                raise InputError(f"found {image_paths[name]} and {found[name]}; wanted one image per name, remove one")
            image_paths |= found
    photos = tuple(
        _Photo(
            image_id=row["image_id"],
            output=DIAGNOSES.index(row["dx"]),
            image_path=image_paths[row["image_id"]],
            digest=file_digest(image_paths[row["image_id"]]),
            mask_path=mask_paths.get(row["image_id"]),
        )
        for row in (table.rows[index] for index in listed)
        if row["image_id"] in image_paths
    )
    if not photos:
        raise InputError(
            f"{root}: none of the {len(listed)} listed images of this split is there (first wanted: "
            f"{_IMAGE_FOLDERS[0]}/{table.rows[listed[0]]['image_id']}.jpg)"
            if listed
            else f"{table.path}: {len(table.rows)} rows leave this split empty; take another split or the whole table"
        )
    return photos
