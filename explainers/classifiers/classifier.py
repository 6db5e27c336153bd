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
from .embedding_layer import find_embedding_layer, pooled
from .feature_layers import find_feature_layers, observe_map_layers
from .map_layout import MapLayout


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
        embedding_layer: str | None = None,
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
            feature_layers: Names of layers that give feature maps, fine to coarse; None to find them. Their outputs
                may be (B, C, H, W), (B, H, W, C) or tokens (B, N, C); see `MapLayout`.
            embedding_layer: Name of the layer that the embedding enters; None to find it: the last linear layer. An
                empty name stands for an encoder, whose outputs are the embedding.
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
        self._chosen_embedding_layer = embedding_layer
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
        size = (images.shape[-2], images.shape[-1])
        return logits, [self.map_layout(name).maps(captured[name], image_size=size) for name in wanted]

    def map_layout(self, layer: str) -> MapLayout:
        """How the output of a layer becomes feature maps.

        Args:
            layer: Name of a layer.

        Raises:
            InputError: If its output cannot be read as maps, at least 2 × 2, of the proportions of the image.
        """
        if layer not in self._map_layouts:
            raise InputError(
                f"layer {layer!r} gives no feature maps (B, C, H, W), (B, H, W, C) or (B, tokens, C) of an image of "
                f"{self.image_size} × {self.image_size} pixels; name other feature_layers"
            )
        return self._map_layouts[layer]

    def embedding(self, images: Tensor) -> Tensor:
        """What the classifier knows of an image before it answers: the input of the last linear layer.

        Args:
            images: float32 (B, C, H, W) in [0, 1].

        Returns:
            float32 (B, D), differentiable with respect to ``images``; tokens and maps are averaged over places. Of an
            encoder without a linear layer, its outputs.
        """
        layer = self.embedding_layer
        if not layer:
            return pooled(self(images))
        captured: list[Tensor] = []
        handle = self.module.get_submodule(layer).register_forward_pre_hook(
            lambda _module, inputs: captured.append(inputs[0])
        )
        try:
            self(images)
        finally:
            handle.remove()
        return pooled(captured[-1])

    @cached_property
    def embedding_layer(self) -> str:
        """Name of the layer that the embedding enters; empty for an encoder, whose outputs are the embedding."""
        if self._chosen_embedding_layer is None:
            return find_embedding_layer(self.module, self._probe()) or ""
        if self._chosen_embedding_layer not in dict(self.module.named_modules()):
            raise InputError(
                f"the classifier has no layer {self._chosen_embedding_layer!r}; name the one that the embedding enters"
            )
        return self._chosen_embedding_layer

    @cached_property
    def feature_layers(self) -> tuple[str, ...]:
        """Names of the layers whose outputs are feature maps, fine to coarse; of one resolution, shallow to deep."""
        if self._chosen_layers is not None:
            known = dict(self.module.named_modules())
            missing = [name for name in self._chosen_layers if name not in known]
            if missing:
                raise InputError(f"the classifier has no layer {missing[0]!r}; it has {', '.join(known)[:400]}")
            return self._chosen_layers
        return find_feature_layers(self.module, self._probe())

    @cached_property
    def _map_layouts(self) -> dict[str, MapLayout]:
        return {layer.name: layer.layout for layer in observe_map_layers(self.module, self._probe())}

    def _probe(self) -> Tensor:
        """Two normalized black images of the size that the module was trained at."""
        if self.module.training:
            self.module.eval()
        black = torch.zeros(2, self.channels, self.image_size, self.image_size, device=self.mean.device)
        return (black - self.mean) / self.std

    @property
    def cam_layer(self) -> nn.Module:
        """Layer for class activation maps: the coarsest (or deepest) feature maps."""
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
