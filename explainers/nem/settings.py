"""Settings of a fit."""

from dataclasses import dataclass
from typing import Literal, get_args

from ...datasets import InputError, closest_match
from ..augmentation import AugmentName
from .removal import REMOVALS, RemovalName

OptimizerName = Literal["adamw", "prodigy"]


@dataclass(frozen=True, kw_only=True)
class DecoderTraining:
    """How a decoder is trained.

    Attributes:
        steps: Optimizer steps.
        batch_size: Images per step.
        optimizer: ``adamw`` with a one-cycle schedule, or ``prodigy``, which finds its learning rate itself.
        learning_rate: Peak of AdamW's schedule; a factor on what Prodigy finds (1 as a rule).
        weight_decay: Of either.
        area_weights: Weight of the area term at the start and from half of the steps on; it rises linearly. A light
            weight first lets the mask find the evidence, a heavy one then drives the background to zero.
        temperatures: Factor on the mask logits at the start and from half of the steps on; it sharpens the mask.
        ranking_share: Share of the images that are taught a ranking: their mask keeps a random share of the pixels,
            and its area does not count.
        level_softness: Softness of that mask's cut in standard deviations of the logits: soft enough for a gradient,
            sharp enough to mean a ranking; without the detail of single pixels, 0.25 does as well.
        score_temperatures: Temperatures at which the classifier's probabilities are read; the terms are averaged over
            them. A classifier that is sure answers 0 or 1 whatever is removed; at a higher temperature its probability
            still moves, and there is a gradient.
        leakage_weight: Weight of what masks do to other present outputs.
        random_target_share: Share of the images that are asked for a random target, so that masks of absent targets
            become empty.
        balance_targets: Whether an epoch has as many images of every class that the classifier predicts, those of rare
            classes more than once, so that a decoder learns to explain these as well. For multiclass classifiers.
        removals: What removed pixels may become, one drawn per image.
        patterns: Whether a class that mean colour or blur leaves (the one that a classifier answers for want of
            evidence) is asked where the pattern of another image takes it away, with no word about what is enough to
            keep it, instead of with other images, and with fills amid which anything keeps it (`asked_by_pattern`).
            Relevance mass of that class gains, faithfulness under such fills loses. For multiclass classifiers, and
            removals with ``other``; with others it has no effect.
        augment: As in `AugmentName`.
        patience: Validations without progress after which training stops. There are up to eleven, from half of the
            steps on, when the weights of the loss have their last values.
        validation_images: Images held out for them, or fewer: at most a tenth of the data.
        members: Decoders that are trained, each with a seed of its own. Of more than one, one is made that gives the
            mean of their logits: two fits of one recipe differ, and that one differs less from the mean of many. Costs
            as many trainings, and as many steps again in which nothing is removed (of images augmented as ``camera``
            where training has ``photo``); at use it costs nothing.
        mixed_precision: Whether a GPU computes in bfloat16 where that is safe; a CPU never does.
    """

    steps: int = 400
    batch_size: int = 32
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    area_weights: tuple[float, float] = (1.0, 6.0)
    temperatures: tuple[float, float] = (1.0, 2.0)
    ranking_share: float = 0.5
    level_softness: float = 0.08
    score_temperatures: tuple[float, ...] = (1.0, 4.0)
    leakage_weight: float = 0.5
    random_target_share: float = 0.15
    balance_targets: bool = False
    removals: tuple[RemovalName, ...] = ("mean", "mean", "blur", "noise", "noise", "other")
    patterns: bool = True
    augment: AugmentName = "flips"
    patience: int = 8
    validation_images: int = 128
    members: int = 1
    mixed_precision: bool = True

    @property
    def pattern_removals(self) -> tuple[RemovalName, ...]:
        """Removals in whose place patterns may be asked; who wants no other images gets no patterns of them."""
        return self.removals if self.patterns and "other" in self.removals else ()

    def __post_init__(self) -> None:
        self._check_names()
        for name in ("steps", "batch_size", "patience", "members"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; wanted at least 1")
        if self.validation_images < 0:
            raise InputError(f"validation_images is {self.validation_images}; wanted 0 or more")
        for name in ("random_target_share", "ranking_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; wanted a share from 0 to 1")
        for name in ("learning_rate", "level_softness"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; wanted more than 0")
        for name in ("weight_decay", "leakage_weight"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; wanted 0 or more")
        if min(self.area_weights) < 0 or min(self.temperatures) <= 0:
            raise InputError(
                f"area_weights are {list(self.area_weights)} and temperatures {list(self.temperatures)}; wanted "
                "weights of 0 or more and temperatures of more than 0"
            )
        if not self.score_temperatures or min(self.score_temperatures) <= 0:
            raise InputError(
                f"score_temperatures are {list(self.score_temperatures)}; wanted at least one, each more than 0"
            )
        if not self.removals:
            raise InputError(f"removals is empty; wanted at least one of {', '.join(REMOVALS)}")

    def _check_names(self) -> None:
        for setting, chosen, known in (
            ("optimizer", (self.optimizer,), get_args(OptimizerName)),
            ("augment", (self.augment,), get_args(AugmentName)),
            ("removals", self.removals, REMOVALS),
        ):
            for name in chosen:
                if name not in known:
                    raise InputError(f"{setting}: unknown {name!r}; {closest_match(str(name), list(known))}")
