"""Fits that are killed."""

import pytest
import torch

from xaibench.explainers.nem import training


class Killed(BaseException):
    """What a kill looks like from inside."""


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Let a fit be killed at the given step, counted over all fits; returns the steps begun so far."""
    steps: list[int] = []
    judge_unharmed = training.judge

    def judge(*arguments, **named):
        if torch.is_grad_enabled():
            steps.append(1)
            if len(steps) == number:
                raise Killed
        return judge_unharmed(*arguments, **named)

    monkeypatch.setattr(training, "judge", judge)
    return steps
