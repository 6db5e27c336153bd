"""What decides an explainer's maps and a classifier's answers, as plain data: of this the ids of cells are made."""

from hashlib import blake2b
from typing import Any, cast

from ..explainers import ARCHITECTURES, EXPLAINERS, Explainer, FittedExplainer, checkpoint_path
from .suite import ClassifierSpec, Params


def classifier_identity(spec: ClassifierSpec, *, weights: str) -> dict[str, Any]:
    """Identity of a classifier.

    Args:
        spec: Of the suite.
        weights: Fingerprint of the module's tensors.
    """
    identity: dict[str, Any] = {"fingerprint": weights, "params": _plain(spec.params)}
    if spec.type is not None:
        identity |= {"type": spec.type, **ARCHITECTURES.origin(spec.type)}
    if spec.checkpoint is not None:
        identity["file"] = _file_hash(spec.checkpoint)
    return identity


def explainer_identity(kind: str, given: Params, *, seed: int, weights: str | None, data: str | None) -> dict[str, Any]:
    """Identity of an explainer.

    Args:
        kind: Name in the catalog.
        given: Parameters of the suite; defaults of the others are part of the identity.
        seed: Its seed.
        weights: File that it is loaded from, or None.
        data: Fingerprint of the data that it is fitted on, or None.
    """
    params = {key: parameter.default for key, parameter in EXPLAINERS.params(kind).items() if key != "seed"}
    identity: dict[str, Any] = {
        "type": kind,
        "params": _plain({**params, **EXPLAINERS.checked_params(kind, given)}),
        "seed": seed,
        **EXPLAINERS.origin(kind),
    }
    if weights is not None:
        identity["weights"] = _file_hash(weights)
    elif data is not None:
        identity["fit_on"] = data
        fitted = cast(type[Explainer], EXPLAINERS.get(kind))
        if issubclass(fitted, FittedExplainer):
            # What earlier code fitted is another explainer, and its file cannot be read.
            identity["format_version"] = fitted.format_version
    return identity


def _file_hash(name: str) -> str:
    return blake2b(checkpoint_path(name).read_bytes()).hexdigest()


def _plain(value: Any) -> Any:
    """Parameters as JSON can hold them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
