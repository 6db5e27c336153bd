"""Explainers that learn something from images and can be stored."""

import time
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self, final

from torch import Tensor

from ..datasets import Dataset, InputError
from .artefact import load_artefact, save_artefact
from .classifiers import Classifier
from .explainer import Explainer, preserved_traces
from .randomness import seeded

_VERSION = 1


class FittedExplainer(Explainer):
    """Base of the explainers whose fit is a handful of tensors.

    Plugins implement `_fit`, which returns them, `_restore`, which takes them, and `_settings`, the parameters with
    which the explainer is made again.

    Attributes:
        format_name: What the stored file says that it is.
    """

    format_name: ClassVar[str]
    needs_fit = True
    is_random = True

    def __init__(self, classifier: Classifier, *, seed: int = 0) -> None:
        """Bind an unfitted explainer to a classifier."""
        super().__init__(classifier, seed=seed)
        self._tensors: dict[str, Tensor] | None = None
        self._record: dict[str, Any] | None = None

    @property
    def fit_record(self) -> dict[str, Any] | None:
        """Data, settings, curve and ``fit_seconds`` of the fit, or None before."""
        return self._record

    @final
    def fit(self, dataset: Dataset, *, validation: Dataset | None = None, progress: bool = False) -> None:
        """Learn from images; labels and annotated regions are not read.

        Args:
            dataset: Training images of one size.
            validation: Unused.
            progress: Whether to show a progress bar.

        Raises:
            InputError: If the data do not suit the classifier.
        """
        info, name = dataset.info, type(self).__name__
        if not len(dataset):
            raise InputError(f"{name}: {info.name} has no images to fit on")
        if info.image_size is None or info.channels != self.classifier.channels:
            raise InputError(
                f"{name}: {info.name} has {info.channels} channels and image size {info.image_size}; "
                f"wanted {self.classifier.channels} channels and images of one size"
            )
        started = time.perf_counter()
        with seeded(self.seed), preserved_traces(self.classifier):
            tensors, facts = self._fit(dataset, progress=progress)
        self._tensors = tensors
        self._restore(tensors)
        self._record = {
            "dataset": info.name,
            "dataset_fingerprint": info.fingerprint,
            "settings": self._settings(),
            "seed": self.seed,
            **facts,
            "fit_seconds": time.perf_counter() - started,
        }

    def save(self, path: str | Path) -> None:
        """Store what was learned with hashes of classifier and data, and settings.

        Raises:
            InputError: If it is not fitted, or the file cannot be written.
        """
        if self._tensors is None:
            raise self._not_fitted()
        description = {
            "format": self.format_name,
            "format_version": _VERSION,
            "classifier_fingerprint": self.classifier.fingerprint,
            "fit": self._record,
        }
        save_artefact(path, tensors=self._tensors, description=description)

    @classmethod
    def load(cls, path: str | Path, classifier: Classifier) -> Self:
        """Restore a fitted explainer.

        Args:
            path: File written by `save`.
            classifier: The classifier that it was fitted on.

        Raises:
            InputError: If the file cannot be used, or was fitted on another classifier.
        """
        tensors, description = load_artefact(path, wanted_format=cls.format_name, wanted_version=_VERSION)
        found, wanted = description["classifier_fingerprint"], classifier.fingerprint
        if found != wanted:
            raise InputError(
                f"{path} was fitted on classifier {found[:8]}, this is {wanted[:8]}; fit it on this classifier"
            )
        record = description["fit"]
        settings = {key: tuple(v) if isinstance(v, list) else v for key, v in record["settings"].items()}
        explainer = cls(classifier, seed=record["seed"], **settings)
        explainer._tensors = {name: tensor.to(classifier.device) for name, tensor in tensors.items()}
        explainer._restore(explainer._tensors)
        explainer._record = record
        return explainer

    @abstractmethod
    def _fit(self, dataset: Dataset, *, progress: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Learn; returns tensors, and facts for the record. The global generators are seeded."""

    @abstractmethod
    def _restore(self, tensors: dict[str, Tensor]) -> None:
        """Become the explainer that learned these tensors, which are on the classifier's device."""

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """Parameters other than the seed, as JSON can hold them."""

    def _not_fitted(self) -> InputError:
        name = type(self).__name__
        return InputError(f"{name} is not fitted; call fit(dataset) or {name}.load(path, classifier)")
