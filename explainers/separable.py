"""Linear maps that treat the rows and the columns of an image alike, as two matrix products: pooling, enlarging, blur.

On a CPU they take a third of the time of torch's own kernels for images of few channels.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def line_matrix(operation: Callable[[Tensor], Tensor], length: int, *, device: torch.device) -> Tensor:
    """The matrix of a linear operation on lines.

    Args:
        operation: From lines (N, 1, length) to lines (N, 1, M); linear.
        length: Of the lines that go in.
        device: Where the matrix is wanted.

    Returns:
        float32 (length, M); a line as a row vector, times the matrix, is what the operation makes of it.
    """
    with torch.autocast(device.type, enabled=False):
        return operation(torch.eye(length, device=device)[:, None])[:, 0]


def along_both_sides(images: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Apply one operation to the columns of images and another one to their rows.

    Args:
        images: (..., H, W).
        vertical: float32 (H, M), see `line_matrix`.
        horizontal: float32 (W, N).

    Returns:
        float32 (..., M, N), also inside autocast: differences of images are small.
    """
    with torch.autocast(images.device.type, enabled=False):
        return vertical.T @ (images.float() @ horizontal)
