"""xaibench list."""

import inspect
from collections.abc import Iterable

import click

from ...datasets import DATASETS
from ...explainers import ARCHITECTURES, EXPLAINERS, builtin_checkpoints
from ..metrics import METRICS
from ..suite import builtin_suites, load_suite

_KINDS = ["explainers", "datasets", "metrics", "classifiers", "suites"]


@click.command("list", epilog="Example:  xaibench list explainers")
@click.argument("kind", type=click.Choice(_KINDS))
def list_command(kind: str) -> None:
    """List what there is by name, with one line each."""
    catalogs = {"explainers": EXPLAINERS, "datasets": DATASETS, "metrics": METRICS, "classifiers": ARCHITECTURES}
    if kind == "suites":
        lines = [(name, load_suite(name).description) for name in builtin_suites()]
    else:
        catalog = catalogs[kind]
        lines = [(name, _first_line(catalog.get(name))) for name in catalog]  # type: ignore[attr-defined]
    if kind == "classifiers":
        lines += [(f"builtin:{name}", "Weights that ship with the package.") for name in builtin_checkpoints()]
    _print_table(lines)


def _first_line(factory: object) -> str:
    return (inspect.getdoc(factory) or "").partition("\n")[0]


def _print_table(lines: Iterable[tuple[str, str]]) -> None:
    rows = list(lines)
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        click.echo(f"{name:<{width}}  {text}")
