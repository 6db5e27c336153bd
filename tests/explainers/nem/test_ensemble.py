"""Several decoders of which one is made."""

import pytest
import torch

from xaibench.datasets import Task
from xaibench.explainers import NemtExplainer
from xaibench.explainers.nem import distillation, ensemble, training
from xaibench.explainers.nem.resume import Progress

QUICK = {"steps": 20, "batch_size": 3, "widths": (6, 4), "validation_images": 3, "patience": 99}


class Killed(BaseException):
    """What a kill looks like from inside."""


def members_of(monkeypatch, explainer: NemtExplainer, blobs) -> list[dict[str, torch.Tensor]]:
    """Fit without the distillation; the tensors of what would have been distilled."""
    members = []

    def distil(_student, found, *_, **__):
        members.extend(dict(member.state_dict()) for member in found)
        return Progress()

    with monkeypatch.context() as patched:
        patched.setattr(ensemble, "distil", distil)
        explainer.fit(blobs)
    return members


def test_the_members_are_the_fits_of_their_seeds(classifier, make_blobs, monkeypatch, tmp_path):
    blobs = make_blobs(n_images=30)
    explainer = NemtExplainer(classifier, **QUICK, members=2, seed=3)
    members = members_of(monkeypatch, explainer, blobs)
    assert [member["seed"] for member in explainer.fit_record["members"]] == [6, 7]
    assert len(members) == 2
    for seed, found in zip((6, 7), members, strict=True):
        alone = NemtExplainer(classifier, **QUICK, seed=seed)
        alone.fit(blobs)
        file = tmp_path / "alone"
        alone.save(file)
        wanted = NemtExplainer.load(file, classifier)._tensors
        assert wanted.keys() == found.keys()
        assert all(torch.equal(wanted[name], found[name]) for name in wanted)


@pytest.mark.parametrize("detail", [False, True])
def test_what_is_learned_is_the_mean_of_the_members(classifier, make_blobs, make_batch, monkeypatch, detail):
    blobs, batch = make_blobs(n_images=30), make_batch(n=4)
    kept = []

    def distil(student, members, *arguments, **named):
        kept.extend(members)
        return distil_unharmed(student, members, *arguments, **named)

    distil_unharmed = ensemble.distil
    monkeypatch.setattr(ensemble, "distil", distil)
    explainer = NemtExplainer(classifier, **{**QUICK, "steps": 60}, members=2, detail=detail, random_target_share=1.0)
    explainer.fit(blobs)
    with torch.no_grad():
        features = classifier.logits_and_features(batch.images, layers=kept[0].layers)[1]
        first, second, found = (
            network.logits(features, batch.targets, images=batch.images) for network in (*kept, explainer._network)
        )
    mean = (first + second) / 2

    def distance(one, other):
        return float((one - other).square().mean())

    # Nearer to the mean than any of them.
    assert distance(found, mean) < 0.8 * distance(first, mean)
    assert explainer.fit_record["curve"][-1]["distance"] < explainer.fit_record["curve"][-20]["distance"]


def test_a_student_that_gives_the_mean_has_nothing_to_learn(classifier, make_blobs, make_batch, monkeypatch):
    explainer = NemtExplainer(classifier, **QUICK, members=2)
    distances = []

    def distil(_student, members, teacher, _request, *, settings, seed):
        images, (student, other) = make_batch(n=3).images, members
        for network in members:
            network.eval().zero_grad()
        for taught_by in ([student, student], [student, other]):
            generator = torch.Generator().manual_seed(seed)
            loss = distillation._distance(student, taught_by, teacher, images, settings=settings, generator=generator)
            loss.backward()
            distances.append(float(loss.detach()))
        assert any(parameter.grad.any() for parameter in student.parameters() if parameter.grad is not None)
        assert all(parameter.grad is None for parameter in other.parameters())
        return Progress()

    monkeypatch.setattr(ensemble, "distil", distil)
    explainer.fit(make_blobs(n_images=30))
    assert distances[0] == pytest.approx(0, abs=1e-9)
    assert distances[1] > 1e-6


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
    assert found.fit_record["curve"] == wanted.fit_record["curve"]
    assert not list(tmp_path.iterdir())


def test_the_record_tells_members_apart(classifier, make_blobs):
    explainer = NemtExplainer(classifier, **QUICK, members=2)
    explainer.fit(make_blobs(n_images=30))
    record = explainer.fit_record
    assert record["settings"]["members"] == 2
    points = record["curve"]
    assert [point.get("member") for point in points] == [1] * 20 + [2] * 20 + [None] * 20
    assert all("distance" in point for point in points[40:])
    assert [member["seed"] for member in record["members"]] == [0, 1]
    assert all(10 <= member["best_step"] <= 20 for member in record["members"])


@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.REGRESSION])
def test_every_pass_through_the_classifier_is_counted(make_classifier, make_blobs, task):
    blobs, passes = make_blobs(task=task, n_images=30), {}
    classifier = make_classifier(task=task)
    for members, seed in ((2, 0), (1, 0), (1, 1)):
        explainer = NemtExplainer(classifier, **QUICK, members=members, seed=seed)
        explainer.fit(blobs)
        passes[members, seed] = explainer.fit_record["fit_forward_passes"]
    assert passes[2, 0] == passes[1, 0] + passes[1, 1] + 20 * 3
