"""Train a decoder on a frozen classifier's own answers."""

import copy
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from time import perf_counter

import torch
from torch import Tensor
from tqdm import tqdm

from ...datasets import fingerprint
from ..augmentation import augmented
from ..fitted import FitRequest
from ..schedule import one_cycle
from .batches import VALIDATION, load_images, loaded, split_indices, step_indices, stream
from .finite import check_finite
from .judging import frozen_parameters, judge
from .network import MaskNetwork
from .optimizer import decoder_optimizer
from .passes import counted_passes
from .resume import Progress, load_state, save_state
from .settings import DecoderTraining
from .teachers import Teacher

_VALIDATIONS = 20
_VALIDATION_BATCH = 32
_WHAT = "the decoder's loss"


def train_decoder(
    network: MaskNetwork,
    teacher: Teacher,
    request: FitRequest,
    *,
    settings: DecoderTraining,
    seed: int,
    title: str,
) -> Progress:
    """Fit the decoder in place; the classifier is left as it is.

    A training that was killed and goes on from its checkpoint ends with the same bytes as one that was not; on a CPU,
    that is: a GPU sums in no fixed order, and no two trainings there are alike.

    Args:
        network: Decoder and smoothing, on the classifier's device.
        teacher: Judges masks by the frozen classifier's answers; it knows the data already (`Teacher.prepare`).
        request: Images to train on and to choose the best moment by; without the latter, some of the former are held
            out. Labels and annotated regions are not read.
        settings: How to train.
        seed: Seed of order, targets, fills and augmentation.
        title: What the progress bar says.

    Returns:
        The curve, and which step the network is from.

    Raises:
        InputError: If the loss becomes not a number; the checkpoint keeps the last good state.
    """
    checkpoint, started = request.checkpoint, perf_counter()
    device = teacher.classifier.device
    indices, held_out = _split(request, settings=settings, seed=seed)
    identity = fingerprint([request.identity, network.layers])
    optimizer = decoder_optimizer(network, settings)
    schedule = one_cycle(optimizer, learning_rate=settings.learning_rate, steps=settings.steps)
    state, best = Progress(), copy.deepcopy(network.state_dict())
    if checkpoint is not None and checkpoint.is_file():
        found = load_state(checkpoint, identity=identity, network=network, optimizer=optimizer, schedule=schedule)
        state, best = (state, best) if found is None else found
    epoch = teacher.epoch(indices)
    interval = max(1, settings.steps // _VALIDATIONS)
    recent: list[dict[str, float]] = []
    plan = (
        step_indices(epoch, batch_size=settings.batch_size, step=step, seed=seed)
        for step in range(state.step, settings.steps)
    )
    network.train()
    with (
        closing(loaded(request.dataset, plan, ahead=device.type == "cuda")) as batches,
        frozen_parameters(teacher.classifier),
        counted_passes(teacher.classifier, into=state),
        tqdm(
            total=settings.steps,
            initial=state.step,
            desc=title,
            unit="step",
            disable=not request.progress,
        ) as bar,
    ):
        while state.step < settings.steps and state.stale < settings.patience:
            generator = stream(seed, state.step)
            area_weight = _anneal(network, settings, state.step)
            images = augmented(next(batches).to(device), settings.augment, generator=generator)
            terms, has_area = judge(network, teacher, images, settings=settings, generator=generator)
            loss = terms.loss(area_weight=area_weight, leakage_weight=settings.leakage_weight, has_area=has_area)
            kept = f"; step {state.curve[-1]['step']} is kept in {checkpoint}" if checkpoint and state.curve else ""
            loss_now = float(loss.detach())
            check_finite(loss_now, what=_WHAT, step=state.step + 1, settings=settings, kept=kept)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            state.step += 1
            recent.append({"loss": loss_now, **terms.means()})
            bar.update()
            if state.step % interval and state.step < settings.steps:
                continue
            # Before, the network is not yet trained as it will be used.
            is_candidate = 2 * state.step >= settings.steps
            validation_loss = None
            if is_candidate:
                validation_loss = _validation_loss(network, teacher, held_out, settings=settings, seed=seed)
            check_finite(validation_loss or 0.0, what=_WHAT, step=state.step, settings=settings, kept=kept)
            _note(state, recent, validation_loss, area_weight=area_weight, is_candidate=is_candidate)
            recent = []
            if state.best_step == state.step:
                best = copy.deepcopy(network.state_dict())
            bar.set_postfix(_shown(state))
            if checkpoint is not None:
                save_state(
                    checkpoint,
                    identity=identity,
                    network=network,
                    best=best,
                    optimizer=optimizer,
                    schedule=schedule,
                    state=replace(state, earlier_seconds=state.earlier_seconds + perf_counter() - started),
                )
    network.load_state_dict(best)
    network.eval()
    return state


def _validation_loss(
    network: MaskNetwork, teacher: Teacher, held_out: list[Tensor], *, settings: DecoderTraining, seed: int
) -> float | None:
    """Loss on held-out images with the last weights and temperature, so that validations compare."""
    if not held_out:
        return None
    network.temperature.fill_(settings.temperatures[1])  # the next step sets its own
    network.eval()
    generator = stream(seed, VALIDATION)
    total = 0.0
    for images in held_out:
        with torch.no_grad():
            terms, has_area = judge(network, teacher, images, settings=settings, generator=generator)
        loss = terms.loss(
            area_weight=settings.area_weights[1], leakage_weight=settings.leakage_weight, has_area=has_area
        )
        total += float(loss) * len(images)
    network.train()
    return total / sum(len(images) for images in held_out)


def _note(
    state: Progress,
    recent: list[dict[str, float]],
    validation_loss: float | None,
    *,
    area_weight: float,
    is_candidate: bool,
) -> None:
    """Add a point to the curve, and mark the step as the best where it is; without validation the last one is."""
    means = {name: round(sum(terms[name] for terms in recent) / len(recent), 5) for name in recent[0]}
    shown = None if validation_loss is None else round(validation_loss, 5)
    weight = round(area_weight, 4)
    state.curve.append({"step": state.step, "area_weight": weight, **means, "validation_loss": shown})
    if not is_candidate:
        return
    if validation_loss is None or validation_loss < state.best_loss:
        state.best_step, state.stale = state.step, 0
        state.best_loss = state.best_loss if validation_loss is None else validation_loss
    else:
        state.stale += 1


def _shown(state: Progress) -> dict[str, float | None]:
    point = state.curve[-1]
    return {
        "loss": round(point["loss"], 3),
        "validation": point["validation_loss"],
        "area": point["area"],
        "kept": round(1 - point["preservation"], 3),
        "deleted": round(1 - point["deletion"], 3),
    }


def _anneal(network: MaskNetwork, settings: DecoderTraining, step: int) -> float:
    """Set the temperature of a step; returns its area weight."""
    rise = min(1.0, 2 * step / settings.steps)
    network.temperature.fill_(_between(settings.temperatures, rise))
    return _between(settings.area_weights, rise)


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share


def _split(request: FitRequest, *, settings: DecoderTraining, seed: int) -> tuple[Sequence[int], list[Tensor]]:
    """Indices to train on, and batches of images to validate on."""
    indices: Sequence[int] = range(len(request.dataset))
    if request.validation is None:
        source = request.dataset
        indices, held_out = split_indices(len(source), n_held_out=settings.validation_images, seed=seed)
    else:
        source = request.validation
        held_out = list(range(min(settings.validation_images, len(source))))
    batches = [held_out[start : start + _VALIDATION_BATCH] for start in range(0, len(held_out), _VALIDATION_BATCH)]
    return indices, [load_images(source, batch) for batch in batches]
