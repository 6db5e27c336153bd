"""A decoder, or several of which one is made."""

from collections.abc import Callable
from typing import Any

from ...datasets import fingerprint
from ..fitted import FitRequest
from ..randomness import seeded
from .distillation import distil
from .network import MaskNetwork
from .passes import counted_passes
from .resume import Progress
from .settings import DecoderTraining
from .teachers import Teacher
from .training import train_decoder

# Seeds of the global generators end here.
_SEEDS = 2**32


def train_ensemble(
    build: Callable[[], MaskNetwork],
    teacher: Teacher,
    request: FitRequest,
    *,
    settings: DecoderTraining,
    seed: int,
) -> tuple[MaskNetwork, dict[str, Any]]:
    """Train as many decoders as the settings say, each with a seed of its own, and make one of them.

    A fit that was killed goes on with the member it was at; members that were done are not trained again.

    Args:
        build: Gives an untrained decoder on the classifier's device; the global generators decide its weights.
        teacher: As in `train_decoder`.
        request: As there. Each of several members keeps what is unfinished in a file of its own beside the checkpoint.
        settings: How to train, and how many members.
        seed: Seed of everything. Members have the seeds members · seed, + 1, …, modulo 2^32: fits with as many members
            and other seeds below 2^32 / members have none in common.

    Returns:
        The trained decoder, and facts for the record: curve, passes, seconds of killed calls, which step is kept, and
        what the teacher found. With several members the curve has the points of each, with its number, and then those
        of the distillation, and ``member_fits`` their seeds and which step each is from.

    Raises:
        InputError: As in `train_decoder`.
    """
    preparation = Progress()
    with counted_passes(teacher.classifier, into=preparation):
        teacher.prepare(request.dataset, progress=request.progress)
    if settings.members == 1:
        network = build()
        state = train_decoder(network, teacher, request, settings=settings, seed=seed, title="fitting decoder")
        return network, {
            "curve": state.curve,
            "best_step": state.best_step,
            "fit_forward_passes": preparation.forward_passes + state.forward_passes,
            "earlier_seconds": state.earlier_seconds,
            **teacher.facts(),
        }
    seeds = [(settings.members * seed + member) % _SEEDS for member in range(settings.members)]
    members, states = [], []
    for member, own_seed in enumerate(seeds, start=1):
        with seeded(own_seed):
            members.append(build())
        title = f"fitting decoder {member} of {settings.members}"
        states.append(
            train_decoder(members[-1], teacher, request.part(member), settings=settings, seed=own_seed, title=title)
        )
    joined_seed = _joined_seed(seed, settings.members)
    with seeded(joined_seed):
        network = build()
    joined = distil(network, members, teacher, request, settings=settings, seed=joined_seed)
    points = [{"member": member, **point} for member, state in enumerate(states, start=1) for point in state.curve]
    return network, {
        "curve": points + joined.curve,
        "member_fits": [
            {"seed": own_seed, "best_step": state.best_step} for own_seed, state in zip(seeds, states, strict=True)
        ],
        "fit_forward_passes": sum(state.forward_passes for state in (preparation, *states, joined)),
        "earlier_seconds": sum(state.earlier_seconds for state in states),
        **teacher.facts(),
    }


def _joined_seed(seed: int, n_members: int) -> int:
    """Seed of the decoder that learns the mean; with a member's own it would start from that one's first weights."""
    return int(fingerprint({"joined": n_members, "seed": seed})[:8], 16)
