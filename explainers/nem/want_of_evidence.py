"""Classes that a classifier answers for want of evidence, and the fills amid which they can be asked about anyway.

Of several classes one must win, also where there is nothing to see. Another fill may silence that class by looking like
a different one (noise like a fine pattern, say). Whatever hides the fill then brings the class back, the skin of any
image as well as a lesion, and no map of one image's evidence can be learned from it. A fill *tells* a class if windows
of its images keep at least twice as much of it amid that fill as the same windows of other images do.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from ...datasets import Dataset
from ..blobs import blobs, draw_blob_fields
from ..classifiers import Classifier
from ..fills import FillName, blur_fill, filled, mean_color_fill
from ..memory_layout import to_device
from .batches import load_images
from .objective import blend
from .removal import RemovalName, draw_partners
from .targets import WEAKER_SHARE, target_scores

# Enough for the quartiles of every class that many images show.
_IMAGES = 128
_BATCH = 32
# What fewer images of a class say is left to chance: such a class is asked as ever.
_FEWEST = 5
# Shares of an image that its windows cover, and how often each is drawn.
_SHARES = (0.1, 0.25, 0.5)
_DRAWS = 4
# Not the mean: most windows of other images may hold what speaks for their own class; the others decide.
_QUANTILE = 0.75
# Most that windows of other images may keep of a class, of what those of its own images keep, where a fill tells it.
# Trials had less than 0.2 or more than 0.8 (docs/nemt.md, lesson 23).
_TELLING = 0.5
# What they keep of its probability, all shares together, before a fill is doubted; less is rounding.
_LEAST_KEPT = 0.1


def asked_by_pattern(
    classifier: Classifier,
    dataset: Dataset,
    names: Sequence[RemovalName],
    *,
    indices: Sequence[int],
    progress: bool = False,
) -> Tensor:
    """Which classes are to be asked about with patterns, in the place of which removals.

    Args:
        classifier: A multiclass classifier.
        dataset: Images of one size; labels are not read.
        names: Removals.
        indices: Positions of the images to choose from, those that come more than once with better chances; up to 128
            different ones are looked at.
        progress: Whether to show a progress bar.

    Returns:
        bool (K, R), on the classifier's device: whether class k is one that mean colour or blur leaves in most of the
        images, and removal r is another image or a fill that does not tell it.
    """
    found = _Found()
    fills: list[FillName] = [name for name in dict.fromkeys(names) if name != "other"]
    generator = torch.Generator().manual_seed(0)
    shuffled = [indices[place] for place in torch.randperm(len(indices), generator=generator).tolist()]
    order = list(dict.fromkeys(shuffled))[:_IMAGES]  # a second look at an image says nothing new
    batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
    for batch in tqdm(batches, desc="looking for want of evidence", unit="batch", disable=not progress):
        images = load_images(dataset, batch).to(classifier.device)
        _look(classifier, images, fills=fills, found=found, generator=generator)
    return torch.tensor(
        [
            [found.is_left(target) and not (name in fills and found.tells(target, name)) for name in names]
            for target in range(len(classifier.output_names))
        ]
    ).to(classifier.device)


def named_removals(
    by_pattern: Tensor, *, classes: Sequence[str], removals: Sequence[RemovalName]
) -> dict[str, list[RemovalName]]:
    """What `asked_by_pattern` found, in words.

    Args:
        by_pattern: bool (K, R).
        classes: K names.
        removals: R names; one that comes twice is named once.

    Returns:
        Of every class that is asked about with patterns the removals that give way.
    """
    rows = zip(classes, by_pattern.tolist(), strict=True)
    asked = {name: [removal for removal, is_asked in zip(removals, row, strict=True) if is_asked] for name, row in rows}
    return {name: list(dict.fromkeys(chosen)) for name, chosen in asked.items() if chosen}


class _Found:
    """What was found about each class."""

    def __init__(self) -> None:
        self.left: dict[int, list[bool]] = defaultdict(list)
        # Of a class, a fill and a share: what windows of its images keep, and what those of other images do.
        self.kept: dict[tuple[int, str, float], list[tuple[float, float]]] = defaultdict(list)

    def is_left(self, target: int) -> bool:
        """Whether mean colour or blur leaves the class in most of its images."""
        left = self.left[target]
        return len(left) >= _FEWEST and sum(left) > len(left) / 2

    def tells(self, target: int, name: str) -> bool:
        """Whether a fill tells a class that is left, or nothing shows that it does not."""
        kept = [self.kept[target, name, share] for share in _SHARES]
        if not all(kept):  # no image could be compared with another
            return True
        quartiles = [torch.quantile(torch.tensor(pairs), _QUANTILE, dim=0) for pairs in kept]
        own, other = torch.stack(quartiles).sum(dim=0)
        return bool(other <= max(_LEAST_KEPT, _TELLING * float(own)))


def _look(
    classifier: Classifier, images: Tensor, *, fills: Sequence[FillName], found: _Found, generator: torch.Generator
) -> None:
    """Ask about one batch, each image about the class that is predicted."""
    scores = _scores(classifier, images)
    targets = scores.argmax(dim=1)
    weak = WEAKER_SHARE * target_scores(scores, targets)
    mean_color = mean_color_fill(images[:1], classifier.mean)
    by_mean = target_scores(_scores(classifier, mean_color).expand_as(scores), targets)
    by_blur = target_scores(_scores(classifier, blur_fill(images).clamp_(0, 1)), targets)
    is_left = torch.maximum(by_mean, by_blur) > weak
    for target, left in zip(targets.tolist(), is_left.tolist(), strict=True):
        found.left[target].append(left)
    weaker = weak[:, None] >= scores[:, targets].T
    partners = draw_partners(weaker, generator)
    rows = torch.nonzero(is_left & weaker.any(dim=1))[:, 0]
    if not len(rows):
        return
    own, others, targets = images[rows], images[partners[rows]], targets[rows]
    seeds: list[int] = torch.randint(2**31, (len(rows),), generator=generator).tolist()
    filled_images = {name: filled(own, fill=name, mean_color=classifier.mean, seeds=seeds) for name in fills}
    for share in _SHARES * _DRAWS:
        fields = draw_blob_fields(len(rows), generator=generator).to(own.device)
        shares = torch.full((len(rows),), share, device=own.device)
        keep = blobs(fields, shares=shares, size=(own.shape[-2], own.shape[-1]))[:, 0].float()
        for name, fill in filled_images.items():
            by_own, by_others = (
                target_scores(_scores(classifier, blend(whose, fill, keep)), targets).tolist()
                for whose in (own, others)
            )
            pairs = zip(by_own, by_others, strict=True)
            for target, pair in zip(targets.tolist(), pairs, strict=True):
                found.kept[target, name, share].append(pair)


def _scores(classifier: Classifier, images: Tensor) -> Tensor:
    """Probabilities (B, K) of images (B, C, H, W)."""
    with torch.no_grad():
        return classifier.scores(to_device(images, images.device, learns=False)).float()
