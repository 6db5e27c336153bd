"""Explainers that learn something from images and can be stored."""

import glob
import re
import time
from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self, final

import torch
from torch import Tensor

from .. import __version__
from ..datasets import Dataset, InMemory, InputError, fingerprint
from .artefact import load_artefact, save_artefact
from .classifiers import Classifier, checkpoint_path
from .explainer import Explainer, preserved_traces
from .randomness import preserved_random_state, seeded


@dataclass(frozen=True, kw_only=True)
class FitRequest:
    """What a fit is given.

    Attributes:
        dataset: Training images of one size and of the classifier's channels, at least one, without annotated regions.
        validation: Images for choosing what to keep, or None.
        checkpoint: File in which an unfinished fit is kept, or None. A fit of several trainings keeps each in a part
            (`FitRequest.part`).
        identity: Hash of everything that decides the fit: a checkpoint of another one is none.
        progress: Whether to show a progress bar.
    """

    dataset: Dataset
    validation: Dataset | None
    checkpoint: Path | None
    identity: str
    progress: bool

    def part(self, number: int) -> "FitRequest":
        """The request of one of several trainings, with a checkpoint (FILE.1, FILE.2, …) that is no other's.

        Args:
            number: Of the training, from 1.
        """
        whole = self.checkpoint
        own = None if whole is None else whole.with_name(f"{whole.name}.{number}")
        return replace(self, checkpoint=own, identity=f"{self.identity}, member {number}")


