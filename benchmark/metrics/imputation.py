"""Missing pixels as weighted means of their neighbours: removal that leaves no edge of a mask to see."""

import torch
from torch import Tensor
from torch.nn.functional import pad

_TOLERANCE = 1e-5
_MAX_ITERATIONS = 4000
_ITERATIONS_BETWEEN_CHECKS = 16


def linear_imputation(image: Tensor, missing: Tensor) -> Tensor:
    """Replace missing pixels so that each is the weighted mean of its eight neighbours, known or missing.

    The linear system of the paper is symmetric and positive definite once each equation is multiplied by the weight of
    the neighbours inside the image; conjugate gradients solve it for all masks at once, on the image's device, to a
    relative residual of 1e-5.

    Args:
        image: float32 (C, H, W).
        missing: bool (n, H, W), in each at least one pixel is known.

    Returns:
        float32 (n, C, H, W); known pixels are as they were.

    References:
        Rong, Leemann, Borisov, Kasneci, Kasneci, «A consistent and efficient evaluation strategy for attribution
        methods», ICML 2022, section 4.3.
    """
    weight_inside = _neighbours(torch.ones_like(image[:1]))
    free = missing[:, None].to(image.dtype)

    def system(values: Tensor) -> Tensor:
        return free * (weight_inside * values - _neighbours(values))

    known = torch.where(missing[:, None], torch.zeros_like(image), image)
    residual = free * _neighbours(known)
    solution, direction = torch.zeros_like(residual), residual
    power = _squared_norm(residual)
    wanted = _TOLERANCE**2 * power
    for iteration in range(_MAX_ITERATIONS):
        if iteration % _ITERATIONS_BETWEEN_CHECKS == 0 and bool((power <= wanted).all()):
            break
        image_of_direction = system(direction)
        curvature = (direction * image_of_direction).sum(dim=(2, 3), keepdim=True)
        # A system that is solved already must not divide 0 by 0 while others go on.
        step = torch.where(curvature > 0, power / curvature, 0.0)
        solution = solution + step * direction
        residual = residual - step * image_of_direction
        previous, power = power, _squared_norm(residual)
        direction = residual + torch.where(previous > 0, power / previous, 0.0) * direction
    return torch.where(missing[:, None], solution, image)


def _neighbours(values: Tensor) -> Tensor:
    """Weighted sum of the eight neighbours inside the image: 1/6 beside and above, 1/12 diagonally, 1 in all."""
    # Sums of shifted images: a convolution would round to ten bits on GPUs that use TF32.
    padded = pad(values, (1, 1, 1, 1))
    vertical = padded[..., :-2, :] + padded[..., 2:, :]
    beside = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    return (vertical[..., 1:-1] + beside) / 6 + (vertical[..., :-2] + vertical[..., 2:]) / 12


def _squared_norm(values: Tensor) -> Tensor:
    return values.square().sum(dim=(2, 3), keepdim=True)
