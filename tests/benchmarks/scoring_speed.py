"""Milliseconds that scoring costs per case, beside Quantus' public call on the same maps in the same run.

Metrics that ask the classifier are measured on request, with the cost of insertion and deletion as a ratio to as many
plain forward passes in full batches.

python tests/benchmarks/scoring_speed.py --help
"""

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import quantus
import torch

from xaibench.benchmark.metrics import METRICS, ScoringContext
from xaibench.benchmark.prepare import prepare
from xaibench.datasets import Case, CaseBatch, Sample, Task
from xaibench.explainers import Classifier
from xaibench.explainers.classifiers.small_resnet import SmallResNet

CORE = ("relevance_mass_accuracy", "complexity", "sparseness")
QUANTUS = {
    "relevance_mass_accuracy": quantus.RelevanceMassAccuracy,
    "relevance_rank_accuracy": quantus.RelevanceRankAccuracy,
    "complexity": quantus.Complexity,
    "sparseness": quantus.Sparseness,
}


def median_ms_per_case(call: Callable[[], object], *, cases: int, repeats: int) -> float:
    """Median wall-clock milliseconds of a call, per case, after one call that warms up."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds) / cases


class Brightness(torch.nn.Module):
    """As many operations as a small network has, and an answer that falls when bright pixels become gray."""

    def __init__(self) -> None:
        super().__init__()
        self.network = SmallResNet(1, 3, width=32)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, 1)."""
        brightness: torch.Tensor = images.mean(dim=(1, 2, 3))[:, None]
        return 100 * brightness + 0 * self.network(images)


def scored_cases(count: int, side: int) -> CaseBatch:
    """Cases with a bright disc of a fifth of the image, the annotated region, on gray."""
    row = torch.arange(side) - side / 2
    disc = (row[:, None] ** 2 + row**2) < (0.25 * side) ** 2
    image = 0.5 + 0.4 * disc.expand(3, side, side)
    samples = [
        Sample(sample_id=str(index), image=image, outputs=torch.ones(1), gt_masks=disc[None]) for index in range(count)
    ]
    return CaseBatch.of([Case(sample=sample, target=0) for sample in samples])


def public_call(name: str, maps: np.ndarray, batch: CaseBatch) -> Callable[[], object]:
    """Quantus as its documentation calls it, with a model as small as can be."""
    metric = QUANTUS[name](abs=True, normalise=False, disable_warnings=True)
    images = batch.images.numpy()
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(images[0].size, 2)).eval()
    return lambda: metric(
        model=model,
        x_batch=images,
        y_batch=batch.targets.numpy(),
        a_batch=maps.copy(),
        s_batch=batch.gt_masks[:, None].numpy(),
        channel_first=True,
        batch_size=len(maps),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=224, help="side of a map in pixels (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="cases per call (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=20, help="timed calls; the median counts (default: %(default)s)")
    parser.add_argument("--chain", choices=["positive", "absolute"], default="positive", help="preparation chain")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: %(default)s)")
    parser.add_argument("--classifier", action="store_true", help="also metrics that ask a (small) classifier")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    raw = torch.randn(options.batch, options.size, options.size, generator=torch.Generator().manual_seed(0))
    batch = scored_cases(options.batch, options.size)
    prepared = prepare(raw, chain=options.chain)

    def timed(call: Callable[[], object]) -> float:
        return median_ms_per_case(call, cases=options.batch, repeats=options.repeats)

    preparation = timed(lambda: prepare(raw, chain=options.chain))
    lines = [
        f"{options.batch} maps of {options.size} x {options.size}, chain {options.chain}, {options.threads} thread(s)",
        f"{'ms per case':<26}{'ours':>8}{'Quantus call':>14}{'ratio':>8}",
        f"{'prepare':<26}{preparation:>8.3f}",
    ]
    core = preparation
    classifier = Classifier(
        Brightness(), task=Task.MULTILABEL, output_names=["finding"], image_size=options.size
    ).eval()
    for name in METRICS:
        metric = METRICS.create(name)
        if "explainer" in metric.needs or ("classifier" in metric.needs and not options.classifier):
            continue
        if (
            "classifier" in metric.needs
            and not metric.applicable(batch, context=ScoringContext(classifier=classifier)).all()
        ):
            raise SystemExit(f"{name} is not asked about every case")
        # A new context each time: nothing is shared between calls.
        ours = timed(
            lambda metric=metric: metric.score(prepared, batch, context=ScoringContext(classifier=classifier))  # type: ignore[misc]
        )
        core += ours if name in CORE else 0.0
        line = f"{name:<26}{ours:>8.3f}"
        if name in QUANTUS:
            theirs = timed(public_call(name, prepared.maps.numpy(), batch))
            line += f"{theirs:>14.3f}{theirs / ours:>7.1f}x"
        lines.append(line)
    if options.classifier:
        images = torch.rand(64, 3, options.size, options.size)
        with torch.no_grad():
            forward = median_ms_per_case(lambda: classifier.scores(images), cases=64, repeats=5)

        def all_three() -> None:
            context = ScoringContext(classifier=classifier)
            for name in ("insertion_auc", "deletion_auc", "insertion_minus_deletion"):
                METRICS.create(name).score(prepared, batch, context=context)

        cost = timed(all_three)
        lines.append(f"{'insertion and deletion':<26}{cost:>8.3f}   ({cost / forward:.1f} forward passes; budget: 130)")
    lines.append(f"{'prepare + 3 core metrics':<26}{core:>8.3f}   (budget: 3 ms at 224 px)")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
