"""A decoder, or several of which one is made."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..fitted import FitRequest
from ..randomness import seeded
from .distillation import distil
from .network import MaskNetwork
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
        seed: Seed of everything. Fits with the same number of members and other seeds have no member in common.

    Returns:
        The trained decoder, and facts for the record: curve, passes, and which step is kept. With several members the
        curve has the points of each, with its number, and then those of the distillation.

    Raises:
        InputError: As in `train_decoder`.
    """
    teacher.prepare(request.dataset)
    if settings.members == 1:
        network = build()
        state = train_decoder(network, teacher, request, settings=settings, seed=seed, title="fitting decoder")
        return network, {
            "curve": state.curve,
            "best_step": state.best_step,
            "fit_forward_passes": state.forward_passes,
        }
    seeds = [(settings.members * seed + member) % _SEEDS for member in range(settings.members)]
    requests = [_request_of(member, request) for member in range(settings.members)]
    members, states = [], []
    for member, (own_seed, own_request) in enumerate(zip(seeds, requests, strict=True), start=1):
        with seeded(own_seed):
            members.append(build())
        title = f"fitting decoder {member} of {settings.members}"
        states.append(train_decoder(members[-1], teacher, own_request, settings=settings, seed=own_seed, title=title))
    # From new weights: one that starts as a member stays nearer to it on images that are unlike those of the fit.
    with seeded(seed):
        network = build()
    distilled = distil(network, members, teacher, request, settings=settings, seed=seed)
    for own_request in requests:
        if own_request.checkpoint is not None:
            own_request.checkpoint.unlink(missing_ok=True)
    points = [{"member": member, **point} for member, state in enumerate(states, start=1) for point in state.curve]
    return network, {
        "curve": points + distilled.curve,
        "members": [
            {"seed": own_seed, "best_step": state.best_step} for own_seed, state in zip(seeds, states, strict=True)
        ],
        "fit_forward_passes": sum(state.forward_passes for state in (*states, distilled)),
    }


def _request_of(member: int, request: FitRequest) -> FitRequest:
    """The request of one of several members: its unfinished state is no other's."""
    whole = request.checkpoint
    own = None if whole is None else whole.with_name(f"{whole.name}.{member + 1}")
    return replace(request, checkpoint=own, identity=f"{request.identity}, member {member + 1}")
