"""Hyper-parameters by name.

"paper" is the Atari Zoo paper's own (supplement S3), which wants a cluster; "workstation" learns
in hours on a few cores or one accelerator; "quick" in minutes, on Pong.
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "a2c": {
        "workstation": {"envs": 32, "frames": 20_000_000},
        "paper": {
            "envs": 20,
            "learning_rate": 7e-5,
            "frames": 400_000_000,
            "save_every": 4_000_000,
        },
    },
    "impala": {
        "workstation": {"envs": 32, "batch": 8, "frames": 20_000_000},
        "paper": {"frames": 1_000_000_000, "save_every": 4_000_000},
    },
    "dqn": {"workstation": {}, "paper": {}},
    "rainbow": {"workstation": {}, "paper": {}},
    "apex": {"workstation": {}, "paper": {}},
    "es": {"workstation": {}, "paper": {}},
    "ga": {"workstation": {}, "paper": {}},
}
