"""Fixtures for explainers: bind, quicken and fit any plugin of the catalog; a batch to explain."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from xaibench.datasets import Dataset
from xaibench.explainers import EXPLAINERS, Classifier, Explainer

# Any of these that a plugin has as a parameter: a contract holds for few steps as it does for many.
_QUICK = {
    "steps": 3,
    "batch_size": 4,
    "samples": 4,
    "window": 0.25,
    "stride": 0.125,
    "masks": 12,
    "grid": 4,
    "backgrounds": 6,
    "segments": 6,
    "areas": (0.2,),
    "cells": 8,
    "width": 4,
    "coalitions": 2,
}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Arguments of `Explainer.explain`."""

    images: Tensor
    targets: Tensor
    gt_masks: Tensor

    def __getitem__(self, index: slice | list[int] | Tensor) -> "Batch":
        return Batch(images=self.images[index], targets=self.targets[index], gt_masks=self.gt_masks[index])

    def explained_by(self, explainer: Explainer) -> Tensor:
        return explainer.explain(self.images, self.targets, gt_masks=self.gt_masks)


def make_batch(*, size: tuple[int, int] = (32, 32), channels: int = 3, n: int = 8, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, channels, 8, 8, generator=generator)
    images = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    gt_masks = torch.zeros(n, *size, dtype=torch.bool)
    gt_masks[:, 4:14, 6:20] = True
    return Batch(images=images.clone(), targets=torch.arange(n) % 3, gt_masks=gt_masks)


@pytest.fixture(scope="session", name="make_batch")
def _make_batch() -> Callable[..., Batch]:
    return make_batch


@pytest.fixture(scope="session")
def build() -> Callable[..., Explainer]:
    """Make a plugin of the catalog with quick settings, fitted where it needs to be."""

    def build(name: str, classifier: Classifier, dataset: Dataset, *, seed: int = 0) -> Explainer:
        known = EXPLAINERS.params(name)
        reason = EXPLAINERS.get(name).unsupported(classifier)  # type: ignore[attr-defined]
        if reason is not None:
            pytest.skip(f"{name} does not support this classifier: {reason}")
        params = {key: value for key, value in _QUICK.items() if key in known}
        explainer = EXPLAINERS.create(name, classifier, seed=seed, **params)
        if explainer.needs_fit:
            explainer.fit(dataset)
        return explainer

    return build


@pytest.fixture
def exact_arithmetic() -> Iterator[None]:
    """Without TF32, so that two ways to compute the same on a GPU can be compared."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before
