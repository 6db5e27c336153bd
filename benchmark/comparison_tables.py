"""Tables below a leaderboard: the first against the second, and when a fit pays off."""

from collections.abc import Sequence
from typing import Any

from .break_even import break_even_images
from .paired import Lead

# More of them stand in rows, not in columns.
_MOST_RIVALS = 9


def lead_table(leads: Sequence[Lead]) -> list[str]:
    """Lines of Markdown: who leads each metric by how much; empty without leads."""
    if not leads:
        return []
    lines = [
        "",
        "First against second of all but oracles, paired by image:",
        "",
        "| metric | first | second | mean difference | p (Wilcoxon) | images |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for lead in leads:
        p_value = "–" if lead.p_value is None else f"{lead.p_value:.1e}"
        lines.append(
            f"| {lead.metric.replace('_', ' ')} | {lead.first} | {lead.runner_up} | {lead.difference:+.3f} | {p_value} "
            f"| {lead.n_images} |"
        )
    return lines


def break_even_table(records: Sequence[dict[str, Any]], fits: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of Markdown: after how many images each fit pays off against each rival that needs none.

    Args:
        records: Summary of one dataset and classifier, as plain data.
        fits: Fits of that classifier, from the manifest.
    """
    costs = {r["explainer"]: r for r in records if not r["is_control"] and r["explain_seconds_per_image"] is not None}
    fitted = [fit for fit in fits if fit["explainer"] in costs]
    rivals = [name for name, record in costs.items() if not record["fit_seconds"]]
    if not fitted or not rivals:
        return []
    header = ["fitted", "passes", *rivals]
    cells = []
    for fit in fitted:
        own = costs[fit["explainer"]]
        shown = [_break_even(own, costs[name]) for name in rivals]
        cells.append([fit["explainer"], f"{fit.get('fit_forward_passes', 0):,}", *shown])
    elsewhere = any(costs[fit["explainer"]]["fit_device"] for fit in fitted)
    note = " (–: fitted on another kind of device, whose seconds do not compare)" if elsewhere else ""
    if len(rivals) > _MOST_RIVALS:
        header, *cells = [list(column) for column in zip(header, *cells, strict=True)]
    return [
        "",
        "Images after which a fit has paid off against a rival that needs none, by the times above, and its cost in "
        f"passes of one image through the classifier{note}:",
        "",
        *(f"| {' | '.join(row)} |" for row in (header, ["---", *["---:"] * (len(header) - 1)], *cells)),
    ]


def _break_even(own: dict[str, Any], rival: dict[str, Any]) -> str:
    if own["fit_device"]:
        return "–"
    images = break_even_images(
        fit_seconds=own["fit_seconds"],
        own_seconds=own["explain_seconds_per_image"],
        rival_seconds=rival["explain_seconds_per_image"],
    )
    return "never" if images is None else f"{images:,}"
