"""How the output of a layer becomes feature maps (B, C, H, W)."""

from collections.abc import Collection
from dataclasses import dataclass
from math import ceil, floor, isqrt
from typing import Literal

from torch import Tensor

from ...datasets import InputError

# A class token, a distillation token and a few registers (Darcet et al., ICLR 2024, use up to 16).
_MAX_EXTRA_TOKENS = 17


@dataclass(frozen=True, kw_only=True)
class MapLayout:
    """Where channels and places lie in the output of a layer.

    Attributes:
        kind: ``channels_first`` (B, C, H, W), ``channels_last`` (B, H, W, C) or ``tokens`` (B, N, C), row by row.
        grid: Height and width of the maps of the image that was probed.
        probed: Height and width of that image in pixels.
        extra_tokens: Tokens before those of the image: of the class, of a teacher, registers.
    """

    kind: Literal["channels_first", "channels_last", "tokens"]
    grid: tuple[int, int]
    probed: tuple[int, int]
    extra_tokens: int = 0

    def maps(self, output: Tensor, *, image_size: tuple[int, int]) -> Tensor:
        """Feature maps of a layer's output, or of a gradient with respect to it.

        Args:
            output: As `kind` says.
            image_size: Height and width in pixels of the images that the layer's network was shown.

        Returns:
            (B, C, H, W), a view where that is possible.

        Raises:
            InputError: If the tokens do not form a grid over images of that size.
        """
        if self.kind == "channels_first":
            return output
        if self.kind == "channels_last":
            return output.permute(0, 3, 1, 2)
        height, width = self._grid_of(output.shape[1] - self.extra_tokens, image_size)
        tokens = output[:, self.extra_tokens :]
        return tokens.transpose(1, 2).reshape(len(output), output.shape[2], height, width)

    def _grid_of(self, n_tokens: int, image_size: tuple[int, int]) -> tuple[int, int]:
        rows, columns = (
            image * grid / probed for image, grid, probed in zip(image_size, self.grid, self.probed, strict=True)
        )
        # Networks pad the last patch or drop it.
        for rounded in (ceil, floor):
            if rounded(rows) * rounded(columns) == n_tokens:
                return rounded(rows), rounded(columns)
        raise InputError(
            f"{n_tokens} tokens of an image of {image_size[0]} × {image_size[1]} pixels form no grid; wanted "
            f"{ceil(rows)} × {ceil(columns)}; use images of {self.probed[0]} × {self.probed[1]} pixels"
        )


def layout_of(
    output: Tensor, *, image_size: tuple[int, int], known_grids: Collection[tuple[int, int]] = ()
) -> MapLayout | None:
    """Recognize maps in the output of a layer by their proportions, which are those of the image.

    Args:
        output: What a layer gave for images of that size.
        image_size: Height and width in pixels.
        known_grids: Heights and widths of maps met before in the same pass: the embedding of patches is a convolution
            in most networks of tokens, and tells how many of the tokens are places.

    Returns:
        The layout, or None if these are no maps of at least 2 × 2 places.
    """
    if output.ndim == 4:
        # Channels first where both readings fit (as many channels as columns): nearly all networks are so.
        readings: list[tuple[Literal["channels_first", "channels_last"], tuple[int, int]]] = [
            ("channels_first", (output.shape[2], output.shape[3])),
            ("channels_last", (output.shape[1], output.shape[2])),
        ]
        for kind, grid in readings:
            if _has_proportions(grid, image_size):
                return MapLayout(kind=kind, grid=grid, probed=image_size)
    if output.ndim == 3:
        places = _token_grid(output.shape[1], image_size=image_size, known_grids=known_grids)
        if places is not None:
            extra = output.shape[1] - places[0] * places[1]
            return MapLayout(kind="tokens", grid=places, probed=image_size, extra_tokens=extra)
    return None


def _has_proportions(grid: tuple[int, int], image_size: tuple[int, int]) -> bool:
    return min(grid) >= 2 and grid[0] * image_size[1] == grid[1] * image_size[0]


def _token_grid(
    n_tokens: int, *, image_size: tuple[int, int], known_grids: Collection[tuple[int, int]]
) -> tuple[int, int] | None:
    for grid in sorted(known_grids, reverse=True):
        if 0 <= n_tokens - grid[0] * grid[1] <= _MAX_EXTRA_TOKENS:
            return grid
    # Patches cut without a convolution: a full grid, with or without a class token.
    for n_places in (n_tokens, n_tokens - 1):
        rows = isqrt(n_places * image_size[0] // image_size[1])
        grid = (rows, n_places // max(1, rows))
        if rows * grid[1] == n_places and _has_proportions(grid, image_size):
            return grid
    return None
