"""Linear maps of rows and columns as matrix products."""

import pytest
import torch
from torch.nn.functional import avg_pool1d, avg_pool2d, conv1d, interpolate

from xaibench.explainers.separable import along_both_sides, line_matrix, matrices_in_use

CPU = torch.device("cpu")


def halved(lines: torch.Tensor) -> torch.Tensor:
    return avg_pool1d(lines, 2, ceil_mode=True)


def test_the_matrix_of_doing_nothing_is_one():
    assert torch.equal(line_matrix(lambda lines: lines, 5, device=CPU), torch.eye(5))


def test_a_line_times_the_matrix_is_what_the_operation_makes_of_it():
    line = torch.rand(9)
    wanted = halved(line[None, None])[0, 0]
    torch.testing.assert_close(line @ line_matrix(halved, 9, device=CPU), wanted)


@pytest.mark.parametrize("shape", [(8, 8), (7, 12), (3, 2, 9, 5)])
def test_rows_and_columns_are_not_mixed_up(shape):
    images = torch.rand(shape)
    vertical = line_matrix(halved, shape[-2], device=CPU)
    horizontal = line_matrix(lambda lines: interpolate(lines, size=20, mode="linear"), shape[-1], device=CPU)
    found = along_both_sides(images, vertical, horizontal)
    flat = images.reshape(-1, 1, *shape[-2:])
    lower = avg_pool2d(flat, (2, 1), ceil_mode=True)
    wanted = interpolate(lower, size=(lower.shape[-2], 20), mode="bilinear").reshape(*shape[:-2], -1, 20)
    torch.testing.assert_close(found, wanted)


def test_autocast_does_not_round():
    def smoothed(lines: torch.Tensor) -> torch.Tensor:
        return conv1d(lines, torch.tensor([[[0.3, 0.4, 0.3]]]))

    def result() -> torch.Tensor:
        matrix = line_matrix(smoothed, 16, device=CPU)
        return along_both_sides(images, matrix, matrix)

    images = torch.rand(2, 16, 16)
    alone = result()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        # What would happen, in either of the two functions.
        assert smoothed(torch.eye(16)[:, None]).dtype is torch.bfloat16
        assert (images @ images).dtype is torch.bfloat16
        inside = result()
    assert torch.equal(inside, alone)


def test_a_matrix_from_inference_mode_serves_where_gradients_are_wanted():
    with torch.inference_mode():
        matrix = line_matrix(halved, 6, device=CPU)
    images = torch.rand(1, 6, 6, requires_grad=True)
    along_both_sides(images, matrix, matrix).sum().backward()
    assert images.grad is not None


def test_gradients_pass_through():
    images = torch.rand(1, 6, 6, requires_grad=True)
    matrix = line_matrix(halved, 6, device=CPU)
    along_both_sides(images, matrix, matrix).sum().backward()
    torch.testing.assert_close(images.grad, torch.full((1, 6, 6), 0.25))


def test_matrices_are_seen_inside_the_block_alone():
    first, second, third = (line_matrix(halved, size, device=CPU) for size in (4, 6, 8))
    with matrices_in_use() as seen:
        along_both_sides(torch.rand(4, 6), first, second)
    along_both_sides(torch.rand(8, 8), third, third)
    assert [id(matrix) for matrix in seen] == [id(first), id(second)]
