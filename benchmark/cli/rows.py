"""xaibench rows."""

import json
from pathlib import Path

import click

from ..leaderboard import to_records
from ..store import RunStore
from .options import FILE, FOLDER
from .output import deliver


@click.command("rows", epilog="Example:  xaibench rows runs/quick --format csv > rows.csv")
@click.argument("run", type=FOLDER)
@click.option("--timings", is_flag=True, help="Timed calls instead of scores.")
@click.option("--format", "output_format", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@click.option("--out", type=FILE, help="File to write.  [default: print]")
def rows_command(run: Path, timings: bool, output_format: str, out: Path | None) -> None:
    """Print the long table of RUN: a row per case and metric."""
    store = RunStore(run)
    frame = store.timing_frame() if timings else store.score_frame()
    text = frame.to_csv(index=False) if output_format == "csv" else json.dumps(to_records(frame), indent=1) + "\n"
    deliver(text, out)
