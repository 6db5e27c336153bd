"""The wheel holds what the tree holds."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_wheel_has_every_module_suite_and_weight_and_nothing_else(tmp_path: Path) -> None:
    # A copy, since a build leaves folders behind that resurrect deleted modules.
    copy = tmp_path / "copy"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.split("\n"):
        if name and not name.startswith((".types", "results/", "docs/")) and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    (wheel,) = (copy / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    folders = ("datasets", "explainers", "benchmark")
    suffixes = (".py", ".toml", ".safetensors", ".md")
    wanted = {f"xaibench/{p.relative_to(ROOT)}" for f in folders for p in (ROOT / f).rglob("*") if p.suffix in suffixes}
    assert packed == wanted | {"xaibench/__init__.py", "xaibench/py.typed"}
