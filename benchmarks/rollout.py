"""Agent steps a second of `zoo.rollout`, beside the emulator's ceiling and whatever else one would
play an agent with; what recording costs; and how often bfloat16 acts as float32 does.

    python benchmarks/rollout.py --quick
    python benchmarks/rollout.py --envs 64 --device cuda
    python benchmarks/rollout.py --quick --only recording profile
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import product
from pathlib import Path

import torch
from rollout_peers import PEERS
from rollout_profile import CEILING, profiled
from rows import Row, arguments, in_turns, row, show

import atari_zoo as zoo
from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard
from atari_zoo.converters.network.heads import ActorCriticHead
from atari_zoo.converters.network.networks import MnihNetwork, Trunk
from atari_zoo.games import Game, game
from atari_zoo.play.inference import Inference

GAMES = ("Seaquest", "Pong", "Breakout")
AGENTS = ("a2c/Pong/1", "rainbow/Seaquest/1")
EVERYTHING = {"keep": ["frames", "ram", "outputs", "probabilities"], "layers": ["fc"]}
_ALONE = "the network alone"
OURS = {
    "float32": {},
    "float32, torch": {"backend": "torch"},
    "bfloat16": {"dtype": "bfloat16"},
}


def agent(of: Game, device: str) -> MnihNetwork:
    """An actor-critic of random weights: its speed is that of a trained one."""
    torch.manual_seed(0)
    card = ModelCard("a2c", of.name, action_rule="sample", preprocessing=PREPROCESSINGS["vector"])
    return MnihNetwork(Trunk(), ActorCriticHead(512, len(of.actions)), card).to(device).eval()


def ours(network: MnihNetwork, envs: int, options: dict[str, object], steps: int) -> float:
    """Agent steps a second, of all environments together."""
    recording = zoo.rollout(network, steps=steps, envs=envs, seed=0, **options)
    return recording.steps / recording.seconds


def recorded(network: MnihNetwork, envs: int, steps: int) -> float:
    """The same with everything recorded onto the disk."""
    folder = tempfile.mkdtemp()
    try:
        return ours(network, envs, EVERYTHING | {"path": Path(folder) / "play.zarr"}, steps)
    finally:
        shutil.rmtree(folder)


def peers(of: Game, envs: int, device: str, steps: int, repeats: int) -> Iterator[Row]:
    """All contenders on one game, by turns."""
    network = agent(of, device)
    case = f"{of.name}, {envs} envs, {device}"
    contenders: dict[str, Callable[[int], float]] = {
        name: partial(ours, network, envs, options) for name, options in OURS.items()
    }
    with ExitStack() as stack:
        for name, peer in PEERS.items():
            contenders[name] = stack.enter_context(peer(of, network, envs))
        for contender in contenders.values():
            contender(20)  # torch warms up
        rates = in_turns({n: partial(c, steps) for n, c in contenders.items()}, repeats)
    for name in PEERS:
        yield row("rollout", case, name, rates["float32"], rates[name], "steps/s")
    for name in list(OURS)[1:]:
        for peer in (CEILING, "EnvPool + torch"):
            yield row("rollout", f"{case}, {name}", peer, rates[name], rates[peer], "steps/s")
    # what thinking and emulating would give if each core did either without a pause
    bound = [1 / (1 / a + 1 / b) for a, b in zip(rates[CEILING], rates[_ALONE], strict=True)]
    yield row("rollout", case, "bound of the two alone", rates["float32"], bound, "steps/s")


def recording(of: Game, envs: int, device: str, steps: int, repeats: int) -> Iterator[Row]:
    """What recording everything costs, in longer runs: nothing overlaps the last chunk."""
    network, longer = agent(of, device), 4 * steps
    rates = in_turns(
        {
            "exact screens": partial(ours, network, envs, {"keep": ["frames"]}, longer),
            "everything": partial(recorded, network, envs, longer),
        },
        2 * repeats + 1,
    )
    case = f"{of.name}, {envs} envs, {device}, recording everything"
    found = rates["everything"], rates["exact screens"]
    yield row("rollout", case, "playing with exact screens", *found, "steps/s")


def profile(of: Game, envs: int, device: str, steps: int, repeats: int) -> Iterator[Row]:
    """Where the processor's time goes; on CUDA it is not the processor's that counts."""
    if device == "cpu":
        yield from profiled(of, agent(of, device), envs, steps, repeats)


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


PARTS = {"peers": peers, "recording": recording, "profile": profile}


def main() -> None:
    """Measures and prints."""
    parser = arguments(__doc__)
    parser.add_argument("--envs", nargs="+", type=int, default=(8, 32))
    parser.add_argument("--device", default="cpu", help="of the network: cpu or cuda")
    parser.add_argument("--games", nargs="+", default=GAMES)
    parser.add_argument("--only", nargs="+", choices=[*PARTS, "agreement"], metavar="PART")
    parser.set_defaults(only=[*PARTS, "agreement"])
    options = parser.parse_args()
    steps, repeats = (150, 2) if options.quick else (400, 5)  # of 8 environments
    rows = [
        one
        for name, envs in product(options.games, options.envs)
        for part in options.only
        if part in PARTS
        for one in PARTS[part](game(name), envs, options.device, steps * 8 // envs, repeats)
    ]
    if "agreement" in options.only:
        count = 400 if options.quick else 4000
        rows += [agreement(name, count, options.device) for name in AGENTS]
    show(rows, options.json)


if __name__ == "__main__":
    main()
