"""Weights that ship: they load, belong together, and the documented commands make them again."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from xaibench.benchmark.cli import main
from xaibench.benchmark.metrics import METRICS
from xaibench.benchmark.prepare import prepare
from xaibench.datasets import Case, CaseBatch, SyntheticLesions, TargetRule, targets_of
from xaibench.explainers import Classifier, NemtExplainer, evaluate_classifier, load_classifier

ROOT = Path(__file__).resolve().parent.parent
TASKS = ("multiclass", "multilabel")


def lesions(task: str, *, n_images: int) -> SyntheticLesions:
    return SyntheticLesions(task=task, split="test", n_images=n_images)  # type: ignore[arg-type]


def relevance_mass(explainer: NemtExplainer, classifier: Classifier, dataset: SyntheticLesions) -> float:
    samples = [dataset[index] for index in range(len(dataset))]
    cases = [
        Case(sample=sample, target=target)
        for sample in samples
        for target in targets_of(sample, task=classifier.task, rule=TargetRule.LABEL)
    ]
    batch = CaseBatch.of(cases)
    prepared = prepare(explainer.explain(batch.images, batch.targets), chain="positive")
    return float(METRICS.create("relevance_mass_accuracy").score(prepared, batch).nanmean())


@pytest.mark.parametrize("task", TASKS)
def test_shipped_weights_belong_together_and_work(task: str) -> None:
    classifier, description = load_classifier(f"builtin:lesions_{task}")
    assert description["training"]["dataset"] == "synthetic_lesions"
    dataset = lesions(task, n_images=32)
    performance = evaluate_classifier(classifier, dataset)
    assert performance.balanced_accuracy is not None
    assert performance.balanced_accuracy > 0.9
    explainer = NemtExplainer.load(f"builtin:lesions_{task}_nemt", classifier)
    uniform = float(torch.stack([dataset[index].gt_masks.any(dim=0).float().mean() for index in range(32)]).mean())
    assert relevance_mass(explainer, classifier, dataset) > 3 * uniform


@pytest.mark.slow  # trains two networks: about fifteen minutes
@pytest.mark.parametrize("task", TASKS)
def test_the_documented_commands_make_the_weights_again(task: str, tmp_path: Path) -> None:
    text = (ROOT / "explainers" / "weights" / "README.md").read_text().replace("\\\n", " ").replace("TASK", task)
    commands = re.findall(r"^xaibench (.*)$", text, flags=re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        files = [str(tmp_path / word) if word.endswith(".safetensors") else word for word in shlex.split(command)]
        result = CliRunner().invoke(main, [*files, "--device", "cpu"])
        assert result.exit_code == 0, result.output
    dataset = lesions(task, n_images=64)
    ours, theirs = (
        load_classifier(name)[0] for name in (f"builtin:lesions_{task}", tmp_path / f"lesions_{task}.safetensors")
    )
    accuracies = [evaluate_classifier(classifier, dataset).balanced_accuracy or 0 for classifier in (ours, theirs)]
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.03)
    masses = [
        relevance_mass(NemtExplainer.load(weights, classifier), classifier, dataset)
        for weights, classifier in (
            (f"builtin:lesions_{task}_nemt", ours),
            (tmp_path / f"lesions_{task}_nemt.safetensors", theirs),
        )
    ]
    # Another processor rounds differently, and training amplifies it: scores are compared, not bytes.
    assert masses[1] == pytest.approx(masses[0], abs=0.05)
