"""A small network from images to one map per output, and how it is trained."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ...datasets import Dataset, InputError
from ..classifiers import Classifier
from ..schedule import one_cycle

_CURVE_POINTS = 60


class MapNetwork(nn.Module):
    """Five convolutions, of which three halve the resolution, and one to a map per output."""

    mean: Tensor
    std: Tensor

    def __init__(self, classifier: Classifier, *, width: int) -> None:
        """Build the network.

        Args:
            classifier: Decides channels in, normalization, and maps out, one per output.
            width: Channels of the first layer; the others have up to four times as many.
        """
        super().__init__()
        widths = [width, 2 * width, 4 * width, 4 * width, 4 * width]
        strides = [2, 2, 2, 1, 1]
        layers: list[nn.Module] = []
        channels = classifier.channels
        for out, stride in zip(widths, strides, strict=True):
            layers += [
                nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(),
            ]
            channels = out
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, len(classifier.output_names), 1))
        self.register_buffer("mean", classifier.mean.detach().clone())
        self.register_buffer("std", classifier.std.detach().clone())

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, K, h, w), about an eighth of the size, of images (B, C, H, W) in [0, 1]."""
        maps: Tensor = self.layers((images - self.mean) / self.std)
        return maps


def train_map_network(
    network: MapNetwork,
    loss_of: Callable[[Tensor], Tensor],
    dataset: Dataset,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    progress: bool,
) -> list[dict[str, float]]:
    """Fit a network in place.

    Args:
        network: What is trained.
        loss_of: Images (B, C, H, W) to a scalar loss.
        dataset: Training images of one size.
        steps: Optimizer steps.
        batch_size: Images per step.
        learning_rate: Peak of the one-cycle schedule of AdamW.
        seed: Of the order of images.
        progress: Whether to show a progress bar.

    Returns:
        The curve: mean loss of up to 60 stretches of the training.

    Raises:
        InputError: If the loss becomes not a number.
    """
    device = next(network.parameters()).device
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.01)
    schedule = one_cycle(optimizer, learning_rate=learning_rate, steps=steps)
    batches = _image_batches(dataset, batch_size, torch.Generator().manual_seed(seed))
    curve: list[dict[str, float]] = []
    losses: list[Tensor] = []
    network.train()
    for step in tqdm(range(1, steps + 1), desc="fitting", unit="step", disable=not progress):
        loss = loss_of(next(batches).to(device))
        if not torch.isfinite(loss):
            raise InputError(
                f"the loss became {float(loss.detach())} at step {step}; lower learning_rate ({learning_rate})"
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
        if len(losses) == max(1, steps // _CURVE_POINTS) or step == steps:
            curve.append({"step": step, "loss": round(float(torch.stack(losses).mean()), 6)})
            losses = []
    network.eval()
    return curve


def network_tensors(network: MapNetwork) -> dict[str, Tensor]:
    """What is stored of a network."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def restored(classifier: Classifier, tensors: dict[str, Tensor], *, width: int) -> MapNetwork:
    """The network whose tensors these are, ready for use."""
    with torch.random.fork_rng(devices=[]):  # the initial weights that are drawn here are replaced at once
        network = MapNetwork(classifier, width=width)
    network.load_state_dict(tensors)
    return network.to(classifier.device).eval().requires_grad_(False)


def _image_batches(dataset: Dataset, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless shuffled batches; an epoch's last, smaller batch is filled from the next epoch."""
    pending: list[int] = []
    while True:
        while len(pending) < batch_size:
            pending += torch.randperm(len(dataset), generator=generator).tolist()
        chosen, pending = pending[:batch_size], pending[batch_size:]
        yield torch.stack([dataset[index].image for index in chosen])


def common_settings(explainer: Any) -> dict[str, Any]:
    """The parameters that both trained explainers have."""
    names = ("steps", "batch_size", "learning_rate", "width")
    return {name: getattr(explainer, name) for name in names}
