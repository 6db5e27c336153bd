import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from xaibench.benchmark.cli import main

from .tiny_suite import TINY_SUITE


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    suite = folder / "tiny.toml"
    suite.write_text(TINY_SUITE.replace("batch_size = 4", 'batch_size = 4\nevaluate = ["lesions"]', 1))
    result = call("run", suite, "--out", folder / "run", "--device", "cpu", "--limit", 4, "--quiet")
    assert result.exit_code == 0, result.output
    return folder / "run"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (70, 90, 3), dtype=np.uint8)).save(path)
    return path


def _explain(photo: str, rest: str) -> list[str]:
    return ["explain", "{tmp}/" + photo, *f"{rest} --out {{tmp}}/h.png".split()]


BAD_INPUT = [
    # arguments, what the one line must say
    (["run", "quikc"], "did you mean 'quick'?"),
    (["run", "{tmp}/none.toml"], "none.toml"),
    (["run", "{tmp}/explainer.toml", "--out", "{tmp}/o"], "did you mean 'saliency'?"),
    (["run", "{tmp}/metric.toml", "--out", "{tmp}/o"], "did you mean 'complexity'?"),
    (["run", "{tmp}/key.toml", "--out", "{tmp}/o"], "did you mean 'batch_size'?"),
    (["run", "ph2", "--data", "{tmp}/nowhere", "--out", "{tmp}/o"], "doi.org/10.7910/DVN/DBW86T"),
    (["run", "ph2", "--data", "{tmp}/empty", "--out", "{tmp}/o"], "--data DATA"),
    (["run", "{tmp}/checkpoint.toml", "--out", "{tmp}/o"], "photo.png"),
    (["run", "{tmp}/builtin.toml", "--out", "{tmp}/o"], "known: builtin:"),
    (["run", "{tmp}/good.toml", "--out", "{tmp}/photo.png/o"], "choose a folder"),
    (["run", "quick", "--device", "cuda", "--out", "{tmp}/o"], "--device cpu"),
    (["run", "quick", "--limit", "0"], "--limit"),
    (["run", "quick", "--seed", str(2**32), "--out", "{tmp}/o"], "--seed"),
    (["run", "{tmp}/samples.toml", "--out", "{tmp}/o"], "explainers.gradient_shap: samples is 0"),
    (["leaderboard", "{tmp}/nowhere"], "run.json"),
    (["leaderboard", "{tmp}/empty", "--format", "xlsx"], "xlsx"),
    (["rows", "{tmp}/empty"], "run.json"),
    (["rows", "{tmp}/broken"], "run the suite again"),
    (["gallery", "{tmp}/empty", "--out", "{tmp}/g.png"], "run.json"),
    (["gallery", "{run}", "--dataset", "lesion", "--out", "{tmp}/g.png"], "did you mean 'lesions'?"),
    (["gallery", "{run}", "--out", "{tmp}/g.doc"], ".png"),
    (
        ["explain", "{tmp}/none.png", *["--classifier", "{clf}", "--explainer", "saliency", "--out", "{tmp}/h.png"]],
        "none.png",
    ),
    (
        ["explain", "{tmp}/text.png", *["--classifier", "{clf}", "--explainer", "saliency", "--out", "{tmp}/h.png"]],
        "text.png",
    ),
    (
        ["explain", "{tmp}/photo.png", *["--classifier", "{clf}", "--explainer", "salience", "--out", "{tmp}/h.png"]],
        "'saliency'?",
    ),
    (
        ["explain", "{tmp}/photo.png", *["--classifier", "{clf}", "--explainer", "nemt", "--out", "{tmp}/h.png"]],
        "xaibench fit nemt",
    ),
    (
        ["explain", "{tmp}/photo.png", *["--classifier", "{clf}", "--explainer", "oracle", "--out", "{tmp}/h.png"]],
        "regions",
    ),
    (
        [
            "explain",
            "{tmp}/photo.png",
            *["--classifier", "{tmp}/photo.png", "--explainer", "sobel", "--out", "{tmp}/h.png"],
        ],
        "photo.png",
    ),
    (
        ["explain", "{tmp}/photo.png", *["--classifier", "{tmp}/no", "--explainer", "sobel", "--out", "{tmp}/h.png"]],
        "no file",
    ),
    (
        ["explain", "{tmp}/photo.png", *["--classifier", "{clf}", "--explainer", "sobel", "--out", "{tmp}/h.xyz"]],
        ".png",
    ),
    (
        [
            "explain",
            "{tmp}/photo.png",
            *["--classifier", "{clf}", "--explainer", "sobel", "--target", "9", "--out", "{tmp}/h.png"],
        ],
        "unknown target '9'",
    ),
    (
        [
            "explain",
            "{tmp}/photo.png",
            *["--classifier", "{clf}", "--explainer", "occlusion", "-p", "windw=1", "--out", "{tmp}/h.png"],
        ],
        "did you mean 'window'?",
    ),
    (
        [
            "explain",
            "{tmp}/photo.png",
            *["--classifier", "{clf}", "--explainer", "sobel", "-p", "x", "--out", "{tmp}/h.png"],
        ],
        "key=value",
    ),
    (
        ["explain", "{tmp}/empty", *["--classifier", "{clf}", "--explainer", "sobel", "--out", "{tmp}/o"]],
        "no image in it",
    ),
    (["explain", "{tmp}", *["--classifier", "{clf}", "--explainer", "sobel", "--out", "{tmp}/h.png"]], "name a folder"),
    (["list", "explainer"], "explainers"),
    (["train-classifier", *["--dataset", "synthetic_lesion", "--out", "{tmp}/c.safetensors"]], "'synthetic_lesions'?"),
    (["train-classifier", *["--dataset", "image_folder", "--out", "{tmp}/c.safetensors"]], "'root'"),
    (["train-classifier", *["--dataset", "synthetic_lesions", "--architecture", "vgg", "--out", "{tmp}/c"]], "known:"),
    (
        ["train-classifier", *["--dataset", "synthetic_lesions", "--out", "{tmp}/photo.png/c.safetensors"]],
        "choose a folder",
    ),
    (
        ["fit", "saliency", *["--classifier", "{clf}", "--dataset", "synthetic_lesions", "--out", "{tmp}/n"]],
        "nothing to fit",
    ),
    (
        ["fit", "nemt", *["--classifier", "{tmp}/photo.png", "--dataset", "synthetic_lesions", "--out", "{tmp}/n"]],
        "photo.png",
    ),
    (["frobnicate"], "frobnicate"),
    (["datasets", "verify", "synthetic_lesion"], "did you mean 'synthetic_lesions'?"),
    (["datasets", "verify", "ham10000"], "needs the parameter 'root'"),
    (["datasets", "verify", "ham10000", "--root", "{tmp}/nowhere"], "doi.org/10.7910/DVN/DBW86T"),
    (["datasets", "verify", "rsna_pneumonia", "--root", "{tmp}/empty"], "stage_2_train_labels.csv"),
    (["datasets", "verify", "medmnist", "--root", "{tmp}/empty", "-d", "name=pathmnist"], "pathmnist.npz"),
    (["datasets", "verify", "digits_grid", "--root", "{tmp}"], "no parameter 'root'"),
    (["datasets", "verify", "digits_grid", "--split", "all"], "known: test, train, val"),
    (["datasets", "preview", "digits_grid", "-d", "cels=3", "--out", "{tmp}/s.png"], "did you mean 'cells'?"),
    (["datasets", "preview", "digits_grid", "--out", "{tmp}/s.doc"], ".png"),
    (
        ["datasets", "preview", "image_folder", "--root", "{tmp}/empty", "--out", "{tmp}/s.png"],
        "images: no such folder",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "wanted"), BAD_INPUT, ids=lambda value: value if isinstance(value, str) else None
)
def test_bad_input_ends_with_one_line_and_exit_code_2(
    arguments: list[str], wanted: str, tmp_path: Path, photo: Path, run_dir: Path, small_checkpoint: Path
) -> None:
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("a GPU is here")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    (tmp_path / "text.png").write_text("no image")
    for name, old, new in (
        ("good", "", ""),
        ("explainer", "[explainers.saliency]", "[explainers.salience]"),
        ("metric", "batch_size = 4", 'metrics = ["complexty"]'),
        ("key", "batch_size", "batch_sise"),
        ("samples", "samples = 2", "samples = 0"),
        ("checkpoint", 'type = "small_resnet"\nparams = { width = 8 }', f'checkpoint = "{photo}"'),
        ("builtin", 'type = "small_resnet"\nparams = { width = 8 }', 'checkpoint = "builtin:none"'),
    ):
        assert old in TINY_SUITE
        (tmp_path / f"{name}.toml").write_text(TINY_SUITE.replace(old, new, 1) if old else TINY_SUITE)
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    result = call(*(a.format(tmp=tmp_path, run=run_dir, clf=small_checkpoint) for a in arguments))
    assert result.exit_code == 2, result.output
    assert wanted in result.output
    assert "Traceback" not in result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before


