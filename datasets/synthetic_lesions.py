"""Procedural dermoscopy-like images with exact ground truth."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .catalog import closest_match
from .dataset import Dataset, Split
from .errors import InputError
from .hashing import fingerprint
from .lesion_plan import LARGEST_COVER, LesionTask, make_plan
from .lesion_scene import Scene, covered_pixels, draw_scene, render_scene
from .lesion_textures import USUAL_TYPES
from .sample import DatasetInfo, MaskKind, Sample

GENERATOR_VERSION = "1"
"""Version of the images; a change of this number means that every stored score has lost its input."""

# Each split draws from its own stream of seeds; the numbers are part of the generator's version.
_STREAMS = {"train": 0, "val": 1, "test": 2}
_SCENE, _ORDER = 0, 1
_SMALLEST_IMAGE = 16


class SyntheticLesions(Dataset):
    """Skin with pigmented lesions that only their texture tells apart, or whose extent is the question.

    Skin tone, light, outline, size, place, colour and darkness of the lesions, hairs and rulers are drawn alike for
    every type. A sample depends on seed, split, index and settings only, never on ``n_images``, and the same scene is
    rendered at every ``image_size``.
    """

    def __init__(
        self,
        *,
        task: LesionTask = "multiclass",
        split: Split = "test",
        n_images: int = 500,
        image_size: int = 64,
        lesion_types: tuple[str, ...] = USUAL_TYPES,
        n_lesions: tuple[int, int] | None = None,
        area_scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        """Describe the images; they are made when asked for.

        Args:
            task: ``multiclass``: one lesion an image, the output is its type. ``multilabel``: one or two lesions of
                different types. ``severity``: one to three lesions of any type, and one output, a regression: the share
                of the image that they cover together, 1 meaning a quarter of it; its region is their union.
            split: ``train``, ``val`` or ``test``: streams without a common sample.
            n_images: Number of images.
            image_size: Height and width in pixels, at least 16; types can be told apart from 32 on.
            lesion_types: Types to draw, each about equally often; the outputs, in this order (severity: what lesions
                look like).
            n_lesions: Fewest and most lesions of an image, each number equally often; None for the numbers above.
                Several lesions of a multiclass image have one type. An image without a lesion has no region, but
                shows a classifier what a severity of 0 looks like: give (0, 3) to its training.
            area_scale: Factor on the area of every lesion.
            seed: Seed of every image.

        Raises:
            InputError: If a setting cannot be used.
        """
        plan = make_plan(task, lesion_types=lesion_types, n_lesions=n_lesions, area_scale=area_scale)
        if split not in _STREAMS:
            hint = closest_match(split, list(_STREAMS))
            raise InputError(f"split {split!r} of synthetic_lesions, whose images are generated without end; {hint}")
        if n_images < 1:
            raise InputError(f"n_images is {n_images}; wanted at least 1")
        if image_size < _SMALLEST_IMAGE:
            raise InputError(f"image_size is {image_size}; wanted at least {_SMALLEST_IMAGE} pixels")
        if seed < 0:
            raise InputError(f"seed is {seed}; wanted 0 or more")
        self._plan = plan
        self._n_images = n_images
        self._image_size = image_size
        self._seed = seed
        self._stream = _STREAMS[split]
        self._split = split
        settings = {
            "dataset": "synthetic_lesions",
            "generator": GENERATOR_VERSION,
            "task": task,
            "split": split,
            "n_images": n_images,
            "image_size": image_size,
            "lesion_types": list(lesion_types),
            "seed": seed,
            **plan.unusual,
        }
        self._info = DatasetInfo(
            name="synthetic_lesions",
            version=GENERATOR_VERSION,
            task=plan.outputs_task,
            output_names=("severity",) if plan.task == "severity" else lesion_types,
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
        gt_masks = np.zeros((len(self._info.output_names), *image.shape[1:]), dtype=np.bool_)
        for lesion, mask in zip(scene.lesions, masks, strict=True):
            gt_masks[self._output_of(lesion.lesion_type)] |= mask
        return Sample(
            sample_id=f"{self._split}-{self._seed}-{index:06d}",
            image=torch.from_numpy(image),
            outputs=self._severity(gt_masks[0])
            if self._plan.task == "severity"
            else self._labels(tuple(lesion.lesion_type for lesion in scene.lesions)),
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
        return draw_scene(rng, lesion_types=self._types_of(index, rng), area=self._plan.area)

    def outputs(self) -> Tensor:
        """Outputs of every sample, float32 (N, K), without making an image."""
        if self._plan.task == "severity":
            scenes = (self.scene(index) for index in range(self._n_images))
            return torch.stack([self._severity(covered_pixels(scene, self._image_size)) for scene in scenes])
        generators = (_generator(self._seed, self._stream, _SCENE, index) for index in range(self._n_images))
        return torch.stack([self._labels(self._types_of(index, rng)) for index, rng in enumerate(generators)])

    def _labels(self, lesion_types: tuple[str, ...]) -> Tensor:
        outputs = torch.zeros(len(self._info.output_names))
        for lesion_type in lesion_types:
            outputs[self._output_of(lesion_type)] = 1.0
        return outputs

    def _severity(self, covered: NDArray[np.bool_]) -> Tensor:
        return torch.tensor([covered.mean() / LARGEST_COVER], dtype=torch.float32)

    def _output_of(self, lesion_type: str) -> int:
        return 0 if self._plan.task == "severity" else self._plan.lesion_types.index(lesion_type)

    def _types_of(self, index: int, rng: np.random.Generator) -> tuple[str, ...]:
        # Takes the same number of draws from rng whatever comes out.
        how_many, others = rng.random(2)
        block, place = divmod(index, len(self._plan.lesion_types))
        order = _order_of_types(self._seed, self._stream, block, len(self._plan.lesion_types))
        return self._plan.types_of(order, place=place, draws=(how_many, others))


@lru_cache(maxsize=1024)
def _order_of_types(seed: int, stream: int, block: int, n_types: int) -> tuple[int, ...]:
    # Each block of as many images as there are types holds every type once: balanced whatever the number of images.
    return tuple(_generator(seed, stream, _ORDER, block).permutation(n_types).tolist())


def _generator(seed: int, stream: int, purpose: int, number: int) -> np.random.Generator:
    # A spawn key, other than a list of numbers as seed, cannot collide with another one.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream, purpose, number))))
