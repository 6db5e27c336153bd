"""Cases to score: random images and regions, a classifier of a thousand operations, and the context they make."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from xaibench.benchmark.metrics import ScoringContext
from xaibench.benchmark.metrics.answer_metric import LEAST_FALL
from xaibench.benchmark.metrics.answers import filled_case
from xaibench.datasets import Case, CaseBatch, Sample, Task
from xaibench.explainers import EXPLAINERS, Classifier
from xaibench.explainers.fills import FillName

N_OUTPUTS = 3


def cases_with(gt_masks: Tensor, *, seed: int = 0, channels: int = 3) -> CaseBatch:
    """Random images whose first output has these regions, bool (B, H, W); a case with an empty mask has none."""
    generator = torch.Generator().manual_seed(seed ^ 0x5EED)  # not the stream of the regions
    samples = []
    for index, mask in enumerate(gt_masks):
        image = torch.rand(channels, *mask.shape, generator=generator)
        others = torch.rand(N_OUTPUTS - 1, *mask.shape, generator=generator) < 0.3
        others[:, -1, -1] = True
        samples.append(
            Sample(
                sample_id=f"case-{seed}-{index}",
                image=image,
                outputs=torch.ones(N_OUTPUTS),
                gt_masks=torch.cat([mask[None], others]),
            )
        )
    return CaseBatch.of([Case(sample=sample, target=0) for sample in samples])


def random_batch(count: int, *, seed: int = 0, side: int = 8) -> tuple[Tensor, CaseBatch]:
    """Signed maps, and cases with regions of at least one pixel."""
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(count, side, side, generator=generator)
    gt_masks = torch.rand(count, side, side, generator=generator) < 0.3
    gt_masks[:, 0, 0] = True
    gt_masks[:, -1, -1] = False
    return raw, cases_with(gt_masks, seed=seed)


def falling_batch(
    count: int, *, classifier: Classifier, fills: Sequence[FillName] = ("mean",), seed: int = 0, side: int = 8
) -> tuple[Tensor, CaseBatch]:
    """The first cases of a random batch about which metrics can ask under every one of the fills."""
    raw, batch = random_batch(64 * count, seed=seed, side=side)

    def falls(case: Case, fill: FillName) -> bool:
        ends = torch.stack([case.sample.image, filled_case(case, fill=fill, classifier=classifier)])
        with torch.no_grad():
            full, empty = classifier.scores(ends)[:, case.target].tolist()
        return bool(full - empty > LEAST_FALL)

    found = [index for index, case in enumerate(batch.cases) if all(falls(case, fill) for fill in fills)][:count]
    assert len(found) == count, "too few cases fall"
    return raw[found], CaseBatch.of([batch.cases[index] for index in found])


def tiny_classifier(
    *, task: Task = Task.MULTILABEL, channels: int = 3, seed: int = 0, smooth: bool = False
) -> Classifier:
    """A convolution, a mean and a linear layer, steep enough for scores to spread over (0, 1).

    Where ``smooth``, a softplus takes the place of the ReLU, at whose kink the last digit of a sum decides a gradient.
    """
    generator = torch.Generator().manual_seed(seed)
    convolution, head = nn.Conv2d(channels, 4, 3, padding=1), nn.Linear(4, N_OUTPUTS)
    activation = nn.Softplus() if smooth else nn.ReLU()
    module = nn.Sequential(convolution, activation, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        head.weight.mul_(2)
    return Classifier(module, task=task, output_names=["a", "b", "c"], channels=channels, image_size=8)


def scoring_context(
    raw: Tensor,
    *,
    explainer: str = "saliency",
    task: Task = Task.MULTILABEL,
    channels: int = 3,
    smooth: bool = False,
) -> ScoringContext:
    """The context of raw maps, with the tiny classifier and an explainer of the catalog."""
    classifier = tiny_classifier(task=task, channels=channels, smooth=smooth)
    return ScoringContext(
        classifier=classifier, explainer=EXPLAINERS.create(explainer, classifier), chain="positive", attribution=raw
    )
