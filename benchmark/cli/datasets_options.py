"""How the commands about data name a dataset."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ...datasets import DATASETS, Dataset
from .options import FOLDER, params_option

F = TypeVar("F", bound=Callable[..., Any])

_SPLITS = ("train", "val", "test")


def dataset_options(command: F) -> F:
    """Add the name, ``--root``, ``--split`` and parameters."""
    for option in (
        params_option("-d", "--dataset-param", what="dataset"),
        click.option("--split", type=click.Choice([*_SPLITS, "all"]), help="One split alone."),
        click.option("--root", type=FOLDER, help="Folder of the data, for datasets that read files."),
        click.argument("name"),
    ):
        command = option(command)
    return command


def make_dataset(
    name: str, *, root: Path | None, split: str | None, dataset_param: tuple[tuple[str, Any], ...]
) -> Dataset:
    """The dataset that a user named.

    Raises:
        InputError: For an unknown name or parameter, or data that cannot be used.
    """
    params = dict(dataset_param)
    if root is not None:
        params["root"] = str(root)
    if split is not None:
        params["split"] = split
    return DATASETS.create(name, **params)


def splits_of(name: str, split: str | None) -> tuple[str | None, ...]:
    """The splits to go through where none is named: all images at once, or one split after another.

    Raises:
        InputError: For an unknown name.
    """
    if split is not None:
        return (split,)
    parameter = DATASETS.params(name).get("split", inspect.Parameter("split", inspect.Parameter.KEYWORD_ONLY))
    if parameter.default is inspect.Parameter.empty:
        return (None,)
    return ("all",) if parameter.default == "all" else _SPLITS
