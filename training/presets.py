"""Hyper-parameters by name.

"paper" is the Atari Zoo paper's own (supplement S3), which wants a cluster; "workstation" learns
in hours on a few cores or one accelerator. "baselines" is A2C as openai/baselines has it.
"""

from __future__ import annotations

from typing import Any

from atari_zoo.converters.cards import PREPROCESSINGS

# as many samples from the replay as Dopamine takes, in a quarter of the updates, at twice the
# learning rate: larger batches cost no samples (Stooke and Abbeel, 2018,
# https://arxiv.org/abs/1803.02811)
LARGE_BATCH = {
    "batch": 128,
    "update_every": 16,
    "target_every": 500,
    "learning_rate": 1.25e-4,
}

# the references' RMSProp crawls here, and torch's kills four fifths of the dense layer's units in
# its first steps; this learns as fast as the latter and keeps them
RAMPED_ADAM = {
    "optimizer": "adam",
    "learning_rate": 5e-4,
    "decay": 0.999,
    "epsilon": 1e-4,
    "warmup": 300_000,
}

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "a2c": {
        "workstation": {"frames": 20_000_000, "value_weight": 0.25} | RAMPED_ADAM,
        "baselines": {"frames": 40_000_000},  # the defaults: run_atari.py of openai/baselines
        "paper": {
            "envs": 20,
            "learning_rate": 7e-5,
            "frames": 400_000_000,
            "save_every": 4_000_000,
        },
    },
    "impala": {
        "workstation": {"envs": 32, "batch": 8, "frames": 20_000_000} | RAMPED_ADAM,
        "paper": {"frames": 1_000_000_000, "save_every": 4_000_000},
    },
    "dqn": {
        "workstation": {"envs": 32, "frames": 20_000_000, "buffer": 500_000} | LARGE_BATCH,
        "paper": {
            "envs": 4,  # an update each 4 steps is one after each step of them all
            "frames": 200_000_000,
            "save_every": 1_000_000,
            "preprocessing": PREPROCESSINGS["dopamine"],
            "loss": "huber",  # as Dopamine's TensorFlow agent had it
        },
    },
    "rainbow": {
        "workstation": {"envs": 32, "frames": 20_000_000, "buffer": 500_000} | LARGE_BATCH,
        "paper": {
            "envs": 4,  # an update each 4 steps is one after each step of them all
            "frames": 200_000_000,
            "save_every": 1_000_000,
            "preprocessing": PREPROCESSINGS["dopamine"],
        },
    },
    "apex": {
        "workstation": {"envs": 64, "frames": 40_000_000, "buffer": 500_000},
        # the paper's actors play 12,500 steps in the time of the learner's 19 updates
        "paper": {
            "envs": 384,
            "update_every": 650,
            "frames": 1_000_000_000,
            "save_every": 4_000_000,
        },
    },
    "es": {
        "workstation": {"trials": 5, "max_steps": 1000, "frames": 20_000_000},
        "paper": {
            "population": 5000,
            "envs": 256,
            "max_steps": 27_000,
            "noise": 250_000_000,
            "frames": 1_000_000_000,
            "save_every": 4_000_000,
        },
    },
    "ga": {
        "workstation": {
            "population": 100,
            "parents": 10,
            "candidates": 4,
            "trials": 5,
            "max_steps": 1000,
            "frames": 20_000_000,
        },
        "paper": {
            "population": 1000,
            "candidates": 10,
            "trials": 30,
            "envs": 256,
            "max_steps": 27_000,
            "noise": 250_000_000,
            "frames": 1_000_000_000,
            "save_every": 4_000_000,
        },
    },
}
