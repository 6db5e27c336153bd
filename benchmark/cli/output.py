"""Where the text of a command goes."""

from pathlib import Path

import click

from ...explainers import write_atomically


def deliver(text: str, out: Path | None) -> None:
    """Print a text, or write it to a file, whole or not at all."""
    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomically(out, text.encode())
