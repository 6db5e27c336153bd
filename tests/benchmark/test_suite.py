import re
from pathlib import Path

import pytest

from xaibench.benchmark.metrics import METRICS
from xaibench.benchmark.suite import Suite
from xaibench.benchmark.suite_files import builtin_suites, load_suite, parse_suite
from xaibench.datasets import InputError
from xaibench.explainers import EXPLAINERS

from .tiny_suite import TINY_SUITE

ROOT = Path(__file__).resolve().parents[2]


def test_every_builtin_suite_is_valid_and_says_what_it_is() -> None:
    assert {"quick", "lesions", "ph2"} <= set(builtin_suites())
    for name in builtin_suites():
        suite = load_suite(name)
        assert suite.name == name
        assert suite.description


def test_rivals_leaves_no_explainer_and_no_metric_out() -> None:
    suite = load_suite("rivals")
    assert {suite.explainer_type(name) for name in suite.explainers_with_controls()} == set(EXPLAINERS)
    assert {spec.type or name for name, spec in suite.metrics.items()} == set(METRICS)


@pytest.mark.parametrize("page", ["README.md", "docs/datasets.md"])
def test_documented_suites_are_valid(page: str) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    whole = [block for block in blocks if "schema_version" in block]
    assert whole
    for text in whole:
        assert parse_suite(text, source=page).explainers


def test_controls_always_run() -> None:
    suite = parse_suite(TINY_SUITE, source="tiny")
    assert list(suite.explainers_with_controls())[:3] == ["saliency", "gradient_shap", "nemt"]
    assert {"random", "uniform", "centre_gaussian", "sobel", "oracle"} <= set(suite.explainers_with_controls())


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("schema_version = 1", "schema_version = 2", "schema_version"),
        ("schema_version = 1", "", "'schema_version' is missing"),
        ('name = "tiny"', 'name = "a b"', "name"),
        ("batch_size = 4", "batch_sise = 4", "did you mean 'batch_size'?"),
        ("batch_size = 4", "batch_size = 0", "batch_size"),
        ("batch_size = 4", 'batch_size = "many"', "batch_size"),
        ("batch_size = 4", 'metrics = ["complexty"]', "did you mean 'complexity'?"),
        ("batch_size = 4", 'metrics = ["complexity", "complexity"]', "each once"),
        ("batch_size = 4", "metrics = []", "at least one metric"),
        ("batch_size = 4", "metrics = {}", "metrics"),
        ("batch_size = 4", "metrics = [1]", "wanted names of metrics"),
        ("[datasets.lesions]", "[metrics.complexty]\n[datasets.lesions]", "did you mean 'complexity'?"),
        (
            "[datasets.lesions]",
            '[metrics.blurred]\ntype = "insertion"\n[datasets.lesions]',
            "unknown metric 'insertion'; did you mean 'insertion_auc'?",
        ),
        (
            "[datasets.lesions]",
            '[metrics.insertion_auc]\nparams = { fil = "blur" }\n[datasets.lesions]',
            "did you mean 'fill'?",
        ),
        ("[datasets.lesions]", "[metrics.insertion_auc]\nparam = {}\n[datasets.lesions]", "did you mean 'params'?"),
        (
            "[datasets.lesions]",
            "[metrics.insertion_auc]\nparams = { steps = 0 }\n[datasets.lesions]",
            "steps is 0; wanted at least 1",
        ),
        ("batch_size = 4", 'evaluate = ["lesion"]', "did you mean 'lesions'?"),
        ('type = "synthetic_lesions"', 'type = "synthetic_lesion"', "did you mean 'synthetic_lesions'?"),
        ("n_images = 10", "n_image = 10", "did you mean 'n_images'?"),
        ("n_images = 10", 'n_images = "ten"', "n_images"),
        ("[datasets.lesions]", "[datasets.train]\nparms = {}\n[datasets.lesions]", "did you mean 'params'?"),
        ("[datasets.lesions]", "[datasets.lesions]\ntarget = 1", "did you mean 'targets'?"),
        ("[datasets.lesions]", '[datasets.lesions]\ntargets = "truth"', "targets"),
        ('type = "small_resnet"', 'type = "small_resnt"', "did you mean 'small_resnet'?"),
        ("width = 8", "widht = 8", "did you mean 'width'?"),
        ("allow_chance = true", "allow_chanse = true", "did you mean 'allow_chance'?"),
        ("allow_chance = true", 'datasets = ["training"]', "no classifier explains dataset 'lesions'"),
        ('type = "small_resnet"\nparams = { width = 8 }', "", "either checkpoint or type"),
        ("allow_chance = true", 'train = { dataset = "trainin", validation = "training" }', "did you mean 'training'?"),
        ("allow_chance = true", 'train = { dataset = "training" }', "train.validation' is missing"),
        ("allow_chance = true", 'train = { datset = "training" }', "did you mean 'dataset'?"),
        ("[explainers.saliency]", "[explainers.salience]", "did you mean 'saliency'?"),
        ("samples = 2", "sample = 2", "did you mean 'samples'?"),
        ("samples = 2", "samples = 2, seed = 1", "seed"),
        ('fit_on = { untrained = "training" }', "", "must be fitted"),
        ('fit_on = { untrained = "training" }', 'fit_on = { untraned = "training" }', "did you mean 'untrained'?"),
        ('fit_on = { untrained = "training" }', 'fit_on = { untrained = "train" }', "did you mean 'training'?"),
        ("[explainers.saliency]", "[explainers.saliency", "not valid TOML"),
    ],
)
def test_a_wrong_suite_gets_one_error_that_names_the_place(old: str, new: str, wanted: str) -> None:
    assert old in TINY_SUITE
    with pytest.raises(InputError) as caught:
        parse_suite(TINY_SUITE.replace(old, new, 1), source="my.toml")
    assert str(caught.value).startswith("my.toml")
    assert wanted in str(caught.value)


def test_one_metric_may_stand_in_a_suite_under_several_ids() -> None:
    sections = """
[metrics.complexity]
[metrics.insertion_blur]
type = "insertion_auc"
params = { fill = "blur" }
[metrics.insertion_noise]
type = "insertion_auc"
params = { fill = "noise", steps = 8 }
"""
    suite = parse_suite(TINY_SUITE + sections, source="tiny")
    assert list(suite.metrics) == ["complexity", "insertion_blur", "insertion_noise"]
    assert suite.metrics["insertion_blur"].type == "insertion_auc"
    assert Suite.model_validate(suite.model_dump(mode="json")) == suite, "a run reads its suite back"


def test_a_list_of_names_and_the_default_stand_for_sections() -> None:
    core = ["relevance_mass_accuracy", "relevance_rank_accuracy", "complexity", "sparseness"]
    assert list(parse_suite(TINY_SUITE, source="tiny").metrics) == core
    listed = parse_suite(TINY_SUITE.replace("batch_size = 4", f"metrics = {core}", 1), source="tiny")
    assert listed.metrics == parse_suite(TINY_SUITE, source="tiny").metrics
