"""Tables of a leaderboard's section: scores and costs of every explainer, in one table or in one per metric family."""

from collections import defaultdict
from math import ceil
from typing import Any

# Of one explainer: per metric, its record of the summary.
Row = dict[str, dict[str, Any]]

MOST_COLUMNS = 9
"""Metrics that can be read side by side; more of them are divided by family."""

_COSTS = ("ms an image", "× forward", "fit s")


def score_tables(rows: list[Row], metrics: list[dict[str, Any]]) -> list[str]:
    """Lines of Markdown: every explainer by every metric.

    Args:
        rows: One per explainer.
        metrics: From the manifest.

    Returns:
        One table, sorted by its first metric; of more than `MOST_COLUMNS` metrics a table per family, each sorted by
        its own first metric and without those to whom none of its metrics applies, and one of costs. Incomplete rows
        have no rank and come last.
    """
    if len(metrics) <= MOST_COLUMNS:
        return _table(rows, metrics, with_costs=True)
    lines: list[str] = []
    for family in dict.fromkeys(metric["family"] for metric in metrics):
        own = [metric for metric in metrics if metric["family"] == family]
        n_parts = ceil(len(own) / MOST_COLUMNS)
        size = ceil(len(own) / n_parts)
        for part in range(n_parts):
            title = family.replace("_", " ") + (f" ({part + 1} of {n_parts})" if n_parts > 1 else "")
            shown = own[part * size : (part + 1) * size]
            asked = [row for row in rows if any(_applies(row[metric["name"]]) for metric in shown)]
            lines += [f"### {title}", "", *_table(asked, shown, with_costs=False), ""]
    names = [metric["name"] for metric in metrics]
    ordered = _ordered(rows, names[0])
    costs = [[_name_cell(row), _scored_cell(row, names), *_cost_cells(row)] for row in ordered]
    return [*lines, "### costs", "", *_markdown(["explainer", "scored by all", *_COSTS], costs)]


def relative_table(rows: list[Row], metrics: list[dict[str, Any]]) -> list[str]:
    """Lines of Markdown: explainers between the best control and the oracle.

    Args:
        rows: One per explainer.
        metrics: From the manifest; by localization alone is the oracle the ceiling.
    """
    columns = {metric["name"]: _column(metric) for metric in metrics if metric["family"] == "localization"}
    rivals = [row for row in _ordered(rows, metrics[0]["name"]) if not next(iter(row.values()))["is_control"]]
    shown = [name for name in columns if any(row[name]["relative"] is not None for row in rivals)]
    if not shown:
        return []
    header = ["explainer", *(columns[name] for name in shown)]
    cells = [[_name_cell(row), *(_percent(row[name]["relative"]) for name in shown)] for row in rivals]
    return ["", "Share of the way from the best control (0 %) to the oracle (100 %):", "", *_markdown(header, cells)]


def applicability(rows: list[Row], names: list[str]) -> list[str]:
    """Notes on metrics that do not apply to every case, whoever explains."""
    by_count: dict[int, list[str]] = defaultdict(list)
    # Of who was skipped or failed, no metric was asked whether it applies.
    asked = [row for row in rows if not any(record["n_skipped"] or record["n_error"] for record in row.values())]
    for name in names if asked else ():
        fewest, n_cases = min(row[name]["n_not_applicable"] for row in asked), asked[0][name]["n_cases"]
        if fewest:
            by_count[n_cases - fewest].append(name.replace("_", " "))
    return [f"Asked about {count} cases: {', '.join(names)}." for count, names in by_count.items()]


def _table(rows: list[Row], metrics: list[dict[str, Any]], *, with_costs: bool) -> list[str]:
    names = [metric["name"] for metric in metrics]
    header = ["explainer", *(_column(metric) for metric in metrics), *(("scored", *_COSTS) if with_costs else ())]
    ordered, cells = _ordered(rows, names[0]), []
    for row in ordered:
        costs = [_scored_cell(row, names), *_cost_cells(row)] if with_costs else []
        cells.append([_name_cell(row), *(_score_cell(row[name]) for name in names), *costs])
    chances = [_number(_mean([row[name]["chance"] for row in ordered])) for name in names]
    return _markdown(header, [*cells, ["chance", *chances, *[""] * (len(header) - len(names) - 1)]])


def _applies(record: dict[str, Any]) -> bool:
    applicable: bool = record["n_not_applicable"] < record["n_cases"]
    return applicable


def _ordered(rows: list[Row], name: str) -> list[Row]:
    return sorted(rows, key=lambda row: row[name]["rank"] or len(rows) + 1)


def _markdown(header: list[str], rows: list[list[str]]) -> list[str]:
    return [_line(header), _line(["---"] + ["---:"] * (len(header) - 1)), *(_line(row) for row in rows)]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _column(metric: dict[str, Any]) -> str:
    return f"{metric['name'].replace('_', ' ')} {'↑' if metric['higher_is_better'] else '↓'}"


def _name_cell(row: Row) -> str:
    first = next(iter(row.values()))
    mark = "†" if first["ignores_target"] else ""
    return f"*{first['explainer']}*{mark}" if first["is_control"] else f"**{first['explainer']}**{mark}"


def _scored_cell(row: Row, names: list[str]) -> str:
    """Cases with a score by all metrics; a case to which a metric does not apply lacks nothing."""
    records = [row[name] for name in names]
    lacking = max(record["n_cases"] - record["n_not_applicable"] - record["n_scored"] for record in records)
    n_cases = records[0]["n_cases"]
    return f"{n_cases - lacking} of {n_cases}" if lacking else str(n_cases)


def _cost_cells(row: Row) -> list[str]:
    first = next(iter(row.values()))
    if first["forward_ratio"] is None:
        return ["–", "–", "–"]
    where = f" ({first['fit_device']})" if first["fit_device"] else ""
    fit = f"{first['fit_seconds']:.0f}{where}" if first["fit_seconds"] else ""
    return [f"{1000 * first['explain_seconds_per_image']:.2f}", f"{first['forward_ratio']:.2f}", fit]


def _score_cell(record: dict[str, Any]) -> str:
    if record["mean"] is None:
        return "–"
    low, high, rank = record["ci_low"], record["ci_high"], record["rank"]
    interval = "" if low is None else f" [{_number(low)}, {_number(high)}]"
    return f"{_number(record['mean'])}{interval}{'' if rank is None else f' #{rank}'}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if abs(value) >= 1.995 else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
