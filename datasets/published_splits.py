"""The splits of the paper, by name, so that its numbers can be compared with."""

from collections.abc import Sequence
from typing import Literal

from sklearn.model_selection import train_test_split

from .dataset import Split
from .errors import InputError

Protocol = Literal["clean", "published"]

_SEED = 42
_HELD_OUT_SHARE = 0.2
_N_EVALUATED = 1000


def published_split(strata: Sequence[str], *, evaluated: str | None, stratified: bool) -> list[Split]:
    """Assign every image as the paper did: 80 % to train, and 1,000 of the held-out ones to test.

    Images of one patient or lesion may lie on both sides: results on this split are optimistic, and serve for
    comparisons with published ones only.

    Args:
        strata: Label of every image, in the order of the published table.
        evaluated: The label that is explained, or None for every one.
        stratified: Whether labels are spread evenly over both sides.

    Returns:
        One split per image. ``test`` are the first 1,000 held-out images (of the label ``evaluated``) in the order of
        the split, or half of them where there are no more; ``val`` is the rest of the held-out ones. Which 1,000 the
        paper took is not published.

    Raises:
        InputError: If there are too few images to be split.

    References:
        Møller et al., NLDL 2025, PMLR 265:184-192.
    """
    places = list(range(len(strata)))
    try:
        _, held_out = train_test_split(
            places, test_size=_HELD_OUT_SHARE, random_state=_SEED, stratify=list(strata) if stratified else None
        )
    except ValueError as error:
        raise InputError(
            f"{len(places)} images are too few for the published split ({error}); take protocol = 'clean'"
        ) from error
    candidates = [place for place in held_out if evaluated is None or strata[place] == evaluated]
    n_test = _N_EVALUATED if len(candidates) > _N_EVALUATED else -(-len(candidates) // 2)
    test = set(candidates[:n_test])
    splits: list[Split] = ["train"] * len(places)
    for place in held_out:
        splits[place] = "test" if place in test else "val"
    return splits
