"""Layers that a decoder can read, found in networks of others."""

from typing import Any

import pytest
import timm
import torch
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from xaibench.datasets import InputError
from xaibench.explainers import Classifier
from xaibench.explainers.classifiers.classifier import capture_outputs
from xaibench.explainers.classifiers.feature_layers import find_feature_layers


def probe(model: str, side: int = 64) -> list[tuple[str, tuple[int, ...]]]:
    module = timm.create_model(model, pretrained=False, num_classes=2)
    classifier = Classifier(module, task="multiclass", output_names=["a", "b"], image_size=side)
    features = classifier.features(torch.rand(2, 3, side, side))
    return [(name, tuple(maps.shape[1:])) for name, maps in zip(classifier.feature_layers, features, strict=True)]


def test_resnet18():
    assert probe("resnet18") == [
        ("act1", (64, 32, 32)),
        ("layer1", (64, 16, 16)),
        ("layer2", (128, 8, 8)),
        ("layer3", (256, 4, 4)),
        ("layer4", (512, 2, 2)),
    ]


def test_efficientnet_lite0():
    # The ends of stages; the next ones begin by widening them to 96, 144, 240 and 672 channels.
    assert probe("tf_efficientnet_lite0") == [
        ("blocks.0", (16, 32, 32)),
        ("blocks.1", (24, 16, 16)),
        ("blocks.2", (40, 8, 8)),
        ("blocks.4", (112, 4, 4)),
        ("bn2", (1280, 2, 2)),
    ]


def test_convnext():
    found = probe("convnext_atto")
    assert [shape[1:] for _, shape in found] == [(16, 16), (8, 8), (4, 4), (2, 2)]
    assert found[-1] == ("stages", (320, 2, 2))


def test_resnet50():
    # Bottlenecks narrow what they get: the ends of stages have 256, 512 and 1024 channels.
    assert probe("resnet50") == [
        ("act1", (64, 32, 32)),
        ("layer2.0.act1", (128, 16, 16)),
        ("layer3.0.act1", (256, 8, 8)),
        ("layer4.0.act1", (512, 4, 4)),
        ("layer4", (2048, 2, 2)),
    ]


def test_blocks_of_a_vision_transformer_at_four_depths():
    # The last block's image tokens do not reach the class token that is read.
    assert probe("vit_tiny_patch16_224", side=224) == [(f"blocks.{i}", (192, 14, 14)) for i in (2, 5, 7, 10)]


def tiny_vit(**params: Any) -> VisionTransformer:
    settings = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 5, "num_heads": 2, "num_classes": 2}
    return VisionTransformer(**{**settings, "dynamic_img_size": True, "dynamic_img_pad": True, **params})


def wrap(module: nn.Module, **params: Any) -> Classifier:
    return Classifier(module, task="multiclass", output_names=["a", "b"], **{"image_size": 32, **params})


@pytest.mark.parametrize("extra", [{}, {"reg_tokens": 4}, {"class_token": False, "global_pool": "avg"}])
def test_tokens_become_maps_without_those_of_class_and_registers(extra):
    classifier = wrap(tiny_vit(**extra))
    images = torch.rand(2, 3, 32, 32)
    module, layer = classifier.module, classifier.feature_layers[0]
    classifier.features(images)  # the layouts are found by a pass of their own
    captured: dict[str, Tensor] = {}
    with capture_outputs(module, [layer], into=captured):
        maps = classifier.features(images)[0]
    tokens = captured[layer]
    assert maps.shape == (2, 16, 4, 4)
    for row in range(4):
        for column in range(4):
            place = module.num_prefix_tokens + 4 * row + column
            assert torch.equal(maps[:, :, row, column], tokens[:, place])


def test_where_tokens_are_averaged_the_last_block_counts():
    read_from_class = wrap(tiny_vit()).feature_layers
    averaged = wrap(tiny_vit(class_token=False, global_pool="avg")).feature_layers
    assert read_from_class == ("blocks.0", "blocks.1", "blocks.2", "blocks.3")
    assert averaged == ("blocks.0", "blocks.1", "blocks.3", "blocks.4")


def test_a_head_of_zeros_hides_no_block():
    module = tiny_vit()
    nn.init.zeros_(module.head.weight)
    assert wrap(module).feature_layers[-1] == "blocks.4"


@pytest.mark.parametrize(("size", "grid"), [((64, 64), (8, 8)), ((40, 72), (5, 9)), ((50, 33), (7, 5))])
def test_a_vision_transformer_takes_images_of_other_sizes(size, grid):
    maps = wrap(tiny_vit()).features(torch.rand(1, 3, *size))
    assert {tuple(one.shape[-2:]) for one in maps} == {grid}


def test_channels_last_inside_channels_first_outside():
    module = SwinTransformer(
        img_size=32, patch_size=2, window_size=4, embed_dim=8, depths=(1, 1), num_heads=(1, 1), num_classes=2
    )
    classifier = wrap(module)
    images = torch.rand(2, 3, 32, 32)
    assert [tuple(maps.shape) for maps in classifier.features(images)] == [(2, 8, 16, 16), (2, 16, 8, 8)]
    captured: dict[str, Tensor] = {}
    with capture_outputs(module, ["norm"], into=captured):
        maps = classifier.features(images)[-1]
    assert torch.equal(maps, captured["norm"].permute(0, 3, 1, 2))


