"""Reading arrays from .npz files, without letting a file execute anything."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .errors import InputError


def array_shapes(path: Path, *, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Shapes of named arrays, read from their headers.

    Args:
        path: The .npz file.
        names: Arrays that must be there.

    Raises:
        InputError: If the file cannot be read, is damaged or lacks an array.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy") for name in archive.namelist()}
            missing = [name for name in names if name not in members]
            if missing:
                raise InputError(f"{path}: no array {missing[0]!r}; found {', '.join(sorted(members))}")
            return {name: _shape(archive, name) for name in names}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; wanted an .npz file with {', '.join(names)}") from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read as .npz ({error}); get the file again") from error


def read_array(path: Path, name: str) -> NDArray[np.generic]:
    """One array, whole.

    Raises:
        InputError: If it is damaged or would need unpickling.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            array: NDArray[np.generic] = arrays[name]
            return array
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: array {name!r} cannot be read ({error}); get the file again") from error


def _shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(f"{name}.npy") as file:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)
    return tuple(header[0])
