"""Which findings the images of synthetic_radiographs have."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

import numpy as np

from ..catalog import closest_match
from ..errors import InputError
from ..sample import Task
from .findings import FINDINGS

RadiographTask = Literal["pathology", "findings", "severity"]
Purpose = Literal["scene", "order", "findings", "drawing", "shortcut"]

NO_FINDING = "no_finding"
"""The class of images without any finding. Nothing in the image is its evidence: it has no region."""

_TASKS: Mapping[str, Task] = MappingProxyType(
    {"pathology": Task.MULTICLASS, "findings": Task.MULTILABEL, "severity": Task.REGRESSION}
)
# The numbers are part of the generator's version.
_PURPOSES: Mapping[str, int] = MappingProxyType({"scene": 0, "order": 1, "findings": 2, "drawing": 3, "shortcut": 4})
_MOST_FINDINGS = 3
_MOST_OPACITIES = 4
_EFFUSION_SHARE = 0.35


@dataclass(frozen=True, kw_only=True)
class CaseMix:
    """What the images of a split show, without drawing any of them.

    Attributes:
        task: What is asked.
        finding_types: Findings to draw, each about equally often.
        normals: Whether there are images without a finding.
        seed: Seed of every image.
        stream: Number of the split.
    """

    task: RadiographTask
    finding_types: tuple[str, ...]
    normals: bool
    seed: int
    stream: int

    @property
    def outputs_task(self) -> Task:
        """What the outputs mean."""
        return _TASKS[self.task]

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs."""
        if self.task == "severity":
            return ("severity",)
        return (NO_FINDING, *self.finding_types) if self.task == "pathology" and self.normals else self.finding_types

    def names_of(self, index: int) -> tuple[str, ...]:
        """Findings of one image; opacities may come several times."""
        rng = self.generator("findings", index)
        if self.task == "pathology":
            (name,) = self._in_turn(index, self.output_names, rng, number=1)
            return () if name == NO_FINDING else (name,)
        fewest = 0 if self.normals else 1
        if self.task == "findings":
            number = int(rng.integers(fewest, min(_MOST_FINDINGS, len(self.finding_types)) + 1))
            return self._in_turn(index, self.finding_types, rng, number=number)
        number, with_effusion = int(rng.integers(fewest, _MOST_OPACITIES + 1)), rng.random() < _EFFUSION_SHARE
        effusions = min(number, int(with_effusion))
        return ("consolidation",) * (number - effusions) + ("effusion",) * effusions

    def generator(self, purpose: Purpose, number: int) -> np.random.Generator:
        """Source of randomness for one purpose: what is drawn for one changes nothing for another."""
        return _generator(self.seed, self.stream, _PURPOSES[purpose], number)

    def _in_turn(self, index: int, names: tuple[str, ...], rng: np.random.Generator, *, number: int) -> tuple[str, ...]:
        # Each block of as many images as there are names begins with every name once; others follow at random.
        block, place = divmod(index, len(names))
        first = names[_order(self.seed, self.stream, block, len(names))[place]]
        others = [name for name in names if name != first]
        return (first, *rng.permutation(others).tolist())[:number]


def make_mix(
    task: RadiographTask, *, finding_types: tuple[str, ...], normals: bool | None, seed: int, stream: int
) -> CaseMix:
    """Check what a user wants to see.

    Args:
        task: ``pathology``, ``findings`` or ``severity``.
        finding_types: Findings to draw.
        normals: Whether there are images without a finding; None: yes, except for severity.
        seed: Seed of every image.
        stream: Number of the split.

    Raises:
        InputError: For an unknown name, or fewer than two outputs to tell apart.
    """
    if task not in _TASKS:
        raise InputError(f"task {task!r} of synthetic_radiographs; {closest_match(task, list(_TASKS))}")
    for name in finding_types:
        if name not in FINDINGS:
            raise InputError(f"unknown finding {name!r}; {closest_match(name, list(FINDINGS))}")
    if len(set(finding_types)) != len(finding_types) or not finding_types:
        raise InputError(f"finding_types are {list(finding_types)}; wanted at least one finding and none twice")
    if task == "severity" and finding_types != FINDINGS:
        raise InputError(
            f"finding_types are {list(finding_types)}; severity is the share of lung that consolidations and effusions "
            "affect, leave finding_types away"
        )
    mix = CaseMix(
        task=task,
        finding_types=finding_types,
        normals=task != "severity" if normals is None else normals,
        seed=seed,
        stream=stream,
    )
    if task == "pathology" and len(mix.output_names) < 2:
        raise InputError(f"outputs are {list(mix.output_names)}; wanted two at least, add a finding or normals = true")
    return mix


@lru_cache(maxsize=1024)
def _order(seed: int, stream: int, block: int, n_names: int) -> tuple[int, ...]:
    return tuple(_generator(seed, stream, _PURPOSES["order"], block).permutation(n_names).tolist())


def _generator(seed: int, stream: int, purpose: int, number: int) -> np.random.Generator:
    # A spawn key, other than a list of numbers as seed, cannot collide with another one.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream, purpose, number))))
