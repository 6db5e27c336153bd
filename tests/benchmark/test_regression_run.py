"""A regression dataset from end to end: trained, checked against chance, explained and scored."""

from pathlib import Path

import pytest

from xaibench.benchmark.runner import run_suite
from xaibench.benchmark.store import RunStore
from xaibench.benchmark.suite_files import parse_suite
from xaibench.datasets import SyntheticLesions

SUITE = """
schema_version = 1
name = "severity"
batch_size = 4
shard_size = 8
evaluate = ["test"]

[datasets.test]
type = "synthetic_lesions"
params = { task = "severity", n_images = 8, n_lesions = [0, 3], image_size = 32 }

[datasets.train]
type = "synthetic_lesions"
params = { task = "severity", split = "train", n_images = 160, n_lesions = [0, 3], image_size = 32 }

[datasets.val]
type = "synthetic_lesions"
params = { task = "severity", split = "val", n_images = 24, n_lesions = [0, 3], image_size = 32 }

[classifiers.net]
type = "small_resnet"
params = { width = 8 }
allow_chance = true
train = { dataset = "train", validation = "val", epochs = 2, learning_rate = 3e-3 }

[explainers.saliency]
[explainers.integrated_gradients]
params = { steps = 2 }
[explainers.gradcam]
[explainers.nemt]
fit_on = { net = "train" }
params = { steps = 2, batch_size = 4 }
"""


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_severity_is_trained_explained_and_scored(tmp_path: Path) -> None:
    outcome = run_suite(parse_suite(SUITE, source="severity"), run_dir=tmp_path, device="cpu")
    assert not outcome.failures
    store = RunStore(tmp_path)
    manifest = store.read_manifest()
    assert manifest["datasets"]["test"]["task"] == "regression"
    assert manifest["classifiers"][0]["performance"]["r2"] is not None
    frame = store.score_frame()
    rows = frame[frame["metric"] == "relevance_mass_accuracy"]
    severity = {
        sample.sample_id: float(sample.outputs)
        for sample in SyntheticLesions(task="severity", n_images=8, n_lesions=(0, 3), image_size=32)
    }
    assert set(rows["explainer"]) >= {"saliency", "integrated_gradients", "gradcam", "nemt", "oracle"}
    assert set(rows["target_name"]) == {"severity"}
    assert rows["correct"].isna().all()
    # No lesion, no region: the score is not applicable, and counted as such.
    without_lesion = rows["sample_id"].map(severity) == 0.0
    assert 0 < without_lesion.sum() < len(rows)
    assert ((rows["status"] == "not_applicable") == without_lesion).all()
    oracle = rows[(rows["explainer"] == "oracle") & ~without_lesion]
    assert oracle["score"].to_numpy() == pytest.approx(1.0)
