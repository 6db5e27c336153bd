"""xaibench gallery."""

from pathlib import Path

import click

from ..figures import save_figure
from ..gallery import gallery_of_run
from ..runner import DeviceChoice, choose_device
from ..store import RunStore
from .options import FILE, FOLDER, device_option


@click.command("gallery", epilog="Example:  xaibench gallery runs/quick --out gallery.png")
@click.argument("run", type=FOLDER)
@click.option("--out", type=FILE, required=True, help="Picture to write (.png, .pdf, .svg).")
@click.option("--dataset", help="Id of a dataset of the suite.  [default: the first]")
@click.option("--cases", type=click.IntRange(min=1, max=24), default=5, show_default=True, help="Cases to draw.")
@click.option("--data", "data_dir", type=FOLDER, default="data", show_default=True, help="Folder that holds the data.")
@device_option
def gallery_command(
    run: Path, out: Path, dataset: str | None, cases: int, data_dir: Path, device: DeviceChoice
) -> None:
    """Draw the first cases of RUN: a column per explainer, annotated regions outlined."""
    figure = gallery_of_run(
        RunStore(run), dataset=dataset, n_cases=cases, data_dir=data_dir, device=choose_device(device)
    )
    save_figure(figure, out)
    click.echo(f"{out}: the first {cases} cases")
