"""Explainers: who explains, behind one interface."""

from .artefact import write_atomically
from .augmentation import AugmentName
from .classifiers import (
    ARCHITECTURES,
    Architecture,
    Classifier,
    ClassifierTraining,
    Performance,
    builtin_checkpoints,
    checkpoint_path,
    evaluate_classifier,
    load_classifier,
    measure_performance,
    output_spread,
    save_classifier,
    train_classifier,
)
from .explainer import Explainer, ExplainerError
from .fitted import FittedExplainer
from .nem import NemtExplainer, NemtPublishedExplainer, NemUExplainer
from .randomness import seeded
from .registry import CONTROLS, EXPLAINERS

__all__ = [
    "ARCHITECTURES",
    "CONTROLS",
    "EXPLAINERS",
    "Architecture",
    "AugmentName",
    "Classifier",
    "ClassifierTraining",
    "Explainer",
    "ExplainerError",
    "FittedExplainer",
    "NemUExplainer",
    "NemtExplainer",
    "NemtPublishedExplainer",
    "Performance",
    "builtin_checkpoints",
    "checkpoint_path",
    "evaluate_classifier",
    "load_classifier",
    "measure_performance",
    "output_spread",
    "save_classifier",
    "seeded",
    "train_classifier",
    "write_atomically",
]