class Cut(nn.Module):
    """Patches cut without a convolution, two blocks, the mean of all tokens."""

    def __init__(self, *, class_token: bool) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.ones(1, 1, 6)) if class_token else None
        self.embed = nn.Linear(3 * 16, 6)
        self.blocks = nn.Sequential(*(nn.Sequential(nn.Linear(6, 6), nn.Tanh()) for _ in range(2)))
        self.head = nn.Linear(6, 2)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.embed(nn.functional.unfold(images, 4, stride=4).transpose(1, 2))
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(len(images), 1, 6), tokens], dim=1)
        return self.head(self.blocks(tokens).mean(dim=1))


@pytest.mark.parametrize("class_token", [False, True])
def test_patches_may_be_cut_without_a_convolution(class_token):
    classifier = wrap(Cut(class_token=class_token), image_size=16)
    assert [tuple(maps.shape) for maps in classifier.features(torch.rand(2, 3, 16, 16))] == [(2, 6, 4, 4)] * 2
    assert classifier.features(torch.rand(2, 3, 8, 32))[0].shape == (2, 6, 2, 8)


def test_tokens_that_form_no_grid_are_refused():
    class Drops(Cut):
        def forward(self, images: Tensor) -> Tensor:
            tokens = self.embed(nn.functional.unfold(images, 4, stride=4).transpose(1, 2))
            kept = tokens if images.shape[-1] == 16 else tokens[:, :-3]
            return self.head(self.blocks(kept).mean(dim=1))

    classifier = wrap(Drops(class_token=False), image_size=16)
    with pytest.raises(InputError, match=r"61 tokens .* 32 × 32 pixels form no grid; wanted 8 × 8; use images of 16"):
        classifier.features(torch.rand(1, 3, 32, 32))


def test_a_network_without_maps_is_refused():
    with pytest.raises(InputError, match=r"0 resolution.* and 0 blocks.*name feature_layers yourself"):
        _ = wrap(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2))).feature_layers


def test_layers_without_maps_are_refused():
    classifier = wrap(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(2)), feature_layers=["0", "2"])
    classifier(torch.rand(1, 3, 32, 32))
    with pytest.raises(InputError, match=r"layer '2' gives no feature maps .* 32 × 32 pixels; name other"):
        classifier.features(torch.rand(1, 3, 32, 32))


class Tables(nn.Module):
    """Computes a table of positions, once for all images, that looks like a map."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 4, 3, padding=1)
        self.table = nn.Linear(2, 3)
        self.coarse = nn.Conv2d(4, 6, 3, stride=2, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.fine(images)
        self.table(torch.zeros(1, 7, 7, 2))
        return self.coarse(fine).mean(dim=(2, 3))


def test_what_has_not_the_batch_size_is_no_map():
    assert find_feature_layers(Tables(), torch.zeros(2, 3, 16, 16)) == ("fine", "coarse")


class Tricky(nn.Module):
    """Attention, a finer side branch after a stride, tuples, an unused layer, 1 × 1 maps."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 4, 3, padding=1)
        self.coarse = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.late_and_fine = nn.Conv2d(4, 5, 1)
        self.attention = nn.Softmax(dim=-1)
        self.unused = nn.Conv2d(3, 3, 1)
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.as_it_is = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        fine = self.fine(images)
        coarse = self.coarse(fine)
        self.late_and_fine(fine)
        self.attention(torch.zeros(1, 3, 7, 7))
        self.as_it_is(coarse)
        return self.squeeze(coarse).flatten(1)


def test_only_stages_count():
    module = Tricky()
    assert find_feature_layers(module, torch.zeros(2, 3, 16, 16)) == ("fine", "coarse")
    assert not any(sub_module._forward_hooks for sub_module in module.modules())


class Widening(nn.Module):
    """A block that widens what it gets before its stride, and asks the fine maps once more after it."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(channels, 4 * channels, 1)
        self.reduce = nn.Conv2d(4 * channels, out, 3, stride=2, padding=1)
        self.late = nn.Conv2d(channels, 1, 1)

    def forward(self, maps: Tensor) -> Tensor:
        reduced: Tensor = self.reduce(self.widen(maps))
        self.late(maps)
        return reduced


def test_the_end_of_a_stage_counts_and_not_what_the_next_one_widens():
    trunk = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), Widening(8, 12), Widening(12, 16))
    module = nn.Sequential(trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert find_feature_layers(module, torch.zeros(2, 3, 16, 16)) == ("0.0", "0.1", "0")


def test_the_end_of_the_first_stage_counts_and_not_the_narrow_stem():
    stages = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
    )
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert find_feature_layers(module, torch.zeros(2, 3, 16, 16)) == ("1.0", "1.1", "1")


def test_hooks_are_gone_after_a_failure():
    module = Tricky()
    with pytest.raises(RuntimeError):
        find_feature_layers(module, torch.zeros(2, 5, 16, 16))
    assert not any(sub_module._forward_hooks for sub_module in module.modules())
