"""NEMt: neural explanation masks with target labels."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor

from ...datasets import Dataset, InputError
from ..artefact import load_artefact, save_artefact
from ..classifiers import Classifier, checkpoint_path
from ..explainer import Explainer
from ..randomness import preserved_random_state, seeded
from .network import MaskNetwork, decoder_inputs
from .training import DecoderTraining, train_decoder

DECODER_FORMAT = "xaibench nemt decoder"
DECODER_VERSION = 1


class NemtExplainer(Explainer):
    """One mask per output from one pass through the classifier and a light decoder on its features.

    References:
        Møller et al., «Neural Explanation Masks with target labels», NLDL 2025, PMLR 265:184-192. Deviates from the
        paper: one channel per output, so that any target can be asked for; signed, scale-free deletion and
        preservation terms; area weight and temperature that rise during training; one fixed Gaussian smoothing in
        training and at use; a decoder of a fraction of the size.
    """

    family = "amortized"
    citation = "Møller et al., NLDL 2025, PMLR 265:184-192 (deviations documented)"
    needs_fit = True

    def __init__(
        self,
        classifier: Classifier,
        *,
        steps: int = 600,
        batch_size: int = 32,
        learning_rate: float = 4e-3,
        weight_decay: float = 0.01,
        area_weights: tuple[float, float] = (1.0, 6.0),
        temperatures: tuple[float, float] = (1.0, 2.0),
        random_target_share: float = 0.25,
        fills: Literal["mean", "mixed"] = "mean",
        augment: Literal["flips", "mirror", "none"] = "flips",
        widths: tuple[int, ...] = (64, 32, 24),
        finest_stride: int = 2,
        smoothing: float = 0.0125,
        seed: int = 0,
    ) -> None:
        """Bind an unfitted explainer to a classifier.

        Args:
            classifier: What is explained.
            steps: As in `DecoderTraining`, like the next eight.
            batch_size: See there.
            learning_rate: See there.
            weight_decay: See there.
            area_weights: See there.
            temperatures: See there.
            random_target_share: See there.
            fills: See there.
            augment: See there.
            widths: Channels of the decoder's stages, coarse to fine.
            finest_stride: Image pixels per mask pixel before enlargement: 2 for small images, 4 for large ones.
            smoothing: Standard deviation of the Gaussian as a share of the image side.
            seed: Seed of initial weights and training.
        """
        super().__init__(classifier, seed=seed)
        self.training = DecoderTraining(
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            area_weights=area_weights,
            temperatures=temperatures,
            random_target_share=random_target_share,
            fills=fills,
            augment=augment,
        )
        self.shape: dict[str, Any] = {
            "widths": list(widths),
            "finest_stride": finest_stride,
            "smoothing": smoothing,
        }
        self._network: MaskNetwork | None = None
        self._record: dict[str, Any] | None = None

    @classmethod
    def unsupported(cls, classifier: Classifier) -> str | None:
        """The decoder reads feature maps of at least two resolutions."""
        try:
            n_layers = len(classifier.feature_layers)
        except InputError as error:
            return str(error)
        return None if n_layers >= 2 else f"the decoder needs 2 or more feature maps; the classifier has {n_layers}"

    @property
    def fit_record(self) -> dict[str, Any] | None:
        """Data, settings, curve and ``fit_seconds`` of the fit, or None before."""
        return self._record

    def fit(self, dataset: Dataset, *, validation: Dataset | None = None, progress: bool = False) -> None:
        """Train the decoder; the classifier stays bit-identical.

        Args:
            dataset: Training images of one size; neither labels nor annotated regions are read.
            validation: Unused.
            progress: Whether to show a progress bar.

        Raises:
            InputError: If the data do not suit the classifier or the loss becomes not a number.
        """
        if not len(dataset):
            raise InputError(f"{dataset.info.name} has no images to fit on")
        if dataset.info.image_size is None or dataset.info.channels != self.classifier.channels:
            raise InputError(
                f"{dataset.info.name} has {dataset.info.channels} channels and image size {dataset.info.image_size}; "
                f"wanted {self.classifier.channels} channels and images of one size"
            )
        started = time.perf_counter()
        with seeded(self.seed):
            network = self._build().to(self.classifier.device)
            curve = train_decoder(
                network, self.classifier, dataset, settings=self.training, seed=self.seed, progress=progress
            )
        self._network = network.eval()
        self._record = {
            "dataset": dataset.info.name,
            "dataset_fingerprint": dataset.info.fingerprint,
            "settings": asdict(self.training),
            "seed": self.seed,
            "curve": curve,
            "fit_seconds": time.perf_counter() - started,
            # One pass without gradients, then two images per image, forward and backward (a backward costs about two).
            "fit_forward_passes": self.training.steps * self.training.batch_size * 7,
        }

    def save(self, path: str | Path) -> None:
        """Store the decoder with hashes of classifier and data, settings and curve.

        Raises:
            InputError: If it is not fitted, or the file cannot be written.
        """
        network = self._fitted()
        description = {
            "format": DECODER_FORMAT,
            "format_version": DECODER_VERSION,
            "classifier_fingerprint": self.classifier.fingerprint,
            "shape": self.shape,
            "fit": self._record,
        }
        save_artefact(path, tensors=network.state_dict(), description=description)

    @classmethod
    def load(cls, path: str | Path, classifier: Classifier) -> Self:
        """Restore a fitted explainer.

        Args:
            path: File written by `save`, or ``builtin:NAME``.
            classifier: The classifier that the decoder was fitted on.

        Raises:
            InputError: If the file cannot be used, or was fitted on another classifier.
        """
        file = checkpoint_path(path)
        tensors, description = load_artefact(file, wanted_format=DECODER_FORMAT, wanted_version=DECODER_VERSION)
        found, wanted = description["classifier_fingerprint"], classifier.fingerprint
        if found != wanted:
            raise InputError(
                f"{file} was fitted on classifier {found[:8]}, this is {wanted[:8]}; fit the decoder on this classifier"
            )
        record = description["fit"]
        explainer = cls(classifier, seed=record["seed"], **_tuples(record["settings"]), **_tuples(description["shape"]))
        with preserved_random_state():  # the initial weights that are drawn here are replaced at once
            network = explainer._build()
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise InputError(
                f"{file} does not fit the decoder for this classifier ({reason}); are its feature_layers the same?"
            ) from error
        explainer._network = network.to(classifier.device).eval()
        explainer._record = record
        return explainer

    def explain_with_scores(self, images: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Prediction and explanation from one pass through the classifier.

        Args:
            images: float32 (B, C, H, W) in [0, 1].
            targets: int64 (B,), or None for the output with the highest score.

        Returns:
            Masks float32 (B, H, W) in [0, 1], and scores (B, K), bit-identical to `Classifier.scores`.

        Raises:
            InputError: If it is not fitted, or images or targets have another shape, dtype or range.
        """
        self._check(images, torch.zeros(len(images), dtype=torch.int64) if targets is None else targets, None)
        return self._masks_and_scores(images, targets)

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        return self._masks_and_scores(images, targets)[0]

    def _masks_and_scores(self, images: Tensor, targets: Tensor | None) -> tuple[Tensor, Tensor]:
        network = self._fitted()
        with torch.no_grad():
            logits, features = self.classifier.logits_and_features(images, layers=network.layers)
            chosen = logits.argmax(dim=1) if targets is None else targets
            return network.masks(features, chosen, size=images.shape[-2:]), self.classifier.scores_from_logits(logits)

    def _fitted(self) -> MaskNetwork:
        if self._network is None:
            raise InputError("NEMt is not fitted; call fit(dataset) or NemtExplainer.load(path, classifier)")
        return self._network

    def _build(self) -> MaskNetwork:
        layers, channels = decoder_inputs(self.classifier, finest_stride=self.shape["finest_stride"])
        if len(layers) < 2:
            raise InputError(
                f"{len(layers)} feature map(s) are as coarse as finest_stride = {self.shape['finest_stride']}; "
                "the decoder needs 2 or more: lower it"
            )
        return MaskNetwork(
            layers,
            channels,
            len(self.classifier.output_names),
            widths=self.shape["widths"],
            smoothing_sigma=self.shape["smoothing"] * self.classifier.image_size,
        )


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
