"""xaibench explain."""

from pathlib import Path
from typing import Any

import click
import torch
from tqdm import tqdm

from ...datasets import InputError, closest_match
from ...datasets.folder_layout import find_images
from ...datasets.image_files import read_image
from ...explainers import EXPLAINERS, Classifier, Explainer, load_classifier
from ..figures import draw_explanation, save_figure
from ..prepare import prepare
from ..runner import DeviceChoice, choose_device
from .options import FILE, device_option, params_option


@click.command(
    "explain",
    epilog="Example:  xaibench explain photo.jpg --classifier builtin:lesions_multilabel --explainer nemt "
    "--weights builtin:lesions_multilabel_nemt --out heatmap.png",
)
@click.argument("image", type=FILE)
@click.option("--classifier", "classifier_file", required=True, help="Checkpoint, or builtin:NAME.")
@click.option("--explainer", required=True, help="See `xaibench list explainers`.")
@params_option("-p", "--param", what="explainer")
@click.option("--weights", help="What was fitted, for explainers that learn: a file, or builtin:NAME.")
@click.option("--target", help="Output to explain, by name or index.  [default: the highest score]")
@click.option("--out", type=FILE, required=True, help="Picture to write (.png), or folder for pictures.")
@device_option
def explain_command(
    image: Path,
    classifier_file: str,
    explainer: str,
    param: tuple[tuple[str, Any], ...],
    weights: str | None,
    target: str | None,
    out: Path,
    device: DeviceChoice,
) -> None:
    """Explain an IMAGE, or every image of a folder: the original beside an overlay of the explanation."""
    classifier = load_classifier(classifier_file)[0].to(choose_device(device))
    chosen = _make_explainer(explainer, classifier, weights, dict(param))
    if not image.is_dir():
        click.echo(_explained(image, chosen, explainer, target, out))
        return
    if out.suffix:
        raise InputError(f"--out is {out}, a file, and {image} is a folder of images; name a folder for the pictures")
    paths = find_images(image)
    for stem, path in tqdm(paths.items(), desc="explaining", unit="image"):
        _explained(path, chosen, explainer, target, out / f"{stem}.png")
    click.echo(f"{out}: {len(paths)} images explained by {explainer}")


def _explained(image: Path, explainer: Explainer, name: str, target: str | None, out: Path) -> str:
    """Draw one picture; returns what there is to say about it."""
    classifier = explainer.classifier
    pixels = read_image(image, image_size=classifier.image_size, channels=classifier.channels)
    batch = pixels[None].to(classifier.device)
    with torch.no_grad():
        scores = classifier.scores(batch)[0].cpu()
    index = int(scores.argmax()) if target is None else _target_index(target, classifier.output_names)
    raw = explainer.explain(batch, torch.tensor([index], device=classifier.device)).cpu()
    prepared = prepare(raw, chain="positive")
    output, score = classifier.output_names[index], float(scores[index])
    figure = draw_explanation(
        pixels, prepared.maps[0], title=f"{output} {score:.2f}", subtitle=f"{name}: what speaks for {output}"
    )
    save_figure(figure, out)
    empty = " The map is empty: nothing speaks for this output." if bool(prepared.degenerate[0]) else ""
    return f"{out}: {output} (score {score:.3f}) explained by {name}.{empty}"


def _make_explainer(name: str, classifier: Classifier, weights: str | None, params: dict[str, Any]) -> Explainer:
    factory: Any = EXPLAINERS.get(name)
    reason = factory.unsupported(classifier)
    if reason is not None:
        raise InputError(f"{name} cannot explain this classifier: {reason}")
    if factory.sees_gt_masks:
        raise InputError(f"{name} is a control that needs annotated regions; choose another explainer")
    if weights is not None:
        if params:
            raise InputError("--param and --weights exclude each other: the file holds the parameters")
        loaded: Explainer = factory.load(weights, classifier)
        return loaded
    if factory.needs_fit:
        raise InputError(f"{name} must be fitted first: run `xaibench fit {name} ...` and pass its file as --weights")
    return EXPLAINERS.create(name, classifier, **params)


def _target_index(target: str, names: tuple[str, ...]) -> int:
    if target in names:
        return names.index(target)
    if target.isdigit() and int(target) < len(names):
        return int(target)
    raise InputError(f"unknown target {target!r}; {closest_match(target, list(names))}, or an index below {len(names)}")
