"""Occlusion, by Captum."""

import torch
from captum.attr import Occlusion
from torch import Tensor

from ...datasets import InputError
from ..channels import ChannelExplainer, ChannelReduction
from ..checks import positive
from ..classifiers import Classifier
from ..pass_size import PassSize


class OcclusionExplainer(ChannelExplainer):
    """Change of the output when a window of the image is painted over in mean colour."""

    family = "perturbation"
    citation = "Zeiler, Fergus, ECCV 2014"
    passes = "1 + windows forward, windows as stride says"
    library = "captum"
    # Captum gives each channel the whole effect of its window: a sum is that effect times the channels, the same map.
    default_reduction = "sum"

    def __init__(
        self,
        classifier: Classifier,
        *,
        window: float = 0.125,
        stride: float = 0.0625,
        windows_per_pass: int = 8,
        channel_reduction: ChannelReduction | None = None,
        seed: int = 0,
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            window: Side of the window as a share of the image side, 0 < window <= 1.
            stride: Step of the window as a share of the image side, 0 < stride <= window.
            windows_per_pass: Windows painted per pass and image; bounds memory.
            channel_reduction: As for every explainer that attributes to channels.
            seed: As for every explainer.
        """
        super().__init__(classifier, channel_reduction=channel_reduction, seed=seed)
        if not 0 < stride <= window <= 1:
            raise InputError(f"window is {window}, stride is {stride}; wanted 0 < stride <= window <= 1 (image sides)")
        self.window, self.stride = window, stride
        self._passes = PassSize(positive("windows_per_pass", windows_per_pass), owner=type(self).__name__)

    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        channels, height, width = images.shape[1:]
        window = (channels, *(max(1, round(self.window * side)) for side in (height, width)))
        stride = (channels, *(max(1, round(self.stride * side)) for side in (height, width)))

        def occlude(windows_per_pass: int) -> Tensor:
            with torch.no_grad():
                result: Tensor = Occlusion(self.classifier).attribute(
                    images,
                    sliding_window_shapes=window,
                    strides=stride,
                    baselines=self.classifier.mean_color(images),
                    target=targets,
                    perturbations_per_eval=windows_per_pass,
                )
            return result

        return self._passes.attempt(occlude, total=height * width)
