"""Is the first really better than the second? Paired tests between the first two explainers of each metric."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from .rows import Status


@dataclass(frozen=True, kw_only=True)
class Lead:
    """How the first explainer of a metric stands to its runner-up.

    Attributes:
        metric: Id of the metric.
        first: Explainer with the best mean over cases, as in the ranks; controls included, oracles not.
        runner_up: Explainer with the second best mean.
        difference: Mean of first minus mean of runner-up, in the unit of the metric; negative where lower is better.
        p_value: Two-sided Wilcoxon signed-rank test over images; None where all pairs are equal.
        n_images: Pairs.
    """

    metric: str
    first: str
    runner_up: str
    difference: float
    p_value: float | None
    n_images: int


def leads(rows: pd.DataFrame, *, higher_is_better: dict[str, bool], oracles: Collection[str]) -> list[Lead]:
    """The first two explainers of every metric, on the same cases.

    Cases of one image are not independent: their scores are averaged before images are paired. Who did not score every
    case that could be scored does not compete, as in the ranks.

    Args:
        rows: Score rows of one dataset and classifier.
        higher_is_better: Direction per metric.
        oracles: Explainers that see the annotated regions.

    Returns:
        One `Lead` for each metric with at least two competitors.

    References:
        Wilcoxon, Biometrics Bulletin 1945; as implemented in SciPy.
    """
    found = []
    rivals = rows[~rows["explainer"].isin(list(oracles))]
    for metric, group in rivals.groupby("metric", sort=False):
        scored = _complete(group)
        means = scored.groupby("explainer", sort=False)["score"].mean()
        means = means.sort_values(ascending=not higher_is_better[str(metric)], kind="stable")
        if len(means) < 2:
            continue
        first, runner_up = str(means.index[0]), str(means.index[1])
        per_image = scored.groupby(["sample_id", "explainer"], sort=False)["score"].mean().unstack("explainer")
        differences = (per_image[first] - per_image[runner_up]).to_numpy(dtype=np.float64)
        found.append(
            Lead(
                metric=str(metric),
                first=first,
                runner_up=runner_up,
                difference=float(means[first] - means[runner_up]),
                p_value=float(wilcoxon(differences).pvalue) if differences.any() else None,
                n_images=len(differences),
            )
        )
    return found


def _complete(rows: pd.DataFrame) -> pd.DataFrame:
    """Scored rows of the explainers without a gap: asked about every case, and never without an answer."""
    n_asked = rows["explainer"].value_counts()
    applicable = rows[rows["status"] != Status.NOT_APPLICABLE]
    unanswered = applicable[applicable["status"] != Status.OK]["explainer"]
    has_gap = {*unanswered, *n_asked.index[n_asked < n_asked.max()]}
    scored = applicable[~applicable["explainer"].isin(has_gap)]
    return scored.assign(score=scored["score"].astype(float))
