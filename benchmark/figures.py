"""Pictures of explanations."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from ..datasets import InputError
from ..explainers import write_atomically

_COLORS = "inferno"


def draw_explanation(image: Tensor, prepared_map: Tensor, *, title: str, subtitle: str) -> Figure:
    """The original beside an overlay.

    Args:
        image: float32 (C, H, W) in [0, 1].
        prepared_map: float32 (H, W) in [0, 1].
        title: Above the original.
        subtitle: Above the overlay.
    """
    figure = Figure(figsize=(7.2, 3.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.imshow(rgb_pixels(image))
    left.set_title(title, fontsize=10)
    right.imshow(overlay(image, prepared_map))
    right.set_title(subtitle, fontsize=10)
    for axes in (left, right):
        axes.set_axis_off()
    return figure


def draw_gallery(
    images: Sequence[Tensor],
    maps: Mapping[str, Sequence[Tensor]],
    *,
    titles: Sequence[str],
    gt_masks: Sequence[Tensor | None],
) -> Figure:
    """A row per image, a column per explainer; annotated regions are outlined.

    Args:
        images: float32 (C, H, W) each.
        maps: Per explainer, a prepared map (H, W) per image.
        titles: Left of each row.
        gt_masks: bool (H, W) or None per image.
    """
    n_rows, n_columns = len(images), len(maps) + 1
    figure = Figure(figsize=(1.35 * n_columns, 1.35 * n_rows + 0.35), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    grid: Any = figure.subplots(n_rows, n_columns, squeeze=False)
    for row, image in enumerate(images):
        cells = [rgb_pixels(image), *(overlay(image, maps[name][row]) for name in maps)]
        for column, (pixels, name) in enumerate(zip(cells, ["image", *maps], strict=True)):
            axes = grid[row, column]
            axes.imshow(pixels)
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
            mask = gt_masks[row]
            if mask is not None:
                axes.contour(mask.numpy(), levels=[0.5], colors="#2bd9c5", linewidths=0.8)
            if row == 0:
                axes.set_title(name.replace("_", " "), fontsize=7)
        grid[row, 0].set_ylabel(titles[row], fontsize=7)
    return figure


def overlay(image: Tensor, prepared_map: Tensor) -> NDArray[np.float32]:
    """A grey version of the image, coloured where the map is high: float32 (H, W, 3) in [0, 1]."""
    values = prepared_map.numpy()
    grey = np.repeat(rgb_pixels(image).mean(axis=2, keepdims=True), 3, axis=2)
    colored = colormaps[_COLORS](values)[..., :3]
    # Half-transparent where the map is low, so that the image stays readable under an empty map.
    opacity = 0.15 + 0.75 * np.sqrt(values)[..., None]
    blended: NDArray[np.float32] = ((1 - opacity) * grey + opacity * colored).astype(np.float32)
    return blended


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture, whole or not at all.

    Raises:
        InputError: If the file type is unknown or the folder cannot be written.
    """
    kind = path.suffix.lstrip(".").lower()
    if kind not in ("png", "pdf", "svg"):
        raise InputError(f"cannot draw {path.name!r}; wanted a name that ends in .png, .pdf or .svg")
    content = io.BytesIO()
    figure.savefig(content, format=kind)
    write_atomically(path, content.getvalue())


def rgb_pixels(image: Tensor) -> NDArray[np.float32]:
    """An image (C, H, W) of one or three channels as float32 (H, W, 3)."""
    array: NDArray[np.float32] = image.permute(1, 2, 0).numpy()
    return np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array
