"""The training of a decoder, step by step."""

import threading

import pytest
import torch

from xaibench.datasets import InputError, Task
from xaibench.explainers import Classifier, NemtExplainer, fitted
from xaibench.explainers.classifiers import output_spread
from xaibench.explainers.nem import resume, training
from xaibench.explainers.nem.batches import loaded, split_indices, step_indices, stream
from xaibench.explainers.nem.judging import frozen_parameters
from xaibench.explainers.nem.settings import DecoderTraining

from .kills import Killed, kill_at

QUICK = {"steps": 20, "batch_size": 3, "widths": (6, 4)}
QUICKER = {**QUICK, "steps": 4}


def test_frozen_parameters_get_no_gradient_and_their_switches_back(classifier, make_batch, untouched):
    next(classifier.parameters()).requires_grad_(False)
    images = make_batch(n=2).images.requires_grad_()
    with untouched(classifier):
        with frozen_parameters(classifier):
            assert not any(parameter.requires_grad for parameter in classifier.parameters())
            classifier(images).sum().backward()
        assert images.grad is not None
        with pytest.raises(RuntimeError, match="inside"), frozen_parameters(classifier):
            raise RuntimeError("inside")


def test_every_image_comes_once_an_epoch_in_another_order():
    indices = [3, 5, 8, 9, 11, 20, 21, 22, 30, 31]
    seen = [i for step in range(5) for i in step_indices(indices, batch_size=4, step=step, seed=0)]
    assert sorted(seen[:10]) == sorted(seen[10:]) == indices
    assert seen[:10] != seen[10:]
    assert step_indices(indices, batch_size=4, step=0, seed=1) != seen[:4]


def test_batches_may_be_larger_than_the_dataset():
    chosen = step_indices(range(3), batch_size=8, step=1, seed=0)
    assert len(chosen) == 8
    assert set(chosen) == {0, 1, 2}


def test_streams_of_steps_and_seeds_differ():
    draws = {float(torch.rand((), generator=stream(seed, step))) for seed in range(20) for step in range(-5, 20)}
    assert len(draws) == 20 * 25


@pytest.mark.parametrize(("n_images", "wanted", "held_out"), [(100, 8, 8), (100, 64, 10), (9, 5, 0), (50, 0, 0)])
def test_at_most_a_tenth_is_held_out(n_images, wanted, held_out):
    train, validation = split_indices(n_images, n_held_out=wanted, seed=4)
    assert len(validation) == held_out
    assert sorted(train + validation) == list(range(n_images))


def test_spread_is_the_standard_deviation_of_each_output(make_classifier, make_blobs):
    classifier, blobs = make_classifier(task=Task.REGRESSION), make_blobs(n_images=40)
    found = output_spread(classifier, blobs, n_images=35)
    images = torch.stack([blobs[i].image for i in range(35)])
    with torch.no_grad():
        wanted = classifier.scores(images).std(dim=0, correction=0)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert output_spread(classifier, make_blobs(n_images=1)).tolist() == pytest.approx([1e-6] * 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"batch_size": 0},
        {"patience": 0},
        {"members": 0},
        {"random_target_share": 1.5},
        {"ranking_share": -0.1},
        {"level_softness": 0.0},
        {"validation_images": -1},
    ],
)
def test_settings_that_cannot_be_used_are_refused(changes):
    with pytest.raises(InputError, match=f"{next(iter(changes))} is .*; wanted"):
        DecoderTraining(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "sgd"}, "optimizer: unknown 'sgd'; known: adamw, prodigy"),
        ({"augment": "flip"}, "augment: unknown 'flip'; did you mean 'flips'"),
        ({"removals": ("mean", "blurr")}, "removals: unknown 'blurr'; did you mean 'blur'"),
    ],
)
def test_unknown_names_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        DecoderTraining(**changes)


def test_nothing_to_remove_pixels_with_is_refused():
    with pytest.raises(InputError, match="removals is empty; wanted at least one of mean"):
        DecoderTraining(removals=())


def load_as(monkeypatch, *, ahead: bool) -> None:
    """Load images as on a GPU (ahead) or as on a CPU, wherever this runs."""
    monkeypatch.setattr(training, "loaded", lambda dataset, steps, **_: loaded(dataset, steps, ahead=ahead))


