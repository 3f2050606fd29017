"""Subjects: the agents that an analysis is about, each with its play."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import torch
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor

from atari_zoo.agent_states import recorded_states
from atari_zoo.catalog.catalog import find
from atari_zoo.catalog.patterns import is_pattern, names_like
from atari_zoo.converters.cards import Preprocessing
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.foreign import Network
from atari_zoo.layers import activations
from atari_zoo.models import load
from atari_zoo.play.standard import standard_play
from atari_zoo.players import check_play, is_own_play
from atari_zoo.recordings.arrays import not_kept
from atari_zoo.recordings.files import open_recording
from atari_zoo.recordings.recordings import Recording
from atari_zoo.remote.references import is_remote

ENDINGS = (".zip", ".npz")  # of recordings, and of models too
CHECKED, NEAR = 8, 1e-2  # steps whose outputs are compared, and how far apart half precision is


class Subject:
    """An agent under study, and play of its own.

    Moments are all steps of all environments: moment = step * environments + environment.
    recording: its play; if not given, the standard play of the network, or of what the zoo calls
        `name`, when it is first asked for.
    network: the one that played; if not given, what `load` finds by the recording's card, or by
        `name`, when it is first asked for.
    name: of agents that are compared each has its own: a second one is called so with "~2".
    steps: of the standard play; 2,500 if not given.
    Raises ValueError if the recording has no steps, or was not played by the network.
    """

    def __init__(
        self,
        recording: Recording | None = None,
        network: Network | None = None,
        name: str = "",
        steps: int | None = None,
    ) -> None:
        self.steps = steps
        if recording is not None:
            self.card, self.recording = recording.card, recording
        elif network is not None:
            self.card = network.card
        else:
            self.card = find(name).card
        self.name = self.card.name
        if recording is not None and not recording.starts.size:
            raise ValueError(f"the recording of {self.name} has no steps: there is nothing to see")
        if network is not None:
            self.network = network if recording is None else self._own(network)

    def __repr__(self) -> str:
        played = f": {len(self.episodes):,} moments" if "recording" in vars(self) else ""
        return f"<Subject {self.name}{played} of {self.game}>"

    @cached_property
    def recording(self) -> Recording:
        """Raises ValueError where it cannot be played."""
        known = vars(self).get("network")
        return standard_play(self.card.name if known is None else known, self.steps)

    @cached_property
    def network(self) -> Network:
        """Raises ValueError if what is called so is not what played."""
        network = load(self.card.name)
        played = vars(self).get("recording")
        if played is not None:
            self._own(network)
            _check_outputs(network, played)
        return network

    @property
    def game(self) -> str:
        """Of its play; where there is none yet, of its card."""
        played = vars(self).get("recording")
        return self.card.game if played is None else played.game

    @cached_property
    def episodes(self) -> Int[np.ndarray, "moments"]:
        """The number of the episode that each moment is in, from 0: the unit of resampling."""
        steps, envs = self.recording.starts.shape
        begun = np.array(self.recording.starts, bool)
        begun[0] = True
        # environment by environment, so that numbers follow each other in time
        number = begun.T.reshape(-1).cumsum().reshape(envs, steps).T - 1
        return np.ascontiguousarray(number).reshape(-1)

    @property
    def actions(self) -> Int[np.ndarray, "moments"]:
        """Raises ValueError if they were not recorded, as in play that was published."""
        found = np.asarray(self.recording.actions).reshape(-1).astype(int)
        if len(found) != self.recording.starts.size:
            raise ValueError(
                f"no actions in this recording of {self.name}, as in all published play: record "
                "play of the agent's own (`atari-zoo record`, zoo.rollout) and give that"
            )
        return found

    @property
    def ram(self) -> UInt8[np.ndarray, "moments 128"]:
        """Raises ValueError if it was not recorded."""
        if self.recording.ram is None or not len(self.recording.ram):
            raise not_kept("RAM", "ram")
        return np.asarray(self.recording.ram[:]).reshape(-1, self.recording.ram.shape[-1])

    @cached_property
    def variables(self) -> pandas.DataFrame:
        """The game's named variables at each moment, NaN where what they tell of is absent.

        Raises ValueError if the RAM was not recorded.
        """
        return self.recording.variables.reset_index(drop=True)

    def observations(
        self, preprocessing: Preprocessing | None = None
    ) -> Shaped[Tensor, "moments channels height width"]:
        """What it saw; with a preprocessing, how that would have shown the same play."""
        envs = self.recording.starts.shape[1]
        each = [
            self.recording.observations(env, preprocessing=preprocessing) for env in range(envs)
        ]
        return torch.stack(each, dim=1).flatten(0, 1)

    def activations(self, layer: str) -> Float[np.ndarray, "moments ..."]:
        """Of its own network at what it saw: those that were recorded, else computed again.

        Raises ValueError if there is no such layer.
        """
        kept = self.recording.activations.get(layer)
        if kept is not None:
            rows = np.asarray(kept[:], np.float32)
            return rows.reshape(-1, *rows.shape[2:])
        values = activations(self.network, self.recording, layer)[layer]
        return values.float().flatten(0, 1).numpy()

    def _own(self, network: Network) -> Network:
        check_play(network, self.recording)
        if not is_own_play(network, self.recording):
            raise ValueError(
                f"the recording is of {self.name}, but the network {network.card.name} is not what "
                "played it: give both that belong together, (network, recording)"
            )
        return network


def as_subjects(given: Any, steps: int | None = None) -> list[Subject]:
    """The subjects that are meant, each with a name of its own.

    given: one of these, or several: a name, a pattern of names such as "*/Seaquest/*", the path of
        a model or a recording, a network, a recording, a pair (network, recording), a Subject. Who
        comes without play has its standard play: see `standard_play`. What one name stands for
        comes once.
    steps: of the standard play of those; as many as it has if not given.
    Raises ValueError if that is nothing, or nothing of the kind, and as `load` does.
    """
    several = isinstance(given, Sequence) and not isinstance(given, str) and not _is_pair(given)
    found: list[Subject] = []
    named: set[str] = set()
    for each in given if several else [given]:
        for subject in _subjects(each, steps):
            if not {"recording", "network"} & vars(subject).keys():  # a name of the zoo's alone
                if subject.name in named:
                    continue
                named.add(subject.name)
            found.append(subject)
    if not found:
        raise ValueError("no agents: give names, networks or recordings")
    if steps is not None and all("recording" in vars(subject) for subject in found):
        raise ValueError(
            f"steps is {steps}, but all that is given was played already: steps are of the play "
            "of who has none"
        )
    counts: dict[str, int] = {}
    for subject in dict.fromkeys(found):
        name = subject.card.name
        counts[name] = counts.get(name, 0) + 1
        subject.name = name if counts[name] == 1 else f"{name}~{counts[name]}"
    return list(dict.fromkeys(found))


def _subjects(given: Any, steps: int | None) -> list[Subject]:
    if isinstance(given, Subject):
        return [given]
    if _is_pair(given):
        network, recording = given
        network = load(network) if isinstance(network, str | Path) else network
        played = open_recording(recording) if isinstance(recording, str | Path) else recording
        return [Subject(played, network)]
    if isinstance(given, str | Path):
        text = str(given)
        if is_pattern(text) and not Path(given).exists():
            return [Subject(name=name, steps=steps) for name in names_like(text)]
        if not Path(given).exists() and not is_remote(text):
            return [Subject(name=text, steps=steps)]
        recording = None if is_remote(text) else _recording_at(Path(given))
        if recording is not None:
            return [Subject(recording)]
        given = load(given)  # once: nothing else is called as its card says
    if hasattr(given, "starts"):
        return [Subject(given)]
    if hasattr(given, "state_dict"):
        return [Subject(network=given, steps=steps)]
    raise ValueError(
        f"{given!r:.60} is no agent: expected a name, a network, a recording, or (network, "
        "recording)"
    )


def _check_outputs(network: Network, played: Recording) -> None:
    """Raises ValueError unless it computes what was recorded: a name may be another's too."""
    kept = played.outputs
    if kept is None or not len(kept) or "noise" in played.options:
        return
    steps = slice(0, min(CHECKED, len(kept)))
    seen = played.observations(steps=steps)
    states = recorded_states(network, played, steps=steps)
    found = activations(network, seen, "output", state=states)["output"].float().numpy()
    if not np.allclose(found, np.asarray(kept[steps])[:, 0], rtol=NEAR, atol=NEAR):
        raise ValueError(
            f"the recording is of an agent called {network.card.name}, but what the zoo calls so "
            "computes other outputs: give both that belong together, (network, recording)"
        )


def _is_pair(given: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and _is_play(given[1])


def _is_play(given: Any) -> bool:
    if isinstance(given, str | Path):
        return Path(given).exists() and _recording_at(Path(given)) is not None
    return hasattr(given, "starts")


def _recording_at(path: Path) -> Recording | None:
    """The recording there; None if it is a model's."""
    if not (path / "zarr.json").exists() and path.suffix not in ENDINGS:
        return None
    try:
        return open_recording(path)
    except (ConversionError, ValueError):
        if path.is_dir():
            raise
        return None
