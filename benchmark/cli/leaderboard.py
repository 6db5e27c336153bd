"""xaibench leaderboard."""

from pathlib import Path

import click

from ..leaderboard import LeaderboardFormat, render_leaderboard
from ..store import RunStore
from ..summary import Stratification
from .options import FILE, FOLDER
from .output import deliver


@click.command("leaderboard", epilog="Example:  xaibench leaderboard runs/quick --format md --out leaderboard.md")
@click.argument("run", type=FOLDER)
@click.option("--format", "output_format", type=click.Choice(["md", "csv", "json"]), default="md", show_default=True)
@click.option("--by", type=click.Choice(["correct"]), help="Divide the cases by whether the prediction is correct.")
@click.option("--out", type=FILE, help="File to write.  [default: print]")
def leaderboard_command(
    run: Path, output_format: LeaderboardFormat, by: Stratification | None, out: Path | None
) -> None:
    """Summarize RUN: means, intervals, chance levels, ranks and costs."""
    store = RunStore(run)
    deliver(render_leaderboard(store, output_format=output_format, by=by), out)
    n_unfinished = len(store.unfinished())
    if n_unfinished:
        click.echo(f"The run is not finished: {n_unfinished} cells are missing. Run the suite again.", err=True)
