"""Time and memory from a file to the first action, each in a process of its own, beside
Stable-Baselines3 loading the same weights.

    python benchmarks/load.py --quick
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rows import Row, arguments, by_turns, row, show

ACTIONS = 6


def make_files(folder: Path) -> None:
    """The same weights as `agent.onnx` and as Stable-Baselines3's `agent.zip`."""
    import gymnasium
    import numpy as np
    import torch
    from stable_baselines3 import A2C

    from atari_zoo.converters import to_onnx
    from atari_zoo.converters.cards import ModelCard
    from atari_zoo.converters.heads import ActorCriticHead
    from atari_zoo.converters.interchange import save_onnx
    from atari_zoo.converters.networks import MnihNetwork, Trunk

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


def act_with_ours(file: str) -> None:
    """What a user of the zoo would write."""
    import torch

    import atari_zoo as zoo

    network = zoo.load(file)
    with torch.inference_mode():
        network(torch.zeros(1, 4, 84, 84, dtype=torch.uint8)).argmax(1)


def act_with_theirs(file: str) -> None:
    """What a user of Stable-Baselines3 would write."""
    import numpy as np
    from stable_baselines3 import A2C

    A2C.load(file, device="cpu").predict(np.zeros((4, 84, 84), np.uint8), deterministic=True)


CHILDREN = {"ours": act_with_ours, "theirs": act_with_theirs}


def measure(who: str, file: Path) -> tuple[float, float]:
    """Seconds from the start of a fresh process to its first action, and its peak MiB."""
    started = time.monotonic()
    child = subprocess.run(
        [sys.executable, __file__, "--child", who, str(file)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    ended, peak = map(float, child.stdout.split())
    return ended - started, peak


def report_as_child(who: str, file: str) -> None:
    """Prints the moment of the first action, on the clock all processes share, and the peak."""
    CHILDREN[who](file)
    ended = time.monotonic()
    # not ru_maxrss: Linux lets a child begin with its parent's
    status = Path("/proc/self/status").read_text().split()
    print(ended, int(status[status.index("VmHWM:") + 1]) / 1024)


def compare(repeats: int) -> list[Row]:
    """One row for the time, one for the memory."""
    with TemporaryDirectory() as folder:
        files = Path(folder)
        subprocess.run([sys.executable, __file__, "--make", folder], check=True)
        for who, name in (("ours", "agent.onnx"), ("theirs", "agent.zip")):
            measure(who, files / name)  # once unmeasured: the disk is read, bytecode is written
        ours, theirs = by_turns(
            lambda: measure("ours", files / "agent.onnx"),
            lambda: measure("theirs", files / "agent.zip"),
            repeats,
        )
    peer = "SB3 A2C.load"
    kinds = [("file to first action", "s"), ("peak memory until then", "MiB")]
    return [
        row("load", case, peer, [run[i] for run in ours], [run[i] for run in theirs], unit)
        for i, (case, unit) in enumerate(kinds)
    ]


def main() -> None:
    """Measures and prints; `--make` and `--child` are for its own processes."""
    if sys.argv[1:2] == ["--make"]:
        make_files(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["--child"]:
        report_as_child(*sys.argv[2:])
    else:
        options = arguments(__doc__).parse_args()
        show(compare(3 if options.quick else 11), options.json)


if __name__ == "__main__":
    main()
