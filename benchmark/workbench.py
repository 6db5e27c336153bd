"""From names in a suite to things: datasets, classifiers and explainers, made when first asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from ..datasets import DATASETS, CaseBatch, Dataset, InputError, Sample, Task, fingerprint
from ..explainers import (
    ARCHITECTURES,
    EXPLAINERS,
    Architecture,
    Classifier,
    Explainer,
    Performance,
    evaluate_classifier,
    load_classifier,
    output_spread,
    save_classifier,
    seeded,
    train_classifier,
)
from .identities import classifier_identity, explainer_identity
from .metrics import METRICS, Metric, ScoringContext
from .suite import ClassifierSpec, Params, Suite

_PERFORMANCE_SAMPLES = 256

T = TypeVar("T")


@dataclass(frozen=True)
class _Failure:
    error: Exception


class Workbench:
    """Everything that a run needs, built from the suite, the data folder and what the run folder holds already.

    It can be pickled: what has been built stays behind and is built again, from files, in the other process.
    """

    def __init__(self, suite: Suite, *, run_dir: Path, data_dir: Path, device: torch.device) -> None:
        """Describe the bench; nothing is built yet.

        Args:
            suite: What to build.
            run_dir: Folder of the run; trained classifiers and fitted explainers are kept there.
            data_dir: Folder below which relative data paths lie.
            device: Where classifiers compute.
        """
        self.suite, self.run_dir, self.data_dir, self.device = suite, run_dir, data_dir, device
        self._built: dict[tuple[str, ...], object] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_built": {}}

    def dataset(self, name: str) -> Dataset:
        """The dataset with that id.

        Raises:
            InputError: If its data cannot be used; the suite's hint where to get them is added.
        """
        return self._once(("dataset", name), lambda: self._make_dataset(name))

    def classifier(self, name: str, *, progress: bool = False) -> Classifier:
        """The classifier with that id, trained first where the suite says so and the run folder has none."""
        return self._once(("classifier", name), lambda: self._make_classifier(name, progress=progress))

    def classifier_record(self, name: str) -> dict[str, Any]:
        """What is known of the classifier's training; empty for a module that came finished."""
        self.classifier(name)
        return cast(dict[str, Any], self._built["classifier_record", name])

    def scores(self, dataset: str, classifier: str, sample: Sample) -> Tensor:
        """The classifier's scores (K,) of a sample of a dataset, on the CPU.

        One image at a time: a prediction must not depend on its neighbours in a batch, not even in the last bit.
        """

        def compute() -> Tensor:
            network = self.classifier(classifier)
            with torch.no_grad():
                return network.scores(sample.image[None].to(network.device))[0].cpu()

        return self._once(("scores", dataset, classifier, sample.sample_id), compute)

    def performance(self, dataset: str, classifier: str) -> Performance:
        """How good the classifier is on (the first 256 samples of) a dataset that it explains."""

        def measure() -> Performance:
            return evaluate_classifier(self.classifier(classifier), self.dataset(dataset), limit=_PERFORMANCE_SAMPLES)

        return self._once(("performance", dataset, classifier), measure)

    def output_spread(self, dataset: str, classifier: str) -> Tensor | None:
        """Standard deviation (K,) of a regression's outputs over (the first 256 samples of) a dataset; else None."""
        network = self.classifier(classifier)
        if network.task is not Task.REGRESSION:
            return None
        return self._once(("spread", dataset, classifier), lambda: output_spread(network, self.dataset(dataset)))

    def explainer_class(self, name: str) -> type[Explainer]:
        """Class of the explainer with that id."""
        return cast(type[Explainer], EXPLAINERS.get(self.suite.explainer_type(name)))

    def unsupported(self, explainer: str, classifier: str) -> str | None:
        """Why an explainer cannot explain a classifier, or None."""
        return self._once(
            ("unsupported", explainer, classifier),
            lambda: self.explainer_class(explainer).unsupported(self.classifier(classifier)),
        )

    def explainer(self, name: str, classifier: str, *, progress: bool = False) -> Explainer:
        """The explainer with that id for a classifier, fitted first where it must be and the run folder has no fit."""
        return self._once(
            ("explainer", name, classifier), lambda: self._make_explainer(name, classifier, progress=progress)
        )

    def check_explainer(self, name: str, classifier: str) -> None:
        """Make an explainer and let it go, so that a wrong parameter ends a run before anything is explained.

        Raises:
            InputError: If a parameter has a value that the explainer refuses.
        """
        params = self.suite.explainers_with_controls()[name].params
        try:
            EXPLAINERS.create(self.suite.explainer_type(name), self.classifier(classifier), **params)
        except InputError as error:
            raise InputError(f"explainers.{name}: {error}") from error

    def explainer_identity(self, name: str, classifier: str) -> dict[str, Any]:
        """Everything about an explainer that decides its maps, for the ids of cells."""
        spec = self.suite.explainers_with_controls()[name]

        def make() -> dict[str, Any]:
            data = spec.fit_on.get(classifier)
            return explainer_identity(
                self.suite.explainer_type(name),
                spec.params,
                seed=self.explainer_seed(name),
                weights=spec.weights.get(classifier),
                data=None if data is None else self.dataset(data).info.fingerprint,
            )

        # Files are read and hashed once, not once for every cell.
        return self._once(("explainer identity", name, classifier), make)

    def classifier_identity(self, name: str) -> dict[str, Any]:
        """Everything about a classifier that decides answers and what explainers read, for the ids of cells."""
        return self._once(
            ("classifier identity", name),
            lambda: classifier_identity(self.suite.classifiers[name], weights=self.classifier(name).fingerprint),
        )

    def explainer_seed(self, name: str) -> int:
        """Seed derived from the suite's seed and the name, so that adding an explainer never shifts another's."""
        return int(fingerprint([self.suite.seed, name])[:8], 16)

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """The suite's metrics by id."""
        return {name: METRICS.create(spec.type or name, **spec.params) for name, spec in self.suite.metrics.items()}

    def case_facts(self, batch: CaseBatch, *, dataset: str, classifier: str) -> dict[str, object]:
        """Where contexts of a batch keep what does not depend on the explainer (`ScoringContext.once_for_cases`)."""
        return self._once(("case facts", dataset, classifier, _cases_key(batch)), dict)

    def chance(self, metric: str, batch: CaseBatch, *, dataset: str, classifier: str) -> list[float]:
        """Chance of the metric with that id for every case of a batch; NaN where undefined.

        Chance does not depend on the explainer and may cost as much as a score: explainers of one process share it. It
        is computed for whole batches, which are the same for every explainer and in every process.
        """
        cases = _cases_key(batch)
        # Shared between metrics too: some read the same passes.
        context = self._once(
            ("chance context", dataset, classifier, cases),
            lambda: ScoringContext(
                classifier=self.classifier(classifier),
                output_spread=self.output_spread(dataset, classifier),
                case_facts=self.case_facts(batch, dataset=dataset, classifier=classifier),
            ),
        )
        return self._once(
            ("chance", metric, dataset, classifier, cases),
            lambda: self.metrics[metric].chance(batch, context=context).tolist(),
        )

    def _once(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        if key not in self._built:
            try:
                self._built[key] = make()
            except Exception as error:
                # A fit that failed after minutes would fail again for every cell.
                self._built[key] = _Failure(error)
        built = self._built[key]
        if isinstance(built, _Failure):
            raise built.error
        return cast(T, built)

    def _make_dataset(self, name: str) -> Dataset:
        spec = self.suite.datasets[name]
        try:
            return DATASETS.create(spec.type, **self._located(spec.type, spec.params))
        except InputError as error:
            hint = f" {self.suite.data_hint}" if self.suite.data_hint else ""
            raise InputError(f"dataset {name!r}: {error}{hint}") from error

    def _located(self, kind: str, params: Params) -> Params:
        """Params with relative paths below the data folder."""
        checked = DATASETS.checked_params(kind, params)
        return {key: self.data_dir / value if isinstance(value, Path) else value for key, value in checked.items()}

    def _make_classifier(self, name: str, *, progress: bool) -> Classifier:
        spec = self.suite.classifiers[name]
        architecture = None if spec.type is None else Architecture(type=spec.type, params=spec.params)
        if spec.checkpoint is not None:
            classifier, record = load_classifier(spec.checkpoint, architecture=architecture)
            record = record["training"]
        elif spec.train is not None:
            classifier, record = self._trained(name, spec, progress=progress)
        else:
            classifier, record = self._as_it_comes(name, spec), {}
        self._built["classifier_record", name] = record
        return classifier.to(self.device)

    def _trained(self, name: str, spec: ClassifierSpec, *, progress: bool) -> tuple[Classifier, dict[str, Any]]:
        if spec.train is None or spec.type is None:
            raise InputError(f"classifier {name!r} has nothing to train")
        architecture = Architecture(type=spec.type, params=spec.params)
        train, validation = self.dataset(spec.train.dataset), self.dataset(spec.train.validation)
        settings = spec.train.settings(seed=self.suite.seed)
        identity = {
            "architecture": [spec.type, spec.params],
            "settings": spec.train.model_dump(),
            "seed": self.suite.seed,
            "data": [train.info.fingerprint, validation.info.fingerprint],
            "torch": torch.__version__,
        }
        path = self.run_dir / "classifiers" / f"{name}-{fingerprint(identity)[:8]}.safetensors"
        if not path.is_file():
            classifier, record = train_classifier(
                architecture,
                train=train,
                validation=validation,
                settings=settings,
                device=self.device,
                progress=progress,
            )
            save_classifier(path, classifier, architecture=architecture, training=record)
        # Read back even what was just trained, so that a resumed run uses the same bytes.
        classifier, description = load_classifier(path, architecture=architecture)
        return classifier, description["training"]

    def _as_it_comes(self, name: str, spec: ClassifierSpec) -> Classifier:
        datasets = [data for data in self.suite.evaluated if name in self.suite.classifiers_for(data)]
        info = self.dataset(datasets[0]).info
        with seeded(self.suite.seed):  # a module without weights of its own starts at random, the same in every process
            network = ARCHITECTURES.create(str(spec.type), len(info.output_names), info.channels, **spec.params)
        image_size = 224 if info.image_size is None else info.image_size[0]
        return Classifier(
            network.module,
            task=info.task,
            output_names=info.output_names,
            mean=network.mean,
            std=network.std,
            channels=info.channels,
            image_size=image_size,
            feature_layers=network.feature_layers,
        )

    def _make_explainer(self, name: str, classifier_name: str, *, progress: bool) -> Explainer:
        spec = self.suite.explainers_with_controls()[name]
        kind = self.suite.explainer_type(name)
        classifier = self.classifier(classifier_name)
        explainer_class = self.explainer_class(name)
        if classifier_name in spec.weights:
            return explainer_class.load(spec.weights[classifier_name], classifier)
        explainer = EXPLAINERS.create(kind, classifier, **spec.params, seed=self.explainer_seed(name))
        if not explainer.needs_fit:
            return explainer
        facts = [self.explainer_identity(name, classifier_name), self.classifier_identity(classifier_name)]
        identity = [*facts, torch.__version__]
        path = self.run_dir / "explainers" / f"{name}-{classifier_name}-{fingerprint(identity)[:8]}.safetensors"
        if not path.is_file():
            data = self.dataset(spec.fit_on[classifier_name])
            explainer.fit(data, checkpoint=path.with_name(f"{path.name}.unfinished"), progress=progress)
            explainer.save(path)
        return explainer_class.load(path, classifier)


def _cases_key(batch: CaseBatch) -> str:
    return fingerprint([[case.sample.sample_id, case.target] for case in batch.cases])
