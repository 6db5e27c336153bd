"""docs/explainers.md is what the catalog says."""

from pathlib import Path

from xaibench.explainers import EXPLAINERS
from xaibench.explainers.reference import LICENSES, explainers_reference

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explainers.md"


def test_the_page_is_current():
    assert PAGE.read_text() == explainers_reference(), (
        "run: python -m xaibench.explainers.reference > docs/explainers.md"
    )


def test_every_explainer_has_a_full_row():
    rows = [line for line in explainers_reference().splitlines() if line.startswith("| `")]
    assert sorted(row.split("`")[1] for row in rows) == list(EXPLAINERS)
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 10
        assert all(cells)
        assert cells[8] in LICENSES.values()
