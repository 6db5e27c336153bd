"""How alike are two maps of one image?"""

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor


def rank_similarity(maps: Tensor, others: Tensor) -> Tensor:
    """Spearman's rank correlation over pixels, tied pixels at their mean rank, per pair of maps.

    Where the correlation is not defined: two equal maps are as alike as can be (1), also if they are constant; a
    constant or empty map says nothing that a map with contrast could share (0).

    Args:
        maps: float32 (B, H, W), prepared.
        others: float32 (B, H, W), prepared; empty maps are all 0.

    Returns:
        float64 (B,) in [-1, 1].
    """
    pairs = zip(maps.flatten(1).numpy(), others.flatten(1).numpy(), strict=True)
    return torch.tensor([_spearman(one, other) for one, other in pairs], dtype=torch.float64)


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    if np.array_equal(one, other):
        return 1.0
    return correlation(rankdata(one), rankdata(other))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation of two series; 0 where one of them is constant up to rounding.

    Args:
        first: float (N,).
        second: float (N,).

    Returns:
        A number in [-1, 1].
    """
    centred = [np.asarray(series, dtype=np.float64) - np.mean(series, dtype=np.float64) for series in (first, second)]
    norms = [float(np.linalg.norm(series)) for series in centred]
    for series, norm in zip((first, second), norms, strict=True):
        if norm <= 1e-9 * float(np.linalg.norm(series)):
            return 0.0
    return float(np.clip(centred[0] @ centred[1] / (norms[0] * norms[1]), -1.0, 1.0))
