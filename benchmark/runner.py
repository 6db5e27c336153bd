"""Run a suite: plan cells, skip those that are stored, compute and store the rest."""

import os
import platform
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from tqdm import tqdm

from .. import __version__
from ..datasets import InputError
from .cells import Cell, CellResult, cell_id, plan_cells, run_cell
from .clock import device_name
from .executors import SerialExecutor
from .store import RunStore
from .suite import Suite
from .workbench import Workbench

DeviceChoice = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        n_cells: Cells of the plan.
        n_computed: Cells computed now; the others were stored before.
        failures: Tracebacks of the cells that failed.
    """

    n_cells: int
    n_computed: int
    failures: dict[Cell, str]


def choose_device(choice: DeviceChoice) -> torch.device:
    """Where to compute.

    Args:
        choice: ``auto`` takes a GPU where there is one.

    Raises:
        InputError: If a GPU is asked for and absent.
    """
    available = torch.cuda.is_available()
    if choice == "cuda" and not available:
        raise InputError("device cuda was asked for, but torch finds no CUDA device; use --device cpu")
    return torch.device("cuda" if choice != "cpu" and available else "cpu")


def run_suite(
    suite: Suite,
    *,
    run_dir: Path,
    data_dir: Path = Path("data"),
    device: DeviceChoice = "auto",
    limit: int | None = None,
    progress: bool = False,
    executor: Executor | None = None,
    window: int = 1,
) -> RunOutcome:
    """Run a suite, or go on with it where an earlier run stopped.

    Args:
        suite: What to run.
        run_dir: Folder of the run; cells stored there are not computed again.
        data_dir: Folder below which relative data paths lie.
        device: Where to compute.
        limit: Samples per dataset at most.
        progress: Whether to show progress bars.
        executor: Where cells run; None for this thread. Any ``concurrent.futures.Executor`` serves.
        window: Cells handed to the executor at a time; about twice its workers.

    Returns:
        How it ended. Failing explainers are recorded there and in the run, and never end it.

    Raises:
        InputError: If data, classifiers or folders cannot be used, or a classifier is no better than chance.
    """
    store = RunStore(run_dir)
    store.check_writable()
    bench = Workbench(suite, run_dir=run_dir, data_dir=data_dir, device=choose_device(device))
    cells = plan_cells(bench, limit=limit)
    if not cells:
        raise InputError(f"suite {suite.name} has no sample to explain; check samples, --limit and the data")
    _prepare_classifiers(bench, progress=progress)
    planned = {cell_id(bench, cell): cell for cell in cells}
    fits = _prepare_explainers(bench, cells, progress=progress)
    store.write_manifest(_manifest(bench, list(planned), fits=fits, limit=limit))
    todo = [(key, cell) for key, cell in planned.items() if not store.has(key)]
    failures: dict[Cell, str] = {}
    with tqdm(
        total=len(planned), initial=len(planned) - len(todo), desc="cells", unit="cell", disable=not progress
    ) as bar:
        for key, result in _computed(bench, todo, executor=executor or SerialExecutor(), window=window, bar=bar):
            store.put(key, result)
            if result.failure is not None:
                failures[result.cell] = result.failure
            bar.update()
    return RunOutcome(n_cells=len(planned), n_computed=len(todo), failures=failures)


def _computed(
    bench: Workbench, todo: list[tuple[str, Cell]], *, executor: Executor, window: int, bar: "tqdm[Any]"
) -> Iterator[tuple[str, CellResult]]:
    """Results as they come; at most ``window`` cells are on their way, so that a kill loses little."""
    pending: dict[Future[CellResult], str] = {}
    remaining = iter(todo)
    while True:
        while len(pending) < window and (following := next(remaining, None)) is not None:
            key, cell = following
            bar.set_postfix_str(f"{cell.dataset} {cell.explainer}")
            pending[executor.submit(run_cell, bench, cell)] = key
        if not pending:
            return
        done, _ = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            yield pending.pop(future), future.result()


def _prepare_classifiers(bench: Workbench, *, progress: bool) -> None:
    """Load or train every classifier, and refuse one that knows nothing."""
    for dataset in bench.suite.evaluated:
        for name in bench.suite.classifiers_for(dataset):
            classifier = bench.classifier(name, progress=progress)
            info = bench.dataset(dataset).info
            if classifier.output_names != info.output_names or classifier.task is not info.task:
                raise InputError(
                    f"classifier {name!r} answers {classifier.task.value} {', '.join(classifier.output_names)}; "
                    f"dataset {dataset!r} has {info.task.value} {', '.join(info.output_names)}; "
                    "wanted the same outputs in the same order"
                )
            performance = bench.performance(dataset, name)
            if not performance.beats_chance and not bench.suite.classifiers[name].allow_chance:
                raise InputError(
                    f"classifier {name!r} is no better than chance on {dataset!r}: {performance.summary()}, "
                    f"permutation test p = {performance.chance_p_value:.3f}; explanations of it mean nothing. Train it "
                    f"longer, or set classifiers.{name}.allow_chance = true"
                )


def _prepare_explainers(bench: Workbench, cells: list[Cell], *, progress: bool) -> list[dict[str, Any]]:
    """Fit or load what must be, and report the fits; a fit that fails is reported by its cells."""
    fits = []
    for classifier, name in dict.fromkeys((cell.classifier, cell.explainer) for cell in cells):
        if bench.unsupported(name, classifier) is not None:
            continue
        bench.check_explainer(name, classifier)
        if not bench.explainer_class(name).needs_fit:
            continue
        try:
            record = bench.explainer(name, classifier, progress=progress).fit_record
        except Exception:
            if classifier in bench.suite.explainers[name].weights:
                raise  # a file that the user named cannot be used
            continue
        if record is not None:
            facts = {key: value for key, value in record.items() if key != "curve"}
            fits.append({"explainer": name, "classifier": classifier, **facts})
    return fits


def _manifest(bench: Workbench, ids: list[str], *, fits: list[dict[str, Any]], limit: int | None) -> dict[str, Any]:
    suite = bench.suite
    pairs = [(data, name) for data in suite.evaluated for name in suite.classifiers_for(data)]
    return {
        "suite": suite.model_dump(mode="json"),
        "limit": limit,
        "cells": ids,
        "metrics": [
            {
                "name": name,
                "type": metric.name,
                "family": metric.family,
                "higher_is_better": metric.higher_is_better,
                "library": metric.library,
                "params": metric.params,
                "citation": metric.citation,
            }
            for name, metric in bench.metrics.items()
        ],
        "datasets": {
            name: {
                "name": info.name,
                "version": info.version,
                "task": info.task.value,
                "output_names": list(info.output_names),
                "image_size": info.image_size,
                "mask_kind": info.mask_kind.value,
                "license": info.license,
                "citation": info.citation,
                "fingerprint": info.fingerprint,
                "notes": list(info.notes),
            }
            for name, info in ((name, bench.dataset(name).info) for name in suite.evaluated)
        },
        "classifiers": [
            {
                "dataset": data,
                "classifier": name,
                "fingerprint": bench.classifier(name).fingerprint,
                "performance": bench.performance(data, name).as_dict(),
                "summary": bench.performance(data, name).summary(),
                "training": {k: v for k, v in bench.classifier_record(name).items() if k != "curve"},
            }
            for data, name in pairs
        ],
        "oracles": [name for name in suite.explainers_with_controls() if bench.explainer_class(name).sees_gt_masks],
        "fits": fits,
        "environment": {
            "xaibench": __version__,
            **{name: version(name) for name in ("torch", "captum", "quantus", "timm", "numpy")},
            "python": platform.python_version(),
            "platform": platform.system(),
            "device": device_name(bench.device),
            "device_type": bench.device.type,
            "threads": torch.get_num_threads(),
            "cpus": os.cpu_count(),
        },
    }
