"""Leaderboards: a pure function of a run."""

import json
from typing import Any, Literal

import pandas as pd

from .census import census_line
from .comparison_tables import break_even_table, lead_table
from .paired import leads
from .score_tables import MOST_COLUMNS, Row, applicability, relative_table, score_tables
from .store import RunStore
from .summary import Stratification, summarize_run

LeaderboardFormat = Literal["md", "csv", "json"]


def render_leaderboard(store: RunStore, *, output_format: LeaderboardFormat, by: Stratification | None = None) -> str:
    """The leaderboard of a run.

    Args:
        store: The run.
        output_format: ``md`` for people; ``csv`` and ``json`` with one line or object per dataset, classifier,
            explainer and metric.
        by: What cases are divided by: ``correct`` gives tables of the cases that the classifier gets right and of those
            that it gets wrong; None takes all cases together.

    Returns:
        Text that ends with a line feed.

    Raises:
        InputError: If the folder holds no run, or no case that could be divided.
    """
    summary = summarize_run(store, by=by)
    if output_format == "csv":
        return summary.to_csv(index=False)
    if output_format == "json":
        return json.dumps(to_records(summary), indent=1) + "\n"
    return _markdown(store, to_records(summary))


def to_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as plain data: missing values become None."""
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return records


def _markdown(store: RunStore, records: list[dict[str, Any]]) -> str:
    manifest = store.read_manifest()
    suite, environment = manifest["suite"], manifest["environment"]
    parts = [f"# Leaderboard: {suite['name']}"]
    if suite["description"]:
        parts.append(suite["description"])
    if len(manifest["metrics"]) > MOST_COLUMNS and not any("stratum" in record for record in records):
        # Too many cells to see at a glance whether one is missing.
        parts.append(f"{census_line(store)}.")
    n_unfinished = len(store.unfinished())
    if n_unfinished:
        parts.append(
            f"**This run is not finished**: {n_unfinished} of {len(manifest['cells'])} cells are missing, and whoever "
            "was not asked about every case has no rank. Run the suite again."
        )
    for entry in manifest["classifiers"]:
        pair = (entry["dataset"], entry["classifier"])
        of_pair = [record for record in records if (record["dataset"], record["classifier"]) == pair]
        for stratum in dict.fromkeys(record.get("stratum") for record in of_pair):
            own = [record for record in of_pair if record.get("stratum") == stratum]
            parts.append(_section(manifest, entry, own, stratum=stratum))
        if not any("stratum" in record for record in of_pair):
            parts[-1] += _comparisons(store, entry, of_pair)
    problems = _problems(store, records)
    if problems:
        parts.append("## Not scored\n\n" + "\n".join(f"- {line}" for line in problems))
    parts.append(_legend(manifest))
    parts.append(
        f"xaibench {environment['xaibench']}, torch {environment['torch']}, captum {environment['captum']}, quantus "
        f"{environment['quantus']}; {environment['device']}, threads: {environment['threads']}; seed {suite['seed']}; "
        f"maps: {suite['preparation']} part, maximum 1 per map."
    )
    return "\n\n".join(parts) + "\n"


def _section(
    manifest: dict[str, Any], entry: dict[str, Any], records: list[dict[str, Any]], *, stratum: str | None
) -> str:
    dataset, metrics = manifest["datasets"][entry["dataset"]], manifest["metrics"]
    cases = f"{records[0]['n_cases']} cases" + ("" if stratum is None else f" with a {stratum} prediction")
    facts = f"{dataset['name']} {dataset['version']}, {dataset['task']}, {cases}; classifier: {entry['summary']}."
    notes = [f"{note}." for note in dataset["notes"]]
    by_explainer: dict[str, Row] = {}
    for record in records:
        by_explainer.setdefault(record["explainer"], {})[record["metric"]] = record
    rows = list(by_explainer.values())
    notes += applicability(rows, [metric["name"] for metric in metrics])
    lines = [
        f"## {entry['dataset']} · {entry['classifier']}{'' if stratum is None else f' · {stratum}'}",
        "",
        " ".join([facts, *notes]),
        "",
        *score_tables(rows, metrics),
        *relative_table(rows, metrics),
    ]
    return "\n".join(lines)


def _comparisons(store: RunStore, entry: dict[str, Any], records: list[dict[str, Any]]) -> str:
    """What all cases together say beyond means."""
    manifest, rows = store.read_manifest(), store.score_frame()
    own = rows[(rows["dataset"] == entry["dataset"]) & (rows["classifier"] == entry["classifier"])]
    directions = {metric["name"]: metric["higher_is_better"] for metric in manifest["metrics"]}
    found = leads(own, higher_is_better=directions, oracles=manifest.get("oracles", ["oracle"]))
    fits = [fit for fit in manifest["fits"] if fit["classifier"] == entry["classifier"]]
    return "\n".join(["", *lead_table(found), *break_even_table(records, fits)])


def _problems(store: RunStore, records: list[dict[str, Any]]) -> list[str]:
    lines = [f"{explainer} on {name}: skipped, {reason}" for (name, explainer), reason in store.skipped().items()]
    failed: dict[tuple[str, str, str], str] = {}
    for cell, traceback in store.failures().items():
        failed[cell.dataset, cell.classifier, cell.explainer] = traceback.strip().splitlines()[-1]
    lines += [
        f"{explainer} on {dataset}, {name}: failed, {line}" for (dataset, name, explainer), line in failed.items()
    ]
    empty: dict[tuple[str, str, str], int] = {}
    for record in records:
        key = (record["dataset"], record["classifier"], record["explainer"])
        empty[key] = max(empty.get(key, 0), record["n_degenerate"])
    lines += [
        f"{key[2]} on {key[0]}, {key[1]}: {count} empty or not finite maps" for key, count in empty.items() if count
    ]
    return lines


def _legend(manifest: dict[str, Any]) -> str:
    sources = "; ".join(f"{m['name'].replace('_', ' ')}: {m['citation']} ({m['library']})" for m in manifest["metrics"])
    return (
        "Mean over cases [95 % bootstrap interval over images] #rank among all rows, controls included; no rank where "
        "cases are missing. *Italic*: controls, which know nothing of the classifier; the oracle is the annotated "
        "region itself, a ceiling and not a rival. † gives the same map for every target. Chance: a map that knows "
        "nothing, by what each metric declares (complexity: a uniform map; insertion: a random ranking). ms an image "
        "and × forward: median of synchronized, warmed-up calls, and their ratio to the classifier's plain forward "
        f"pass on the same batch. Sources: {sources}."
    )
