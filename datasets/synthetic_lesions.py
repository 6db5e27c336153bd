"""Procedural dermoscopy-like images with exact ground truth."""

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .catalog import closest_match
from .dataset import Dataset, Split
from .errors import InputError
from .hashing import fingerprint
from .lesion_scene import Scene, draw_scene, render_scene
from .lesion_textures import TEXTURES
from .sample import DatasetInfo, MaskKind, Sample, Task

GENERATOR_VERSION = "1"
"""Version of the images; a change of this number means that every stored score has lost its input."""

# Each split draws from its own stream of seeds; the numbers are part of the generator's version.
_STREAMS = {"train": 0, "val": 1, "test": 2}
_SCENE, _ORDER = 0, 1
_SMALLEST_IMAGE = 16
_AREAS = {Task.MULTICLASS: (0.08, 0.22), Task.MULTILABEL: (0.05, 0.11)}
_TWO_LESIONS_SHARE = 0.5


class SyntheticLesions(Dataset):
    """Skin with one or two pigmented lesions that only their texture tells apart.

    Skin tone, light, outline, size, place, colour and darkness of the lesions, hairs and rulers are drawn alike for
    every type. A sample depends on seed, split, index and settings only, never on ``n_images``, and the same scene is
    rendered at every ``image_size``.
    """

    def __init__(
        self,
        *,
        task: Literal["multiclass", "multilabel"] = "multiclass",
        split: Split = "test",
        n_images: int = 500,
        image_size: int = 64,
        lesion_types: tuple[str, ...] = tuple(TEXTURES),
        seed: int = 0,
    ) -> None:
        """Describe the images; they are made when asked for.

        Args:
            task: ``multiclass``: one lesion an image. ``multilabel``: one or two lesions of different types.
            split: ``train``, ``val`` or ``test``: streams without a common sample.
            n_images: Number of images.
            image_size: Height and width in pixels, at least 16; types can be told apart from 32 on.
            lesion_types: Types to draw, each about equally often; the outputs, in this order.
            seed: Seed of every image.

        Raises:
            InputError: If a setting cannot be used.
        """
        if task not in ("multiclass", "multilabel"):
            raise InputError(f"task {task!r} of synthetic_lesions; {closest_match(task, ['multiclass', 'multilabel'])}")
        if split not in _STREAMS:
            hint = closest_match(split, list(_STREAMS))
            raise InputError(f"split {split!r} of synthetic_lesions, whose images are generated without end; {hint}")
        if n_images < 1:
            raise InputError(f"n_images is {n_images}; wanted at least 1")
        if image_size < _SMALLEST_IMAGE:
            raise InputError(f"image_size is {image_size}; wanted at least {_SMALLEST_IMAGE} pixels")
        if seed < 0:
            raise InputError(f"seed is {seed}; wanted 0 or more")
        for name in lesion_types:
            if name not in TEXTURES:
                raise InputError(f"unknown lesion type {name!r}; {closest_match(name, list(TEXTURES))}")
        if len(set(lesion_types)) != len(lesion_types) or len(lesion_types) < 2:
            raise InputError(f"lesion_types are {list(lesion_types)}; wanted at least two different types")
        self._n_images = n_images
        self._image_size = image_size
        self._lesion_types = lesion_types
        self._seed = seed
        self._stream = _STREAMS[split]
        self._split = split
        self._task = Task(task)
        settings = {
            "dataset": "synthetic_lesions",
            "generator": GENERATOR_VERSION,
            "task": task,
            "split": split,
            "n_images": n_images,
            "image_size": image_size,
            "lesion_types": list(lesion_types),
            "seed": seed,
        }
        self._info = DatasetInfo(
            name="synthetic_lesions",
            version=GENERATOR_VERSION,
            task=self._task,
            output_names=lesion_types,
            mask_kind=MaskKind.PIXEL,
            channels=3,
            image_size=(image_size, image_size),
            license="MIT",
            citation="xaibench, procedural images, generator version " + GENERATOR_VERSION,
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
        """Make one image, its outputs and its masks."""
        scene = self.scene(index)
        image, masks = render_scene(scene, self._image_size)
        outputs = np.zeros(len(self._lesion_types), dtype=np.float32)
        gt_masks = np.zeros((len(self._lesion_types), *image.shape[1:]), dtype=np.bool_)
        for lesion, mask in zip(scene.lesions, masks, strict=True):
            output = self._lesion_types.index(lesion.lesion_type)
            outputs[output] = 1.0
            gt_masks[output] = mask
        return Sample(
            sample_id=f"{self._split}-{self._seed}-{index:06d}",
            image=torch.from_numpy(image),
            outputs=torch.from_numpy(outputs),
            gt_masks=torch.from_numpy(gt_masks),
        )

    def scene(self, index: int) -> Scene:
        """Parameters of one image, for those who render it otherwise.

        Args:
            index: Position, 0 <= index < len(self).

        Raises:
            IndexError: If there is no such position.
        """
        if not 0 <= index < self._n_images:
            raise IndexError(f"index {index} of {self._n_images} images")
        rng = _generator(self._seed, self._stream, _SCENE, index)
        # The types come from a stream of their own or from the first draws: no draw of the scene depends on them.
        return draw_scene(rng, lesion_types=self._types_of(index, rng), area=_AREAS[self._task])

    def outputs(self) -> Tensor:
        """Outputs of every sample, float32 (N, K), without making an image."""
        outputs = torch.zeros((self._n_images, len(self._lesion_types)))
        for index in range(self._n_images):
            rng = _generator(self._seed, self._stream, _SCENE, index)
            for lesion_type in self._types_of(index, rng):
                outputs[index, self._lesion_types.index(lesion_type)] = 1.0
        return outputs

    def _types_of(self, index: int, rng: np.random.Generator) -> tuple[str, ...]:
        # Takes the same number of draws from rng whatever comes out.
        two_lesions, other = rng.random(2)
        block, place = divmod(index, len(self._lesion_types))
        order = _order_of_types(self._seed, self._stream, block, len(self._lesion_types))
        first = order[place]
        if self._task is Task.MULTICLASS or two_lesions >= _TWO_LESIONS_SHARE:
            return (self._lesion_types[first],)
        second = order[(place + 1 + int(other * (len(order) - 1))) % len(order)]
        return (self._lesion_types[first], self._lesion_types[second])


@lru_cache(maxsize=1024)
def _order_of_types(seed: int, stream: int, block: int, n_types: int) -> tuple[int, ...]:
    # Each block of as many images as there are types holds every type once: balanced whatever the number of images.
    return tuple(_generator(seed, stream, _ORDER, block).permutation(n_types).tolist())


def _generator(seed: int, stream: int, purpose: int, number: int) -> np.random.Generator:
    # A spawn key, other than a list of numbers as seed, cannot collide with another one.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream, purpose, number))))
