"""xaibench datasets: the group of commands about data."""

import click

from .datasets_preview import preview_command
from .datasets_verify import verify_command


@click.group(
    "datasets",
    epilog="Example:  xaibench datasets verify ham10000 --root data/ham10000",
)
def datasets_command() -> None:
    """Check and look at data before anything is computed on them."""


datasets_command.add_command(verify_command)
datasets_command.add_command(preview_command)
