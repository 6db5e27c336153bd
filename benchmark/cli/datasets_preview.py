"""xaibench datasets preview."""

from pathlib import Path
from typing import Any

import click

from ..contact_sheet import contact_sheet
from ..figures import save_figure
from .datasets_options import dataset_options, make_dataset
from .options import FILE


@click.command("preview", epilog="Example:  xaibench datasets preview synthetic_radiographs --out sheet.png")
@dataset_options
@click.option("--out", type=FILE, required=True, help="Picture to write (.png, .pdf, .svg).")
@click.option("--images", type=click.IntRange(min=1, max=200), default=24, show_default=True, help="Images to draw.")
@click.option("--columns", type=click.IntRange(min=1, max=20), default=6, show_default=True)
def preview_command(
    name: str,
    root: Path | None,
    split: str | None,
    dataset_param: tuple[tuple[str, Any], ...],
    out: Path,
    images: int,
    columns: int,
) -> None:
    """Draw images of dataset NAME, spread evenly over it, with labels and outlined regions."""
    dataset = make_dataset(name, root=root, split=split, dataset_param=dataset_param)
    save_figure(contact_sheet(dataset, n_images=images, columns=columns), out)
    click.echo(f"{out}: {min(images, len(dataset))} of {len(dataset)} images")
