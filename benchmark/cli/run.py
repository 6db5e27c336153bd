"""xaibench run."""

import sys
from pathlib import Path

import click

from ..census import census_line
from ..cpu import prepare_cpu
from ..runner import DeviceChoice, run_suite
from ..store import RunStore
from ..suite_files import load_suite
from .options import FOLDER, SEED, device_option, threads_option


@click.command("run", epilog="Example:  xaibench run quick --out runs/quick")
@click.argument("suite")
@click.option("--out", "run_dir", type=FOLDER, help="Folder of the run.  [default: runs/NAME]")
@click.option("--data", "data_dir", type=FOLDER, default="data", show_default=True, help="Folder that holds the data.")
@device_option
@threads_option
@click.option("--seed", type=SEED, help="Base seed, in place of the suite's.")
@click.option("--limit", type=click.IntRange(min=1), help="Samples per dataset at most.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def run_command(
    suite: str,
    run_dir: Path | None,
    data_dir: Path,
    device: DeviceChoice,
    threads: int | None,
    seed: int | None,
    limit: int | None,
    quiet: bool,
) -> None:
    """Run SUITE, the name of a built-in suite or a TOML file, or go on where it was stopped.

    Exit code 1 if an explainer failed; the rest of the run is complete then, and running again retries.
    """
    chosen = load_suite(suite)
    if seed is not None:
        chosen = chosen.model_copy(update={"seed": seed})
    prepare_cpu(threads=threads)
    run_dir = run_dir or Path("runs") / chosen.name
    outcome = run_suite(chosen, run_dir=run_dir, data_dir=data_dir, device=device, limit=limit, progress=not quiet)
    kept = outcome.n_cells - outcome.n_computed
    click.echo(
        f"{outcome.n_cells} cells in {run_dir} ({kept} were there). Next: xaibench leaderboard {run_dir} --format md"
    )
    click.echo(census_line(RunStore(run_dir)))
    for cell, failure in outcome.failures.items():
        reason = failure.strip().splitlines()[-1]
        click.echo(f"failed: {cell.explainer} on {cell.dataset} {cell.start}-{cell.stop}: {reason}", err=True)
    if outcome.failures:
        click.echo(f"tracebacks: {run_dir}/cells/*.failed.json", err=True)
        sys.exit(1)
