"""Images and regions stay aligned, however they are turned and resized."""

from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from xaibench.datasets import RsnaPneumonia, read_image
from xaibench.datasets.image_files import inspect_image, read_mask

from .rsna_tree import write_dicom, write_table

_MANY = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def regions(draw) -> np.ndarray:
    """A rectangle of at least 8 x 8 pixels in an image of any proportions."""
    height, width = draw(st.integers(16, 80)), draw(st.integers(16, 80))
    top, left = draw(st.integers(0, height - 8)), draw(st.integers(0, width - 8))
    bottom, right = draw(st.integers(top + 8, height)), draw(st.integers(left + 8, width))
    region = np.zeros((height, width), dtype=np.uint8)
    region[top:bottom, left:right] = 255
    return region


def agrees(mask: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a mask has every pixel that the picture of the region is sure of, and none that it is sure not of."""
    return bool(mask.any() and mask[picture > 0.99].all() and not mask[picture < 0.01].any())


@_MANY
@given(region=regions(), orientation=st.integers(1, 8), image_size=st.one_of(st.none(), st.integers(16, 90)))
def test_an_image_and_a_mask_that_a_camera_turned(tmp_path: Path, region, orientation, image_size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image_path, mask_path = tmp_path / "image.png", tmp_path / "mask.png"
    Image.fromarray(region).save(image_path, exif=exif)
    Image.fromarray(region).save(mask_path, exif=exif)
    size = inspect_image(image_path).size
    assert size == (region.shape if orientation < 5 else region.shape[::-1])
    picture = read_image(image_path, image_size=image_size, channels=1)[0].numpy()
    mask = read_mask(mask_path, image_path=image_path, original_size=size, image_size=image_size).numpy()
    assert mask.shape == picture.shape == (size if image_size is None else (image_size, image_size))
    assert agrees(mask, picture)


@_MANY
@given(region=regions(), orientation=st.integers(1, 8))
def test_a_turned_image_and_an_upright_mask(tmp_path: Path, region, orientation):
    # Cameras write a tag, annotation tools write what they show: the mask of the upright image must fit.
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(region).save(tmp_path / "image.png", exif=exif)
    upright = (read_image(tmp_path / "image.png", image_size=None, channels=1)[0].numpy() * 255).astype(np.uint8)
    Image.fromarray(upright).save(tmp_path / "mask.png")
    size = inspect_image(tmp_path / "image.png").size
    mask = read_mask(tmp_path / "mask.png", image_path=tmp_path, original_size=size, image_size=48).numpy()
    assert agrees(mask, read_image(tmp_path / "image.png", image_size=48, channels=1)[0].numpy())


@_MANY
@given(region=regions(), image_size=st.integers(16, 90), dark_is_bright=st.booleans())
def test_a_radiograph_and_its_box(tmp_path: Path, region, image_size, dark_is_bright):
    rows, columns = np.nonzero(region)
    box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    (tmp_path / "stage_2_train_images").mkdir(exist_ok=True)
    stored = 255 - region if dark_is_bright else region
    write_dicom(
        tmp_path / "stage_2_train_images" / "p.dcm",
        stored,
        PhotometricInterpretation="MONOCHROME1" if dark_is_bright else "MONOCHROME2",
    )
    write_table(tmp_path, [f"p,{','.join(str(float(side)) for side in box)},1"])
    sample = RsnaPneumonia(root=tmp_path, split="all", image_size=image_size)[0]
    assert agrees(sample.gt_masks[1].numpy(), sample.image[0].numpy())
