"""What the members of the NEM family have in common."""

import inspect
from abc import abstractmethod
from dataclasses import asdict
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...datasets import InputError
from ..classifiers import Classifier
from ..fitted import FitRequest, FittedExplainer
from .ensemble import train_ensemble
from .network import MaskNetwork, decoder_inputs
from .replay import Replayed
from .settings import DecoderTraining
from .smoothing import SmoothingName, check_smoothing
from .teachers import Teacher

# Images with sides above this get masks at a quarter of their resolution, smaller ones at half.
_SMALL_SIDE = 96


class NemExplainer(FittedExplainer):
    """A decoder on the frozen classifier's features: one pass gives prediction and explanation."""

    family = "amortized"
    passes = "1 forward, prediction included"
    format_version = 6

    # A second one was worth nothing on validation images, and maps are largest there.
    _finest_convolutions: ClassVar[int] = 1

    def __init__(
        self,
        classifier: Classifier,
        *,
        training: DecoderTraining,
        widths: tuple[int, ...],
        finest_stride: int | None,
        smoothing: SmoothingName,
        smoothing_sigma: float,
        detail: bool,
        contrast: float,
        level: float,
        seed: int,
    ) -> None:
        """Bind an unfitted explainer to a classifier.

        Args:
            classifier: What is explained.
            training: How the decoder is trained.
            widths: Channels of the decoder's stages, coarse to fine.
            finest_stride: Image pixels per mask pixel before enlargement, at least; None for 2 on images of up to 96
                pixels a side and 4 on larger ones.
            smoothing: Name of the smoothing operator.
            smoothing_sigma: Its standard deviation as a share of the image side.
            detail: Whether pixels count by what removal changes at them, as in `PixelDetail`.
            contrast: Factor on the logits of the map at use, more than 0. It moves no rank: the higher, the more of the
                relevance lies on the highest pixels.
            level: Logit at which the map at use begins, in (-4, 4). It moves no rank either: the higher, the smaller
                the core of the map.
            seed: Seed of initial weights and training.
        """
        super().__init__(classifier, seed=seed)
        self.training = training
        self.widths = widths
        self.finest_stride = finest_stride
        self.smoothing: SmoothingName = smoothing
        self.smoothing_sigma = smoothing_sigma
        self.detail = detail
        self.contrast = contrast
        self.level = level
        check_smoothing(smoothing)
        if not -4 < level < 4:
            raise InputError(f"level is {level}; wanted more than -4 and less than 4, where the decoder's logits lie")
        if not widths or min(widths) < 1:
            raise InputError(f"widths are {list(widths)}; wanted at least one number of channels, each at least 1")
        if finest_stride is not None and finest_stride < 1:
            raise InputError(f"finest_stride is {finest_stride}; wanted at least 1")
        if not contrast > 0:
            raise InputError(f"contrast is {contrast}; wanted more than 0")
        self._network: MaskNetwork | None = None
        self._maps: Replayed | None = None

    @classmethod
    def unsupported(cls, classifier: Classifier) -> str | None:
        """The decoder reads at least two feature maps."""
        try:
            n_layers = len(classifier.feature_layers)
        except InputError as error:
            return str(error)
        return None if n_layers >= 2 else f"the decoder needs 2 or more feature maps; the classifier has {n_layers}"

    def explain_with_scores(self, images: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Prediction and explanation from one pass through the classifier.

        Args:
            images: float32 (B, C, H, W) in [0, 1].
            targets: int64 (B,), or None for the output with the highest score.

        Returns:
            Attributions float32 (B, H, W), and scores (B, K), bit-identical to `Classifier.scores`.

        Raises:
            InputError: If it is not fitted, images or targets have another shape or dtype, or targets another range.
        """
        self._check(images, targets, None)
        return self._attributions_and_scores(images, targets)

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        return self._attributions_and_scores(images, targets)[0]

    def _attributions_and_scores(self, images: Tensor, targets: Tensor | None) -> tuple[Tensor, Tensor]:
        if self._network is None or self._maps is None:
            raise self._not_fitted()
        with torch.no_grad():
            outputs, features = self.classifier.logits_and_features(images, layers=self._network.layers)
            chosen = self._mask_index(outputs.argmax(dim=1) if targets is None else targets)
            maps = self._maps(images, chosen.to(images.device), *features)
            return maps, self.classifier.scores_from_logits(outputs)

    def _fit(self, request: FitRequest) -> tuple[dict[str, Tensor], dict[str, Any]]:
        network, facts = train_ensemble(
            lambda: self._build().to(self.classifier.device),
            self._teacher(),
            request,
            settings=self.training,
            seed=self.seed,
        )
        parameters = sum(parameter.numel() for parameter in network.parameters())
        return dict(network.state_dict()), {**facts, "parameters": parameters, "layers": list(network.layers)}

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        network = self._build()
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise InputError(
                f"the weights do not fit the decoder for this classifier ({reason}); are its feature_layers the same?"
            ) from error
        network.eval().decoder.fold_norms()
        # The layout in which small convolutions are fastest; a network that learns must not have it (see `to_device`).
        self._network = network.to(self.classifier.device).to(memory_format=torch.channels_last)
        self._maps = Replayed(partial(_maps_of, self._network))

    def _check_record(self, record: dict[str, Any]) -> None:
        layers = list(self._network.layers) if self._network is not None else []
        fitted_on = record.get("layers", layers)  # earlier files do not say it
        if fitted_on != layers:
            raise InputError(
                f"the decoder was fitted on the layers {', '.join(fitted_on)}, the classifier's feature_layers give "
                f"{', '.join(layers)}; name those it was fitted on, or fit it on these"
            )

    def _settings(self) -> dict[str, Any]:
        facts = {
            **asdict(self.training),
            "widths": self.widths,
            "finest_stride": self.finest_stride,
            "smoothing": self.smoothing,
            "smoothing_sigma": self.smoothing_sigma,
            "detail": self.detail,
            "contrast": self.contrast,
            "level": self.level,
        }
        # What a member of the family does not take as a parameter is fixed by its class.
        return {name: facts[name] for name in inspect.signature(type(self)).parameters if name in facts}

    def _build(self) -> MaskNetwork:
        stride = self.finest_stride or (2 if self.classifier.image_size <= _SMALL_SIDE else 4)
        layers, channels, pixels = decoder_inputs(self.classifier, finest_stride=stride)
        if len(layers) < 2:
            raise InputError(
                f"{len(layers)} feature map(s) are as coarse as finest_stride = {stride}; "
                "the decoder needs 2 or more: lower it"
            )
        return MaskNetwork(
            layers,
            channels,
            self._n_masks(),
            widths=self.widths,
            finest_convolutions=self._finest_convolutions,
            smoothing=self.smoothing,
            smoothing_sigma=self.smoothing_sigma * self.classifier.image_size / pixels,
            contrast=self.contrast,
            level=self.level,
            detail_around=self.classifier.mean if self.detail else None,
        )

    @abstractmethod
    def _teacher(self) -> Teacher:
        """Who judges the masks."""

    def _n_masks(self) -> int:
        """Masks that the decoder can give."""
        return 1

    def _mask_index(self, targets: Tensor) -> Tensor:
        """Which mask answers for a target, int64 (B,)."""
        return torch.zeros_like(targets)


def _maps_of(network: MaskNetwork, images: Tensor, targets: Tensor, *features: Tensor) -> Tensor:
    """The maps at use from tensors alone, as recordings want it."""
    return network.attributions(network.logits(features, targets, images=images))
