"""The interface of every dataset."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor

from .sample import DatasetInfo, Sample

Split = Literal["train", "val", "test", "all"]


class Dataset(ABC):
    """A finite, ordered, lazily loaded collection of samples.

    Subclasses load one sample at a time in ``__getitem__`` so that memory does not grow with the number of images, and
    check in ``__init__`` what can be checked without decoding images. Constructor arguments after the first are
    keyword-only, typed, and become the keys of ``params`` in a suite file. A position always gives the same sample,
    whichever thread or process asks for it; of one object, one thread at a time does.
    """

    @property
    @abstractmethod
    def info(self) -> DatasetInfo:
        """Facts about the dataset, its fingerprint included."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """Load one sample.

        Args:
            index: Position, 0 <= index < len(self).

        Raises:
            IndexError: If there is no such position.
            InputError: If a file behind the sample cannot be used; the message names the file.
        """

    def outputs(self) -> Tensor:
        """Outputs of every sample, float32 (N, K).

        Datasets that know their labels without decoding images override this.
        """
        return torch.stack([self[index].outputs for index in range(len(self))])
