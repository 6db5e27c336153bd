"""Networks of torchxrayvision, which are trained on radiographs."""

import math
import warnings
from pathlib import Path
from typing import Any, cast

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ...datasets import InputError
from ...datasets.catalog import closest_match
from .network import Network
from .pretrained import load_matching, weights_from_file

# torchxrayvision wants values from -1024 to 1024, as of a computed tomography.
_MEAN, _STD = 0.5, 1 / 2048
_FAMILIES = {"densenet121": "classifier", "resnet50": "fc"}
"""Beginning of a model's name, and the name of its head."""


class RadiographNetwork(nn.Module):
    """A network that sees every image at the size that it was trained at, as the networks of torchxrayvision do."""

    def __init__(self, network: nn.Module, *, image_size: int) -> None:
        """Wrap a network.

        Args:
            network: Maps images (B, 1, H, W) to raw outputs (B, K).
            image_size: Height in pixels that images are resized to; their proportions stay.
        """
        super().__init__()
        self.network = network
        self.image_size = image_size

    def forward(self, images: Tensor) -> Tensor:
        """Raw outputs (B, K) of normalized images (B, 1, H, W)."""
        height, width = images.shape[-2:]
        if height != self.image_size:
            size = (self.image_size, round(width * self.image_size / height))
            images = interpolate(images, size=size, mode="bilinear", antialias=True)
        return cast(Tensor, self.network(images))


def torchxrayvision_network(
    n_outputs: int,
    channels: int,
    *,
    model: str,
    pretrained: str = "none",
    outputs: tuple[str, ...] | None = None,
    feature_layers: tuple[str, ...] | None = None,
) -> Network:
    """A network of torchxrayvision: ``pip install 'xaibench[radiographs]'``.

    Raw outputs are logits: without the sigmoid and the piecewise linear scale that the library puts behind them.

    Args:
        n_outputs: Number of raw outputs K.
        channels: Channels of an image; 1.
        model: Name as torchxrayvision knows it, such as ``densenet121-res224-all`` or ``resnet50-res512-all``.
        pretrained: ``none``; ``hub``: what lies in ~/.torchxrayvision/models_data, or is downloaded to there (files of
            the DenseNets are pickled code, which the library runs); or a local ``.safetensors`` or ``.pth`` file with
            the state dict of such a network.
        outputs: Pathologies by the library's names, one for each of the dataset's outputs, in their order: for
            multilabel data. The pretrained head answers, its biases shifted so that a probability of 0.5 is the
            operating point that the library gives. None: a new head, to be trained.
        feature_layers: As in `Network`.

    Raises:
        InputError: If the library is not installed, for an unknown model or pathology, images of several channels, or
            weights that cannot be had.

    References:
        Cohen et al.: TorchXRayVision: A library of chest X-ray datasets and models, MIDL 2022.
    """
    library = _library()
    facts = _facts_of(library, model)
    if channels != 1:
        raise InputError(f"images have {channels} channels; {model} wants one, give the dataset channels = 1")
    rows = None if outputs is None else _rows_of(outputs, facts, model=model, n_outputs=n_outputs)
    network = _initial(library, model, n_outputs)
    if pretrained != "none":
        weights = _fetched(library, model) if pretrained == "hub" else _from_file(Path(pretrained))
        head = {name: weights.pop(f"{_head_of(model)}.{name}", None) for name in ("weight", "bias")}
        load_matching(network, weights)
        if rows is not None:
            _fill_head(network.get_submodule(_head_of(model)), head, rows, facts, model=model)
    return Network(
        module=RadiographNetwork(network, image_size=facts["input_resolution"]),
        mean=(_MEAN,),
        std=(_STD,),
        feature_layers=feature_layers,
    )


def _library() -> Any:
    try:
        # The library silences all warnings of the process when it is imported.
        with warnings.catch_warnings():
            import torchxrayvision
    except ImportError as error:
        raise InputError("torchxrayvision is not installed; run: pip install 'xaibench[radiographs]'") from error
    return torchxrayvision


def _facts_of(library: Any, model: str) -> dict[str, Any]:
    # Older names of the same models have no resolution in them.
    known = {name: facts for name, facts in library.models.model_urls.items() if name.split("-res")[0] in _FAMILIES}
    if model not in known:
        raise InputError(f"torchxrayvision has no model {model!r}; {closest_match(model, list(known))}")
    return cast(dict[str, Any], known[model])


def _head_of(model: str) -> str:
    return _FAMILIES[model.split("-res")[0]]


def _rows_of(outputs: tuple[str, ...], facts: dict[str, Any], *, model: str, n_outputs: int) -> list[int]:
    # A model has rows for pathologies that were not in its data: without a name, or without an operating point.
    rows = {
        name: row
        for row, (name, threshold) in enumerate(zip(facts["labels"], facts["op_threshs"], strict=True))
        if name and not math.isnan(threshold)
    }
    for name in outputs:
        if name not in rows:
            raise InputError(f"{model} has no output {name!r}; {closest_match(name, list(rows))}")
    if len(outputs) != n_outputs:
        raise InputError(
            f"outputs names {len(outputs)} pathologies; wanted one for each of the dataset's {n_outputs} outputs, "
            "in their order, or no outputs and a new head"
        )
    return [rows[name] for name in outputs]


def _initial(library: Any, model: str, n_outputs: int) -> nn.Module:
    network: nn.Module
    if model.startswith("densenet121"):
        network = library.models.DenseNet(num_classes=n_outputs, in_channels=1)
    else:
        # The library's class cannot be made without a download; this is what it makes.
        network = torchvision.models.resnet50(weights=None, num_classes=n_outputs)
        network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    return network


def _fetched(library: Any, model: str) -> dict[str, Tensor]:
    try:
        loaded = library.models.get_model(model)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"torchxrayvision cannot fetch weights of {model!r} ({reason}); put "
            f"{library.models.model_urls[model]['weights_url']} into ~/.torchxrayvision/models_data, "
            "give pretrained a file with a state dict, or 'none'"
        ) from error
    return _plainly_named(loaded.state_dict())


def _from_file(path: Path) -> dict[str, Tensor]:
    try:
        return _plainly_named(weights_from_file(path, words=("none", "hub")))
    except InputError as error:
        raise InputError(
            f"{error}; a file that torchxrayvision downloads belongs into ~/.torchxrayvision/models_data, with "
            "pretrained = 'hub'"
        ) from error


def _plainly_named(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    # The library's ResNet wraps the one of torchvision.
    return {name.removeprefix("model."): tensor for name, tensor in weights.items()}


def _fill_head(
    head: nn.Module, pretrained: dict[str, Tensor | None], rows: list[int], facts: dict[str, Any], *, model: str
) -> None:
    """Give a head the rows of a pretrained one, its biases less the logits of the operating points."""
    weight, bias = pretrained["weight"], pretrained["bias"]
    if weight is None or bias is None or len(weight) != len(facts["labels"]):
        raise InputError(
            f"the weights have a head of {0 if weight is None else len(weight)} outputs; wanted the "
            f"{len(facts['labels'])} of {model}, or no outputs and a new head"
        )
    thresholds = torch.tensor([facts["op_threshs"][row] for row in rows])
    head.load_state_dict({"weight": weight[rows], "bias": bias[rows] - thresholds.logit()})
