"""xaibench datasets verify."""

import sys
from pathlib import Path
from typing import Any

import click

from ...datasets.verification import Verification, verify_dataset
from .datasets_options import dataset_options, make_dataset, splits_of


@click.command("verify", epilog="Example:  xaibench datasets verify ham10000 --root data/ham10000")
@dataset_options
@click.option("--limit", type=click.IntRange(min=1), help="Images per split at most.")
@click.option("--workers", type=click.IntRange(min=0), default=0, show_default=True, help="Processes that read images.")
def verify_command(
    name: str,
    root: Path | None,
    split: str | None,
    dataset_param: tuple[tuple[str, Any], ...],
    limit: int | None,
    workers: int,
) -> None:
    """Read every image of dataset NAME: counts, fingerprint, label balance, unreadable files, empty regions.

    Exit code 0 if all is well, 1 if there are problems, 2 if the dataset cannot be opened at all.
    """
    n_problems = 0
    for its_split in splits_of(name, split):
        dataset = make_dataset(name, root=root, split=its_split, dataset_param=dataset_param)
        found = verify_dataset(dataset, limit=limit, workers=workers)
        _report(found, title=name if its_split is None else f"{name}, {its_split}")
        n_problems += len(found.problems)
    if n_problems:
        click.echo(f"{n_problems} problems", err=True)
        sys.exit(1)
    click.echo("no problems")


def _report(found: Verification, *, title: str) -> None:
    info = found.info
    click.echo(
        f"{title}: {found.n_samples} images, {found.n_annotated} with a region ({info.mask_kind.value}), "
        f"{info.task.value}, {info.channels} channels, fingerprint {info.fingerprint}"
    )
    click.echo(f"  outputs: {', '.join(found.balance) or 'none could be read'}")
    for remark in found.remarks:
        click.echo(f"  remark: {remark}")
    for problem in found.problems:
        click.echo(f"  problem: {' '.join(problem.split())}")
