"""Leaderboards: a pure function of a run."""

import json
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd

from .store import RunStore
from .summary import summarize_run

LeaderboardFormat = Literal["md", "csv", "json"]


def render_leaderboard(store: RunStore, *, output_format: LeaderboardFormat) -> str:
    """The leaderboard of a run.

    Args:
        store: The run.
        output_format: ``md`` for people; ``csv`` and ``json`` with one line or object per dataset, classifier,
            explainer and metric.

    Returns:
        Text that ends with a line feed.

    Raises:
        InputError: If the folder holds no run.
    """
    renderers: dict[str, Callable[[RunStore], str]] = {"md": _markdown, "csv": _csv, "json": _json}
    return renderers[output_format](store)


def to_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as plain data: missing values become None."""
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return records


def _csv(store: RunStore) -> str:
    return summarize_run(store).to_csv(index=False)


def _json(store: RunStore) -> str:
    return json.dumps(to_records(summarize_run(store)), indent=1) + "\n"


def _markdown(store: RunStore) -> str:
    manifest, summary = store.read_manifest(), summarize_run(store)
    suite, environment = manifest["suite"], manifest["environment"]
    parts = [f"# Leaderboard: {suite['name']}"]
    if suite["description"]:
        parts.append(suite["description"])
    for entry in manifest["classifiers"]:
        table = summary[(summary["dataset"] == entry["dataset"]) & (summary["classifier"] == entry["classifier"])]
        if len(table):
            parts.append(_section(manifest, entry, table))
    problems = _problems(store, summary)
    if problems:
        parts.append("## Not scored\n\n" + "\n".join(f"- {line}" for line in problems))
    parts.append(_legend(manifest))
    parts.append(
        f"xaibench {environment['xaibench']}, torch {environment['torch']}, captum {environment['captum']}, quantus "
        f"{environment['quantus']}; {environment['device']}, {environment['threads']} threads; seed {suite['seed']}; maps: "
        f"{suite['preparation']} part, maximum 1 per map."
    )
    return "\n\n".join(parts) + "\n"


def _section(manifest: dict[str, Any], entry: dict[str, Any], table: pd.DataFrame) -> str:
    dataset = manifest["datasets"][entry["dataset"]]
    metrics = manifest["metrics"]
    lines = [
        f"## {entry['dataset']} · {entry['classifier']}",
        "",
        f"{dataset['name']} {dataset['version']}, {dataset['task']}, {table['n_cases'].iloc[0]} cases; classifier: "
        f"{entry['summary']}.",
    ]
    lines += [f"{note}." for note in dataset["notes"]]
    header = ["explainer"]
    header += [f"{metric['name'].replace('_', ' ')} {'↑' if metric['higher_is_better'] else '↓'}" for metric in metrics]
    header += ["scored", "ms an image", "× forward", "fit s"]
    lines += ["", _table_line(header), _table_line(["---"] + ["---:"] * (len(header) - 1))]
    first = table[table["metric"] == metrics[0]["name"]].set_index("explainer")
    # Incomplete rows have no rank and come last.
    for explainer in first["rank"].sort_values(na_position="last", kind="stable").index.astype(str):
        rows = table[table["explainer"] == explainer].set_index("metric")
        lines.append(_table_line(_explainer_cells(explainer, rows, [metric["name"] for metric in metrics])))
    chance = table.groupby("metric", sort=False)["chance"].mean()
    cells = ["chance", *(_number(chance[metric["name"]]) for metric in metrics)]
    lines.append(_table_line([*cells, *[""] * (len(header) - len(cells))]))
    return "\n".join(lines)


def _explainer_cells(explainer: str, rows: pd.DataFrame, metrics: list[str]) -> list[str]:
    name = f"*{explainer}*" if rows["is_control"].iloc[0] else f"**{explainer}**"
    cells = [name]
    for metric in metrics:
        row = rows.loc[metric]
        if np.isnan(row["mean"]):
            cells.append("–")
            continue
        interval = "" if pd.isna(row["ci_low"]) else f" [{_number(row['ci_low'])}, {_number(row['ci_high'])}]"
        rank = "" if pd.isna(row["rank"]) else f" #{row['rank']}"
        cells.append(f"{_number(row['mean'])}{interval}{rank}")
    scored = rows["n_scored"].min()
    cells.append(str(scored) if scored == rows["n_cases"].iloc[0] else f"{scored} of {rows['n_cases'].iloc[0]}")
    cost = rows.iloc[0]
    if pd.isna(cost["forward_ratio"]):
        return [*cells, "–", "–", "–"]
    fit = f"{cost['fit_seconds']:.0f}" if cost["fit_seconds"] else ""
    return [*cells, f"{1000 * cost['explain_seconds_per_image']:.2f}", f"{cost['forward_ratio']:.2f}", fit]


def _problems(store: RunStore, summary: pd.DataFrame) -> list[str]:
    lines = [f"{explainer} on {name}: skipped, {reason}" for (name, explainer), reason in store.skipped().items()]
    failed: dict[tuple[str, str, str], str] = {}
    for cell, traceback in store.failures().items():
        failed[cell.dataset, cell.classifier, cell.explainer] = traceback.strip().splitlines()[-1]
    lines += [f"{explainer} on {dataset}, {name}: failed, {line}" for (dataset, name, explainer), line in failed.items()]
    keys = ["dataset", "classifier", "explainer"]
    for record in to_records(summary.groupby(keys, sort=False)["n_degenerate"].max().reset_index()):
        if record["n_degenerate"]:
            lines.append("{explainer} on {dataset}, {classifier}: {n_degenerate} empty or not finite maps".format(**record))
    return lines


def _legend(manifest: dict[str, Any]) -> str:
    citations = "; ".join(f"{m['name'].replace('_', ' ')}: {m['citation']}, {m['library']}" for m in manifest["metrics"])
    return (
        "Mean over cases [95 % bootstrap interval over images] #rank among all rows, controls included; no rank where cases "
        "are missing. *Italic*: controls, which know nothing of the classifier; the oracle is the annotated region itself, "
        "a ceiling and not a rival. ms an image and × forward: median of synchronized, warmed-up calls, and their ratio to "
        f"the classifier's plain forward pass on the same batch. Sources: {citations}."
    )


def _table_line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    if value is None or np.isnan(value):
        return "–"
    return f"{value:.2f}" if abs(value) >= 1.995 else f"{value:.3f}"
