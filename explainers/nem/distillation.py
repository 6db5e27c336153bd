"""Teach one decoder what several agree on."""

from collections.abc import Sequence
from contextlib import closing
from statistics import fmean

import torch
from torch import Tensor
from tqdm import tqdm

from ..augmentation import AugmentName, augmented
from ..fitted import FitRequest
from ..memory_layout import to_device
from ..schedule import one_cycle
from .batches import loaded, step_indices, stream
from .finite import check_finite
from .judging import frozen_parameters
from .network import MaskNetwork
from .optimizer import decoder_optimizer
from .passes import counted_passes
from .resume import Progress
from .settings import DecoderTraining
from .teachers import Teacher

_POINTS = 20
# Members answer about any image, so that images may be varied more widely than in their own training, where the
# classifier must know them: on photographs of another camera, too, what is made of them is to be their mean.
_WIDER: dict[AugmentName, AugmentName] = {"photo": "camera"}


def distil(
    student: MaskNetwork,
    members: Sequence[MaskNetwork],
    teacher: Teacher,
    request: FitRequest,
    *,
    settings: DecoderTraining,
    seed: int,
) -> Progress:
    """Fit one decoder in place to the mean of the logits of others; no pixel is removed, and no score enters the loss.

    Args:
        student: Learns, on the classifier's device.
        members: What it learns from, trained, of the same classifier; at least one.
        teacher: Says what is asked about an image, as in the training of the members.
        request: Images to learn on; none are held out.
        settings: Steps, batch size, optimizer and augmentation; ``photo`` becomes ``camera``.
        seed: Seed of order, targets and augmentation.

    Returns:
        The curve: mean squared distance of the logits per twentieth of the steps.

    Raises:
        InputError: If the loss becomes not a number.

    References:
        Hinton et al., 2015, «Distilling the knowledge in a neural network». Deviates from it: logits of masks are
        compared, not softened answers.
    """
    classifier = teacher.classifier
    device = classifier.device
    optimizer = decoder_optimizer(student, settings)
    schedule = one_cycle(optimizer, learning_rate=settings.learning_rate, steps=settings.steps)
    epoch = teacher.epoch(range(len(request.dataset)))
    plan = (step_indices(epoch, batch_size=settings.batch_size, step=step, seed=seed) for step in range(settings.steps))
    variation = _WIDER.get(settings.augment, settings.augment)
    interval = max(1, settings.steps // _POINTS)
    state, recent = Progress(), list[float]()
    for member in members:
        member.eval()
    student.train()
    student.smooth.eval()  # what is random there in training is not to be learned
    with (
        closing(loaded(request.dataset, plan, ahead=device.type == "cuda")) as batches,
        frozen_parameters(classifier),
        counted_passes(classifier, into=state),
        tqdm(total=settings.steps, desc="joining decoders", unit="step", disable=not request.progress) as bar,
    ):
        for batch in batches:
            generator = stream(seed, state.step)
            images = to_device(augmented(batch.to(device), variation, generator=generator), device, learns=False)
            loss = _distance(student, members, teacher, images, settings=settings, generator=generator)
            loss_now = float(loss.detach())
            check_finite(loss_now, what="the joined decoder's loss", step=state.step + 1, settings=settings)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            state.step += 1
            recent.append(loss_now)
            bar.update()
            if state.step % interval == 0 or state.step == settings.steps:
                state.curve.append({"step": state.step, "distance": round(fmean(recent), 5)})
                bar.set_postfix(distance=state.curve[-1]["distance"])
                recent = []
    student.eval()
    return state


def _distance(
    student: MaskNetwork,
    members: Sequence[MaskNetwork],
    teacher: Teacher,
    images: Tensor,
    *,
    settings: DecoderTraining,
    generator: torch.Generator,
) -> Tensor:
    is_mixed = settings.mixed_precision and images.device.type == "cuda"
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=is_mixed):
        features, question = teacher.ask(images, layers=student.layers, generator=generator)
        with torch.no_grad():
            agreed = torch.stack([m.logits(features, question.masks_asked, images=images).float() for m in members])
        found = student.logits(features, question.masks_asked, images=images).float()
    return (found - agreed.mean(dim=0)).square().mean()
