"""What removed pixels become while a decoder is trained: a mixture, so that no fill's artifacts are learned."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from ..fills import FillName, filled, mean_color_fill
from ..memory_layout import to_device

RemovalName = FillName | Literal["other"]
"""A named fill, or ``other``: another image of the batch in which the target is weaker.

A fill of no content leaves the classifier with its prior. Where that is the target itself (the class that a classifier
answers for want of evidence) nothing that is removed lowers the score, unless the outline of what is removed draws
something else: a decoder that is taught on such a fill learns to draw. The pixels of another image speak for something
else, and take the place of such a fill wherever ``other`` is among the names.
"""
REMOVALS: tuple[RemovalName, ...] = (*get_args(FillName), "other")


def draw_removals(
    images: Tensor,
    *,
    names: Sequence[RemovalName],
    mean_color: Tensor,
    weaker: Tensor,
    silences: Callable[[Tensor, Tensor], Tensor],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """One fill per image, each name as likely as any other where it takes the target away.

    Args:
        images: (B, C, H, W) in [0, 1].
        names: What removed pixels may become; a name that comes twice is twice as likely.
        mean_color: Colour that the classifier sees as zeros, (1, C, 1, 1) or (1, 1, 1, 1).
        weaker: bool (B, B): whether the target of the row's image is weaker in the column's image. A row without one
            keeps the plain fill that was drawn, and gets the mean colour where ``other`` was.
        silences: Whether the target of each image is weaker in its fill: from fills (N, C, H, W) and the index of each
            image's own among them, int64 (B,), to bool (B,). Asked only where ``other`` is among the names.
        generator: Source of randomness, on the CPU.

    Returns:
        (B, C, H, W) in [0, 1], and int64 (B,), on the images' device: which of the names each image got, ``other`` also
        where it is the mean colour for want of one.
    """
    chosen = torch.randint(len(names), (len(images),), generator=generator)
    partners = draw_partners(weaker, generator)
    seeds = torch.randint(2**31, (len(images),), generator=generator)
    fill = torch.empty_like(images)
    for index, name in enumerate(names):
        rows = torch.nonzero(chosen == index)[:, 0]
        if not len(rows):
            continue
        here = rows.to(images.device)
        plain: FillName = "mean" if name == "other" else name
        fill[here] = filled(images[here], fill=plain, mean_color=mean_color, seeds=seeds[rows].tolist())
    drawn = chosen.to(images.device)
    if "other" not in names:
        return fill, drawn
    is_other = torch.tensor([name == "other" for name in names])[chosen].to(images.device)
    is_mean = torch.tensor([name in ("mean", "other") for name in names])[chosen]
    distinct, own = _distinct(fill, is_mean, mean_color=mean_color)
    paired = (is_other | ~silences(distinct, own)) & weaker.any(dim=1)
    drawn = torch.where(paired, names.index("other"), drawn)
    return torch.where(paired[:, None, None, None], images[partners], fill), drawn


def draw_partners(weaker: Tensor, generator: torch.Generator) -> Tensor:
    """For each image another one in which its target is weaker, any such one as likely, int64 (B,).

    Args:
        weaker: bool (B, B), whether the target of the row's image is weaker in the column's image. A row without one
            gets the first image.
        generator: Source of randomness, on the CPU.
    """
    return (torch.rand(weaker.shape, generator=generator).to(weaker.device) * weaker).argmax(dim=1)


def _distinct(fill: Tensor, is_mean: Tensor, *, mean_color: Tensor) -> tuple[Tensor, Tensor]:
    """Fills (N, C, H, W) to ask the classifier about, and which of them is each image's, int64 (B,).

    All images share the mean colour, also those that wait for another image: a processor asks about it once. A GPU
    prepares its kernels for every number of images that it has not seen, which takes longer than a few images more:
    there, one for each image.
    """
    if fill.device.type == "cuda":
        return fill, torch.arange(len(fill), device=fill.device)
    distinct = torch.cat([mean_color_fill(fill[:1], mean_color), fill[~is_mean]])
    return to_device(distinct, fill.device, learns=False), torch.where(is_mean, 0, (~is_mean).cumsum(dim=0))
