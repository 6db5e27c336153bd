"""Cells: the unit that is computed, stored and resumed."""

import traceback
from dataclasses import dataclass, field
from importlib.metadata import version
from math import isfinite
from statistics import median
from typing import Any

import torch
from torch import Tensor

from ..datasets import Case, CaseBatch, Sample, Task, fingerprint, targets_of
from ..explainers import Explainer
from .clock import Timed, device_name, timed
from .metrics import ScoringContext
from .prepare import prepare
from .rows import ScoreRow, Status, TimingRow
from .workbench import Workbench

# Raise it when a change of ours changes scores: cells stored before are then computed again.
SCORES_VERSION = 4
_SCORING_LIBRARIES = ("torch", "captum", "quantus")
# The first two calls of a shape may be slow: what is allocated, chosen or recorded on a GPU is there from the third on.
_MIN_TIMED_CALLS = 5
_MAX_EXTRA_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Some samples of a dataset, explained by one explainer for one classifier.

    Attributes:
        dataset: Id in the suite.
        classifier: Id in the suite.
        explainer: Id in the suite.
        start: First sample.
        stop: One after the last sample.
    """

    dataset: str
    classifier: str
    explainer: str
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What a cell gave.

    Attributes:
        cell: The cell.
        scores: One row per case and metric, whatever happened.
        timings: One row per timed call; empty where nothing was explained.
        failure: Traceback of what failed, the explainer or a metric, or None.
        skipped: Why the explainer cannot explain the classifier, or None.
    """

    cell: Cell
    scores: list[ScoreRow]
    timings: list[TimingRow] = field(default_factory=list)
    failure: str | None = None
    skipped: str | None = None


def plan_cells(bench: Workbench, *, limit: int | None = None) -> list[Cell]:
    """All cells of a suite, in the order in which they are reported.

    Args:
        bench: The suite's workbench.
        limit: Samples per dataset at most, besides the suite's own limit.
    """
    cells = []
    for dataset in bench.suite.evaluated:
        bounds = [len(bench.dataset(dataset)), bench.suite.datasets[dataset].samples, limit]
        total = min(bound for bound in bounds if bound is not None)
        for classifier in bench.suite.classifiers_for(dataset):
            for explainer in bench.suite.explainers_with_controls():
                for start in range(0, total, bench.suite.shard_size):
                    stop = min(start + bench.suite.shard_size, total)
                    cells.append(
                        Cell(dataset=dataset, classifier=classifier, explainer=explainer, start=start, stop=stop)
                    )
    return cells


def cell_id(bench: Workbench, cell: Cell) -> str:
    """Hash of everything that decides the scores of a cell."""
    suite = bench.suite
    return fingerprint(
        {
            "scores_version": SCORES_VERSION,
            "libraries": {name: version(name) for name in _SCORING_LIBRARIES},
            "device": bench.device.type,
            "names": [cell.dataset, cell.classifier, cell.explainer],
            "dataset": bench.dataset(cell.dataset).info.fingerprint,
            "samples": [cell.start, cell.stop],
            "targets": suite.datasets[cell.dataset].targets.value,
            "classifier": bench.classifier_identity(cell.classifier),
            "explainer": bench.explainer_identity(cell.explainer, cell.classifier),
            "batch_size": suite.batch_size,
            "preparation": suite.preparation,
            "metrics": [[name, metric.name, metric.library, metric.params] for name, metric in bench.metrics.items()],
        }
    )


def run_cell(bench: Workbench, cell: Cell) -> CellResult:
    """Explain and score the samples of one cell.

    A failing explainer or metric gives rows with status ``error`` and its traceback; wrong data raise.

    Raises:
        InputError: If a sample cannot be loaded.
    """
    batches = _case_batches(bench, cell)
    unsupported = bench.unsupported(cell.explainer, cell.classifier)
    if unsupported is not None:
        rows = [row for batch, scores in batches for row in _blank_rows(bench, cell, batch, scores, Status.SKIPPED)]
        return CellResult(cell=cell, scores=rows, skipped=unsupported)
    try:
        explainer = bench.explainer(cell.explainer, cell.classifier)
        return _explained(bench, cell, explainer, batches)
    except Exception:  # whatever a plugin raises is recorded, and the run goes on
        rows = [row for batch, scores in batches for row in _blank_rows(bench, cell, batch, scores, Status.ERROR)]
        return CellResult(cell=cell, scores=rows, failure=traceback.format_exc())


def _case_batches(bench: Workbench, cell: Cell) -> list[tuple[CaseBatch, Tensor]]:
    """Cases of the cell's samples with the classifier's scores (B, K), in batches."""
    dataset, classifier = bench.dataset(cell.dataset), bench.classifier(cell.classifier)
    rule, size = bench.suite.datasets[cell.dataset].targets, bench.suite.batch_size
    cases: list[Case] = []
    scores: list[Tensor] = []
    for index in range(cell.start, cell.stop):
        sample = dataset[index]
        own = bench.scores(cell.dataset, cell.classifier, sample)
        for target in targets_of(sample, task=classifier.task, rule=rule, predicted=int(own.argmax())):
            cases.append(Case(sample=sample, target=target))
            scores.append(own)
    return [
        (CaseBatch.of(cases[start : start + size]), torch.stack(scores[start : start + size]))
        for start in range(0, len(cases), size)
    ]


