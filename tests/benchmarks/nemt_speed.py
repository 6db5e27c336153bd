"""How much more than a prediction does a prediction with its explanation cost, and what do rivals cost?

Prints, per network, the ratio of NEMt's one pass (scores and map) to the classifier's plain forward pass, measured
alternately in one run, so that a noisy machine disturbs both alike; then rivals on the same images, per image, as
multiples of NEMt's whole pass and of what the explanation adds to the prediction.
"""

import argparse
from statistics import median
from typing import Any

import click
import torch
from torch import Tensor

from xaibench.benchmark.cli.options import KeyValue
from xaibench.benchmark.clock import device_name, timed
from xaibench.benchmark.cpu import prepare_cpu
from xaibench.benchmark.runner import choose_device
from xaibench.datasets import SyntheticLesions, Task
from xaibench.explainers import EXPLAINERS, Architecture, Classifier, NemtExplainer

RIVALS: dict[str, tuple[str, dict[str, Any]]] = {
    "integrated_gradients": ("integrated_gradients", {"steps": 50}),
    "extremal_perturbation": ("extremal_perturbation", {}),
    # The one area and the contrast of the comparison in NEMt's paper, and ten times the steps that our default needs.
    "extremal_perturbation_800": (
        "extremal_perturbation",
        {"areas": (0.05,), "variant": "contrastive", "steps": 800},
    ),
}


def measure(model: str, arguments: argparse.Namespace, device: torch.device) -> None:
    """Print the lines of one network."""
    network = Architecture(type="timm", params={"model": model}).build(7, 3)
    classifier = Classifier(
        network.module,
        task=Task.MULTICLASS,
        output_names=[f"output{k}" for k in range(7)],
        mean=network.mean,
        std=network.std,
        image_size=arguments.size,
    ).to(device)
    explainer = NemtExplainer(classifier, steps=1, batch_size=2, **dict(arguments.param))
    explainer.fit(SyntheticLesions(split="train", n_images=2, image_size=arguments.size))
    images = torch.rand(arguments.batch, 3, arguments.size, arguments.size, device=device)

    def predict() -> Tensor:
        with torch.no_grad():
            return classifier.scores(images)

    pairs = []
    for _ in range(arguments.repeats + 2):
        plain = timed(predict, device=device)
        both = timed(lambda: explainer.explain_with_scores(images), device=device)
        if not torch.equal(plain.result, both.result[1]):
            raise SystemExit("the prediction differs")
        pairs.append((plain.seconds, both.seconds))
    pairs = pairs[2:]  # the first ones warm up
    forward, whole = (median(seconds) / arguments.batch for seconds in zip(*pairs, strict=True))
    ratio = median(both / plain for plain, both in pairs)
    parameters = (explainer.fit_record or {})["parameters"]
    print(
        f"{model}: forward {1000 * forward:.1f} ms an image, prediction and map {1000 * whole:.1f} ms, "
        f"ratio {ratio:.3f}; decoder of {parameters / 1e6:.2f} M parameters"
    )
    some = images[: arguments.rival_images]
    targets = torch.zeros(len(some), dtype=torch.int64, device=device)
    for name in arguments.rivals:
        kind, params = RIVALS[name]
        rival = EXPLAINERS.create(kind, classifier, **params)
        if device.type == "cuda":
            rival.explain(some, targets)  # at first kernels are loaded and chosen, which can take longer than the rest
        seconds = timed(lambda: rival.explain(some, targets), device=device).seconds / len(some)  # noqa: B023
        added = max(ratio - 1, 1e-3) * forward
        print(
            f"  {kind} {params or ''}: {1000 * seconds:.0f} ms an image, {seconds / whole:.0f} x the whole pass, "
            f"{seconds / added:.0f} x what the map adds to the prediction"
        )


def setting(text: str) -> tuple[str, Any]:
    """One setting of NEMt, as `xaibench fit` reads it."""
    try:
        return KeyValue().convert(text, None, None)
    except click.UsageError as error:
        raise argparse.ArgumentTypeError(error.message) from error


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["tf_efficientnet_lite0", "resnet50"], help="timm models")
    parser.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        type=setting,
        help="setting of NEMt, key=value as in `xaibench fit nemt`; repeatable",
    )
    parser.add_argument("--rivals", nargs="*", default=[], choices=list(RIVALS), help="rivals to time as well")
    parser.add_argument("--rival-images", type=int, default=1, help="images that rivals explain")
    parser.add_argument("--size", type=int, default=224, help="image side in pixels")
    parser.add_argument("--batch", type=int, default=16, help="images per call")
    parser.add_argument("--repeats", type=int, default=15, help="timed pairs")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    arguments = parser.parse_args()
    prepare_cpu(threads=arguments.threads)
    device = choose_device(arguments.device)
    print(f"{device_name(device)}, {arguments.threads} threads, batch {arguments.batch}, {arguments.size} px")
    for model in arguments.models:
        measure(model, arguments, device)


if __name__ == "__main__":
    main()
