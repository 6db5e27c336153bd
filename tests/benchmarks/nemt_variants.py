"""What each part of NEMt's recipe is worth: the recipe with one thing changed, on images that no leaderboard shows.

Fits every variant on synthetic lesions and scores its maps on the validation split: concentration (relevance mass,
complexity, sparseness) beside what ranks alone decide (relevance rank accuracy, insertion minus deletion under three
fills), which the contrast of the map at use cannot move. Writes one CSV line per variant and contrast, and a picture of
concentration against faithfulness.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from xaibench.benchmark.figures import save_figure
from xaibench.benchmark.metrics import METRICS
from xaibench.benchmark.metrics.context import ScoringContext
from xaibench.benchmark.prepare import prepare
from xaibench.benchmark.runner import choose_device
from xaibench.datasets import Case, CaseBatch, SyntheticLesions, TargetRule, targets_of
from xaibench.explainers import EXPLAINERS, Classifier, load_classifier

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "default": ("nemt", {}),
    "seed 1": ("nemt", {"seed": 1}),
    "seed 2": ("nemt", {"seed": 2}),
    "three members": ("nemt", {"members": 3}),
    "three members of 133 steps": ("nemt", {"members": 3, "steps": 133}),
    "one temperature": ("nemt", {"score_temperatures": (1.0,)}),
    "ranking share 0": ("nemt", {"ranking_share": 0.0}),
    "ranking share 0.75": ("nemt", {"ranking_share": 0.75}),
    "ranking share 1": ("nemt", {"ranking_share": 1.0}),
    "no other image": ("nemt", {"removals": ("mean", "mean", "blur", "noise", "noise")}),
    "mean thrice, no other image": ("nemt", {"removals": ("mean", "mean", "mean", "blur", "noise", "noise")}),
    "mean colour only": ("nemt", {"removals": ("mean",)}),
    "no patterns": ("nemt", {"patterns": False}),
    "no leakage term": ("nemt", {"leakage_weight": 0.0}),
    "no detail": ("nemt", {"detail": False}),
    "no detail, soft levels": ("nemt", {"detail": False, "level_softness": 0.25}),
    "no smoothing": ("nemt", {"smoothing": "none"}),
    "random smoothing": ("nemt", {"smoothing": "random"}),
    "temperature to 5": ("nemt", {"temperatures": (1.0, 5.0)}),
    "prodigy": ("nemt", {"optimizer": "prodigy", "learning_rate": 1.0}),
    "nemt_published": ("nemt_published", {}),
    "nem_u": ("nem_u", {}),
    "gradcam": ("gradcam", {}),
    "guided_gradcam": ("guided_gradcam", {}),
    "occlusion": ("occlusion", {}),
    "saliency": ("saliency", {}),
}
CONTRASTS = (2.0, 6.0)
METRIC_IDS: dict[str, tuple[str, dict[str, Any]]] = {
    "relevance_mass_accuracy": ("relevance_mass_accuracy", {}),
    "relevance_rank_accuracy": ("relevance_rank_accuracy", {}),
    "complexity": ("complexity", {}),
    "sparseness": ("sparseness", {}),
    **{
        f"insertion_minus_deletion_{fill}": ("insertion_minus_deletion", {"fill": fill, "steps": 24})
        for fill in ("mean", "blur", "noise")
    },
    "other_target_mass": ("other_target_mass", {}),
}


def batches(task: str, classifier: Classifier, n_images: int) -> list[CaseBatch]:
    """Cases of the validation split, 16 at a time."""
    dataset = SyntheticLesions(task=task, split="val", n_images=n_images)  # type: ignore[arg-type]
    samples = [dataset[index] for index in range(n_images)]
    cases = [
        Case(sample=sample, target=target)
        for sample in samples
        for target in targets_of(sample, task=classifier.task, rule=TargetRule.LABEL)
    ]
    return [CaseBatch.of(cases[start : start + 16]) for start in range(0, len(cases), 16)]


def main() -> None:
    """Fit, score, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="multiclass", choices=["multiclass", "multilabel"])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=300, help="optimizer steps of every fit that names none")
    parser.add_argument("--images", type=int, default=48, help="validation images")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--out", type=Path, required=True, help="CSV to write; a .png of the same name beside it")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    classifier = load_classifier(f"builtin:lesions_{arguments.task}")[0].to(choose_device(arguments.device))
    train = SyntheticLesions(task=arguments.task, split="train", n_images=6000)
    cases = batches(arguments.task, classifier, arguments.images)
    metrics = {name: METRICS.create(kind, **params) for name, (kind, params) in METRIC_IDS.items()}
    lines: list[dict[str, Any]] = []
    for variant in arguments.variants:
        kind, params = VARIANTS[variant]
        steps = {"steps": arguments.steps} if EXPLAINERS.get(kind).needs_fit else {}  # type: ignore[attr-defined]
        explainer: Any = EXPLAINERS.create(kind, classifier, **{**steps, **params})
        if explainer.needs_fit:
            explainer.fit(train)
        for contrast in CONTRASTS if kind == "nemt" else (None,):
            if contrast is not None:
                explainer._network.contrast.fill_(contrast)
            lines.append(
                {
                    "variant": variant,
                    "contrast": contrast,
                    "fit_seconds": round((explainer.fit_record or {}).get("fit_seconds", 0.0)),
                    **{name: round(value, 4) for name, value in scored(explainer, cases, metrics, classifier).items()},
                }
            )
            print(lines[-1], flush=True)
            frame = pd.DataFrame(lines)
            frame.to_csv(arguments.out, index=False)
    draw(frame, arguments.out.with_suffix(".png"))


def scored(explainer: Any, cases: list[CaseBatch], metrics: dict[str, Any], classifier: Classifier) -> dict[str, float]:
    """Mean of every metric over the cases that have a score."""
    found: dict[str, list[torch.Tensor]] = {name: [] for name in metrics}
    for batch in cases:
        images, targets = batch.images.to(classifier.device), batch.targets.to(classifier.device)
        prepared = prepare(explainer.explain(images, targets).cpu(), chain="positive")
        context = ScoringContext(classifier=classifier)
        for name, metric in metrics.items():
            found[name].append(metric.score(prepared, batch, context=context))
    return {name: float(torch.cat(values).nanmean()) for name, values in found.items()}


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Concentration against faithfulness; a line joins the contrasts of one variant."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    fills = [name for name in frame if str(name).startswith("insertion_minus_deletion")]
    for index, (variant, group) in enumerate(frame.groupby("variant", sort=False)):
        faithfulness = group[fills].mean(axis=1)
        # There are ten colours.
        axes.plot(group["relevance_mass_accuracy"], faithfulness, marker="os^"[index // 10 % 3], label=variant)
    axes.set_xlabel("relevance mass accuracy")
    axes.set_ylabel("insertion minus deletion, mean of three fills")
    axes.legend(fontsize="small", ncols=2)
    save_figure(figure, path)


if __name__ == "__main__":
    main()
