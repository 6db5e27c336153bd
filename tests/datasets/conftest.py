"""A tiny folder of the user's own images, for several tests."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NAMES = ("one", "two", "three", "four")


def region_of(place: int) -> np.ndarray:
    region = np.zeros((24, 32), dtype=np.uint8)
    region[place : place + 8, 5:20] = 1
    return region


@pytest.fixture
def pets(tmp_path) -> Path:
    """Four images of 32x24 pixels with labels dog, cat, cat, dog, and a mask for each."""
    root = tmp_path / "pets"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for place, name in enumerate(NAMES):
        Image.new("RGB", (32, 24), (place * 50, 0, 255)).save(root / "images" / f"{name}.png")
        Image.fromarray(region_of(place)).save(root / "masks" / f"{name}.png")
    (root / "labels.csv").write_text("name,label\none,dog\ntwo,cat\nthree,cat\nfour,dog\n")
    return root
