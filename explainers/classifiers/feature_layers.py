"""Find the layers of a network that give feature maps worth decoding."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ...datasets import InputError
from .map_layout import MapLayout, layout_of

_MAX_DEPTHS = 4


@dataclass(frozen=True, kw_only=True)
class MapLayer:
    """A layer whose output can be read as feature maps.

    Attributes:
        name: Name of the sub-module.
        kind: Class of the sub-module.
        layout: Where channels and places lie in its output.
        channels: Number of channels.
    """

    name: str
    kind: type[nn.Module]
    layout: MapLayout
    channels: int


def observe_map_layers(module: nn.Module, probe: Tensor) -> list[MapLayer]:
    """Every layer that gives maps, in the order in which they finish.

    Args:
        module: The network.
        probe: Two normalized images (2, C, H, W). Two, because what is computed once for all images (tables of
            positions) or once per window has another batch size, and is no map of the image.
    """
    image_size = (probe.shape[-2], probe.shape[-1])
    found: dict[str, MapLayer] = {}
    names = {sub_module: name for name, sub_module in module.named_modules() if name}

    def record(sub_module: nn.Module, _inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor) or len(output) != len(probe):
            return
        grids = {layer.layout.grid for layer in found.values() if layer.layout.kind != "tokens"}
        layout = layout_of(output, image_size=image_size, known_grids=grids)
        if layout is not None:
            name = names[sub_module]
            found.pop(name, None)  # a layer that runs twice finishes at its second run
            channels = output.shape[1 if layout.kind == "channels_first" else -1]
            found[name] = MapLayer(name=name, kind=type(sub_module), layout=layout, channels=channels)

    handles = [
        sub_module.register_forward_hook(record)
        for sub_module in names
        if not isinstance(sub_module, nn.Identity | nn.Dropout | nn.Softmax)
    ]
    try:
        with torch.no_grad():
            module(probe)
    finally:
        for handle in handles:
            handle.remove()
    return list(found.values())


def find_feature_layers(module: nn.Module, probe: Tensor) -> tuple[str, ...]:
    """The end of a stage at each spatial resolution; for tokens of one resolution, blocks of several depths.

    A network passes through its resolutions from fine to coarse, and the last layer at each is the end of a stage, or
    what the next stage computes before its stride: no table of stages per architecture is needed. Where the next stage
    widens what it gets before its stride, as inverted bottlenecks do, the end of the stage counts instead: the wide
    maps know no more, and cost a decoder several times as much to read. What has not the proportions of the image, or
    is finer than maps before it, is no map of a stage: attention, say.

    A vision transformer keeps one resolution. It gives up to four of its blocks, evenly spaced, shallow to deep; the
    deepest is the last one whose image tokens still reach the output (those of the last block do not, where the answer
    is read from a class token).

    Args:
        module: The network.
        probe: Two normalized images (2, C, H, W).

    Returns:
        Names of sub-modules, fine to coarse, or shallow to deep.

    Raises:
        InputError: If there are neither maps of two resolutions, at least 2 × 2, nor two blocks of tokens.
    """
    observed = observe_map_layers(module, probe)
    last: dict[int, MapLayer] = {}
    for layer in observed:
        height = layer.layout.grid[0]
        if height <= min(last, default=height):
            last[height] = layer
    if len(last) >= 2:
        heights = sorted(last, reverse=True)
        ends = [_before_widening(last[height], observed, next_height=coarser) for height, coarser in pairwise(heights)]
        return tuple(layer.name for layer in [*ends, last[heights[-1]]])
    blocks = _token_blocks(observed)
    if len(blocks) >= 2:
        blocks = _reaching_output(module, probe, blocks)
    if len(blocks) >= 2:
        return tuple(_evenly_spaced([block.name for block in blocks]))
    raise InputError(
        f"{type(module).__name__} has feature maps (B, C, H, W) of {len(last)} resolution(s) and {len(blocks)} blocks "
        "of tokens; wanted 2 or more, each of at least 2 × 2 pixels; name feature_layers yourself"
    )


def _before_widening(layer: MapLayer, observed: Sequence[MapLayer], *, next_height: int) -> MapLayer:
    """The end of the stage where the layer is wider and in the block that brings the next height, else the layer."""

    def same_size(other: MapLayer) -> bool:
        return other.layout.grid == layer.layout.grid

    around = [other for other in observed if layer.name.startswith(f"{other.name}.") and not same_size(other)]
    block = max(around, key=lambda other: len(other.name), default=None)
    # A trunk, which holds all the stages, ends at a later height.
    if block is None or block.layout.grid[0] != next_height:
        return layer
    earlier = observed[: observed.index(layer)]
    outside = [other for other in earlier if same_size(other) and not other.name.startswith(f"{block.name}.")]
    return outside[-1] if outside and outside[-1].channels < layer.channels else layer


def _token_blocks(observed: Sequence[MapLayer]) -> list[MapLayer]:
    """The longest row of layers of one class in one container."""
    rows: dict[tuple[str, type[nn.Module]], list[MapLayer]] = defaultdict(list)
    for layer in observed:
        if layer.layout.kind == "tokens":
            rows[layer.name.rpartition(".")[0], layer.kind].append(layer)
    # Where rows are equally long (two blocks, each with two norms) the outermost are the blocks.
    return max(rows.values(), key=lambda row: (len(row), -row[0].name.count(".")), default=[])


def _reaching_output(module: nn.Module, probe: Tensor, blocks: list[MapLayer]) -> list[MapLayer]:
    """Blocks with a gradient of the output at their image tokens; all, if none has (a head of zeros)."""
    outputs: dict[str, Tensor] = {}

    def recorder(name: str) -> Any:
        return lambda _module, _inputs, output: outputs.__setitem__(name, output)

    size = (probe.shape[-2], probe.shape[-1])
    # A constant image would make all tokens alike.
    pattern = torch.linspace(-1, 1, size[0] * size[1], device=probe.device).reshape(1, 1, *size).expand_as(probe)
    handles = [module.get_submodule(block.name).register_forward_hook(recorder(block.name)) for block in blocks]
    try:
        with torch.inference_mode(False), torch.enable_grad():
            answer = module(pattern.clone().requires_grad_())
            weights = torch.linspace(0.5, 1.5, answer.numel(), device=probe.device).reshape(answer.shape)
            gradients = torch.autograd.grad(
                (answer * weights).sum(), [outputs[block.name] for block in blocks], allow_unused=True
            )
    finally:
        for handle in handles:
            handle.remove()
    reaching = [
        block
        for block, gradient in zip(blocks, gradients, strict=True)
        if gradient is not None and bool(block.layout.maps(gradient, image_size=size).any())
    ]
    return reaching or blocks


def _evenly_spaced(names: Sequence[str]) -> list[str]:
    """At most four, the last one among them, at equal distances in depth."""
    n = min(_MAX_DEPTHS, len(names))
    return [names[round((index + 1) * len(names) / n) - 1] for index in range(n)]
