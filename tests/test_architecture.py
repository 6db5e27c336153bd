"""The house as docs/architecture.md draws it: import direction, packaging, file sizes."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEVELS = {"datasets": 0, "explainers": 1, "benchmark": 2}
SOURCES = sorted(path for folder in LEVELS for path in (ROOT / folder).rglob("*.py"))


def imported_modules(source: str, *, package: tuple[str, ...]) -> set[str]:
    """Absolute names of everything a module of a package imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            found.add(".".join([*base, *([node.module] if node.module else [])]))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    package = ("xaibench", *path.relative_to(ROOT).parent.parts)
    for module in imported_modules(path.read_text(), package=package):
        parts = module.split(".")
        assert parts[0] not in LEVELS, f"{module}: inside the package imports are relative"
        if parts[0] == "xaibench" and len(parts) > 1:
            assert LEVELS[parts[1]] <= LEVELS[package[1]], f"{path.name} imports {module}"


def test_an_upward_arrow_would_be_seen() -> None:
    assert imported_modules("from ..benchmark import store", package=("xaibench", "datasets")) == {"xaibench.benchmark"}
    assert imported_modules("def f():\n    from ...explainers import x", package=("xaibench", "benchmark", "cli")) == {
        "xaibench.explainers"
    }


def test_every_folder_with_code_is_packaged_and_nothing_else_lies_at_the_root() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {".".join(("xaibench", *path.relative_to(ROOT).parent.parts)) for path in SOURCES}
    assert listed == found | {"xaibench"}
    assert [path.name for path in ROOT.glob("*.py")] == ["__init__.py"]


def test_every_data_file_of_a_package_is_packaged() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packaged = {
        path
        for package, patterns in data.items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")[1:]).glob(pattern)
    }
    present = {
        path
        for folder in LEVELS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path for path in present if path.suffix != ".py"} <= packaged


def test_shipped_weights_are_small() -> None:
    weights = list((ROOT / "explainers" / "weights").glob("*.safetensors"))
    assert weights
    assert sum(path.stat().st_size for path in weights) <= 5 * 2**20


def test_files_stay_small() -> None:
    long = {path.name: n for path in SOURCES if (n := len(path.read_text().splitlines())) > 320}
    assert not long


def test_no_suite_data_or_docs_name_a_machine_path() -> None:
    pattern = re.compile(r"(?<![\w.])/(?:work|root|home)/")
    texts = [*SOURCES, *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmark/suites").glob("*.toml")]
    assert not [path.name for path in texts if pattern.search(path.read_text())]


def test_help_needs_no_torch() -> None:
    code = "import sys\nfrom xaibench.benchmark.cli import main\nassert 'torch' not in sys.modules"
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(ROOT / ".types"), "PYTHONSAFEPATH": "1"}
    )