def _explained(
    bench: Workbench, cell: Cell, explainer: Explainer, batches: list[tuple[CaseBatch, Tensor]]
) -> CellResult:
    rows: list[ScoreRow] = []
    failures: list[str] = []
    calls: list[tuple[int, Timed[Tensor]]] = []
    for number, (batch, scores) in enumerate(batches):
        images, targets, masks = (t.to(bench.device) for t in (batch.images, batch.targets, batch.gt_masks))
        seen_masks = masks if explainer.sees_gt_masks else None
        if number == 0:
            first = (images, targets, seen_masks)
            explainer.explain(images[:1], targets[:1], gt_masks=None if seen_masks is None else seen_masks[:1])
        call = _timed_explain(explainer, images, targets, seen_masks)
        calls.append((len(images), call))
        scored, failed = _scored_rows(bench, cell, batch, scores, call.result.cpu())
        rows += scored
        failures += failed
    timings = _timing_rows(bench, cell, explainer, calls, first) if calls else []
    return CellResult(cell=cell, scores=rows, timings=timings, failure="\n".join(failures) or None)


def _timed_explain(explainer: Explainer, images: Tensor, targets: Tensor, masks: Tensor | None) -> Timed[Tensor]:
    return timed(lambda: explainer.explain(images, targets, gt_masks=masks), device=images.device)


def _timing_rows(
    bench: Workbench,
    cell: Cell,
    explainer: Explainer,
    calls: list[tuple[int, Timed[Tensor]]],
    first: tuple[Tensor, Tensor, Tensor | None],
) -> list[TimingRow]:
    """Timings of the calls at the full batch size; cheap calls are repeated so that a median means something."""
    images = first[0]
    full = [call for size, call in calls if size == len(images)]
    extra = 0.0
    while len(full) < _MIN_TIMED_CALLS and extra < _MAX_EXTRA_SECONDS:
        full.append(_timed_explain(explainer, *first))
        extra += full[-1].seconds
    classifier = bench.classifier(cell.classifier)
    with torch.no_grad():
        forwards = [timed(lambda: classifier.scores(images), device=bench.device).seconds for _ in range(4)]
    return [
        TimingRow(
            dataset=cell.dataset,
            classifier=cell.classifier,
            explainer=cell.explainer,
            is_control=explainer.is_control,
            batch_size=len(images),
            image_size=images.shape[-2],
            explain_seconds=call.seconds,
            forward_seconds=median(forwards[1:]),  # the first one warms up
            peak_memory_bytes=call.peak_memory_bytes,
            device=device_name(bench.device),
            threads=torch.get_num_threads(),
        )
        for call in full
    ]


def _scored_rows(
    bench: Workbench, cell: Cell, batch: CaseBatch, scores: Tensor, attribution: Tensor
) -> tuple[list[ScoreRow], list[str]]:
    """Rows of a batch, and tracebacks of metrics that failed: one metric's failure leaves the others their scores."""
    prepared = prepare(attribution, chain=bench.suite.preparation)
    context = ScoringContext(
        classifier=bench.classifier(cell.classifier),
        explainer=bench.explainer(cell.explainer, cell.classifier),
        chain=bench.suite.preparation,
        attribution=attribution,
        output_spread=bench.output_spread(cell.dataset, cell.classifier),
        case_facts=bench.case_facts(batch, dataset=cell.dataset, classifier=cell.classifier),
    )
    facts = [_case_facts(bench, cell, case, scores[index]) for index, case in enumerate(batch.cases)]
    rows, failures = [], []
    for name, metric in bench.metrics.items():
        try:
            chances = bench.chance(name, batch, dataset=cell.dataset, classifier=cell.classifier)
            values = metric.score(prepared, batch, context=context).tolist()
            statuses = metric.statuses(prepared, batch, context=context)
        except Exception as error:  # whatever a plugin raises is recorded, and the run goes on
            failures.append(f"{traceback.format_exc()}metric {name}: {type(error).__name__}: {error}")
            rows += [ScoreRow(**own, metric=name, score=None, chance=None, status=Status.ERROR) for own in facts]
            continue
        for value, chance, status, own in zip(values, chances, statuses, facts, strict=True):
            rows.append(
                ScoreRow(
                    **own,
                    metric=name,
                    score=value if status is Status.OK else None,
                    chance=chance if isfinite(chance) else None,
                    status=status,
                )
            )
    return rows, failures


def _blank_rows(bench: Workbench, cell: Cell, batch: CaseBatch, scores: Tensor, status: Status) -> list[ScoreRow]:
    return [
        ScoreRow(**_case_facts(bench, cell, case, scores[index]), metric=name, score=None, chance=None, status=status)
        for name in bench.metrics
        for index, case in enumerate(batch.cases)
    ]


def _case_facts(bench: Workbench, cell: Cell, case: Case, scores: Tensor) -> dict[str, Any]:
    classifier = bench.classifier(cell.classifier)
    return {
        "dataset": cell.dataset,
        "classifier": cell.classifier,
        "explainer": cell.explainer,
        "is_control": bench.explainer_class(cell.explainer).is_control,
        "sample_id": case.sample.sample_id,
        "target": case.target,
        "target_name": classifier.output_names[case.target],
        "predicted": int(scores.argmax()),
        "correct": _is_correct(case.sample, case.target, scores, classifier.task),
    }


def _is_correct(sample: Sample, target: int, scores: Tensor, task: Task) -> bool | None:
    if task is Task.REGRESSION:
        return None
    if task is Task.MULTILABEL:
        return bool((scores[target] > 0.5) == (sample.outputs[target] > 0.5))
    return bool(sample.outputs[scores.argmax()] > 0.5)
