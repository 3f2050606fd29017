"""One network's play under way: its environments, what is counted, what is kept."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType

from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.hooks import layer_named
from atari_zoo.emulator.environments import Environments
from atari_zoo.play.actions import Chances, Chooser
from atari_zoo.play.groups import Playing, groups_for, repeated, split, steps
from atari_zoo.play.inference import Player
from atari_zoo.play.noise import ObservationNoise, with_parameter_noise
from atari_zoo.play.plans import Plan, rules, told
from atari_zoo.play.sinks import Sink, sink
from atari_zoo.play.tally import Tally
from atari_zoo.recordings.layout import LAYERS
from atari_zoo.recordings.recomputed import loadable
from atari_zoo.recordings.recordings import Recording


class Play:
    """A network that plays as planned, a step each time that `advance` is called.

    path, resume: as `rollout` has them.
    Between two calls its emulators work on, so that several plays share the time of the network.
    backend: what computes, "torch" or "onnxruntime".

    Raises what `rollout` raises.
    """

    def __init__(
        self, network: Network, plan: Plan, path: str | Path | None = None, resume: bool = False
    ) -> None:
        settled = rules(plan, network)
        card, envs, device = network.card, settled.envs, next(network.parameters()).device
        self.tally = Tally(envs, plan.steps, plan.episodes)
        self._chooser = Chooser(
            settled.action, settled.epsilon, plan.seed, device, plan.noise.actions
        )
        self._envs, self._actions, self._began = envs, network.actions, 0.0
        for layer in plan.recompute:
            layer_named(network, layer)
        again = (
            {"recompute": {"layers": list(plan.recompute), "weights": loadable(network)}}
            if plan.recompute
            else {}
        )
        arrays = [*plan.keep, *(f"{LAYERS}{layer}" for layer in plan.layers)]
        with ExitStack() as stack:
            noisy = with_parameter_noise(network, plan.noise, plan.seed)
            player = Player(noisy, plan.layers, plan.dtype, plan.backend, envs)
            stack.enter_context(closing(player))
            self.backend = player.backend
            of = (card, settled.game.name, settled.preprocessing, plan.seed)
            self._kept: Sink = stack.enter_context(
                sink(path, resume, *of, told(plan, settled) | again, arrays, self.tally)
            )
            self._playings = []
            for group in split(envs, plan.groups or groups_for(player)):
                games = Environments(
                    settled.game.rom,
                    group.stop - group.start,
                    settled.preprocessing,
                    device,
                    raw=bool({"frames", "ram"} & set(plan.keep)),
                    mode=plan.mode,
                    difficulty=plan.difficulty,
                )
                stack.enter_context(closing(games))
                noise = ObservationNoise(plan.noise, plan.seed + group.start, device)
                self._playings.append(
                    Playing(player, games, self._chooser, noise, plan.keep, group, plan.seed)
                )
            for number, actions in enumerate(self._kept.before):
                before = repeated(self._playings, number, actions, self._draw())
                self.tally.add_step(before)
            played = steps(self._playings, self._draw, self.tally.played)
            self._steps = stack.enter_context(closing(played))
            self._open = stack.pop_all()

    def __enter__(self) -> Play:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def advance(self) -> bool:
        """Plays one step more, unless all is played; returns whether there are more to come."""
        if self.tally.finished:
            return False
        self._began = self._began or time.monotonic()
        step = next(self._steps)
        self._kept.append(step, [playing.games for playing in self._playings])
        self.tally.add_step(step)
        return not self.tally.finished

    def recording(self) -> Recording:
        """What was played."""
        spent = time.monotonic() - self._began if self._began else 0.0
        return self._kept.recording(spent)

    def _draw(self) -> Chances:
        return self._chooser.draw(self._envs, self._actions)
