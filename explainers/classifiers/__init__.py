"""Classifiers: what is explained, frozen."""

from .architectures import ARCHITECTURES
from .checkpoint import Architecture, builtin_checkpoints, checkpoint_path, load_classifier, save_classifier
from .classifier import Classifier, capture_outputs
from .dataset_scores import dataset_scores
from .network import Network
from .output_spread import output_spread
from .performance import Performance, measure_performance
from .training import ClassifierTraining, evaluate_classifier, train_classifier

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Classifier",
    "ClassifierTraining",
    "Network",
    "Performance",
    "builtin_checkpoints",
    "capture_outputs",
    "checkpoint_path",
    "dataset_scores",
    "evaluate_classifier",
    "load_classifier",
    "measure_performance",
    "output_spread",
    "save_classifier",
    "train_classifier",
]
