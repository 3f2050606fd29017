"""Learning curves of A2C on Seaquest by optimizer, from the logs in the package.

python docs/figures/optimizers.py docs/figures/optimizers.png
"""

from __future__ import annotations

import sys

import atari_zoo as zoo
from atari_zoo.viz.curves import save_curves

RUNS = {
    "a2c/Seaquest/1": "torch's RMSProp",
    "a2c/Seaquest/2": "torch's RMSProp",
    "a2c/Seaquest/3": "Adam with a warm-up",
}


def main(path: str) -> None:
    """Draws them."""
    logs = [zoo.training_log(name) for name in RUNS]
    for log, optimizer in zip(logs, RUNS.values(), strict=True):
        log["algorithm"] = optimizer
    save_curves(logs, path)


if __name__ == "__main__":
    main(sys.argv[1])
