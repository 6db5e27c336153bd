"""Entry point: the group of commands, and what becomes of errors."""

import importlib
import sys
from typing import Any

import click

from ... import __version__

# Commands import torch, Captum and Quantus, which takes seconds: each is imported when it is called, and its line of
# help stands here so that `xaibench --help` answers at once.
_COMMANDS = {
    "run": "Run a suite, or go on where it was stopped.",
    "leaderboard": "Summarize a run: means, intervals, ranks and costs.",
    "rows": "Print the long table of a run: a row per case and metric.",
    "gallery": "Draw cases of a run as every explainer sees them.",
    "explain": "Explain one image: the original beside an overlay.",
    "datasets": "Check data, and look at them.",
    "list": "List what there is by name.",
    "train-classifier": "Train or fine-tune a classifier on a dataset.",
    "fit": "Fit an explainer that learns, such as nemt.",
}


class _Commands(click.Group):
    """Loads commands when asked for; wrong input ends with one line and exit code 2, a defect keeps its traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of use, not of the alphabet."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in _COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f".{name}", __package__), f"{name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; see the class."""
        try:
            return super().invoke(ctx)
        except ValueError as error:
            # Imported here because it brings torch with it; whoever raised it has imported that already.
            from ...datasets import InputError

            if not isinstance(error, InputError):
                raise
            click.echo(f"Error: {' '.join(str(error).split())}", err=True)
            sys.exit(2)


@click.group(
    cls=_Commands,
    epilog="Start with:  xaibench run quick  &&  xaibench leaderboard runs/quick",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="xaibench")
def main() -> None:
    """Benchmark explanations of image classifiers."""
