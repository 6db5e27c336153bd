"""Seeds that stay inside."""

import random

import numpy as np
import pytest
import torch

from xaibench.explainers.randomness import case_seed, preserved_random_state, seeded


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_seeded_blocks_repeat_and_leave_no_trace():
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    wanted = draw(), draw()
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    first = draw()
    with seeded(5):
        inside = draw()
    with seeded(5):
        again = draw()
    with seeded(6):
        other = draw()
    assert (first, draw()) == wanted
    assert inside == again
    assert all(one != two for one, two in zip(inside, other, strict=True))


def test_blocks_nest():
    with seeded(1):
        first = draw()
        with seeded(2):
            draw()
        second = draw()
    with seeded(1):
        assert (first, second) == (draw(), draw())


def test_states_come_back_after_a_failure():
    def fail_inside() -> None:
        with preserved_random_state():
            torch.manual_seed(99)
            raise RuntimeError("inside")

    torch.manual_seed(4)
    wanted = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="inside"):
        fail_inside()
    assert torch.equal(torch.get_rng_state(), wanted)


def test_case_seeds_differ_by_seed_image_and_target():
    image, other = torch.rand(3, 8, 8), torch.rand(3, 8, 8)
    seeds = {case_seed(seed, picture, target) for seed in (0, 1) for picture in (image, other) for target in (0, 1, 10)}
    assert len(seeds) == 12
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert case_seed(0, image, 1) == case_seed(0, image.clone(), 1)


def test_case_seed_is_the_same_on_every_machine():
    image = torch.arange(12, dtype=torch.float32).reshape(3, 2, 2) / 12
    assert case_seed(0, image, 1) == 3863587766
