"""How good a classifier is, and whether that could be luck."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import balanced_accuracy_score
from torch import Tensor

from ...datasets import Task

_N_PERMUTATIONS = 999


@dataclass(frozen=True, kw_only=True)
class Performance:
    """Performance of a classifier on labelled samples.

    Attributes:
        n_samples: Samples measured.
        accuracy: Share of correct decisions (multilabel: per label at 0.5); None for regression.
        balanced_accuracy: Mean recall of the classes that occur (multilabel: mean over labels); None for regression.
        auc: Mean one-versus-rest area under the ROC curve over outputs that have both kinds of samples; None for
            regression or where no output has.
        r2: Coefficient of determination, averaged over outputs; None unless regression.
        chance_p_value: Share of label permutations that reach the statistic (AUC, else R²): small means that the
            classifier knows something. 1 where nothing can be measured.
    """

    n_samples: int
    accuracy: float | None
    balanced_accuracy: float | None
    auc: float | None
    r2: float | None
    chance_p_value: float

    @property
    def beats_chance(self) -> bool:
        """Whether a label permutation test at 5 % rejects «no better than chance»."""
        return self.chance_p_value < 0.05

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def summary(self) -> str:
        """One phrase for people, such as «balanced accuracy 0.95, AUC 0.99 (n = 200)»."""
        if self.r2 is not None:
            return f"R² {self.r2:.3f} (n = {self.n_samples})"
        auc = "" if self.auc is None else f", AUC {self.auc:.3f}"
        decisions = f"accuracy {self.accuracy:.3f}, balanced accuracy {self.balanced_accuracy:.3f}"
        return f"{decisions}{auc} (n = {self.n_samples})"


def measure_performance(scores: Tensor, outputs: Tensor, *, task: Task, seed: int = 0) -> Performance:
    """Compare scores with annotations.

    Args:
        scores: float (N, K): probabilities, or regression values.
        outputs: float (N, K): one-hot, multi-hot, or values.
        task: What the outputs mean.
        seed: Seed of the permutation test.

    Returns:
        The performance on these samples.
    """
    predicted = scores.detach().cpu().double().numpy()
    actual = outputs.detach().cpu().double().numpy()
    generator = np.random.default_rng(seed)
    if task is Task.REGRESSION:
        p_value = _permutation_p_value(_mean_r2, predicted, actual, generator)
        return Performance(
            n_samples=len(actual),
            accuracy=None,
            balanced_accuracy=None,
            auc=None,
            r2=_mean_r2(predicted, actual),
            chance_p_value=p_value,
        )
    if task is Task.MULTICLASS:
        labels, decisions = actual.argmax(axis=1), predicted.argmax(axis=1)
        accuracy = float((labels == decisions).mean())
        # scikit-learn averages over the classes that are decided for too; only those that occur have a recall.
        balanced = float(np.mean([(decisions[labels == label] == label).mean() for label in np.unique(labels)]))
    else:
        accuracy = float(((predicted > 0.5) == (actual > 0.5)).mean())
        per_label = zip(actual.T > 0.5, predicted.T > 0.5, strict=True)
        balanced = float(np.mean([balanced_accuracy_score(present, decided) for present, decided in per_label]))
    ranks = rankdata(predicted, axis=0)
    auc = _mean_auc(ranks, actual)
    return Performance(
        n_samples=len(actual),
        accuracy=accuracy,
        balanced_accuracy=balanced,
        auc=None if np.isnan(auc) else auc,
        r2=None,
        chance_p_value=_permutation_p_value(_mean_auc, ranks, actual, generator),
    )


def _mean_auc(ranks: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    """Mean area under the ROC curve by the Mann-Whitney statistic, over columns with both kinds of samples."""
    positive = actual > 0.5
    n_positive, n_negative = positive.sum(axis=0), (~positive).sum(axis=0)
    usable = (n_positive > 0) & (n_negative > 0)
    if not usable.any():
        return float("nan")
    rank_sums = (ranks * positive).sum(axis=0)[usable]
    n_pos, n_neg = n_positive[usable], n_negative[usable]
    return float(np.mean((rank_sums - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg)))


def _mean_r2(predicted: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    residual = ((actual - predicted) ** 2).sum(axis=0)
    total = ((actual - actual.mean(axis=0)) ** 2).sum(axis=0)
    return float(np.mean(1 - residual / np.maximum(total, 1e-12)))


def _permutation_p_value(
    statistic: Any, predicted: NDArray[np.float64], actual: NDArray[np.float64], generator: np.random.Generator
) -> float:
    observed = statistic(predicted, actual)
    if np.isnan(observed):
        return 1.0
    reached = sum(
        statistic(predicted, actual[generator.permutation(len(actual))]) >= observed - 1e-12
        for _ in range(_N_PERMUTATIONS)
    )
    return (1 + int(reached)) / (1 + _N_PERMUTATIONS)
