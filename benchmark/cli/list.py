"""xaibench list."""

import inspect
from collections.abc import Iterable
from pathlib import Path

import click

from ...datasets import DATASETS, InputError
from ...explainers import ARCHITECTURES, EXPLAINERS, builtin_checkpoints
from ..catalog_tables import metrics_table
from ..metrics import METRICS
from ..suite_files import builtin_suites, load_suite
from .options import FILE
from .output import deliver

_PAGES = {"metrics": metrics_table}
_KINDS = ["explainers", "datasets", "metrics", "classifiers", "suites"]


@click.command("list", epilog="Example:  xaibench list explainers")
@click.argument("kind", type=click.Choice(_KINDS))
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "md"]),
    default="text",
    show_default=True,
    help="md: a page for the documentation, of metrics.",
)
@click.option("--out", type=FILE, help="File to write.  [default: print]")
def list_command(kind: str, output_format: str, out: Path | None) -> None:
    """List what there is by name, with one line each."""
    if output_format == "md":
        if kind not in _PAGES:
            raise InputError(f"there is no page of {kind}; wanted one of {', '.join(_PAGES)}, or --format text")
        deliver(_PAGES[kind](), out)
        return
    catalogs = {"explainers": EXPLAINERS, "datasets": DATASETS, "metrics": METRICS, "classifiers": ARCHITECTURES}
    if kind == "suites":
        lines = [(name, load_suite(name).description) for name in builtin_suites()]
    else:
        catalog = catalogs[kind]
        lines = [(name, _first_line(catalog.get(name))) for name in catalog]  # type: ignore[attr-defined]
    if kind == "classifiers":
        lines += [(f"builtin:{name}", "Weights that ship with the package.") for name in builtin_checkpoints()]
    deliver(_table(lines), out)


def _first_line(factory: object) -> str:
    return (inspect.getdoc(factory) or "").partition("\n")[0]


def _table(lines: Iterable[tuple[str, str]]) -> str:
    rows = list(lines)
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:<{width}}  {text}\n" for name, text in rows)
