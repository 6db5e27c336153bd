"""Several decoders of which one is made."""

import copy

import pytest
import torch

from xaibench.datasets import InputError, Task
from xaibench.explainers import NemtExplainer
from xaibench.explainers.nem import distillation, ensemble, training
from xaibench.explainers.nem.batches import stream
from xaibench.explainers.nem.resume import Progress
from xaibench.explainers.nem.smoothing import Smoothing

from .kills import Killed

QUICK = {"steps": 20, "batch_size": 3, "widths": (6, 4), "validation_images": 3, "patience": 99}


def networks_of(monkeypatch, explainer: NemtExplainer, blobs) -> list[dict[str, torch.Tensor]]:
    """Fit without the distillation; the tensors of the decoder that would have learned, and of its members."""
    networks = []

    def distil(student, members, *_, **__):
        networks.extend(copy.deepcopy(network.state_dict()) for network in (student, *members))
        return Progress()

    with monkeypatch.context() as patched:
        patched.setattr(ensemble, "distil", distil)
        explainer.fit(blobs)
    return networks


def test_the_members_are_the_fits_of_their_seeds(classifier, make_blobs, monkeypatch, tmp_path):
    blobs = make_blobs(n_images=30)
    explainer = NemtExplainer(classifier, **QUICK, members=2, seed=3)
    members = networks_of(monkeypatch, explainer, blobs)[1:]
    assert [member["seed"] for member in explainer.fit_record["member_fits"]] == [6, 7]
    assert len(members) == 2
    for seed, found in zip((6, 7), members, strict=True):
        alone = NemtExplainer(classifier, **QUICK, seed=seed)
        alone.fit(blobs)
        file = tmp_path / "alone"
        alone.save(file)
        wanted = NemtExplainer.load(file, classifier)._tensors
        assert wanted.keys() == found.keys()
        assert all(torch.equal(wanted[name], found[name]) for name in wanted)


@pytest.mark.parametrize("seed", [0, 3, 2**32 - 1])
def test_the_joined_decoder_begins_as_none_of_its_members(classifier, make_blobs, monkeypatch, seed):
    explainer = NemtExplainer(classifier, **{**QUICK, "steps": 1, "learning_rate": 1e-12}, members=3, seed=seed)
    networks = networks_of(monkeypatch, explainer, make_blobs(n_images=30))
    weights = torch.stack([network["decoder.head.weight"] for network in networks])
    differences = (weights[:, None] - weights[None]).abs().amax(dim=(2, 3))
    assert (differences + torch.eye(4) > 1e-3).all()


@pytest.mark.parametrize("detail", [False, True])
def test_what_is_learned_is_the_mean_of_the_members(classifier, make_blobs, make_batch, monkeypatch, detail):
    blobs, batch = make_blobs(n_images=30), make_batch(n=4)
    kept = []

    def distil(student, members, *arguments, **named):
        kept.extend(members)
        return distil_unharmed(student, members, *arguments, **named)

    distil_unharmed = ensemble.distil
    monkeypatch.setattr(ensemble, "distil", distil)
    explainer = NemtExplainer(classifier, **{**QUICK, "steps": 60}, members=3, detail=detail, random_target_share=1.0)
    explainer.fit(blobs)
    with torch.no_grad():
        features = classifier.logits_and_features(batch.images, layers=kept[0].layers)[1]
        *apart, found = (
            network.logits(features, batch.targets, images=batch.images) for network in (*kept, explainer._network)
        )

    def distance(other):
        return float((found - other).square().mean())

    # Nearer to the mean than to any of them.
    assert distance(sum(apart) / 3) < 0.8 * min(distance(other) for other in apart)
    assert explainer.fit_record["curve"][-1]["distance"] < explainer.fit_record["curve"][-20]["distance"]


