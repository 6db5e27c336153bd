"""The decoder: one channel for each target, of which only the one asked for is computed."""

from copy import deepcopy

import pytest
import torch
from torch.nn.functional import conv2d, interpolate

from xaibench.explainers.nem.decoder import MaskDecoder

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def features_of(n: int, *, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(n, c, side, side + 2, generator=generator) for c, side in ((4, 8), (6, 4))]


def test_every_row_gets_its_own_channel():
    decoder = MaskDecoder([4, 6], 3, widths=(8,), finest_convolutions=1).eval()
    features, targets = features_of(5), torch.tensor([2, 0, 1, 1, 2])
    found = decoder(features, targets)
    # Not B × B: indexing a batch of channels with `[:, targets]` would train each image on its neighbours' targets.
    assert found.shape == (5, 8, 10)
    for row, target in enumerate(targets):
        alone = decoder([maps[row : row + 1] for maps in features], target[None])
        torch.testing.assert_close(found[row], alone[0], atol=1e-6, rtol=1e-5)


def test_it_is_a_one_by_one_convolution_of_which_one_channel_is_computed():
    decoder = MaskDecoder([4, 6], 7, widths=(8,), finest_convolutions=1).eval()
    torch.nn.init.normal_(decoder.head.bias)
    features, targets = features_of(3), torch.tensor([6, 0, 3])
    merged = decoder.stages[0](features[1], features[0])
    every = conv2d(merged, decoder.head.weight[:, :, None, None], decoder.head.bias)
    wanted = torch.stack([every[row, target] for row, target in enumerate(targets.tolist())])
    torch.testing.assert_close(decoder(features, targets), wanted, atol=1e-5, rtol=1e-4)


def test_only_the_chosen_target_gets_a_gradient():
    decoder = MaskDecoder([4, 6], 5, widths=(8,), finest_convolutions=1)
    decoder(features_of(2), torch.tensor([3, 1])).square().sum().backward()
    moved = decoder.head.weight.grad.abs().sum(dim=1) > 0
    assert moved.tolist() == [False, True, False, True, False]


def test_memory_does_not_grow_with_the_number_of_outputs():
    def saved_bytes(n_outputs: int) -> int:
        decoder, total = MaskDecoder([4, 6], n_outputs, widths=(8,), finest_convolutions=1), 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal total
            total += tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            decoder(features_of(4), torch.zeros(4, dtype=torch.int64)).sum()
        return total

    assert saved_bytes(1000) < 1.2 * saved_bytes(7)


@pytest.mark.parametrize(
    "sizes",
    [[(32, 32), (16, 16), (8, 8)], [(25, 25), (13, 13), (7, 7)], [(9, 31), (5, 11), (1, 3)], [(8, 8), (3, 3)]],
)
def test_it_gives_maps_of_the_finest_features_at_any_size(sizes):
    channels = [4, 6, 8][: len(sizes)]
    decoder = MaskDecoder(channels, 5, widths=(8, 6), finest_convolutions=1)
    features = [torch.rand(2, c, *size) for c, size in zip(channels, sizes, strict=True)]
    logits = decoder(features, torch.tensor([4, 0]))
    assert logits.shape == (2, *sizes[0])
    assert logits.isfinite().all()


