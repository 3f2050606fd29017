"""Worker process of `NativeProcesses`: plays some of its emulators when told to."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np

from atari_zoo.converters.preprocessings import preprocessing_from
from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.orders import follow_orders
from atari_zoo.emulator.shared_arrays import native_layout, shared_arrays
from atari_zoo.emulator.vector_envs import native_emulators


class Share:
    """The emulators from `assignment["first"]` to before `assignment["last"]`.

    arrays: those of all the emulators.
    """

    def __init__(self, assignment: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        own = slice(assignment["first"], assignment["last"])
        self.arrays = {name: array[own] for name, array in arrays.items()}
        told = assignment["cartridge"]
        game = Cartridge(**told | {"actions": tuple(told["actions"])})
        preprocessing = preprocessing_from(assignment["preprocessing"])
        self.emulators = native_emulators(game, own.stop - own.start, preprocessing, threads=1)

    def seed(self) -> None:
        """Begins all games anew, seeded."""
        self._tell_start(*self.emulators.reset(seed=self.arrays["seeds"].copy()))

    def begin(self) -> None:
        """Begins new games."""
        self._tell_start(*self.emulators.reset())

    def step(self) -> None:
        """Plays the actions; where an episode ends, the next one begins."""
        self._tell(*self.emulators.step(self.arrays["actions"].copy()))

    def _tell_start(self, frames: np.ndarray, info: dict[str, np.ndarray]) -> None:
        self._tell(frames, np.zeros(len(frames)), np.False_, np.False_, info)

    def _tell(
        self, frames: np.ndarray, rewards: Any, terminated: Any, truncated: Any, info: Any
    ) -> None:
        arrays = self.arrays
        arrays["frames"][:], arrays["rewards"][:] = frames[:, 0], rewards
        arrays["terminated"][:], arrays["truncated"][:] = terminated, truncated
        arrays["lives"][:] = info["lives"]


def main() -> None:
    """Plays what the first argument assigns, in JSON."""
    assignment = json.loads(sys.argv[1])
    layout = native_layout(
        assignment["count"], preprocessing_from(assignment["preprocessing"]).size
    )
    arrays = shared_arrays(assignment["memory"], layout)
    os.close(assignment["memory"])
    follow_orders(assignment["pipe"], lambda: Share(assignment, arrays))


if __name__ == "__main__":
    main()
