"""The suites at the paper's settings, on generated trees: the path works, whoever has the data and a GPU."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from xaibench.benchmark.cli import main
from xaibench.benchmark.store import RunStore
from xaibench.benchmark.suite_files import load_suite

from ..datasets.rsna_tree import HEADER, write_dicom
from ..datasets.trees import write_ham_tree

SUITES = Path(__file__).resolve().parents[2] / "benchmark" / "suites"


def write_data(folder: Path) -> Path:
    write_ham_tree(folder / "ham10000", per_diagnosis=5)
    images = folder / "rsna" / "stage_2_train_images"
    images.mkdir(parents=True)
    lines = [HEADER]
    for number in range(60):
        positive = number % 3 == 0
        pixels = np.random.default_rng(number).integers(0, 90, (48, 48), dtype=np.uint8)
        pixels[10:30, 5:20] += np.uint8(100 * positive)
        write_dicom(images / f"q{number:02d}.dcm", pixels)
        lines.append(f"q{number:02d}," + ("5.0,10.0,15.0,20.0,1" if positive else ",,,,0"))
    (folder / "rsna" / "stage_2_train_labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def reduced(name: str, *changes: tuple[str, str]) -> str:
    """Text of a suite with settings that a CPU can bear; every change must still find what it changes."""
    text = (SUITES / f"{name}.toml").read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


STEPS = {"rsna": "steps = 3335", "ham10000": "steps = 1252"}
# No hub in tests, few images, no time.
ALWAYS = (('pretrained = "hub"', 'pretrained = "none"'), ("epochs = 5, batch_size = 64", "epochs = 1, batch_size = 4"))
SMALL = (
    ('model = "resnet50"', 'model = "resnet10t"'),
    ("image_size = 224", "image_size = 64"),
    ("workers = 8", "workers = 0"),
    ("steps = 50", "steps = 2"),
)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(SMALL, id="small"),
        pytest.param((), id="resnet50-224", marks=pytest.mark.slow),  # ResNet-50 at 224 px on a CPU: minutes
    ],
)
@pytest.mark.parametrize("name", ["rsna", "ham10000"])
def test_a_dry_run_goes_from_files_to_a_leaderboard(
    name: str, changes: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    fit = (f"{STEPS[name]}, batch_size = 32", "steps = 2, batch_size = 4")
    chance = () if name == "rsna" else (("[classifiers.resnet50]", "[classifiers.resnet50]\nallow_chance = true"),)
    suite = tmp_path / f"{name}.toml"
    suite.write_text(reduced(name, *ALWAYS, fit, *changes, *chance))
    arguments = ["run", suite, "--data", write_data(tmp_path), "--out", tmp_path / "run", "--limit", 2]
    result = CliRunner().invoke(main, [str(one) for one in (*arguments, "--device", "cpu", "--quiet")])
    assert result.exit_code == 0, result.output
    frame = RunStore(tmp_path / "run").score_frame()
    assert frame["sample_id"].nunique() == 2
    mass = frame[frame["metric"] == "relevance_mass_accuracy"]
    assert (mass["status"] == "ok").mean() > 0.9
    assert mass[mass["explainer"] == "oracle"]["score"].tolist() == pytest.approx([1.0, 1.0])
    if name == "rsna":
        assert set(frame["target_name"]) == {"pneumonia"}
    # Decoded images were kept beside the data, not in the run.
    assert list((tmp_path / "cache").rglob("*.npy"))
    page = CliRunner().invoke(main, ["leaderboard", str(tmp_path / "run")])
    assert page.exit_code == 0
    assert "*oracle*" in page.stdout


@pytest.mark.parametrize(("name", "n_train"), [("rsna", 21347), ("ham10000", 8012)])
def test_the_settings_are_those_of_the_paper(name: str, n_train: int) -> None:
    suite = load_suite(name)
    assert suite.classifiers["resnet50"].params["model"] == "resnet50"
    (evaluated,) = suite.evaluated
    assert suite.datasets[evaluated].samples == 1000
    for spec in suite.datasets.values():
        assert spec.params["image_size"] == 224
        assert spec.params["protocol"] == "published"
    fit = suite.explainers["nemt"].params
    # Five passes over the training images.
    assert fit["steps"] * fit["batch_size"] == pytest.approx(5 * n_train, abs=fit["batch_size"])
