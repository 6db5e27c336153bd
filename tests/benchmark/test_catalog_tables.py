"""The generated page of metrics: up to date, and complete."""

from importlib.metadata import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from xaibench.benchmark.catalog_tables import _LICENSES, metrics_table
from xaibench.benchmark.cli import main
from xaibench.benchmark.metrics import METRICS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_the_page_is_up_to_date() -> None:
    wanted = metrics_table()
    assert PAGE.read_text(encoding="utf-8") == wanted, "run: xaibench list metrics --format md --out docs/metrics.md"


def test_every_metric_has_one_line_with_all_its_facts() -> None:
    lines = [line for line in metrics_table().splitlines() if line.startswith("| `")]
    assert sorted(line.split("`")[1] for line in lines) == sorted(METRICS)
    assert len({line.count(" | ") for line in lines}) == 1
    for line in lines:
        name, says, better, extent, _, _, _, source, library = line.strip("| ").split(" | ")
        assert better in "↑↓"
        assert "…" in extent
        assert says.endswith("."), f"{name}: the first line of its docstring is no sentence"
        assert source[-4:].isdigit()
        assert "see there" not in library, f"{name}: license of its library"


@pytest.mark.parametrize(("library", "license_id"), list(_LICENSES.items()))
def test_licenses_agree_with_what_distributions_say(library: str, license_id: str) -> None:
    facts = metadata(library)
    said = " ".join([facts.get("License-Expression") or "", *(facts.get_all("Classifier") or [])])
    # Quantus' classifier says GPL; the notice in each of its files says Lesser GPL, version 3 or later.
    assert ("GPL" if "GPL" in license_id else "BSD") in said


def test_the_command_writes_the_page_and_refuses_others(tmp_path: Path) -> None:
    found = CliRunner().invoke(main, ["list", "metrics", "--format", "md", "--out", str(tmp_path / "metrics.md")])
    assert found.exit_code == 0
    assert (tmp_path / "metrics.md").read_text(encoding="utf-8") == metrics_table()
    refused = CliRunner().invoke(main, ["list", "suites", "--format", "md"])
    assert refused.exit_code == 2
    assert "there is no page of suites; wanted one of metrics" in refused.output
