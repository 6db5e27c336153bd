"""Scores between the best control and the oracle: what a score is worth on this data."""

from collections.abc import Collection

import pandas as pd


def relative_to_controls(summary: pd.DataFrame, *, merit: pd.Series, oracles: Collection[str]) -> pd.Series:
    """Share of the way from the best control to the oracle: 0 at the best control, 1 at the oracle.

    Below 0 a control that knows nothing of the classifier does better; above 1 the explainer beats the annotated
    region, which is no contradiction: the region is where people see evidence, not where the classifier must.

    Args:
        summary: One line per dataset, classifier, explainer and metric, with ``is_control``.
        merit: Mean score, higher is better whatever the metric's direction; missing where cases are missing.
        oracles: Ids of the controls that see the annotated regions.

    Returns:
        float, indexed as ``summary``; missing where the oracle is no better than the best control (complexity may
        prefer any tiny map to the right one), where either is missing, or where the line itself is.
    """
    is_oracle = summary["explainer"].isin(list(oracles))
    groups = [summary[key] for key in ("dataset", "classifier", "metric")]
    best_control = merit.where(summary["is_control"] & ~is_oracle).groupby(groups, sort=False).transform("max")
    oracle = merit.where(is_oracle).groupby(groups, sort=False).transform("max")
    way = (oracle - best_control).where(oracle > best_control)
    return (merit - best_control) / way
