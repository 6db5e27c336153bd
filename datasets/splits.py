"""Deterministic splits: stratified, and never with one group on both sides."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from .dataset import Split
from .errors import InputError

FRACTIONS: Mapping[Split, float] = {"train": 0.7, "val": 0.1, "test": 0.2}
"""Share of the samples in each split."""


def check_split(split: str, *, dataset: str) -> None:
    """Refuse a name that is no split.

    Raises:
        InputError: With the names that exist.
    """
    if split not in (*FRACTIONS, "all"):
        raise InputError(f"split {split!r} of {dataset}; wanted {', '.join(FRACTIONS)} or all")


def assign_splits(strata: Sequence[str], *, groups: Sequence[str], seed: int) -> list[Split]:
    """Assign every sample to train, val or test.

    The order of the samples does not matter, only their strata and groups. In every stratum the number of samples in a
    split differs from its share by about one group; what is missing is carried over to the next stratum, so that many
    small strata still add up to the right share.

    Args:
        strata: What is to be spread evenly, per sample: its label.
        groups: What must stay together, per sample: its lesion, its patient, or an identifier of its own. A group
            with samples of several strata counts for the one that is most frequent in it.
        seed: Seed of the assignment.

    Returns:
        One split per sample.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    groups_of: dict[str, list[str]] = defaultdict(list)
    for group, indices in members.items():
        labels = [strata[index] for index in indices]
        groups_of[min(labels, key=lambda label: (-labels.count(label), label))].append(group)

    splits: list[Split] = ["train"] * len(strata)
    wanted = dict.fromkeys(FRACTIONS, 0.0)
    for stratum in sorted(groups_of):
        # A hash and not a generator decides the order: the same with every version of every library.
        order = sorted(groups_of[stratum], key=lambda group: _place(seed, group))
        # Large groups first, while there is still room for them in every split.
        order.sort(key=lambda group: -len(members[group]))
        for split, fraction in FRACTIONS.items():
            wanted[split] += fraction * sum(len(members[group]) for group in order)
        for group in order:
            chosen = max(wanted, key=lambda split: wanted[split])
            wanted[chosen] -= len(members[group])
            for index in members[group]:
                splits[index] = chosen
    return splits


def _place(seed: int, group: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{group}".encode(), digest_size=8).digest()
