"""Mosaics of real digits, checked against the digits themselves."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from xaibench.datasets import DigitsGrid, InputError
from xaibench.datasets.digits_grid import _digits_of


def test_every_region_is_the_ink_of_its_digit():
    for sample in DigitsGrid(n_images=40):
        image, present = sample.image[0], sample.outputs > 0.5
        assert 1 <= int(present.sum()) <= 4
        assert bool((sample.gt_masks.flatten(1).any(dim=1) == present).all())
        # Digits do not share pixels.
        assert int(sample.gt_masks.sum(dim=0).max()) == 1
        inked = sample.gt_masks.any(dim=0)
        assert float(image[inked].mean()) > 0.3
        assert float(image[~inked].mean()) < 0.12
        assert float(image[~inked].max()) < 0.35


def test_a_cell_holds_a_digit_that_a_stranger_reads_right():
    # A nearest neighbour that was trained on the digits of the training split reads the cells of test mosaics.
    train = np.concatenate([_digits_of("train", digit) for digit in range(10)]).reshape(-1, 64)
    labels = np.concatenate([[digit] * len(_digits_of("train", digit)) for digit in range(10)])
    reader = KNeighborsClassifier(1).fit(train, labels)
    right = []
    for sample in DigitsGrid(n_images=60, image_size=32, n_digits=(1, 3)):
        image = (sample.image[0].numpy() - 0.1) / 0.85
        for digit, mask in enumerate(sample.gt_masks.numpy()):
            if mask.any():
                rows, columns = np.nonzero(mask)
                top, left = rows.min() // 8 * 8, columns.min() // 8 * 8
                cell = image[top : top + 8, left : left + 8]
                right.append(reader.predict((cell / cell.max()).reshape(1, -1))[0] == digit)
    assert np.mean(right) > 0.9


def test_splits_share_no_digit():
    images = load_digits().images
    assert sum(len(_digits_of(split, digit)) for split in ("train", "val", "test") for digit in range(10)) == len(
        images
    )
    seen = [
        {one.tobytes() for digit in range(10) for one in _digits_of(split, digit)} for split in ("train", "val", "test")
    ]
    assert [len(own) / len(images) for own in seen] == pytest.approx([0.7, 0.1, 0.2], abs=0.02)
    assert not (seen[0] & seen[2]) | (seen[0] & seen[1]) | (seen[1] & seen[2])


def test_the_number_of_digits_and_the_classes_are_balanced():
    outputs = DigitsGrid(n_images=1000, n_digits=(2, 5)).outputs()
    assert set(outputs.sum(dim=1).tolist()) == {2.0, 3.0, 4.0, 5.0}
    assert outputs.mean(dim=0).tolist() == pytest.approx([0.35] * 10, abs=0.05)


def test_the_fingerprint_follows_the_settings():
    changes = [
        {},
        {"split": "train"},
        {"n_images": 4},
        {"image_size": 48},
        {"cells": 3},
        {"n_digits": (1, 2)},
        {"seed": 1},
    ]
    assert len({DigitsGrid(**change).info.fingerprint for change in changes}) == len(changes)


BAD = [
    ({"split": "all"}, ["'all'", "train"]),
    ({"n_images": 0}, ["n_images is 0"]),
    ({"seed": -1}, ["seed is -1"]),
    ({"image_size": 8}, ["image_size is 8"]),
    ({"cells": 9}, ["cells is 9 at 64 pixels", "1 to 8"]),
    ({"cells": 0}, ["cells is 0"]),
    ({"n_digits": (0, 2)}, ["n_digits is [0, 2]", "1 to 10"]),
    ({"n_digits": (1, 5), "cells": 2}, ["n_digits is [1, 5]", "1 to 4"]),
    ({"n_digits": (3, 2)}, ["n_digits is [3, 2]"]),
]


@pytest.mark.parametrize(("setting", "words"), BAD, ids=[words[0] for _, words in BAD])
def test_bad_settings_are_refused(setting, words):
    with pytest.raises(InputError) as caught:
        DigitsGrid(**setting)
    for word in words:
        assert word in str(caught.value)
