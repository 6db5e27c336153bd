"""MedMNIST: small medical images in one file per set, without annotated regions."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from .catalog import closest_match
from .dataset import Dataset, Split
from .errors import InputError
from .hashing import fingerprint
from .image_files import check_image_size, file_digest
from .medmnist_tables import MEDMNIST_SETS
from .npz_files import array_shapes, read_array
from .sample import DatasetInfo, MaskKind, Sample, Task

_SPLITS = ("train", "val", "test")
_SOURCE = "get it from https://medmnist.com or https://zenodo.org/records/10519652"


class MedMnist(Dataset):
    """One of the two-dimensional sets of MedMNIST, in its official splits, read from its .npz file.

    Nothing is annotated but labels: metrics that compare with a region have no score here. ``retinamnist`` is a
    regression on the grade. The images of the split are held in memory, as bytes, once the first one is asked for.

    References:
        Yang et al.: MedMNIST v2, a large-scale lightweight benchmark for 2D and 3D biomedical image classification,
        Scientific Data 10, 2023.
    """

    def __init__(
        self,
        *,
        root: Path,
        name: str,
        split: Split = "test",
        size: Literal[28, 64, 128, 224] = 28,
        image_size: int | None = None,
    ) -> None:
        """Check the file without reading its images.

        Args:
            root: Folder with ``<name>.npz``, or ``<name>_<size>.npz`` for sizes above 28.
            name: Name of the set, such as ``pneumoniamnist``.
            split: ``train``, ``val`` or ``test``.
            size: Height and width of the images in the file.
            image_size: Height and width in pixels after resizing (bilinear), or None for ``size``.

        Raises:
            InputError: If the set is unknown, or the file is missing or holds something else.
        """
        if name not in MEDMNIST_SETS:
            raise InputError(f"unknown set {name!r} of medmnist; {closest_match(name, list(MEDMNIST_SETS))}")
        if split not in _SPLITS:
            raise InputError(f"split {split!r} of medmnist; wanted {', '.join(_SPLITS)}, which are official")
        if size not in (28, 64, 128, 224):
            raise InputError(f"size is {size}; MedMNIST comes in 28, 64, 128 and 224 pixels")
        side = size if image_size is None else image_size
        check_image_size(side)
        root = Path(root)
        if not root.is_dir():
            raise InputError(f"{root}: no such folder; wanted {_file_name(name, size)} in it; {_SOURCE}")
        self._path = root / _file_name(name, size)
        self._facts, self._split, self._image_size = MEDMNIST_SETS[name], split, side
        self._id = f"{name}-{split}"
        if not self._path.is_file():
            raise InputError(f"{self._path}: no such file; {_SOURCE}")
        self._check_shapes(size)
        self._outputs = self._read_outputs()
        self._info = DatasetInfo(
            name="medmnist",
            version=name,
            task=self._facts.task,
            output_names=self._facts.output_names,
            mask_kind=MaskKind.NONE,
            channels=self._facts.channels,
            image_size=(side, side),
            license=self._facts.license,
            citation=(
                "Yang et al.: MedMNIST v2, a large-scale lightweight benchmark for 2D and 3D biomedical image "
                "classification. Scientific Data 10, 41 (2023)"
            ),
            fingerprint=fingerprint(
                {
                    "dataset": "medmnist",
                    "name": name,
                    "split": split,
                    "image_size": side,
                    "content": file_digest(self._path),
                }
            ),
        )

    @property
    def info(self) -> DatasetInfo:
        """Facts about the set."""
        return self._info

    def __len__(self) -> int:
        """Number of images of the split."""
        return len(self._outputs)

    def __getitem__(self, index: int) -> Sample:
        """Cut one image out of the file."""
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} images")
        picture = Image.fromarray(self._images[index])
        if picture.size != (self._image_size, self._image_size):
            picture = picture.resize((self._image_size, self._image_size), Image.Resampling.BILINEAR)
        values = np.asarray(picture, dtype=np.float32) / np.float32(255.0)
        planes = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
        return Sample(
            sample_id=f"{self._id}-{index:06d}",
            image=torch.from_numpy(np.ascontiguousarray(planes)),
            outputs=self._outputs[index],
        )

    def outputs(self) -> Tensor:
        """Outputs of every sample, float32 (N, K)."""
        return self._outputs.clone()

    def __getstate__(self) -> dict[str, Any]:
        # Another process reads the images itself: sending them would take longer.
        return {key: value for key, value in self.__dict__.items() if key != "_images"}

    @cached_property
    def _images(self) -> NDArray[np.uint8]:
        return read_array(self._path, f"{self._split}_images").astype(np.uint8, copy=False)

    def _check_shapes(self, size: int) -> None:
        images, labels = f"{self._split}_images", f"{self._split}_labels"
        shapes = array_shapes(self._path, names=[images, labels])
        wanted = (size, size) if self._facts.channels == 1 else (size, size, self._facts.channels)
        if shapes[images][1:] != wanted:
            raise InputError(
                f"{self._path}: {images} have shape {shapes[images]}; wanted (images, {', '.join(map(str, wanted))}), "
                "check name and size"
            )
        columns = len(self._facts.output_names) if self._facts.task is Task.MULTILABEL else 1
        if shapes[labels] != (shapes[images][0], columns):
            raise InputError(
                f"{self._path}: {labels} have shape {shapes[labels]}; wanted {(shapes[images][0], columns)}, check name"
            )

    def _read_outputs(self) -> Tensor:
        labels = torch.from_numpy(read_array(self._path, f"{self._split}_labels").astype(np.int64))
        names = self._facts.output_names
        most = {Task.MULTICLASS: len(names) - 1, Task.MULTILABEL: 1, Task.REGRESSION: 4}[self._facts.task]
        if len(labels) == 0 or int(labels.min()) < 0 or int(labels.max()) > most:
            found = "none" if len(labels) == 0 else f"{int(labels.min())} to {int(labels.max())}"
            raise InputError(f"{self._path}: labels of {self._split} are {found}; wanted 0 to {most}, check name")
        if self._facts.task is Task.MULTICLASS:
            return torch.nn.functional.one_hot(labels[:, 0], len(names)).float()
        return labels.float()


def _file_name(name: str, size: int) -> str:
    return f"{name}.npz" if size == 28 else f"{name}_{size}.npz"
