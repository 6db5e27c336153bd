"""NEMt as a whole: fit, explain, save, load."""

import dataclasses
import inspect
import math
from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from xaibench.datasets import InputError, Task
from xaibench.explainers import Architecture, Classifier, ClassifierTraining, NemtExplainer, train_classifier
from xaibench.explainers.nem import ensemble
from xaibench.explainers.nem.network import MaskNetwork
from xaibench.explainers.nem.settings import DecoderTraining

QUICK = {"steps": 6, "batch_size": 6, "widths": (8, 6)}


def network_of(explainer: NemtExplainer) -> nn.Module:
    assert explainer._network is not None
    return explainer._network


def tensors_of(explainer: NemtExplainer) -> dict[str, torch.Tensor]:
    """As they were learned; the network at use has its norms folded."""
    assert explainer._tensors is not None
    return explainer._tensors


@pytest.fixture(scope="module")
def shared_classifier(make_classifier) -> Classifier:
    return make_classifier()


@pytest.fixture(scope="module")
def fitted(shared_classifier, blobs) -> NemtExplainer:
    explainer = NemtExplainer(shared_classifier, **QUICK)
    explainer.fit(blobs)
    return explainer


@pytest.fixture(scope="module")
def batch(make_batch):
    return make_batch()


@pytest.mark.parametrize("task", list(Task))
def test_fit_leaves_the_classifier_bit_identical(make_classifier, blobs, untouched, task):
    classifier = make_classifier(task=task)
    for number, parameter in enumerate(classifier.parameters()):
        parameter.grad = torch.ones_like(parameter) if number % 2 else None
        parameter.requires_grad_(number % 3 > 0)
    before = classifier.fingerprint
    handle = classifier.cam_layer.register_forward_hook(lambda *_: None)
    with untouched(classifier):
        NemtExplainer(classifier, **QUICK).fit(blobs)
    handle.remove()
    assert classifier.fingerprint == before


def test_no_gradient_reaches_the_classifier(make_classifier, blobs):
    classifier = make_classifier()
    heard = []
    for parameter in classifier.parameters():
        parameter.register_hook(heard.append)
        parameter.register_post_accumulate_grad_hook(heard.append)
    NemtExplainer(classifier, **QUICK).fit(blobs)
    assert heard == []
    assert all(parameter.grad is None for parameter in classifier.parameters())


def test_every_weight_of_the_decoder_learns(shared_classifier, blobs, monkeypatch):
    untrained, train_unharmed = {}, ensemble.train_decoder

    def train_decoder(network, *arguments, **named):
        untrained.update(deepcopy(network.state_dict()))
        return train_unharmed(network, *arguments, **named)

    monkeypatch.setattr(ensemble, "train_decoder", train_decoder)
    # Decay would move what has no gradient.
    explainer = NemtExplainer(shared_classifier, **QUICK, weight_decay=0.0)
    explainer.fit(blobs)
    trained = tensors_of(explainer)
    assert untrained.keys() == trained.keys()
    unmoved = [name for name, tensor in trained.items() if torch.equal(tensor, untrained[name])]
    assert unmoved == []


def test_the_same_seed_gives_the_same_bytes(make_classifier, blobs):
    def weights(seed: int, noise: int) -> torch.Tensor:
        torch.manual_seed(noise)
        explainer = NemtExplainer(make_classifier(), **QUICK, seed=seed)
        explainer.fit(blobs)
        return torch.cat([tensor.flatten().float() for tensor in tensors_of(explainer).values()])

    assert torch.equal(weights(0, noise=1), weights(0, noise=2))
    assert not torch.equal(weights(0, noise=1), weights(1, noise=1))


def test_a_second_fit_of_one_explainer_gives_the_same_bytes(shared_classifier, blobs, batch):
    explainer = NemtExplainer(shared_classifier, **QUICK)
    explainer.fit(blobs)
    first = batch.explained_by(explainer)
    explainer.fit(blobs)
    assert torch.equal(batch.explained_by(explainer), first)


