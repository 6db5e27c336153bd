"""Is a dataset what its folder promises? Every sample is read, and what is wrong is counted."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, cast

import torch
from torch.utils.data import DataLoader

from .dataset import Dataset
from .errors import InputError
from .sample import DatasetInfo, Sample, Task


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found in a dataset.

    Attributes:
        info: What the dataset says of itself.
        n_samples: Samples that were looked at.
        n_annotated: Samples with a region for at least one output.
        problems: One line each: unreadable files, and regions that are missing where others of the label have one.
        remarks: One line each: what may be right but is worth knowing.
        balance: Per output how many samples have it; regression: smallest, mean and largest value.
    """

    info: DatasetInfo
    n_samples: int
    n_annotated: int
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    balance: tuple[str, ...]


def verify_dataset(dataset: Dataset, *, limit: int | None = None, workers: int = 0) -> Verification:
    """Read every sample of a dataset.

    Args:
        dataset: What to read.
        limit: Samples at most, the first ones; None for all.
        workers: Processes that read; 0 reads in this one.
    """
    total = len(dataset) if limit is None else min(limit, len(dataset))
    tally = _Tally(info=dataset.info)
    for outcome in _outcomes(dataset, total=total, workers=workers):
        tally.add(outcome)
    return tally.result(n_samples=total)


@dataclass(kw_only=True)
class _Tally:
    info: DatasetInfo
    unreadable: list[str] = field(default_factory=list)
    outputs: list[torch.Tensor] = field(default_factory=list)
    present: Counter[int] = field(default_factory=Counter)
    without_region: dict[int, list[str]] = field(default_factory=dict)
    n_annotated: int = 0
    full: list[str] = field(default_factory=list)
    constant: list[str] = field(default_factory=list)
    first_of: dict[bytes, str] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)

    def add(self, outcome: Sample | str) -> None:
        if isinstance(outcome, str):
            self.unreadable.append(outcome)
            return
        name, masks = outcome.sample_id, outcome.gt_masks
        self.outputs.append(outcome.outputs)
        regions = None if masks is None else masks.flatten(1).any(dim=1)
        self.n_annotated += regions is not None and bool(regions.any())
        if masks is not None and bool(masks.flatten(1).all(dim=1).any()):
            self.full.append(name)
        if self.info.task is not Task.REGRESSION:
            for output in torch.nonzero(outcome.outputs > 0.5).flatten().tolist():
                self.present[output] += 1
                if regions is not None and not bool(regions[output]):
                    self.without_region.setdefault(output, []).append(name)
        if float(outcome.image.min()) == float(outcome.image.max()):
            self.constant.append(name)
        digest = blake2b(outcome.image.numpy().tobytes(), digest_size=16).digest()
        if digest in self.first_of:
            self.repeated.append(f"{name} = {self.first_of[digest]}")
        else:
            self.first_of[digest] = name

    def result(self, *, n_samples: int) -> Verification:
        problems = list(self.unreadable)
        for output, names in self.without_region.items():
            # A label that never has a region (no finding, say) is not meant to have one.
            if len(names) < self.present[output]:
                label = self.info.output_names[output]
                problems.append(
                    f"{len(names)} of {self.present[output]} images of {label!r} have an empty region: {_some(names)}"
                )
        remarks = list(self.info.notes)
        for names, what in (
            (self.full, "have a region that covers the whole image"),
            (self.constant, "have one value everywhere"),
            (self.repeated, "are pixel by pixel equal to an earlier one"),
        ):
            if names:
                remarks.append(f"{len(names)} images {what}: {_some(names)}")
        return Verification(
            info=self.info,
            n_samples=n_samples,
            n_annotated=self.n_annotated,
            problems=tuple(problems),
            remarks=tuple(remarks),
            balance=self._balance(),
        )

    def _balance(self) -> tuple[str, ...]:
        if not self.outputs:
            return ()
        outputs = torch.stack(self.outputs)
        if self.info.task is Task.REGRESSION:
            return tuple(
                f"{name} {float(values.min()):.3g} to {float(values.max()):.3g}, mean {float(values.mean()):.3g}"
                for name, values in zip(self.info.output_names, outputs.T, strict=True)
            )
        return tuple(
            f"{name} {int(count)} ({float(count) / len(outputs):.1%})"
            for name, count in zip(self.info.output_names, outputs.sum(dim=0), strict=True)
        )


class _Outcomes:
    """A map-style dataset of torch whose items never raise for wrong files."""

    def __init__(self, dataset: Dataset, total: int) -> None:
        self._dataset, self._total = dataset, total

    def __len__(self) -> int:
        return self._total

    def __getitem__(self, index: int) -> Sample | str:
        try:
            return self._dataset[index]
        except InputError as error:
            return str(error)


def _outcomes(dataset: Dataset, *, total: int, workers: int) -> Iterator[Sample | str]:
    loader: DataLoader[Any] = DataLoader(
        cast(Any, _Outcomes(dataset, total)),
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
        # Without one, a seed is drawn from the global random state.
        generator=torch.Generator(),
    )
    yield from loader


def _as_it_is(outcome: Any) -> Any:
    return outcome


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
