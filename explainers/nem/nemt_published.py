"""NEMt as published, for comparison."""

from ..augmentation import AugmentName
from ..classifiers import Classifier
from .explainer import NemExplainer
from .settings import DecoderTraining, OptimizerName
from .teachers import PublishedTeacher, Teacher


class NemtPublishedExplainer(NemExplainer):
    """The smallest region whose deletion changes the predicted score, as one mask for whatever is predicted.

    References:
        Møller et al., «Neural Explanation Masks with target labels», NLDL 2025, PMLR 265:184-192. Deviates from the
        published code where that is a defect: scores are gathered row by row; the smoothing is deterministic at use;
        borders are replicated instead of wrapped; the classifier's prediction takes the place of the label, so that no
        label is read. Its map is -ln(1 - mask), which ranks as the mask does.
    """

    citation = "Møller et al., NLDL 2025, PMLR 265:184-192"
    format_name = "xaibench nemt_published decoder"
    ignores_target = True
    _finest_convolutions = 2

    def __init__(
        self,
        classifier: Classifier,
        *,
        steps: int = 400,
        batch_size: int = 32,
        optimizer: OptimizerName = "adamw",
        learning_rate: float = 4e-3,
        weight_decay: float = 0.01,
        augment: AugmentName = "flips",
        widths: tuple[int, ...] = (256, 128, 64, 32, 16),
        finest_stride: int | None = None,
        smoothing_sigma: float = 0.016,
        seed: int = 0,
    ) -> None:
        """Bind an unfitted explainer to a classifier.

        Args:
            classifier: What is explained.
            steps: Optimizer steps; the paper takes five epochs.
            batch_size: Images per step; the paper accumulates 128.
            optimizer: ``prodigy`` with a learning rate of 1, as in the paper, needs the extra of that name.
            learning_rate: As in `DecoderTraining`.
            weight_decay: See there.
            augment: See there.
            widths: Channels of the decoder's stages, coarse to fine, as published.
            finest_stride: As in `NemExplainer`.
            smoothing_sigma: A sixth of the width of the random window, as a share of the image side: 21 pixels of 224.
            seed: Seed of initial weights and training.
        """
        training = DecoderTraining(
            steps=steps,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            # Half of mean(e) + 2 (1 - change²).
            area_weights=(0.5, 0.5),
            temperatures=(1.0, 1.0),
            ranking_share=0.0,
            leakage_weight=0.0,
            random_target_share=0.0,
            removals=("mean",),
            augment=augment,
        )
        super().__init__(
            classifier,
            training=training,
            widths=widths,
            finest_stride=finest_stride,
            smoothing="random",
            contrast=1.0,
            level=0.0,
            smoothing_sigma=smoothing_sigma,
            detail=False,
            seed=seed,
        )

    def _teacher(self) -> Teacher:
        return PublishedTeacher(self.classifier, random_target_share=0.0)
