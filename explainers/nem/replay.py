"""Recorded kernels: what a GPU does again and again, launched at once instead of one by one."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any, Literal

import torch
from torch import Tensor

from ..separable import matrices_in_use

# Of one function; each holds copies of its inputs and the memory of what it computes in between, which `empty_cache`
# cannot give back.
_MOST_RECORDINGS = 4
# Of all inputs, 128 MiB of float32: with more, the GPU is busy for longer than launching takes.
_MOST_ELEMENTS = 2**25
# A recording is the process's: nobody else may record meanwhile. And who replays must find the inputs that he copied.
_one_at_a_time = Lock()
# Beside the one on which this thread records.
_second_stream: ContextVar[torch.cuda.Stream | None] = ContextVar("_second_stream", default=None)


def side_by_side(first: Callable[[], Tensor], second: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """Values of two functions that need nothing of each other: in a recording, a GPU runs both at once.

    What they read must outlive them both: memory that one gives back is not safe from the other.
    """
    beside = _second_stream.get()
    if beside is None:
        return first(), second()
    main = torch.cuda.current_stream(beside.device)
    beside.wait_stream(main)
    try:
        with torch.cuda.stream(beside):
            one = first()
        other = second()
    finally:
        # A recording cannot end, not even after an error, before all streams have come back to its own.
        main.wait_stream(beside)
    return one, other


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    output: Tensor
    # The graph reads them by address: somebody must keep them where they are.
    matrices: list[Tensor]

    def __call__(self, inputs: tuple[Tensor, ...]) -> Tensor:
        _copy(inputs, to=self.inputs)
        self.graph.replay()
        return self.output.clone()  # the next replay writes over it


class Replayed:
    """A function of tensors; on a GPU its kernels are recorded as a CUDA graph and replayed.

    Launching a light decoder's sixty kernels takes a GPU's host several times as long as the GPU needs to run them.
    Inputs of one shape and layout are computed as usual the first time they are seen, recorded the second and replayed
    from then on: a shape that comes once, such as the rest of a folder, is not worth a recording. The function is
    called as it is on a CPU, for large inputs, where memory does not suffice for a recording, under autocast, inside
    somebody else's recording, and on any stream but the default one, whose order keeps replays apart.

    What the function does must depend on its inputs' shapes alone, on tensors that stay where they are, and on matrices
    applied by `along_both_sides`; plain numbers that it reads are those of the recording for good. Settings of torch's
    arithmetic, such as TF32, are those of the recording.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        """Wrap a function.

        Args:
            function: From tensors on one device to a tensor; without gradients.
        """
        self._function = function
        # None: seen once; False: does not fit into memory.
        self._recordings: OrderedDict[Any, _Recording | Literal[False] | None] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies have no recordings: those read the original's tensors."""
        return type(self), (self._function,)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The function's value, a tensor of its own."""
        if not _can_be_recorded(inputs):
            return self._function(*inputs)
        key = tuple((value.device, value.shape, value.stride(), value.dtype) for value in inputs)
        with _one_at_a_time:
            is_known = key in self._recordings
            recording = self._recordings.pop(key, None)
            if is_known and recording is None:
                recording = self._recorded_if_it_fits(inputs) or False
            self._recordings[key] = recording  # as the last one used
            if len(self._recordings) > _MOST_RECORDINGS:
                self._recordings.popitem(last=False)
            if isinstance(recording, _Recording):
                return recording(inputs)
        return self._function(*inputs)

    def _recorded_if_it_fits(self, inputs: tuple[Tensor, ...]) -> _Recording | None:
        """A recording, or None where memory does not suffice."""
        try:
            return _recorded(self._function, inputs)
        except torch.cuda.OutOfMemoryError:
            return None


def _can_be_recorded(inputs: tuple[Tensor, ...]) -> bool:
    device = inputs[0].device
    if device.type != "cuda" or sum(value.numel() for value in inputs) > _MOST_ELEMENTS:
        return False
    if torch.is_autocast_enabled("cuda") or torch.cuda.is_current_stream_capturing():
        return False
    return torch.cuda.current_stream(device) == torch.cuda.default_stream(device)


def _recorded(function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> _Recording:
    device = inputs[0].device
    graph = torch.cuda.CUDAGraph()
    stream, beside = _recording_streams(device)
    # Tensors of inference mode could not be written to outside it.
    with torch.inference_mode(False), torch.no_grad(), torch.cuda.device(device):
        places = tuple(torch.empty_like(value) for value in inputs)
        _copy(inputs, to=places)
        stream.wait_stream(torch.cuda.current_stream())
        token = _second_stream.set(beside)
        try:
            with torch.cuda.stream(stream):
                function(*places)  # what is made, loaded or chosen once must be there before
            with (
                matrices_in_use() as matrices,
                torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
            ):
                output = function(*places)
        finally:
            _second_stream.reset(token)
    return _Recording(graph=graph, inputs=places, output=output, matrices=matrices)


def _copy(values: tuple[Tensor, ...], *, to: tuple[Tensor, ...]) -> None:
    """Copy all values, with one launch those of one dtype whose layout is that of their places."""
    alike: defaultdict[Any, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for place, value in zip(to, values, strict=True):
        alike[value.dtype, value.stride() == place.stride()].append((place, value))
    for pairs in alike.values():
        torch._foreach_copy_([place for place, _ in pairs], [value for _, value in pairs])


@cache
def _recording_streams(device: torch.device) -> tuple[torch.cuda.Stream, torch.cuda.Stream]:
    """Two per device: the libraries' workspaces belong to streams, and stay."""
    return torch.cuda.Stream(device), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
