"""Recorded kernels: what a GPU does again and again, launched at once instead of one by one."""

from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from ..separable import matrices_in_use

# Each holds copies of its inputs and the memory of what it computes in between.
_MOST_RECORDINGS = 4
# Of all inputs: with more, the GPU is busy for longer than launching takes, and the memory would be missed.
_MOST_ELEMENTS = 2**26
_NONE = slice(0)


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    output: Tensor
    # The graph reads them by address: somebody must keep them where they are.
    matrices: list[Tensor]

    def __call__(self, inputs: tuple[Tensor, ...]) -> Tensor:
        for place, value in zip(self.inputs, inputs, strict=True):
            place.copy_(value)
        self.graph.replay()
        return self.output.clone()  # the next replay writes over it


class Replayed:
    """A function of tensors; on a GPU its kernels are recorded as a CUDA graph and replayed.

    Launching a light decoder's seventy kernels takes a GPU's host several times as long as the GPU needs to run them.
    Inputs of one shape and layout are computed as usual the first time they are seen, recorded the second and replayed
    from then on: a shape that comes once, such as the rest of a folder, is not worth a recording. The function is
    called as it is for large inputs, on a CPU, under autocast, and inside somebody else's recording.

    What the function does must depend on its inputs' shapes alone, on tensors that stay where they are, and on matrices
    applied by `along_both_sides`. Settings of torch's arithmetic, such as TF32, are those of the recording.
    """

    def __init__(self, function: Callable[..., Tensor], *, channels_last: slice = _NONE) -> None:
        """Wrap a function.

        Args:
            function: From tensors on one device to a tensor; without gradients.
            channels_last: Which of its inputs, all (B, C, H, W), it will want in that layout: a recording, which copies
                its inputs anyway, keeps them in it.
        """
        self._function = function
        self._channels_last = channels_last
        self._recordings: OrderedDict[Any, _Recording | None] = OrderedDict()
        self._lock = Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Replayed":
        """Without the recordings: they read the original's tensors."""
        return type(self)(deepcopy(self._function, memo), channels_last=self._channels_last)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The function's value, for all that is recorded a tensor of its own."""
        device = inputs[0].device
        if device.type != "cuda" or not _is_worth_recording(inputs):
            return self._function(*inputs)
        # Streams run beside each other, and each must find its own inputs.
        stream = torch.cuda.current_stream(device).cuda_stream
        key = device, stream, *((value.shape, value.stride(), value.dtype) for value in inputs)
        with self._lock:
            is_known = key in self._recordings
            recording = self._recordings.pop(key, None)
            if is_known and recording is None:
                recording = _recorded(self._function, inputs, channels_last=self._channels_last)
            self._recordings[key] = recording  # as the last one used
            if len(self._recordings) > _MOST_RECORDINGS:
                self._recordings.popitem(last=False)
            return self._function(*inputs) if recording is None else recording(inputs)


def side_by_side(
    first: Callable[[], Tensor], second: Callable[[], Tensor], *, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The values of two functions; where kernels are being recorded, as branches that a GPU runs beside each other.

    Args:
        first: Must not depend on what the second does.
        second: Must not depend on what the first does.
        device: Where both compute.
    """
    if device.type != "cuda" or not torch.cuda.is_current_stream_capturing():
        return first(), second()
    main, branch = torch.cuda.current_stream(device), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    branch.wait_stream(main)
    with torch.cuda.stream(branch):
        beside = second()
    value = first()
    main.wait_stream(branch)
    return value, beside


def _is_worth_recording(inputs: tuple[Tensor, ...]) -> bool:
    if torch.is_autocast_enabled("cuda") or torch.cuda.is_current_stream_capturing():
        return False
    return sum(value.numel() for value in inputs) <= _MOST_ELEMENTS


def _recorded(function: Callable[..., Tensor], inputs: tuple[Tensor, ...], *, channels_last: slice) -> _Recording:
    graph = torch.cuda.CUDAGraph()
    layouts = [torch.preserve_format] * len(inputs)
    layouts[channels_last] = [torch.channels_last] * len(inputs[channels_last])
    # Tensors of inference mode could not be written to outside it.
    with torch.inference_mode(False), torch.no_grad(), torch.cuda.device(inputs[0].device):
        places = tuple(
            torch.empty_like(value, memory_format=layout) for value, layout in zip(inputs, layouts, strict=True)
        )
        for place, value in zip(places, inputs, strict=True):
            place.copy_(value)
        # Other threads go on using the GPU.
        with matrices_in_use() as matrices, torch.cuda.graph(graph, capture_error_mode="thread_local"):
            output = function(*places)
    return _Recording(graph=graph, inputs=places, output=output, matrices=matrices)
