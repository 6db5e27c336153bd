"""labels.csv: what a user writes about the images of a folder."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .catalog import closest_match
from .csv_tables import Row, Table
from .errors import InputError
from .sample import Task

NAME_COLUMN = "name"
SPLIT_COLUMN = "split"
_SEPARATOR = ";"


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What a table of labels says, row by row.

    Attributes:
        output_names: Names of the K outputs.
        outputs: float32 (N, K): one-hot, multi-hot or values.
        strata: Per row, what is to be spread evenly over splits.
    """

    output_names: tuple[str, ...]
    outputs: Tensor
    strata: tuple[str, ...]


def read_labels(
    table: Table,
    *,
    task: Task,
    output_names: Sequence[str] | None,
    label_map: Mapping[str, str],
    other_columns: Sequence[str],
) -> Labels:
    """Turn the text of a table into outputs.

    Args:
        table: Rows with a column ``label`` (multiclass), ``labels`` with names between semicolons or one column of 0
            and 1 per output (multilabel), or one column of numbers per output (regression).
        task: What the outputs mean.
        output_names: The outputs in order, or None for those in the table: labels sorted, columns in their order.
        label_map: Output of a label, for labels that are not called as their output; not used for columns.
        other_columns: Columns that are no outputs.

    Raises:
        InputError: With line, what was found and what was wanted.
    """
    if task is Task.MULTICLASS:
        table.require([NAME_COLUMN, "label"])
        lists = [[_mapped(row["label"], label_map)] for row in table.rows]
        return _from_names(table, lists, output_names, column="label")
    if task is Task.MULTILABEL and "labels" in table.columns:
        lists = [
            [_mapped(label.strip(), label_map) for label in row["labels"].split(_SEPARATOR) if label.strip()]
            for row in table.rows
        ]
        return _from_names(table, lists, output_names, column="labels")
    return _from_columns(table, task, output_names, other_columns)


def _mapped(label: str, label_map: Mapping[str, str]) -> str:
    return label_map.get(label, label)


def _from_names(
    table: Table, lists: Sequence[Sequence[str]], output_names: Sequence[str] | None, *, column: str
) -> Labels:
    names = (
        tuple(output_names) if output_names is not None else tuple(sorted({name for names in lists for name in names}))
    )
    outputs = torch.zeros((len(lists), len(names)))
    for index, (row, present) in enumerate(zip(table.rows, lists, strict=True)):
        for name in present:
            if not name:
                raise InputError(f"{table.path}: line {row.line}: {column} is empty; wanted one of {', '.join(names)}")
            if name not in names:
                raise InputError(
                    f"{table.path}: line {row.line}: unknown label {name!r}; {closest_match(name, list(names))}; "
                    "correct it, or add it to output_names or label_map"
                )
            outputs[index, names.index(name)] = 1.0
    return Labels(output_names=names, outputs=outputs, strata=tuple(_SEPARATOR.join(sorted(names)) for names in lists))


def _from_columns(table: Table, task: Task, output_names: Sequence[str] | None, other_columns: Sequence[str]) -> Labels:
    names = tuple(output_names) if output_names is not None else ()
    if output_names is None:
        names = tuple(column for column in table.columns if column not in other_columns)
    if not names:
        wanted = "labels, or one column of 0 and 1 per output" if task is Task.MULTILABEL else "one column per output"
        raise InputError(f"{table.path}: found columns {', '.join(table.columns)}; wanted also {wanted}")
    table.require([NAME_COLUMN, *names])
    values = [[_number(table, row, name, task) for name in names] for row in table.rows]
    strata = tuple(
        _SEPARATOR.join(name for name, value in zip(names, row, strict=True) if value)
        if task is Task.MULTILABEL
        else ""
        for row in values
    )
    return Labels(output_names=names, outputs=torch.tensor(values, dtype=torch.float32), strata=strata)


def _number(table: Table, row: Row, column: str, task: Task) -> float:
    wanted = "0 or 1" if task is Task.MULTILABEL else "a finite number"
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (task is Task.MULTILABEL and value not in (0.0, 1.0)):
        raise InputError(f"{table.path}: line {row.line}: {column} is {row[column]!r}; wanted {wanted}")
    return value
