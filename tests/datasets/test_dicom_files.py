"""DICOM files: every depth, polarity and scaling becomes the same picture."""

from pathlib import Path

import numpy as np
import pytest
import torch

from xaibench.datasets import InputError
from xaibench.datasets.dicom_files import dicom_size, read_dicom

from .rsna_tree import SIZE, grey, write_dicom

EIGHT = grey(0)
WANTED = EIGHT.astype(np.float32) / np.float32(255)


def read(path: Path, pixels: np.ndarray, image_size: int | None = None, **elements: object) -> np.ndarray:
    write_dicom(path, pixels, **elements)
    image = read_dicom(path, image_size=image_size)
    assert image.dtype == torch.float32
    assert image.shape[0] == 1
    return image[0].numpy()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.dcm"


def test_eight_bit_values_are_divided_by_255(path):
    assert np.allclose(read(path, EIGHT), WANTED, atol=1e-7)
    assert dicom_size(path) == SIZE


def test_low_values_are_bright_in_monochrome1(path):
    assert np.allclose(read(path, EIGHT, PhotometricInterpretation="MONOCHROME1"), 1 - WANTED, atol=1e-6)


@pytest.mark.parametrize(("stored", "dtype"), [(16, np.uint16), (12, np.uint16), (10, np.uint16)])
def test_the_stored_bits_decide_the_range(path, stored, dtype):
    pixels = grey(1, bits=stored).astype(dtype)
    found = read(path, pixels, BitsStored=stored, HighBit=stored - 1)
    assert np.allclose(found, pixels / (2**stored - 1), atol=1e-6)


def test_signed_values_begin_below_zero(path):
    signed = grey(1, bits=12).astype(np.int16) - 2048
    found = read(path, signed, BitsStored=12, HighBit=11)
    assert np.allclose(found, (signed.astype(float) + 2048) / 4095, atol=1e-6)


def test_rescaling_moves_no_pixel_but_a_negative_slope_inverts(path):
    assert np.allclose(read(path, EIGHT, RescaleSlope="3.5", RescaleIntercept="-1024"), WANTED, atol=1e-6)
    assert np.allclose(read(path, EIGHT, RescaleSlope="-1", RescaleIntercept="255"), 1 - WANTED, atol=1e-6)


def test_a_window_is_applied_after_rescaling(path):
    # The standard's linear window (PS3.3 C.11.2.1.2) reaches (w - 1) / 2 to both sides of c - 0.5.
    found = read(path, EIGHT, RescaleSlope="2", RescaleIntercept="0", WindowCenter="200", WindowWidth="101")
    wanted = np.clip((EIGHT.astype(float) * 2 - 199.5) / 100 + 0.5, 0, 1)
    assert np.allclose(found, wanted, atol=1e-6)


def test_jpeg_within_dicom_as_in_the_real_data(path):
    smooth = np.linspace(20, 230, SIZE[0] * SIZE[1]).reshape(SIZE).astype(np.uint8)
    assert np.abs(read(path, smooth, jpeg=True) - smooth / 255).mean() < 0.01


def test_resizing_averages_all_pixels(path):
    board = (np.indices((96, 96)).sum(axis=0) % 2 * 255).astype(np.uint8)
    found = read(path, board, image_size=24)
    assert found.shape == (24, 24)
    assert np.abs(found - 0.5).max() < 0.01


BAD = [
    ({"PhotometricInterpretation": "PALETTE COLOR"}, "PhotometricInterpretation is PALETTE COLOR; wanted MONOCHROME1"),
    ({"PixelData": b"\0" * 10}, "pixels cannot be decoded"),
    ({"PixelData": None}, "pixels cannot be decoded"),
    ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "RescaleSlope is 0.0; wanted a number other than 0"),
    ({"NumberOfFrames": "2", "PixelData": EIGHT.tobytes() * 2}, "pixels have shape .*wanted one grey image"),
    ({"WindowCenter": "10", "WindowWidth": "0"}, "the window cannot be applied .*WindowWidth"),
]


@pytest.mark.parametrize(("elements", "words"), BAD, ids=[words for _, words in BAD])
def test_an_image_that_cannot_be_used_is_named(path, elements, words):
    write_dicom(path, EIGHT, **elements)
    with pytest.raises(InputError, match=rf"a\.dcm: {words}"):
        read_dicom(path, image_size=32)


@pytest.mark.parametrize(("content", "words"), [(b"", "the file is empty"), (b"x" * 300, "300 bytes is no DICOM file")])
def test_a_file_that_is_no_dicom_is_named(path, content, words):
    path.write_bytes(content)
    for use in (lambda: read_dicom(path, image_size=32), lambda: dicom_size(path)):
        with pytest.raises(InputError, match=rf"a\.dcm: .*{words}.*replace or remove it"):
            use()


def test_a_truncated_file_is_named(path):
    write_dicom(path, EIGHT)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"a\.dcm: pixels cannot be decoded"):
        read_dicom(path, image_size=32)


def test_a_missing_file_and_one_without_an_image_are_named(path):
    with pytest.raises(InputError, match=r"a\.dcm: cannot be read"):
        read_dicom(path, image_size=32)
    write_dicom(path, EIGHT, Rows=None)
    with pytest.raises(InputError, match=r"a\.dcm: DICOM file without Rows and Columns"):
        dicom_size(path)
