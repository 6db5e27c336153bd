"""Fixtures for the NEM family."""

from collections.abc import Callable

import pytest

from xaibench.explainers import Architecture, Classifier


@pytest.fixture(scope="session")
def make_timm_classifier() -> Callable[..., Classifier]:
    """Make a classifier of 64 pixels from a network of timm, untrained."""

    def make(model: str, *, channels: int, output_names: tuple[str, ...]) -> Classifier:
        network = Architecture(type="timm", params={"model": model}).build(len(output_names), channels)
        return Classifier(
            network.module,
            task="multiclass",
            output_names=output_names,
            mean=network.mean,
            std=network.std,
            channels=channels,
            image_size=64,
        )

    return make
