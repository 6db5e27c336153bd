"""NEMt: neural explanation masks with target labels."""

from torch import Tensor

from ...datasets import InputError, Task
from ..augmentation import AugmentName
from ..classifiers import Classifier
from .explainer import NemExplainer
from .removal import RemovalName
from .settings import DecoderTraining, OptimizerName
from .smoothing import SmoothingName
from .teachers import ScoreTeacher, Teacher


class NemtExplainer(NemExplainer):
    """One mask per output from one pass through the classifier and a light decoder on its features and the image.

    References:
        Møller et al., «Neural Explanation Masks with target labels», NLDL 2025, PMLR 265:184-192. Deviates from the
        paper: one mask per output, so that any target can be asked for; signed, scale-free deletion and preservation
        terms; half of the images teach a ranking of all pixels instead of an area; other images of the batch among the
        fills, and patterns of them for a class that is answered for want of evidence; other present outputs are left
        alone; area weight and temperature that rise during training; smoothed logits instead of a smoothed mask; single
        pixels ranked by what removal changes at them; a decoder of a fraction of the size; on demand, one decoder that
        learned the mean of several.
    """

    citation = "Møller et al., NLDL 2025, PMLR 265:184-192 (deviations documented)"
    format_name = "xaibench nemt decoder"

    def __init__(
        self,
        classifier: Classifier,
        *,
        steps: int = 400,
        batch_size: int = 32,
        optimizer: OptimizerName = "adamw",
        learning_rate: float = 4e-3,
        weight_decay: float = 0.01,
        area_weights: tuple[float, float] = (1.0, 6.0),
        temperatures: tuple[float, float] = (1.0, 2.0),
        ranking_share: float = 0.5,
        level_softness: float = 0.08,
        score_temperatures: tuple[float, ...] = (1.0, 4.0),
        leakage_weight: float = 0.5,
        random_target_share: float = 0.15,
        balance_targets: bool = False,
        removals: tuple[RemovalName, ...] = ("mean", "mean", "blur", "noise", "noise", "other"),
        patterns: bool = True,
        augment: AugmentName = "flips",
        patience: int = 8,
        validation_images: int = 128,
        members: int = 1,
        mixed_precision: bool = True,
        widths: tuple[int, ...] = (64, 32, 16),
        finest_stride: int | None = None,
        smoothing: SmoothingName = "gaussian",
        smoothing_sigma: float = 0.0125,
        detail: bool = True,
        contrast: float = 6.0,
        level: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Bind an unfitted explainer to a classifier.

        Args:
            classifier: What is explained.
            steps: As in `DecoderTraining`, like all up to mixed_precision.
            batch_size: See there.
            optimizer: See there.
            learning_rate: See there.
            weight_decay: See there.
            area_weights: See there.
            temperatures: See there.
            ranking_share: See there.
            level_softness: See there.
            score_temperatures: See there.
            leakage_weight: See there.
            random_target_share: See there.
            balance_targets: See there.
            removals: See there.
            patterns: See there.
            augment: See there.
            patience: See there.
            validation_images: See there.
            members: See there.
            mixed_precision: See there.
            widths: Channels of the decoder's stages, coarse to fine.
            finest_stride: As in `NemExplainer`.
            smoothing: Name of the smoothing operator.
            smoothing_sigma: Its standard deviation as a share of the image side.
            detail: As in `NemExplainer`.
            contrast: As in `NemExplainer`.
            level: See there.
            seed: Seed of initial weights and training.

        Raises:
            InputError: If a setting is out of its range, or classes are to be balanced that there are none of.
        """
        if balance_targets and classifier.task is not Task.MULTICLASS:
            raise InputError(
                f"balance_targets is on, and the classifier is {classifier.task.value}; wanted a multiclass one: "
                "leave balance_targets out"
            )
        training = DecoderTraining(
            steps=steps,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            area_weights=area_weights,
            temperatures=temperatures,
            ranking_share=ranking_share,
            level_softness=level_softness,
            score_temperatures=score_temperatures,
            leakage_weight=leakage_weight,
            random_target_share=random_target_share,
            balance_targets=balance_targets,
            removals=removals,
            patterns=patterns,
            augment=augment,
            patience=patience,
            validation_images=validation_images,
            members=members,
            mixed_precision=mixed_precision,
        )
        super().__init__(
            classifier,
            training=training,
            widths=widths,
            finest_stride=finest_stride,
            smoothing=smoothing,
            smoothing_sigma=smoothing_sigma,
            detail=detail,
            contrast=contrast,
            level=level,
            seed=seed,
        )

    def _teacher(self) -> Teacher:
        return ScoreTeacher(
            self.classifier,
            random_target_share=self.training.random_target_share,
            balance_targets=self.training.balance_targets,
            score_temperatures=self.training.score_temperatures,
            pattern_removals=self.training.pattern_removals,
        )

    def _n_masks(self) -> int:
        return len(self.classifier.output_names)

    def _mask_index(self, targets: Tensor) -> Tensor:
        return targets
