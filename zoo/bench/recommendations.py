"""Recommendations: what the rates say one should play with, and what must not be taken unasked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from atari_zoo.bench.cases import EXACT, PLAY, BenchCase, CaseRate, rate_of
from atari_zoo.bench.contenders import BenchAgent
from atari_zoo.bench.groups import COMPUTE, RECORDED, SETTINGS, Usual
from atari_zoo.bench.results import GroupRates, Throughput, fastest_play
from atari_zoo.play.groups import split
from atari_zoo.play.inference import Inference
from atari_zoo.play.int8_models import kept_int8
from atari_zoo.play.plans import INT8
from atari_zoo.play.tuned import TunedSettings, architecture_of, libraries

ENOUGH = 0.95  # of the fastest: fewer environments are as good
WORTH = 1.03  # times as fast, and faster in each turn: less may be chance
DRAWS = 8  # of observations, on which other groups must give the same outputs
Same = Callable[[BenchCase, BenchCase], bool]


def recommended(result: Throughput, agent: BenchAgent, usual: Usual, same: Same) -> Throughput:
    """The result with what it recommends.

    same: whether two cases of play give the same to the last bit.
    """
    settings = [
        found
        for group in result.groups
        if (found := _settings(group, result.machine, agent, usual, same)) is not None
    ]
    envs = _enough(fastest_play(result.groups))
    computing = _of_computing(result, agent)
    advice = [*_of_envs(result, envs), *map(_of_settings, settings), *computing]
    return replace(result, envs=envs, settings=tuple(settings), advice=tuple(advice))


def same_outputs(agent: BenchAgent, usual: Usual) -> Same:
    """Tells whether the network gives the same outputs, bit for bit, however it is asked: sums of
    other batches may be taken in another order."""

    def same(one: BenchCase, other: BenchCase) -> bool:
        if one.groups == other.groups:
            return True
        generator = torch.Generator().manual_seed(0)
        inference = Inference(agent.network, dtype=usual.dtype, backend=usual.backend)
        with torch.inference_mode():
            for _ in range(DRAWS):
                shape = (one.envs, *agent.network.shape)
                seen = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
                parts = [_outputs(inference, seen, case.groups) for case in (one, other)]
                if not torch.equal(*parts):
                    return False
        return True

    return same


def _outputs(inference: Inference, seen: torch.Tensor, groups: int) -> torch.Tensor:
    shares = [seen[share].to(inference.device) for share in split(len(seen), groups)]
    return torch.cat([inference(share)[0].clone() for share in shares])


def _settings(
    group: GroupRates, machine: str, agent: BenchAgent, usual: Usual, same: Same
) -> TunedSettings | None:
    """The fastest settings of a group that leave play as it is; without any if that is the usual
    ones; None where no others were tried."""
    what = {SETTINGS: PLAY, RECORDED: EXACT}.get(group.kind)
    some = [rate for rate in group.rates if rate.case.what == what]
    if len(some) < 2 or (usual.backend, usual.dtype) != _without_options(usual):
        return None
    first, *others = some
    better = [
        rate
        for rate in others
        if rate.gain(first) >= WORTH and rate.always_faster(first) and same(first.case, rate.case)
    ]
    best = max(better, key=lambda rate: rate.gain(first), default=first)
    case, there = best.case, first.case
    return TunedSettings(
        machine,
        architecture_of(agent.network),
        agent.game.name,
        case.envs,
        what == EXACT,
        None if case.groups == there.groups else case.groups,
        None if case.threads == there.threads else case.threads,
        best.gain(first),
        libraries(),
    )


def _without_options(usual: Usual) -> tuple[str, str]:
    """What is tuned: play in float32 by what computes if nobody says otherwise."""
    return usual.automatic, "float32"


def _enough(rates: Sequence[CaseRate]) -> int:
    """The fewest environments that play nearly as fast as any; 0 without any."""
    most = max((rate.rate for rate in rates), default=0.0)
    return min((r.case.envs for r in rates if r.rate >= ENOUGH * most), default=0)


def _of_envs(result: Throughput, envs: int) -> list[str]:
    found = [rate for rate in fastest_play(result.groups) if rate.case.envs == envs]
    if not found:
        return []
    words = f"--envs {envs} plays fastest, or nearly so, with {found[0].rate:,.0f} steps/s"
    return [f"{words}; with other environments other games are played: nothing takes it unasked"]


def _of_settings(found: TunedSettings) -> str:
    kind = "record from exact screens" if found.exact else "play"
    where = f"to {kind} in {found.envs} environments"
    if not found.words:
        return f"{where}: the usual settings, nothing was surely faster"
    return f"{where}: {found.words}, {found.gain:.2f} times as fast, and the same to the last bit"


def _of_computing(result: Throughput, agent: BenchAgent) -> list[str]:
    """Backends and precisions that are faster than the usual, which change what is computed; of
    int8, how often it chooses alike."""
    lines = []
    for group in result.groups:
        first = rate_of(group.rates, group.rates[0].case.what)
        if group.kind != COMPUTE or first is None:
            continue
        best = max(group.rates, key=lambda rate: rate.gain(first))
        if best.gain(first) >= WORTH and best.always_faster(first):
            lines.append(
                f"--backend {best.case.backend} --dtype {best.case.dtype}: the network alone "
                f"{best.gain(first):.2f} times as fast in batches of {best.case.batch}; other "
                "numbers come of it, so that nothing takes it unasked"
            )
            if best.case.dtype == INT8:
                lines.append(kept_int8(agent.network).words)
    return lines
