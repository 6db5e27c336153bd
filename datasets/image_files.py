"""Reading images and masks from files, at their own size or resized."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from .errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
SMALLEST_IMAGE = 16
_MAX_16_BIT = 65535.0
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """What is known of an image file without decoding it.

    Attributes:
        path: The file.
        size: Height and width in pixels, as displayed.
        digest: Hash of the content, 32 hexadecimal digits.
    """

    path: Path
    size: tuple[int, int]
    digest: str


def check_image_size(image_size: int) -> None:
    """Refuse images too small to be explained.

    Raises:
        InputError: With the smallest size.
    """
    if image_size < SMALLEST_IMAGE:
        raise InputError(f"image_size is {image_size}; wanted at least {SMALLEST_IMAGE} pixels")


def file_digest(path: Path) -> str:
    """Hash of a file's content, 32 hexadecimal digits.

    Raises:
        InputError: If the file cannot be read.
    """
    return hashlib.blake2b(file_content(path), digest_size=16).hexdigest()


def inspect_image(path: Path) -> ImageFile:
    """Hash an image file and read its header.

    Raises:
        InputError: If the file cannot be read or is no image.
    """
    content = file_content(path)
    with _opened(path, content) as image:
        width, height = image.size
        # Pillow's own getexif of a PNG decodes the whole image; that of the base class only looks at what was read.
        # Orientations 5 to 8 lie on their side.
        if Image.Image.getexif(image).get(_ORIENTATION_TAG, 1) >= 5:
            width, height = height, width
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    return ImageFile(path=path, size=(height, width), digest=digest)


def read_image(path: Path, *, image_size: int | None, channels: int = 3) -> Tensor:
    """Read an image.

    The EXIF orientation is applied, palettes are resolved, transparent parts are laid on white, and 16-bit grey values
    are divided by 65535. Resizing is bilinear with antialiasing to a square; the aspect ratio is not kept.

    Args:
        path: The file.
        image_size: Height and width of the result in pixels, or None for the image's own.
        channels: 1 for luminance, 3 for red, green and blue.

    Returns:
        float32 (channels, H, W) in [0, 1].

    Raises:
        InputError: If the file cannot be read or is no image.
    """
    with _opened(path, file_content(path)) as image:
        upright = _decoded(path, image)
        if upright.mode.startswith(("I", "F")):
            planes = [_wide_grey(path, upright)] * channels
        else:
            planes = list(_eight_bit(upright, "L" if channels == 1 else "RGB").split())
        if image_size is not None:
            planes = [plane.resize((image_size, image_size), Image.Resampling.BILINEAR) for plane in planes]
    stacked = np.stack([np.asarray(plane) for plane in planes])
    if stacked.dtype == np.uint8:
        stacked = stacked.astype(np.float32) / np.float32(255.0)
    return torch.from_numpy(np.clip(stacked, 0.0, 1.0, dtype=np.float32))


def read_mask(path: Path, *, image_path: Path, original_size: tuple[int, int], image_size: int | None) -> Tensor:
    """Read the annotated region of an image.

    Args:
        path: The mask's file: every pixel that is not zero (black) lies in the region.
        image_path: The image's file, for messages.
        original_size: Height and width of the image before resizing.
        image_size: Height and width of the result in pixels, or None for the mask's own; resizing takes the nearest
            pixel.

    Returns:
        bool (H, W).

    Raises:
        InputError: If the file cannot be read, is no image or differs in size from its image.
    """
    with _opened(path, file_content(path)) as image:
        upright = _decoded(path, image)
        check_mask_size(path, (upright.height, upright.width), image_path=image_path, original_size=original_size)
        # Black means outside: the colour behind a palette index counts, not the index; transparent counts as black.
        if upright.mode in ("P", "PA", "RGBA", "LA", "CMYK"):
            upright = _eight_bit(upright, "RGB", background="black")
        values = np.asarray(upright)
    region = np.any(values != 0, axis=-1) if values.ndim == 3 else values != 0
    if image_size is not None:
        plane = Image.fromarray(region.astype(np.uint8))
        region = np.asarray(plane.resize((image_size, image_size), Image.Resampling.NEAREST)) != 0
    return torch.from_numpy(np.ascontiguousarray(region))


def check_mask_size(path: Path, size: tuple[int, int], *, image_path: Path, original_size: tuple[int, int]) -> None:
    """Refuse a mask that does not fit its image.

    Raises:
        InputError: With both files and both sizes.
    """
    if size != original_size:
        raise InputError(
            f"{path}: mask is {size[1]}x{size[0]} pixels, its image {image_path} is "
            f"{original_size[1]}x{original_size[0]}; wanted the same size, export the mask again"
        )


def file_content(path: Path) -> bytes:
    """Content of a file.

    Raises:
        InputError: If the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); check that it exists and its permissions"
        ) from error


def _opened(path: Path, content: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        found = (
            "the file is empty" if not content else f"the file of {len(content)} bytes is no image that Pillow can read"
        )
        raise InputError(
            f"{path}: {found}; wanted {', '.join(suffix[1:] for suffix in IMAGE_SUFFIXES)}; replace or remove it"
        ) from error


def _decoded(path: Path, image: Image.Image) -> Image.Image:
    try:
        image.load()
        return ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path}: image is damaged ({error}); wanted a complete image, replace or remove it"
        ) from error


def _wide_grey(path: Path, image: Image.Image) -> Image.Image:
    # 16-bit, 32-bit and float grey values as a float plane in [0, 1].
    values: NDArray[np.float32] = np.asarray(image).astype(np.float32)
    if not image.mode.startswith("F"):
        values = values / np.float32(_MAX_16_BIT)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0.0 and high <= 1.0):
        wanted = "[0, 1]" if image.mode.startswith("F") else "[0, 65535]"
        raise InputError(f"{path}: pixels of mode {image.mode} lie outside of {wanted}; rescale and save it again")
    return Image.fromarray(values)


def _eight_bit(image: Image.Image, mode: str, *, background: str = "white") -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        canvas = Image.new("RGBA", layer.size, background)
        image = Image.alpha_composite(canvas, layer)
    return image.convert(mode)
