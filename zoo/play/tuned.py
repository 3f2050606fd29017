"""Tuned settings: what `atari-zoo bench --tune` found fastest here, and play that takes it.

Only what does not change what is played is kept: in how many groups the environments are played,
where the network's outputs are the same to the last bit, and the threads of the emulators. The
environments themselves are not: with other ones other games are played.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from atari_zoo.converters.files import written_whole
from atari_zoo.converters.network.foreign import Network
from atari_zoo.downloads.cache import root
from atari_zoo.machines import this_machine
from atari_zoo.play.plans import Plan
from atari_zoo.play.rules import rules
from atari_zoo.recordings.arrays import KEEP

FILE = "tuned.json"  # in the cache's folder
COMPUTING = ("torch", "onnxruntime-gpu", "onnxruntime", "ale-py")  # others may round otherwise


@dataclass(frozen=True)
class TunedSettings:
    """The fastest way to play so many environments, on one machine.

    machine, architecture, game: whose it is; the game in CamelCase.
    exact: of play that keeps what only exact screens tell, such as RAM.
    groups, threads: as a plan has them; None where the usual is as fast.
    gain: how many times as fast as the usual it was. made_with: versions of what computes.
    """

    machine: str
    architecture: str
    game: str
    envs: int
    exact: bool
    groups: int | None = None
    threads: int | None = None
    gain: float = 1.0
    made_with: str = ""

    @property
    def place(self) -> tuple[str, str, str, int, bool]:
        """What they are for: one set of settings each."""
        return self.machine, self.architecture, self.game, self.envs, self.exact

    @property
    def words(self) -> str:
        """As options of the command line."""
        given = {"groups": self.groups, "threads": self.threads}
        return " ".join(f"--{name} {value}" for name, value in given.items() if value is not None)


def tuned_file() -> Path:
    """Where they are kept, which may not be there."""
    return root() / FILE


def architecture_of(network: Network) -> str:
    """What tells networks of other speed apart: architecture and size.

    >>> architecture_of(zoo.load("a2c/Pong/1"))
    'Mnih et al. (2015), 1,686,695 weights'
    """
    count = sum(parameter.numel() for parameter in network.parameters())
    return f"{network.architecture}, {count:,} weights"


def libraries() -> str:
    """The versions of what computes, as in "torch 2.14.1, ale-py 0.12.1"."""
    found = {}
    for name in COMPUTING:
        try:
            found[name] = version(name)
        except ImportError:  # one of the two onnxruntimes
            continue
    return ", ".join(f"{name} {number}" for name, number in found.items())


def tuned_settings() -> list[TunedSettings]:
    """All that are kept; none where the file is missing, or cannot be read."""
    try:
        rows = json.loads(tuned_file().read_text("utf-8"))["settings"]
        return [TunedSettings(**row) for row in rows]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def settings_here() -> str:
    """Of this machine, in a few words; "" if there are none."""
    machine = this_machine().name
    mine = [one for one in tuned_settings() if one.machine.startswith(machine)]
    return "; ".join(f"{one.game}, {one.envs} environments, {one.words}" for one in mine)


def keep_tuned(found: Iterable[TunedSettings]) -> Path:
    """Writes settings in the place of those for the same; the ones that are the usual go.

    Returns the file. Raises OSError where it cannot be written.
    """
    new = {one.place: one for one in found}
    kept = {one.place: one for one in tuned_settings()} | new
    rows = [asdict(one) for one in kept.values() if one.words]
    path = tuned_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as beside:
        beside.write_text(json.dumps({"settings": rows}, indent=1) + "\n", "utf-8")
    return path


def as_tuned(plan: Plan, network: Network) -> tuple[Plan, str]:
    """The plan with the settings that are kept for it, and a line about them; "" if there are none.

    What the plan itself says of groups, threads, backend or precision wins, and nothing is taken
    then; nor are settings that were found with other versions of what computes.
    """
    usual: dict[str, Any] = {f.name: f.default for f in fields(Plan)}
    free = ("groups", "threads", "backend", "dtype")
    if any(getattr(plan, name) != usual[name] for name in free) or not tuned_file().exists():
        return plan, ""
    settled = rules(plan, network)
    device = next(network.parameters()).device
    exact = any(KEEP[name].raw for name in plan.keep)
    place = (
        this_machine(device).name,
        architecture_of(network),
        settled.game.name,
        settled.envs,
        exact,
    )
    for one in tuned_settings():
        if one.place == place and one.made_with == libraries() and one.words:
            line = f"tuned settings for {one.envs} environments: {one.words} (atari-zoo bench)"
            return replace(plan, groups=one.groups, threads=one.threads), line
    return plan, ""
