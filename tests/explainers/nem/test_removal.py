"""What removed pixels become in training."""

import pytest
import torch

from xaibench.explainers.fills import image_mean_fill
from xaibench.explainers.nem.removal import draw_removals

MEAN = torch.full((1, 3, 1, 1), 0.5)


def images_of(n: int) -> torch.Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def draw(images, names, **how):
    return draw_with_names(images, names, **how)[0]


def draw_with_names(images, names, *, weaker=None, silences=None, seed=0):
    weaker = torch.zeros(len(images), len(images), dtype=torch.bool) if weaker is None else weaker
    silences = silences or (lambda _fills, own: torch.ones_like(own, dtype=torch.bool))
    generator = torch.Generator().manual_seed(seed)
    return draw_removals(images, names=names, mean_color=MEAN, weaker=weaker, silences=silences, generator=generator)


def test_names_are_drawn_per_image_and_evenly():
    images = images_of(400)
    fill = draw(images, ("mean", "image_mean", "noise", "noise"))
    assert fill.shape == images.shape
    is_mean = (fill == 0.5).flatten(1).all(dim=1)
    is_own_mean = (fill == image_mean_fill(images)).flatten(1).all(dim=1)
    assert int(is_mean.sum()) == pytest.approx(100, abs=30)
    assert int(is_own_mean.sum()) == pytest.approx(100, abs=30)
    noisy = fill[~is_mean & ~is_own_mean]
    assert float(noisy.std()) == pytest.approx(0.1, abs=0.01)


def test_other_is_an_image_in_which_the_target_is_weaker():
    images = images_of(4)
    weaker = torch.tensor([[0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]], dtype=torch.bool)
    partners = set()
    for seed in range(30):
        fill = draw(images, ("other",), weaker=weaker, seed=seed)
        partners.add(next(i for i in range(4) if torch.equal(fill[0], images[i])))
        assert torch.equal(fill[1], torch.full((3, 16, 16), 0.5))  # there is none: mean colour
        assert torch.equal(fill[2], images[3])
        assert torch.equal(fill[3], images[0])
    assert partners == {1, 2}


def test_another_image_takes_the_place_of_a_fill_that_leaves_the_target():
    images = images_of(4)
    weaker = torch.ones(4, 4, dtype=torch.bool).triu(diagonal=1)
    silenced = torch.tensor([True, False, False, False])
    # A seed that draws the mean colour for all, of which two leave the target of their image and have a partner.
    names = ("mean",) * 400 + ("other",)
    fill = draw(images, names, weaker=weaker, silences=lambda _fills, _own: silenced)
    mean = torch.full((3, 16, 16), 0.5)
    assert torch.equal(fill[0], mean)
    assert any(torch.equal(fill[1], images[partner]) for partner in (2, 3))
    assert torch.equal(fill[2], images[3])
    assert torch.equal(fill[3], mean)
    # Who wants no other images gets none.
    alone = draw(images, ("mean",), weaker=weaker, silences=lambda _fills, _own: silenced)
    assert torch.equal(alone, mean.expand(4, 3, 16, 16))


def test_each_image_is_told_what_it_got():
    images, names = images_of(40), ("image_mean", "mean", "other", "mean")
    weaker = torch.zeros(40, 40, dtype=torch.bool)
    weaker[:20] = ~torch.eye(40, dtype=torch.bool)[:20]  # the others find no partner
    silenced = torch.arange(40) % 2 == 0
    fill, drawn = draw_with_names(images, names, weaker=weaker, silences=lambda _fills, _own: silenced)
    is_other = torch.tensor([any(torch.equal(one, image) for image in images) for one in fill])
    assert torch.equal(is_other[:20], drawn[:20] == 2)
    assert is_other[:20][~silenced[:20]].all()
    assert not is_other[20:].any()
    is_mean = (fill == 0.5).flatten(1).all(dim=1)
    named_mean = (drawn == 1) | (drawn == 3) | ((drawn == 2) & ~is_other)
    assert torch.equal(is_mean, named_mean)
    assert torch.equal((fill == image_mean_fill(images)).flatten(1).all(dim=1), drawn == 0)
    assert set(drawn.tolist()) == {0, 1, 2, 3}
    # Where no image takes the place of a fill, names are those that were drawn.
    alone, names_alone = draw_with_names(images, ("image_mean", "mean"))
    assert torch.equal((alone == 0.5).flatten(1).all(dim=1), names_alone == 1)


def test_the_classifier_is_asked_about_every_fill_once():
    images, names = images_of(40), ("mean", "blur", "noise", "other")
    asked = {}

    def silences(fills, own):
        asked.update(fills=fills, own=own)
        return torch.ones_like(own, dtype=torch.bool)

    # Nobody has a partner, so that all keep the plain fill which was asked about.
    fill = draw(images, names, silences=silences)
    assert torch.equal(asked["fills"][asked["own"]], fill)
    is_mean = (fill == 0.5).flatten(1).all(dim=1)
    assert 10 < int(is_mean.sum()) < 30
    assert len(asked["fills"]) == 1 + int((~is_mean).sum())


def test_the_generator_decides():
    images, names = images_of(6), ("mean", "blur", "noise")
    assert torch.equal(draw(images, names, seed=3), draw(images, names, seed=3))
    assert not torch.equal(draw(images, names, seed=3), draw(images, names, seed=4))
