"""What moves a decoder's weights."""

from contextlib import redirect_stdout

import torch

from ...datasets import InputError
from .network import MaskNetwork
from .settings import DecoderTraining


def decoder_optimizer(network: MaskNetwork, settings: DecoderTraining) -> torch.optim.Optimizer:
    """The optimizer that the settings name.

    Args:
        network: Whose weights it moves.
        settings: Name, learning rate and weight decay.

    Raises:
        InputError: If it is Prodigy, which is not installed.
    """
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    try:
        from prodigyopt import Prodigy  # an extra
    except ImportError as error:
        raise InputError('optimizer is prodigy, which is not installed; pip install "xaibench[prodigy]"') from error
    with redirect_stdout(None):  # it prints that it decouples the weight decay
        prodigy: torch.optim.Optimizer = Prodigy(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
    return prodigy
