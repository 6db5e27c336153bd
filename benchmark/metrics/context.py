"""What a metric may use besides maps and cases: the classifier, the explainer, and what another metric has computed."""

from collections.abc import Callable
from typing import TypeVar, cast

from torch import Tensor

from ...datasets import CaseBatch, InputError
from ...datasets.hashing import fingerprint, tensors_fingerprint
from ...explainers import Classifier, Explainer
from ..prepare import PreparationChain, PreparedAttribution, prepare

T = TypeVar("T")


class ScoringContext:
    """The surroundings in which the cases of one batch are scored, made anew for every batch and explainer.

    Metrics that ask nothing but maps and regions never touch it; the others say so in `Metric.needs`.
    """

    def __init__(
        self,
        *,
        classifier: Classifier | None = None,
        explainer: Explainer | None = None,
        chain: PreparationChain = "positive",
        attribution: Tensor | None = None,
        output_spread: Tensor | None = None,
        case_facts: dict[str, object] | None = None,
    ) -> None:
        """Describe the surroundings.

        Args:
            classifier: The frozen classifier whose answers were explained; None where no metric needs it.
            explainer: Who explained; None where no metric needs it.
            chain: How raw maps were prepared, for maps that a metric asks of the explainer.
            attribution: Raw float32 (B, H, W) of the batch, signed and unscaled; None where no metric needs it.
            output_spread: Standard deviation (K,) of the outputs of a regression over the dataset; None where it is not
                known, and any fall of an output counts.
            case_facts: Where `once_for_cases` keeps what it computes; None to keep it here. Contexts of the same cases
                and classifier share one, whoever explains.
        """
        self.output_spread = output_spread
        self._classifier, self._explainer, self._attribution = classifier, explainer, attribution
        self._chain = chain
        self._found: dict[str, object] = {}
        self._case_facts = {} if case_facts is None else case_facts

    @property
    def classifier(self) -> Classifier:
        """The frozen classifier.

        Raises:
            InputError: If the context has none.
        """
        if self._classifier is None:
            raise InputError("the metric asks the classifier, and none was given; pass ScoringContext(classifier=...)")
        return self._classifier

    @property
    def explainer(self) -> Explainer:
        """Who explained.

        Raises:
            InputError: If the context has none.
        """
        if self._explainer is None:
            raise InputError("the metric asks the explainer, and none was given; pass ScoringContext(explainer=...)")
        return self._explainer

    @property
    def attribution(self) -> Tensor:
        """Raw maps, float32 (B, H, W): signs and scale, which preparation removes, as the explainer gave them.

        Raises:
            InputError: If the context has none.
        """
        if self._attribution is None:
            raise InputError("the metric asks for raw maps, and none were given; pass ScoringContext(attribution=...)")
        return self._attribution

    def of(self, chosen: Tensor) -> "ScoringContext":
        """The context of some cases; what was found is shared.

        Args:
            chosen: bool (B,).
        """
        attribution = None if self._attribution is None else self._attribution[chosen.to(self._attribution.device)]
        narrowed = ScoringContext(
            classifier=self._classifier,
            explainer=self._explainer,
            chain=self._chain,
            attribution=attribution,
            output_spread=self.output_spread,
            case_facts=self._case_facts,
        )
        narrowed._found = self._found
        return narrowed

    def once(self, name: str, make: Callable[[], T], *, settings: object, tensors: dict[str, Tensor]) -> T:
        """Compute what several metrics of a batch need, once.

        Args:
            name: What is computed.
            make: Computes it.
            settings: Plain data that decide the result, as JSON can hold them.
            tensors: Tensors that decide the result: the key is their content, so that other maps never get this result.
        """
        return _once(self._found, name, make, settings=settings, tensors=tensors)

    def once_for_cases(self, name: str, make: Callable[[], T], *, settings: object, tensors: dict[str, Tensor]) -> T:
        """Compute what every explainer of the cases needs, once; arguments as of `once`."""
        return _once(self._case_facts, name, make, settings=settings, tensors=tensors)

    def explained(
        self, images: Tensor, targets: Tensor, *, gt_masks: Tensor, explainer: Explainer | None = None
    ) -> PreparedAttribution:
        """Explain other images, other targets or another network as the run did, and prepare the maps alike.

        Args:
            images: float32 (n, C, H, W) in [0, 1].
            targets: int64 (n,).
            gt_masks: bool (n, H, W), shown to an explainer that sees them.
            explainer: Who explains; None for the explainer of the context.
        """
        asked = explainer or self.explainer
        device = asked.classifier.device
        masks = gt_masks.to(device) if asked.sees_gt_masks else None
        raw = asked.explain(images.to(device), targets.to(device), gt_masks=masks)
        return prepare(raw.cpu(), chain=self._chain)


def _once(
    found: dict[str, object], name: str, make: Callable[[], T], *, settings: object, tensors: dict[str, Tensor]
) -> T:
    key = f"{name}:{fingerprint(settings)}:{tensors_fingerprint(tensors)}"
    if key not in found:
        found[key] = make()
    return cast(T, found[key])


def content(maps: Tensor, batch: CaseBatch) -> dict[str, Tensor]:
    """The tensors that decide what a classifier says about maps of cases, for `ScoringContext.once`."""
    return {"maps": maps, "images": batch.images, "targets": batch.targets}
