"""The tables of the RSNA pneumonia detection challenge, stage 2."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .csv_tables import Row, Table, read_table
from .errors import InputError

LABELS = "stage_2_train_labels.csv"
CLASSES = "stage_2_detailed_class_info.csv"
CLASS_NAMES = ("Normal", "No Lung Opacity / Not Normal", "Lung Opacity")
_BOX_COLUMNS = ("x", "y", "width", "height")


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box around an opacity, in pixels of the image's own size.

    Attributes:
        left: First column.
        top: First row.
        right: Column after the last.
        bottom: Row after the last.
    """

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One patient, who has one image.

    Attributes:
        patient_id: Name of the image's file, without its ending.
        boxes: All boxes; none for a patient without pneumonia.
        class_name: Class of the detailed table, or None where it is not there.
    """

    patient_id: str
    boxes: tuple[Box, ...]
    class_name: str | None

    @property
    def has_pneumonia(self) -> bool:
        """Whether there is a box."""
        return bool(self.boxes)


def read_patients(root: Path) -> tuple[Patient, ...]:
    """Patients in the order in which the table of labels names them first, each with all boxes.

    Args:
        root: Folder with stage_2_train_labels.csv and perhaps stage_2_detailed_class_info.csv.

    Raises:
        InputError: If a table cannot be read or contradicts itself or the other; the message names file and line.
    """
    table = read_table(root / LABELS, required=["patientId", *_BOX_COLUMNS, "Target"])
    rows: dict[str, list[Row]] = {}
    for row in table.rows:
        rows.setdefault(row["patientId"], []).append(row)
    classes = _read_classes(root / CLASSES) if (root / CLASSES).is_file() else None
    return tuple(_patient(table, name, own, classes) for name, own in rows.items())


def boxes_mask(boxes: tuple[Box, ...], *, original_size: tuple[int, int], image_size: int | None, path: Path) -> Tensor:
    """The union of boxes as a region.

    Args:
        boxes: In pixels of the original image.
        original_size: Its height and width.
        image_size: Height and width of the result in pixels, or None for the image's own; resizing takes the nearest
            pixel.
        path: The image, for messages.

    Returns:
        bool (H, W).

    Raises:
        InputError: If a box reaches beyond the image.
    """
    height, width = original_size
    region = np.zeros(original_size, dtype=np.uint8)
    for box in boxes:
        if box.left < 0 or box.top < 0 or box.right > width or box.bottom > height:
            raise InputError(
                f"{path}: the box from ({box.left}, {box.top}) to ({box.right}, {box.bottom}) in {LABELS} lies outside "
                f"of the image of {width}x{height} pixels; correct the row, or take the image at its original size"
            )
        region[box.top : box.bottom, box.left : box.right] = 1
    if image_size is not None:
        region = np.asarray(Image.fromarray(region).resize((image_size, image_size), Image.Resampling.NEAREST))
    return torch.from_numpy(region != 0)


def _patient(table: Table, name: str, rows: list[Row], classes: Mapping[str, str] | None) -> Patient:
    targets = {row["Target"] for row in rows}
    for row in rows:
        if row["Target"] not in ("0", "1"):
            raise InputError(f"{table.path}: line {row.line}: Target is {row['Target']!r}; wanted 0 or 1")
    if len(targets) > 1:
        raise InputError(
            f"{table.path}: patient {name} has Target 0 and 1 on lines {', '.join(str(row.line) for row in rows)}; "
            "wanted one of them"
        )
    boxes: dict[Box, int] = {}
    for row in rows if targets == {"1"} else ():
        box = _box(table, row)
        if box in boxes:
            raise InputError(
                f"{table.path}: line {row.line} repeats line {boxes[box]}, the same box of patient {name}; "
                "remove one of them"
            )
        boxes[box] = row.line
    if targets == {"0"} and len(rows) > 1:
        raise InputError(
            f"{table.path}: line {rows[1].line} repeats line {rows[0].line}, patient {name} without a box; "
            "remove one of them"
        )
    class_name = None
    if classes is not None:
        class_name = classes.get(name)
        if class_name is None:
            raise InputError(f"{table.path.parent / CLASSES}: no row for patient {name} of {LABELS}; add it")
        if (class_name == CLASS_NAMES[2]) != (targets == {"1"}):
            raise InputError(
                f"{table.path.parent / CLASSES}: patient {name} has class {class_name!r}, but Target "
                f"{rows[0]['Target']} on line {rows[0].line} of {LABELS}; correct one of them"
            )
    return Patient(patient_id=name, boxes=tuple(boxes), class_name=class_name)


def _box(table: Table, row: Row) -> Box:
    values = []
    for column in _BOX_COLUMNS:
        try:
            value = float(row[column])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(
                f"{table.path}: line {row.line}: {column} is {row[column]!r}; wanted a number of pixels, "
                "or Target 0 without a box"
            )
        values.append(value)
    x, y, width, height = values
    box = Box(left=round(x), top=round(y), right=round(x + width), bottom=round(y + height))
    if box.right <= box.left or box.bottom <= box.top:
        raise InputError(
            f"{table.path}: line {row.line}: box of width {row['width']} and height {row['height']}; wanted an area"
        )
    return box


def _read_classes(path: Path) -> dict[str, str]:
    table = read_table(path, required=["patientId", "class"])
    classes: dict[str, str] = {}
    for row in table.rows:
        if row["class"] not in CLASS_NAMES:
            raise InputError(f"{path}: line {row.line}: class is {row['class']!r}; wanted {', '.join(CLASS_NAMES)}")
        # The table repeats a patient for every box.
        if classes.setdefault(row["patientId"], row["class"]) != row["class"]:
            raise InputError(
                f"{path}: line {row.line}: patient {row['patientId']} has class {row['class']!r} here and "
                f"{classes[row['patientId']]!r} before; wanted one of them"
            )
    return classes
