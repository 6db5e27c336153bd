"""The learning rate of our trainings."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR


def one_cycle(optimizer: Optimizer, *, learning_rate: float, steps: int) -> OneCycleLR:
    """One cycle of the learning rate: a fifth of the steps up, the rest down.

    Args:
        optimizer: Whose learning rate is set.
        learning_rate: At the peak.
        steps: Length of the cycle in optimizer steps, at least 1.

    References:
        Smith, Topin, 2019, «Super-convergence», as implemented in PyTorch.
    """
    # PyTorch divides by zero where the way up is exactly one step long: 0.2 of 5 steps.
    return OneCycleLR(optimizer, max_lr=learning_rate, total_steps=steps, pct_start=0.2 + 1e-6)
