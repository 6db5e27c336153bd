"""Scenes of synthetic_lesions, rendered with and without what they show."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaibench.datasets import SyntheticLesions
from xaibench.datasets.distractors import Distractors
from xaibench.datasets.lesion_scene import Scene, draw_scene, render_scene
from xaibench.datasets.lesion_shapes import Outline, draw_outline, place_outlines
from xaibench.datasets.lesion_textures import TEXTURES

TASKS = ("multiclass", "multilabel", "severity")


def undisturbed(scene: Scene) -> Scene:
    none = Distractors(hairs=np.zeros((0, 7), dtype=np.float32), ruler=None)
    return replace(scene, distractors=none, grain=0.0)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("image_size", [32, 64, 150])
def test_the_masks_are_exactly_the_pixels_that_the_lesions_change(task, image_size):
    dataset = SyntheticLesions(task=task, n_images=40, image_size=image_size)
    for index in range(len(dataset)):
        scene, sample = dataset.scene(index), dataset[index]
        bare, _ = render_scene(replace(scene, lesions=()), image_size)
        changed = (sample.image.numpy() != bare).any(axis=0)
        annotated = sample.gt_masks.any(dim=0).numpy()
        assert not (changed & ~annotated).any()
        # Where pigment, hair and clipping meet, a pixel may keep its value.
        assert changed[annotated].mean() > 0.97


def test_each_lesion_of_two_has_its_own_mask():
    dataset = SyntheticLesions(task="multilabel", n_images=30)
    for index in range(len(dataset)):
        scene, sample = dataset.scene(index), dataset[index]
        for left_out, lesion in enumerate(scene.lesions):
            others = tuple(other for place, other in enumerate(scene.lesions) if place != left_out)
            without, _ = render_scene(replace(scene, lesions=others), 64)
            changed = (sample.image.numpy() != without).any(axis=0)
            mask = sample.gt_masks[dataset.info.output_names.index(lesion.lesion_type)].numpy()
            assert not (changed & ~mask).any()
            assert changed[mask].mean() > 0.9


def test_the_type_changes_no_draw():
    scenes = [draw_scene(np.random.default_rng(8), lesion_types=(name,), area=(0.1, 0.2)) for name in TEXTURES]
    for scene in scenes[1:]:
        for field in fields(Scene):
            if field.name == "lesions":
                continue
            assert repr(getattr(scene, field.name)) == repr(getattr(scenes[0], field.name))
        lesion = replace(scene.lesions[0], lesion_type=scenes[0].lesions[0].lesion_type)
        assert repr(lesion) == repr(scenes[0].lesions[0])


def test_the_type_changes_texture_and_not_mean_colour():
    dataset = SyntheticLesions(n_images=40)
    for index in range(len(dataset)):
        scene = undisturbed(dataset.scene(index))
        means, images = [], []
        for name in TEXTURES:
            retyped = replace(scene, lesions=(replace(scene.lesions[0], lesion_type=name),))
            image, (mask,) = render_scene(retyped, 64)
            means.append(image[:, mask].mean(axis=1))
            images.append(image[:, mask])
        assert np.ptp(np.stack(means), axis=0).max() < 0.01
        differences = [np.abs(a - b).mean() for i, a in enumerate(images) for b in images[:i]]
        assert min(differences) > 0.01


def test_one_scene_is_rendered_at_every_size():
    small, large = (SyntheticLesions(n_images=12, image_size=size) for size in (64, 192))
    for index in range(12):
        scene = undisturbed(small.scene(index))
        (fine, (fine_mask,)), (coarse, (coarse_mask,)) = render_scene(scene, 192), render_scene(scene, 64)
        averaged = fine.reshape(3, 64, 3, 64, 3).mean(axis=(2, 4))
        assert np.abs(averaged - coarse).mean() < 0.01
        assert np.array_equal(fine_mask[1::3, 1::3], coarse_mask)
        assert large[index].outputs.equal(small[index].outputs)


def test_hairs_and_rulers_lie_over_skin_and_lesion():
    dataset = SyntheticLesions(n_images=200)
    shares = {"hairs": 0.0, "ruler": 0.0}
    crossed = 0
    for index in range(len(dataset)):
        scene = dataset.scene(index)
        shares["hairs"] += len(scene.distractors.hairs) > 0
        shares["ruler"] += scene.distractors.ruler is not None
        clear, (mask,) = render_scene(undisturbed(scene), 64)
        covered, _ = render_scene(replace(scene, grain=0.0), 64)
        darker = (covered < clear - 0.05).any(axis=0)
        assert bool((covered <= clear + 1e-6).all())
        crossed += bool(darker[mask].any() and darker[~mask].any())
    assert 80 < shares["hairs"] < 130
    assert 30 < shares["ruler"] < 75
    assert crossed > 40


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), area=st.floats(0.02, 0.22))
def test_an_outline_encloses_the_area_that_was_asked_for(seed, area):
    outline = draw_outline(np.random.default_rng(seed), area=area)
    radii = outline.radius * outline.curve[1:]
    assert np.pi * np.mean(radii**2) == pytest.approx(area)
    assert radii.min() > 0.0
    assert radii.max() == pytest.approx(outline.reach)


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32), first=st.floats(0.05, 0.25), second=st.floats(0.05, 0.25))
def test_two_outlines_fit_without_touching(seed, first, second):
    outlines = [Outline(radius=reach, curve=np.ones(257), reach=reach) for reach in (first, second)]
    centres = np.array(place_outlines(np.random.default_rng(seed), outlines))
    assert np.hypot(*(centres[0] - centres[1])) > first + second
    for centre, outline in zip(centres, outlines, strict=True):
        assert (centre - outline.reach >= 0.0).all()
        assert (centre + outline.reach <= 1.0).all()