def test_maps_are_never_negative_and_do_not_depend_on_the_batch(fitted, batch):
    maps = batch.explained_by(fitted)
    assert float(maps.min()) >= 0
    one_by_one = torch.cat([batch[i : i + 1].explained_by(fitted) for i in range(8)])
    torch.testing.assert_close(maps, one_by_one, atol=1e-5, rtol=1e-4)


def test_the_target_selects_its_channel(shared_classifier, blobs, make_batch):
    explainer = NemtExplainer(shared_classifier, **QUICK, detail=False)
    explainer.fit(blobs)
    # Row k of a head without weights gives a constant: softplus(contrast · 4 tanh(bias / 4)).
    head = network_of(explainer).decoder.head
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([-2.0, 0.0, 2.0]))
    batch = make_batch(n=6)
    maps = explainer.explain(batch.images, torch.tensor([2, 0, 1, 1, 2, 0]))
    for found, bias in zip(maps, [2.0, -2.0, 0.0, 0.0, 2.0, -2.0], strict=True):
        wanted = math.log1p(math.exp(explainer.contrast * 4 * math.tanh(bias / 4)))
        torch.testing.assert_close(found, torch.full((32, 32), wanted), atol=1e-6, rtol=1e-4)


def test_contrast_moves_no_rank_even_where_masks_are_full(shared_classifier, fitted, batch):
    network = network_of(fitted)
    logits = torch.linspace(-3.99, 3.99, 4096).reshape(1, 64, 64)
    for contrast in (1.0, 6.0, 10.0):
        maps = MaskNetwork.attributions(SimpleNamespace(contrast=contrast, level=1.0), logits).flatten()
        assert (maps.diff() > 0).all()
    # A mask of that temperature is 1 to all digits on a part of the pixels.
    assert float(torch.sigmoid(10 * logits).flatten().diff().min()) == 0
    assert network.contrast == fitted.contrast == 6.0


def test_it_finds_what_a_trained_classifier_looks_at(make_blobs):
    train = make_blobs(n_images=64, task=Task.MULTILABEL)
    classifier, _ = train_classifier(
        Architecture(type="small_resnet", params={"width": 8}),
        train=train,
        validation=train,
        settings=ClassifierTraining(epochs=5, batch_size=16, learning_rate=0.01),
    )
    explainer = NemtExplainer(classifier, steps=60, batch_size=8, widths=(16, 12, 8))
    explainer.fit(train)
    test = make_blobs(n_images=60, task=Task.MULTILABEL, seed=3)
    samples = [test[i] for i in range(60)]
    shares, chances = [], []
    for sample in samples:
        for target in torch.nonzero(sample.outputs).flatten():
            mask = explainer.explain(sample.image[None], target[None])[0]
            region = sample.gt_masks[target]
            shares.append(float(mask[region].sum() / mask.sum()))
            chances.append(float(region.float().mean()))
    assert sum(shares) / len(shares) > 2 * sum(chances) / len(chances)


def test_prediction_comes_with_the_mask_at_no_change(fitted, batch, untouched):
    classifier = fitted.classifier
    with untouched(classifier):
        masks, scores = fitted.explain_with_scores(batch.images, batch.targets)
    assert torch.equal(scores, classifier.scores(batch.images))
    assert torch.equal(masks, batch.explained_by(fitted))
    assert not masks.requires_grad
    assert not scores.requires_grad


def test_without_targets_the_prediction_is_explained(fitted, batch):
    masks, scores = fitted.explain_with_scores(batch.images)
    wanted, _ = fitted.explain_with_scores(batch.images, scores.argmax(dim=1))
    assert torch.equal(masks, wanted)
    assert len(set(scores.argmax(dim=1).tolist())) > 1


def test_one_pass_of_the_classifier_gives_both(fitted, batch):
    passes = []
    handle = fitted.classifier.module.register_forward_hook(lambda *_: passes.append(1))
    fitted.explain_with_scores(batch.images, batch.targets)
    handle.remove()
    assert len(passes) == 1


@pytest.mark.parametrize(
    ("images", "targets"),
    [
        (torch.rand(2, 1, 32, 32), torch.tensor([0, 1])),
        (torch.rand(2, 3, 32, 32), torch.tensor([0, 3])),
        (torch.rand(2, 3, 32, 32), torch.tensor([0])),
        (torch.rand(2, 3, 32, 32).double(), None),
    ],
)
def test_wrong_input_is_refused_there_too(fitted, images, targets):
    with pytest.raises(InputError, match=r"NemtExplainer: .*wanted"):
        fitted.explain_with_scores(images, targets)


