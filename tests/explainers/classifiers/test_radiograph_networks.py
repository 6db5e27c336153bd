"""Networks of torchxrayvision: the library's own answers are the oracle; nothing is downloaded."""

import sys
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from xaibench.datasets import InputError
from xaibench.explainers import (
    EXPLAINERS,
    Architecture,
    Classifier,
    NemtExplainer,
    load_classifier,
    save_classifier,
)

DENSENET, RESNET = "densenet121-res224-all", "resnet50-res512-all"
FINDINGS = ("Consolidation", "Nodule", "Effusion", "Pneumothorax", "Cardiomegaly")


@pytest.fixture(scope="module")
def library():
    with warnings.catch_warnings():
        import torchxrayvision
    return torchxrayvision


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's folder without downloaded weights, on a machine without a network."""
    import torchxrayvision

    def unreachable(*_args: object) -> None:
        raise OSError("no route to host\nat all")

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(torchxrayvision.utils, "download", unreachable)
    return tmp_path


def built(n_outputs: int = 2, channels: int = 1, *, model: str = DENSENET, **params: object) -> nn.Module:
    return Architecture(type="torchxrayvision", params={"model": model, **params}).build(n_outputs, channels).module


def classifier_of(n_outputs: int, *, image_size: int = 64, **params: object) -> Classifier:
    network = Architecture(type="torchxrayvision", params={"model": DENSENET, **params}).build(n_outputs, 1)
    return Classifier(
        network.module,
        task="multilabel",
        output_names=[f"output {k}" for k in range(n_outputs)],
        mean=network.mean,
        std=network.std,
        channels=1,
        image_size=image_size,
    )


def downloaded(library, home: Path, model: str) -> nn.Module:
    """What the library has once it has downloaded a model; weights are random."""
    torch.manual_seed(0)
    folder = home / ".torchxrayvision" / "models_data"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / library.models.model_urls[model]["weights_url"].rpartition("/")[2]
    if model == DENSENET:
        # Weights of the library's own kind of file: a pickled module.
        torch.save(library.models.DenseNet(num_classes=18, in_channels=1), path)
    else:
        torch.save(built(18, model=RESNET).network.state_dict(), path)
    return library.models.get_model(model)


@pytest.mark.parametrize("model", [DENSENET, RESNET])
def test_answers_are_those_of_the_library(library, home, model):
    theirs = downloaded(library, home, model)
    native = theirs.input_resolution
    images = torch.rand(1, 1, 96, 96)
    normalized = torch.from_numpy(library.utils.normalize(255 * images.numpy(), 255))
    with torch.no_grad():
        published = theirs(normalized)
        theirs.op_threshs = None
        logits = theirs(normalized)
    names = ("Effusion", "Pneumonia", "Atelectasis")
    columns = [theirs.pathologies.index(name) for name in names]
    network = Architecture(
        type="torchxrayvision", params={"model": model, "pretrained": "hub", "outputs": list(names)}
    ).build(3, 1)
    ours = Classifier(
        network.module, task="multilabel", output_names=names, mean=network.mean, std=network.std, channels=1
    )
    assert ours.module.image_size == native
    with torch.no_grad():
        answers = ours.logits(images)
    thresholds = torch.tensor(library.models.model_urls[model]["op_threshs"])[columns]
    torch.testing.assert_close(answers, logits[:, columns] - thresholds.logit(), rtol=1e-4, atol=1e-4)
    assert torch.equal(answers > 0, published[:, columns] > 0.5)


def test_a_new_head_is_not_the_pretrained_one_even_if_it_has_as_many_outputs(library, home):
    theirs = downloaded(library, home, DENSENET).state_dict()
    ours = built(18, pretrained="hub").network.state_dict()
    assert not torch.equal(ours["classifier.weight"], theirs["classifier.weight"])
    assert torch.equal(ours["features.norm5.weight"], theirs["features.norm5.weight"])
    assert torch.equal(ours["features.conv0.weight"], theirs["features.conv0.weight"])


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_local_state_dict_is_read(tmp_path, suffix):
    weights = built(18).network.state_dict()
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    fine_tuned = built(2, pretrained=str(path)).network.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in fine_tuned.items() if "classifier" not in name)
    as_it_is = built(5, pretrained=str(path), outputs=list(FINDINGS)).network.state_dict()
    assert torch.equal(as_it_is["classifier.weight"], weights["classifier.weight"][[1, 11, 7, 3, 10]])


