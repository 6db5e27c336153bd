"""One safetensors file with its description inside."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from xaibench.datasets import InputError
from xaibench.explainers.artefact import load_artefact, save_artefact, write_atomically

DESCRIPTION = {"format": "thing", "format_version": 1, "names": ["ä", "b"], "curve": [{"step": 1, "loss": 0.25}]}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "thing.safetensors"
    tensors = {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(7), "half": torch.ones(2, dtype=torch.float16)}
    save_artefact(path, tensors=tensors, description=DESCRIPTION)
    return path


def load(path: Path | str):
    return load_artefact(path, wanted_format="thing", wanted_version=1)


def test_round_trip(stored):
    tensors, description = load(stored)
    assert description == DESCRIPTION
    assert torch.equal(tensors["w"], torch.arange(6.0).reshape(2, 3))
    assert tensors["n"].shape == ()
    assert tensors["half"].dtype == torch.float16
    assert load(str(stored))[1] == DESCRIPTION


def test_the_same_content_gives_the_same_bytes(stored, tmp_path):
    tensors, description = load(stored)
    save_artefact(tmp_path / "again", tensors=dict(reversed(tensors.items())), description=description)
    assert (tmp_path / "again").read_bytes() == stored.read_bytes()


def test_tensors_that_share_memory_or_are_strided_are_stored(tmp_path):
    weight = torch.arange(6.0).reshape(2, 3).requires_grad_()
    save_artefact(tmp_path / "tied", tensors={"a": weight, "b": weight, "c": weight.T}, description=DESCRIPTION)
    tensors, _ = load(tmp_path / "tied")
    assert torch.equal(tensors["a"], tensors["b"])
    assert torch.equal(tensors["c"], weight.T)


def test_numbers_that_json_has_not_are_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        save_artefact(tmp_path / "nan", tensors={}, description=DESCRIPTION | {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def corrupt(path: Path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(content[:-5])
    elif kind == "half a header":
        path.write_bytes(content[:40])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("this is no safetensors file, although it has the name of one")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"w": [1, 2, 3]}))
    elif kind == "enormous header":
        path.write_bytes((2**62).to_bytes(8, "little") + content[8:])
    elif kind == "missing":
        path.unlink()
    elif kind == "folder":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("kind", ["truncated", "half a header", "empty", "text", "pickle", "enormous header"])
def test_what_is_no_safetensors_is_refused(stored, kind):
    corrupt(stored, kind)
    with pytest.raises(InputError, match=r"thing.safetensors cannot be read as safetensors .*; wanted a thing"):
        load(stored)


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_missing_file_is_named(stored, kind):
    corrupt(stored, kind)
    with pytest.raises(InputError, match=r"no file .*thing.safetensors; wanted a thing"):
        load(stored)


@pytest.mark.parametrize(
    "header",
    [
        None,
        {},
        {"other": "x"},
        {"xaibench": "{not json"},
        {"xaibench": "[1]"},
        {"xaibench": "null"},
        {"xaibench": "{}"},
    ],
)
def test_safetensors_of_others_are_refused(tmp_path, header):
    path = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(2)}, path, metadata=header)
    with pytest.raises(InputError, match="no xaibench description"):
        load(path)


@pytest.mark.parametrize("found", [("other", 1), ("thing", 2), ("thing", "1"), (None, None)])
def test_another_format_or_version_is_refused(tmp_path, found):
    path = tmp_path / "other.safetensors"
    description = json.dumps({"format": found[0], "format_version": found[1]})
    save_file({"w": torch.zeros(2)}, path, metadata={"xaibench": description})
    with pytest.raises(InputError, match=f"is {found[0]} version {found[1]}; wanted thing version 1"):
        load(path)


def test_a_failing_write_leaves_the_old_file_and_no_scraps(stored, monkeypatch):
    old = stored.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match=r"cannot write .*: No space left on device"):
        write_atomically(stored, b"new")
    assert stored.read_bytes() == old
    assert list(stored.parent.iterdir()) == [stored]


def test_an_interrupted_write_leaves_the_old_file_and_no_scraps(stored, monkeypatch):
    old = stored.read_bytes()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(stored, b"new")
    assert stored.read_bytes() == old
    assert list(stored.parent.iterdir()) == [stored]


def test_places_that_cannot_be_written_are_named(stored):
    # A file where a folder should be: even root cannot write there.
    with pytest.raises(InputError, match=r"cannot write .*; choose a folder that you may write to"):
        write_atomically(stored / "below.safetensors", b"x")
    with pytest.raises(InputError, match="cannot write"):
        write_atomically(stored.parent, b"x")
    assert list(stored.parent.iterdir()) == [stored]


def test_files_are_replaced_and_readable_by_others(stored):
    write_atomically(stored, b"new")
    assert stored.read_bytes() == b"new"
    assert stored.stat().st_mode & 0o777 == 0o644
