"""Catalogs: names, parameters and the plugins of other distributions."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal

import pytest

from xaibench.datasets import DATASETS, Catalog, InputError, SyntheticLesions, catalog, closest_match


class Lamp:
    def __init__(self, socket: object, *, watts: int = 40, colour: Literal["white", "red"] = "white", at: Path) -> None:
        self.socket, self.watts, self.colour, self.at = socket, watts, colour, at


@pytest.fixture
def lamps(monkeypatch) -> Catalog[Lamp]:
    monkeypatch.setattr(catalog, "entry_points", lambda group: ())
    lamps: Catalog[Lamp] = Catalog("lamp", entry_point_group="lamps")
    lamps.register("desk", Lamp)
    return lamps


def announce(monkeypatch, *pairs: tuple[str, str]) -> None:
    found = [EntryPoint(name=name, value=value, group="lamps") for name, value in pairs]
    monkeypatch.setattr(catalog, "entry_points", lambda group: found if group == "lamps" else ())


def test_a_plugin_is_made_from_checked_parameters(lamps):
    lamp = lamps.create("desk", "wall", watts=60, at="/tmp")
    assert (lamp.socket, lamp.watts, lamp.colour, lamp.at) == ("wall", 60, "white", Path("/tmp"))
    assert list(lamps) == ["desk"]
    assert "desk" in lamps
    assert "dusk" not in lamps
    assert list(lamps.params("desk")) == ["watts", "colour", "at"]


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("dest", {"at": "."}, ["unknown lamp 'dest'", "did you mean 'desk'", "known: desk"]),
        ("zzz", {}, ["unknown lamp 'zzz'; known: desk"]),
        ("desk", {"at": ".", "wats": 3}, ["lamp 'desk' has no parameter 'wats'", "did you mean 'watts'"]),
        ("desk", {"at": ".", "socket": 3}, ["no parameter 'socket'"]),
        ("desk", {"at": ".", "watts": "bright"}, ["'watts' is 'bright'", "integer"]),
        ("desk", {"at": ".", "colour": "blue"}, ["'colour' is 'blue'", "'white' or 'red'"]),
        ("desk", {}, ["'at'", "missing"]),
    ],
)
def test_bad_names_and_parameters_are_refused(lamps, name, params, words):
    with pytest.raises(InputError) as caught:
        lamps.create(name, "wall", **params)
    for word in words:
        assert word in str(caught.value)


def test_a_name_is_registered_once(lamps):
    with pytest.raises(InputError, match="'desk' is registered twice"):
        lamps.register("desk", Lamp)


def test_other_distributions_announce_plugins(lamps, monkeypatch):
    announce(monkeypatch, ("floor", f"{__name__}:Lamp"), ("floor", f"{__name__}:Lamp"))
    monkeypatch.setitem(__import__("sys").modules, __name__, __import__("types").SimpleNamespace(Lamp=Lamp))
    assert list(lamps) == ["desk", "floor"]
    assert lamps.create("floor", "wall", at=".").watts == 40


def test_the_code_of_another_distribution_is_told_from_its_next_version(lamps, monkeypatch, tmp_path):
    assert lamps.origin("desk") == {}
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for version, watts in (("first", 40), ("second", 60)):
        (tmp_path / f"lamps_{version}.py").write_text(f"class Lamp:\n    watts = {watts}\n")
        announce(monkeypatch, ("floor", f"lamps_{version}:Lamp"))
        lamps._announced = None
        found.append(lamps.origin("floor")["source"])
    assert found[0] != found[1]


def test_a_broken_plugin_harms_only_who_asks_for_it(lamps, monkeypatch):
    announce(monkeypatch, ("floor", "no_such_module_anywhere:Lamp"))
    assert lamps.create("desk", "wall", at=".").watts == 40
    with pytest.raises(InputError, match=r"lamp 'floor' \(no_such_module_anywhere:Lamp\) cannot be imported"):
        lamps.get("floor")


def test_one_name_of_two_distributions_is_refused(lamps, monkeypatch):
    announce(monkeypatch, ("floor", "a:Lamp"), ("floor", "b:Lamp"))
    with pytest.raises(InputError, match="'floor' is announced by 'a:Lamp' and by 'b:Lamp'"):
        lamps.get("floor")
    announce(monkeypatch, ("desk", "a:Lamp"))
    with pytest.raises(InputError, match="'desk' is ours and is also announced by 'a:Lamp'"):
        lamps.get("desk")


def test_our_datasets_can_be_named():
    assert {"synthetic_lesions", "ham10000", "image_folder"} <= set(DATASETS)
    assert DATASETS.entry_point_group == "xaibench.datasets"
    # What TOML holds: lists for tuples.
    made = DATASETS.create("synthetic_lesions", n_images=2, lesion_types=["streaks", "globules"])
    assert isinstance(made, SyntheticLesions)
    assert made.info.output_names == ("streaks", "globules")


@pytest.mark.parametrize("name", ["synthetic_lesions", "ham10000", "image_folder"])
def test_every_parameter_of_our_datasets_has_a_type(name):
    params = DATASETS.params(name)
    assert {"split", "seed", "image_size"} <= set(params)
    for parameter in params.values():
        assert parameter.annotation is not parameter.empty


def test_the_closest_match_is_named_only_where_one_is_close():
    assert closest_match("saliancy", ["saliency", "occlusion"]) == "did you mean 'saliency'? known: occlusion, saliency"
    assert closest_match("qqq", ["saliency", "occlusion"]) == "known: occlusion, saliency"
