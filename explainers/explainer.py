"""The one interface behind which every explainer lies."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self, final

import torch
from torch import Tensor, nn

from ..datasets import Dataset, InputError
from .classifiers import Classifier
from .pass_size import PassSize
from .randomness import preserved_random_state


class ExplainerError(RuntimeError):
    """A plugin broke the contract of `Explainer`: a defect of the plugin, not of the user's input."""


class Explainer(ABC):
    """Answers «which pixels speak for output t?» for one classifier.

    Plugins implement `_attribute`; whatever they do there, `explain` gives inputs, gradients, hooks and the global
    random state back as they were.

    Attributes:
        family: Kind of method: ``gradient``, ``cam``, ``perturbation``, ``attention``, ``amortized`` or ``control``.
        citation: Authors, venue, year.
        passes: Cost of one map in passes through the classifier, in words of its parameters.
        library: Whose implementation it is: ours, or that of a library behind our interface.
        is_control: Whether this is a control: it runs beside rivals to show what a score is worth.
        sees_gt_masks: Whether it is shown the annotated region: true for the oracle alone.
        needs_fit: Whether it must be fitted (or loaded) before it explains.
        ignores_target: Whether it explains the image as a whole: the same map for every output.
        is_random: Whether its maps depend on `seed`.
    """

    family: ClassVar[str]
    citation: ClassVar[str]
    passes: ClassVar[str] = "1 forward"
    library: ClassVar[str] = "xaibench"
    is_control: ClassVar[bool] = False
    sees_gt_masks: ClassVar[bool] = False
    needs_fit: ClassVar[bool] = False
    ignores_target: ClassVar[bool] = False
    is_random: ClassVar[bool] = False

    def __init__(self, classifier: Classifier, *, seed: int = 0) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained; its parameters are never changed.
            seed: Seed of everything that is random about the explainer, 0 <= seed < 2**32.
        """
        self.classifier = classifier
        self.seed = seed
        # Of the images of one call: a map does not depend on its neighbours, so that any explainer can be split there.
        self._images_per_call = PassSize(owner=type(self).__name__)

    @classmethod
    def unsupported(cls, classifier: Classifier) -> str | None:
        """Why this explainer cannot explain that classifier, or None if it can."""
        return None

    def fit(  # noqa: B027
        self,
        dataset: Dataset,
        *,
        validation: Dataset | None = None,
        checkpoint: Path | None = None,
        progress: bool = False,
    ) -> None:
        """Learn from images; most explainers have nothing to learn.

        Args:
            dataset: Training images; annotated regions are not to be used.
            validation: Images for choosing what to keep.
            checkpoint: File in which an unfinished fit is kept, so that a killed one goes on.
            progress: Whether to show a progress bar.
        """

    def save(self, path: str | Path) -> None:
        """Store what `fit` learned, with hashes of classifier, data and settings.

        Raises:
            InputError: If there is nothing to store.
        """
        raise InputError(f"{type(self).__name__} learns nothing, so there is nothing to save")

    @classmethod
    def load(cls, path: str | Path, classifier: Classifier) -> Self:
        """Restore what `save` stored.

        Raises:
            InputError: If the file cannot be used, or was fitted on another classifier.
        """
        raise InputError(f"{cls.__name__} learns nothing, so there is nothing to load")

    @property
    def fit_record(self) -> dict[str, Any] | None:
        """What is known of the fit (data, settings, curve, ``fit_seconds``, …), or None where nothing is learned."""
        return None

    @final
    def explain(self, images: Tensor, targets: Tensor, *, gt_masks: Tensor | None = None) -> Tensor:
        """Attribute the targets to pixels.

        Args:
            images: float32 (B, C, H, W) in [0, 1], on the classifier's device.
            targets: int64 (B,), output to explain per image.
            gt_masks: bool (B, H, W), used by the oracle alone.

        Returns:
            Raw attributions, float32 (B, H, W): larger speaks more for the target; signed where the method is.

        Raises:
            InputError: If images, targets or masks have another shape or dtype, or targets another range. The values of
                images are not looked at: on a GPU that would cost more than many an explanation.
            ExplainerError: If the plugin returns another shape or dtype.
        """
        self._check(images, targets, gt_masks)
        own_images, own_targets = images.detach(), targets.detach()
        # Outside of any `no_grad` or `inference_mode` of the caller's: many explainers need gradients.
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            preserved_random_state(),
        ):
            if self.sees_gt_masks:
                if gt_masks is None:
                    raise InputError(f"{type(self).__name__} needs gt_masks; the dataset has none or none were passed")
                with preserved_traces(self.classifier):
                    attribution = self._attribute_from_masks(own_images.clone(), own_targets.clone(), gt_masks.clone())
            else:
                parts = self._images_per_call.in_parts(
                    lambda part: self._attribute_part(own_images[part].clone(), own_targets[part].clone()),
                    total=len(own_images),
                )
                attribution = parts[0] if len(parts) == 1 else torch.cat(parts)
            attribution = attribution.detach()
        wanted = (len(images), *images.shape[-2:])
        if tuple(attribution.shape) != wanted or attribution.dtype != torch.float32:
            raise ExplainerError(
                f"{type(self).__name__} returned {attribution.dtype} {tuple(attribution.shape)}; "
                f"wanted float32 {wanted}"
            )
        return attribution

    def _attribute_part(self, images: Tensor, targets: Tensor) -> Tensor:
        # Per part: hooks of an attempt that ran out of memory would disturb the next one.
        with preserved_traces(self.classifier):
            return self._attribute(images, targets).detach()

    @abstractmethod
    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        """Compute attributions; arguments and result as in `explain`, arguments are private copies."""

    def _attribute_from_masks(self, images: Tensor, targets: Tensor, gt_masks: Tensor) -> Tensor:
        """Compute attributions of a control that sees the annotated regions."""
        raise NotImplementedError

    def _check(self, images: Tensor, targets: Tensor | None, gt_masks: Tensor | None) -> None:
        """Refuse what cannot be explained; targets are None where the plugin is to choose them."""
        name, channels = type(self).__name__, self.classifier.channels
        if images.ndim != 4 or images.shape[1] != channels or images.dtype != torch.float32 or not len(images):
            raise InputError(
                f"{name}: images are {images.dtype} {tuple(images.shape)}; "
                f"wanted float32 (B, {channels}, H, W) in [0, 1], B at least 1"
            )
        if targets is not None:
            self._check_targets(targets, len(images))
        wanted = (len(images), *images.shape[-2:])
        if gt_masks is not None and (tuple(gt_masks.shape) != wanted or gt_masks.dtype != torch.bool):
            raise InputError(f"{name}: gt_masks are {gt_masks.dtype} {tuple(gt_masks.shape)}; wanted bool {wanted}")

    def _check_targets(self, targets: Tensor, n_images: int) -> None:
        name = type(self).__name__
        if targets.shape != (n_images,) or targets.dtype != torch.int64:
            raise InputError(f"{name}: targets are {targets.dtype} {tuple(targets.shape)}; wanted int64 ({n_images},)")
        n_outputs = len(self.classifier.output_names)
        lowest, highest = int(targets.min()), int(targets.max())
        if lowest < 0 or highest >= n_outputs:
            raise InputError(f"{name}: targets reach from {lowest} to {highest}; wanted 0 to {n_outputs - 1}")


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@contextmanager
def preserved_traces(module: nn.Module) -> Iterator[None]:
    """Give gradients, gradient switches, hooks and mode of a module back as they were."""
    parameters = [(parameter, parameter.requires_grad, parameter.grad) for parameter in module.parameters()]
    modes = [(sub_module, sub_module.training) for sub_module in module.modules()]
    hooks = [(getattr(m, kind), set(getattr(m, kind))) for m in module.modules() for kind in _HOOKS]
    # Put aside, not copied: what a plugin adds to gradients inside the block never touches the owner's tensors.
    for parameter, _, _ in parameters:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, requires_grad, grad in parameters:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad
        for sub_module, training in modes:
            sub_module.training = training
        for registered, before in hooks:
            for key in set(registered) - before:
                del registered[key]
