"""From rows to summaries: means with intervals, chance levels, ranks and costs."""

from collections.abc import Collection
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..datasets import InputError
from .relative import relative_to_controls
from .rows import Status
from .store import RunStore

_KEYS = ["dataset", "classifier", "explainer", "metric"]
_N_RESAMPLES = 2000
_SEED = 0
# Metrics that compare the map for the target with the map for another output.
_OTHER_OUTPUT_METRICS = ("wrong_target_similarity", "random_logit")

Stratification = Literal["correct"]
"""What cases are divided by: ``correct``, whether the classifier is right about the case."""


def summarize_scores(
    rows: pd.DataFrame, *, higher_is_better: dict[str, bool], oracles: Collection[str] = ("oracle",)
) -> pd.DataFrame:
    """One line per dataset, classifier, explainer and metric.

    Args:
        rows: Score rows; see `RunStore.score_frame`.
        higher_is_better: Direction per metric.
        oracles: Ids of the controls that see the annotated regions: ceilings, not rivals.

    Returns:
        A frame with the four keys, ``is_control``, ``mean``, ``ci_low``, ``ci_high`` (95 % percentile bootstrap over
        samples: cases of one image are not independent), ``chance`` (mean chance level), ``rank`` (1 is best among all
        explainers of that dataset, classifier and metric; missing where the explainer did not score every case that
        could be scored), ``relative`` (see `relative_to_controls`), ``n_scored``, ``n_cases``, ``n_not_applicable``,
        ``n_degenerate``, ``n_error``, ``n_skipped``, in the order of the rows.
    """
    if rows.empty:
        return pd.DataFrame(columns=[*_KEYS, "is_control", "mean", "ci_low", "ci_high", "chance", "rank", "relative"])
    records = []
    for keys, group in rows.groupby(_KEYS, sort=False):
        scored = group[group["status"] == Status.OK]
        low, high = _bootstrap_interval(scored)
        counts = group["status"].value_counts()
        n_applicable = len(group) - int(counts.get(Status.NOT_APPLICABLE, 0))
        records.append(
            {
                **dict(zip(_KEYS, keys, strict=True)),
                "is_control": bool(group["is_control"].iloc[0]),
                "mean": float(scored["score"].astype(float).mean()) if len(scored) else None,
                "ci_low": low,
                "ci_high": high,
                "chance": float(group["chance"].astype(float).mean()) if group["chance"].notna().any() else None,
                "complete": len(scored) == n_applicable and len(scored) > 0,
                "n_scored": len(scored),
                "n_cases": len(group),
                "n_not_applicable": len(group) - n_applicable,
                "n_degenerate": int(counts.get(Status.DEGENERATE, 0)),
                "n_error": int(counts.get(Status.ERROR, 0)),
                "n_skipped": int(counts.get(Status.SKIPPED, 0)),
            }
        )
    summary = pd.DataFrame(records)
    # A run that was stopped has not asked everyone about every case.
    n_asked = summary.groupby(["dataset", "classifier", "metric"], sort=False)["n_cases"].transform("max")
    summary["complete"] &= summary["n_cases"] == n_asked
    # Higher is better for the ranking key, whatever the metric's direction.
    sign = summary["metric"].map(lambda name: 1.0 if higher_is_better[name] else -1.0)
    merit = (summary["mean"].astype(float) * sign).where(summary["complete"])
    ranked = merit.groupby([summary[key] for key in ("dataset", "classifier", "metric")], sort=False)
    summary.insert(8, "rank", ranked.rank(method="min", ascending=False).astype("Int64"))
    summary.insert(9, "relative", relative_to_controls(summary, merit=merit, oracles=oracles))
    return summary.drop(columns="complete")