def test_the_loss_is_the_squared_distance_from_the_mean_and_teaches_the_student_alone(
    classifier, make_blobs, make_batch, monkeypatch
):
    images, distances = make_batch(n=3).images, []

    def distil(student, members, teacher, _request, *, settings, seed):
        student.eval()
        for member in members:
            member.eval().zero_grad()
        for taught_by in ([student, student], members):
            loss = distillation._distance(
                student, taught_by, teacher, images, settings=settings, generator=stream(seed, 0)
            )
            loss.backward()
            features, question = teacher.ask(images, layers=student.layers, generator=stream(seed, 0))
            with torch.no_grad():
                own, *theirs = (
                    network.logits(features, question.targets, images=images) for network in (student, *taught_by)
                )
            distances.append((float(loss.detach()), float((own - sum(theirs) / len(theirs)).square().mean())))
        assert any(parameter.grad.any() for parameter in student.parameters() if parameter.grad is not None)
        assert all(parameter.grad is None for member in members for parameter in member.parameters())
        return Progress()

    monkeypatch.setattr(ensemble, "distil", distil)
    NemtExplainer(classifier, **QUICK, members=3).fit(make_blobs(n_images=30))
    assert distances[0] == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-9))
    assert distances[1][0] == pytest.approx(distances[1][1], rel=1e-5)
    assert distances[1][0] > 1e-3


@pytest.mark.parametrize(("killed_at", "trained_again"), [(5, 36), (27, 14), (41, 0)])
def test_a_killed_fit_goes_on_and_ends_with_the_same_bytes(
    classifier, make_blobs, make_batch, tmp_path, monkeypatch, killed_at, trained_again
):
    blobs, batch, checkpoint = make_blobs(n_images=30), make_batch(n=2), tmp_path / "unfinished"
    steps = []

    def fitted() -> NemtExplainer:
        explainer = NemtExplainer(classifier, **QUICK, members=2)
        explainer.fit(blobs, checkpoint=checkpoint)
        return explainer

    def watch(module, name, *, kill):
        unharmed = getattr(module, name)

        def watched(*arguments, **named):
            if torch.is_grad_enabled():
                steps.append(name)
                if kill and len(steps) == killed_at:
                    raise Killed
            return unharmed(*arguments, **named)

        return watched

    wanted = fitted()
    assert not list(tmp_path.iterdir())
    for kill in (True, False):
        steps.clear()
        with monkeypatch.context() as patched:
            patched.setattr(training, "judge", watch(training, "judge", kill=kill))
            patched.setattr(distillation, "_distance", watch(distillation, "_distance", kill=kill))
            if kill:
                with pytest.raises(Killed):
                    fitted()
                assert list(tmp_path.iterdir())
            else:
                found = fitted()
    assert steps.count("judge") == trained_again
    assert steps.count("_distance") == 20
    assert torch.equal(batch.explained_by(found), batch.explained_by(wanted))
    for fact in ("curve", "member_fits", "fit_forward_passes"):
        assert found.fit_record[fact] == wanted.fit_record[fact]
    assert not list(tmp_path.iterdir())


def test_the_record_tells_members_apart(classifier, make_blobs):
    explainer = NemtExplainer(classifier, **QUICK, members=2)
    explainer.fit(make_blobs(n_images=30))
    record = explainer.fit_record
    assert record["settings"]["members"] == 2
    points = record["curve"]
    assert [point.get("member") for point in points] == [1] * 20 + [2] * 20 + [None] * 20
    assert all("distance" in point for point in points[40:])
    assert [member["seed"] for member in record["member_fits"]] == [0, 1]
    assert all(10 <= member["best_step"] <= 20 for member in record["member_fits"])


