"""Runner: one network's play under way, its environments, what is counted, what is kept."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from types import TracebackType
from typing import Any

from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.hooks import layer_named
from atari_zoo.converters.network.stateful import state_parts, state_size
from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.environments import Environments
from atari_zoo.emulator.kept import lent_environments
from atari_zoo.emulator.lanes import this_lane
from atari_zoo.play.actions import Chooser
from atari_zoo.play.added_noise import ObservationNoise, with_parameter_noise
from atari_zoo.play.groups import (
    EnvironmentGroup,
    groups_for,
    repeated,
    split,
    steps,
    worth_processes,
)
from atari_zoo.play.inference import Inference
from atari_zoo.play.plans import Plan
from atari_zoo.play.rules import recorded_options, rules
from atari_zoo.play.scaling import computed_options, divided
from atari_zoo.play.sinks import Sink, sink
from atari_zoo.play.tally import Tally
from atari_zoo.recordings.arrays import KEEP, STATE, layer_array
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recomputed import loadable
from atari_zoo.recordings.recordings import Recording
from atari_zoo.threads import cores


class Runner:
    """A network that plays as planned, a step each time that `advance` is called.

    Between two calls its emulators work on, so that several runners share the time of the network.
    backend: what computes, "torch" or "onnxruntime".

    Raises what `rollout` raises.
    """

    def __init__(self, network: Network, plan: Plan) -> None:
        self.plan, self._rules = plan, rules(plan, network)
        self._began = 0.0
        lane = this_lane()
        self._cores = cores() if lane is None else lane.threads
        self._device = next(network.parameters()).device
        self.tally = Tally(self._rules.envs, plan.steps, plan.episodes)
        action, epsilon = self._rules.action, self._rules.epsilon
        self._chooser = Chooser(action, epsilon, plan.seed, self._device, plan.noise.actions)
        self._keep = [*plan.keep, *(STATE if state_size(network) else ())]
        header = self._header(network)
        with ExitStack() as stack:
            noisy = with_parameter_noise(network, plan.noise, plan.seed)
            inference = Inference(
                noisy, plan.layers, plan.dtype, plan.backend, self._rules.envs, divided(plan)
            )
            stack.enter_context(closing(inference))
            self.backend = inference.backend
            header.options |= computed_options(inference)
            arrays = [*self._keep, *(layer_array(layer) for layer in plan.layers)]
            self._sink: Sink = stack.enter_context(
                sink(plan.path, plan.resume, header, arrays, self.tally)
            )
            shares = split(self._rules.envs, plan.groups or groups_for(inference, self._cores))
            # all of them begin before the first is waited for
            games = [self._environments(share, stack) for share in shares]
            self._groups = [
                self._group(share, some, inference)
                for share, some in zip(shares, games, strict=True)
            ]
            chances = self._chooser.steps(self._rules.envs, network.actions)
            played = self._sink.before
            for number, actions in enumerate(played):
                state = self._sink.state if number + 1 == len(played) else None
                step = repeated(self._groups, number, actions, next(chances), state)
                self.tally.add_step(step)
            going_on = steps(self._groups, chances, self.tally.count)
            self._steps = stack.enter_context(closing(going_on))
            self._open = stack.pop_all()

    def __enter__(self) -> Runner:
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
        self._sink.append(step, [group.environments for group in self._groups])
        self.tally.add_step(step)
        return not self.tally.finished

    def recording(self) -> Recording:
        """What was played."""
        spent = time.monotonic() - self._began if self._began else 0.0
        return self._sink.recording(spent)

    def _header(self, network: Network) -> Header:
        plan, settled = self.plan, self._rules
        recorded: dict[str, Any] = recorded_options(plan, settled)
        for layer in plan.recompute:
            layer_named(network, layer)
        if plan.recompute:
            recorded["recompute"] = {
                "layers": list(plan.recompute),
                "weights": loadable(network),
            }
        if parts := state_parts(network):
            recorded["state"] = {part.name: list(part.shape) for part in parts}
        return Header(
            network.card,
            settled.game.name,
            settled.preprocessing,
            plan.seed,
            settled.envs,
            counted=self.tally.quota.tolist() if plan.episodes else None,
            options=recorded,
        )

    def _environments(self, share: slice, stack: ExitStack) -> Environments:
        """Some of the environments, which the stack closes."""
        plan, game = self.plan, self._rules.game
        own = self._rules.actions == game.actions
        lent = lent_environments(
            Cartridge(game.rom, plan.mode, plan.difficulty, () if own else self._rules.actions),
            share.stop - share.start,
            self._rules.preprocessing,
            self._device,
            plan.threads or (0 if self._cores == cores() else self._cores),
            any(KEEP[name].raw for name in plan.keep),
            worth_processes(plan, self._rules.envs, self._cores),
        )
        return stack.enter_context(lent)

    def _group(
        self, share: slice, environments: Environments, inference: Inference
    ) -> EnvironmentGroup:
        plan = self.plan
        noise = ObservationNoise(
            plan.noise, plan.seed + share.start, self._device, environments.preprocessing.channels
        )
        return EnvironmentGroup(
            inference,
            environments,
            self._chooser,
            noise,
            self._keep,
            share,
            plan.seed,
            plan.forget,
        )