TINY_DATA = ["--dataset", "synthetic_lesions", "-d", "n_images=16", "-d", "image_size=32", "--device", "cpu"]


@pytest.fixture(scope="module")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "classifier.safetensors"
    result = call("train-classifier", *TINY_DATA, "-a", "width=8", "--epochs", 1, "--out", path)
    assert result.exit_code == 0, result.output
    assert "balanced_accuracy" in result.output
    return path


def test_train_fit_and_explain_one_image(small_checkpoint: Path, photo: Path, tmp_path: Path) -> None:
    decoder, picture = tmp_path / "nemt.safetensors", tmp_path / "heatmap.png"
    shared = ["--classifier", small_checkpoint, "--device", "cpu"]
    fitted = call("fit", "nemt", *TINY_DATA, "-p", "steps=2", "-p", "batch_size=4", *shared[:2], "--out", decoder)
    assert fitted.exit_code == 0, fitted.output
    chosen = ["--explainer", "nemt", "--weights", decoder, "--target", "streaks"]
    explained = call("explain", photo, *shared, *chosen, "--out", picture)
    assert explained.exit_code == 0, explained.output
    assert "streaks" in explained.output
    with Image.open(picture) as image:
        width, height = image.size
    assert width > height > 200


@pytest.mark.parametrize(
    ("rest", "wanted"),
    [
        (["-p", "seed=3"], "wanted --seed"),
        (["-p", "learning_rate=-1"], "learning_rate is -1.0; wanted more than 0"),
        (["-p", "weight_decay=-1"], "weight_decay is -1.0; wanted 0 or more"),
        (["-p", "temperatures=[0, 1]"], "temperatures of more than 0"),
        (["-p", "widths=[]"], "widths are []; wanted at least one"),
        (["-p", "finest_stride=0"], "finest_stride is 0; wanted at least 1"),
        (["--seed", 2**32], "--seed"),
    ],
)
def test_a_fit_refuses_wrong_settings(rest: list[object], wanted: str, small_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "nemt.safetensors"
    result = call("fit", "nemt", *TINY_DATA, "--classifier", small_checkpoint, *rest, "--out", out)
    assert result.exit_code == 2, result.output
    assert wanted in result.output
    assert not list(tmp_path.iterdir())


def test_every_image_of_a_folder_is_explained(small_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name, value in (("a", 40), ("b", 200)):
        Image.new("RGB", (40, 32), (value, 90, 90)).save(tmp_path / "images" / f"{name}.png")
    arguments = ["explain", str(tmp_path / "images"), "--classifier", str(small_checkpoint), "--explainer", "sobel"]
    result = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "maps")])
    assert result.exit_code == 0, result.output
    assert "2 images explained by sobel" in result.output
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["a.png", "b.png"]
    assert all(Image.open(path).size[0] > 100 for path in (tmp_path / "maps").iterdir())


