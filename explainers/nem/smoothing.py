"""The smoothing operator, which keeps masks from hiding patterns in single pixels."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d, interpolate, pad

from ...datasets import InputError, closest_match
from ..separable import along_both_sides, line_matrix

SmoothingName = Literal["none", "box", "gaussian", "random"]
"""Names of smoothing operators.

``gaussian`` and ``box`` are the same in training and at use, ``none`` leaves maps as they are. ``random`` draws the
weights of its window anew for every training step, as the published code does; at use, where that code goes on drawing,
it is the mean of what was drawn: the box.
"""


class Smoothing(nn.Module):
    """Weighted mean over a window, with replicated borders; deterministic at use."""

    def __init__(self, kind: SmoothingName, *, sigma: float) -> None:
        """Choose the window.

        Args:
            kind: One of `SmoothingName`.
            sigma: Standard deviation of the Gaussian in map pixels, more than 0; every window reaches three of them to
                either side.

        Raises:
            InputError: If there is no such operator, or sigma is not above 0.
        """
        super().__init__()
        check_smoothing(kind)
        if not sigma > 0:
            raise InputError(f"the smoothing's standard deviation is {sigma} pixels; wanted more than 0")
        self.kind: SmoothingName = kind
        self.sigma = sigma
        self.generator = torch.Generator()

    def forward(self, maps: Tensor, *, size: Sequence[int]) -> Tensor:
        """Smooth maps and enlarge them by linear interpolation.

        Args:
            maps: (B, H, W).
            size: Height and width that are wanted.

        Returns:
            float32 (B, *size), also inside autocast.
        """
        if self.kind == "random" and self.training:
            with torch.autocast(maps.device.type, enabled=False):
                drawn = self._randomly_smoothed(maps.float()[:, None])
                return interpolate(drawn, size=tuple(size), mode="bilinear", align_corners=False)[:, 0]
        # Both are linear and treat rows and columns alike: one matrix to either side.
        vertical, horizontal = (
            _line_matrix(self.kind, self.sigma, old, new, maps.device)
            for old, new in zip(maps.shape[-2:], size, strict=True)
        )
        return along_both_sides(maps, vertical, horizontal)

    def _randomly_smoothed(self, maps: Tensor) -> Tensor:
        radius = _radius(self.kind, self.sigma)
        window = torch.rand(2 * radius + 1, 2 * radius + 1, generator=self.generator).to(maps.device)
        padded = pad(maps, (radius, radius, radius, radius), mode="replicate")
        return conv2d(padded, (window / window.sum())[None, None])


def check_smoothing(name: str) -> None:
    """Refuse a name that is not one of `SmoothingName`.

    Raises:
        InputError: With the one that may be meant.
    """
    known = list(get_args(SmoothingName))
    if name not in known:
        raise InputError(f"smoothing: unknown {name!r}; {closest_match(name, known)}")


def _radius(kind: SmoothingName, sigma: float) -> int:
    return 0 if kind == "none" else max(1, round(3 * sigma))


@lru_cache(maxsize=64)
def _line_matrix(kind: SmoothingName, sigma: float, length: int, wanted: int, device: torch.device) -> Tensor:
    """What smoothing and enlarging make of lines, as a matrix."""
    radius = _radius(kind, sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32, device=device)
    window = torch.exp(-0.5 * (offsets / sigma) ** 2) if kind == "gaussian" else torch.ones_like(offsets)

    def smooth_and_enlarge(lines: Tensor) -> Tensor:
        if radius:
            lines = conv1d(pad(lines, (radius, radius), mode="replicate"), (window / window.sum())[None, None])
        return interpolate(lines, size=wanted, mode="linear", align_corners=False)

    return line_matrix(smooth_and_enlarge, length, device=device)