def test_round_trip_gives_the_same_bytes(fitted, batch, tmp_path, untouched):
    path = tmp_path / "decoder.safetensors"
    fitted.save(str(path))
    torch.manual_seed(9)
    with untouched(fitted.classifier):
        loaded = NemtExplainer.load(path, fitted.classifier)
    assert torch.equal(batch.explained_by(loaded), batch.explained_by(fitted))
    assert loaded.training == fitted.training
    assert loaded._settings() == fitted._settings()
    assert loaded.seed == fitted.seed
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_settings_survive_the_round_trip(shared_classifier, blobs, tmp_path):
    settings = {
        "learning_rate": 1e-3,
        "weight_decay": 0.1,
        "area_weights": (0.5, 2.0),
        "temperatures": (1.5, 3.0),
        "score_temperatures": (1.0, 2.0, 8.0),
        "random_target_share": 0.5,
        "balance_targets": True,
        "removals": ("mean", "other"),
        "patterns": False,
        "ranking_share": 0.25,
        "level_softness": 0.5,
        "contrast": 3.0,
        "level": 0.5,
        "augment": "none",
        "finest_stride": 4,
        "smoothing": "box",
        "smoothing_sigma": 0.05,
        "detail": False,
        "seed": 7,
    }
    explainer = NemtExplainer(shared_classifier, **QUICK, **settings)
    explainer.fit(blobs)
    explainer.save(tmp_path / "decoder")
    loaded = NemtExplainer.load(tmp_path / "decoder", shared_classifier)
    for name, value in settings.items():
        assert {**loaded._settings(), "seed": loaded.seed}[name] == value, name


def test_every_setting_of_the_training_is_a_parameter_with_the_same_default():
    parameters = inspect.signature(NemtExplainer.__init__).parameters
    for field in dataclasses.fields(DecoderTraining):
        assert parameters[field.name].default == field.default, field.name


def test_another_classifier_is_refused(fitted, make_classifier, tmp_path):
    path = tmp_path / "decoder.safetensors"
    fitted.save(path)
    with pytest.raises(InputError, match=r"was fitted on classifier .*, this is .*; fit it on"):
        NemtExplainer.load(path, make_classifier(seed=1))


def test_the_same_classifier_with_other_layers_is_refused(fitted, tmp_path):
    path = tmp_path / "decoder.safetensors"
    fitted.save(path)
    same = fitted.classifier
    other = Classifier(
        same.module,
        task=same.task,
        output_names=same.output_names,
        image_size=32,
        feature_layers=("stage1", "stage2"),
    )
    assert other.fingerprint == same.fingerprint
    with pytest.raises(InputError, match=r"do not fit the decoder .*feature_layers"):
        NemtExplainer.load(path, other)


def test_other_layers_of_the_same_shapes_are_refused(blobs, tmp_path):
    class Twins(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fine, self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 6, 3, stride=2, padding=1)
            self.second, self.head = nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 3)

        def forward(self, images):
            return self.head(self.second(self.first(self.fine(images))).mean(dim=(2, 3)))

    module = Twins()

    def reading(*layers: str) -> Classifier:
        return Classifier(module, task="multiclass", output_names="abc", image_size=32, feature_layers=layers)

    explainer = NemtExplainer(reading("fine", "first"), **QUICK)
    explainer.fit(blobs)
    explainer.save(tmp_path / "decoder.safetensors")
    NemtExplainer.load(tmp_path / "decoder.safetensors", reading("fine", "first"))
    with pytest.raises(InputError, match=r"fitted on the layers fine, first, .* give fine, second"):
        NemtExplainer.load(tmp_path / "decoder.safetensors", reading("fine", "second"))


def test_other_files_are_refused(shared_classifier, tmp_path):
    with pytest.raises(InputError, match="no file"):
        NemtExplainer.load(tmp_path / "nowhere", shared_classifier)
    (tmp_path / "text").write_text("not a decoder but some words")
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        NemtExplainer.load(tmp_path / "text", shared_classifier)


