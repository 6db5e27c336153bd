"""Replace the gradient of single operations by rules of another kind.

Rules are attached to the functions that a network calls, not to its layers: a ReLU counts whether it is a module, is
written out in ``forward``, is used twice or works in place.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Operation = Callable[..., Any]
# Input, output and gradient of an operation with one tensor; returns the gradient with respect to the input.
Rule = Callable[[Tensor, Tensor, Tensor], Tensor]

RELUS = frozenset({"relu", "relu6", "hardtanh", "leaky_relu"})
ELEMENTWISE = RELUS | {"silu", "gelu", "sigmoid", "tanh", "elu", "softplus", "hardswish", "hardsigmoid", "mish"}


class BackwardRules(TorchFunctionMode):
    """While this mode is on, ``handle`` may answer every call of a torch function in the place of torch."""

    def __init__(self, handle: Callable[[Operation, tuple[Any, ...], dict[str, Any]], Any]) -> None:
        """Set the mode up.

        Args:
            handle: Takes a function and its arguments; returns its result, or NotImplemented to leave it to torch.
        """
        super().__init__()
        self._handle = handle

    def __torch_function__(
        self, func: Operation, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Ask ``handle`` first."""
        known = dict(kwargs or {})
        result = self._handle(func, args, known)
        return func(*args, **known) if result is NotImplemented else result


def name_of(func: Operation) -> str:
    """Name of a torch function; that of an in-place function without its underscore."""
    if func is functional.max_pool2d:  # a dispatcher without a name of its own
        return "max_pool2d"
    return str(getattr(func, "__name__", func)).removesuffix("_")


def with_rule(func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any], *, rule: Callable[..., Tensor]) -> Tensor:
    """Call a function of one tensor, its first argument, and give it a gradient of another kind.

    Args:
        func: What is called, never in place.
        args: Its arguments.
        kwargs: Its keyword arguments.
        rule: Takes input, output and gradient and ``plain``, the function of the input alone.
    """
    rest, named = args[1:], {key: value for key, value in kwargs.items() if key != "inplace"}
    if str(getattr(func, "__name__", "")).endswith("_"):
        func = getattr(torch.Tensor, name_of(func), None) or getattr(functional, name_of(func))
    if len(rest) and isinstance(rest[-1], bool) and name_of(func) in ELEMENTWISE:
        rest = (*rest[:-1], False)  # inplace, by position

    def plain(value: Tensor) -> Tensor:
        result: Tensor = func(value, *rest, **named)
        return result

    result: Tensor = _WithRule.apply(args[0], plain, rule)
    return result


def vector_jacobian(plain: Callable[[Tensor], Tensor], value: Tensor, gradient: Tensor) -> Tensor:
    """The ordinary gradient of a function of one tensor."""
    with torch.enable_grad():
        leaf = value.detach().requires_grad_()
        (result,) = torch.autograd.grad(plain(leaf), leaf, gradient)
    return result


class _WithRule(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, plain: Callable[[Tensor], Tensor], rule: Callable[..., Tensor]) -> Tensor:
        result = plain(value)
        ctx.save_for_backward(value, result)
        ctx.plain, ctx.rule = plain, rule
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        value, result = ctx.saved_tensors
        return ctx.rule(value, result, gradients[0], plain=ctx.plain), None, None
