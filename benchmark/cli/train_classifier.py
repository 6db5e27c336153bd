"""xaibench train-classifier."""

from pathlib import Path
from typing import Any, get_args

import click

from ...datasets import DATASETS
from ...explainers import (
    Architecture,
    AugmentName,
    ClassifierTraining,
    save_classifier,
    train_classifier,
    write_atomically,
)
from ..cpu import prepare_cpu
from ..runner import DeviceChoice, choose_device
from .options import FILE, SEED, device_option, params_option, threads_option


@click.command(
    "train-classifier",
    epilog="Example:  xaibench train-classifier --dataset synthetic_lesions -d task=multilabel -d n_images=6000 "
    "--architecture small_resnet --epochs 6 --out classifier.safetensors",
)
@click.option(
    "--dataset", required=True, help="Name of a dataset with splits train and val; see `xaibench list datasets`."
)
@params_option("-d", "--dataset-param", what="dataset, both splits")
@params_option("-v", "--validation-param", what="validation split alone")
@click.option("--architecture", default="small_resnet", show_default=True, help="See `xaibench list classifiers`.")
@params_option("-a", "--architecture-param", what="architecture")
@click.option("--out", type=FILE, required=True, help="Checkpoint to write (.safetensors).")
@click.option("--epochs", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True)
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), default=1e-3, show_default=True)
@click.option("--weight-decay", type=click.FloatRange(min=0), default=0.01, show_default=True)
@click.option("--augment", type=click.Choice(get_args(AugmentName)), default="flips", show_default=True)
@click.option(
    "--removed-share",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of the images from which a part is removed.",
)
@click.option("--class-weights/--no-class-weights", default=True, show_default=True)
@click.option("--workers", type=click.IntRange(min=0), default=0, show_default=True, help="Processes that load images.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@device_option
@threads_option
def train_classifier_command(
    dataset: str,
    dataset_param: tuple[tuple[str, Any], ...],
    validation_param: tuple[tuple[str, Any], ...],
    architecture: str,
    architecture_param: tuple[tuple[str, Any], ...],
    out: Path,
    device: DeviceChoice,
    threads: int | None,
    **settings: Any,
) -> None:
    """Train or fine-tune a classifier and store the epoch that validates best, with its accuracy."""
    prepare_cpu(threads=threads)
    chosen_device = choose_device(device)
    # A folder that cannot be written is better found before the training than after.
    write_atomically(out.with_name(f".{out.name}.writable"), b"")
    out.with_name(f".{out.name}.writable").unlink()
    spec = Architecture(type=architecture, params=dict(architecture_param))
    shared = dict(dataset_param)
    classifier, record = train_classifier(
        spec,
        train=DATASETS.create(dataset, **{**shared, "split": "train"}),
        validation=DATASETS.create(dataset, **{**shared, **dict(validation_param), "split": "val"}),
        settings=ClassifierTraining(**settings),
        device=chosen_device,
        progress=True,
    )
    save_classifier(out, classifier, architecture=spec, training=record)
    best = record["validation"]
    shown = ", ".join(f"{key} {value:.3f}" for key, value in best.items() if isinstance(value, float))
    click.echo(f"{out}: {shown} on {best['n_samples']} validation samples, {record['train_seconds']:.0f} s")
