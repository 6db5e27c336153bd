"""The decoder and the choice of a target's channel."""

import pytest
import torch
from torch.nn.functional import interpolate

from xaibench.explainers.nem.decoder import MaskDecoder, select_target


def test_every_row_gets_its_own_channel():
    masks = torch.rand(5, 3, 4, 6)
    targets = torch.tensor([2, 0, 1, 1, 2])
    found = select_target(masks, targets)
    # Not B × B: `masks[:, targets]` would give (5, 5, 4, 6) and train each image on its neighbours' targets.
    assert found.shape == (5, 4, 6)
    for row in range(5):
        assert torch.equal(found[row], masks[row, int(targets[row])])


def test_only_the_chosen_channel_gets_a_gradient():
    masks = torch.rand(3, 4, 2, 2, requires_grad=True)
    targets = torch.tensor([3, 0, 2])
    select_target(masks, targets).sum().backward()
    wanted = torch.zeros(3, 4, 2, 2)
    for row, target in enumerate(targets):
        wanted[row, target] = 1
    assert torch.equal(masks.grad, wanted)


@pytest.mark.parametrize(
    "sizes",
    [[(32, 32), (16, 16), (8, 8)], [(25, 25), (13, 13), (7, 7)], [(9, 31), (5, 11), (1, 3)], [(8, 8), (3, 3)]],
)
def test_it_gives_maps_of_the_finest_features_at_any_size(sizes):
    channels = [4, 6, 8][: len(sizes)]
    decoder = MaskDecoder(channels, 5, widths=(8, 6))
    features = [torch.rand(2, c, *size) for c, size in zip(channels, sizes, strict=True)]
    logits = decoder(features)
    assert logits.shape == (2, 5, *sizes[0])
    assert logits.isfinite().all()


def test_the_number_of_maps_must_be_the_one_it_was_built_for():
    decoder = MaskDecoder([4, 6, 8], 5, widths=(8,))
    with pytest.raises(ValueError, match="zip"):
        decoder([torch.rand(1, c, 16 // c, 16 // c) for c in (2, 4, 6, 8)])


def test_a_stage_may_shrink_channels_before_it_enlarges():
    decoder = MaskDecoder([4, 8], 2, widths=(6,)).eval()
    stage = decoder.stages[0]
    coarse, skip = torch.rand(1, 8, 3, 5), torch.rand(1, 4, 7, 9)
    enlarged_first = stage.from_coarse(interpolate(coarse, size=(7, 9), mode="bilinear", align_corners=False))
    wanted = stage.merge(enlarged_first + stage.from_skip(skip))
    torch.testing.assert_close(stage(coarse, skip), wanted, atol=1e-5, rtol=1e-4)


def test_widths_serve_from_coarse_to_fine():
    decoder = MaskDecoder([4, 6, 8, 10], 2, widths=(12, 7))
    assert [stage.from_skip.out_channels for stage in decoder.stages] == [12, 7, 7]
    assert [stage.from_skip.in_channels for stage in decoder.stages] == [8, 6, 4]
    assert decoder.head.in_channels == 7
