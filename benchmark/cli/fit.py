"""xaibench fit."""

from pathlib import Path
from typing import Any

import click

from ...datasets import DATASETS, InputError
from ...explainers import EXPLAINERS, load_classifier, write_atomically
from ..cpu import prepare_cpu
from ..runner import DeviceChoice, choose_device
from .options import FILE, SEED, device_option, params_option, threads_option


@click.command(
    "fit",
    epilog="Example:  xaibench fit nemt --classifier classifier.safetensors --dataset synthetic_lesions "
    "-d task=multilabel -d n_images=4000 --out nemt.safetensors",
)
@click.argument("explainer")
@params_option("-p", "--param", what="explainer")
@click.option("--classifier", "classifier_file", required=True, help="Checkpoint, or builtin:NAME.")
@click.option("--dataset", required=True, help="Name of a dataset with a split train; see `xaibench list datasets`.")
@params_option("-d", "--dataset-param", what="dataset")
@click.option("--out", type=FILE, required=True, help="File to write (.safetensors).")
@click.option("--seed", type=SEED, default=0, show_default=True)
@device_option
@threads_option
def fit_command(
    explainer: str,
    param: tuple[tuple[str, Any], ...],
    classifier_file: str,
    dataset: str,
    dataset_param: tuple[tuple[str, Any], ...],
    out: Path,
    seed: int,
    device: DeviceChoice,
    threads: int | None,
) -> None:
    """Fit an EXPLAINER that learns, such as nemt, on a classifier and images; labels and masks are not read."""
    prepare_cpu(threads=threads)
    chosen_device = choose_device(device)
    write_atomically(out.with_name(f".{out.name}.writable"), b"")
    out.with_name(f".{out.name}.writable").unlink()
    classifier = load_classifier(classifier_file)[0].to(chosen_device)
    params = dict(param)
    if "seed" in params:
        raise InputError("parameter seed is given by -p; wanted --seed")
    chosen = EXPLAINERS.create(explainer, classifier, **params, seed=seed)
    if not chosen.needs_fit:
        raise InputError(
            f"{explainer} has nothing to fit; use it as it is: xaibench explain IMAGE --explainer {explainer}"
        )
    data = DATASETS.create(dataset, **{"split": "train", **dict(dataset_param)})
    # The same command goes on where a killed one was.
    chosen.fit(data, checkpoint=out.with_name(f"{out.name}.unfinished"), progress=True)
    chosen.save(out)
    record = chosen.fit_record or {}
    click.echo(f"{out}: fitted in {record.get('fit_seconds', 0.0):.0f} s")