@pytest.mark.parametrize("killed_at", [3, 11, 20])
@pytest.mark.parametrize(("optimizer", "ahead"), [("adamw", False), ("adamw", True), ("prodigy", False)])
def test_a_killed_fit_goes_on_and_ends_with_the_same_bytes(
    classifier, make_blobs, make_batch, tmp_path, monkeypatch, killed_at, optimizer, ahead
):
    blobs, batch, checkpoint = make_blobs(n_images=30), make_batch(n=2), tmp_path / "unfinished"
    load_as(monkeypatch, ahead=ahead)

    def fitted() -> NemtExplainer:
        # So patient that the fit is still going on when it is killed.
        explainer = NemtExplainer(classifier, **QUICK, optimizer=optimizer, patience=99)
        explainer.fit(blobs, checkpoint=checkpoint)
        return explainer

    wanted = fitted()
    assert not checkpoint.exists()
    with monkeypatch.context() as patched:
        kill_at(patched, killed_at)
        with pytest.raises(Killed):
            fitted()
    assert checkpoint.is_file()
    found = fitted()
    assert torch.equal(batch.explained_by(found), batch.explained_by(wanted))
    assert found.fit_record["curve"] == wanted.fit_record["curve"]
    assert not checkpoint.exists()


@pytest.mark.parametrize(("members", "killed_at", "earlier"), [(1, 11, 1000), (2, 31, 3000)])
def test_the_seconds_of_a_killed_fit_count(classifier, make_blobs, tmp_path, monkeypatch, members, killed_at, earlier):
    blobs, steps = make_blobs(n_images=30), kill_at(monkeypatch, killed_at)
    monkeypatch.setattr(training, "perf_counter", lambda: 100.0 * len(steps))  # a step takes 100 s
    explainer = NemtExplainer(classifier, **QUICK, patience=99, members=members)
    with pytest.raises(Killed):
        explainer.fit(blobs, checkpoint=tmp_path / "unfinished")
    explainer.fit(blobs, checkpoint=tmp_path / "unfinished")
    assert earlier < explainer.fit_record["fit_seconds"] < earlier + 100
    assert "earlier_seconds" not in explainer.fit_record


def test_a_checkpoint_of_another_fit_is_not_used(classifier, make_blobs, make_batch, tmp_path, monkeypatch):
    blobs, batch, checkpoint = make_blobs(n_images=30), make_batch(n=2), tmp_path / "unfinished"
    monkeypatch.setattr(type(checkpoint), "unlink", lambda *_, **__: None)
    NemtExplainer(classifier, **QUICK, seed=1).fit(blobs, checkpoint=checkpoint)
    other, alone = NemtExplainer(classifier, **QUICK, seed=2), NemtExplainer(classifier, **QUICK, seed=2)
    other.fit(blobs, checkpoint=checkpoint)
    alone.fit(blobs)
    assert torch.equal(batch.explained_by(other), batch.explained_by(alone))


def killed(monkeypatch, explainer: NemtExplainer, blobs, checkpoint) -> None:
    """A fit that left an unfinished one."""
    with monkeypatch.context() as patched:
        kill_at(patched, 3)
        with pytest.raises(Killed):
            explainer.fit(blobs, checkpoint=checkpoint)
    assert checkpoint.is_file()


def n_steps_of(monkeypatch, explainer: NemtExplainer, blobs, checkpoint) -> int:
    """How many steps a fit takes from what it finds there."""
    with monkeypatch.context() as patched:
        steps = kill_at(patched, 99)
        explainer.fit(blobs, checkpoint=checkpoint)
    return len(steps)


def test_an_unfinished_fit_of_another_version_begins_anew(classifier, make_blobs, tmp_path, monkeypatch):
    blobs, checkpoint = make_blobs(n_images=30), tmp_path / "unfinished"
    explainer = NemtExplainer(classifier, **QUICKER)
    killed(monkeypatch, explainer, blobs, checkpoint)
    assert n_steps_of(monkeypatch, explainer, blobs, checkpoint) == 2
    for module, name in ((resume, "_VERSION"), (fitted, "__version__")):
        killed(monkeypatch, explainer, blobs, checkpoint)
        with monkeypatch.context() as patched:
            patched.setattr(module, name, 99)
            assert n_steps_of(patched, explainer, blobs, checkpoint) == 4


def test_an_unfinished_fit_on_other_layers_begins_anew(classifier, make_blobs, tmp_path, monkeypatch):
    blobs, checkpoint = make_blobs(n_images=30), tmp_path / "unfinished"
    killed(monkeypatch, NemtExplainer(classifier, **QUICKER), blobs, checkpoint)
    others = Classifier(
        classifier.module,
        task=classifier.task,
        output_names=classifier.output_names,
        image_size=classifier.image_size,
        feature_layers=classifier.feature_layers[:-1],
    )
    assert others.fingerprint == classifier.fingerprint
    explainer = NemtExplainer(others, **QUICKER)
    assert n_steps_of(monkeypatch, explainer, blobs, checkpoint) == 4


def validated(monkeypatch, classifier, blobs, losses, **settings) -> NemtExplainer:
    """Fit with the given validation losses in place of the true ones."""
    coming = iter(losses)
    monkeypatch.setattr(training, "_validation_loss", lambda *_, **__: next(coming))
    explainer = NemtExplainer(classifier, **QUICK, **settings)
    explainer.fit(blobs)
    return explainer


