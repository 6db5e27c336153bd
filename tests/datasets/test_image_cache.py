"""Decoded images on disk: the same numbers, whatever happens to the folder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xaibench.datasets import DATASETS, InputError
from xaibench.datasets.image_cache import ImageCache

from .rsna_tree import write_rsna_tree
from .trees import write_ham_tree, write_image_folder

KEY = {"image_size": 8, "channels": 1}


def forbidden() -> torch.Tensor:
    raise AssertionError("read again")


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=arrays(np.float32, (1, 8, 8), elements=st.floats(0, 1, width=32)))
def test_any_image_comes_back_bit_for_bit(tmp_path, values):
    cache, image, digest = ImageCache(tmp_path), torch.from_numpy(values), values.tobytes().hex()
    assert torch.equal(cache.image(digest, **KEY, read=lambda: image), image)
    kept = cache.image(digest, **KEY, read=forbidden)
    assert kept.dtype == torch.float32
    assert torch.equal(kept, image)


def test_eight_bit_images_take_a_byte_a_value(tmp_path):
    cache = ImageCache(tmp_path)
    image = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16).numpy().astype(np.float32) / np.float32(255)
    cache.image("a", **KEY, read=lambda: torch.from_numpy(image))
    (file,) = tmp_path.rglob("*.npy")
    assert file.stat().st_size < 256 + 200
    assert np.array_equal(cache.image("a", **KEY, read=forbidden).numpy(), image)


def test_content_size_and_channels_are_the_key(tmp_path):
    cache = ImageCache(tmp_path)
    for place, (digest, key) in enumerate(
        [("a", KEY), ("b", KEY), ("a", {**KEY, "image_size": None}), ("a", {**KEY, "channels": 3})]
    ):
        made = torch.full((1, 8, 8), place / 8)
        assert torch.equal(cache.image(digest, **key, read=lambda made=made: made), made)
    assert len(list(tmp_path.rglob("*.npy"))) == 4


def test_a_damaged_file_is_read_and_stored_again(tmp_path):
    cache, image = ImageCache(tmp_path), torch.rand(1, 8, 8)
    cache.image("a", **KEY, read=lambda: image)
    (file,) = tmp_path.rglob("*.npy")
    for content in (b"", file.read_bytes()[:100], b"hello"):
        file.write_bytes(content)
        assert torch.equal(cache.image("a", **KEY, read=lambda: image), image)
        assert torch.equal(cache.image("a", **KEY, read=forbidden), image)
    assert not list(tmp_path.rglob("*.part"))


def test_without_a_folder_nothing_is_kept(tmp_path):
    image = torch.rand(1, 8, 8)
    assert ImageCache(None).image("a", **KEY, read=lambda: image) is image
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"file/.*cannot be kept there .*choose another cache folder"):
        ImageCache(tmp_path / "file").image("a", **KEY, read=lambda: torch.rand(1, 8, 8))


@pytest.mark.parametrize(
    ("name", "write"),
    [("ham10000", write_ham_tree), ("rsna_pneumonia", write_rsna_tree), ("image_folder", write_image_folder)],
)
def test_datasets_give_the_same_samples_with_a_cache(name, write, tmp_path: Path):
    params = {"root": str(write(tmp_path / "data")), "split": "all", "image_size": 20}
    plain = DATASETS.create(name, **params)
    cached = DATASETS.create(name, **params, cache=str(tmp_path / "cache"))
    assert cached.info == plain.info
    for _ in range(2):
        for one, other in zip(plain, cached, strict=True):
            assert torch.equal(one.image, other.image)
            assert (one.gt_masks is None) == (other.gt_masks is None)
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == len(plain)
