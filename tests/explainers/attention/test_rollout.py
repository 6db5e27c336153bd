"""Attention rollout against loops, and the contract on a transformer."""

import pytest
import torch
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from xaibench.explainers import EXPLAINERS, Classifier
from xaibench.explainers.attention import AttentionRolloutExplainer, GradientRolloutExplainer
from xaibench.explainers.attention.attention_maps import logits_and_attention

BOTH = [AttentionRolloutExplainer, GradientRolloutExplainer]


def vit(**params) -> Classifier:
    torch.manual_seed(0)
    settings = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2, "num_classes": 3}
    module = VisionTransformer(**settings, dynamic_img_size=True, dynamic_img_pad=True, **params)
    nn.init.normal_(module.head.weight)
    return Classifier(module, task="multiclass", output_names=["a", "b", "c"], image_size=32)


@pytest.fixture(scope="module")
def transformer() -> Classifier:
    return vit()


def test_fused_attention_is_opened_without_a_change(transformer, make_batch):
    images = make_batch().images
    logits, attention = logits_and_attention(transformer, images)
    torch.testing.assert_close(logits, transformer(images))
    assert [tuple(one.shape) for one in attention] == [(8, 2, 17, 17)] * 3
    for one in attention:
        torch.testing.assert_close(one.sum(dim=-1), torch.ones(8, 2, 17))
    for block in transformer.module.blocks:
        block.attn.fused_attn = False
    try:
        _, plain = logits_and_attention(transformer, images)
    finally:
        for block in transformer.module.blocks:
            block.attn.fused_attn = True
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(attention, plain, strict=True))


def enlarged(row: Tensor) -> Tensor:
    return nn.functional.interpolate(row.reshape(1, 1, 4, 4), size=(32, 32), mode="bilinear", align_corners=False)[0, 0]


def test_rollout_equals_loops(transformer, make_batch):
    batch = make_batch(n=2)
    maps = AttentionRolloutExplainer(transformer).explain(batch.images, batch.targets)
    for image, found in zip(batch.images, maps, strict=True):
        _, attention = logits_and_attention(transformer, image[None])
        flow = torch.eye(17)
        for block in attention:
            mixed = 0.5 * (block[0, 0] + block[0, 1]) / 2 + 0.25 * torch.eye(17) + 0.25 * torch.eye(17)
            flow = (mixed / mixed.sum(dim=1, keepdim=True)) @ flow
        torch.testing.assert_close(found, enlarged(flow[0, 1:].detach()))


def test_gradient_rollout_equals_loops(transformer, make_batch):
    batch = make_batch(n=2)
    maps = GradientRolloutExplainer(transformer).explain(batch.images, batch.targets)
    for image, target, found in zip(batch.images, batch.targets, maps, strict=True):
        logits, attention = logits_and_attention(transformer, image[None].clone().requires_grad_())
        flow = torch.eye(17)
        for block in attention:
            (gradient,) = torch.autograd.grad(logits[0, target], block, retain_graph=True)
            weighted = sum((gradient[0, head] * block[0, head]).clamp(min=0) for head in range(2)) / 2
            flow = flow + weighted @ flow
        torch.testing.assert_close(found, enlarged(flow[0, 1:].detach()), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("params", [{"reg_tokens": 2}, {"class_token": False, "global_pool": "avg"}])
@pytest.mark.parametrize("explainer", BOTH)
def test_other_tokens_and_sizes(explainer, params, make_batch):
    batch = make_batch(n=2, size=(41, 56))
    maps = explainer(vit(**params)).explain(batch.images, batch.targets)
    assert maps.shape == (2, 41, 56)
    assert (maps.amax(dim=(1, 2)) > maps.amin(dim=(1, 2))).all()


# The contract suite explains a convolutional network; of those whom it skips there, the core is tried here.
@pytest.mark.parametrize("name", ["attention_rollout", "gradient_rollout", "gradcam", "layercam", "eigencam", "relax"])
def test_the_contract_on_a_transformer(name, build, transformer, blobs, make_batch, untouched):
    batch = make_batch()
    explainer = build(name, transformer, blobs)
    with untouched(transformer):
        maps = batch.explained_by(explainer)
    assert maps.shape == (8, 32, 32)
    assert maps.isfinite().all()
    assert (maps.abs().amax(dim=(1, 2)) > 0).float().mean() > 0.5
    assert torch.equal(batch.explained_by(explainer), maps)
    one_by_one = torch.cat([batch[i : i + 1].explained_by(explainer) for i in range(8)])
    scale = maps.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    assert ((one_by_one - maps) / scale).abs().max() < 1e-4
    others = type(batch)(images=batch.images, targets=(batch.targets + 1) % 3, gt_masks=batch.gt_masks)
    assert torch.equal(others.explained_by(explainer), maps) == EXPLAINERS.get(name).ignores_target


def test_networks_without_attention_among_all_tokens_are_refused(classifier, transformer):
    swin = SwinTransformer(
        img_size=32, patch_size=2, window_size=4, embed_dim=8, depths=(1, 1), num_heads=(1, 1), num_classes=3
    )
    windows = Classifier(swin, task="multiclass", output_names=["a", "b", "c"], image_size=32)
    for explainer in BOTH:
        assert explainer.unsupported(transformer) is None
        for other in (classifier, windows):
            reason = explainer.unsupported(other)
            assert reason is not None
            assert "no attention among all tokens" in reason
