"""Weights that a network starts from."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...datasets import InputError


def weights_from_file(path: Path, *, words: tuple[str, ...]) -> dict[str, Tensor]:
    """Read a state dict; code in the file is not run.

    Args:
        path: A ``.safetensors`` file, or what torch wrote (``.pth``, ``.pt``), also with the dict under ``state_dict``.
        words: What could have been meant instead of a file, for the error.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        InputError: If there is no such file, or no state dict in it.
    """
    if not path.is_file():
        named = ", ".join(repr(word) for word in words)
        raise InputError(f"no weights file {path}; wanted {named} or a .safetensors or .pth file")
    wanted = "wanted a .safetensors or .pth file with a state dict"
    loaded: Any
    try:
        loaded = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, OSError, RuntimeError, ValueError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as weights ({reason}); {wanted}") from error
    if not isinstance(loaded, dict):
        raise InputError(f"{path} holds a {type(loaded).__name__}; {wanted}")
    return cast(dict[str, Tensor], loaded.get("state_dict", loaded))


def load_matching(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load the tensors that fit; others (a head for other outputs) stay at their initial values.

    Args:
        module: Changed in place.
        weights: Tensors by the module's own names.

    Raises:
        InputError: If fewer than four in five of the module's tensors fit.
    """
    own = module.state_dict()
    matching = {name: tensor for name, tensor in weights.items() if name in own and own[name].shape == tensor.shape}
    if len(matching) < 0.8 * len(own):
        raise InputError(
            f"only {len(matching)} of {len(own)} tensors of {type(module).__name__} are in the weights; "
            "they belong to another architecture"
        )
    module.load_state_dict(matching, strict=False)
