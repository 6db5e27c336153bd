"""Reading images and masks: values, sizes, orientation and alignment."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from xaibench.datasets import InputError, read_image
from xaibench.datasets.image_files import file_digest, inspect_image, read_mask

RAMP = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30)


def saved(folder: Path, image: Image.Image, name: str = "image.png", **options) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def mask_of(path: Path, size: tuple[int, int], image_size: int | None = None) -> torch.Tensor:
    return read_mask(path, image_path=path, original_size=size, image_size=image_size)


def test_eight_bit_values_are_divided_by_255(tmp_path):
    colour = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=-1)
    image = read_image(saved(tmp_path, Image.fromarray(colour)), image_size=None)
    assert image.dtype == torch.float32
    assert np.array_equal(image.numpy(), colour.transpose(2, 0, 1).astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_values_are_repeated_per_channel(tmp_path, channels):
    image = read_image(saved(tmp_path, Image.fromarray(RAMP)), image_size=None, channels=channels)
    assert image.shape == (channels, 20, 30)
    for channel in image:
        assert np.allclose(channel.numpy(), RAMP / 255)


@pytest.mark.parametrize("image_size", [None, 16])
def test_sixteen_bit_grey_keeps_its_depth(tmp_path, image_size):
    deep = (RAMP.astype(np.uint16) * 100 + 7).reshape(20, 30)
    image = read_image(saved(tmp_path, Image.fromarray(deep)), image_size=image_size)
    assert image.shape[0] == 3
    if image_size is None:
        assert np.allclose(image.numpy(), deep / 65535, atol=1e-7)
    else:
        assert float(image.mean()) == pytest.approx(deep.mean() / 65535, abs=1e-3)


def test_a_float_image_must_lie_between_0_and_1(tmp_path):
    good = saved(tmp_path, Image.fromarray((RAMP / 600).astype(np.float32)), "good.tif")
    assert np.allclose(read_image(good, image_size=None, channels=1)[0].numpy(), RAMP / 600)
    for name, value in (("high.tif", 1.5), ("nan.tif", np.nan)):
        bad = saved(tmp_path, Image.fromarray(np.full((20, 20), value, dtype=np.float32)), name)
        with pytest.raises(InputError, match=rf"{name}.*\[0, 1\]"):
            read_image(bad, image_size=None)


def test_palette_alpha_and_print_colours_become_rgb(tmp_path):
    red = Image.new("RGB", (20, 20), (255, 0, 0))
    palette = read_image(saved(tmp_path, red.convert("P", palette=Image.Palette.ADAPTIVE)), image_size=None)
    assert palette[:, 0, 0].tolist() == [1.0, 0.0, 0.0]
    transparent = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert read_image(saved(tmp_path, transparent), image_size=None)[:, 0, 0].tolist() == [1.0, 1.0, 1.0]
    half = Image.new("RGBA", (20, 20), (255, 0, 0, 128))
    assert read_image(saved(tmp_path, half), image_size=None)[1, 0, 0].item() == pytest.approx(127 / 255)
    grey_alpha = Image.new("LA", (20, 20), (0, 255))
    assert read_image(saved(tmp_path, grey_alpha), image_size=None, channels=1).max() == 0.0
    print_colours = saved(tmp_path, Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "print.tif")
    assert read_image(print_colours, image_size=None)[:, 0, 0].tolist() == pytest.approx([1.0, 0.0, 0.0], abs=0.02)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    raw = np.zeros((20, 30), dtype=np.uint8)
    raw[:5, :5] = 255
    upright = {
        1: raw,
        2: raw[:, ::-1],
        3: raw[::-1, ::-1],
        4: raw[::-1],
        5: raw.T,
        6: np.rot90(raw, -1),
        7: raw[::-1, ::-1].T,
        8: np.rot90(raw),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(raw), exif=exif)
    assert np.array_equal(read_image(path, image_size=None, channels=1)[0].numpy() * 255, upright)
    assert inspect_image(path).size == upright.shape


def test_resizing_averages_all_pixels(tmp_path):
    # Without antialiasing a fine checkerboard would turn black or white.
    board = (np.indices((96, 96)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image = read_image(saved(tmp_path, Image.fromarray(board)), image_size=24)
    assert image.shape == (3, 24, 24)
    assert float((image - 0.5).abs().max()) < 0.01


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_image_and_mask_stay_aligned(tmp_path, data):
    height, width = data.draw(st.integers(16, 90)), data.draw(st.integers(16, 90))
    image_size = data.draw(st.integers(16, 90))
    top, left = data.draw(st.integers(0, height - 8)), data.draw(st.integers(0, width - 8))
    bottom, right = data.draw(st.integers(top + 8, height)), data.draw(st.integers(left + 8, width))
    region = np.zeros((height, width), dtype=np.uint8)
    region[top:bottom, left:right] = 255
    path = saved(tmp_path, Image.fromarray(region))
    image = read_image(path, image_size=image_size, channels=1)[0]
    mask = mask_of(path, (height, width), image_size)
    assert mask.shape == image.shape
    # Wherever the picture of the region is sure, the mask agrees.
    assert bool(mask[image > 0.99].all())
    assert not bool(mask[image < 0.01].any())
    assert bool(mask.any())
    # The oracle of nearest neighbour: the original pixel under the centre of the new one.
    # A centre on the border between two original pixels may go either way.
    rows, columns = (np.arange(1, 2 * image_size, 2) * side / (2 * image_size) for side in (height, width))
    certain = np.ix_(np.abs(rows - rows.round()) > 1e-6, np.abs(columns - columns.round()) > 1e-6)
    wanted = region[np.ix_(rows.astype(int), columns.astype(int))] > 0
    assert np.array_equal(mask.numpy()[certain], wanted[certain])


@pytest.mark.parametrize(
    "mask",
    [
        Image.fromarray(RAMP > 100),
        Image.fromarray(((RAMP > 100) * 255).astype(np.uint8)),
        Image.fromarray((RAMP > 100).astype(np.uint8)),
        Image.fromarray(((RAMP > 100) * 3).astype(np.uint16)),
        Image.fromarray(np.stack([RAMP * 0, (RAMP > 100) * np.uint8(9), RAMP * 0], axis=-1)),
        Image.fromarray((RAMP > 100).astype(np.uint8) * 255).convert("P"),
        Image.fromarray(np.stack([(RAMP > 100) * np.uint8(255)] * 4, axis=-1)),
    ],
    ids=lambda image: image.mode,
)
def test_every_pixel_that_is_not_black_lies_in_the_region(tmp_path, mask):
    found = mask_of(saved(tmp_path, mask), (20, 30))
    assert found.dtype == torch.bool
    assert np.array_equal(found.numpy(), RAMP > 100)


def test_a_mask_of_the_wrong_size_names_both_files_and_sizes(tmp_path):
    path = saved(tmp_path, Image.fromarray(RAMP), "mask.png")
    with pytest.raises(InputError, match=r"mask\.png: mask is 30x20 .*photo\.jpg is 30x21.*same size"):
        read_mask(path, image_path=Path("photo.jpg"), original_size=(21, 30), image_size=16)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b"", "empty"), (b"hello world", "no image"), ("truncated", "damaged")],
)
def test_a_file_that_is_no_image_is_named(tmp_path, content, words):
    path = tmp_path / "broken.png"
    if content == "truncated":
        whole = saved(tmp_path, Image.effect_noise((80, 80), 90.0), "whole.png").read_bytes()
        content = whole[: len(whole) // 2]
    if content is not None:
        path.write_bytes(content)
    for read in (lambda: read_image(path, image_size=32), lambda: mask_of(path, (80, 80))):
        with pytest.raises(InputError, match=rf"broken\.png.*{words}"):
            read()


def test_the_digest_follows_the_content(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"abc")
    second.write_bytes(b"abc")
    assert file_digest(first) == file_digest(second)
    second.write_bytes(b"abd")
    assert file_digest(first) != file_digest(second)
