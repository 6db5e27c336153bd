"""Procedural frontal chest radiographs with exact ground truth."""

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..catalog import closest_match
from ..dataset import Dataset, Split
from ..errors import InputError
from ..hashing import fingerprint
from ..image_files import check_image_size
from ..sample import DatasetInfo, MaskKind, Sample
from .case_mix import RadiographTask, make_mix
from .draw_findings import draw_findings
from .findings import FINDINGS
from .scene import Radiograph, draw_radiograph, render_radiograph
from .shortcut import make_shortcut

GENERATOR_VERSION = "1"
"""Version of the images; a change of this number means that every stored score has lost its input."""

_STREAMS = {"train": 0, "val": 1, "test": 2}


class SyntheticRadiographs(Dataset):
    """Frontal chest radiographs in which only the findings tell the labels.

    Chest, heart, bones, vessels, exposure, noise, side markers and lines are drawn alike for every label. A sample
    depends on seed, split, index and settings only, never on ``n_images``, and the same chest is rendered at every
    ``image_size``. Images have one channel.
    """

    def __init__(
        self,
        *,
        task: RadiographTask = "pathology",
        split: Split = "test",
        n_images: int = 500,
        image_size: int = 128,
        finding_types: tuple[str, ...] = FINDINGS,
        normals: bool | None = None,
        shortcut: float | None = None,
        shortcut_to: str | None = None,
        regions: Literal["findings", "shortcut"] = "findings",
        seed: int = 0,
    ) -> None:
        """Describe the images; they are made when asked for.

        Args:
            task: ``pathology``: one finding or none, multiclass. ``findings``: up to three different ones, multilabel.
                ``severity``: up to four consolidations and effusions, and one output, a regression: the share of the
                lungs (as far as no heart hides them) that is affected; its region is what is affected.
            split: ``train``, ``val`` or ``test``: streams without a common sample.
            n_images: Number of images.
            image_size: Height and width in pixels, at least 16; small nodules need 64.
            finding_types: Findings to draw, each about equally often; the outputs, in this order.
            normals: Whether there are images without a finding; None: yes, except for severity. In ``pathology`` they
                are a class of their own, ``no_finding``, which has no region: nothing in the image is its evidence, so
                localization has no score there. False leaves class and images away.
            shortcut: Strength from 0 to 1 with which a lead token in a lower corner goes with a label; 0: it lies on
                half of all images by chance; 1: on all positive ones and no other; None: there are no tokens.
            shortcut_to: The finding that the token goes with; None for the first one. In ``severity`` it goes with
                images of which more than a fifth of the lungs is affected.
            regions: What is annotated: ``findings``, or ``shortcut``: the token, as the region of every output, so that
                localization scores say how much of an explanation lies on it.
            seed: Seed of every image.

        Raises:
            InputError: If a setting cannot be used.
        """
        if split not in _STREAMS:
            hint = closest_match(split, list(_STREAMS))
            raise InputError(
                f"split {split!r} of synthetic_radiographs, whose images are generated without end; {hint}"
            )
        if n_images < 1:
            raise InputError(f"n_images is {n_images}; wanted at least 1")
        check_image_size(image_size)
        if seed < 0:
            raise InputError(f"seed is {seed}; wanted 0 or more")
        if regions not in ("findings", "shortcut"):
            raise InputError(f"regions is {regions!r}; wanted findings or shortcut")
        self._mix = make_mix(task, finding_types=finding_types, normals=normals, seed=seed, stream=_STREAMS[split])
        self._shortcut = make_shortcut(self._mix, strength=shortcut, finding=shortcut_to)
        if regions == "shortcut" and self._shortcut is None:
            raise InputError("regions is 'shortcut' but there is none; set shortcut to a strength from 0 to 1")
        self._n_images, self._image_size, self._regions = n_images, image_size, regions
        self._id = f"{split}-{seed}"
        settings = {
            "dataset": "synthetic_radiographs",
            "generator": GENERATOR_VERSION,
            "task": task,
            "split": split,
            "n_images": n_images,
            "image_size": image_size,
            "finding_types": list(finding_types),
            "normals": self._mix.normals,
            "shortcut": None if self._shortcut is None else [self._shortcut.strength, self._shortcut.finding],
            "regions": regions,
            "seed": seed,
        }
        self._info = DatasetInfo(
            name="synthetic_radiographs",
            version=GENERATOR_VERSION,
            task=self._mix.outputs_task,
            output_names=self._mix.output_names,
            mask_kind=MaskKind.PIXEL,
            channels=1,
            image_size=(image_size, image_size),
            license="MIT",
            citation="xaibench, procedural images, generator version " + GENERATOR_VERSION,
            fingerprint=fingerprint(settings),
            notes=("regions are those of the shortcut's token",) if regions == "shortcut" else (),
        )

    @property
    def info(self) -> DatasetInfo:
        """Facts about the images."""
        return self._info

    def __len__(self) -> int:
        """Number of images."""
        return self._n_images

    def __getitem__(self, index: int) -> Sample:
        """Make one image, its outputs and its masks."""
        radiograph = self.radiograph(index)
        rendered = render_radiograph(radiograph, self._image_size)
        names = self._mix.names_of(index)
        severity = 0.0
        if self._mix.task == "severity":
            severity = _affected_share(radiograph, rendered.regions, self._image_size)
        gt_masks = np.zeros((len(self._info.output_names), *rendered.image.shape), dtype=np.bool_)
        if self._regions == "shortcut":
            gt_masks[:] = False if rendered.marker is None else rendered.marker
        else:
            for name, region in zip(names, rendered.regions, strict=True):
                gt_masks[self._output_of(name)] |= region
        return Sample(
            sample_id=f"{self._id}-{index:06d}",
            image=torch.from_numpy(rendered.image[None]),
            outputs=self._outputs_of(names, severity),
            gt_masks=torch.from_numpy(gt_masks),
        )

    def radiograph(self, index: int) -> Radiograph:
        """Parameters of one image, for those who render it otherwise.

        Args:
            index: Position, 0 <= index < len(self).

        Raises:
            IndexError: If there is no such position.
        """
        if not 0 <= index < self._n_images:
            raise IndexError(f"index {index} of {self._n_images} images")
        mix, names = self._mix, self._mix.names_of(index)
        healthy = draw_radiograph(mix.generator("scene", index))
        findings = draw_findings(mix.generator("drawing", index), names, healthy.thorax)
        radiograph = replace(healthy, findings=findings)
        if self._shortcut is None:
            return radiograph
        severity = self._severity_of(radiograph) if mix.task == "severity" else 0.0
        positive = self._shortcut.is_positive(names, severity)
        return replace(radiograph, marker=self._shortcut.draw(mix.generator("shortcut", index), positive=positive))

    def outputs(self) -> Tensor:
        """Outputs of every sample, float32 (N, K), without rendering an image."""
        rows = []
        for index in range(self._n_images):
            severity = self._severity_of(self.radiograph(index)) if self._mix.task == "severity" else 0.0
            rows.append(self._outputs_of(self._mix.names_of(index), severity))
        return torch.stack(rows)

    def _outputs_of(self, names: tuple[str, ...], severity: float) -> Tensor:
        if self._mix.task == "severity":
            return torch.tensor([severity], dtype=torch.float32)
        outputs = torch.zeros(len(self._info.output_names))
        for name in names:
            outputs[self._output_of(name)] = 1.0
        if not names and self._mix.task == "pathology":
            outputs[0] = 1.0
        return outputs

    def _output_of(self, name: str) -> int:
        return 0 if self._mix.task == "severity" else self._info.output_names.index(name)

    def _severity_of(self, radiograph: Radiograph) -> float:
        chest = radiograph.chest(self._image_size)
        regions = [finding.render(chest).region for finding in radiograph.findings]
        return _affected_share(radiograph, regions, self._image_size)


def _affected_share(radiograph: Radiograph, regions: list[NDArray[np.bool_]], size: int) -> float:
    field = radiograph.chest(size).field
    affected = np.any([np.zeros_like(field), *regions], axis=0)
    return float((affected & field).sum() / field.sum())