def test_before_the_fit_there_is_nothing(shared_classifier, batch, tmp_path):
    explainer = NemtExplainer(shared_classifier)
    assert explainer.fit_record is None
    for call in (
        lambda: batch.explained_by(explainer),
        lambda: explainer.explain_with_scores(batch.images),
        lambda: explainer.save(tmp_path / "decoder"),
    ):
        with pytest.raises(InputError, match="NemtExplainer is not fitted; call fit"):
            call()


def test_the_record_tells_what_was_done(fitted, blobs):
    record = fitted.fit_record
    assert record["dataset"] == "blobs"
    assert record["dataset_fingerprint"] == blobs.info.fingerprint
    assert record["settings"]["steps"] == 6
    assert record["fit_seconds"] > 0
    assert record["fit_device"] == "cpu"
    assert [point["step"] for point in record["curve"]] == [1, 2, 3, 4, 5, 6]
    assert all(0 <= point["area"] <= 1 for point in record["curve"])


@pytest.mark.parametrize(("steps", "points"), [(1, 1), (4, 4), (21, 21), (45, 23)])
def test_any_number_of_steps(shared_classifier, make_blobs, steps, points):
    explainer = NemtExplainer(shared_classifier, steps=steps, batch_size=1, widths=(4,))
    explainer.fit(make_blobs(n_images=2))
    assert len(explainer.fit_record["curve"]) == points
    assert explainer.fit_record["curve"][-1]["step"] == steps


def test_the_area_weight_rises_to_its_end_by_half_time(shared_classifier, blobs):
    explainer = NemtExplainer(
        shared_classifier, steps=8, batch_size=2, widths=(4,), area_weights=(1.0, 5.0), temperatures=(1.0, 3.0)
    )
    explainer.fit(blobs)
    weights = [point["area_weight"] for point in explainer.fit_record["curve"]]
    assert weights == [1, 2, 3, 4, 5, 5, 5, 5]


def test_a_loss_that_is_no_number_stops_with_a_remedy(make_classifier, make_blobs):
    classifier = make_classifier()
    with torch.no_grad():
        classifier.module.head.bias[0] = math.nan
    explainer = NemtExplainer(classifier, **QUICK)
    with pytest.raises(InputError, match="loss became nan at step 1; lower learning_rate"):
        explainer.fit(make_blobs())
    assert explainer.fit_record is None


def test_a_failed_fit_keeps_the_decoder_of_the_last(make_classifier, blobs, batch, untouched):
    classifier = make_classifier()
    explainer = NemtExplainer(classifier, **QUICK)
    explainer.fit(blobs)
    wanted = batch.explained_by(explainer)

    class Broken(type(blobs)):
        def __getitem__(self, index):
            raise OSError("disk gone")

    with untouched(classifier), pytest.raises(OSError, match="disk gone"):
        explainer.fit(Broken())
    assert torch.equal(batch.explained_by(explainer), wanted)


@pytest.mark.parametrize("contrast", [0.0, -1.0])
def test_a_contrast_that_ranks_nothing_is_refused(shared_classifier, contrast):
    with pytest.raises(InputError, match=f"contrast is {contrast}; wanted more than 0"):
        NemtExplainer(shared_classifier, contrast=contrast)


@pytest.mark.parametrize("level", [-4.0, 4.5])
def test_a_level_where_no_logit_lies_is_refused(shared_classifier, level):
    with pytest.raises(InputError, match=f"level is {level}; wanted more than -4 and less than 4"):
        NemtExplainer(shared_classifier, level=level)


def test_data_that_do_not_suit_the_classifier_are_refused(shared_classifier, make_blobs):
    explainer = NemtExplainer(shared_classifier, **QUICK)
    with pytest.raises(InputError, match=r"blobs has 1 channels .*; wanted 3 channels"):
        explainer.fit(make_blobs(channels=1))
    with pytest.raises(InputError, match="no images to fit on"):
        explainer.fit(make_blobs(n_images=0))


