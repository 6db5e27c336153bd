"""Class activation maps against the grad-cam package."""

import pytest
import torch
from pytorch_grad_cam import EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.functional import interpolate

from xaibench.explainers import Classifier
from xaibench.explainers.cam import (
    EigenCamExplainer,
    GradCamExplainer,
    GradCamPlusPlusExplainer,
    GuidedGradCamExplainer,
    HiResCamExplainer,
    LayerCamExplainer,
    ScoreCamExplainer,
)
from xaibench.explainers.cam.weights import eigen_cam
from xaibench.explainers.gradient import GuidedBackpropExplainer

PAIRS = {
    GradCamExplainer: GradCAM,
    GradCamPlusPlusExplainer: GradCAMPlusPlus,
    HiResCamExplainer: HiResCAM,
    LayerCamExplainer: LayerCAM,
}


def scaled(maps: Tensor) -> Tensor:
    """Each map from 0 to 1, as the package returns it."""
    flat = maps - maps.amin(dim=(1, 2), keepdim=True)
    return flat / flat.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)


def of_package(cam_class: type, classifier: Classifier, images: Tensor, targets: Tensor, **params) -> Tensor:
    normalized = (images - classifier.mean) / classifier.std
    with cam_class(model=classifier.module, target_layers=[classifier.cam_layer], **params) as cam:
        found = cam(input_tensor=normalized, targets=[ClassifierOutputTarget(int(t)) for t in targets])
    return torch.from_numpy(found)


@pytest.mark.parametrize("ours", PAIRS, ids=lambda ours: ours.__name__)
def test_it_equals_the_package(ours, classifier, make_batch):
    batch = make_batch(n=6, size=(40, 24))
    found = ours(classifier).explain(batch.images, batch.targets)
    wanted = of_package(PAIRS[ours], classifier, batch.images, batch.targets)
    says_something = found.amax(dim=(1, 2)) > 0
    assert says_something.sum() >= 3
    torch.testing.assert_close(scaled(found)[says_something], wanted[says_something], atol=1e-3, rtol=0)


def test_eigencam_equals_the_package_up_to_the_sign(classifier, make_batch):
    batch = make_batch(n=4)
    with torch.no_grad():
        activations = classifier.features(batch.images)[-1]
    with EigenCAM(model=classifier.module, target_layers=[classifier.cam_layer]) as cam:
        wanted = torch.from_numpy(cam.get_cam_image(None, None, None, activations.numpy(), None, False))
    found = eigen_cam(activations)
    sign = (found * wanted).sum(dim=(1, 2), keepdim=True).sign()
    torch.testing.assert_close(found, sign * wanted.float(), atol=1e-3, rtol=1e-3)
    total = activations.sum(dim=1)
    agreement = found * (total - total.mean(dim=(1, 2), keepdim=True))
    assert (agreement.sum(dim=(1, 2)) > 0).all()
    maps = EigenCamExplainer(classifier).explain(batch.images, batch.targets)
    assert maps.min() >= 0


@pytest.fixture
def vit() -> Classifier:
    torch.manual_seed(0)
    module = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=3, num_heads=2, num_classes=3, reg_tokens=1
    )
    # timm starts with small heads; larger logits make gradients that rounding does not drown.
    nn.init.normal_(module.head.weight)
    return Classifier(module, task="multiclass", output_names=["a", "b", "c"], image_size=32)


@pytest.mark.parametrize("ours", [GradCamExplainer, GradCamPlusPlusExplainer, LayerCamExplainer])
def test_tokens_become_maps_as_with_the_reshaping_of_the_package(ours, vit, make_batch):
    batch = make_batch(n=6)

    def reshape(tokens: Tensor) -> Tensor:
        return tokens[:, 2:].reshape(len(tokens), 4, 4, 16).permute(0, 3, 1, 2)

    found = ours(vit).explain(batch.images, batch.targets)
    wanted = of_package(PAIRS[ours], vit, batch.images, batch.targets, reshape_transform=reshape)
    says_something = found.amax(dim=(1, 2)) > 0
    assert says_something.sum() >= 2
    torch.testing.assert_close(scaled(found)[says_something], wanted[says_something], atol=1e-3, rtol=0)


def test_guided_gradcam_is_the_product(classifier, make_batch):
    batch = make_batch(n=3)
    guided = GuidedBackpropExplainer(classifier).explain(batch.images, batch.targets)
    cam = GradCamExplainer(classifier).explain(batch.images, batch.targets)
    found = GuidedGradCamExplainer(classifier).explain(batch.images, batch.targets)
    torch.testing.assert_close(found, guided * cam)


def test_scorecam_equals_a_loop_over_channels(classifier, make_batch):
    # The package enlarges masks so that corners coincide; we enlarge them as every map here.
    batch = make_batch(n=2)
    maps = ScoreCamExplainer(classifier).explain(batch.images, batch.targets)
    for image, target, found in zip(batch.images, batch.targets, maps, strict=True):
        with torch.no_grad():
            activations = classifier.features(image[None])[-1][0]
            logits = []
            for channel in activations:
                mask = interpolate(channel[None, None], size=(32, 32), mode="bilinear", align_corners=False)[0, 0]
                mask = (mask - mask.min()) / max(float(mask.max() - mask.min()), 1e-8)
                logits.append(classifier((0.5 + (image - 0.5) * mask)[None])[0, target].exp())
        cam = sum(logit / sum(logits) * channel for logit, channel in zip(logits, activations, strict=True))
        wanted = interpolate(cam.clamp(min=0)[None, None], size=(32, 32), mode="bilinear", align_corners=False)[0, 0]
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("images_per_pass", [1, 5, 1000])
def test_scorecam_does_not_depend_on_the_images_per_pass(classifier, make_batch, images_per_pass):
    batch = make_batch(n=2)
    wanted = ScoreCamExplainer(classifier).explain(batch.images, batch.targets)
    found = ScoreCamExplainer(classifier, images_per_pass=images_per_pass).explain(batch.images, batch.targets)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-4)
