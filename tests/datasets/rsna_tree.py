"""A tiny folder in the layout of the RSNA challenge, written with pydicom."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, SecondaryCaptureImageStorage, generate_uid

SIZE = (60, 50)
HEADER = "patientId,x,y,width,height,Target"
# Two boxes, one box, three boxes of which two overlap, and five patients without.
BOXES = {
    "p0": [(5, 10, 12, 20), (30, 12, 14, 25)],
    "p1": [(20, 30, 10, 15)],
    "p2": [(0, 0, 20, 20), (10, 10, 20, 20), (40, 50, 10, 10)],
}
NORMAL = ("n0", "n1", "n2", "n3", "n4")


def grey(seed: int, *, bits: int = 8) -> np.ndarray:
    """A ramp with noise that uses all bits."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 1, SIZE[0] * SIZE[1]).reshape(SIZE) * 0.8 + 0.2 * rng.random(SIZE)
    return (ramp * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def write_dicom(path: Path, pixels: np.ndarray, *, jpeg: bool = False, **elements: Any) -> None:
    """Write a secondary capture; ``elements`` replace or add data elements, None removes one."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.Rows, file.Columns = pixels.shape[:2]
    file.SamplesPerPixel = 1
    file.PhotometricInterpretation = "MONOCHROME2"
    file.BitsAllocated = 8 * pixels.dtype.itemsize
    file.BitsStored = file.BitsAllocated
    file.HighBit = file.BitsStored - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    if jpeg:
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "JPEG", quality=95)
        file.PixelData = encapsulate([content.getvalue()])
    else:
        file.PixelData = pixels.tobytes()
    for name, value in elements.items():
        if value is None:
            delattr(file, name)
        else:
            setattr(file, name, value)
    file.save_as(path, enforce_file_format=True)


def label_lines() -> list[str]:
    """Lines of the table of labels, without the header."""
    lines = [f"{name},,,,,0" for name in NORMAL]
    for name, boxes in BOXES.items():
        lines += [f"{name},{x}.0,{y}.0,{width}.0,{height}.0,1" for x, y, width, height in boxes]
    return lines


def class_lines() -> list[str]:
    """Lines of the table of classes, without the header."""
    lines = [f"{name},{'Normal' if index % 2 else 'No Lung Opacity / Not Normal'}" for index, name in enumerate(NORMAL)]
    for name, boxes in BOXES.items():
        lines += [f"{name},Lung Opacity"] * len(boxes)
    return lines


def write_table(root: Path, lines: list[str]) -> None:
    """Replace the table of labels."""
    (root / "stage_2_train_labels.csv").write_text("\n".join([HEADER, *lines]) + "\n")


def write_classes(root: Path, lines: list[str]) -> None:
    """Replace the table of classes."""
    (root / "stage_2_detailed_class_info.csv").write_text("\n".join(["patientId,class", *lines]) + "\n")


def write_rsna_tree(root: Path) -> Path:
    """Eight patients: JPEG as in the real data, 16 bit, MONOCHROME1, rescaled, and plain."""
    folder = root / "stage_2_train_images"
    folder.mkdir(parents=True)
    for seed, name in enumerate([*BOXES, *NORMAL]):
        path = folder / f"{name}.dcm"
        if name == "p0":
            write_dicom(path, grey(seed), jpeg=True)
        elif name == "p1":
            write_dicom(path, grey(seed, bits=16), PhotometricInterpretation="MONOCHROME1")
        elif name == "p2":
            write_dicom(path, grey(seed, bits=12), BitsStored=12, HighBit=11, RescaleSlope="2", RescaleIntercept="-100")
        else:
            write_dicom(path, grey(seed))
    write_table(root, label_lines())
    write_classes(root, class_lines())
    return root
