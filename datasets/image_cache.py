"""Decoded images on disk, for data that are read again and again."""

import contextlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor

from .eight_bits import compact, restored
from .errors import InputError
from .hashing import fingerprint

# Raise it when a change of ours changes what is read from a file.
_READER_VERSION = 1


class ImageCache:
    """Images by content of their file, size and channels; what comes out is bit for bit what was read.

    Files never go stale: other content, another size or another version of the reader is another name. Several
    processes may use one folder.
    """

    def __init__(self, folder: Path | None) -> None:
        """Use a folder.

        Args:
            folder: Where decoded images are kept; made when the first one is. None keeps nothing.
        """
        self._folder = folder

    def image(self, digest: str, *, image_size: int | None, channels: int, read: Callable[[], Tensor]) -> Tensor:
        """An image from the cache, or else from its file.

        Args:
            digest: Hash of the file's content.
            image_size: Height and width in pixels, or None for the image's own.
            channels: Channels of the image.
            read: Reads the file: float32 (C, H, W) in [0, 1].

        Raises:
            InputError: If the folder cannot be written, or as ``read``.
        """
        if self._folder is None:
            return read()
        name = fingerprint([digest, image_size, channels, _READER_VERSION, PIL.__version__])
        path = self._folder / name[:2] / f"{name}.npy"
        kept = _load(path)
        if kept is not None:
            return kept
        image = read()
        _store(path, image)
        return image


def _load(path: Path) -> Tensor | None:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        # Absent, or cut off when a disk was full: it is read and stored again.
        return None
    return restored(torch.from_numpy(values))


def _store(path: Path, image: Tensor) -> None:
    content = io.BytesIO()
    np.save(content, compact(image).numpy(), allow_pickle=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own per writer, then one step: readers see the whole file or none.
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content.getvalue())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(
            f"{path.parent}: decoded images cannot be kept there ({error.strerror}); choose another cache folder"
        ) from error
