"""How many images go through a classifier at once, and what happens when memory runs out."""

import warnings
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class PassSize:
    """Images per pass: bounded, and halved for good when memory runs out.

    The results of a computation must not depend on it: random numbers are drawn before, for all passes together.
    """

    def __init__(self, limit: int | None = None, *, owner: str) -> None:
        """Start with a bound.

        Args:
            limit: Images per pass at most; None for no bound until memory runs out.
            owner: Whose passes these are, for the warning.
        """
        self.limit = limit
        self.owner = owner
        self._has_warned = False

    def attempt(self, compute: Callable[[int], T], *, total: int) -> T:
        """Compute something that divides its passes itself.

        Args:
            compute: Takes the images per pass, 1 to ``total``.
            total: Images in all.

        Returns:
            What ``compute`` returned.

        Raises:
            RuntimeError: If memory does not suffice for one image.
        """
        while True:
            size = total if self.limit is None else min(self.limit, total)
            try:
                return compute(size)
            except (RuntimeError, MemoryError) as error:
                if size <= 1 or not _is_out_of_memory(error):
                    raise
                self._halve(size)
            # After the handler: while the error lives, its traceback holds on to the tensors that were too many.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def in_parts(self, compute: Callable[[slice], Tensor], *, total: int) -> list[Tensor]:
        """Compute something part by part.

        Args:
            compute: Takes the images of one pass.
            total: Images in all.

        Returns:
            What ``compute`` returned for the parts, in order.

        Raises:
            RuntimeError: If memory does not suffice for one image.
        """
        results: list[Tensor] = []
        start = 0
        while start < total:
            begin = start
            part, start = self.attempt(
                lambda size, begin=begin: (compute(slice(begin, begin + size)), begin + size),  # type: ignore[misc]
                total=total - begin,
            )
            results.append(part)
        return results

    def _halve(self, size: int) -> None:
        self.limit = size // 2
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"{self.owner}: memory does not suffice for {size} images per pass; "
                f"going on with {self.limit}, and fewer where that is too many",
                RuntimeWarning,
                stacklevel=4,
            )


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU allocator of torch raises a bare RuntimeError.
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)
