"""The folder of a run: one file per cell, written whole or not at all."""

import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd

from ..datasets import InputError
from ..explainers import write_atomically
from .cells import Cell, CellResult
from .rows import ScoreRow, TimingRow

RUN_FORMAT = "xaibench run"
RUN_VERSION = 1
# The cell names these once for all its rows.
_CELL_FACTS = ("dataset", "classifier", "explainer", "is_control")


class RunStore:
    """Reads and writes the folder of a run.

    ``run.json`` says what was run and which cells belong to it; ``cells/ID.json`` holds the rows of a cell;
    ``cells/ID.failed.json`` those of a cell whose explainer failed, which is tried again by the next run;
    ``classifiers/`` and ``explainers/`` hold what was trained.
    """

    def __init__(self, run_dir: Path) -> None:
        """Name the folder; nothing is read or written yet."""
        self.run_dir = run_dir
        self._cells = run_dir / "cells"

    def check_writable(self) -> None:
        """Fail now rather than after an hour.

        Raises:
            InputError: If the folder cannot be made or written.
        """
        probe = self.run_dir / ".writable"
        write_atomically(probe, b"")
        probe.unlink()

    def has(self, cell_id: str) -> bool:
        """Whether a cell is finished."""
        return self._path(cell_id).is_file()

    def put(self, cell_id: str, result: CellResult) -> None:
        """Store what a cell gave, in place of an earlier failure."""
        content = {
            "cell": asdict(result.cell),
            "is_control": result.scores[0].is_control if result.scores else False,
            "scores": [_without_cell_facts(row) for row in result.scores],
            "timings": [_without_cell_facts(row) for row in result.timings],
            "failure": result.failure,
            "skipped": result.skipped,
        }
        path = self._path(cell_id) if result.failure is None else self._failed_path(cell_id)
        write_atomically(path, json.dumps(content, allow_nan=False).encode())
        if result.failure is None:
            self._failed_path(cell_id).unlink(missing_ok=True)

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Store what was run; see `read_manifest`."""
        content = {"format": RUN_FORMAT, "format_version": RUN_VERSION, **manifest}
        write_atomically(self.run_dir / "run.json", (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())

    def read_manifest(self) -> dict[str, Any]:
        """What was run: suite, data, classifiers, environment and the ids of all cells, in order.

        Raises:
            InputError: If the folder holds no run, or one of another version.
        """
        path = self.run_dir / "run.json"
        if not path.is_file():
            raise InputError(f"{self.run_dir} holds no run (no run.json); wanted a folder that `xaibench run` wrote")
        try:
            manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InputError(f"{path} cannot be read: {error}; run the suite again") from error
        found = (manifest.get("format"), manifest.get("format_version"))
        if found != (RUN_FORMAT, RUN_VERSION):
            raise InputError(f"{path} is {found[0]} version {found[1]}; wanted {RUN_FORMAT} version {RUN_VERSION}")
        return manifest

    def score_frame(self) -> pd.DataFrame:
        """All score rows of the run in the order of the plan: one column per attribute of `ScoreRow`."""
        columns = [field.name for field in fields(ScoreRow)]
        return pd.DataFrame(self._rows("scores"), columns=columns)

    def timing_frame(self) -> pd.DataFrame:
        """All timing rows of the run in the order of the plan: one column per attribute of `TimingRow`."""
        columns = [field.name for field in fields(TimingRow)]
        return pd.DataFrame(self._rows("timings"), columns=columns)

    def failures(self) -> dict[Cell, str]:
        """Tracebacks of the cells that failed."""
        contents = (self._read(cell_id) for cell_id in self.read_manifest()["cells"])
        return {Cell(**c["cell"]): c["failure"] for c in contents if c is not None and c["failure"] is not None}

    def unfinished(self) -> list[str]:
        """Ids of the cells that the run has not come to, or was stopped before."""
        planned = self.read_manifest()["cells"]
        return [cell_id for cell_id in planned if not (self.has(cell_id) or self._failed_path(cell_id).is_file())]

    def skipped(self) -> dict[tuple[str, str], str]:
        """Per classifier and explainer, why it was skipped."""
        contents = (self._read(cell_id) for cell_id in self.read_manifest()["cells"])
        return {
            (c["cell"]["classifier"], c["cell"]["explainer"]): c["skipped"]
            for c in contents
            if c is not None and c["skipped"] is not None
        }

    def _rows(self, kind: str) -> Iterable[dict[str, Any]]:
        for cell_id in self.read_manifest()["cells"]:
            content = self._read(cell_id)
            if content is None:  # the run was stopped before this cell
                continue
            facts = {**content["cell"], "is_control": content["is_control"]}
            shared = {name: facts[name] for name in _CELL_FACTS}
            for row in content[kind]:
                yield {**shared, **row}

    def _read(self, cell_id: str) -> dict[str, Any] | None:
        for path in (self._path(cell_id), self._failed_path(cell_id)):
            if path.is_file():
                try:
                    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
                    raise InputError(f"{path} cannot be read: {error}; delete it and run the suite again") from error
                return content
        return None

    def _path(self, cell_id: str) -> Path:
        return self._cells / f"{cell_id}.json"

    def _failed_path(self, cell_id: str) -> Path:
        return self._cells / f"{cell_id}.failed.json"


def _without_cell_facts(row: ScoreRow | TimingRow) -> dict[str, Any]:
    return {key: value for key, value in asdict(row).items() if key not in _CELL_FACTS}
