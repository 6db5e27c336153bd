"""Images kept in memory: read once, the same numbers, no regions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xaibench.datasets import Dataset, DatasetInfo, InMemory, MaskKind, Sample, Task
from xaibench.datasets.eight_bits import compact, restored


class Counted(Dataset):
    """Four images of 3 × 8 × 8 values, the odd ones of more than 256 levels; counts who is asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    @property
    def info(self) -> DatasetInfo:
        return DatasetInfo(
            name="counted",
            version="1",
            task=Task.MULTICLASS,
            output_names=("a", "b"),
            mask_kind=MaskKind.PIXEL,
            channels=3,
            image_size=(8, 8),
            license="none",
            citation="none",
            fingerprint="counted",
        )

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < 4:
            raise IndexError(index)
        self.asked.append(index)
        values = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(index))
        image = values if index % 2 else torch.round(values * 255) / 255
        region = torch.ones(2, 8, 8, dtype=torch.bool)
        return Sample(sample_id=f"s{index}", image=image, outputs=torch.eye(2)[index % 2], gt_masks=region)


@settings(deadline=None, max_examples=60)
@given(values=arrays(np.float32, (1, 8, 8), elements=st.floats(0, 1, width=32)))
def test_any_image_comes_back_bit_for_bit(values):
    image = torch.from_numpy(values)
    back = restored(compact(image))
    assert back.dtype == torch.float32
    assert torch.equal(back, image)


def test_all_256_values_take_a_byte_each():
    image = torch.arange(256, dtype=torch.float32).reshape(1, 16, 16) / 255
    assert compact(image).dtype == torch.uint8
    assert torch.equal(restored(compact(image)), image)


def test_samples_are_those_of_the_dataset_but_for_their_regions():
    plain, kept = Counted(), InMemory(Counted())
    assert len(kept) == 4
    assert kept.info == plain.info
    assert torch.equal(kept.outputs(), plain.outputs())
    for _ in range(2):
        for index in range(4):
            wanted, found = plain[index], kept[index]
            assert found.sample_id == wanted.sample_id
            assert torch.equal(found.image, wanted.image)
            assert torch.equal(found.outputs, wanted.outputs)
            assert found.gt_masks is None
    with pytest.raises(IndexError):
        kept[4]


def test_every_image_is_read_once():
    dataset = Counted()
    kept = InMemory(dataset)
    for index in (2, 0, 2, 0, 3, 3):
        kept[index]
    assert dataset.asked == [2, 0, 3]


def test_images_that_find_no_room_are_read_each_time():
    dataset = Counted()
    # Room for one image of bytes; one of floats takes four times as much.
    kept = InMemory(dataset, max_bytes=3 * 8 * 8)
    for index in (1, 0, 2, 1, 0, 2):
        kept[index]
    assert dataset.asked == [1, 0, 2, 1, 2]
