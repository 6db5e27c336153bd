"""What each pixel adds to the logits of the decoder."""

import math

import pytest
import torch

from xaibench.explainers.nem.detail import PixelDetail
from xaibench.explainers.nem.network import MaskNetwork


def detail(weights: list[list[float]], *, mean: float = 0.5) -> PixelDetail:
    made = PixelDetail(len(weights), mean_color=torch.full((1, 1, 1, 1), mean))
    with torch.no_grad():
        made.weight.copy_(torch.tensor(weights))
    return made


def images(n: int = 2, *, channels: int = 3) -> torch.Tensor:
    return torch.rand(n, channels, 24, 20, generator=torch.Generator().manual_seed(0))


def test_it_starts_without_effect():
    made = PixelDetail(3, mean_color=torch.full((1, 3, 1, 1), 0.5))
    assert not made(images(), torch.tensor([0, 2])).any()


@pytest.mark.parametrize("brightness", [0.5, 0.58, 1.0])
def test_a_plain_image_has_a_closed_form(brightness):
    plain = torch.full((1, 3, 16, 16), brightness)
    found = detail([[0.3, -0.2]])(plain, torch.tensor([0]))
    wanted = 16 * (0.3 * math.log((abs(brightness - 0.5) + 0.05) / 0.1) - 0.2 * math.log(0.5))
    assert torch.allclose(found, torch.full((1, 16, 16), wanted), atol=1e-4)


def test_pixels_that_differ_from_their_surroundings_count_more():
    dotted = torch.full((1, 1, 32, 32), 0.5)
    dotted[0, 0, 10, 20] = 0.9
    for weights in ([[1.0, 0.0]], [[0.0, 1.0]]):
        assert int(detail(weights)(dotted, torch.tensor([0])).argmax()) == 10 * 32 + 20


def test_each_row_has_the_weights_of_its_target():
    made = detail([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    same = images(1).expand(3, -1, -1, -1)
    first, second, both = made(same, torch.tensor([0, 1, 2]))
    assert not torch.allclose(first, second)
    assert torch.allclose(both, (first + second) / 2, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_stay_as_they_are(channels):
    given = images(channels=channels)
    before = given.clone()
    detail([[1.0, 1.0]])(given, torch.tensor([0, 0]))
    assert torch.equal(given, before)


def test_weights_learn():
    made = PixelDetail(2, mean_color=torch.full((1, 1, 1, 1), 0.5))
    made(images(), torch.tensor([1, 1])).sum().backward()
    assert made.weight.grad is not None
    assert not made.weight.grad[0].any()
    assert made.weight.grad[1].all()


def logits_and_detail(decoded: float) -> tuple[torch.Tensor, torch.Tensor]:
    """What a network makes of a decoder's plain logit, and what its detail would add where it is not switched off."""
    network = MaskNetwork(
        ["fine", "coarse"],
        [2, 3],
        1,
        widths=(4,),
        finest_convolutions=1,
        smoothing="none",
        smoothing_sigma=1.0,
        contrast=6.0,
        level=0.0,
        detail_around=torch.full((1, 3, 1, 1), 0.5),
    ).eval()
    assert network.detail is not None
    given, targets = images(1), torch.tensor([0])
    features = [torch.rand(1, 2, 12, 10), torch.rand(1, 3, 6, 5)]
    with torch.no_grad():
        network.decoder.head.weight.zero_()
        network.decoder.head.bias.fill_(4 * math.atanh(decoded / 4))  # it is bounded to (-4, 4)
        network.detail.weight.fill_(0.05)
        return network.logits(features, targets, images=given), network.detail(given, targets)


@pytest.mark.parametrize("decoded", [-2.0, 0.0, 0.5, 3.0])
def test_a_soft_switch_lets_it_speak_where_there_is_evidence(decoded):
    found, detail = logits_and_detail(decoded)
    assert torch.allclose(found, decoded + detail / (1 + math.exp(-1.5 * decoded)), atol=1e-4)
    assert float(detail.std()) > 0.1


def test_it_is_silent_where_there_is_no_evidence():
    found, detail = logits_and_detail(-3.99)
    assert float((found + 3.99).abs().max()) < 0.01 * float(detail.abs().max())
