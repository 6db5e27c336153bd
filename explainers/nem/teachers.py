"""Teachers: the frozen classifier asked in different ways what a mask does to its answers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...datasets import Dataset, Task
from ..classifiers import Classifier, output_spread
from ..memory_layout import to_device
from .balance import balanced_indices, predicted_classes
from .objective import (
    ObjectiveTerms,
    blend,
    embedding_terms,
    mean_terms,
    probability_terms,
    published_terms,
    value_terms,
)
from .removal import RemovalName
from .targets import WEAKER_SHARE, draw_targets, present_targets, target_scores
from .want_of_evidence import asked_by_pattern, named_removals

# A value is weaker in another image, or under a fill, where it is lower by this much of its spread.
_WEAKER_SPREAD = 0.5


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked about a batch of B images.

    Attributes:
        targets: int64 (B,), outputs to explain.
        masks_asked: int64 (B,), which mask of the decoder answers.
        present: bool (B,), whether there is anything to explain.
        weaker: bool (B, B), whether the row's target is weaker in the column's image.
        clean: Answers on the images, (B, K) raw outputs or (B, D) embeddings.
    """

    targets: Tensor
    masks_asked: Tensor
    present: Tensor
    weaker: Tensor
    clean: Tensor


class Teacher(ABC):
    """Asks the classifier about images with and without the pixels of a mask."""

    def __init__(self, classifier: Classifier) -> None:
        """Bind the teacher to the frozen classifier."""
        self.classifier = classifier

    def prepare(  # noqa: B027 - most teachers need to know nothing of the data
        self, dataset: Dataset, *, progress: bool = False
    ) -> None:
        """Look at the training images before the first step."""

    def facts(self) -> dict[str, Any]:
        """What it found in the training images that the record of a fit should say; here nothing."""
        return {}

    def epoch(self, indices: Sequence[int]) -> Sequence[int]:
        """What an epoch of the images at these positions of the prepared dataset consists of; here each once."""
        return indices

    @abstractmethod
    def ask(
        self, images: Tensor, *, layers: Sequence[str], generator: torch.Generator
    ) -> tuple[list[Tensor], Question]:
        """Feature maps of clean images, and what is to be explained about them; no gradient."""

    def silenced(self, question: Question, fills: Tensor, own: Tensor) -> Tensor:
        """Whether there is less to explain in an image's fill than in the image, bool (B,); here always.

        Args:
            question: What is asked about B images.
            fills: (N, C, H, W).
            own: int64 (B,), which of them is each image's.
        """
        return torch.ones_like(question.present)

    def wants_pattern(self, question: Question, drawn: Tensor) -> Tensor:
        """Whether the pattern of another image is to take the place of a removal, bool (B,); here never.

        Args:
            question: What is asked about B images.
            drawn: int64 (B,), which of the settings' removals each image got.
        """
        return torch.zeros_like(question.present)

    @abstractmethod
    def terms(self, question: Question, *, images: Tensor, masks: Tensor, fill: Tensor) -> ObjectiveTerms:
        """Judge masks (B, H, W) by what they do to the classifier's answers."""

    def _masked(self, images: Tensor, masks: Tensor, fill: Tensor) -> Tensor:
        """Images without the mask's pixels, then the mask's pixels alone, (2 B, C, H, W)."""
        both = torch.cat([blend(images, fill, 1 - masks), blend(images, fill, masks)])
        return to_device(both, images.device, learns=False)


