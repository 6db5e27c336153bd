"""Splits: stratified, grouped, and the same everywhere."""

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaibench.datasets import InputError
from xaibench.datasets.splits import FRACTIONS, assign_splits, check_split

rows = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), min_size=1, max_size=120)


@given(rows=rows, seed=st.integers(0, 1000))
def test_no_group_lies_in_two_splits_and_the_order_of_rows_does_not_matter(rows, seed):
    strata, groups = [row[0] for row in rows], [str(row[1]) for row in rows]
    splits = assign_splits(strata, groups=groups, seed=seed)
    homes = collections.defaultdict(set)
    for group, split in zip(groups, splits, strict=True):
        homes[group].add(split)
    assert all(len(home) == 1 for home in homes.values())
    backwards = assign_splits(strata[::-1], groups=groups[::-1], seed=seed)
    assert backwards[::-1] == splits


@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=6), group_size=st.integers(1, 3), seed=st.integers(0, 9)
)
def test_every_stratum_is_split_by_the_fractions(sizes, group_size, seed):
    strata = [str(label) for label, size in enumerate(sizes) for _ in range(size)]
    groups = [f"{label}-{place // group_size}" for label, size in enumerate(sizes) for place in range(size)]
    splits = assign_splits(strata, groups=groups, seed=seed)
    for label, size in enumerate(sizes):
        counts = collections.Counter(
            split for stratum, split in zip(strata, splits, strict=True) if stratum == str(label)
        )
        for split, fraction in FRACTIONS.items():
            # About one group is left over, and what the stratum before left over is added.
            assert abs(counts[split] - fraction * size) <= 2 * group_size


def test_many_strata_of_one_sample_still_fill_every_split():
    names = [str(index) for index in range(200)]
    counts = collections.Counter(assign_splits(names, groups=names, seed=0))
    assert counts == {"train": 140, "val": 20, "test": 40}


def test_the_seed_decides_and_repeats():
    names = [str(index) for index in range(100)]
    first, again, other = (assign_splits(["x"] * 100, groups=names, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    # A golden number: the assignment must never change under a stored result.
    assert [name for name, split in zip(names, first, strict=True) if split == "val"] == VAL_OF_SEED_0


VAL_OF_SEED_0 = ["0", "2", "10", "17", "43", "58", "71", "76", "86", "95"]


@pytest.mark.parametrize("seed", range(5))
def test_a_group_of_several_strata_counts_for_its_most_frequent_one(seed):
    strata = ["a", "b", "b"] * 50 + ["a", "c", "c"] * 50
    splits = assign_splits(strata, groups=[str(index // 3) for index in range(300)], seed=seed)
    for label in "bc":
        counts = collections.Counter(split for stratum, split in zip(strata, splits, strict=True) if stratum == label)
        for split, share in FRACTIONS.items():
            assert abs(counts[split] - 100 * share) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_a_large_group_finds_its_place_before_the_small_ones(seed):
    groups = ["large"] * 20 + [str(index) for index in range(30)]
    assert collections.Counter(assign_splits(["x"] * 50, groups=groups, seed=seed)) == {
        "train": 35,
        "val": 5,
        "test": 10,
    }


def test_an_unknown_split_is_refused():
    check_split("all", dataset="x")
    with pytest.raises(InputError, match=r"'trian' of ham.*train, val, test or all"):
        check_split("trian", dataset="ham")
