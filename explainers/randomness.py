"""Randomness that nobody else notices."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ..datasets.hashing import tensors_fingerprint


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators inside the block and give them back as they were.

    Libraries such as Captum draw from the global generators of torch and NumPy; this is the one place that touches
    them.

    Args:
        seed: 0 <= seed < 2**32.
    """
    with preserved_random_state():
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the legacy generator is what the libraries draw from
        torch.manual_seed(seed)
        yield


@contextmanager
def preserved_random_state() -> Iterator[None]:
    """Give the global generators of Python, NumPy and torch (all CUDA devices included) back as they were."""
    python_state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002
    is_cuda_in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda_devices = range(torch.cuda.device_count()) if is_cuda_in_use else ()
    with torch.random.fork_rng(devices=cuda_devices):
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


def case_seed(seed: int, image: torch.Tensor, target: int) -> int:
    """Seed of one case, derived from what is explained.

    A stochastic explainer that seeds each case by its content gives the same map whatever else is in the batch, and
    different noise for different images.

    Args:
        seed: Seed of the explainer.
        image: float32 (C, H, W).
        target: Output explained.

    Returns:
        0 <= seed < 2**32.
    """
    return int(tensors_fingerprint({f"{seed}:{target}": image})[:8], 16)
