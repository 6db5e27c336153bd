"""The long tables that are the truth on disk: one row per case and metric, one per timed call."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Why a score is there or is not.

    OK: scored. DEGENERATE: the map is empty, constant zero or not finite. NOT_APPLICABLE: there is nothing to ask about
    the case: it has no annotated region, say, or a fill takes nothing away. ERROR: the explainer failed; the traceback
    is kept with the cell. SKIPPED: the explainer cannot explain that classifier; the reason is kept with the cell.
    """

    OK = "ok"
    DEGENERATE = "degenerate"
    NOT_APPLICABLE = "not_applicable"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One metric of one case.

    Attributes:
        dataset: Id of the dataset in the suite.
        classifier: Id of the classifier in the suite.
        explainer: Id of the explainer in the suite.
        is_control: Whether the explainer is a control.
        sample_id: Sample.
        target: Index of the output explained.
        target_name: Its name.
        predicted: Index of the output with the highest score.
        correct: Whether the classifier is right about the sample (multilabel: about the target); None for regression.
        metric: Name of the metric.
        score: The score, or None unless the status is OK.
        chance: What an uninformative map scores on this case, or None where undefined.
        status: Why there is or is no score.
    """

    dataset: str
    classifier: str
    explainer: str
    is_control: bool
    sample_id: str
    target: int
    target_name: str
    predicted: int
    correct: bool | None
    metric: str
    score: float | None
    chance: float | None
    status: Status


@dataclass(frozen=True, kw_only=True)
class TimingRow:
    """One timed call of `explain`, beside the classifier's plain forward pass on the same batch.

    Attributes:
        dataset: Id of the dataset in the suite.
        classifier: Id of the classifier in the suite.
        explainer: Id of the explainer in the suite.
        is_control: Whether the explainer is a control.
        batch_size: Images in the call.
        image_size: Height of an image in pixels.
        explain_seconds: Wall-clock seconds of the call, device synchronized.
        forward_seconds: Median wall-clock seconds of the plain forward pass.
        peak_memory_bytes: Peak device memory of the call, or None on a CPU.
        device: Name of the device.
        threads: Threads that torch may use on the CPU.
    """

    dataset: str
    classifier: str
    explainer: str
    is_control: bool
    batch_size: int
    image_size: int
    explain_seconds: float
    forward_seconds: float
    peak_memory_bytes: int | None
    device: str
    threads: int
