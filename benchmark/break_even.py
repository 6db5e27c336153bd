"""After how many images does a fit pay off?"""

from math import ceil


def break_even_images(*, fit_seconds: float, own_seconds: float, rival_seconds: float) -> int | None:
    """Images after which fitting and explaining is cheaper than explaining with a rival that needs no fit.

    Args:
        fit_seconds: Cost of the fit, once.
        own_seconds: Per image.
        rival_seconds: Per image.

    Returns:
        N* = fit / (rival - own), rounded up; None where the rival is as cheap per image, and it never pays off.
    """
    saved = rival_seconds - own_seconds
    return ceil(fit_seconds / saved) if saved > 0 else None