@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.REGRESSION])
def test_every_pass_through_the_classifier_is_counted(make_classifier, make_blobs, task):
    blobs, passes = make_blobs(task=task, n_images=30), {}
    classifier = make_classifier(task=task)
    for members, seed, patterns in ((2, 0, True), (1, 0, True), (1, 1, True), (1, 0, False)):
        explainer = NemtExplainer(classifier, **QUICK, members=members, seed=seed, patterns=patterns)
        explainer.fit(blobs)
        passes[members, seed, patterns] = explainer.fit_record["fit_forward_passes"]
    # What is measured before the first step is measured once.
    want_of_evidence = passes[1, 0, True] - passes[1, 0, False]
    assert (want_of_evidence > 0) == (task is Task.MULTICLASS)
    prepared = want_of_evidence + 30 * (task is Task.REGRESSION)
    assert passes[2, 0, True] == passes[1, 0, True] + passes[1, 1, True] + 20 * 3 - prepared


def test_files_of_an_earlier_fit_with_more_members_are_removed_and_no_others(classifier, make_blobs, tmp_path):
    checkpoint = tmp_path / "decoder[1].unfinished"
    stale = [checkpoint.with_name(f"{checkpoint.name}.{number}") for number in (3, 12)]
    names = ("decoder[1].unfinished.old", "decoder[1].unfinished.3.old", "decoder1.unfinished", "decoder[1]")
    others = [checkpoint.with_name(name) for name in names]
    for file in (*stale, *others):
        file.write_text("not ours to read")
    NemtExplainer(classifier, **{**QUICK, "steps": 2}, members=2).fit(make_blobs(n_images=30), checkpoint=checkpoint)
    assert sorted(tmp_path.iterdir()) == sorted(others)


@pytest.mark.parametrize(("trained_on", "joined_on"), [("photo", "camera"), ("flips", "flips"), ("none", "none")])
def test_photographs_are_varied_more_widely_where_decoders_are_joined(
    classifier, make_blobs, monkeypatch, trained_on, joined_on
):
    seen = []

    def augmented(images, kind, **_):
        seen.append(kind)
        return images

    monkeypatch.setattr(distillation, "augmented", augmented)
    NemtExplainer(classifier, **QUICK, members=2, augment=trained_on).fit(make_blobs(n_images=30))
    assert seen == [joined_on] * 20


def test_random_smoothing_is_not_learned(classifier, make_blobs, monkeypatch):
    drawn = []
    smoothed_unharmed = Smoothing._randomly_smoothed

    def smoothed(self, maps):
        drawn.append(1)
        return smoothed_unharmed(self, maps)

    monkeypatch.setattr(Smoothing, "_randomly_smoothed", smoothed)
    NemtExplainer(classifier, **{**QUICK, "validation_images": 0}, members=2, smoothing="random").fit(
        make_blobs(n_images=30)
    )
    assert len(drawn) == 2 * 20


def test_members_may_stop_early(classifier, make_blobs, monkeypatch):
    monkeypatch.setattr(training, "_validation_loss", lambda *_, **__: 1.0)
    explainer = NemtExplainer(classifier, **{**QUICK, "patience": 3}, members=2)
    explainer.fit(make_blobs(n_images=30))
    assert [member["best_step"] for member in explainer.fit_record["member_fits"]] == [10, 10]
    assert [point["step"] for point in explainer.fit_record["curve"]] == [*range(1, 14)] * 2 + [*range(1, 21)]


def test_a_distance_that_is_no_number_stops(classifier, make_blobs, tmp_path, monkeypatch):
    monkeypatch.setattr(distillation, "_distance", lambda *_, **__: torch.tensor(float("nan")))
    with pytest.raises(InputError, match=r"the joined decoder's loss became nan at step 1; lower learning_rate"):
        NemtExplainer(classifier, **QUICK, members=2).fit(make_blobs(n_images=30), checkpoint=tmp_path / "unfinished")
    assert len(list(tmp_path.iterdir())) == 2


def test_the_classifier_stays_as_it_is(classifier, make_blobs, untouched):
    with untouched(classifier):
        NemtExplainer(classifier, **QUICK, members=2).fit(make_blobs(n_images=30))