def test_classifiers_without_stages_are_refused(shared_classifier):
    flat = Classifier(
        nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2)),
        task="multiclass",
        output_names=["a", "b"],
        image_size=32,
    )
    assert "feature maps" in NemtExplainer.unsupported(flat)
    one_layer = Classifier(
        shared_classifier.module,
        task="multiclass",
        output_names=["a", "b", "c"],
        image_size=32,
        feature_layers=("stage1",),
    )
    assert NemtExplainer.unsupported(one_layer) == "the decoder needs 2 or more feature maps; the classifier has 1"
    assert NemtExplainer.unsupported(shared_classifier) is None


def test_a_stride_that_leaves_too_few_maps_is_refused(shared_classifier, blobs):
    with pytest.raises(InputError, match=r"1 feature map.*finest_stride = 8.*lower it"):
        NemtExplainer(shared_classifier, **QUICK, finest_stride=8).fit(blobs)


@pytest.mark.parametrize(("finest_stride", "layers"), [(1, 4), (2, 3), (4, 2)])
def test_the_stride_decides_what_is_read(shared_classifier, finest_stride, layers):
    explainer = NemtExplainer(shared_classifier, finest_stride=finest_stride)
    assert len(explainer._build().layers) == layers


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("model", ["resnet10t", "tf_efficientnet_lite0", "convnext_atto", "vit_tiny_patch16_224"])
def test_networks_of_timm_channels_and_odd_sizes(make_blobs, make_timm_classifier, model, channels):
    blobs = make_blobs(n_images=4, image_size=64, channels=channels)
    classifier = make_timm_classifier(model, channels=channels, output_names=blobs.info.output_names)
    explainer = NemtExplainer(classifier, steps=1, batch_size=2, widths=(8,))
    explainer.fit(blobs)
    for size in ((64, 64), (80, 96), (67, 75)):
        images = torch.rand(2, channels, *size)
        maps, scores = explainer.explain_with_scores(images)
        assert maps.shape == (2, *size)
        assert maps.isfinite().all()
        assert torch.equal(scores, classifier.scores(images))


def test_a_module_of_ones_own_with_layers_named(blobs, make_batch):
    module = nn.Sequential()
    module.add_module("first", nn.Conv2d(3, 6, 3, stride=2, padding=1))
    module.add_module("bend", nn.ReLU())
    module.add_module("second", nn.Conv2d(6, 8, 3, stride=2, padding=1))
    module.add_module("pool", nn.AdaptiveAvgPool2d(1))
    module.add_module("flat", nn.Flatten())
    module.add_module("head", nn.Linear(8, 3))
    classifier = Classifier(
        module, task="multiclass", output_names=["a", "b", "c"], image_size=32, feature_layers=("bend", "second")
    )
    explainer = NemtExplainer(classifier, **QUICK)
    explainer.fit(blobs)
    assert network_of(explainer).layers == ("bend", "second")
    assert make_batch().explained_by(explainer).shape == (8, 32, 32)


@pytest.mark.parametrize("side", [64, 512])
def test_small_and_large_images(make_classifier, make_blobs, side):
    classifier = make_classifier(image_size=side)
    explainer = NemtExplainer(classifier, steps=1, batch_size=1, widths=(4,))
    explainer.fit(make_blobs(n_images=2, image_size=side))
    # At half the resolution of small images, at a quarter of that of large ones.
    finest = classifier.features(torch.rand(1, 3, side, side))[-len(network_of(explainer).layers)]
    assert finest.shape[-1] == side // (2 if side == 64 else 4)
    assert explainer.explain_with_scores(torch.rand(1, 3, side, side))[0].shape == (1, side, side)


def test_another_network_gets_another_decoder_and_map(make_classifier, blobs, make_batch):
    """That the network makes the difference, and not the fit, is for tests/benchmarks/randomized_refits.py to show."""
    batch, maps = make_batch(), []
    for seed in (0, 1):
        explainer = NemtExplainer(make_classifier(seed=seed), **QUICK)
        explainer.fit(blobs)
        maps.append(batch.explained_by(explainer))
    correlation = torch.corrcoef(torch.stack([m.flatten() for m in maps]))[0, 1]
    assert float(correlation) < 0.9
