"""Worker process of the pool: plays some of its emulators when told, and renders their screens."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.modules["gymnasium"] = None  # type: ignore[assignment]  # ale-py starts faster without it

from atari_zoo.converters.preprocessings import preprocessing_from
from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.consoles import Console
from atari_zoo.emulator.orders import follow_orders
from atari_zoo.emulator.palettes import SharedPalette
from atari_zoo.emulator.resets import reset_rule
from atari_zoo.emulator.shared_arrays import memory_layout, shared_arrays
from atari_zoo.preprocessing.renderer import Renderer


class Consoles:
    """Some of the pool's consoles, from `assignment["first"]` to before `assignment["last"]`.

    arrays: those of the whole pool.
    """

    def __init__(self, assignment: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        preprocessing = preprocessing_from(assignment["preprocessing"])
        self.rule, self.arrays = reset_rule(preprocessing), arrays
        self.renderer = Renderer(preprocessing, *assignment["size"])
        palette = SharedPalette(arrays, self.renderer)
        told = assignment["cartridge"]
        inserted = Cartridge(**told | {"actions": tuple(told["actions"])})
        self.consoles = {
            i: Console(
                inserted,
                preprocessing,
                arrays["screens"][i],
                arrays["ram"][i],
                palette,
            )
            for i in range(assignment["first"], assignment["last"])
        }

    def seed(self) -> None:
        """Begins all games anew, seeded."""
        for i, console in self.consoles.items():
            console.load(self.rule.draws(int(self.arrays["seeds"][i])))
        self.begin()

    def begin(self) -> None:
        """Begins new games."""
        for i, console in self.consoles.items():
            console.over = True
            self.rule.begin(console)
            self._tell(i, console, 0.0, [False, False, False])

    def step(self) -> None:
        """Plays the actions; where an episode ends, the next one begins."""
        for i, console in self.consoles.items():
            reward, *ends = self.rule.step(console, int(self.arrays["actions"][i]))
            self._tell(i, console, reward, ends)

    def _tell(self, i: int, console: Console, reward: float, ends: list[bool]) -> None:
        console.look()
        arrays = self.arrays
        arrays["frames"][i] = self.renderer(console.screens)
        arrays["rewards"][i], arrays["lives"][i] = reward, console.lives
        arrays["terminated"][i], arrays["truncated"][i], arrays["life_ended"][i] = ends


def main() -> None:
    """Plays what the first argument assigns, in JSON."""
    assignment = json.loads(sys.argv[1])
    height, width = assignment["size"]
    fields = memory_layout(
        assignment["count"], height, width, assignment["frames"], assignment["shape"]
    )
    arrays = shared_arrays(assignment["memory"], fields)
    os.close(assignment["memory"])
    follow_orders(assignment["pipe"], lambda: Consoles(assignment, arrays))


if __name__ == "__main__":
    main()
