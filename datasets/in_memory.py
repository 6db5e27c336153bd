"""Images that are asked for again and again, read once."""

from dataclasses import dataclass, replace

from torch import Tensor

from .dataset import Dataset
from .eight_bits import compact, restored
from .sample import DatasetInfo, Sample

_MAX_BYTES = 2**30


@dataclass(frozen=True)
class _Kept:
    sample_id: str
    image: Tensor
    outputs: Tensor


class InMemory(Dataset):
    """A dataset without its annotated regions, whose images stay in memory after they were loaded, as far as they fit.

    For trainings, which see every image many times and no region ever. What comes out is bit for bit what went in.
    """

    def __init__(self, dataset: Dataset, *, max_bytes: int = _MAX_BYTES) -> None:
        """Wrap a dataset; nothing is loaded yet.

        Args:
            dataset: Where samples come from.
            max_bytes: Memory for images; those that find no room are loaded each time.
        """
        self._dataset, self._room = dataset, max_bytes
        self._kept: dict[int, _Kept] = {}

    @property
    def info(self) -> DatasetInfo:
        """Facts about the wrapped dataset."""
        return self._dataset.info

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        """The sample without regions, from memory or else from the wrapped dataset."""
        kept = self._kept.get(index)
        if kept is not None:
            return Sample(sample_id=kept.sample_id, image=restored(kept.image), outputs=kept.outputs)
        sample = replace(self._dataset[index], gt_masks=None)
        if sample.image.numel() <= self._room:  # else not even a byte a value finds room
            image = compact(sample.image)
            if image.nbytes <= self._room:
                self._room -= image.nbytes
                self._kept[index] = _Kept(sample.sample_id, image, sample.outputs)
        return sample

    def outputs(self) -> Tensor:
        """Outputs of every sample, as the wrapped dataset knows them."""
        return self._dataset.outputs()
