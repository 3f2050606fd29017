"""Kept environments: those of one rollout serve the next that plays the same game alike.

To open a game takes a tenth of a second for each copy, longer than many a short rollout plays; a
seed begins an open one anew, exactly as a new one would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from typing import NamedTuple

import torch

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.environments import Environments


class _Form(NamedTuple):
    """What environments are alike in."""

    game: Cartridge
    copies: int
    preprocessing: Preprocessing
    device: torch.device
    threads: int
    apart: bool


Resting = dict[_Form, list[Environments]]
_RESTING: ContextVar[Resting | None] = ContextVar("resting environments", default=None)


@contextmanager
def environments_kept(anew: bool = False) -> Iterator[None]:
    """While it is open, environments stay open for what is played next; then all are closed.

    Those of one game at a time. anew: not those that an outer one keeps, but own ones, as a thread
    beside others must have.
    """
    if _RESTING.get() is not None and not anew:  # an outer one keeps them
        yield
        return
    resting: Resting = {}
    token = _RESTING.set(resting)
    try:
        yield
    finally:
        _RESTING.reset(token)
        for environments in chain.from_iterable(resting.values()):
            environments.close()


@contextmanager
def lent_environments(
    game: Cartridge,
    count: int,
    preprocessing: Preprocessing,
    device: torch.device,
    threads: int = 0,
    raw: bool = False,
    apart: bool = False,
) -> Iterator[Environments]:
    """Environments, arguments as theirs, to be seeded by a reset; those that rest, if there are.

    Raw ones are always new: their palette has all colours that they ever showed.
    """
    form = _Form(game, count, preprocessing, device, threads, apart)
    resting = None if raw else _RESTING.get()
    for other in [other for other in resting or {} if other.game != game]:
        for environments in (resting or {}).pop(other):
            environments.close()
    rested = (resting or {}).get(form)
    environments = (
        rested.pop()
        if rested
        else Environments(game, count, preprocessing, device, threads, raw=raw, apart=apart)
    )
    try:
        yield environments
    except BaseException:
        environments.close()  # perhaps in the middle of a step
        raise
    if resting is None:
        environments.close()
    else:
        resting.setdefault(form, []).append(environments)
