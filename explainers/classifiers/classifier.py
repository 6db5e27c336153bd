"""The frozen classifier whose answers are explained."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ...datasets import InputError, Task
from ...datasets.hashing import fingerprint, tensors_fingerprint
from .feature_layers import find_feature_layers


class Classifier(nn.Module):
    """Any ``nn.Module`` with one output per target, made safe to share between explainers.

    It normalizes inside, so that everybody else handles images in [0, 1]; it is in eval mode always, also after
    ``.train()``; nobody here changes its parameters or batch-norm statistics. Parameters keep ``requires_grad`` as they
    came, since some explainers need gradients at an inner layer.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        module: nn.Module,
        *,
        task: Task,
        output_names: Sequence[str],
        mean: Sequence[float] = (0.5,),
        std: Sequence[float] = (0.25,),
        channels: int = 3,
        image_size: int = 64,
        feature_layers: Sequence[str] | None = None,
    ) -> None:
        """Wrap a module.

        Args:
            module: Maps normalized images (B, C, H, W) to raw outputs (B, K).
            task: Decides how raw outputs become scores: softmax, sigmoid or as they are.
            output_names: The K names, in order.
            mean: Per channel, or one value for all; subtracted from images in [0, 1].
            std: Per channel, or one value for all; divides after subtraction.
            channels: Channels of an image.
            image_size: Side in pixels that the module was trained at; others may work.
            feature_layers: Names of layers that give feature maps, fine to coarse; None to find them.
        """
        super().__init__()
        self.module = module
        self.task = Task(task)
        self.output_names = tuple(output_names)
        self.channels = channels
        self.image_size = image_size
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).reshape(1, -1, 1, 1))
        self._chosen_layers = None if feature_layers is None else tuple(feature_layers)
        self.eval()

    def train(self, mode: bool = True) -> "Classifier":
        """Stay in eval mode: batch-norm statistics and dropout of an explained classifier never move."""
        super().train(False)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Raw outputs; see `logits`."""
        # A user may hold the inner module and switch it to training mode behind our back.
        if self.module.training:
            self.module.eval()
        outputs: Tensor = self.module((images - self.mean) / self.std)
        return outputs

    def logits(self, images: Tensor) -> Tensor:
        """Raw outputs.

        Args:
            images: float32 (B, C, H, W) in [0, 1].

        Returns:
            float32 (B, K), differentiable with respect to ``images``.
        """
        outputs: Tensor = self(images)
        return outputs

    def scores(self, images: Tensor) -> Tensor:
        """Probabilities (softmax or sigmoid) or regression values.

        Args:
            images: float32 (B, C, H, W) in [0, 1].

        Returns:
            float32 (B, K), differentiable with respect to ``images``.
        """
        return self.scores_from_logits(self(images))

    def scores_from_logits(self, logits: Tensor) -> Tensor:
        """Turn raw outputs (B, K) into scores (B, K) as the task asks."""
        if self.task is Task.MULTICLASS:
            return logits.softmax(dim=1)
        if self.task is Task.MULTILABEL:
            return logits.sigmoid()
        return logits

    def features(self, images: Tensor) -> list[Tensor]:
        """Feature maps of `feature_layers`, fine to coarse, each (B, Ci, Hi, Wi)."""
        return self.logits_and_features(images)[1]

    def logits_and_features(
        self, images: Tensor, *, layers: Sequence[str] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Prediction and feature maps from one pass.

        Args:
            images: float32 (B, C, H, W) in [0, 1].
            layers: Names of the layers wanted; None for `feature_layers`.

        Returns:
            Logits (B, K), bit-identical to `logits`, and the maps of the layers, in their order.
        """
        wanted = self.feature_layers if layers is None else tuple(layers)
        captured: dict[str, Tensor] = {}
        with capture_outputs(self.module, wanted, into=captured):
            logits = self(images)
        return logits, [captured[name] for name in wanted]

    @cached_property
    def feature_layers(self) -> tuple[str, ...]:
        """Names of the layers whose outputs are feature maps, fine to coarse."""
        if self._chosen_layers is not None:
            known = dict(self.module.named_modules())
            missing = [name for name in self._chosen_layers if name not in known]
            if missing:
                raise InputError(f"the classifier has no layer {missing[0]!r}; it has {', '.join(known)[:400]}")
            return self._chosen_layers
        probe = torch.zeros(1, self.channels, self.image_size, self.image_size, device=self.mean.device)
        with torch.no_grad():
            return find_feature_layers(self.module, (probe - self.mean) / self.std)

    @property
    def cam_layer(self) -> nn.Module:
        """Layer for class activation maps: the coarsest feature maps."""
        return self.module.get_submodule(self.feature_layers[-1])

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.mean.device

    def mean_color(self, images: Tensor) -> Tensor:
        """The image that the module sees as zeros, in the shape of ``images``."""
        return self.mean.expand_as(images)

    @property
    def fingerprint(self) -> str:
        """Hash of parameters, statistics, normalization, task and output names: 32 hexadecimal digits."""
        facts: dict[str, Any] = {
            "tensors": tensors_fingerprint(self.state_dict()),
            "task": self.task.value,
            "output_names": list(self.output_names),
        }
        return fingerprint(facts)


@contextmanager
def capture_outputs(module: nn.Module, layers: Sequence[str], *, into: dict[str, Tensor]) -> Iterator[None]:
    """Record the outputs of named layers during forward passes; no hook outlives the block."""
    handles: list[RemovableHandle] = []

    def recorder(name: str) -> Any:
        def record(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            into[name] = output

        return record

    try:
        for name in layers:
            # One by one: whatever was registered before an unknown name must be removed.
            handles.append(module.get_submodule(name).register_forward_hook(recorder(name)))  # noqa: PERF401
        yield
    finally:
        for handle in handles:
            handle.remove()