def test_the_leaderboard_has_every_key_in_every_format(run_dir: Path, tmp_path: Path) -> None:
    records = json.loads(call("leaderboard", run_dir, "--format", "json").stdout)
    wanted = [
        "dataset",
        "classifier",
        "explainer",
        "metric",
        "mean",
        "ci_low",
        "ci_high",
        "rank",
        "n_scored",
        "n_cases",
        "is_control",
    ]
    assert all(set(wanted) <= set(record) for record in records)
    controls = {record["explainer"] for record in records if record["is_control"]}
    assert controls == {"random", "uniform", "centre_gaussian", "sobel", "oracle"}
    frame = pd.read_csv(pd.io.common.StringIO(call("leaderboard", run_dir, "--format", "csv").stdout))
    assert list(frame.columns) == list(records[0])
    assert len(frame) == len(records)
    out = tmp_path / "page.md"
    assert call("leaderboard", run_dir, "--format", "md", "--out", out).exit_code == 0
    page = out.read_text()
    for record in records:
        assert f"*{record['explainer']}*" in page
    assert "× forward" in page
    assert "chance" in page


def test_json_means_are_the_means_of_the_rows(run_dir: Path) -> None:
    rows = pd.DataFrame(json.loads(call("rows", run_dir, "--format", "json").stdout))
    wanted = ["dataset", "classifier", "explainer", "sample_id", "target", "metric", "score", "status"]
    assert set(wanted) <= set(rows.columns)
    for record in json.loads(call("leaderboard", run_dir, "--format", "json").stdout):
        own = rows[(rows["explainer"] == record["explainer"]) & (rows["metric"] == record["metric"])]
        assert record["mean"] == pytest.approx(own["score"].mean())
        assert record["n_cases"] == len(own)


