"""Classifiers on disk."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from ...datasets import InputError, Task
from ..artefact import load_artefact, save_artefact
from .architectures import ARCHITECTURES
from .classifier import Classifier
from .network import Network

CHECKPOINT_FORMAT = "xaibench classifier"
CHECKPOINT_VERSION = 1
_WEIGHTS = Path(__file__).resolve().parent.parent / "weights"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How to build a network, as written in suites and checkpoints.

    Attributes:
        type: Name in the catalog of architectures.
        params: Parameters of that catalog entry.
    """

    type: str
    params: dict[str, Any] = field(default_factory=dict)

    def build(self, n_outputs: int, channels: int) -> Network:
        """Make the network with initial (or pretrained) weights.

        Raises:
            InputError: For an unknown type or unusable parameters.
        """
        return ARCHITECTURES.create(self.type, n_outputs, channels, **self.params)

    def without_weights(self) -> "Architecture":
        """The same without pretrained weights: for a checkpoint how its network was initialized is history."""
        params = {key: value for key, value in self.params.items() if key != "pretrained"}
        return Architecture(type=self.type, params=params)


def checkpoint_path(name_or_path: str | Path) -> Path:
    """Where a checkpoint lies: ``builtin:NAME`` is one that ships with the package, anything else is a path.

    Raises:
        InputError: For an unknown builtin name.
    """
    text = str(name_or_path)
    if not text.startswith("builtin:"):
        return Path(name_or_path)
    path = _WEIGHTS / f"{text.removeprefix('builtin:')}.safetensors"
    if not path.is_file():
        known = ", ".join(f"builtin:{name}" for name in builtin_checkpoints())
        raise InputError(f"no checkpoint {text!r} in the package; known: {known}")
    return path


def builtin_checkpoints() -> list[str]:
    """Names of the checkpoints that ship with the package, sorted."""
    return sorted(path.stem for path in _WEIGHTS.glob("*.safetensors"))


def save_classifier(
    path: str | Path, classifier: Classifier, *, architecture: Architecture, training: dict[str, Any]
) -> None:
    """Store a classifier.

    Args:
        path: Target file.
        classifier: What to store.
        architecture: How its module is built.
        training: What is known of its training: data, settings, curve, performance.
    """
    description = {
        "format": CHECKPOINT_FORMAT,
        "format_version": CHECKPOINT_VERSION,
        "architecture": {"type": architecture.type, "params": architecture.without_weights().params},
        "task": classifier.task.value,
        "output_names": list(classifier.output_names),
        "channels": classifier.channels,
        "image_size": classifier.image_size,
        "mean": classifier.mean.flatten().tolist(),
        "std": classifier.std.flatten().tolist(),
        "training": training,
    }
    save_artefact(path, tensors=classifier.module.state_dict(), description=description)


def load_classifier(path: str | Path, *, architecture: Architecture | None = None) -> tuple[Classifier, dict[str, Any]]:
    """Read a classifier.

    Args:
        path: File written by `save_classifier`, or ``builtin:NAME``.
        architecture: How to build the module, where the file must not decide that: a file may name any architecture of
            ours, but never code to import.

    Returns:
        The classifier, and the description stored with it.

    Raises:
        InputError: If the file cannot be read, or holds tensors that do not fit.
    """
    file = checkpoint_path(path)
    tensors, description = load_artefact(file, wanted_format=CHECKPOINT_FORMAT, wanted_version=CHECKPOINT_VERSION)
    stored = Architecture(**description["architecture"])
    if architecture is None and stored.type == "module":
        raise InputError(
            f"{file} was trained on code of your own; "
            f"name it again: type = 'module', params.path = {stored.params.get('path')!r}"
        )
    chosen = (architecture or stored).without_weights()
    names = description["output_names"]
    network = chosen.build(len(names), description["channels"])
    _load_strictly(network.module, tensors, file=file)
    classifier = Classifier(
        network.module,
        task=Task(description["task"]),
        output_names=names,
        mean=description["mean"],
        std=description["std"],
        channels=description["channels"],
        image_size=description["image_size"],
        feature_layers=network.feature_layers,
    )
    return classifier, description


def _load_strictly(module: nn.Module, tensors: dict[str, Any], *, file: Path) -> None:
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{file} does not fit {type(module).__name__}: {reason}") from error
