"""Time and memory from a file to the first action, each in a process of its own, beside
Stable-Baselines3 loading the same weights.

    python benchmarks/load.py --quick
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from processes import main, measured
from rows import Row, by_turns, row

ACTIONS = 6


def make_files(folder: Path) -> None:
    """The same weights as `agent.onnx` and as Stable-Baselines3's `agent.zip`."""
    _without_tensorflow()
    import gymnasium
    import numpy as np
    import torch
    from stable_baselines3 import A2C

    from atari_zoo.converters import to_onnx
    from atari_zoo.converters.cards import ModelCard
    from atari_zoo.converters.interchange import save_onnx
    from atari_zoo.converters.network.heads import ActorCriticHead
    from atari_zoo.converters.network.networks import MnihNetwork, Trunk

    class Screens(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
        action_space = gymnasium.spaces.Discrete(ACTIONS)

    torch.manual_seed(0)
    network = MnihNetwork(Trunk(), ActorCriticHead(512, ACTIONS), ModelCard("a2c", "Pong"))
    agent = A2C("CnnPolicy", Screens(), device="cpu")
    trunk, head = network.trunk, network.head
    cnn = agent.policy.features_extractor
    pairs = {
        cnn.cnn[0]: trunk.conv1.conv,
        cnn.cnn[2]: trunk.conv2.conv,
        cnn.cnn[4]: trunk.conv3.conv,
        cnn.linear[0]: trunk.fc.linear,
        agent.policy.action_net: head.output,
        agent.policy.value_net: head.value,
    }
    for theirs, ours in pairs.items():
        theirs.load_state_dict(ours.state_dict())
    _agree(network, agent)
    save_onnx(to_onnx(network), folder / "agent.onnx")
    agent.save(folder / "agent.zip")


def _agree(network, agent) -> None:  # type: ignore[no-untyped-def]
    """Raises AssertionError unless both compute the same logits."""
    import torch

    observations = torch.randint(0, 256, (2, 4, 84, 84), dtype=torch.uint8)
    with torch.no_grad():
        theirs = agent.policy.get_distribution(observations).distribution.logits
        torch.testing.assert_close(network(observations).log_softmax(1), theirs)


def ours_prepared(file: Path) -> Callable[[], object]:
    """What a user of the zoo would write."""

    def act() -> object:
        import torch

        import atari_zoo as zoo

        network = zoo.load(file)
        with torch.inference_mode():
            return network(torch.zeros(1, 4, 84, 84, dtype=torch.uint8)).argmax(1)

    return act


def theirs_prepared(file: Path) -> Callable[[], object]:
    """What a user of Stable-Baselines3 would write."""

    def act() -> object:
        _without_tensorflow()
        import numpy as np
        from stable_baselines3 import A2C

        agent = A2C.load(file, device="cpu")
        return agent.predict(np.zeros((4, 84, 84), np.uint8), deterministic=True)

    return act


def _without_tensorflow() -> None:
    """Stable-Baselines3 loads TensorFlow where it is installed; its users seldom have it."""
    sys.modules["tensorflow"] = None  # type: ignore[assignment]


CHILDREN = {"ours": ours_prepared, "theirs": theirs_prepared}


def compare(repeats: int, end: float) -> list[Row]:
    """One row for the time, one for the memory."""
    with TemporaryDirectory() as folder:
        files = Path(folder)
        subprocess.run([sys.executable, __file__, "--make", folder], check=True)
        for who, name in (("ours", "agent.onnx"), ("theirs", "agent.zip")):
            measured(__file__, who, files / name)  # once unmeasured: bytecode is written
        ours, theirs = by_turns(
            lambda: measured(__file__, "ours", files / "agent.onnx"),
            lambda: measured(__file__, "theirs", files / "agent.zip"),
            repeats,
            end,
        )
    peer = "SB3 A2C.load"
    times = [cost.total for cost in ours], [cost.total for cost in theirs]
    peaks = [cost.peak for cost in ours], [cost.peak for cost in theirs]
    return [
        row("load", "file to first action", peer, *times, "s"),
        row("load", "peak memory until then", peer, *peaks, "MiB"),
    ]


if __name__ == "__main__":
    main(__doc__, make_files, CHILDREN, compare)
