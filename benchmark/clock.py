"""Clocks that wait for the device."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Timed(Generic[T]):
    """What a call returned and what it cost.

    Attributes:
        result: What the call returned.
        seconds: Wall-clock seconds from an idle device to an idle device.
        peak_memory_bytes: Peak of the memory that torch held on the device during the call, or None on a CPU.
    """

    result: T
    seconds: float
    peak_memory_bytes: int | None


def timed(call: Callable[[], T], *, device: torch.device) -> Timed[T]:
    """Time one call.

    On a GPU kernels run after the call that launched them has returned; events recorded on the stream, read after
    synchronization, measure what was done rather than what was asked for.

    Args:
        call: What to time; its inputs lie on the device already.
        device: Where it computes.
    """
    if device.type != "cuda":
        started = time.perf_counter()
        result = call()
        return Timed(result=result, seconds=time.perf_counter() - started, peak_memory_bytes=None)
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    with torch.cuda.device(device):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        result = call()
        end.record()
    torch.cuda.synchronize(device)
    return Timed(
        result=result,
        seconds=start.elapsed_time(end) / 1000,
        peak_memory_bytes=torch.cuda.max_memory_allocated(device),
    )


def device_name(device: torch.device) -> str:
    """Name of the hardware that a device stands for."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