def test_rows_as_csv_and_timings(run_dir: Path) -> None:
    assert call("rows", run_dir).stdout.startswith("dataset,classifier,explainer,is_control,sample_id,target")
    assert "forward_seconds" in call("rows", run_dir, "--timings").stdout.splitlines()[0]


def test_the_gallery_is_a_picture(run_dir: Path, tmp_path: Path) -> None:
    result = call("gallery", run_dir, "--cases", 2, "--device", "cpu", "--out", tmp_path / "gallery.png")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "gallery.png") as image:
        assert image.size[0] > image.size[1]


def test_a_run_that_was_stopped_says_so_and_draws_who_has_maps(run_dir: Path, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    shutil.copytree(run_dir, stopped)
    for cell in (stopped / "cells").iterdir():
        if json.loads(cell.read_text())["cell"]["explainer"] == "saliency":
            cell.unlink()
    page = call("leaderboard", stopped)
    assert page.exit_code == 0, page.output
    assert "**This run is not finished**" in page.stdout
    assert "The run is not finished" in call("leaderboard", stopped, "--format", "csv").stderr
    assert "not finished" not in call("leaderboard", run_dir).output
    drawn = call("gallery", stopped, "--cases", 1, "--device", "cpu", "--out", tmp_path / "gallery.png")
    assert drawn.exit_code == 0, drawn.output
    shutil.rmtree(stopped / "cells")
    nobody = call("gallery", stopped, "--device", "cpu", "--out", tmp_path / "nothing.png")
    assert nobody.exit_code == 2
    assert "nobody has explained lesions" in nobody.stderr


@pytest.mark.parametrize("kind", ["explainers", "datasets", "metrics", "classifiers", "suites"])
def test_list_says_one_line_about_each(kind: str) -> None:
    result = call("list", kind)
    assert result.exit_code == 0, result.output
    for line in result.stdout.splitlines():
        name, _, text = line.partition("  ")
        assert name
        assert text.strip()


def test_help_shows_an_example_for_every_command() -> None:
    top = call("--help")
    assert top.exit_code == 0
    for name in main.list_commands(None):  # type: ignore[arg-type]
        assert f"  {name} " in top.stdout
        shown = call(name, "--help")
        assert shown.exit_code == 0
        assert f"Example:  xaibench {name}" in shown.stdout