class ScoreTeacher(Teacher):
    """NEMt: «which pixels speak for output t?», for probabilities and values."""

    def __init__(
        self,
        classifier: Classifier,
        *,
        random_target_share: float,
        balance_targets: bool = False,
        score_temperatures: Sequence[float] = (1.0,),
        pattern_removals: Sequence[RemovalName] = (),
    ) -> None:
        """Bind the teacher.

        Args:
            classifier: What is explained.
            random_target_share: As in `DecoderTraining`.
            balance_targets: As in `DecoderTraining`.
            score_temperatures: As in `DecoderTraining`.
            pattern_removals: The removals of the settings if patterns may take their place, which they do for classes
                of multiclass classifiers alone; else none.
        """
        super().__init__(classifier)
        self.random_target_share = random_target_share
        self.balance_targets = balance_targets
        self.score_temperatures = tuple(score_temperatures)
        self.spread = torch.ones(len(classifier.output_names), device=classifier.device)
        self.predicted: Sequence[int] = ()
        self.pattern_removals = tuple(pattern_removals)
        self.by_pattern: Tensor | None = None

    def prepare(self, dataset: Dataset, *, progress: bool = False) -> None:
        """Measure the spread of outputs, or predict classes and find those that are answered for want of evidence."""
        if self.classifier.task is Task.REGRESSION:
            self.spread = output_spread(self.classifier, dataset)
        if self.balance_targets:
            self.predicted = predicted_classes(self.classifier, dataset, progress=progress)
        if self.pattern_removals and self.classifier.task is Task.MULTICLASS:
            self.by_pattern = asked_by_pattern(
                self.classifier,
                dataset,
                self.pattern_removals,
                indices=self.epoch(range(len(dataset))),
                progress=progress,
            )

    def facts(self) -> dict[str, Any]:
        """Which classes patterns are asked about, and instead of which removals."""
        if self.by_pattern is None:
            return {}
        names = self.classifier.output_names
        return {"asked_by_pattern": named_removals(self.by_pattern, classes=names, removals=self.pattern_removals)}

    def epoch(self, indices: Sequence[int]) -> Sequence[int]:
        """See `Teacher.epoch`; as many of every predicted class where targets are balanced."""
        return balanced_indices(indices, self.predicted) if self.balance_targets else indices

    def ask(
        self, images: Tensor, *, layers: Sequence[str], generator: torch.Generator
    ) -> tuple[list[Tensor], Question]:
        """See `Teacher.ask`."""
        with torch.no_grad():
            logits, features = self.classifier.logits_and_features(images, layers=layers)
            outputs = logits.float()
            scores = self.classifier.scores_from_logits(outputs)
        task = self.classifier.task
        targets = draw_targets(scores, task=task, random_share=self.random_target_share, generator=generator)
        question = Question(
            targets=targets,
            masks_asked=targets,
            present=present_targets(scores, targets, task=task),
            weaker=self._weak(scores, targets)[:, None] >= scores[:, targets].T,
            clean=outputs,
        )
        return features, question

    def silenced(self, question: Question, fills: Tensor, own: Tensor) -> Tensor:
        """Whether the target is weaker in an image's fill than in the image; see `Teacher.silenced`."""
        with torch.no_grad():
            without_image = target_scores(self.classifier.scores(fills).float()[own], question.targets)
        return without_image <= self._weak(self.classifier.scores_from_logits(question.clean), question.targets)

    def wants_pattern(self, question: Question, drawn: Tensor) -> Tensor:
        """Where `asked_by_pattern` says so, and another image has less of the target; see `Teacher.wants_pattern`."""
        if self.by_pattern is None:
            return super().wants_pattern(question, drawn)
        return self.by_pattern[question.targets, drawn] & question.weaker.any(dim=1)

    def _weak(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Score up to which each image's target counts as weaker elsewhere, (B,)."""
        own = target_scores(scores, targets)
        if self.classifier.task is Task.REGRESSION:
            return own - _WEAKER_SPREAD * self.spread[targets]
        return WEAKER_SHARE * own

    def terms(self, question: Question, *, images: Tensor, masks: Tensor, fill: Tensor) -> ObjectiveTerms:
        """See `Teacher.terms`."""
        targets = question.targets
        deleted, preserved = self.classifier.logits(self._masked(images, masks, fill)).float().chunk(2)
        if self.classifier.task is not Task.REGRESSION:
            return mean_terms(
                [
                    self._terms_at(temperature, question, masks=masks, deleted=deleted, preserved=preserved)
                    for temperature in self.score_temperatures
                ]
            )
        with torch.no_grad():
            without_image = self.classifier.scores(fill).float()
        return value_terms(
            masks,
            clean=target_scores(question.clean, targets),
            deleted=target_scores(deleted, targets),
            preserved=target_scores(preserved, targets),
            without_image=target_scores(without_image, targets),
            spread=self.spread[targets],
        )

    def _terms_at(
        self, temperature: float, question: Question, *, masks: Tensor, deleted: Tensor, preserved: Tensor
    ) -> ObjectiveTerms:
        softened = self.classifier.scores_from_logits
        return probability_terms(
            masks,
            targets=question.targets,
            clean=softened(question.clean / temperature),
            deleted=softened(deleted / temperature),
            preserved=softened(preserved / temperature),
            present=question.present,
        )


class PublishedTeacher(ScoreTeacher):
    """NEMt as published: one mask for whatever is predicted, taught by the squared change under deletion."""

    def ask(
        self, images: Tensor, *, layers: Sequence[str], generator: torch.Generator
    ) -> tuple[list[Tensor], Question]:
        """See `Teacher.ask`."""
        features, question = super().ask(images, layers=layers, generator=generator)
        # One mask, whatever is asked, and no image is left out.
        return features, replace(
            question,
            masks_asked=torch.zeros_like(question.targets),
            present=torch.ones_like(question.present),
        )

    def terms(self, question: Question, *, images: Tensor, masks: Tensor, fill: Tensor) -> ObjectiveTerms:
        """See `Teacher.terms`."""
        targets = question.targets
        deleted = self.classifier.scores(blend(images, fill, 1 - masks)).float()
        clean = self.classifier.scores_from_logits(question.clean)
        scale = self.spread[targets]
        return published_terms(
            masks,
            clean=target_scores(clean, targets) / scale,
            deleted=target_scores(deleted, targets) / scale,
        )


class EmbeddingTeacher(Teacher):
    """NEM-U: no output is asked for; the embedding says what the image is about."""

    def __init__(self, classifier: Classifier, *, contrastive: bool) -> None:
        """Bind the teacher.

        Args:
            classifier: What is explained; an encoder without outputs serves as well.
            contrastive: As in `embedding_terms`.
        """
        super().__init__(classifier)
        self.contrastive = contrastive

    def ask(
        self, images: Tensor, *, layers: Sequence[str], generator: torch.Generator
    ) -> tuple[list[Tensor], Question]:
        """See `Teacher.ask`."""
        with torch.no_grad():
            features = self.classifier.logits_and_features(images, layers=layers)[1]
            clean = self.classifier.embedding(images).float()
        only = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        return features, Question(
            targets=only,
            masks_asked=only,
            present=torch.ones_like(only, dtype=torch.bool),
            # Any other image is about something else.
            weaker=~torch.eye(len(images), dtype=torch.bool, device=images.device),
            clean=clean,
        )

    def terms(self, question: Question, *, images: Tensor, masks: Tensor, fill: Tensor) -> ObjectiveTerms:
        """See `Teacher.terms`."""
        deleted, preserved = self.classifier.embedding(self._masked(images, masks, fill)).float().chunk(2)
        return embedding_terms(
            masks, clean=question.clean, deleted=deleted, preserved=preserved, contrastive=self.contrastive
        )
