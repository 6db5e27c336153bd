"""Smooth regions at random places."""

import pytest
import torch

from xaibench.explainers.blobs import blobs, draw_blob_fields


@pytest.mark.parametrize("size", [(20, 20), (7, 33)])
def test_regions_cover_their_share(size):
    shares = torch.tensor([0.0, 0.1, 0.5, 0.99])
    regions = blobs(draw_blob_fields(4), shares=shares, size=size)
    assert regions.shape == (4, 1, *size)
    n_pixels = size[0] * size[1]
    covered = regions.flatten(1).sum(dim=1).tolist()
    assert covered == [1 + int(share * n_pixels) for share in shares]


def test_regions_are_smooth():
    regions = blobs(
        draw_blob_fields(20, generator=torch.Generator().manual_seed(0)), shares=torch.full((20,), 0.5), size=(40, 40)
    )
    borders = (regions.diff(dim=-1) != 0).float().mean()
    assert 0 < float(borders) < 0.1  # single pixels that were drawn would have one in two places


def test_the_generator_decides():
    fields = [draw_blob_fields(3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(fields[0], fields[1])
    assert not torch.equal(fields[0], fields[2])
