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
SIDE, CORNER = 24, 6


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


def asked(module: torch.nn.Module, *, n_images: int = 40, names=NAMES) -> dict[str, list[bool]]:
    classifier = Classifier(
        module, task=Task.MULTICLASS, output_names=["plain", "rough", "never"], mean=(0.5,) * 3, std=(1.0,) * 3
    )
    return dict(zip(names, asked_by_pattern(classifier, Images(n_images), names).T.tolist(), strict=True))


def test_what_any_image_keeps_is_not_told_by_a_fill():
    """Amid noise the class that is answered for want of evidence comes back where anything smooth hides the noise."""
    module = Rough(blueness=0.0, bias=14.0)
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

    classifier = Classifier(
        Directions(), task=Task.MULTICLASS, output_names=["a", "b", "nothing"], mean=(0.5,) * 3, std=(1.0,) * 3
    )
    assert set(classifier.scores(torch.stack([Stripes()[0].image, Stripes()[1].image])).argmax(dim=1).tolist()) == {
        0,
        1,
    }
    assert not asked_by_pattern(classifier, Stripes(), NAMES).any()


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

    classifier = Classifier(
        DimOrNothing(), task=Task.MULTICLASS, output_names=["nothing", "dim"], mean=(0.9,) * 3, std=(1.0,) * 3
    )
    image = Stripes()[0].image[None]
    assert classifier.scores(image).argmax() == 0
    assert classifier.scores(blur_fill(image)).argmax() == 1
    assert asked_by_pattern(classifier, Stripes(), ["other"]).tolist() == [[True], [False]]


def test_images_without_a_partner_in_their_batch_are_not_compared(monkeypatch):
    monkeypatch.setattr(want_of_evidence, "_BATCH", 2)  # about every fourth has two plain images
    assert asked(Rough(blueness=200.0))["noise"] == [False, False, False]


def test_without_another_image_nothing_is_told():
    assert asked(Rough(blueness=200.0), n_images=1) == {name: [True, False, False] for name in NAMES}


def test_names_that_come_twice_have_a_column_each():
    names = ("noise", "mean", "noise", "other")
    classifier = Classifier(
        Rough(blueness=200.0), task=Task.MULTICLASS, output_names=["plain", "rough", "never"], mean=(0.5,), std=(1.0,)
    )
    assert asked_by_pattern(classifier, Images(), names)[0].tolist() == [False, True, False, True]


def test_no_more_images_are_looked_at_than_are_needed(monkeypatch):
    monkeypatch.setattr(want_of_evidence, "_IMAGES", 6)
    seen = set()

    class Watched(Images):
        def __getitem__(self, index):
            seen.add(index)
            return super().__getitem__(index)

    classifier = Classifier(
        Rough(blueness=200.0), task=Task.MULTICLASS, output_names=["plain", "rough", "never"], mean=(0.5,), std=(1.0,)
    )
    first = asked_by_pattern(classifier, Watched(), NAMES)
    assert len(seen) == 6
    assert torch.equal(asked_by_pattern(classifier, Watched(), NAMES), first)
    assert len(seen) == 6


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_no_gradient_reaches_the_classifier(share, make_classifier, make_blobs, monkeypatch):
    monkeypatch.setattr(want_of_evidence, "_SHARES", (share,))
    classifier = make_classifier()
    asked_by_pattern(classifier, make_blobs(n_images=8), NAMES)
    assert all(parameter.grad is None for parameter in classifier.parameters())
