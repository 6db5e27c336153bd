"""What several commands take: devices, and parameters written as key=value."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

# Existence is checked by whoever reads, with an error that names the remedy.
FOLDER = click.Path(path_type=Path, file_okay=True)
FILE = click.Path(path_type=Path)
# What NumPy's generators take.
SEED = click.IntRange(min=0, max=2**32 - 1)


class KeyValue(click.ParamType[tuple[str, Any]]):
    """``key=value``, the value as in TOML (``3``, ``0.5``, ``true``, ``["a", "b"]``), or else text."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """Split and read; click reports a missing «=»."""
        if isinstance(value, tuple):
            return value
        key, separator, text = value.partition("=")
        if not separator or not key:
            self.fail(f"{value!r} is not key=value", param, ctx)
        try:
            return key, tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return key, text


def device_option(command: F) -> F:
    """Add ``--device``."""
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where to compute; auto takes a GPU where there is one.",
    )(command)


def threads_option(command: F) -> F:
    """Add ``--threads``."""
    return click.option(
        "--threads", type=click.IntRange(min=1), help="CPU threads of torch.  [default: as torch chooses]"
    )(command)


def params_option(*names: str, what: str) -> Callable[[F], F]:
    """Add a repeatable key=value option."""
    return click.option(*names, multiple=True, type=KeyValue(), help=f"Parameter of the {what}; repeatable.")
