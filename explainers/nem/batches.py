"""Which images a step of training sees, and how: a function of seed and step alone."""

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from ...datasets import Dataset

# Streams that are not steps: the split, the validation, and the order of each epoch counted downwards from the last.
_SPLIT, VALIDATION, _FIRST_EPOCH = -1, -2, -3


def stream(seed: int, number: int) -> torch.Generator:
    """A generator of its own for a step (0, 1, …) or another purpose (negative numbers), on the CPU.

    Nothing that is drawn in one step shifts the numbers of the next, so that a training can go on from any step.
    """
    # Odd factors of 64 bits spread neighbouring seeds and steps; torch takes seeds modulo 2^64.
    mixed = (seed * 0x9E3779B97F4A7C15 + (number + 2**20) * 0xD1B54A32D192ED03) % 2**63
    return torch.Generator().manual_seed(mixed)


def split_indices(n_images: int, *, n_held_out: int, seed: int) -> tuple[list[int], list[int]]:
    """Positions to train on, and positions held out.

    Args:
        n_images: Images in all.
        n_held_out: How many are wanted; at most a tenth of the images are given.
        seed: Decides which.
    """
    order: list[int] = torch.randperm(n_images, generator=stream(seed, _SPLIT)).tolist()
    n_held_out = min(n_held_out, n_images // 10)
    return order[n_held_out:], order[:n_held_out]


def step_indices(indices: Sequence[int], *, batch_size: int, step: int, seed: int) -> list[int]:
    """The images of a step: every epoch is shuffled, and a batch may lie across two of them.

    Args:
        indices: Positions to train on.
        batch_size: Images per step; may be more than there are.
        step: Counted from 0.
        seed: Decides the order.
    """
    positions = range(step * batch_size, (step + 1) * batch_size)
    orders = {
        epoch: torch.randperm(len(indices), generator=stream(seed, _FIRST_EPOCH - epoch)).tolist()
        for epoch in {position // len(indices) for position in positions}
    }
    return [indices[orders[position // len(indices)][position % len(indices)]] for position in positions]


def load_images(dataset: Dataset, indices: Sequence[int]) -> Tensor:
    """Images of a dataset, float32 (B, C, H, W) in [0, 1]."""
    return torch.stack([dataset[index].image for index in indices])


def loaded(dataset: Dataset, steps: Iterable[Sequence[int]], *, ahead: bool) -> Generator[Tensor, None, None]:
    """Images of one step after the other, as `load_images` gives them.

    Args:
        dataset: Asked by one thread at a time.
        steps: Positions of the images of each step.
        ahead: Whether a thread loads the images of the next step meanwhile. While a GPU trains, the processor has time
            for it; where the processor trains, it has not.
    """
    if not ahead:
        for chosen in steps:
            yield load_images(dataset, chosen)
        return
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="images")
    try:
        waiting: Future[Tensor] | None = None
        for chosen in steps:
            upcoming = thread.submit(load_images, dataset, chosen)
            if waiting is not None:
                yield waiting.result()
            waiting = upcoming
        if waiting is not None:
            yield waiting.result()
    finally:
        thread.shutdown(cancel_futures=True)
