"""Checks of parameters that many explainers have."""

from ..datasets import InputError


def positive(name: str, value: int) -> int:
    """The value, if it is at least 1.

    Raises:
        InputError: If it is not.
    """
    if value < 1:
        raise InputError(f"{name} is {value}; wanted at least 1")
    return value


def share(name: str, value: float) -> float:
    """The value, if it lies strictly between 0 and 1.

    Raises:
        InputError: If it does not.
    """
    if not 0 < value < 1:
        raise InputError(f"{name} is {value}; wanted a share, more than 0 and less than 1")
    return value
