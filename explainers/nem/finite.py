"""The guard against a loss that is not a number."""

from math import isfinite

from ...datasets import InputError
from .settings import DecoderTraining


def check_finite(loss: float, *, what: str, step: int, settings: DecoderTraining, kept: str = "") -> None:
    """Stop a training whose loss is lost.

    Args:
        loss: Of this step.
        what: Whose loss it is, as the message says it.
        step: Counted from 1.
        settings: Name the learning rate that is to be lowered.
        kept: What the message says of an earlier state.

    Raises:
        InputError: If the loss is infinite or not a number.
    """
    if not isfinite(loss):
        raise InputError(f"{what} became {loss} at step {step}; lower learning_rate ({settings.learning_rate}){kept}")
