"""Memory that runs out halves the images per pass, says so once, and changes no result."""

import warnings

import pytest
import torch
from torch import Tensor

from xaibench.explainers import Explainer
from xaibench.explainers.gradient import IntegratedGradientsExplainer
from xaibench.explainers.pass_size import PassSize
from xaibench.explainers.perturbation import OcclusionExplainer, RiseExplainer

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("limit", [None, 7])
def test_parts_are_halved_until_they_fit(error, limit):
    sizes = []

    def compute(part: slice) -> Tensor:
        numbers = torch.arange(10)[part]
        sizes.append(len(numbers))
        if len(numbers) > 2:
            raise error
        return numbers

    passes = PassSize(limit, owner="Test")
    with pytest.warns(RuntimeWarning, match=r"Test: memory does not suffice for \d+ images per pass; going on") as seen:
        parts = passes.in_parts(compute, total=10)
    assert len(seen) == 1
    assert torch.equal(torch.cat(parts), torch.arange(10))
    assert sizes[-1] <= 2
    # It remembers: the next call begins with what fitted.
    sizes.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        passes.in_parts(compute, total=10)
    assert max(sizes) <= 2


def test_one_image_that_does_not_fit_is_an_error():
    def compute(size: int) -> Tensor:
        raise ERRORS[0]

    with pytest.warns(RuntimeWarning, match="memory"), pytest.raises(torch.OutOfMemoryError):
        PassSize(4, owner="Test").attempt(compute, total=9)


def test_other_errors_pass_at_once():
    calls = []

    def compute(size: int) -> Tensor:
        calls.append(size)
        raise RuntimeError("size mismatch")

    with pytest.raises(RuntimeError, match="size mismatch"):
        PassSize(4, owner="Test").attempt(compute, total=9)
    assert calls == [4]


def test_the_bound_holds():
    sizes = []
    PassSize(4, owner="Test").in_parts(lambda part: sizes.append(part) or torch.zeros(1), total=9)
    assert sizes == [slice(0, 4), slice(4, 8), slice(8, 9)]


@pytest.fixture
def scarce(classifier, monkeypatch):
    """A classifier whose memory suffices for three images."""
    forward, seen = classifier.module.forward, []

    def careful(images: Tensor) -> Tensor:
        seen.append(len(images))
        if len(images) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(images)

    monkeypatch.setattr(classifier.module, "forward", careful)
    return seen


@pytest.mark.parametrize(
    ("explainer", "params"),
    [
        (RiseExplainer, {"masks": 12}),
        (IntegratedGradientsExplainer, {"steps": 8}),
        (OcclusionExplainer, {"window": 0.5, "stride": 0.25}),
    ],
)
def test_explainers_go_on_with_less(explainer, params, classifier, make_classifier, make_batch, scarce):
    batch = make_batch(n=5)
    wanted = explainer(make_classifier(), **params).explain(batch.images, batch.targets)
    with pytest.warns(RuntimeWarning, match="memory does not suffice"):
        found = explainer(classifier, **params).explain(batch.images, batch.targets)
    assert max(scarce) > 3
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_hooks_of_a_failed_attempt_are_gone_before_the_next(classifier, make_batch):
    class Doubles(Explainer):
        family, citation = "bad", "tests"

        def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
            self.classifier.module.head.register_forward_hook(lambda _module, _inputs, output: 2 * output)
            if len(images) > 1:
                raise torch.OutOfMemoryError
            return self.classifier(images)[:, :1, None].expand(-1, 32, 32)

    batch = make_batch(n=2)
    with torch.no_grad():
        wanted = 2 * classifier(batch.images)[:, 0]
    with pytest.warns(RuntimeWarning, match="Doubles: memory"):
        maps = Doubles(classifier).explain(batch.images, batch.targets)
    torch.testing.assert_close(maps[:, 0, 0], wanted)
