"""An unfinished training on disk, so that a killed one goes on where it was."""

import json
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..artefact import OtherVersionError, load_artefact, save_artefact

_FORMAT, _VERSION = "xaibench unfinished decoder", 5


@dataclass(kw_only=True)
class Progress:
    """How far a training is, beside the tensors of network and optimizer.

    Attributes:
        step: Steps done.
        curve: One point per twentieth of the steps: mean loss and terms since the last, and the validation loss, which
            is None in the first half.
        best_loss: Lowest validation loss that counts; infinite before the first.
        best_step: When it was reached; 0 before.
        stale: Validations since.
        forward_passes: Passes of one image through the classifier. The way back to the image alone, without gradients
            of weights, counts as one.
        earlier_seconds: What calls that were killed had taken up to the step from which this one went on.
    """

    step: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)
    best_loss: float = inf
    best_step: int = 0
    stale: int = 0
    forward_passes: int = 0
    earlier_seconds: float = 0.0


def save_state(
    path: Path,
    *,
    identity: str,
    network: nn.Module,
    best: dict[str, Tensor],
    optimizer: Optimizer,
    schedule: LRScheduler,
    state: Progress,
) -> None:
    """Store an unfinished training; the file is replaced atomically.

    Args:
        path: File to write.
        identity: Whatever decides the training.
        network: As it is now.
        best: As it was at its best.
        optimizer: With its moments.
        schedule: With its place in the cycle.
        state: Everything else.

    Raises:
        InputError: If the file cannot be written.
    """
    moments = optimizer.state_dict()
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in moments["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            else:
                plain.setdefault(str(index), {})[name] = value
    description = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "identity": identity,
        "optimizer_groups": [_plain_part(group) for group in moments["param_groups"]],
        "optimizer_values": plain,
        "schedule": _plain_part(schedule.state_dict()),
        # JSON knows no infinity.
        "progress": {**asdict(state), "best_loss": None if state.best_loss == inf else state.best_loss},
    }
    save_artefact(path, tensors=tensors, description=description)


def load_state(
    path: Path, *, identity: str, network: nn.Module, optimizer: Optimizer, schedule: LRScheduler
) -> tuple[Progress, dict[str, Tensor]] | None:
    """Go on where an unfinished training was.

    Args:
        path: File that `save_state` wrote.
        identity: Whatever decides the training.
        network: Takes its tensors.
        optimizer: Takes its moments.
        schedule: Takes its place in the cycle.

    Returns:
        Progress and the best tensors; None if the file is of another training or version, and nothing was changed.

    Raises:
        InputError: If the file cannot be read.
    """
    try:
        tensors, description = load_artefact(path, wanted_format=_FORMAT, wanted_version=_VERSION)
    except OtherVersionError:
        return None
    if description["identity"] != identity:
        return None
    device = next(network.parameters()).device
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, rest = name.split(".", 1)
        parts[part][rest] = tensor
    network.load_state_dict(parts["network"])
    moments: dict[int, dict[str, Any]] = {
        int(index): dict(values) for index, values in description["optimizer_values"].items()
    }
    for name, tensor in parts["optimizer"].items():
        index, entry = name.split(".", 1)
        moments.setdefault(int(index), {})[entry] = tensor
    groups = [
        {**own, **stored}
        for own, stored in zip(optimizer.state_dict()["param_groups"], description["optimizer_groups"], strict=True)
    ]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    schedule.load_state_dict(description["schedule"])
    values = description["progress"]
    state = Progress(**{**values, "best_loss": inf if values["best_loss"] is None else values["best_loss"]})
    return state, {name: tensor.to(device) for name, tensor in parts["best"].items()}


def _plain_part(values: dict[str, Any]) -> dict[str, Any]:
    """What JSON can hold; the rest (an infinite bound, a function) is constant, and as it is made."""
    plain = {}
    for name, value in values.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            continue
        plain[name] = value
    return plain