def test_the_best_step_since_half_time_is_restored(classifier, make_blobs, make_batch, monkeypatch):
    blobs, batch = make_blobs(n_images=30), make_batch(n=2)
    losses = [5, 4, 3, 2, 2.5, 2.6, 2.7, 2.8, 2.9, 3, 3]
    load_as(monkeypatch, ahead=False)
    explainer = validated(monkeypatch, classifier, blobs, losses, patience=20)
    assert explainer.fit_record["best_step"] == 13
    curve = explainer.fit_record["curve"]
    assert [point["validation_loss"] for point in curve] == [None] * 9 + losses
    load_as(monkeypatch, ahead=True)
    stopped = validated(monkeypatch, classifier, blobs, losses, patience=2)
    assert stopped.fit_record["curve"][-1]["step"] == 15
    assert not any(thread.name.startswith("images") for thread in threading.enumerate())
    assert torch.equal(batch.explained_by(stopped), batch.explained_by(explainer))


def test_a_validation_that_is_no_number_stops(classifier, make_blobs, monkeypatch):
    with pytest.raises(InputError, match=r"loss became nan at step 12; lower learning_rate \(0.004\)$"):
        validated(monkeypatch, classifier, make_blobs(n_images=30), [1.0] * 2 + [float("nan")])


def test_the_last_good_state_is_kept_when_the_loss_is_lost(classifier, make_blobs, tmp_path, monkeypatch):
    blobs, checkpoint = make_blobs(n_images=30), tmp_path / "unfinished"
    coming = iter([1.0] * 2 + [float("nan")])
    monkeypatch.setattr(training, "_validation_loss", lambda *_, **__: next(coming))
    with pytest.raises(InputError, match=r"loss became nan at step 12; .*; step 11 is kept in .*unfinished"):
        NemtExplainer(classifier, **QUICK).fit(blobs, checkpoint=checkpoint)
    assert checkpoint.is_file()


def test_validation_images_of_ones_own_are_used(classifier, make_blobs):
    seen = []

    class Watched(make_blobs):
        def __getitem__(self, index):
            seen.append(index)
            return super().__getitem__(index)

    explainer = NemtExplainer(classifier, **QUICK, validation_images=4)
    explainer.fit(make_blobs(n_images=5), validation=Watched(n_images=7, seed=9))
    assert seen == [0, 1, 2, 3]
    assert explainer.fit_record["curve"][-1]["validation_loss"] is not None


def test_a_fit_reads_every_image_once_and_no_region(classifier, make_blobs, monkeypatch):
    seen, regions = [], []

    class Watched(make_blobs):
        def __getitem__(self, index):
            seen.append(index)
            return super().__getitem__(index)

    def watched(dataset, steps, **settings):
        regions.extend(dataset[index].gt_masks for index in range(len(dataset)))
        return loaded(dataset, steps, **settings)

    monkeypatch.setattr(training, "loaded", watched)
    NemtExplainer(classifier, **QUICK).fit(Watched(n_images=5))
    assert sorted(seen) == [0, 1, 2, 3, 4]
    assert regions == [None] * 5


@pytest.mark.parametrize(
    ("task", "removals", "passes", "shared"),
    [
        # An image of a step: itself, two masked ones and their way back.
        (Task.MULTICLASS, ("mean",), 5, 0),
        # Where another image may take its place, the fill; mean colour is the same for a whole batch.
        (Task.MULTICLASS, ("mean", "other"), 5, 1),
        # A regression compares with the bare fill as well.
        (Task.REGRESSION, ("mean", "other"), 6, 1),
    ],
)
def test_every_pass_through_the_classifier_is_counted(make_classifier, make_blobs, task, removals, passes, shared):
    classifier = make_classifier(task=task)
    forward = 0

    def count(_module, inputs):
        nonlocal forward
        forward += len(inputs[0])

    explainer = NemtExplainer(
        classifier,
        steps=3,
        batch_size=4,
        removals=removals,
        patterns=False,
        validation_images=2,
        patience=9,
        widths=(8, 6),
    )
    handle = classifier.module.register_forward_pre_hook(count)
    try:
        explainer.fit(make_blobs(task=task, n_images=20))
    finally:
        handle.remove()
    record = explainer.fit_record or {}
    validations = sum(point["validation_loss"] is not None for point in record["curve"])
    # The spread of a regression's outputs is measured before the first step.
    prepared = 20 * (task is Task.REGRESSION)
    wanted = prepared + 3 * (4 * passes + shared) + validations * (2 * (passes - 2) + shared)
    assert record["fit_forward_passes"] == wanted
    # Each way back belongs to one of the two masked images of a step; the rest are passes that a hook can see, but for
    # the probe that finds the feature layers.
    assert 0 <= forward - (wanted - 3 * 4 * 2) <= 8
