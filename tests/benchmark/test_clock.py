import time

import pytest
import torch

from xaibench.benchmark.clock import device_name, timed

CPU = torch.device("cpu")


def test_a_timed_call_returns_its_result_and_no_less_than_its_time() -> None:
    def call() -> str:
        time.sleep(0.02)
        return "done"

    found = timed(call, device=CPU)
    assert found.result == "done"
    assert found.seconds >= 0.02
    assert found.peak_memory_bytes is None


def test_the_device_has_a_name() -> None:
    assert device_name(CPU).strip()


@pytest.mark.gpu
def test_the_clock_waits_for_the_gpu_and_reports_its_peak() -> None:
    device = torch.device("cuda")
    matrix = torch.rand(4096, 4096, device=device)

    def many() -> torch.Tensor:
        result = matrix
        for _ in range(20):
            result = result @ matrix
        return result

    many()
    torch.cuda.synchronize()
    started = time.perf_counter()
    many()
    launched = time.perf_counter() - started
    torch.cuda.synchronize()
    found = timed(many, device=device)
    # Launching returns long before the work is done; the clock must not.
    assert found.seconds > 2 * launched
    assert found.peak_memory_bytes is not None
    assert found.peak_memory_bytes >= 2 * matrix.nbytes