def test_the_number_of_maps_must_be_the_one_it_was_built_for():
    decoder = MaskDecoder([4, 6, 8], 5, widths=(8,), finest_convolutions=1)
    with pytest.raises(ValueError, match="zip"):
        decoder([torch.rand(1, c, 16 // c, 16 // c) for c in (2, 4, 6, 8)], torch.zeros(1, dtype=torch.int64))


def test_a_stage_may_shrink_channels_before_it_enlarges():
    decoder = MaskDecoder([4, 8], 2, widths=(6,), finest_convolutions=1).eval()
    stage = decoder.stages[0]
    coarse, skip = torch.rand(1, 8, 3, 5), torch.rand(1, 4, 7, 9)
    enlarged_first = stage.from_coarse(interpolate(coarse, size=(7, 9), mode="bilinear", align_corners=False))
    wanted = stage.merge(enlarged_first + stage.from_skip(skip))
    torch.testing.assert_close(stage(coarse, skip), wanted, atol=1e-5, rtol=1e-4)


def test_widths_serve_from_coarse_to_fine():
    decoder = MaskDecoder([4, 6, 8, 10], 2, widths=(12, 7), finest_convolutions=1)
    assert [stage.from_skip.out_channels for stage in decoder.stages] == [12, 7, 7]
    assert [stage.from_skip.in_channels for stage in decoder.stages] == [8, 6, 4]
    assert decoder.head.in_features == 7


@pytest.mark.parametrize("finest", [1, 2])
def test_the_finest_stage_has_convolutions_of_its_own(finest):
    decoder = MaskDecoder([4, 6, 8, 10], 2, widths=(8,), finest_convolutions=finest)
    counts = [sum(isinstance(layer, torch.nn.Conv2d) for layer in stage.merge) for stage in decoder.stages]
    assert counts == [2, 2, finest]


def folded_pair(widths: tuple[int, ...]) -> tuple[MaskDecoder, MaskDecoder]:
    """A decoder whose norms have statistics, and the same one with folded norms."""
    torch.manual_seed(0)
    decoder = MaskDecoder([4, 6, 8], 5, widths=widths, finest_convolutions=1)
    features = [torch.randn(4, channels, side, side) for channels, side in ((4, 12), (6, 6), (8, 3))]
    for _ in range(3):
        decoder([3 * maps + 1 for maps in features], torch.tensor([0, 4, 2, 1]))
    for module in decoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.bias)
    folded = deepcopy(decoder.eval())
    folded.fold_norms()
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in folded.modules())
    return decoder, folded


def tokens_as_maps(maps: torch.Tensor) -> torch.Tensor:
    """The same values as views of tokens (B, N, C) behind a class token, which transformers give."""
    tokens = torch.cat([torch.ones(len(maps), 1, maps.shape[1]), maps.flatten(2).transpose(1, 2)], dim=1)
    return tokens[:, 1:].transpose(1, 2).unflatten(2, maps.shape[2:])


LAYOUTS = {
    "channels first": lambda maps: maps.clone(),
    "channels last": lambda maps: maps.clone(memory_format=torch.channels_last),
    "tokens": tokens_as_maps,
}


@pytest.mark.usefixtures("exact_arithmetic")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n_images", [1, 4])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sizes", [[(12, 12), (6, 6), (3, 3)], [(9, 31), (5, 11), (1, 3)], [(7, 7), (7, 7), (1, 1)]])
@pytest.mark.parametrize("widths", [(8, 6), (1,)])
@torch.no_grad()
def test_folded_norms_change_last_digits_alone(widths, sizes, layout, n_images, device):
    decoder, folded = folded_pair(widths)
    decoder, folded = decoder.to(device), folded.to(device).to(memory_format=torch.channels_last)
    given = [torch.randn(n_images, channels, *size) for channels, size in zip((4, 6, 8), sizes, strict=True)]
    features = [LAYOUTS[layout](maps).to(device) for maps in given]
    targets = torch.tensor([0, 4, 2, 1], device=device)[:n_images]
    found = folded(features, targets)
    assert found.shape == (n_images, *sizes[0])
    wanted = decoder([maps.to(device) for maps in given], targets)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    # They are the classifier's, and others read them as well.
    assert all(torch.equal(maps.cpu(), before) for maps, before in zip(features, given, strict=True))


@pytest.mark.parametrize("device", DEVICES)
@torch.no_grad()
def test_autocast_does_not_touch_a_folded_decoder(device):
    folded = folded_pair((8, 6))[1].to(device)
    features = [torch.randn(2, channels, side, side, device=device) for channels, side in ((4, 12), (6, 6), (8, 3))]
    targets = torch.tensor([3, 0], device=device)
    wanted = folded.stages[0](features[2], features[1])
    with torch.autocast(device, dtype=torch.bfloat16):
        assert torch.equal(folded.stages[0](features[2], features[1]), wanted)
        # What autocast has made of the maps before they come here is as welcome.
        halved = folded([maps.bfloat16() for maps in features], targets)
    torch.testing.assert_close(halved.float(), folded(features, targets), atol=0.1, rtol=0.1)
