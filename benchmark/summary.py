"""From rows to summaries: means with intervals, chance levels, ranks and costs."""

from typing import Any

import numpy as np
import pandas as pd

from .rows import Status
from .store import RunStore

_KEYS = ["dataset", "classifier", "explainer", "metric"]
_N_RESAMPLES = 2000
_SEED = 0


def summarize_scores(rows: pd.DataFrame, *, higher_is_better: dict[str, bool]) -> pd.DataFrame:
    """One line per dataset, classifier, explainer and metric.

    Args:
        rows: Score rows; see `RunStore.score_frame`.
        higher_is_better: Direction per metric.

    Returns:
        A frame with the four keys, ``is_control``, ``mean``, ``ci_low``, ``ci_high`` (95 % percentile bootstrap over
        samples: cases of one image are not independent), ``chance`` (mean chance level), ``rank`` (1 is best among all
        explainers of that dataset, classifier and metric; missing where the explainer did not score every case that
        could be scored), ``n_scored``, ``n_cases``, ``n_degenerate``, ``n_error``, ``n_skipped``, in the order of the
        rows.
    """
    if rows.empty:
        return pd.DataFrame(columns=[*_KEYS, "is_control", "mean", "ci_low", "ci_high", "chance", "rank"])
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
                "n_degenerate": int(counts.get(Status.DEGENERATE, 0)),
                "n_error": int(counts.get(Status.ERROR, 0)),
                "n_skipped": int(counts.get(Status.SKIPPED, 0)),
            }
        )
    summary = pd.DataFrame(records)
    # Higher is better for the ranking key, whatever the metric's direction.
    sign = summary["metric"].map(lambda name: 1.0 if higher_is_better[name] else -1.0)
    merit = (summary["mean"].astype(float) * sign).where(summary["complete"])
    ranked = merit.groupby([summary[key] for key in ("dataset", "classifier", "metric")], sort=False)
    summary.insert(8, "rank", ranked.rank(method="min", ascending=False).astype("Int64"))
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


def summarize_run(store: RunStore) -> pd.DataFrame:
    """Scores and costs of a run: `summarize_scores` with timing columns and ``fit_seconds`` (0: no fit)."""
    manifest = store.read_manifest()
    directions = {metric["name"]: metric["higher_is_better"] for metric in manifest["metrics"]}
    scores = summarize_scores(store.score_frame(), higher_is_better=directions)
    timings = summarize_timings(store.timing_frame())
    merged = scores.merge(timings, on=_KEYS[:3], how="left")
    fits: dict[tuple[str, str], Any] = {
        (fit["classifier"], fit["explainer"]): fit["fit_seconds"] for fit in manifest["fits"]
    }
    merged["fit_seconds"] = [
        fits.get((classifier, explainer), 0.0)
        for classifier, explainer in zip(merged["classifier"], merged["explainer"], strict=True)
    ]
    return merged


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
