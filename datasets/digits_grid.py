"""Real handwritten digits scattered over a grid: several labels an image, with exact regions and no download."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor

from .catalog import closest_match
from .dataset import Dataset, Split
from .errors import InputError
from .hashing import fingerprint
from .image_files import check_image_size
from .sample import DatasetInfo, MaskKind, Sample, Task
from .splits import assign_splits

GENERATOR_VERSION = "1"
"""Version of the mosaics; a change of this number means that every stored score has lost its input."""

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""The outputs, in order."""

_STREAMS = {"train": 0, "val": 1, "test": 2}
_SMALLEST_CELL = 8
_GRAIN = 0.04


class DigitsGrid(Dataset):
    """Mosaics of scikit-learn's digits: some cells of a grid hold digits of different classes, the others are empty.

    The 1,797 handwritten digits are divided between the splits, stratified, so that no digit of ``test`` is seen in
    training. The region of an output is the ink of its digit. A sample depends on seed, split, index and settings only.

    References:
        Alpaydin, Kaynak: Optical recognition of handwritten digits, UCI machine learning repository, 1998 (its test
        part, as scikit-learn carries it).
    """

    def __init__(
        self,
        *,
        split: Split = "test",
        n_images: int = 500,
        image_size: int = 64,
        cells: int = 4,
        n_digits: tuple[int, int] = (1, 4),
        seed: int = 0,
    ) -> None:
        """Describe the mosaics; they are made when asked for.

        Args:
            split: ``train``, ``val`` or ``test``: mosaics of different digits.
            n_images: Number of images.
            image_size: Height and width in pixels.
            cells: Cells along a side of the grid; a cell has at least 8 pixels.
            n_digits: Fewest and most digits of an image, each number equally often; all of different classes.
            seed: Seed of every image.

        Raises:
            InputError: If a setting cannot be used.
        """
        if split not in _STREAMS:
            raise InputError(f"split {split!r} of digits_grid; {closest_match(split, list(_STREAMS))}")
        if n_images < 1:
            raise InputError(f"n_images is {n_images}; wanted at least 1")
        if seed < 0:
            raise InputError(f"seed is {seed}; wanted 0 or more")
        check_image_size(image_size)
        if cells < 1 or image_size // cells < _SMALLEST_CELL:
            raise InputError(
                f"cells is {cells} at {image_size} pixels; wanted 1 to {image_size // _SMALLEST_CELL}, "
                f"so that a cell has {_SMALLEST_CELL} pixels or more"
            )
        low, high = n_digits
        if not 1 <= low <= high <= min(len(DIGITS), cells * cells):
            raise InputError(
                f"n_digits is {[low, high]}; wanted the fewest and the most digits, "
                f"from 1 to {min(len(DIGITS), cells * cells)}"
            )
        self._split, self._n_images, self._image_size, self._cells = split, n_images, image_size, cells
        self._n_digits, self._seed = (low, high), seed
        settings: dict[str, Any] = {
            "dataset": "digits_grid",
            "generator": GENERATOR_VERSION,
            "split": split,
            "n_images": n_images,
            "image_size": image_size,
            "cells": cells,
            "n_digits": [low, high],
            "seed": seed,
        }
        self._info = DatasetInfo(
            name="digits_grid",
            version=GENERATOR_VERSION,
            task=Task.MULTILABEL,
            output_names=DIGITS,
            mask_kind=MaskKind.PIXEL,
            channels=1,
            image_size=(image_size, image_size),
            license="CC BY 4.0",
            citation="Alpaydin, Kaynak: Optical recognition of handwritten digits. UCI repository (1998)",
            fingerprint=fingerprint(settings),
        )

    @property
    def info(self) -> DatasetInfo:
        """Facts about the images."""
        return self._info

    def __len__(self) -> int:
        """Number of images."""
        return self._n_images

    def __getitem__(self, index: int) -> Sample:
        """Make one mosaic, its outputs and its masks."""
        rng, classes = self._start(index)
        side = self._image_size // self._cells
        image = np.zeros((self._image_size, self._image_size), dtype=np.float32)
        gt_masks = np.zeros((len(DIGITS), self._image_size, self._image_size), dtype=np.bool_)
        for digit, cell in zip(classes, rng.permutation(self._cells**2)[: len(classes)], strict=True):
            choices = _digits_of(self._split, digit)
            ink = _enlarged(choices[int(rng.integers(len(choices)))], side)
            row, column = (int(place) * side for place in divmod(int(cell), self._cells))
            place = (slice(row, row + side), slice(column, column + side))
            image[place] = ink * np.float32(rng.uniform(0.6, 1.0))
            gt_masks[digit][place] = ink > 0.0
        # Scanned paper: a dark ground with noise, so that empty cells are not exactly empty.
        image = 0.1 + 0.85 * image + _GRAIN * rng.standard_normal(image.shape, dtype=np.float32)
        return Sample(
            sample_id=f"{self._split}-{self._seed}-{index:06d}",
            image=torch.from_numpy(image.clip(0.0, 1.0).astype(np.float32))[None],
            outputs=_multi_hot(classes),
            gt_masks=torch.from_numpy(gt_masks),
        )

    def outputs(self) -> Tensor:
        """Outputs of every sample, float32 (N, 10), without making an image."""
        return torch.stack([_multi_hot(self._start(index)[1]) for index in range(self._n_images)])

    def _start(self, index: int) -> tuple[np.random.Generator, list[int]]:
        if not 0 <= index < self._n_images:
            raise IndexError(f"index {index} of {self._n_images} images")
        sequence = np.random.SeedSequence(self._seed, spawn_key=(_STREAMS[self._split], index))
        rng = np.random.Generator(np.random.PCG64(sequence))
        number = int(rng.integers(self._n_digits[0], self._n_digits[1] + 1))
        return rng, rng.permutation(len(DIGITS))[:number].tolist()


def _multi_hot(classes: list[int]) -> Tensor:
    outputs = torch.zeros(len(DIGITS))
    outputs[classes] = 1.0
    return outputs


def _enlarged(digit: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    enlarged: NDArray[np.float32] = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BILINEAR))
    return enlarged


@lru_cache(maxsize=30)
def _digits_of(split: str, digit: int) -> NDArray[np.float32]:
    # Ink from 0 to 1 of the split's digits of one class: float32 (n, 8, 8).
    images, labels = _all_digits()
    names = [str(place) for place in range(len(labels))]
    assigned = assign_splits([str(label) for label in labels], groups=names, seed=0)
    chosen = [place for place, label in enumerate(labels) if label == digit and assigned[place] == split]
    digits: NDArray[np.float32] = images[chosen]
    return digits


@lru_cache(maxsize=1)
def _all_digits() -> tuple[NDArray[np.float32], list[int]]:
    images, labels = load_digits(return_X_y=True)
    return (images.reshape(-1, 8, 8) / 16.0).astype(np.float32), labels.tolist()
