"""One batch, judged: masks are made, pixels removed, the classifier asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from ..memory_layout import to_device
from .levels import draw_levels, level_masks
from .network import MaskNetwork
from .objective import ObjectiveTerms
from .patterns import draw_patterns
from .removal import draw_removals
from .settings import DecoderTraining
from .teachers import Teacher


def judge(
    network: MaskNetwork,
    teacher: Teacher,
    images: Tensor,
    *,
    settings: DecoderTraining,
    generator: torch.Generator,
) -> tuple[ObjectiveTerms, Tensor]:
    """Masks of a batch and what they do to the classifier's answers.

    Args:
        network: Makes the masks.
        teacher: Judges them.
        images: (B, C, H, W) in [0, 1], on any device.
        settings: How to train.
        generator: Source of all randomness, on the CPU.

    Returns:
        The terms, and bool (B,): whose area counts.
    """
    classifier = teacher.classifier
    device = classifier.device
    images = to_device(images, device, learns=False)
    network.smooth.generator = generator
    is_mixed = settings.mixed_precision and device.type == "cuda"
    # Masks and scores become float32 before anything is compared.
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_mixed):
        features, question = teacher.ask(images, layers=network.layers, generator=generator)
        logits = network.logits(features, question.masks_asked, images=images).float()
        drawn = torch.rand(len(images), generator=generator) < settings.ranking_share
        # What is absent has no evidence to rank.
        is_ranked = drawn.to(device) & question.present
        levels = draw_levels(len(images), generator).to(device)
        ranking = level_masks(logits, levels, softness=settings.level_softness)
        masks = torch.where(is_ranked[:, None, None], ranking, network.masks(logits))
        fill, removals = draw_removals(
            images,
            names=settings.removals,
            mean_color=classifier.mean,
            weaker=question.weaker,
            silences=partial(teacher.silenced, question),
            generator=generator,
        )
        by_pattern = teacher.wants_pattern(question, removals)
        if not by_pattern.any():
            return teacher.terms(question, images=images, masks=masks, fill=fill), ~is_ranked
        patterns = draw_patterns(images, logits=logits, weaker=question.weaker, generator=generator)
        fill = torch.where(by_pattern[:, None, None, None], patterns, fill)
        terms = teacher.terms(question, images=images, masks=masks, fill=to_device(fill, device, learns=False))
        # Amid a pattern that speaks for something else no small region holds a class that nothing speaks for.
        return replace(terms, preservation=terms.preservation * ~by_pattern), ~is_ranked


@contextmanager
def frozen_parameters(module: nn.Module) -> Iterator[None]:
    """Spare the gradients of parameters inside the block, and switch them back on as they were."""
    switches = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    try:
        for parameter, _ in switches:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter, requires_grad in switches:
            parameter.requires_grad_(requires_grad)
