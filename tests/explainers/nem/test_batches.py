"""Loading the images of a training, step by step."""

import threading
import time
from contextlib import closing

import pytest
import torch

from xaibench.datasets import InputError
from xaibench.explainers.nem.batches import load_images, loaded

STEPS = [[0, 3], [2], [1, 0, 4], [5]]


class Watched:
    """Notes what is loaded, by which threads, and whether by two at once; one image cannot be loaded."""

    def __init__(self, dataset, broken=None):
        self.dataset, self.broken = dataset, broken
        self.asked, self.threads, self.are_two_inside = [], set(), False
        self._inside = threading.Lock()

    def __getitem__(self, index):
        self.are_two_inside |= not self._inside.acquire(blocking=False)
        self.asked.append(index)
        self.threads.add(threading.current_thread())
        time.sleep(0.001)
        self._inside.release()
        if index == self.broken:
            raise InputError(f"image {index} is broken")
        return self.dataset[index]


@pytest.mark.parametrize("ahead", [False, True])
def test_every_step_has_its_images(blobs, ahead):
    found = list(loaded(blobs, STEPS, ahead=ahead))
    assert len(found) == len(STEPS)
    assert all(torch.equal(images, load_images(blobs, chosen)) for images, chosen in zip(found, STEPS, strict=True))


def test_the_next_step_is_loaded_by_one_other_thread_while_this_one_is_used(blobs):
    dataset = Watched(blobs)
    with closing(loaded(dataset, STEPS, ahead=True)) as batches:
        next(batches)
        deadline = time.monotonic() + 10
        while dataset.asked != [0, 3, 2] and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.05)  # for a step more than the next, which must not come
        assert dataset.asked == [0, 3, 2]
    assert len(dataset.threads) == 1
    assert threading.current_thread() not in dataset.threads
    assert not dataset.are_two_inside
    assert not any(thread.is_alive() for thread in dataset.threads)


def test_without_that_nothing_is_loaded_before_it_is_wanted(blobs):
    dataset = Watched(blobs)
    batches = loaded(dataset, STEPS, ahead=False)
    next(batches)
    assert dataset.asked == [0, 3]
    assert dataset.threads == {threading.current_thread()}


@pytest.mark.parametrize("ahead", [False, True])
def test_a_broken_image_is_the_error_of_its_own_step(blobs, ahead):
    batches = loaded(Watched(blobs, broken=1), STEPS, ahead=ahead)
    for chosen in STEPS[:2]:
        assert torch.equal(next(batches), load_images(blobs, chosen))
    with pytest.raises(InputError, match="image 1 is broken"):
        next(batches)
