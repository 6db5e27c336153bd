"""A picture of a run: the same cases as every explainer sees them."""

from pathlib import Path

import torch
from matplotlib.figure import Figure

from ..datasets import Case, CaseBatch, InputError, closest_match, targets_of
from .figures import draw_gallery
from .prepare import prepare
from .store import RunStore
from .suite import Suite
from .workbench import Workbench


def gallery_of_run(
    store: RunStore, *, dataset: str | None, n_cases: int, data_dir: Path, device: torch.device
) -> Figure:
    """Draw the first cases of a run, explained again with what the run has trained.

    Args:
        store: The run.
        dataset: Id of a dataset of the suite; None for the first.
        n_cases: Cases to draw.
        data_dir: Folder below which relative data paths lie.
        device: Where to compute.

    Raises:
        InputError: If the folder holds no run or nobody has explained the dataset yet, or the data are missing.
    """
    suite = Suite.model_validate(store.read_manifest()["suite"])
    bench = Workbench(suite, run_dir=store.run_dir, data_dir=data_dir, device=device)
    if dataset is not None and dataset not in suite.evaluated:
        raise InputError(f"the run has no dataset {dataset!r}; {closest_match(dataset, list(suite.evaluated))}")
    name = dataset or suite.evaluated[0]
    classifier_name = suite.classifiers_for(name)[0]
    classifier = bench.classifier(classifier_name)
    cases: list[Case] = []
    for index in range(len(bench.dataset(name))):
        if len(cases) >= n_cases:
            break
        sample = bench.dataset(name)[index]
        predicted = int(bench.scores(name, classifier_name, sample).argmax())
        targets = targets_of(sample, task=classifier.task, rule=suite.datasets[name].targets, predicted=predicted)
        cases += [Case(sample=sample, target=target) for target in targets]
    batch = CaseBatch.of(cases[:n_cases])
    images, targets_tensor, masks = (t.to(device) for t in (batch.images, batch.targets, batch.gt_masks))
    maps = {}
    for explainer_name in _finished(store, dataset=name, classifier=classifier_name):
        explainer = bench.explainer(explainer_name, classifier_name)
        raw = explainer.explain(images, targets_tensor, gt_masks=masks if explainer.sees_gt_masks else None)
        maps[explainer_name] = list(prepare(raw.cpu(), chain=suite.preparation).maps)
    return draw_gallery(
        list(batch.images),
        maps,
        titles=[classifier.output_names[case.target] for case in batch.cases],
        gt_masks=[case.gt_mask for case in batch.cases],
    )


def _finished(store: RunStore, *, dataset: str, classifier: str) -> list[str]:
    """Explainers that gave maps in the run: not those that failed, were skipped, or that it has not come to."""
    rows = store.timing_frame()
    own = rows[(rows["dataset"] == dataset) & (rows["classifier"] == classifier)]
    if own.empty:
        raise InputError(f"nobody has explained {dataset} in {store.run_dir} yet; run the suite again")
    return list(dict.fromkeys(own["explainer"]))
