"""How this process uses the processor and its memory."""

import ctypes

import torch

# Names and numbers of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1


def prepare_cpu(*, threads: int | None) -> None:
    """Set the number of threads and keep freed memory, for the whole process: for commands, not for a library's caller.

    Args:
        threads: Threads of torch; None leaves torch's choice.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Let the C library keep what is freed, where it is glibc, instead of handing large blocks back to the system.

    A forward pass frees and asks for the same tens of megabytes at every layer. Handed back, each page of them is
    cleared by the system when it is next touched, which took two fifths of the time of integrated gradients at 160
    pixels and batch 16, and not the same share of every explainer. Peak memory stays what it was within a few percent.

    Returns:
        Whether it was done.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc: macOS, musl, Windows
        return False
    return all(mallopt(option, _NEVER) == 1 for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))
