"""RSNA pneumonia: frontal chest radiographs with boxes around opacities."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from .catalog import closest_match
from .dataset import Dataset, Split
from .dicom_files import dicom_size, read_dicom
from .errors import InputError
from .hashing import fingerprint
from .image_cache import ImageCache
from .image_files import check_image_size, file_digest
from .published_splits import Protocol, published_split
from .rsna_tables import CLASS_NAMES, CLASSES, LABELS, Patient, boxes_mask, read_patients
from .sample import DatasetInfo, MaskKind, Sample, Task
from .splits import assign_splits, check_split

_IMAGE_FOLDER = "stage_2_train_images"
_SOURCE = "get stage 2 from https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data"
_OUTPUTS = {
    "pneumonia": ("no_pneumonia", "pneumonia"),
    "class": ("normal", "not_normal", "lung_opacity"),
}


@dataclass(frozen=True, kw_only=True)
class _Film:
    patient: Patient
    path: Path
    digest: str


class RsnaPneumonia(Dataset):
    """The training part of stage 2: a DICOM file per patient, and a table with zero to four boxes per patient.

    All boxes of a patient are merged into one region, that of ``pneumonia`` (or ``lung_opacity``); the other outputs
    have none. A listed image that is absent is left out and counted.

    References:
        Shih et al.: Augmenting the National Institutes of Health chest radiograph dataset with expert annotations of
        possible pneumonia, Radiology: Artificial Intelligence 1(1), 2019.
    """

    def __init__(
        self,
        *,
        root: Path,
        split: Split = "test",
        task: Literal["pneumonia", "class"] = "pneumonia",
        image_size: int = 224,
        channels: Literal[1, 3] = 1,
        protocol: Protocol = "clean",
        cache: Path | None = None,
        seed: int = 0,
    ) -> None:
        """Find the images that are there.

        Args:
            root: Folder with stage_2_train_images/, stage_2_train_labels.csv and perhaps
                stage_2_detailed_class_info.csv.
            split: ``train``, ``val``, ``test`` or ``all``.
            task: ``pneumonia``: two classes; ``class``: the three of stage_2_detailed_class_info.csv.
            image_size: Height and width in pixels after resizing (bilinear, regions nearest).
            channels: 1, or 3 equal ones for networks that were trained on photographs.
            protocol: ``clean``: 70, 10 and 20 % of the patients, stratified by output; ``published``: see
                `published_split`, with 1,000 patients with pneumonia as ``test``.
            cache: Folder in which decoded images are kept, or None.
            seed: Seed of the clean split.

        Raises:
            InputError: If the folder, a table or all images are missing, or a table is wrong.
        """
        check_split(split, dataset="rsna_pneumonia")
        check_image_size(image_size)
        if task not in _OUTPUTS:
            raise InputError(f"task {task!r} of rsna_pneumonia; {closest_match(task, list(_OUTPUTS))}")
        if channels not in (1, 3):
            raise InputError(f"channels is {channels}; wanted 1, or 3 equal ones")
        if protocol not in ("clean", "published"):
            raise InputError(f"protocol is {protocol!r}; wanted clean or published")
        root = Path(root)
        if not root.is_dir():
            raise InputError(f"{root}: no such folder; wanted {LABELS} and {_IMAGE_FOLDER}/ in it; {_SOURCE}")
        patients = read_patients(root)
        if task == "class" and patients[0].class_name is None:
            raise InputError(f"{root / CLASSES}: no such file; task 'class' needs it, {_SOURCE}")
        self._task, self._image_size, self._channels, self._cache = task, image_size, channels, ImageCache(cache)
        listed = self._patients_of_split(patients, split=split, protocol=protocol, seed=seed, table=root / LABELS)
        self._films = _find_films(root, listed)
        content = [[film.patient.patient_id, film.digest, str(film.patient)] for film in self._films]
        settings = {"task": task, "image_size": image_size, "channels": channels, "split": split, "protocol": protocol}
        n_absent = len(listed) - len(self._films)
        self._info = DatasetInfo(
            name="rsna_pneumonia",
            version="stage 2",
            task=Task.MULTICLASS,
            output_names=_OUTPUTS[task],
            mask_kind=MaskKind.BOX,
            channels=channels,
            image_size=(image_size, image_size),
            license="RSNA challenge terms of use: research and education, not commercial; images from the NIH",
            citation=(
                "Shih et al.: Augmenting the National Institutes of Health chest radiograph dataset with expert "
                "annotations of possible pneumonia. Radiology: Artificial Intelligence 1(1), e180041 (2019)"
            ),
            fingerprint=fingerprint({"dataset": "rsna_pneumonia", **settings, "seed": seed, "content": content}),
            notes=(f"{n_absent} of {len(listed)} listed images are absent and left out",) if n_absent else (),
        )

    @property
    def info(self) -> DatasetInfo:
        """Facts about the images that were found."""
        return self._info

    def __len__(self) -> int:
        """Number of images that were found."""
        return len(self._films)

    def __getitem__(self, index: int) -> Sample:
        """Load one image and its region."""
        if not 0 <= index < len(self._films):
            raise IndexError(f"index {index} of {len(self._films)} images")
        film = self._films[index]
        gt_masks = torch.zeros((len(_OUTPUTS[self._task]), self._image_size, self._image_size), dtype=torch.bool)
        if film.patient.boxes:
            gt_masks[-1] = boxes_mask(
                film.patient.boxes,
                original_size=dicom_size(film.path),
                image_size=self._image_size,
                path=film.path,
            )
        image = self._cache.image(
            film.digest,
            image_size=self._image_size,
            channels=1,
            read=lambda: read_dicom(film.path, image_size=self._image_size),
        )
        return Sample(
            sample_id=film.patient.patient_id,
            image=image.expand(self._channels, -1, -1).contiguous(),
            outputs=self._one_hot(film.patient),
            gt_masks=gt_masks,
        )

    def outputs(self) -> Tensor:
        """Outputs of every sample, float32 (N, K), without reading an image."""
        return torch.stack([self._one_hot(film.patient) for film in self._films])

    def _one_hot(self, patient: Patient) -> Tensor:
        outputs = torch.zeros(len(_OUTPUTS[self._task]))
        outputs[self._output_of(patient)] = 1.0
        return outputs

    def _output_of(self, patient: Patient) -> int:
        if self._task == "class" and patient.class_name is not None:
            return CLASS_NAMES.index(patient.class_name)
        return int(patient.has_pneumonia)

    def _patients_of_split(
        self, patients: tuple[Patient, ...], *, split: Split, protocol: Protocol, seed: int, table: Path
    ) -> list[Patient]:
        if split == "all":
            return list(patients)
        if protocol == "published":
            strata = [str(int(patient.has_pneumonia)) for patient in patients]
            assigned = published_split(strata, evaluated="1", stratified=True)
        else:
            strata = [str(self._output_of(patient)) for patient in patients]
            assigned = assign_splits(strata, groups=[patient.patient_id for patient in patients], seed=seed)
        chosen = [patient for patient, its_split in zip(patients, assigned, strict=True) if its_split == split]
        if not chosen:
            raise InputError(f"{table}: {len(patients)} patients leave split {split!r} empty; take another split")
        return chosen


def _find_films(root: Path, listed: list[Patient]) -> tuple[_Film, ...]:
    folder = root / _IMAGE_FOLDER
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; wanted a .dcm file per patient in it; {_SOURCE}")
    paths = [(patient, folder / f"{patient.patient_id}.dcm") for patient in listed]
    films = tuple(
        _Film(patient=patient, path=path, digest=file_digest(path)) for patient, path in paths if path.is_file()
    )
    if not films:
        raise InputError(
            f"{folder}: none of the {len(listed)} listed images of this split is there "
            f"(first wanted: {listed[0].patient_id}.dcm); {_SOURCE}"
        )
    return films
