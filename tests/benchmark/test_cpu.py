import platform
import subprocess
import sys

import pytest
import torch

from xaibench.benchmark import cpu

FAULTS = """
import resource, torch
from xaibench.benchmark.cpu import keep_freed_memory
torch.set_num_threads(1)
done = {keep} and keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(16 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(int(done), faults())
"""


def faults(*, keep: bool) -> tuple[bool, int]:
    """Whether memory is kept, and the pages that the system hands out for twenty tensors of 64 MiB, one at a time."""
    source = FAULTS.format(keep=keep)
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    is_kept, n_faults = run.stdout.split()
    return is_kept == "1", int(n_faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_freed_memory_is_not_asked_for_again():
    is_kept, n_faults = faults(keep=True)
    assert is_kept
    assert n_faults < 100
    assert faults(keep=False)[1] > 100 * max(1, n_faults)


def test_a_library_without_mallopt_is_left_alone(monkeypatch):
    monkeypatch.setattr(cpu.ctypes, "CDLL", lambda _: object())
    assert not cpu.keep_freed_memory()


@pytest.mark.parametrize("threads", [1, None])
def test_threads_are_set_where_a_number_is_given(threads, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(cpu, "keep_freed_memory", lambda: chosen.append("kept"))
    cpu.prepare_cpu(threads=threads)
    assert chosen == ([1, "kept"] if threads else ["kept"])
