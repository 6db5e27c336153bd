"""A suite small enough to run many times: 32 px images, an untrained network, cheap explainers."""

from typing import Any

from xaibench.benchmark.suite import Suite
from xaibench.benchmark.suite_files import parse_suite

TINY_SUITE = """
schema_version = 1
name = "tiny"
batch_size = 4
shard_size = 4

[datasets.lesions]
type = "synthetic_lesions"
params = { task = "multilabel", n_images = 10, image_size = 32 }

[datasets.training]
type = "synthetic_lesions"
params = { task = "multilabel", split = "train", n_images = 16, image_size = 32 }

[classifiers.untrained]
type = "small_resnet"
params = { width = 8 }
allow_chance = true

[explainers.saliency]
[explainers.gradient_shap]
params = { samples = 2 }
[explainers.nemt]
fit_on = { untrained = "training" }
params = { steps = 3, batch_size = 4 }
"""


def tiny_suite(text: str = TINY_SUITE, **changes: Any) -> Suite:
    """The tiny suite, evaluated on its test images alone."""
    return parse_suite(text, source="tiny").model_copy(update={"evaluate": ("lesions",), **changes})
