"""What lesions an image of synthetic_lesions has: how many, of which types and sizes."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from .catalog import closest_match
from .errors import InputError
from .lesion_textures import TEXTURES
from .sample import Task

LesionTask = Literal["multiclass", "multilabel", "severity"]

MOST_LESIONS = 4
"""Lesions in one image at most; more find no place beside each other."""

LARGEST_COVER = 0.25
"""Share of the image that all lesions together may cover; the unit of severity."""


@dataclass(frozen=True, kw_only=True)
class _Usual:
    n_lesions: tuple[int, int]
    area: tuple[float, float]


_USUAL: Mapping[str, _Usual] = MappingProxyType(
    {
        "multiclass": _Usual(n_lesions=(1, 1), area=(0.08, 0.22)),
        "multilabel": _Usual(n_lesions=(1, 2), area=(0.05, 0.11)),
        "severity": _Usual(n_lesions=(1, 3), area=(0.015, 0.08)),
    }
)


@dataclass(frozen=True, kw_only=True)
class LesionPlan:
    """How many lesions of which types and sizes images have.

    Attributes:
        task: What is asked about them.
        lesion_types: Types to draw, each about equally often.
        n_lesions: Fewest and most lesions of an image, each number equally often.
        area_scale: Factor on the areas that are usual for the task.
    """

    task: LesionTask
    lesion_types: tuple[str, ...]
    n_lesions: tuple[int, int]
    area_scale: float = 1.0

    @property
    def area(self) -> tuple[float, float]:
        """Smallest and largest share of the image that one lesion covers."""
        low, high = _USUAL[self.task].area
        return low * self.area_scale, high * self.area_scale

    @property
    def outputs_task(self) -> Task:
        """What the outputs mean."""
        return Task.REGRESSION if self.task == "severity" else Task(self.task)

    @property
    def unusual(self) -> dict[str, Any]:
        """Settings that differ from what is usual for the task; the usual ones are part of the generator's version."""
        settings: dict[str, Any] = {}
        if self.n_lesions != _USUAL[self.task].n_lesions:
            settings["n_lesions"] = list(self.n_lesions)
        if self.area_scale != 1.0:
            settings["area_scale"] = self.area_scale
        return settings

    def types_of(self, order: tuple[int, ...], *, place: int, draws: tuple[float, float]) -> tuple[str, ...]:
        """Types of the lesions of one image.

        Args:
            order: The types in the order in which their turn comes.
            place: Whose turn it is.
            draws: Two uniform draws: how many lesions, and which types beside the first.
        """
        low, high = self.n_lesions
        number = high - int(draws[0] * (high - low + 1))
        if self.task == "multiclass":
            return (self.lesion_types[order[place]],) * number
        # The others follow one after another from a random start, so that types differ as long as there are any.
        others = [(place + 1 + step) % len(order) for step in range(len(order) - 1)]
        start = int(draws[1] * len(others))
        turns = [place, *others[start:], *others[:start]]
        return tuple(self.lesion_types[order[turns[number_before % len(turns)]]] for number_before in range(number))


def make_plan(
    task: LesionTask, *, lesion_types: tuple[str, ...], n_lesions: tuple[int, int] | None, area_scale: float
) -> LesionPlan:
    """Check what a user wants to see.

    Args:
        task: ``multiclass``, ``multilabel`` or ``severity``.
        lesion_types: Names of textures.
        n_lesions: Fewest and most lesions of an image; None for what is usual for the task.
        area_scale: Factor on the usual areas, > 0.

    Raises:
        InputError: For an unknown name, or lesions that do not fit into an image.
    """
    if task not in _USUAL:
        raise InputError(f"task {task!r} of synthetic_lesions; {closest_match(task, list(_USUAL))}")
    for name in lesion_types:
        if name not in TEXTURES:
            raise InputError(f"unknown lesion type {name!r}; {closest_match(name, list(TEXTURES))}")
    if len(set(lesion_types)) != len(lesion_types) or len(lesion_types) < 2:
        raise InputError(f"lesion_types are {list(lesion_types)}; wanted at least two different types")
    low, high = _USUAL[task].n_lesions if n_lesions is None else n_lesions
    fewest = 1 if task == "multiclass" else 0
    most = min(MOST_LESIONS, len(lesion_types)) if task == "multilabel" else MOST_LESIONS
    if not fewest <= low <= high <= most or high < 1:
        raise InputError(
            f"n_lesions is {[low, high]}; wanted the fewest and the most lesions of an image, "
            f"from {fewest} to {most} for task {task!r} with {len(lesion_types)} types"
        )
    if area_scale <= 0:
        raise InputError(f"area_scale is {area_scale}; wanted a factor above 0")
    plan = LesionPlan(task=task, lesion_types=lesion_types, n_lesions=(low, high), area_scale=area_scale)
    cover = high * plan.area[1]
    if cover > LARGEST_COVER:
        raise InputError(
            f"{high} lesions of up to {plan.area[1]:.3f} of the image would cover {cover:.2f} of it; "
            f"wanted at most {LARGEST_COVER}, lower area_scale to {LARGEST_COVER / cover * area_scale:.2f}"
        )
    return plan
