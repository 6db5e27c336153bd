"""The shortcut: a lead token that goes with a label, so that a classifier can be right for the wrong reason."""

from dataclasses import dataclass

import numpy as np

from ..catalog import closest_match
from ..errors import InputError
from .case_mix import CaseMix
from .devices import Marker, draw_marker
from .findings import FINDINGS

SEVERE = 0.2
"""Affected share of the lungs from which on an image counts as positive for the shortcut."""


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """How the token goes with the label.

    Attributes:
        strength: 0: it lies on half of all images, whatever they show; 1: on every positive image and on no other.
        finding: The finding whose images are positive; for severity those with an affected share above `SEVERE`.
    """

    strength: float
    finding: str | None

    def is_positive(self, names: tuple[str, ...], severity: float) -> bool:
        """Whether the token goes with an image of these findings and this affected share of the lungs."""
        return severity > SEVERE if self.finding is None else self.finding in names

    def draw(self, rng: np.random.Generator, *, positive: bool) -> Marker | None:
        """Draw the token of an image, or none; where it would lie does not depend on the label."""
        share = 0.5 + 0.5 * self.strength * (1 if positive else -1)
        present = rng.random() < share
        marker = draw_marker(rng)
        return marker if present else None


def make_shortcut(mix: CaseMix, *, strength: float | None, finding: str | None) -> Shortcut | None:
    """Check what a user wants to see.

    Args:
        mix: What the images show.
        strength: From 0 to 1, or None for no token at all.
        finding: The finding that the token goes with; None for the first one (severity: for severe images).

    Raises:
        InputError: For a strength out of range, or a finding that no image has.
    """
    if strength is None:
        if finding is not None:
            raise InputError(f"shortcut_to is {finding!r} but shortcut is not set; give a strength from 0 to 1")
        return None
    if not 0.0 <= strength <= 1.0:
        raise InputError(f"shortcut is {strength}; wanted a strength from 0 (chance) to 1 (always with the finding)")
    if mix.task == "severity":
        if finding is not None:
            raise InputError(
                f"shortcut_to is {finding!r}; the token of task 'severity' goes with severe images, leave it away"
            )
        return Shortcut(strength=strength, finding=None)
    chosen = mix.finding_types[0] if finding is None else finding
    if chosen not in mix.finding_types:
        known = [name for name in FINDINGS if name in mix.finding_types]
        raise InputError(f"shortcut_to is {chosen!r}, which no image has; {closest_match(chosen, known)}")
    return Shortcut(strength=strength, finding=chosen)
