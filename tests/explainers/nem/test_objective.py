"""What a mask is taught: values by hand, and the direction of every gradient."""

import pytest
import torch
from torch import Tensor

from xaibench.datasets import Task
from xaibench.explainers.nem.objective import (
    ObjectiveTerms,
    blend,
    classification_terms,
    present_targets,
    regression_terms,
)


def values(terms: ObjectiveTerms) -> tuple[float, float, float]:
    return terms.area.item(), terms.deletion.item(), terms.preservation.item()


def test_blend_keeps_where_asked_and_fills_the_rest():
    images, fill = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    keep = torch.zeros(2, 4, 4)
    keep[0] = 1
    keep[1, 0, 0] = 0.25
    found = blend(images, fill, keep)
    torch.testing.assert_close(found[0], images[0])
    torch.testing.assert_close(found[1, :, 1:], fill[1, :, 1:])
    torch.testing.assert_close(found[1, :, 0, 0], 0.25 * images[1, :, 0, 0] + 0.75 * fill[1, :, 0, 0])


def test_loss_weighs_the_area_alone():
    terms = ObjectiveTerms(area=torch.tensor(0.5), deletion=torch.tensor(0.25), preservation=torch.tensor(0.125))
    assert float(terms.loss(area_weight=4)) == 2.375


def test_classification_terms_by_hand():
    masks = torch.stack([torch.full((2, 2), 0.5), torch.full((2, 2), 0.1), torch.full((2, 2), 0.9)])
    terms = classification_terms(
        masks,
        clean=torch.tensor([0.8, 0.5, 0.9]),
        deleted=torch.tensor([0.2, 0.4, 0.9]),
        preserved=torch.tensor([0.6, 0.7, 0.0]),
        present=torch.tensor([True, True, False]),
    )
    # Deletion: (0.2/0.8 + 0.4/0.5 + 0) / 3; preservation: (1 - 0.6/0.8, 1 - 0.7/0.5 < 0 counts 0, absent) / 3.
    assert values(terms) == pytest.approx((0.5, (0.25 + 0.8) / 3, 0.25 / 3))


def test_absent_targets_teach_the_area_alone():
    scores = {name: torch.tensor([0.01, 0.02], requires_grad=True) for name in ("clean", "deleted", "preserved")}
    masks = torch.rand(2, 4, 4, requires_grad=True)
    terms = classification_terms(masks, **scores, present=torch.tensor([False, False]))
    assert values(terms)[1:] == (0, 0)
    terms.loss(area_weight=1).backward()
    assert not scores["deleted"].grad.any()
    assert not scores["preserved"].grad.any()
    assert (masks.grad > 0).all()


def test_a_score_of_zero_does_not_divide_by_zero():
    terms = classification_terms(
        torch.zeros(1, 2, 2),
        clean=torch.zeros(1),
        deleted=torch.zeros(1),
        preserved=torch.zeros(1),
        present=torch.tensor([True]),
    )
    assert all(torch.isfinite(torch.tensor(values(terms))))


def evidence_score(images: Tensor) -> Tensor:
    """A classifier that sees the brightness of the left half and nothing else."""
    return images[..., :2].mean(dim=(1, 2, 3))


def mask_gradient(area_weight: float, *, regression: bool = False) -> Tensor:
    images, fill = torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    masks = torch.full((1, 4, 4), 0.5, requires_grad=True)
    deleted, preserved = (evidence_score(blend(images, fill, keep)) for keep in (1 - masks, masks))
    clean = evidence_score(images)
    if regression:
        terms = regression_terms(
            masks,
            clean=clean,
            deleted=deleted,
            preserved=preserved,
            without_image=evidence_score(fill),
            spread=torch.tensor([0.5]),
        )
    else:
        terms = classification_terms(
            masks, clean=clean, deleted=deleted, preserved=preserved, present=torch.tensor([True])
        )
    terms.loss(area_weight=area_weight).backward()
    assert masks.grad is not None
    return masks.grad[0]


@pytest.mark.parametrize("regression", [False, True])
def test_descent_raises_the_mask_on_evidence_and_lowers_it_elsewhere(regression):
    gradient = mask_gradient(1.0, regression=regression)
    assert (gradient[:, :2] < 0).all()
    assert (gradient[:, 2:] > 0).all()
    # Without the area term nothing pulls on pixels that the classifier does not see.
    assert not mask_gradient(0.0, regression=regression)[:, 2:].any()


def test_deletion_has_a_gradient_at_delete_nothing():
    # The published loss squares the change of the score, and stands still here.
    images, fill = torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    masks = torch.zeros(1, 4, 4, requires_grad=True)
    deleted = evidence_score(blend(images, fill, 1 - masks))
    clean = evidence_score(images)
    terms = classification_terms(masks, clean=clean, deleted=deleted, preserved=clean, present=torch.tensor([True]))
    terms.deletion.backward()
    assert (masks.grad[0, :, :2] < 0).all()


def test_regression_terms_by_hand():
    terms = regression_terms(
        torch.full((3, 2, 2), 0.5),
        clean=torch.tensor([5.0, 2.0, 1.0]),
        deleted=torch.tensor([3.0, 1.5, 9.0]),
        preserved=torch.tensor([4.0, 2.5, -9.0]),
        without_image=torch.tensor([1.0, 1.0, 3.0]),
        spread=torch.tensor([2.0, 2.0, 2.0]),
    )
    # Evidence, in units of the spread: 2, 0.5 and none. Deletion leaves 1 of 2, and 0.25 (divided by 1, not by 0.5, so
    # that small evidence is not blown up). Preservation loses 0.5 of 2, and nothing.
    assert values(terms) == pytest.approx((0.5, (1 / 2 + 0.25 + 0) / 3, (0.5 / 2 + 0 + 0) / 3))


def test_regression_terms_do_not_depend_on_the_unit():
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(6, 2, 2, generator=generator)
    names = ("clean", "deleted", "preserved", "without_image")
    outputs = {name: torch.randn(6, generator=generator) for name in names}
    spread = torch.full((6,), 0.7)
    found = regression_terms(masks, **outputs, spread=spread)
    scaled = {name: 1000 * tensor + 40 for name, tensor in outputs.items()}
    assert values(regression_terms(masks, **scaled, spread=1000 * spread)) == pytest.approx(values(found), rel=1e-3)


def test_present_targets_are_those_that_the_classifier_sees():
    scores = torch.tensor([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.4, 0.2, 0.4], [0.6, 0.55, 0.1]])
    targets = torch.tensor([0, 1, 1, 1])
    assert present_targets(scores, targets, task=Task.MULTICLASS).tolist() == [True, True, True, True]
    assert present_targets(scores, torch.tensor([2, 2, 2, 2]), task=Task.MULTICLASS).tolist() == [
        False,
        False,
        True,
        False,
    ]
    assert present_targets(scores, targets, task=Task.MULTILABEL).tolist() == [True, False, False, True]
    assert present_targets(scores, targets, task=Task.REGRESSION).all()