def summarize_timings(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per dataset, classifier and explainer.

    Args:
        rows: Timing rows; see `RunStore.timing_frame`.

    Returns:
        A frame with the three keys, ``explain_seconds_per_image`` (median), ``forward_ratio`` (median of explain time
        over the plain forward pass on the same batch), ``n_timed``, ``batch_size``, ``peak_memory_bytes``, ``device``.
    """
    keys = _KEYS[:3]
    columns = [
        *keys,
        "explain_seconds_per_image",
        "forward_ratio",
        "n_timed",
        "batch_size",
        "peak_memory_bytes",
        "device",
    ]
    records = []
    for names, group in rows.groupby(keys, sort=False):
        largest = group[group["batch_size"] == group["batch_size"].max()]
        peak = largest["peak_memory_bytes"].max()
        records.append(
            {
                **dict(zip(keys, names, strict=True)),
                "explain_seconds_per_image": float((largest["explain_seconds"] / largest["batch_size"]).median()),
                "forward_ratio": float((largest["explain_seconds"] / largest["forward_seconds"]).median()),
                "n_timed": len(largest),
                "batch_size": int(largest["batch_size"].iloc[0]),
                "peak_memory_bytes": None if pd.isna(peak) else int(peak),
                "device": str(largest["device"].iloc[0]),
            }
        )
    return pd.DataFrame(records, columns=columns)


def summarize_run(store: RunStore, *, by: Stratification | None = None) -> pd.DataFrame:
    """Scores and costs of a run.

    Args:
        store: The run.
        by: What cases are divided by, or None for all cases together.

    Returns:
        `summarize_scores` with timing columns, ``fit_seconds`` (0: no fit), ``fit_device`` (where that was another kind
        of device than explains here, ``cuda`` or ``cpu``, so that seconds do not compare) and ``ignores_target``
        (whether the maps for the target and for another output rank alike in every case; missing where no metric
        asked). With ``by``, one such table per stratum, the stratum (``correct`` or ``wrong``) in the first column;
        ranks hold within a stratum.

    Raises:
        InputError: If the folder holds no run, or no case belongs to a stratum.
    """
    rows = store.score_frame()
    if by is None:
        return _summarized(store, rows)
    strata = {"correct": rows[rows["correct"].eq(True)], "wrong": rows[rows["correct"].eq(False)]}
    tables = {name: _summarized(store, own) for name, own in strata.items() if len(own)}
    if not tables:
        raise InputError(f"{store.run_dir} has no case that is right or wrong (regression?); leave --by {by} out")
    for name, table in tables.items():
        table.insert(0, "stratum", name)
    return pd.concat(tables.values(), ignore_index=True)


def _summarized(store: RunStore, rows: pd.DataFrame) -> pd.DataFrame:
    manifest = store.read_manifest()
    directions = {metric["name"]: metric["higher_is_better"] for metric in manifest["metrics"]}
    # Runs of earlier versions name neither oracles nor types: an id was the name in the catalog.
    oracles = manifest.get("oracles", ["oracle"])
    scores = summarize_scores(rows, higher_is_better=directions, oracles=oracles)
    merged = scores.merge(summarize_timings(store.timing_frame()), on=_KEYS[:3], how="left")
    fits: dict[tuple[str, str], dict[str, Any]] = {
        (fit["classifier"], fit["explainer"]): fit for fit in manifest["fits"]
    }
    own = [fits.get(key, {}) for key in zip(merged["classifier"], merged["explainer"], strict=True)]
    merged["fit_seconds"] = [fit.get("fit_seconds", 0.0) for fit in own]
    merged["fit_device"] = [_other_device(fit, manifest) for fit in own]
    asking = [m["name"] for m in manifest["metrics"] if m.get("type", m["name"]) in _OTHER_OUTPUT_METRICS]
    ignoring = _ignoring_target(rows[rows["metric"].isin(asking)])
    merged["ignores_target"] = [ignoring.get(key) for key in merged[_KEYS[:3]].itertuples(index=False, name=None)]
    return merged


def _other_device(fit: dict[str, Any], manifest: dict[str, Any]) -> str | None:
    """The kind of device of a fit, where it is known and is not the kind that the run computes on."""
    here = manifest["environment"].get("device_type")  # runs of earlier versions do not say
    there: str | None = fit.get("fit_device")
    return None if here is None or there == here else there


def _ignoring_target(rows: pd.DataFrame) -> dict[tuple[Any, ...], bool]:
    """Per dataset, classifier and explainer with scores of `OtherOutputMetric`s, whether all of them are 1."""
    scored = rows[rows["status"] == Status.OK]
    lowest = scored.assign(score=scored["score"].astype(float)).groupby(_KEYS[:3], sort=False)["score"].min()
    return {tuple(key): bool(value >= 1 - 1e-6) for key, value in lowest.items()}  # type: ignore[arg-type]


def _bootstrap_interval(scored: pd.DataFrame) -> tuple[float | None, float | None]:
    """95 % percentile interval of the mean, resampling whole samples."""
    by_sample = scored.assign(score=scored["score"].astype(float)).groupby("sample_id", sort=False)["score"]
    sums = by_sample.sum().to_numpy(dtype=np.float64)
    counts = by_sample.count().to_numpy()
    n_samples = len(sums)
    if n_samples < 2:
        return None, None
    # The same resamples for every explainer and metric, so that intervals differ by the scores alone.
    draws = np.random.default_rng(_SEED).multinomial(n_samples, np.full(n_samples, 1 / n_samples), size=_N_RESAMPLES)
    means = (draws @ sums) / (draws @ counts)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
