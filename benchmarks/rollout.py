"""Agent steps a second of `zoo.rollout`, beside the emulator's ceiling and whatever else one would
play an agent with; what recording costs; and how often bfloat16 acts as float32 does.

`atari-zoo bench` measures the same on any machine; here its rates are rows.

    python benchmarks/rollout.py --quick
    python benchmarks/rollout.py --envs 64 --device cuda
    python benchmarks/rollout.py --quick --only recording profile
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product

import torch
from rows import Row, arguments, row, show, until

import atari_zoo as zoo
from atari_zoo.bench.agents import bench_network
from atari_zoo.bench.cases import BOUND, EMULATOR, IDLE, NETWORK, PLAY, CaseRate
from atari_zoo.bench.contenders import BenchAgent
from atari_zoo.bench.groups import (
    BenchGroup,
    peer_group,
    play_case,
    reach_group,
    recording_group,
    rest_group,
)
from atari_zoo.bench.measuring import measured_groups, usual_of
from atari_zoo.bench.options import BenchOptions
from atari_zoo.bench.peers import ENV_POOL
from atari_zoo.machines import this_machine
from atari_zoo.play.inference import Inference

GAMES = ("Seaquest", "Pong", "Breakout")
AGENTS = ("a2c/Pong/1", "rainbow/Seaquest/1")
FEW = 8  # environments
LONG = 60.0  # minutes, in which any of these groups is measured
# what the rows call the things that bench measures
NAMES = {
    EMULATOR: "AtariVectorEnv alone",
    NETWORK: "the network alone",
    BOUND: "bound of the two alone",
}
Rates = Sequence[CaseRate]


def rates(agent: BenchAgent, group: BenchGroup, quick: bool) -> Rates:
    """A group's, in slices of half a second, or of one."""
    options = BenchOptions(minutes=1.5 if quick else LONG)
    (found,) = measured_groups(agent, [group], options, lambda line: print(line, file=sys.stderr))
    return found.rates


def peers(agent: BenchAgent, envs: int, quick: bool) -> Iterator[Row]:
    """All contenders on one game, by turns; play in other precisions and by torch among them."""
    machine, usual = this_machine(agent.device), usual_of(agent, BenchOptions())
    case = play_case(envs, usual)
    others = [replace(case, backend="torch", groups=1)]
    others += [replace(others[0], dtype=name) for name in machine.precisions if name == "bfloat16"]
    reach, beside = reach_group(envs, machine, usual), peer_group(envs, machine, usual)
    cases = *beside.cases[1:], *others
    if quick and envs > FEW:  # the others take longer to open than there is time
        cases = tuple(case for case in cases if case.what == ENV_POOL)
    group = replace(reach, cases=(*reach.cases, *cases))
    found = rates(agent, group, quick)
    play, *variants = [rate for rate in found if rate.case.what == PLAY]
    words = f"{agent.game.name}, {envs} envs, {agent.device.type}"
    for peer in found:
        if peer.case.what != PLAY:
            yield compared(words, play, peer)
    for variant in variants:
        kind = f"{words}, {variant.case.dtype}, {variant.case.backend}"
        for peer in found:
            if peer.case.what in (EMULATOR, ENV_POOL):
                yield compared(kind, variant, peer)


def compared(case: str, ours: CaseRate, theirs: CaseRate) -> Row:
    """A row of two rates."""
    peer = NAMES.get(theirs.case.what, theirs.case.what)
    return row("rollout", case, peer, ours.slices, theirs.slices, "steps/s")


def recording(agent: BenchAgent, envs: int, quick: bool) -> Iterator[Row]:
    """What recording everything costs."""
    group = recording_group(envs, usual_of(agent, BenchOptions()))
    exact, *_, everything = rates(agent, group, quick)
    case = f"{agent.game.name}, {envs} envs, {agent.device.type}, recording everything"
    yield replace(compared(case, everything, exact), peer="playing with exact screens")


def profile(agent: BenchAgent, envs: int, quick: bool) -> Iterator[Row]:
    """Where the processor's time goes; on CUDA it is not the processor's that counts."""
    if agent.device.type != "cpu":
        return
    group = rest_group(envs, this_machine(), usual_of(agent, BenchOptions()))
    spent = {rate.case.what: rate.processor or 0.0 for rate in rates(agent, group, quick)}
    case = f"{agent.game.name}, {envs} envs, processor's time of a step"
    for what, peer in ((EMULATOR, NAMES[EMULATOR]), (IDLE, "a network that does nothing")):
        yield row("rollout", case, peer, [spent[PLAY]], [spent[what]], "ms")


def agreement(name: str, steps: int, device: str) -> Row:
    """How often bfloat16 has the action that float32 has, of all steps of a game it plays."""
    network = zoo.load(name, device)
    played = zoo.rollout(network, steps=steps // 4, envs=4, seed=0, keep=["screens", "outputs"])
    half = Inference(network, dtype="bfloat16")
    same = []
    with torch.inference_mode():
        for env in range(4):
            for at, seen in enumerate(played.observations(env).split(128)):
                outputs = torch.from_numpy(played.outputs[at * 128 : at * 128 + len(seen), env])
                found = half(seen.to(device))[0].cpu()
                same.append((found.argmax(1) == outputs.argmax(1)).float())
    share = 100 * float(torch.cat(same).mean())
    return row("rollout", f"{name}, bfloat16, {steps:,} steps", "float32", [share], [100.0], "%")


PARTS: dict[str, Callable[[BenchAgent, int, bool], Iterator[Row]]] = {
    "peers": peers,
    "recording": recording,
    "profile": profile,
}
AGREEMENT = "agreement"


def all_rows(
    only: Sequence[str], games: Sequence[str], envs: Sequence[int], device: str, quick: bool
) -> Iterator[Row]:
    """As they come; if quick, until there is no more time, and few environments first."""
    end = until(quick)
    if AGREEMENT in only:
        for name in AGENTS:
            yield agreement(name, 400 if quick else 4000, device)
    for count, name in product(envs, games):
        agent = BenchAgent(bench_network("a2c", name, device))
        for part in only:
            if part == AGREEMENT or (quick and name != games[0] and part != "peers"):
                continue
            if time.monotonic() > end:
                print(f"no time for {name}, {count} envs, {part}", file=sys.stderr)
                continue
            yield from PARTS[part](agent, count, quick)


def main() -> None:
    """Measures and prints."""
    parser = arguments(__doc__)
    parser.add_argument("--envs", nargs="+", type=int, default=(8, 32))
    parser.add_argument("--device", default="cpu", help="of the network: cpu or cuda")
    parser.add_argument("--games", nargs="+", default=GAMES)
    parser.add_argument("--only", nargs="+", choices=[*PARTS, AGREEMENT], metavar="PART")
    parser.set_defaults(only=[*PARTS, AGREEMENT])
    options = parser.parse_args()
    given = options.only, options.games, options.envs, options.device, options.quick
    show(all_rows(*given), options.json)


if __name__ == "__main__":
    main()
