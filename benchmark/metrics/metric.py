"""The one interface of every metric."""

from abc import ABC, abstractmethod
from importlib.metadata import version
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from ...datasets import CaseBatch, InputError
from ..prepare import PreparedAttribution
from ..rows import Status
from .context import ScoringContext

Need = Literal["attribution", "gt_mask", "classifier", "explainer"]


class MetricError(RuntimeError):
    """A plugin broke the contract of `Metric`: a defect of the plugin, not of the user's input."""


class Metric(ABC):
    """Gives every case one number, from its prepared attribution.

    Plugins implement `_score` for maps that can be scored, and `chance`; which cases have a score is decided here,
    once for all metrics: a degenerate map has none, nor has a case to which the metric does not apply, such as one
    without an annotated region if the metric needs one.

    Attributes:
        name: Name in the catalog and in results.
        family: Kind of quality, such as ``localization`` or ``complexity``.
        higher_is_better: Direction of ranks.
        bounds: Lowest and highest possible score; None where the highest depends on the image or does not exist.
        needs: What a score is computed from.
        citation: Authors, venue, year, and equation where numbered.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    higher_is_better: ClassVar[bool]
    bounds: ClassVar[tuple[float, float | None]]
    needs: ClassVar[frozenset[Need]]
    citation: ClassVar[str]

    @property
    @abstractmethod
    def library(self) -> str:
        """Library that does the arithmetic, with its version: «quantus 0.6.0»."""

    @property
    def params(self) -> dict[str, object]:
        """Settings that decide the scores, values that JSON can hold; empty where there are none."""
        return {}

    @property
    def passes(self) -> str:
        """What one case costs beside its map: «64 forward», «10 explanations»; empty where nothing is asked."""
        return ""

    @abstractmethod
    def chance(self, batch: CaseBatch, *, context: ScoringContext | None = None) -> Tensor:
        """Score to expect of a map that knows nothing of the image.

        Args:
            batch: B cases.
            context: As in `score`; chance does not depend on the explainer, which need not be given.

        Returns:
            float64 (B,) on the CPU; NaN where undefined.
        """

    @final
    def score(
        self, prepared: PreparedAttribution, batch: CaseBatch, *, context: ScoringContext | None = None
    ) -> Tensor:
        """Score every case by itself.

        Args:
            prepared: B prepared maps (H, W); left as they are.
            batch: The B cases they explain.
            context: Classifier and explainer, for metrics that need them.

        Returns:
            float64 (B,) on the CPU; NaN exactly where `statuses` is not OK.

        Raises:
            InputError: If the maps have another shape than the masks of the cases, or the context lacks what the metric
                needs.
            MetricError: If the plugin returns another number of scores, or one that is not finite.
        """
        surroundings = context or ScoringContext()
        _check(prepared, batch)
        valid = self.applicable(batch, context=surroundings) & ~prepared.degenerate
        scores = torch.full((len(valid),), torch.nan, dtype=torch.float64)
        n_valid = int(valid.sum())
        if n_valid == 0:
            return scores
        some = n_valid < len(valid)
        maps, cases = (prepared.maps[valid], subset(batch, valid)) if some else (prepared.maps, batch)
        found = self._score(maps, cases, context=surroundings.of(valid) if some else surroundings)
        if tuple(found.shape) != (n_valid,) or not bool(found.isfinite().all()):
            raise MetricError(
                f"{type(self).__name__} returned shape {tuple(found.shape)} with "
                f"{int(found.isfinite().sum())} finite scores; wanted {n_valid} finite scores"
            )
        scores[valid] = found.to(torch.float64)
        return scores

    @final
    def statuses(
        self, prepared: PreparedAttribution, batch: CaseBatch, *, context: ScoringContext | None = None
    ) -> list[Status]:
        """Why each case has a score or none.

        Args:
            prepared: B prepared maps.
            batch: The B cases they explain.
            context: As in `score`.

        Returns:
            B of OK, DEGENERATE and NOT_APPLICABLE. A case to which the metric does not apply is NOT_APPLICABLE whatever
            its map, so that a map that says nothing never looks like a question that was not asked.

        Raises:
            InputError: As `score`.
        """
        _check(prepared, batch)
        applicable = self.applicable(batch, context=context or ScoringContext())
        cases = zip(applicable.tolist(), prepared.degenerate.tolist(), strict=True)
        return [
            Status.NOT_APPLICABLE if not applicable else Status.DEGENERATE if degenerate else Status.OK
            for applicable, degenerate in cases
        ]

    def applicable(self, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        """Which cases the metric can say something about, whatever the map.

        Args:
            batch: B cases.
            context: As in `score`.

        Returns:
            bool (B,) on the CPU: here, all; or those with an annotated region if the metric needs one.
        """
        if "gt_mask" not in self.needs:
            return torch.ones(len(batch.cases), dtype=torch.bool)
        return batch.gt_masks.flatten(1).any(dim=1).cpu()

    @abstractmethod
    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        """Score maps that can be scored.

        Args:
            maps: float32 (n, H, W) in [0, 1] on the CPU, with maximum 1, n >= 1; must be left as they are.
            batch: The n cases, all applicable.
            context: As in `score`, for these cases.

        Returns:
            Finite scores, floating (n,).
        """


def installed(distribution: str) -> str:
    """Name and version of an installed distribution, such as «quantus 0.6.0»."""
    return f"{distribution} {version(distribution)}"


def subset(batch: CaseBatch, chosen: Tensor) -> CaseBatch:
    """The cases of a batch that are chosen, bool (B,), at least one."""
    cases = tuple(case for case, keep in zip(batch.cases, chosen.tolist(), strict=True) if keep)
    return CaseBatch(
        cases=cases, images=batch.images[chosen], targets=batch.targets[chosen], gt_masks=batch.gt_masks[chosen]
    )


def _check(prepared: PreparedAttribution, batch: CaseBatch) -> None:
    if prepared.maps.shape != batch.gt_masks.shape:
        raise InputError(
            f"prepared maps are {tuple(prepared.maps.shape)}, masks of the cases {tuple(batch.gt_masks.shape)}; "
            "wanted one map per case at the size of its image"
        )
