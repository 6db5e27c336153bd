"""The commands about data: what they count, what they draw, and how they end."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from xaibench.benchmark.cli import main
from xaibench.benchmark.contact_sheet import contact_sheet
from xaibench.datasets import InputError, SyntheticLesions, SyntheticRadiographs

TREES = ["images", "masks"]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["datasets", *(str(argument) for argument in arguments)])


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Eight images, half of them cats, with a region each."""
    root = tmp_path / "pets"
    lines = ["name,label"]
    for folder in TREES:
        (root / folder).mkdir(parents=True)
    for place in range(8):
        image = np.random.default_rng(place).integers(0, 255, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(image).save(root / "images" / f"i{place}.png")
        mask = np.zeros((24, 24), dtype=np.uint8)
        mask[4:12, 4 : 10 + place] = 255
        Image.fromarray(mask).save(root / "masks" / f"i{place}.png")
        lines.append(f"i{place},{'cat' if place % 2 else 'dog'}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def test_a_sound_folder_has_no_problems(pets: Path) -> None:
    result = call("verify", "image_folder", "--root", pets)
    assert result.exit_code == 0, result.output
    assert "image_folder, all: 8 images, 8 with a region (pixel), multiclass, 3 channels, fingerprint" in result.stdout
    assert "cat 4 (50.0%), dog 4 (50.0%)" in result.stdout
    assert result.stdout.endswith("no problems\n")


def test_every_problem_is_counted_and_named(pets: Path) -> None:
    damaged = (pets / "images" / "i3.png").read_bytes()
    (pets / "images" / "i3.png").write_bytes(damaged[: len(damaged) // 2])
    Image.new("L", (24, 24)).save(pets / "masks" / "i4.png")
    Image.new("L", (24, 24), 255).save(pets / "masks" / "i5.png")
    (pets / "images" / "i6.png").write_bytes((pets / "images" / "i0.png").read_bytes())
    Image.new("RGB", (24, 24), (9, 9, 9)).save(pets / "images" / "i7.png")
    result = call("verify", "image_folder", "--root", pets)
    assert result.exit_code == 1
    assert "2 problems" in result.stderr
    assert "problem: " + str(pets / "images" / "i3.png") in result.stdout
    assert "1 of 4 images of 'dog' have an empty region: i4" in result.stdout
    assert "remark: 1 images have a region that covers the whole image: i5" in result.stdout
    assert "remark: 1 images are pixel by pixel equal to an earlier one: i6 = i0" in result.stdout
    assert "remark: 1 images have one value everywhere: i7" in result.stdout
    assert "Traceback" not in result.output


@pytest.mark.parametrize("workers", [0, 1])
def test_splits_are_verified_one_after_another(workers: int) -> None:
    result = call("verify", "digits_grid", "-d", "n_images=6", "--limit", 4, "--workers", workers)
    assert result.exit_code == 0, result.output
    assert [line.split(":")[0] for line in result.stdout.splitlines() if "fingerprint" in line] == [
        "digits_grid, train",
        "digits_grid, val",
        "digits_grid, test",
    ]
    assert "4 images, 4 with a region" in result.stdout
    one = call("verify", "digits_grid", "-d", "n_images=6", "--split", "val")
    assert one.stdout.count("fingerprint") == 1


def test_a_label_that_never_has_a_region_is_no_problem() -> None:
    result = call("verify", "synthetic_radiographs", "-d", "n_images=12", "-d", "image_size=32", "--split", "test")
    assert result.exit_code == 0, result.output
    assert "12 images, 10 with a region" in result.stdout
    severity = call("verify", "synthetic_lesions", "-d", "task=severity", "-d", "n_images=5", "--split", "test")
    assert severity.exit_code == 0
    assert "mean 0." in severity.stdout


def test_a_contact_sheet_is_a_picture(pets: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    result = call("preview", "image_folder", "--root", pets, "--images", 5, "--columns", 3, "--out", out)
    assert result.exit_code == 0, result.output
    assert "5 of 8 images" in result.stdout
    with Image.open(out) as image:
        assert image.size[0] > image.size[1] > 200


@pytest.mark.filterwarnings("error")
def test_a_contact_sheet_outlines_each_region_once_and_names_labels() -> None:
    findings = SyntheticRadiographs(task="findings", n_images=6, image_size=32)
    axes = contact_sheet(findings, n_images=6, columns=3).axes
    for index, one in enumerate(axes):
        sample = findings[index]
        present = [name for name, value in zip(findings.info.output_names, sample.outputs, strict=True) if value > 0.5]
        assert one.get_title() == (", ".join(present) or "none")[:34] or one.get_title().endswith("...")
        assert len(one.collections) == len(present)
    severity = contact_sheet(SyntheticLesions(task="severity", n_images=1), n_images=9, columns=3).axes
    assert len(severity) == 1
    assert severity[0].get_title().startswith("severity 0.")


def test_nothing_to_draw_is_said() -> None:
    class Empty(SyntheticLesions):
        def __len__(self) -> int:
            return 0

    with pytest.raises(InputError, match="no image to draw"):
        contact_sheet(Empty(), n_images=3, columns=3)


def test_help_shows_an_example_for_both() -> None:
    for name in ("verify", "preview"):
        assert f"Example:  xaibench datasets {name}" in call(name, "--help").stdout
