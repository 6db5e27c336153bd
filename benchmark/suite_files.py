"""Reading suites: built-in or from a file, every name and parameter checked before anything is computed."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..datasets import DATASETS, InputError, closest_match
from ..explainers import ARCHITECTURES, EXPLAINERS
from .metrics import METRICS
from .suite import ClassifierSpec, DatasetSpec, ExplainerSpec, MetricSpec, Suite, TrainSpec

_BUILTIN = Path(__file__).resolve().parent / "suites"


def builtin_suites() -> list[str]:
    """Names of the suites that ship with the package."""
    return sorted(path.stem for path in _BUILTIN.glob("*.toml"))


def load_suite(name_or_path: str) -> Suite:
    """Read a suite and check every name and parameter in it.

    Args:
        name_or_path: Name of a built-in suite, or a TOML file.

    Raises:
        InputError: For an unknown suite, a file that is no TOML, an unknown key or name, or a wrong value.
    """
    path = Path(name_or_path)
    if name_or_path in builtin_suites():
        path = _BUILTIN / f"{name_or_path}.toml"
    elif path.suffix != ".toml":
        raise InputError(
            f"unknown suite {name_or_path!r}; {closest_match(name_or_path, builtin_suites())}, or a .toml file"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read suite {path}: {error}; wanted a TOML file") from error
    return parse_suite(text, source=str(path))


def parse_suite(text: str, *, source: str) -> Suite:
    """Check the text of a suite.

    Args:
        text: TOML.
        source: Where it came from, for errors.

    Raises:
        InputError: As `load_suite`.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not valid TOML: {error}") from error
    try:
        suite = Suite.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{source}: {_first_problem(error)}") from error
    try:
        _check_references(suite)
        _check_plugins(suite)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    return suite


def _first_problem(error: ValidationError) -> str:
    # A misspelled key is also a missing one: what the user wrote comes first.
    first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        return f"unknown key {place!r}; {closest_match(key, _keys_at(first['loc'][:-1]))}"
    if first["type"] == "missing":
        return f"key {place!r} is missing"
    given = f" is {first['input']!r}" if not isinstance(first["input"], dict) else ""
    return f"{place}{given}: {first['msg'].removeprefix('Value error, ')}"


def _keys_at(place: tuple[int | str, ...]) -> list[str]:
    sections: dict[str, type[BaseModel]] = {
        "datasets": DatasetSpec,
        "classifiers": ClassifierSpec,
        "explainers": ExplainerSpec,
        "metrics": MetricSpec,
    }
    if not place:
        return list(Suite.model_fields)
    # A dataset may be called «train» too.
    is_training = place[0] == "classifiers" and len(place) > 2
    return list((TrainSpec if is_training else sections[str(place[0])]).model_fields)


def _check_references(suite: Suite) -> None:
    def check(kind: str, name: str, known: list[str]) -> None:
        if name not in known:
            raise InputError(f"{kind} is {name!r}, which the suite does not define; {closest_match(name, known)}")

    datasets, classifiers = list(suite.datasets), list(suite.classifiers)
    for name in suite.evaluated:
        check("evaluate", name, datasets)
        if not suite.classifiers_for(name):
            raise InputError(f"no classifier explains dataset {name!r}; add it to a classifier's datasets")
    for key, classifier in suite.classifiers.items():
        for name in classifier.datasets or ():
            check(f"classifiers.{key}.datasets", name, datasets)
        if classifier.train is not None:
            check(f"classifiers.{key}.train.dataset", classifier.train.dataset, datasets)
            check(f"classifiers.{key}.train.validation", classifier.train.validation, datasets)
    for key, explainer in suite.explainers.items():
        for name, dataset in explainer.fit_on.items():
            check(f"explainers.{key}.fit_on", name, classifiers)
            check(f"explainers.{key}.fit_on.{name}", dataset, datasets)
        for name in explainer.weights:
            check(f"explainers.{key}.weights", name, classifiers)


def _check_plugins(suite: Suite) -> None:
    for key, metric in suite.metrics.items():
        METRICS.create(metric.type or key, **metric.params)
    for dataset in suite.datasets.values():
        DATASETS.checked_params(dataset.type, dataset.params)
    for classifier in suite.classifiers.values():
        if classifier.type is not None:
            ARCHITECTURES.checked_params(classifier.type, classifier.params)
    for key, explainer in suite.explainers.items():
        EXPLAINERS.checked_params(explainer.type or key, explainer.params)
        factory: Any = EXPLAINERS.get(explainer.type or key)
        unfitted = [name for name in suite.classifiers if name not in {**explainer.fit_on, **explainer.weights}]
        if factory.needs_fit and unfitted:
            raise InputError(
                f"explainer {key!r} must be fitted; give explainers.{key}.fit_on.{unfitted[0]} a dataset of the suite, "
                f"or explainers.{key}.weights.{unfitted[0]} a file"
            )
        if "seed" in explainer.params:
            raise InputError(f"explainers.{key}.params has a seed; seeds come from the suite's seed and the name")
