"""Leaderboards: a pure function of a run."""

import json
from typing import Any, Literal

import pandas as pd

from .comparison_tables import break_even_table, lead_table
from .paired import leads
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
    names = [metric["name"] for metric in metrics]
    columns = [_column(metric) for metric in metrics]
    header = ["explainer", *columns, "scored", "ms an image", "× forward", "fit s"]
    cases = f"{records[0]['n_cases']} cases" + ("" if stratum is None else f" with a {stratum} prediction")
    facts = f"{dataset['name']} {dataset['version']}, {dataset['task']}, {cases}; classifier: {entry['summary']}."
    notes = [f"{note}." for note in dataset["notes"]]
    by_explainer: dict[str, dict[str, dict[str, Any]]] = {}
    for record in records:
        by_explainer.setdefault(record["explainer"], {})[record["metric"]] = record
    # Sorted by the first metric; incomplete rows have no rank and come last.
    rows = sorted(by_explainer.values(), key=lambda row: row[names[0]]["rank"] or len(by_explainer) + 1)
    notes += _applicability(rows, names)
    chances = [_number(_mean([row[name]["chance"] for row in rows])) for name in names]
    lines = [
        f"## {entry['dataset']} · {entry['classifier']}{'' if stratum is None else f' · {stratum}'}",
        "",
        " ".join([facts, *notes]),
        "",
        _table_line(header),
        _table_line(["---"] + ["---:"] * (len(header) - 1)),
        *(_table_line(_explainer_cells(row, names)) for row in rows),
        _table_line(["chance", *chances, *[""] * (len(header) - len(names) - 1)]),
        *_relative_table(rows, columns={m["name"]: _column(m) for m in metrics if m["family"] == "localization"}),
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


def _column(metric: dict[str, Any]) -> str:
    return f"{metric['name'].replace('_', ' ')} {'↑' if metric['higher_is_better'] else '↓'}"


def _applicability(rows: list[dict[str, dict[str, Any]]], names: list[str]) -> list[str]:
    """Notes on metrics that do not apply to every case, whoever explains."""
    notes = []
    for name in names:
        fewest, n_cases = min(row[name]["n_not_applicable"] for row in rows), rows[0][name]["n_cases"]
        if fewest:
            notes.append(f"{name.replace('_', ' ')} applies to {n_cases - fewest} cases.")
    return notes


def _relative_table(rows: list[dict[str, dict[str, Any]]], *, columns: dict[str, str]) -> list[str]:
    """Explainers between the best control and the oracle, by localization, of which alone the oracle is the ceiling."""
    rivals = [row for row in rows if not next(iter(row.values()))["is_control"]]
    shown = [name for name in columns if any(row[name]["relative"] is not None for row in rivals)]
    if not shown:
        return []
    return [
        "",
        "Share of the way from the best control (0 %) to the oracle (100 %):",
        "",
        _table_line(["explainer", *(columns[name] for name in shown)]),
        _table_line(["---"] + ["---:"] * len(shown)),
        *(_table_line([_name_cell(row), *(_percent(row[name]["relative"]) for name in shown)]) for row in rivals),
    ]


def _name_cell(row: dict[str, dict[str, Any]]) -> str:
    first = next(iter(row.values()))
    mark = "†" if first["ignores_target"] else ""
    return f"*{first['explainer']}*{mark}" if first["is_control"] else f"**{first['explainer']}**{mark}"


def _explainer_cells(row: dict[str, dict[str, Any]], metrics: list[str]) -> list[str]:
    first = row[metrics[0]]
    # A case to which a metric does not apply lacks nothing.
    lacking = max(record["n_cases"] - record["n_not_applicable"] - record["n_scored"] for record in row.values())
    cells = [_name_cell(row)]
    cells += [_score_cell(row[metric]) for metric in metrics]
    cells.append(f"{first['n_cases'] - lacking} of {first['n_cases']}" if lacking else str(first["n_cases"]))
    if first["forward_ratio"] is None:
        return [*cells, "–", "–", "–"]
    fit = f"{first['fit_seconds']:.0f}" if first["fit_seconds"] else ""
    return [*cells, f"{1000 * first['explain_seconds_per_image']:.2f}", f"{first['forward_ratio']:.2f}", fit]


def _score_cell(record: dict[str, Any]) -> str:
    if record["mean"] is None:
        return "–"
    low, high, rank = record["ci_low"], record["ci_high"], record["rank"]
    interval = "" if low is None else f" [{_number(low)}, {_number(high)}]"
    return f"{_number(record['mean'])}{interval}{'' if rank is None else f' #{rank}'}"


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


def _table_line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if abs(value) >= 1.995 else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
