"""Trained things on disk: one safetensors file whose header carries the JSON that explains it.

One file cannot be separated from its description, is replaced atomically, and never executes code when read, which a
pickle does.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..datasets import InputError

_HEADER_KEY = "xaibench"


class OtherVersionError(InputError):
    """A file of the wanted format, but of another version of it."""


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that readers see the old content or the new, never a part.

    Args:
        path: Where to write; folders are made.
        content: The bytes.

    Raises:
        InputError: If the file cannot be written there.
    """
    path = Path(path)
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose a folder that you may write to") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def save_artefact(path: str | Path, *, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Store tensors and what they are.

    Args:
        path: Target file, by convention ``*.safetensors``.
        tensors: Named tensors.
        description: Plain data for JSON; must hold ``format`` and ``format_version``.
    """
    # Cloned, because safetensors refuses tensors that share memory: the tied weights of a user's network.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = {_HEADER_KEY: json.dumps(description, sort_keys=True, allow_nan=False)}
    write_atomically(path, save(plain, metadata=header))


def load_artefact(
    path: str | Path, *, wanted_format: str, wanted_version: int
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and what they are.

    Args:
        path: File written by `save_artefact`.
        wanted_format: Format that the caller understands.
        wanted_version: Version that the caller understands.

    Returns:
        Tensors by name, and the description.

    Raises:
        OtherVersionError: If it is of another version of the format.
        InputError: If there is no such file, it is not safetensors, or it holds something else.
    """
    if not Path(path).is_file():
        raise InputError(f"no file {path}; wanted a {wanted_format} (.safetensors)")
    try:
        with safe_open(path, framework="pt", device="cpu") as stream:
            header = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors ({error}); wanted a {wanted_format}") from error
    try:
        description: dict[str, Any] = json.loads(header[_HEADER_KEY])
        found = (description["format"], description["format_version"])
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} has no xaibench description in its header; wanted a {wanted_format}") from error
    if found != (wanted_format, wanted_version):
        kind = OtherVersionError if found[0] == wanted_format else InputError
        raise kind(f"{path} is {found[0]} version {found[1]}; wanted {wanted_format} version {wanted_version}")
    return tensors, description
