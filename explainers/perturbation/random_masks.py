"""Random masks as of RISE: coarse random grids, enlarged and shifted."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..pass_size import PassSize


@dataclass(frozen=True, kw_only=True)
class RandomMasks:
    """N soft masks of one image size, drawn at once and enlarged a few at a time.

    Attributes:
        cells: float32 (N, g, g) of 0 and 1, on the CPU.
        shifts: int64 (N, 2), rows and columns, less than a cell.
        size: Height and width of the masks in pixels.

    References:
        Petsiuk, Das, Saenko, BMVC 2018, section 3.2.
    """

    cells: Tensor
    shifts: Tensor
    size: tuple[int, int]

    @classmethod
    def draw(
        cls, n_masks: int, size: tuple[int, int], *, grid: int, keep_probability: float, generator: torch.Generator
    ) -> "RandomMasks":
        """Draw masks.

        Args:
            n_masks: How many.
            size: Height and width in pixels.
            grid: Cells per side that an image sees.
            keep_probability: Of a cell being 1.
            generator: On the CPU, so that masks are the same on every device.
        """
        cells = torch.rand(n_masks, grid, grid, generator=generator) < keep_probability
        cell_sizes = [ceil(side / grid) for side in size]
        shifts = torch.stack([torch.randint(cell, (n_masks,), generator=generator) for cell in cell_sizes], dim=1)
        return cls(cells=cells.float(), shifts=shifts, size=size)

    def __len__(self) -> int:
        return len(self.cells)

    def enlarged(self, part: slice, *, device: torch.device) -> Tensor:
        """Masks of a part, float32 (n, H, W) in [0, 1]: enlarged by one cell more than the image, then cropped."""
        height, width = self.size
        grid = self.cells.shape[-1]
        enlarged_size = [(grid + 1) * ceil(side / grid) for side in self.size]
        cells = self.cells[part].to(device)
        enlarged = interpolate(cells[:, None], size=enlarged_size, mode="bilinear", align_corners=False)[:, 0]
        shifts = self.shifts[part].tolist()
        return torch.stack(
            [mask[top : top + height, left : left + width] for mask, (top, left) in zip(enlarged, shifts, strict=True)]
        )


@torch.no_grad()
def mask_moments(
    image: Tensor, masks: RandomMasks, *, fill: Tensor, respond: Callable[[Tensor], Tensor], passes: PassSize
) -> Tensor:
    """Sums over masks M of M, rM and r²M, where r is the response to the masked image.

    Args:
        image: float32 (C, H, W).
        masks: N masks.
        fill: float32 (C, H, W): what is seen where a mask is 0.
        respond: Masked images (n, C, H, W) to responses (n,).
        passes: Bounds the masked images per pass.

    Returns:
        float64 (3, H, W), each divided by N.
    """

    def of_part(part: slice) -> Tensor:
        soft = masks.enlarged(part, device=image.device)
        responses = respond(fill + (image - fill) * soft[:, None]).double()
        powers = torch.stack([torch.ones_like(responses), responses, responses.square()])
        return torch.einsum("pn,nhw->phw", powers, soft.double())

    return torch.stack(passes.in_parts(of_part, total=len(masks))).sum(dim=0) / len(masks)