def test_a_checkpoint_needs_no_pretrained_weights_again(library, home, tmp_path):
    downloaded(library, home, DENSENET)
    params = {"model": DENSENET, "pretrained": "hub", "outputs": list(FINDINGS)}
    ours = classifier_of(5, **params)
    path = tmp_path / "radiographs.safetensors"
    save_classifier(path, ours, architecture=Architecture(type="torchxrayvision", params=params), training={})
    for file in (home / ".torchxrayvision" / "models_data").iterdir():
        file.unlink()
    again = load_classifier(path)[0]
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(again.logits(images), ours.logits(images))


def test_proportions_of_an_image_stay():
    seen: list[Tensor] = []
    module = built()
    module.network.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        assert module.eval()(torch.rand(1, 1, 112, 56)).shape == (1, 2)
    assert seen[0].shape == (1, 1, 224, 112)


def test_explainers_find_feature_maps():
    classifier = classifier_of(2)
    images = torch.rand(1, 1, 64, 64)
    assert [tuple(one.shape[-2:]) for one in classifier.features(images)] == [
        (112, 112),
        (56, 56),
        (28, 28),
        (14, 14),
        (7, 7),
    ]
    assert EXPLAINERS.create("gradcam", classifier).explain(images, torch.tensor([1])).shape == (1, 64, 64)
    assert NemtExplainer.unsupported(classifier) is None


def test_unknown_names_and_wrong_numbers_are_named():
    with pytest.raises(InputError, match="no model 'densenet121-res224-al'; did you mean 'densenet121-res224-all'"):
        built(model="densenet121-res224-al")
    with pytest.raises(InputError, match="has no output 'Effusions'; did you mean 'Effusion'"):
        built(1, outputs=["Effusions"])
    # Trained on data without lung lesions: the library's own answer is always 0.5.
    with pytest.raises(InputError, match="has no output 'Lung Lesion'"):
        built(1, model=RESNET, outputs=["Lung Lesion"])
    with pytest.raises(InputError, match="outputs names 2 pathologies; wanted one for each of the dataset's 3"):
        built(3, outputs=["Effusion", "Nodule"])
    with pytest.raises(InputError, match=r"images have 3 channels; .* give the dataset channels = 1"):
        built(2, 3)


def test_weights_that_cannot_be_had_are_named(library, home, tmp_path):
    with pytest.raises(
        InputError, match=r"cannot fetch weights .*no route to host.* put https.*best.pt into"
    ) as caught:
        built(pretrained="hub")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"no weights file .*nowhere.pth; wanted 'none', 'hub' or a"):
        built(pretrained=str(tmp_path / "nowhere.pth"))
    save_file(built(2).network.state_dict(), tmp_path / "two.safetensors")
    with pytest.raises(InputError, match="a head of 2 outputs; wanted the 18 of densenet121-res224-all"):
        built(1, pretrained=str(tmp_path / "two.safetensors"), outputs=["Nodule"])
    with pytest.raises(InputError, match="another architecture"):
        built(model=RESNET, pretrained=str(tmp_path / "two.safetensors"))
    downloaded(library, home, DENSENET)
    (file,) = (home / ".torchxrayvision" / "models_data").iterdir()
    with pytest.raises(InputError, match=r"cannot be read as weights .*pretrained = 'hub'"):
        built(pretrained=str(file))


def test_without_the_extra_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchxrayvision", None)
    with pytest.raises(InputError, match=r"pip install 'xaibench\[radiographs\]'"):
        built()


def test_the_library_does_not_silence_warnings(monkeypatch):
    from xaibench.explainers.classifiers import radiograph_networks

    for name in [name for name in sys.modules if name.split(".")[0] == "torchxrayvision"]:
        monkeypatch.delitem(sys.modules, name)
    before = list(warnings.filters)
    assert isinstance(radiograph_networks._library().models.model_urls, dict)
    assert warnings.filters == before
