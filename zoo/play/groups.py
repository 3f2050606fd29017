"""Groups of environments that one network plays, step by step."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import count, pairwise

import numpy as np
import torch
from torch import Tensor

from atari_zoo.emulator.environments import Environments, Step
from atari_zoo.observations import with_present
from atari_zoo.play.actions import Chances, Chooser
from atari_zoo.play.added_noise import ObservationNoise
from atari_zoo.play.carried import CarriedState
from atari_zoo.play.inference import Inference
from atari_zoo.play.plans import Plan
from atari_zoo.recordings.arrays import ALWAYS, ARRAYS, layer_array
from atari_zoo.recordings.moments import Moment

MANY = 16  # environments; fewer begin in less time than processes do
# seconds of a processor, for each environment: to load and seed its game, and what another process
# adds to a step (0.60 to 0.67 ms, of 32 environments on two cores)
BEGINNING, EXTRA = 0.17, 0.00007
EPISODE = 1500  # steps, about


class EnvironmentGroup:
    """Environments that are stepped together, and what is kept of each of their steps.

    keep: names of `arrays.KEEP`; layers are kept as the inference computes them.
    share: which of the rollout's environments. seed: of the first of those.
    forget: past frames in whose place the present one is shown.

    `act` and `wait` are the halves of a step: between them the emulators work.
    """

    def __init__(
        self,
        inference: Inference,
        environments: Environments,
        chooser: Chooser,
        noise: ObservationNoise,
        keep: Sequence[str],
        share: slice,
        seed: int,
        forget: Sequence[int] = (),
    ) -> None:
        self.inference, self.environments = inference, environments
        self.chooser, self.noise, self.share = chooser, noise, share
        self.forget = forget
        declared = [ARRAYS[name] for name in dict.fromkeys([*ALWAYS, *keep])]
        self._before = {array.name: array.before for array in declared if array.before}
        self._after = {array.name: array.after for array in declared if array.after}
        self._raw = any(array.raw for array in declared)
        self.observations = environments.reset(seed + share.start)
        self.starts = np.ones(environments.count, bool)
        self.state = CarriedState(inference, environments.count)
        self._kept: dict[str, np.ndarray] = {}

    @torch.inference_mode()
    def act(self, step: int, chances: Chances) -> None:
        """Looks, chooses, and sets the emulators to work."""
        seen = self._seen(step)
        state = self.state.before(self.starts)
        outputs, layers, following = self.inference.step(seen, state)
        actions = self.chooser.choose(outputs, chances, self.share)
        raw = self.environments.raw() if self._raw else None
        frames = self.environments.newest
        moment = Moment(self.observations, frames, outputs, actions, self.starts, raw, state)
        kept = {name: compute(moment) for name, compute in self._before.items()}
        kept |= {layer_array(name): value.half() for name, value in layers.items()}
        self._kept = {name: _array(value) for name, value in kept.items()}
        self.state.follow(following, actions)
        self.environments.send(actions)

    @torch.inference_mode()
    def repeat(self, step: int, actions: np.ndarray, state: np.ndarray | None = None) -> None:
        """Does what was done before, to get where that ended; only counts can be kept of it.

        state: that of a recurrent agent before the step, if the next one is to be known.
        """
        seen = self._seen(step)
        if state is not None:
            carried = torch.from_numpy(state).to(self.inference.device)
            self.state.follow(self.inference.step(seen, carried)[2], actions)
        self._kept = {}
        self.environments.send(actions)

    def _seen(self, step: int) -> Tensor:
        """What the network is shown."""
        seen = self.noise(self.observations, step, self.starts)
        channels = self.environments.preprocessing.channels
        return with_present(seen, self.forget, channels) if self.forget else seen

    def wait(self) -> dict[str, np.ndarray]:
        """What the step was like, from before the action to what came of it."""
        step = self.environments.recv()
        arrays = self._kept | {name: _array(made(step)) for name, made in self._after.items()}
        self.state.learn(step.rewards)
        self.observations = step.observations
        self.starts = _begun(step)
        return arrays


def _array(value: Tensor | np.ndarray) -> np.ndarray:
    return value.cpu().numpy() if isinstance(value, Tensor) else value


def _begun(step: Step) -> np.ndarray:
    return step.terminated | step.truncated | step.life_ended


def groups_for(inference: Inference, cores: int = 2) -> int:
    """How many groups of environments play fastest on so many cores."""
    # torch's threads would work against the emulators' while another group's step runs
    on_processor = inference.device.type == "cpu"
    return 1 if on_processor and (inference.backend == "torch" or cores == 1) else 2


def worth_processes(plan: Plan, envs: int, cores: int) -> bool:
    """Whether so many environments are played sooner by emulators in processes of their own.

    Games then begin at once, on all cores, and not one after the other; but each step takes more of
    the processor, so that long play is faster in one process.
    """
    whole = plan.steps or EPISODE * -(-(plan.episodes or 0) // envs)
    saved = BEGINNING * (1 - 1 / cores)
    return envs >= MANY and saved > whole * EXTRA / cores


def split(envs: int, shares: int) -> list[slice]:
    """The environments in so many groups, as even as they go."""
    ends = np.linspace(0, envs, shares + 1).astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(ends) if b > a]


def merged(shares: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What the groups' steps were like, as one step of all environments."""
    if len(shares) == 1:
        return shares[0]
    return {name: np.concatenate([share[name] for share in shares]) for name in shares[0]}


def steps(
    groups: Sequence[EnvironmentGroup], chances: Iterator[Chances], first: int = 0
) -> Generator[dict[str, np.ndarray], None, None]:
    """Plays on and on; yields each step, of all groups together.

    While one group's emulators work, the next one's network thinks; and those of the last while
    the caller does something with the step. So when the caller stops, one step more has begun.
    """
    begun = next(chances)
    for group in groups:
        group.act(first, begun)
    for step in count(first + 1):
        drawn, shares = next(chances), []
        for group in groups:
            shares.append(group.wait())
            group.act(step, drawn)
        try:
            yield merged(shares)
        except GeneratorExit:  # the emulators may be closed once they rest
            for group in groups:
                group.wait()
            raise


def repeated(
    groups: Sequence[EnvironmentGroup],
    step: int,
    actions: np.ndarray,
    chances: Chances,
    state: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """A step that was played before, up to what chance would have brought to it.

    state: that of a recurrent agent before the step, if the next one is to be known.
    """
    for group in groups:
        group.repeat(step, actions[group.share], None if state is None else state[group.share])
    return merged([group.wait() for group in groups])
