"""The other members of the family: as published, and without labels."""

import pytest
import torch
from torch import nn

from xaibench.datasets import Task
from xaibench.explainers import Classifier, NemtExplainer, NemtPublishedExplainer, NemUExplainer

QUICK = {"steps": 4, "batch_size": 4, "widths": (6, 4)}
MEMBERS = [NemtExplainer, NemtPublishedExplainer, NemUExplainer]


@pytest.mark.parametrize("member", MEMBERS)
def test_files_of_one_are_refused_by_the_others(member, classifier, blobs, tmp_path):
    explainer = member(classifier, **QUICK)
    explainer.fit(blobs)
    explainer.save(tmp_path / "decoder")
    loaded = member.load(tmp_path / "decoder", classifier)
    assert loaded._settings() == explainer._settings()
    for other in MEMBERS:
        if other is not member:
            found = rf"is xaibench \w+ decoder version {member.format_version}; wanted xaibench \w+ decoder"
            with pytest.raises(ValueError, match=found):
                other.load(tmp_path / "decoder", classifier)


@pytest.mark.parametrize(("member", "wanted"), zip(MEMBERS, (1, 2, 1), strict=True))
def test_the_published_decoder_alone_merges_its_finest_maps_twice(member, wanted, classifier):
    decoder = member(classifier, **QUICK)._build().decoder
    counts = [sum(isinstance(layer, nn.Conv2d) for layer in stage.merge) for stage in decoder.stages]
    assert counts == [2] * (len(counts) - 1) + [wanted]
    assert len(counts) > 1


@pytest.mark.parametrize("contrastive", [False, True])
def test_nem_u_explains_an_encoder_without_outputs(contrastive, blobs, make_batch, tmp_path):
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2, padding=1))
    classifier = Classifier(encoder, task=Task.REGRESSION, output_names=["embedding"], image_size=32)
    explainer = NemUExplainer(classifier, **QUICK, contrastive=contrastive)
    explainer.fit(blobs)
    images = make_batch().images
    maps = explainer.explain(images, torch.zeros(8, dtype=torch.int64))
    assert maps.shape == (8, 32, 32)
    explainer.save(tmp_path / "decoder")
    loaded = NemUExplainer.load(tmp_path / "decoder", classifier)
    assert loaded.contrastive == contrastive
    assert torch.equal(loaded.explain(images, torch.zeros(8, dtype=torch.int64)), maps)


def test_contrast_between_deleted_and_preserved_changes_what_is_learned(classifier, blobs, make_batch):
    maps = []
    for contrastive in (False, True):
        explainer = NemUExplainer(classifier, **QUICK, contrastive=contrastive)
        explainer.fit(blobs)
        maps.append(make_batch().explained_by(explainer))
    assert not torch.allclose(maps[0], maps[1])
