"""What became of every explainer by every metric: a run is complete when nothing is left over."""

from collections import Counter

import pandas as pd

from ..explainers import CONTROLS
from .rows import Status
from .store import RunStore

# What decides, if the cases of one explainer and metric differ: the first of these that any case has.
_ORDER = (Status.ERROR, Status.OK, Status.DEGENERATE, Status.SKIPPED, Status.NOT_APPLICABLE)
_WORDS = {
    Status.OK: "scores",
    Status.DEGENERATE: "degenerate",
    Status.NOT_APPLICABLE: "not applicable",
    Status.SKIPPED: "skipped",
    Status.ERROR: "errors",
}


def census_line(store: RunStore) -> str:
    """One sentence: how many of the metrics by explainers have a score, and why the others have none.

    Args:
        store: The run.

    Returns:
        Counts of the pairs of a metric and an explainer (for every dataset and classifier): with a score (of all or of
        some cases), with empty maps alone, not applicable, skipped, with an error; and ``missing``, where the run was
        stopped or a case has neither a score nor a reason.

    Raises:
        InputError: If the folder holds no run.
    """
    manifest, rows = store.read_manifest(), store.score_frame()
    explainers = list(dict.fromkeys([*manifest["suite"]["explainers"], *CONTROLS]))
    n_metrics, n_pairs = len(manifest["metrics"]), len(manifest["classifiers"])
    pairs = [own for _, own in rows.groupby(["dataset", "classifier", "explainer", "metric"])]
    counts = Counter(_fate(own) for own in pairs)
    n_partial = sum({Status.OK, Status.DEGENERATE} <= set(own["status"]) for own in pairs)
    counts[None] += n_metrics * len(explainers) * n_pairs - counts.total()
    wanted = f"{n_metrics} metrics × {len(explainers)} explainers" + (
        f" × {n_pairs} classifiers" if n_pairs > 1 else ""
    )
    found = [f"{counts[status]} {word}" for status, word in _WORDS.items()]
    if n_partial:
        found[0] += f" ({n_partial} without some cases, whose maps are empty)"
    n_unfinished = len(store.unfinished())
    if counts[None] or n_unfinished:
        found.append(f"{counts[None]} missing (cells never computed: {n_unfinished}; run the suite again)")
    return f"{wanted}: {', '.join(found)}"


def _fate(rows: pd.DataFrame) -> Status | None:
    """What one metric of one explainer came to; None where a case has neither a score nor a reason."""
    statuses = set(rows["status"])
    if rows.loc[rows["status"] == Status.OK, "score"].isna().any():
        return None
    return next(status for status in _ORDER if status in statuses)