class FittedExplainer(Explainer):
    """Base of the explainers whose fit is a handful of tensors.

    Plugins implement `_fit`, which returns them, `_restore`, which takes them, and `_settings`, the parameters with
    which the explainer is made again.

    Attributes:
        format_name: What the stored file says that it is.
        format_version: And of which version.
    """

    format_name: ClassVar[str]
    format_version: ClassVar[int] = 1
    needs_fit = True
    is_random = True

    def __init__(self, classifier: Classifier, *, seed: int = 0) -> None:
        """Bind an unfitted explainer to a classifier."""
        super().__init__(classifier, seed=seed)
        self._tensors: dict[str, Tensor] | None = None
        self._record: dict[str, Any] | None = None

    @property
    def fit_record(self) -> dict[str, Any] | None:
        """Data, settings, curve, ``fit_seconds`` and ``fit_device`` (``cpu``, ``cuda``) of the fit, or None before."""
        return self._record

    @final
    def fit(
        self,
        dataset: Dataset,
        *,
        validation: Dataset | None = None,
        checkpoint: Path | None = None,
        progress: bool = False,
    ) -> None:
        """Learn from images; labels and annotated regions are not read, and the classifier stays bit-identical.

        Args:
            dataset: Training images of one size.
            validation: Images for choosing what to keep; not every explainer needs them.
            checkpoint: File in which an unfinished fit is kept, so that a killed one goes on; removed at the end. Not
                every explainer needs it, and a fit of several trainings keeps each in a file of its own (FILE.1, …).
            progress: Whether to show a progress bar.

        Raises:
            InputError: If the data do not suit the classifier, or the fit fails on them.
        """
        for images in (dataset,) if validation is None else (dataset, validation):
            self._check_images(images)
        info = dataset.info
        started = time.perf_counter()
        identity = fingerprint(
            {
                "explainer": [self.format_name, self.format_version],
                "classifier": self.classifier.fingerprint,
                "data": [info.fingerprint, None if validation is None else validation.info.fingerprint],
                "settings": self._settings(),
                "seed": self.seed,
                # Another kind of device rounds differently and takes other seconds; other code may learn otherwise.
                "device": self.classifier.device.type,
                "versions": [__version__, torch.__version__],
            }
        )
        request = FitRequest(
            dataset=InMemory(dataset),
            validation=None if validation is None else InMemory(validation),
            checkpoint=checkpoint,
            identity=identity,
            progress=progress,
        )
        with seeded(self.seed), preserved_traces(self.classifier):
            tensors, facts = self._fit(request)
            earlier_seconds = facts.pop("earlier_seconds", 0.0)
            self._restore(tensors)
        self._tensors = tensors
        self._record = {
            "dataset": info.name,
            "dataset_fingerprint": info.fingerprint,
            "settings": self._settings(),
            "seed": self.seed,
            **facts,
            "fit_device": self.classifier.device.type,
            "fit_seconds": earlier_seconds + time.perf_counter() - started,
        }
        if checkpoint is not None:
            _remove_unfinished(checkpoint)

    def save(self, path: str | Path) -> None:
        """Store what was learned with hashes of classifier and data, and settings.

        Raises:
            InputError: If it is not fitted, or the file cannot be written.
        """
        if self._tensors is None:
            raise self._not_fitted()
        description = {
            "format": self.format_name,
            "format_version": self.format_version,
            "classifier_fingerprint": self.classifier.fingerprint,
            "fit": self._record,
        }
        save_artefact(path, tensors=self._tensors, description=description)

    @classmethod
    def load(cls, path: str | Path, classifier: Classifier) -> Self:
        """Restore a fitted explainer.

        Args:
            path: File written by `save`, or ``builtin:NAME``.
            classifier: The classifier that it was fitted on.

        Raises:
            InputError: If the file cannot be used, or was fitted on another classifier.
        """
        file = checkpoint_path(path)
        tensors, description = load_artefact(file, wanted_format=cls.format_name, wanted_version=cls.format_version)
        found, wanted = description["classifier_fingerprint"], classifier.fingerprint
        if found != wanted:
            raise InputError(
                f"{file} was fitted on classifier {found[:8]}, this is {wanted[:8]}; fit it on this classifier"
            )
        record = description["fit"]
        settings = {key: tuple(v) if isinstance(v, list) else v for key, v in record["settings"].items()}
        explainer = cls(classifier, seed=record["seed"], **settings)
        explainer._tensors = {name: tensor.to(classifier.device) for name, tensor in tensors.items()}
        with preserved_random_state():  # initial weights that may be drawn there are replaced at once
            explainer._restore(explainer._tensors)
        explainer._check_record(record)
        explainer._record = record
        return explainer

    def _check_images(self, images: Dataset) -> None:
        info, name = images.info, type(self).__name__
        if not len(images):
            raise InputError(f"{name}: {info.name} has no images to fit on")
        if info.image_size is None or info.channels != self.classifier.channels:
            raise InputError(
                f"{name}: {info.name} has {info.channels} channels and image size {info.image_size}; "
                f"wanted {self.classifier.channels} channels and images of one size"
            )

    @abstractmethod
    def _fit(self, request: FitRequest) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Learn; returns tensors, and facts for the record. The global generators are seeded.

        A fit that goes on where one was killed says in the facts what that had taken (``earlier_seconds``), so that the
        record has the seconds of the whole.
        """

    @abstractmethod
    def _restore(self, tensors: dict[str, Tensor]) -> None:
        """Become the explainer that learned these tensors, which are on the classifier's device."""

    def _check_record(self, record: dict[str, Any]) -> None:
        """Refuse what was stored if it does not suit how the classifier, the right one, is read; after `_restore`.

        Args:
            record: Of the fit.

        Raises:
            InputError: If it does not suit.
        """

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """Parameters other than the seed, as JSON can hold them."""

    def _not_fitted(self) -> InputError:
        name = type(self).__name__
        return InputError(f"{name} is not fitted; call fit(dataset) or {name}.load(path, classifier)")


def _remove_unfinished(checkpoint: Path) -> None:
    """Remove a checkpoint and its parts, those of an earlier fit with more of them as well."""
    for file in checkpoint.parent.glob(f"{glob.escape(checkpoint.name)}*"):
        rest = file.name.removeprefix(checkpoint.name)
        if not rest or re.fullmatch(r"\.\d+", rest):
            file.unlink(missing_ok=True)
