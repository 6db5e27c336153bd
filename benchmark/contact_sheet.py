"""A picture of a dataset: some images with their labels, regions outlined."""

import math
from typing import Any

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from ..datasets import Dataset, InputError, Sample, Task
from .figures import rgb_pixels

_OUTLINES = ("#2bd9c5", "#ffb000", "#fe6100", "#dc267f", "#785ef0", "#a6e22e")


def contact_sheet(dataset: Dataset, *, n_images: int, columns: int) -> Figure:
    """Draw images that are spread evenly over a dataset.

    Args:
        dataset: Whose images.
        n_images: Images to draw; fewer where there are fewer.
        columns: Images in a row.

    Raises:
        InputError: If an image cannot be read.
    """
    number = min(n_images, len(dataset))
    if number < 1:
        raise InputError(f"{dataset.info.name} has no image to draw; wanted at least one")
    indices = [place * len(dataset) // number for place in range(number)]
    samples = [dataset[index] for index in indices]
    columns = min(columns, number)
    rows = math.ceil(number / columns)
    figure = Figure(figsize=(1.6 * columns, 1.78 * rows), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    grid: Any = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, sample in zip(grid.flat, samples, strict=False):
        axes.imshow(rgb_pixels(sample.image), vmin=0.0, vmax=1.0, interpolation="nearest")
        axes.set_title(_title(sample, dataset.info.output_names, dataset.info.task), fontsize=6)
        for output, mask in _regions(sample).items():
            color = _OUTLINES[output % len(_OUTLINES)]
            axes.contour(mask.numpy(), levels=[0.5], colors=color, linewidths=0.8)
    return figure


def _regions(sample: Sample) -> dict[int, Tensor]:
    # By output. A region that outputs share is drawn once; one that covers everything has no outline.
    regions: dict[int, Tensor] = {}
    for output, mask in enumerate([] if sample.gt_masks is None else sample.gt_masks):
        has_outline = bool(mask.any()) and not bool(mask.all())
        if has_outline and not any(torch.equal(mask, seen) for seen in regions.values()):
            regions[output] = mask
    return regions


def _title(sample: Sample, names: tuple[str, ...], task: Task) -> str:
    if task is Task.REGRESSION:
        text = ", ".join(f"{name} {float(value):.2f}" for name, value in zip(names, sample.outputs, strict=True))
    else:
        text = ", ".join(name for name, value in zip(names, sample.outputs, strict=True) if value > 0.5) or "none"
    return text if len(text) <= 34 else f"{text[:31]}..."
