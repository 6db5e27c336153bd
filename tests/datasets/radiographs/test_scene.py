"""Radiographs rendered with and without what they show."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaibench.datasets import InputError, SyntheticRadiographs
from xaibench.datasets.radiographs.devices import Devices, Marker
from xaibench.datasets.radiographs.draw_findings import draw_findings
from xaibench.datasets.radiographs.findings import FINDINGS
from xaibench.datasets.radiographs.scene import Radiograph, draw_radiograph, render_radiograph
from xaibench.datasets.radiographs.soft_edges import soft_step
from xaibench.datasets.radiographs.thorax import Ellipse, Heart, draw_thorax, heart_depth


def drawn(seed: int, names: tuple[str, ...]) -> Radiograph:
    healthy = draw_radiograph(np.random.default_rng([1, seed]))
    return replace(healthy, findings=draw_findings(np.random.default_rng([2, seed]), names, healthy.thorax))


def undisturbed(radiograph: Radiograph) -> Radiograph:
    none = Devices(strokes=np.zeros((0, 6), dtype=np.float32))
    return replace(radiograph, devices=none, film=replace(radiograph.film, grain=0.0))


@pytest.mark.parametrize("image_size", [32, 64, 150])
@pytest.mark.parametrize("name", FINDINGS)
def test_outside_of_its_region_a_finding_changes_nothing(name, image_size):
    for seed in range(15):
        ill = drawn(seed, (name,))
        rendered, bare = (render_radiograph(r, image_size) for r in (ill, replace(ill, findings=())))
        (region,) = rendered.regions
        changed = rendered.image != bare.image
        assert region.any()
        assert not (changed & ~region).any()
        if name != "cardiomegaly":
            # Where density meets clipping, a pixel may keep its value.
            assert changed[region].mean() > 0.9
        else:
            # The evidence is the whole heart; what changed is what it gained.
            assert changed[region].mean() > 0.1


def test_each_of_several_findings_has_its_own_region():
    for seed in range(20):
        ill = drawn(seed, FINDINGS)
        rendered = render_radiograph(ill, 96)
        for left_out, name in enumerate(FINDINGS):
            others = tuple(one for place, one in enumerate(ill.findings) if place != left_out)
            without = render_radiograph(replace(ill, findings=others), 96)
            changed = rendered.image != without.image
            assert not (changed & ~rendered.regions[left_out]).any(), name


def test_findings_look_as_they_should():
    # Opacities are brighter than the lung before, air is darker, and an enlarged heart fills lung.
    for name, sign in (("consolidation", 1), ("nodule", 1), ("effusion", 1), ("pneumothorax", -1), ("cardiomegaly", 1)):
        for seed in range(10):
            ill = undisturbed(drawn(seed, (name,)))
            rendered, bare = (render_radiograph(r, 96) for r in (ill, replace(ill, findings=())))
            change = (rendered.image - bare.image)[rendered.regions[0]]
            assert sign * change.mean() > 0.005, (name, seed)


def test_opacities_and_air_lie_in_the_lungs():
    for seed in range(30):
        ill = drawn(seed, ("consolidation", "nodule", "effusion", "pneumothorax"))
        chest = ill.chest(96)
        consolidation, nodule, effusion, air = render_radiograph(ill, 96).regions
        for region in (consolidation, nodule, effusion):
            assert not (region & ~chest.field).any()
        inside = np.maximum(*chest.lungs) > 0
        assert not (air & ~inside).any()
        # One side has the air, the other the opacities.
        assert not (air & (consolidation | nodule | effusion)).any()
        rows = np.arange(96)
        assert (rows @ effusion.sum(axis=1)) / effusion.sum() > 96 * 0.6
        assert (rows @ air.sum(axis=1)) / air.sum() < 96 * 0.5


def test_hearts_are_normal_or_enlarged_by_the_cardiothoracic_ratio():
    ratios = {}
    for name in ((), ("cardiomegaly",)):
        found = []
        for seed in range(60):
            chest = drawn(seed, name).chest(128)
            heart = (chest.heart > 0).any(axis=0).sum()
            inner = (np.maximum(*chest.lungs) > 0).any(axis=0)
            found.append(heart / (np.flatnonzero(inner)[-1] - np.flatnonzero(inner)[0] + 1))
        ratios[name] = found
    # The clinical limit is one half.
    assert max(ratios[()]) < 0.5
    assert 0.5 < min(ratios[("cardiomegaly",)]) < max(ratios[("cardiomegaly",)]) < 0.75


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), factor=st.floats(1.0, 1.6))
def test_an_enlarged_heart_covers_the_one_before(seed, factor):
    thorax = draw_thorax(np.random.default_rng(seed))
    across, y = thorax.across(64), np.linspace(0, 1, 64, dtype=np.float32)[:, None]
    before, after = heart_depth(thorax.heart, across, y) > 0, heart_depth(thorax.heart.enlarged(factor), across, y) > 0
    assert not (before & ~after).any()


@settings(deadline=None, max_examples=40)
@given(angle=st.floats(-3, 3), a=st.floats(0.05, 0.3), b=st.floats(0.05, 0.3))
def test_an_ellipse_lies_where_its_axes_say(angle, a, b):
    ellipse = Ellipse(x=0.1, y=0.6, a=a, b=b, angle=angle)
    heart = Heart(ventricle=ellipse, atrium=ellipse)
    # Points just inside and just outside of both ends of both axes.
    for half, turn in ((a, 0.0), (b, np.pi / 2)):
        for sign in (1, -1):
            for scale in (0.98, 1.02):
                x = np.array([0.1 + sign * scale * half * np.cos(angle + turn)], dtype=np.float32)
                y = np.array([0.6 + sign * scale * half * np.sin(angle + turn)], dtype=np.float32)
                assert (float(heart_depth(heart, x, y)[0]) > 0) == (scale < 1)


def test_one_radiograph_is_rendered_at_every_size():
    for seed in range(8):
        ill = undisturbed(drawn(seed, ("consolidation", "effusion")))
        fine, coarse = render_radiograph(ill, 192), render_radiograph(ill, 64)
        averaged = fine.image.reshape(64, 3, 64, 3).mean(axis=(1, 3))
        assert np.abs(averaged - coarse.image).mean() < 0.02
        for fine_region, coarse_region in zip(fine.regions, coarse.regions, strict=True):
            assert (fine_region[1::3, 1::3] != coarse_region).mean() < 0.005


def test_the_token_lies_in_its_region_and_outside_of_the_lungs():
    for seed, centre in enumerate([(0.07, 0.88), (0.93, 0.92)]):
        plain = drawn(seed, ())
        marked = replace(plain, marker=Marker(centre=centre, radius=0.034))
        with_token, without = render_radiograph(marked, 96), render_radiograph(plain, 96)
        changed = with_token.image != without.image
        assert without.marker is None
        assert not (changed & ~with_token.marker).any()
        assert changed[with_token.marker].mean() > 0.7
        assert not (with_token.marker & (np.maximum(*plain.chest(96).lungs) > 0)).any()


def test_nothing_but_the_findings_depends_on_the_label():
    pathology = SyntheticRadiographs(n_images=30)
    findings = SyntheticRadiographs(task="findings", n_images=30)
    for index in range(30):
        one, other = pathology.radiograph(index), findings.radiograph(index)
        for field in fields(Radiograph):
            if field.name != "findings":
                assert repr(getattr(one, field.name)) == repr(getattr(other, field.name))


def test_an_unknown_finding_is_refused():
    thorax = draw_thorax(np.random.default_rng(0))
    with pytest.raises(InputError, match="unknown finding 'nodul'; did you mean 'nodule'"):
        draw_findings(np.random.default_rng(0), ("nodul",), thorax)


def test_a_soft_edge_begins_and_ends_exactly():
    depth = np.array([-1.0, 0.0, 0.05, 0.1, 0.2], dtype=np.float32)
    assert soft_step(depth, 0.1).tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])
    assert soft_step(depth, 0.1)[[0, 1, 4]].tolist() == [0.0, 0.0, 1.0]
