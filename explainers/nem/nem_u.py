"""NEM-U: neural explanation masks without labels."""

from typing import Any

from ..augmentation import AugmentName
from ..classifiers import Classifier
from .explainer import NemExplainer
from .removal import RemovalName
from .settings import DecoderTraining, OptimizerName
from .smoothing import SmoothingName
from .teachers import EmbeddingTeacher, Teacher


class NemUExplainer(NemExplainer):
    """The smallest region that keeps an image where it is in the space of embeddings; explains encoders as well.

    References:
        Møller et al., «Finding NEM-U: explaining unsupervised representation learning through neural network generated
        explanation masks», ICML 2024, PMLR 235:36048-36071. Deviates from the paper: a decoder of a fraction of the
        size, smoothed logits, temperature and area weight that rise to the published balance, mixed fills.
    """

    citation = "Møller et al., ICML 2024, PMLR 235:36048-36071 (deviations documented)"
    format_name = "xaibench nem_u decoder"
    ignores_target = True

    def __init__(
        self,
        classifier: Classifier,
        *,
        contrastive: bool = False,
        steps: int = 400,
        batch_size: int = 32,
        optimizer: OptimizerName = "adamw",
        learning_rate: float = 4e-3,
        weight_decay: float = 0.01,
        area_weights: tuple[float, float] = (0.03, 0.125),
        temperatures: tuple[float, float] = (1.0, 2.0),
        removals: tuple[RemovalName, ...] = ("mean", "blur", "noise"),
        augment: AugmentName = "flips",
        widths: tuple[int, ...] = (64, 32, 16),
        finest_stride: int | None = None,
        smoothing: SmoothingName = "gaussian",
        smoothing_sigma: float = 0.0125,
        contrast: float = 6.0,
        level: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Bind an unfitted explainer to a classifier or an encoder.

        Args:
            classifier: What is explained; only its embedding is read.
            contrastive: Whether the embedding without the mask's pixels is pushed away as well.
            steps: As in `DecoderTraining`, like all up to augment.
            batch_size: See there.
            optimizer: See there.
            learning_rate: See there.
            weight_decay: See there.
            area_weights: See there; 1/8 is the published balance.
            temperatures: See there.
            removals: See there.
            augment: See there.
            widths: Channels of the decoder's stages, coarse to fine.
            finest_stride: As in `NemExplainer`.
            smoothing: Name of the smoothing operator.
            smoothing_sigma: Its standard deviation as a share of the image side.
            contrast: As in `NemExplainer`.
            level: See there.
            seed: Seed of initial weights and training.
        """
        training = DecoderTraining(
            steps=steps,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            area_weights=area_weights,
            temperatures=temperatures,
            ranking_share=0.0,
            leakage_weight=0.0,
            random_target_share=0.0,
            removals=removals,
            augment=augment,
        )
        super().__init__(
            classifier,
            training=training,
            widths=widths,
            finest_stride=finest_stride,
            smoothing=smoothing,
            smoothing_sigma=smoothing_sigma,
            detail=False,
            contrast=contrast,
            level=level,
            seed=seed,
        )
        self.contrastive = contrastive

    def _teacher(self) -> Teacher:
        return EmbeddingTeacher(self.classifier, contrastive=self.contrastive)

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "contrastive": self.contrastive}
