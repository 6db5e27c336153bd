"""Classes that a classifier answers for want of evidence, and fills amid which they can be asked about."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from xaibench.datasets import Task
from xaibench.explainers import Classifier
from xaibench.explainers.fills import blur_fill
from xaibench.explainers.nem import want_of_evidence
from xaibench.explainers.nem.want_of_evidence import asked_by_pattern

NAMES = ("mean", "blur", "noise", "other")
SIDE, CORNER = 24, 10


class Rough(torch.nn.Module):
    """Class 1 grows with contrast between neighbours, class 0 with how blue the image is; it wins where neither is."""

    def __init__(self, *, blueness: float, bias: float = 4.0) -> None:
        super().__init__()
        self.blueness, self.bias = blueness, bias

    def forward(self, images: Tensor) -> Tensor:
        contrast = images.diff(dim=-1).abs().mean(dim=(1, 2, 3))
        blue = (images[:, 2] - images[:, 0]).mean(dim=(1, 2))
        never = torch.full_like(contrast, -9.0)
        return torch.stack([self.bias + self.blueness * blue, 200 * contrast, never], dim=1)


class Images:
    """Plain images, a little blue, and as many with stripes in a corner."""

    def __init__(self, n_images: int = 40) -> None:
        self.n_images = n_images

    def __len__(self) -> int:
        return self.n_images

    def __getitem__(self, index: int) -> SimpleNamespace:
        image = torch.full((3, SIDE, SIDE), 0.5)
        if index % 2:
            image[:, :CORNER, :CORNER] += 0.4 * (-1.0) ** torch.arange(CORNER)
        else:
            image[2] += 0.2
        return SimpleNamespace(image=image)


def classifier_of(module: torch.nn.Module, *names: str, mean: float = 0.5) -> Classifier:
    return Classifier(module, task=Task.MULTICLASS, output_names=names, mean=(mean,) * 3, std=(1.0,) * 3)


def asked(module: torch.nn.Module, *, indices=range(40)) -> dict[str, list[bool]]:
    classifier = classifier_of(module, "plain", "rough", "never")
    return dict(zip(NAMES, asked_by_pattern(classifier, Images(), NAMES, indices=indices).T.tolist(), strict=True))


def test_what_any_image_keeps_is_not_told_by_a_fill():
    """Amid noise the class that is answered for want of evidence comes back where anything smooth hides the noise."""
    module = Rough(blueness=0.0, bias=22.0)
    assert asked(module) == {name: [True, False, False] for name in NAMES}


def test_a_fill_amid_which_its_own_images_alone_keep_the_class_tells_it():
    found = asked(Rough(blueness=200.0))
    assert found["noise"] == [False, False, False]
    # Mean colour leaves the class, whatever is kept of any image.
    assert found["mean"] == found["blur"] == found["other"] == [True, False, False]


class Directions(torch.nn.Module):
    """Class 0 grows with contrast across, class 1 with contrast along; class 2 wins where neither is."""

    def forward(self, images: Tensor) -> Tensor:
        across, along = (images.diff(dim=dim).abs().mean(dim=(1, 2, 3)) for dim in (-1, -2))
        return torch.stack([200 * across, 200 * along, torch.full_like(along, 4.0)], dim=1)


def test_classes_that_no_plain_fill_leaves_are_asked_as_ever():
    class Stripes(Images):
        def __getitem__(self, index):
            image = super().__getitem__(1).image
            return SimpleNamespace(image=image.mT if index % 2 else image)

    classifier = classifier_of(Directions(), "across", "along", "nothing")
    both = torch.stack([Stripes()[0].image, Stripes()[1].image])
    assert sorted(classifier.scores(both).argmax(dim=1).tolist()) == [0, 1]
    assert not asked_by_pattern(classifier, Stripes(), NAMES, indices=range(40)).any()


def test_blur_alone_may_leave_a_class():
    found = asked(Rough(blueness=200.0, bias=-12.0))  # what is blurred is blue as before, mean colour is not
    assert {name: classes[0] for name, classes in found.items()} == {
        "mean": False,
        "blur": True,
        "noise": False,
        "other": True,
    }


class DimOrNothing(torch.nn.Module):
    """Class 1 is dimness without contrast; class 0 wins where there is none."""

    def forward(self, images: Tensor) -> Tensor:
        contrast = images.diff(dim=-1).abs().mean(dim=(1, 2, 3))
        return torch.stack([torch.full_like(contrast, 4.0), 60 * (-images.mean(dim=(1, 2, 3)) - contrast)], dim=1)


def test_mean_colour_alone_may_leave_a_class():
    class Stripes(Images):
        def __getitem__(self, _index):
            return SimpleNamespace(image=torch.tensor([0.5, 1.0]).repeat(8).expand(3, 16, 16))

    classifier = classifier_of(DimOrNothing(), "nothing", "dim", mean=0.9)
    image = Stripes()[0].image[None]
    assert classifier.scores(image).argmax() == 0
    assert classifier.scores(blur_fill(image)).argmax() == 1
    assert asked_by_pattern(classifier, Stripes(), ["other"], indices=range(40)).tolist() == [[True], [False]]


def test_images_without_a_partner_in_their_batch_are_not_compared(monkeypatch):
    monkeypatch.setattr(want_of_evidence, "_BATCH", 2)  # about every fourth has two plain images
    assert asked(Rough(blueness=200.0))["noise"] == [False, False, False]


def test_without_an_image_of_another_class_no_fill_is_doubted():
    plain = range(0, 40, 2)
    found = asked(Rough(blueness=0.0, bias=22.0), indices=plain)
    assert found == {name: [name == "other", False, False] for name in NAMES}


def test_of_a_class_with_few_images_nothing_is_said():
    assert asked(Rough(blueness=200.0), indices=[0, 2, 4, 6, 8, *range(1, 40, 2)])["other"] == [True, False, False]
    assert asked(Rough(blueness=200.0), indices=[0, 2, 4, 6, *range(1, 40, 2)])["other"] == [False, False, False]


def test_an_image_that_comes_more_than_once_is_looked_at_once():
    few = [0, 2, 4, 6] * 9
    assert asked(Rough(blueness=200.0), indices=[*few, *range(1, 40, 2)])["other"] == [False, False, False]


@pytest.mark.parametrize(
    ("own", "other", "tells"),
    [
        # The upper quartile lies at the seventh of nine numbers.
        ([0.8] * 9, [0.0] * 7 + [0.8] * 2, True),
        ([0.8] * 9, [0.0] * 6 + [0.8] * 3, False),
        ([0.0] * 6 + [0.8] * 3, [0.0] * 9, True),
        ([0.0] * 7 + [0.8] * 2, [0.2] * 9, False),
        # Half of it is the limit.
        ([0.8] * 9, [0.39] * 9, True),
        ([0.8] * 9, [0.41] * 9, False),
        # What nothing keeps is not to be doubted, however the rounding goes.
        ([0.0] * 9, [0.01] * 9, True),
        ([0.0] * 9, [0.1] * 9, False),
    ],
)
def test_a_fill_tells_a_class_that_others_keep_less_than_half_of(own, other, tells):
    found = want_of_evidence._Found()
    for share in want_of_evidence._SHARES:
        found.kept[1, "noise", share] += zip(own, other, strict=True)
    assert found.tells(1, "noise") == tells
    # Of other classes and fills nothing is known.
    assert found.tells(0, "noise")
    assert found.tells(1, "mean")


def test_every_share_counts():
    found = want_of_evidence._Found()
    for share, own, other in zip(want_of_evidence._SHARES, (0.1, 0.3, 0.8), (0.1, 0.3, 0.1), strict=True):
        found.kept[0, "noise", share].append((own, other))
    assert found.tells(0, "noise")  # 0.5 of 1.2
    found.kept[0, "noise", want_of_evidence._SHARES[2]].append((0.8, 0.5))
    assert not found.tells(0, "noise")


@pytest.mark.parametrize(("n_left", "is_left"), [(5, False), (6, True)])
def test_most_images_decide_whether_a_class_is_left(n_left, is_left):
    found = want_of_evidence._Found()
    found.left[0] += [True] * n_left + [False] * (10 - n_left)
    assert found.is_left(0) == is_left


def test_names_that_come_twice_have_a_column_each():
    classifier = classifier_of(Rough(blueness=200.0), "plain", "rough", "never")
    names = ("noise", "mean", "noise", "other")
    assert asked_by_pattern(classifier, Images(), names, indices=range(40))[0].tolist() == [False, True, False, True]


def test_no_more_images_are_looked_at_than_are_needed(monkeypatch):
    monkeypatch.setattr(want_of_evidence, "_IMAGES", 6)
    seen = set()

    class Watched(Images):
        def __getitem__(self, index):
            seen.add(index)
            return super().__getitem__(index)

    classifier = classifier_of(Rough(blueness=200.0), "plain", "rough", "never")
    first = asked_by_pattern(classifier, Watched(), NAMES, indices=range(10, 40))
    assert len(seen) == 6
    assert min(seen) >= 10
    assert torch.equal(asked_by_pattern(classifier, Watched(), NAMES, indices=range(10, 40)), first)
    assert len(seen) == 6


def test_the_classifier_is_asked_without_gradients():
    module, modes = Rough(blueness=200.0), []
    module.register_forward_pre_hook(lambda *_: modes.append(torch.is_grad_enabled()))
    asked(module)
    assert len(modes) > 24  # windows of own and other images
    assert not any(modes)
