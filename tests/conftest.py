"""Fixtures for all tests: classifiers with seeded weights, a dataset that is cheap to make and easy to learn."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xaibench.datasets import Dataset, DatasetInfo, MaskKind, Sample, Task, fingerprint
from xaibench.explainers import Classifier
from xaibench.explainers.classifiers.small_resnet import SmallResNet

OUTPUTS = ("dark", "bright", "striped")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device; none is available"))


class Blobs(Dataset):
    """Grey noise with a square that is dark, bright or striped (regression: its brightness)."""

    def __init__(
        self,
        *,
        n_images: int = 24,
        task: Task = Task.MULTICLASS,
        channels: int = 3,
        image_size: int = 32,
        seed: int = 0,
    ) -> None:
        self._n_images, self._task, self._channels, self._size, self._seed = n_images, task, channels, image_size, seed

    @property
    def info(self) -> DatasetInfo:
        settings = [self._n_images, self._task, self._channels, self._size, self._seed]
        return DatasetInfo(
            name="blobs",
            version="1",
            task=self._task,
            output_names=("brightness",) if self._task is Task.REGRESSION else OUTPUTS,
            mask_kind=MaskKind.PIXEL,
            channels=self._channels,
            image_size=(self._size, self._size),
            license="MIT",
            citation="xaibench tests",
            fingerprint=fingerprint(settings),
        )

    def __len__(self) -> int:
        return self._n_images

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self._n_images:
            raise IndexError(index)
        rng = np.random.default_rng([self._seed, index])
        size, side = self._size, self._size // 3
        image = 0.5 + 0.05 * rng.standard_normal((self._channels, size, size))
        regression = self._task is Task.REGRESSION
        n_outputs = 1 if regression else len(OUTPUTS)
        outputs, masks = np.zeros(n_outputs), np.zeros((n_outputs, size, size), dtype=bool)
        if self._task is Task.MULTILABEL:
            kinds = np.flatnonzero(rng.random(n_outputs) < 0.5)
        else:
            kinds = np.array([index % len(OUTPUTS)])
        for kind in kinds:
            top, left = rng.integers(size - side, size=2)
            place = (slice(top, top + side), slice(left, left + side))
            square = np.full((side, side), 0.05 + 0.9 * rng.random() if regression else (0.1, 0.9, 0.5)[kind])
            if kind == 2 and not regression:
                square += np.where(np.arange(side) % 4 < 2, 0.4, -0.4)
            image[:, *place] = square
            output = 0 if regression else kind
            outputs[output] = 4 * square.mean() - 2 if regression else 1.0
            masks[output][place] = True
        return Sample(
            sample_id=f"blob-{self._seed}-{index}",
            image=torch.from_numpy(image.clip(0, 1)).float(),
            outputs=torch.from_numpy(outputs).float(),
            gt_masks=torch.from_numpy(masks),
        )


@pytest.fixture(scope="session")
def make_blobs() -> Callable[..., Blobs]:
    """Make a dataset: ``make_blobs(n_images=24, task=Task.MULTICLASS, channels=3, image_size=32, seed=0)``."""
    return Blobs


@pytest.fixture(scope="session")
def blobs() -> Blobs:
    return Blobs()


@pytest.fixture(scope="session")
def make_classifier() -> Callable[..., Classifier]:
    """Make a small classifier whose weights and batch-norm statistics are random, not trained."""

    def make(
        *, task: Task = Task.MULTICLASS, channels: int = 3, image_size: int = 32, n_outputs: int = 3, seed: int = 0
    ) -> Classifier:
        generator = torch.Generator().manual_seed(seed)
        module = SmallResNet(n_outputs, channels, width=8)
        with torch.no_grad():
            for layer in module.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    for tensor, low, high in (
                        (layer.weight, 0.7, 1.3),
                        (layer.bias, -0.3, 0.3),
                        (layer.running_mean, -0.2, 0.2),
                        (layer.running_var, 0.5, 1.5),
                    ):
                        tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))
                elif isinstance(layer, nn.Conv2d | nn.Linear):
                    scale = (2 / layer.weight[0].numel()) ** 0.5
                    layer.weight.copy_(scale * torch.randn(layer.weight.shape, generator=generator))
            module.head.bias.zero_()
        return Classifier(
            module,
            task=task,
            output_names=[f"output{k}" for k in range(n_outputs)],
            channels=channels,
            image_size=image_size,
        )

    return make


@pytest.fixture
def classifier(make_classifier: Callable[..., Classifier]) -> Classifier:
    """A fresh multiclass classifier of 32 px, 3 channels and 3 outputs."""
    return make_classifier()


@contextmanager
def _untouched(module: nn.Module) -> Iterator[None]:
    before = _everything(module)
    yield
    after = _everything(module)
    assert after.keys() == before.keys()
    changed = [name for name in before if not _same(before[name], after[name])]
    assert not changed, f"changed: {changed}"


@pytest.fixture(scope="session")
def untouched() -> Callable[[nn.Module], AbstractContextManager[None]]:
    """Context manager that fails if a module or a global random state is not left exactly as it was."""
    return _untouched


def _everything(module: nn.Module) -> dict[str, object]:
    found: dict[str, object] = {f"tensor {name}": tensor.clone() for name, tensor in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        found[f"gradient {name}"] = None if parameter.grad is None else parameter.grad.clone()
        found[f"identity of gradient {name}"] = id(parameter.grad)
        found[f"switch {name}"] = parameter.requires_grad
    for name, sub_module in module.named_modules():
        found[f"mode {name}"] = sub_module.training
        for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
            found[f"{kind} {name}"] = sorted(getattr(sub_module, kind))
    found["state of random"] = random.getstate()
    found["state of numpy.random"] = np.random.get_state()[1].tolist()  # noqa: NPY002
    found["state of torch"] = torch.get_rng_state()
    found["gradient mode"] = torch.is_grad_enabled()
    return found


def _same(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    return type(one) is type(other) and one == other
