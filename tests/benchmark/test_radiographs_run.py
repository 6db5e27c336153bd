"""Images of one channel from end to end, in all three tasks: trained on, explained and scored."""

from pathlib import Path

import pytest

from xaibench.benchmark.runner import run_suite
from xaibench.benchmark.store import RunStore
from xaibench.benchmark.suite_files import parse_suite
from xaibench.datasets import SyntheticRadiographs

HEAD = 'schema_version = 1\nname = "radiographs"\nbatch_size = 4\nevaluate = ["pathology", "findings", "severity"]\n'
TASK = """
[datasets.{task}]
type = "synthetic_radiographs"
params = {{ task = "{task}", n_images = 6, image_size = 32 }}

[datasets.{task}_train]
type = "synthetic_radiographs"
params = {{ task = "{task}", split = "train", n_images = 16, image_size = 32 }}

[classifiers.{task}_net]
type = "small_resnet"
params = {{ width = 8 }}
train = {{ dataset = "{task}_train", validation = "{task}_train", epochs = 1, augment = "mirror" }}
datasets = ["{task}"]
allow_chance = true
"""
EXPLAINERS = """
[explainers.nemt]
fit_on = { pathology_net = "pathology_train", findings_net = "findings_train", severity_net = "severity_train" }
params = { steps = 2, batch_size = 4 }
[explainers.saliency]
[explainers.input_x_gradient]
[explainers.integrated_gradients]
params = { steps = 2 }
[explainers.gradient_shap]
params = { samples = 2 }
[explainers.gradcam]
[explainers.occlusion]
params = { window = 0.5, stride = 0.5 }
"""
TASKS = ("pathology", "findings", "severity")


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_every_task_is_trained_explained_and_scored(tmp_path: Path) -> None:
    suite = parse_suite(HEAD + "".join(TASK.format(task=task) for task in TASKS) + EXPLAINERS, source="radiographs")
    outcome = run_suite(suite, run_dir=tmp_path, device="cpu")
    assert not outcome.failures
    store = RunStore(tmp_path)
    assert not store.skipped()
    frame = store.score_frame()
    rows = frame[(frame["metric"] == "relevance_mass_accuracy") & (frame["explainer"] == "oracle")]
    for task in TASKS:
        outputs = SyntheticRadiographs(task=task, n_images=6, image_size=32).outputs()
        own = rows[rows["dataset"] == task]
        # A case per label (multiclass), per finding (multilabel), per output (regression).
        assert len(own) == (int(outputs.sum()) if task == "findings" else 6)
        for row in own.itertuples():
            # Nothing in the image is the evidence of a class that means «nothing there».
            assert row.status == ("not_applicable" if row.target_name == "no_finding" else "ok")
    assert "no_finding" in set(rows["target_name"])
