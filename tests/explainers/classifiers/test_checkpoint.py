"""Classifiers on disk."""

import json
import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from xaibench.datasets import InputError, Task
from xaibench.explainers import Architecture, Classifier, load_classifier, save_classifier
from xaibench.explainers.artefact import load_artefact
from xaibench.explainers.classifiers import builtin_checkpoints, checkpoint_path
from xaibench.explainers.classifiers.checkpoint import CHECKPOINT_FORMAT, CHECKPOINT_VERSION

SMALL = Architecture(type="small_resnet", params={"width": 8})


@pytest.mark.parametrize("task", list(Task))
def test_round_trip_is_bit_identical(make_classifier, make_batch, tmp_path, task):
    classifier = make_classifier(task=task, channels=1, image_size=48)
    path = tmp_path / "classifier.safetensors"
    save_classifier(path, classifier, architecture=SMALL, training={"epochs": 3, "accuracy": 0.5})
    torch.manual_seed(5)
    loaded, description = load_classifier(str(path))
    images = make_batch(channels=1).images
    assert torch.equal(loaded(images), classifier(images))
    assert torch.equal(loaded.scores(images), classifier.scores(images))
    assert loaded.fingerprint == classifier.fingerprint
    assert (loaded.task, loaded.output_names, loaded.channels, loaded.image_size) == (
        task,
        classifier.output_names,
        1,
        48,
    )
    assert description["training"] == {"epochs": 3, "accuracy": 0.5}
    assert not any(module.training for module in loaded.modules())


def test_the_normalization_is_stored(tmp_path, make_batch):
    network = SMALL.build(2, 3)
    classifier = Classifier(
        network.module, task="multiclass", output_names=["a", "b"], mean=(0.1, 0.2, 0.3), std=(0.3, 0.2, 0.1)
    )
    save_classifier(tmp_path / "c", classifier, architecture=SMALL, training={})
    images = make_batch().images
    assert torch.equal(load_classifier(tmp_path / "c")[0](images), classifier(images))


def test_where_weights_once_came_from_is_not_needed_again(tmp_path):
    architecture = Architecture(type="timm", params={"model": "resnet10t", "pretrained": "none"})
    network = architecture.build(2, 3)
    classifier = Classifier(network.module, task="multiclass", output_names=["a", "b"], image_size=32)
    gone = Architecture(type="timm", params={"model": "resnet10t", "pretrained": str(tmp_path / "deleted.pth")})
    save_classifier(tmp_path / "c", classifier, architecture=gone, training={})
    assert load_classifier(tmp_path / "c")[0].fingerprint == classifier.fingerprint
    assert load_classifier(tmp_path / "c", architecture=gone)[0].fingerprint == classifier.fingerprint


def test_chosen_feature_layers_are_stored(tmp_path):
    params = {"model": "resnet10t", "feature_layers": ["layer1", "layer3.0"]}
    architecture = Architecture(type="timm", params=params)
    network = architecture.build(2, 3)
    assert network.feature_layers == ("layer1", "layer3.0")
    classifier = Classifier(network.module, task="multiclass", output_names=["a", "b"], image_size=32)
    save_classifier(tmp_path / "c", classifier, architecture=architecture, training={})
    assert load_classifier(tmp_path / "c")[0].feature_layers == ("layer1", "layer3.0")


def test_a_file_cannot_name_code_to_import(tmp_path, monkeypatch, make_classifier):
    (tmp_path / "my_module_for_xaibench.py").write_text(
        "from xaibench.explainers.classifiers.small_resnet import SmallResNet\n"
        "def make(n_outputs, channels):\n"
        "    return SmallResNet(n_outputs, channels, width=8)\n"
    )
    own = Architecture(type="module", params={"path": "my_module_for_xaibench:make"})
    save_classifier(tmp_path / "c", make_classifier(), architecture=own, training={})
    with pytest.raises(InputError, match=r"code of your own; name it again: .*'my_module_for_xaibench:make'"):
        load_classifier(tmp_path / "c")
    monkeypatch.syspath_prepend(tmp_path)
    loaded, _ = load_classifier(tmp_path / "c", architecture=own)
    assert loaded.fingerprint == make_classifier().fingerprint


def test_tensors_that_do_not_fit_are_refused(tmp_path, make_classifier):
    wider = Architecture(type="small_resnet", params={"width": 16})
    save_classifier(tmp_path / "c", make_classifier(), architecture=wider, training={})
    with pytest.raises(InputError, match="c does not fit SmallResNet: size mismatch") as caught:
        load_classifier(tmp_path / "c")
    assert "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no file .*nowhere"):
        load_classifier(tmp_path / "nowhere")
    (tmp_path / "text").write_text("hello, this is not a checkpoint")
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        load_classifier(tmp_path / "text")
    header = {"xaibench": json.dumps({"format": "xaibench nemt decoder", "format_version": 1})}
    save_file({"w": torch.zeros(1)}, tmp_path / "decoder", metadata=header)
    with pytest.raises(InputError, match="is xaibench nemt decoder version 1; wanted xaibench classifier version 1"):
        load_classifier(tmp_path / "decoder")


def test_an_unknown_builtin_is_named():
    with pytest.raises(InputError, match=re.escape("no checkpoint 'builtin:nothing' in the package")):
        load_classifier("builtin:nothing")
    for name in builtin_checkpoints():
        assert checkpoint_path(f"builtin:{name}").is_file()


def test_tied_weights_can_be_stored(tmp_path, monkeypatch):
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(3, 3)
            self.two = nn.Linear(3, 3)
            self.two.weight = self.one.weight

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.two(self.one(images.mean(dim=(2, 3))))

    classifier = Classifier(Tied(), task="multiclass", output_names=["a", "b", "c"])
    save_classifier(tmp_path / "c", classifier, architecture=Architecture(type="module"), training={})
    tensors, _ = load_artefact(tmp_path / "c", wanted_format=CHECKPOINT_FORMAT, wanted_version=CHECKPOINT_VERSION)
    assert torch.equal(tensors["one.weight"], tensors["two.weight"])
