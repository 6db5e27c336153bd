"""What a mask is taught: values by hand, and the direction of every gradient."""

import pytest
import torch
from torch import Tensor

from xaibench.explainers.nem.objective import (
    ObjectiveTerms,
    blend,
    cosine_distance,
    embedding_terms,
    probability_terms,
    published_terms,
    value_terms,
)


def rows(terms: ObjectiveTerms) -> list[tuple[float, float, float, float]]:
    """Area, deletion, preservation and leakage of each image."""
    return list(
        zip(*(t.tolist() for t in (terms.area, terms.deletion, terms.preservation, terms.leakage)), strict=True)
    )


def one_output(**scores: Tensor) -> dict[str, Tensor]:
    """Scores (B,) of output 0 as those of a network with a second output that is never seen."""
    return {name: torch.stack([s, torch.zeros_like(s)], dim=1) for name, s in scores.items()}


def loss_of(terms: ObjectiveTerms, area_weight: float = 1.0) -> Tensor:
    has_area = torch.ones_like(terms.area, dtype=torch.bool)
    return terms.loss(area_weight=area_weight, leakage_weight=1.0, has_area=has_area)


def test_blend_keeps_where_asked_and_fills_the_rest():
    images, fill = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    keep = torch.zeros(2, 4, 4)
    keep[0] = 1
    keep[1, 0, 0] = 0.25
    found = blend(images, fill, keep)
    torch.testing.assert_close(found[0], images[0])
    torch.testing.assert_close(found[1, :, 1:], fill[1, :, 1:])
    torch.testing.assert_close(found[1, :, 0, 0], 0.25 * images[1, :, 0, 0] + 0.75 * fill[1, :, 0, 0])


def test_loss_weighs_area_and_leakage_and_leaves_out_areas_that_do_not_count():
    terms = ObjectiveTerms(
        area=torch.tensor([0.5, 0.5]),
        deletion=torch.tensor([0.25, 0.25]),
        preservation=torch.tensor([0.125, 0.125]),
        leakage=torch.tensor([1.0, 1.0]),
    )
    has_area = torch.tensor([True, False])
    loss = terms.loss(area_weight=4, leakage_weight=0.5, has_area=has_area)
    assert float(loss) == ((2 + 0.25 + 0.125 + 0.5) + (0.25 + 0.125 + 0.5)) / 2
    assert terms.means() == {"area": 0.5, "deletion": 0.25, "preservation": 0.125, "leakage": 1.0}


def test_probability_terms_by_hand():
    masks = torch.stack([torch.full((2, 2), 0.5), torch.full((2, 2), 0.1), torch.full((2, 2), 0.9)])
    terms = probability_terms(
        masks,
        targets=torch.tensor([0, 0, 0]),
        **one_output(
            clean=torch.tensor([0.8, 0.5, 0.9]),
            deleted=torch.tensor([0.2, 0.4, 0.9]),
            preserved=torch.tensor([0.6, 0.7, 0.0]),
        ),
        present=torch.tensor([True, True, False]),
    )
    # A gain under preservation counts nothing, and an absent target teaches the area alone.
    wanted = [(0.5, 0.2 / 0.8, 1 - 0.6 / 0.8, 0), (0.1, 0.4 / 0.5, 0, 0), (0.9, 0, 0, 0)]
    for found, expected in zip(rows(terms), wanted, strict=True):
        assert found == pytest.approx(expected)


def test_leakage_is_what_happens_to_other_present_outputs():
    clean = torch.tensor([[0.9, 0.8, 0.3]]).repeat(3, 1)
    terms = probability_terms(
        torch.rand(3, 2, 2),
        targets=torch.tensor([0, 0, 2]),
        clean=clean,
        deleted=torch.tensor([[0.1, 0.8, 0.0], [0.1, 0.2, 0.0], [0.1, 0.2, 0.0]]),
        preserved=torch.tensor([[0.9, 0.0, 0.0], [0.9, 0.4, 0.0], [0.9, 0.4, 0.0]]),
        present=torch.tensor([True, True, False]),
    )
    # First: output 1 holds under deletion and goes under preservation, as it should. Second: it loses 0.6 of 0.8, and
    # 0.4 of 0.8 are kept. Third: nothing is asked of a target that is absent. Output 2 is not there at all.
    assert terms.leakage.tolist() == pytest.approx([0, 0.75 + 0.5, 0])


def test_absent_targets_teach_the_area_alone():
    names = ("clean", "deleted", "preserved")
    scores = {name: torch.tensor([[0.01, 0.9], [0.02, 0.9]], requires_grad=True) for name in names}
    masks = torch.rand(2, 4, 4, requires_grad=True)
    targets, present = torch.tensor([0, 0]), torch.tensor([False, False])
    terms = probability_terms(masks, targets=targets, **scores, present=present)
    assert [row[1:] for row in rows(terms)] == [(0, 0, 0), (0, 0, 0)]
    loss_of(terms).backward()
    assert not scores["deleted"].grad.any()
    assert not scores["preserved"].grad.any()
    assert (masks.grad > 0).all()


def test_a_score_of_zero_does_not_divide_by_zero():
    zero = torch.zeros(1, 2)
    terms = probability_terms(
        torch.zeros(1, 2, 2),
        targets=torch.tensor([0]),
        clean=zero,
        deleted=zero,
        preserved=zero,
        present=torch.tensor([True]),
    )
    assert all(torch.isfinite(torch.tensor(rows(terms)[0])))


