"""Suites: what a run compares, as a TOML file that refuses what it does not understand."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..datasets import TargetRule
from ..explainers import CONTROLS, AugmentName, ClassifierTraining

_Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
Params = dict[str, Any]
_CORE_METRICS: Any = ("relevance_mass_accuracy", "relevance_rank_accuracy", "complexity", "sparseness")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetSpec(_Section):
    """A dataset of the suite.

    Attributes:
        type: Name in the catalog of datasets.
        params: Its parameters; a relative ``root`` lies below the run's data folder.
        targets: Which outputs are explained: ``label`` or ``predicted``.
        samples: Samples explained at most, the first ones; None for all.
    """

    type: str
    params: Params = {}
    targets: TargetRule = TargetRule.LABEL
    samples: int | None = Field(default=None, ge=1)


class TrainSpec(_Section):
    """How a run trains a classifier that it does not find.

    Attributes:
        dataset: Id of the training data in the suite.
        validation: Id of the validation data in the suite.
        epochs: As in `ClassifierTraining`, like the rest; None takes the default there.
    """

    dataset: str
    validation: str
    epochs: int = Field(default=ClassifierTraining.epochs, ge=1)
    batch_size: int = Field(default=ClassifierTraining.batch_size, ge=1)
    learning_rate: float = Field(default=ClassifierTraining.learning_rate, gt=0)
    weight_decay: float = Field(default=ClassifierTraining.weight_decay, ge=0)
    augment: AugmentName = "flips"
    removed_share: float = Field(default=0.0, ge=0, le=1)
    class_weights: bool = True
    workers: int = Field(default=0, ge=0)

    def settings(self, *, seed: int) -> ClassifierTraining:
        """The training settings without the data."""
        return ClassifierTraining(**self.model_dump(exclude={"dataset", "validation"}), seed=seed)


class ClassifierSpec(_Section):
    """A classifier of the suite: a checkpoint, or an architecture and how to train it, or a user's finished module.

    Attributes:
        checkpoint: File, or ``builtin:NAME``.
        type: Name in the catalog of architectures; with ``checkpoint`` only for code of your own.
        params: Parameters of the architecture.
        train: How to train it; without ``checkpoint`` and ``train`` the module is taken as it comes.
        datasets: Ids of the datasets that it explains; None for every evaluated one.
        allow_chance: Whether to go on with a classifier that is not better than chance.
    """

    checkpoint: str | None = None
    type: str | None = None
    params: Params = {}
    train: TrainSpec | None = None
    datasets: tuple[str, ...] | None = None
    allow_chance: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.checkpoint is None and self.type is None:
            raise ValueError("wanted either checkpoint or type (an architecture)")
        if self.checkpoint is not None and self.train is not None:
            raise ValueError("has both checkpoint and train; remove one")
        return self


class ExplainerSpec(_Section):
    """An explainer of the suite.

    Attributes:
        type: Name in the catalog of explainers; None for the id itself.
        params: Its parameters.
        fit_on: Per id of a classifier, the id of the dataset that an explainer which needs fitting is fitted on.
        weights: Per id of a classifier, the file (or ``builtin:NAME``) with what was fitted before.
    """

    type: str | None = None
    params: Params = {}
    fit_on: dict[str, str] = {}
    weights: dict[str, str] = {}


class MetricSpec(_Section):
    """A metric of the suite.

    Attributes:
        type: Name in the catalog of metrics; None for the id itself. One metric may stand in a suite several times,
            with other parameters under another id.
        params: Its parameters.
    """

    type: str | None = None
    params: Params = {}


class Suite(_Section):
    """Everything that decides the scores of a run, except the data folder and the device.

    Attributes:
        schema_version: Version of this format.
        name: Name of the suite.
        description: One sentence for people.
        seed: Base seed; every explainer's own is derived from it and its id.
        batch_size: Images per call of an explainer.
        shard_size: Samples per cell, the unit that is stored and resumed.
        preparation: What happens to raw maps before scoring: ``positive`` part or ``absolute`` value.
        metrics: By id, under which scores are stored; a list of names stands for metrics with their own parameters.
        evaluate: Ids of the datasets that are explained; None for every one.
        datasets: By id.
        classifiers: By id.
        explainers: By id; the controls run always and need not be listed.
        data_hint: Where the data are to be had, shown when they are missing.
    """

    schema_version: Literal[1]
    name: _Identifier
    description: str = ""
    seed: int = Field(default=0, ge=0, lt=2**32)
    batch_size: int = Field(default=16, ge=1)
    shard_size: int = Field(default=32, ge=1)
    preparation: Literal["positive", "absolute"] = "positive"
    metrics: dict[_Identifier, MetricSpec] = Field(default=_CORE_METRICS, min_length=1, validate_default=True)
    evaluate: tuple[str, ...] | None = None
    datasets: dict[_Identifier, DatasetSpec] = Field(min_length=1)
    classifiers: dict[_Identifier, ClassifierSpec] = Field(min_length=1)
    explainers: dict[_Identifier, ExplainerSpec] = {}
    data_hint: str = ""

    @field_validator("metrics", mode="before")
    @classmethod
    def _names_stand_for_metrics(cls, written: Any) -> Any:
        if not isinstance(written, list | tuple):
            return written
        if not all(isinstance(name, str) for name in written):
            raise ValueError("wanted names of metrics; write [metrics.ID] sections to give them parameters")
        if len(set(written)) != len(written) or not written:
            raise ValueError("wanted at least one metric, each once; the same metric twice needs [metrics.ID] sections")
        return {name: {} for name in written}

    @property
    def evaluated(self) -> tuple[str, ...]:
        """Ids of the datasets that are explained."""
        return tuple(self.datasets) if self.evaluate is None else self.evaluate

    def classifiers_for(self, dataset: str) -> list[str]:
        """Ids of the classifiers that explain a dataset."""
        return [name for name, spec in self.classifiers.items() if spec.datasets is None or dataset in spec.datasets]

    def explainers_with_controls(self) -> dict[str, ExplainerSpec]:
        """Explainers by id: the suite's own, then the controls that it does not list."""
        return {**self.explainers, **{name: ExplainerSpec() for name in CONTROLS if name not in self.explainers}}

    def explainer_type(self, explainer: str) -> str:
        """Catalog name of an explainer of the suite."""
        return self.explainers_with_controls()[explainer].type or explainer
