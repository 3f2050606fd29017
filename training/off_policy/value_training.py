"""The training that DQN, Rainbow and Ape-X share: acting by Q-values, a replay, a target network.

They differ in their networks, their losses, and how they explore.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.emulator.environments import Environments, Step
from atari_zoo.training.captured import captured
from atari_zoo.training.off_policy.prioritized_replay import PrioritizedReplay
from atari_zoo.training.off_policy.replay import CUT, GOES_ON, TERMINATED, Replay, Transitions
from atari_zoo.training.off_policy.replay_files import ReplayFiles
from atari_zoo.training.off_policy.value_config import ValueConfig
from atari_zoo.training.trainers import Trainer, Update


class Judgement(NamedTuple):
    """What the network makes of a batch of transitions."""

    losses: Float[Tensor, "batch"]
    priorities: Float[Tensor, "batch"]
    values: Float[Tensor, "batch"]  # of the actions taken, for the log


class ValueTrainer(Trainer):
    """Plays a step in every environment, then learns as often as `update_every` says.

    An algorithm defines `judge`, and may explore in its own way.
    """

    config: ValueConfig

    @abstractmethod
    def judge(self, batch: Transitions) -> Judgement:
        """Losses of `self.network`, given `self.target`."""

    def build(self) -> MnihNetwork:
        config, device = self.config, self.fabric.device
        self.environments = Environments(
            config.rom, config.envs, config.preprocessing, device, threads=self.threads
        )
        length = config.buffer // config.envs
        self.replay = Replay(
            length, config.envs, config.preprocessing, config.steps, config.discount, device
        )
        self.files = ReplayFiles(self.folder.path / "replay")
        self.memory = PrioritizedReplay(
            self.replay, config.priority_exponent, config.importance_exponent
        )
        self.generator = torch.Generator(device)
        self.draws = torch.zeros(2, config.batch, dtype=torch.float64, device=device)
        self.totals = torch.zeros(3, device=device)  # losses, values, updates since a log row
        self.updates = 0
        self.learner: Callable[[], None] | None = None
        network = self.new_network(len(self.environments.screen.actions))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.fabric.to_device(network)
        self.target = copy.deepcopy(network).requires_grad_(False)
        on_cuda = device.type == "cuda"
        self.optimizer = torch.optim.Adam(
            network.parameters(),
            config.learning_rate,
            eps=config.adam_epsilon,
            fused=True,
            capturable=on_cuda,
        )
        return network

    def begin(self, seed: int) -> None:
        self.generator.manual_seed(seed)
        self.observations = self.environments.reset(seed)
        self.scores = np.zeros(self.environments.count)

    def update(self) -> Update:
        config = self.config
        self.environments.send(self._act())
        self._learn()  # while the emulator runs
        self._remember(self.environments.recv())
        played = config.envs * config.preprocessing.frame_skip
        logged = (self.frames + played) // config.log_every > self.frames // config.log_every
        return Update(played, self._means() if logged else {})

    def state(self) -> dict[str, Any]:
        state = {
            "network": self.network.state_dict(),
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict()["state"],
            "totals": self.totals,
            "updates": self.updates,
        }
        return state | (self.memory.state() if self.config.keep_replay else {})

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.target.load_state_dict(state["target"])
        groups = self.optimizer.state_dict()["param_groups"]  # this device's, not those saved
        self.optimizer.load_state_dict({"state": state["optimizer"], "param_groups": groups})
        self.totals.copy_(state["totals"])
        self.updates = state["updates"]
        if self.config.keep_replay:
            self.files.read(self.replay, state["added"])
            self.memory.restore(state)

    def archive(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        self.replay.cut()  # new episodes begin after every checkpoint
        if self.config.keep_replay:
            self.files.write(self.replay)
        super().archive(weights, state)
        if self.config.keep_replay:
            self.files.prune(self.replay)

    @property
    def games(self) -> Sequence[Environments]:
        return [self.environments]

    @property
    def agent_steps(self) -> int:
        """Actions chosen so far, those of all environments counted."""
        return self.frames // self.config.preprocessing.frame_skip

    def epsilons(self) -> Float[Tensor, "envs"]:
        """The share of random actions in each environment: 1, then falling evenly to `epsilon`."""
        config = self.config
        fallen = (self.agent_steps - config.min_history) / config.epsilon_steps
        epsilon = 1 - (1 - config.epsilon) * min(max(fallen, 0.0), 1.0)
        return torch.full((config.envs,), epsilon, device=self.fabric.device)

    def first_priorities(self) -> Float[Tensor, "envs"] | None:
        """Of the transitions that `self.replay.entering` names; None for the highest so far."""
        return None

    def learn_once(self) -> None:
        """One update, from the transitions that `self.draws` picks."""
        slots, weights = self.memory.draw(self.draws)
        losses, priorities, values = self.judge(self.replay.sample(slots))
        loss = (weights * losses).mean()
        self.optimizer.zero_grad()
        loss.backward()
        if self.config.max_gradient is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.max_gradient)
        self.optimizer.step()
        self.memory.judge(slots, priorities.detach())
        self.totals += torch.stack([loss.detach(), values.detach().mean(), torch.ones_like(loss)])

    @torch.no_grad()
    def _act(self) -> Int[np.ndarray, "envs"]:
        self.values = self.network(self.observations)
        envs, actions = self.values.shape
        device = self.values.device
        chance = torch.rand(envs, generator=self.generator, device=device)
        anything = torch.randint(actions, (envs,), generator=self.generator, device=device)
        return anything.where(chance < self.epsilons(), self.values.argmax(1)).cpu().numpy()

    def _learn(self) -> None:
        config = self.config
        if min(self.replay.added, self.replay.length) * config.envs < config.min_history:
            return
        if self.learner is None:
            self.learner = self._new_learner()
        before = self.agent_steps - config.envs  # learning is a step late: see `update`
        for _ in range(self.agent_steps // config.update_every - before // config.update_every):
            self.draws.uniform_(generator=self.generator)
            self.learner()
            self.updates += 1
            if self.updates % config.target_every == 0:
                self.target.load_state_dict(self.network.state_dict())

    def _new_learner(self) -> Callable[[], None]:
        if self.fabric.device.type != "cuda" or not self.config.cuda_graphs:
            return self.learn_once
        changed = [*self.network.parameters(), *self.memory.tensors, self.totals]
        self.draws.uniform_(generator=self.generator)
        return captured(self.learn_once, changed, self.optimizer)

    def _remember(self, step: Step) -> None:
        terminated = step.terminated | step.life_ended
        endings = np.where(terminated, TERMINATED, np.where(step.truncated, CUT, GOES_ON))
        gained = np.sign(step.rewards) if self.config.clip_rewards else step.rewards
        outcome = np.stack([step.actions, gained, endings]).astype(np.float32)  # one copy for all
        self.replay.add(
            self.observations[:, -1],
            *torch.from_numpy(outcome).to(self.fabric.device, non_blocking=True),
        )
        self.memory.enter(self.first_priorities())
        self.observations = step.observations
        self._score(step.rewards, step.terminated | step.truncated)

    def _score(self, rewards: Float[np.ndarray, "envs"], over: Bool[np.ndarray, "envs"]) -> None:
        self.scores += rewards
        self.recent.extend(map(float, self.scores[over]))
        self.scores[over] = 0

    def _means(self) -> dict[str, float]:
        """For the log: of the updates since the row before."""
        loss, value, updates = self.totals.tolist()
        self.totals.zero_()
        means = {"loss": loss / updates, "q": value / updates} if updates else {}
        return means | {"epsilon": float(self.epsilons().mean()), "updates": self.updates}
