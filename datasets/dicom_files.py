"""Reading radiographs from DICOM files."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import torch
from numpy.typing import NDArray
from PIL import Image
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_windowing
from torch import Tensor

from .errors import InputError
from .image_files import file_content

_GREY = ("MONOCHROME1", "MONOCHROME2")


def dicom_size(path: Path) -> tuple[int, int]:
    """Height and width of a DICOM image, from its header.

    Raises:
        InputError: If the file cannot be read or holds no image.
    """
    header = _parsed(path, pixels=False)
    rows, columns = header.get("Rows"), header.get("Columns")
    if not rows or not columns:
        raise InputError(f"{path}: DICOM file without Rows and Columns; wanted an image, replace or remove it")
    return int(rows), int(columns)


def read_dicom(path: Path, *, image_size: int | None) -> Tensor:
    """Read a grey image.

    Stored values are rescaled (RescaleSlope, RescaleIntercept) and windowed where the file has a window, then mapped so
    that the range which the stored bits can express becomes [0, 1]; MONOCHROME1, where low values are bright, is
    inverted. Nothing depends on the values of a single image. Resizing is bilinear with antialiasing to a square.

    Args:
        path: The file.
        image_size: Height and width of the result in pixels, or None for the image's own.

    Returns:
        float32 (1, H, W) in [0, 1].

    Raises:
        InputError: If the file cannot be read, or holds no single grey image.
    """
    header = _parsed(path, pixels=True)
    photometric = header.get("PhotometricInterpretation")
    if photometric not in _GREY:
        raise InputError(f"{path}: PhotometricInterpretation is {photometric}; wanted {' or '.join(_GREY)}")
    try:
        stored = header.pixel_array
    except Exception as error:  # pydicom and its decoders raise whatever they meet in a damaged file
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path}: pixels cannot be decoded ({reason}); replace the file, or save it uncompressed"
        ) from error
    if stored.ndim != 2:
        raise InputError(f"{path}: pixels have shape {stored.shape}; wanted one grey image (rows, columns)")
    plane = Image.fromarray(_in_unit_range(path, stored, header))
    if image_size is not None:
        plane = plane.resize((image_size, image_size), Image.Resampling.BILINEAR)
    values = np.clip(np.asarray(plane), 0.0, 1.0, dtype=np.float32)
    if photometric == "MONOCHROME1":
        values = 1.0 - values
    return torch.from_numpy(np.ascontiguousarray(values))[None]


def _in_unit_range(path: Path, stored: NDArray[Any], header: pydicom.Dataset) -> NDArray[np.float32]:
    slope, intercept = float(header.get("RescaleSlope", 1.0)), float(header.get("RescaleIntercept", 0.0))
    values = stored.astype(np.float64) * slope + intercept
    bits, signed = int(header.BitsStored), int(header.PixelRepresentation) == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    # A negative slope turns bright and dark around, as it should.
    ends = low * slope + intercept, high * slope + intercept
    if header.get("WindowWidth") is not None and header.get("WindowCenter") is not None:
        try:
            values = apply_windowing(values, header)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{path}: the window cannot be applied ({error}); mend WindowCenter and WindowWidth"
            ) from (error)
    if ends[0] == ends[1]:
        raise InputError(f"{path}: RescaleSlope is {slope}; wanted a number other than 0")
    unit: NDArray[np.float32] = ((values - min(ends)) / abs(ends[1] - ends[0])).astype(np.float32)
    return unit


def _parsed(path: Path, *, pixels: bool) -> pydicom.Dataset:
    content = file_content(path)
    try:
        return pydicom.dcmread(io.BytesIO(content), stop_before_pixels=not pixels)
    except (InvalidDicomError, EOFError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
        found = "the file is empty" if not content else f"the file of {len(content)} bytes is no DICOM file"
        raise InputError(f"{path}: {found}; wanted a complete .dcm, replace or remove it") from error