def evidence_score(images: Tensor) -> Tensor:
    """A classifier that sees the brightness of the left half and nothing else."""
    return images[..., :2].mean(dim=(1, 2, 3))


def mask_gradient(area_weight: float, *, regression: bool = False) -> Tensor:
    images, fill = torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    masks = torch.full((1, 4, 4), 0.5, requires_grad=True)
    deleted, preserved = (evidence_score(blend(images, fill, keep)) for keep in (1 - masks, masks))
    clean = evidence_score(images)
    if regression:
        terms = value_terms(
            masks,
            clean=clean,
            deleted=deleted,
            preserved=preserved,
            without_image=evidence_score(fill),
            spread=torch.tensor([0.5]),
        )
    else:
        terms = probability_terms(
            masks,
            targets=torch.tensor([0]),
            **one_output(clean=clean, deleted=deleted, preserved=preserved),
            present=torch.tensor([True]),
        )
    loss_of(terms, area_weight).backward()
    assert masks.grad is not None
    return masks.grad[0]


@pytest.mark.parametrize("regression", [False, True])
def test_descent_raises_the_mask_on_evidence_and_lowers_it_elsewhere(regression):
    gradient = mask_gradient(1.0, regression=regression)
    assert (gradient[:, :2] < 0).all()
    assert (gradient[:, 2:] > 0).all()
    # Without the area term nothing pulls on pixels that the classifier does not see.
    assert not mask_gradient(0.0, regression=regression)[:, 2:].any()


def deletion_gradient_at_delete_nothing(terms_of) -> Tensor:
    images, fill = torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    masks = torch.zeros(1, 4, 4, requires_grad=True)
    deleted, clean = evidence_score(blend(images, fill, 1 - masks)), evidence_score(images)
    terms_of(masks, clean, deleted).deletion.sum().backward()
    assert masks.grad is not None
    return masks.grad[0]


def test_deletion_has_a_gradient_at_delete_nothing_where_the_published_loss_stands_still():
    def ours(masks: Tensor, clean: Tensor, deleted: Tensor) -> ObjectiveTerms:
        scores = one_output(clean=clean, deleted=deleted, preserved=clean)
        return probability_terms(masks, targets=torch.tensor([0]), **scores, present=torch.tensor([True]))

    def published(masks: Tensor, clean: Tensor, deleted: Tensor) -> ObjectiveTerms:
        return published_terms(masks, clean=clean, deleted=deleted)

    assert (deletion_gradient_at_delete_nothing(ours)[:, :2] < 0).all()
    assert not deletion_gradient_at_delete_nothing(published).any()


def test_value_terms_by_hand():
    terms = value_terms(
        torch.full((3, 2, 2), 0.5),
        clean=torch.tensor([5.0, 2.0, 1.0]),
        deleted=torch.tensor([3.0, 1.5, 9.0]),
        preserved=torch.tensor([4.0, 2.5, -9.0]),
        without_image=torch.tensor([1.0, 1.0, 3.0]),
        spread=torch.tensor([2.0, 2.0, 2.0]),
    )
    # Evidence, in units of the spread: 2, 0.5 and none. Deletion leaves 1 of 2, and 0.25 (divided by 1, not by 0.5, so
    # that small evidence is not blown up). Preservation loses 0.5 of 2, and nothing.
    wanted = [(0.5, 1 / 2, 0.5 / 2, 0), (0.5, 0.25, 0, 0), (0.5, 0, 0, 0)]
    for found, expected in zip(rows(terms), wanted, strict=True):
        assert found == pytest.approx(expected)


def test_value_terms_do_not_depend_on_the_unit():
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(6, 2, 2, generator=generator)
    names = ("clean", "deleted", "preserved", "without_image")
    outputs = {name: torch.randn(6, generator=generator) for name in names}
    spread = torch.full((6,), 0.7)
    found = value_terms(masks, **outputs, spread=spread)
    scaled = {name: 1000 * tensor + 40 for name, tensor in outputs.items()}
    other = value_terms(masks, **scaled, spread=1000 * spread)
    torch.testing.assert_close(other.deletion, found.deletion, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(other.preservation, found.preservation, atol=1e-4, rtol=1e-3)


def test_published_terms_are_the_papers_loss_halved():
    masks = torch.rand(4, 3, 3)
    clean, deleted = torch.rand(4), torch.rand(4)
    wanted = (masks.mean(dim=(1, 2)) + 2 * (1 - (deleted - clean) ** 2)).mean() / 2
    torch.testing.assert_close(loss_of(published_terms(masks, clean=clean, deleted=deleted), 0.5), wanted)


@pytest.mark.parametrize("contrastive", [False, True])
def test_embedding_terms_are_the_papers_loss_quartered(contrastive):
    masks = torch.rand(3, 2, 2)
    clean, deleted, preserved = (torch.randn(3, 5) for _ in range(3))
    terms = embedding_terms(masks, clean=clean, deleted=deleted, preserved=preserved, contrastive=contrastive)
    similarity = (clean * preserved).sum(1) / clean.norm(dim=1) / preserved.norm(dim=1)
    wanted = 4 * (1 - similarity) / 2 + masks.mean(dim=(1, 2)) / 2
    if contrastive:
        wanted = wanted + 4 * (1 - cosine_distance(preserved, deleted))
    torch.testing.assert_close(4 * loss_of(terms, 1 / 8), wanted.mean())


def test_cosine_distance_reaches_from_0_to_1():
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    second = torch.tensor([[3.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    assert cosine_distance(first, second).tolist() == [0, 0.5, 1]
