"""Peers: what else one would play an agent with, all by the same network on torch.

All see 84x84 grey frames, four stacked, skip four frames, and run on as many threads or processes
as there are cores. None of them is a dependency: `missing_peers` says which are not installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import torch

from atari_zoo.bench.cases import BenchCase
from atari_zoo.bench.contenders import BenchAgent, Opener, vector_env
from atari_zoo.bench.stopwatch import Contender
from atari_zoo.converters.network.foreign import Network


@contextmanager
def naive_loop(agent: BenchAgent, case: BenchCase) -> Iterator[Contender]:
    """The loop that everyone writes first: observe, think, act, one after the other."""
    with closing(vector_env(agent.game, case.envs, case.threads)) as emulator:
        yield _loop(agent, case, emulator.reset()[0], lambda actions: emulator.step(actions)[0])


@contextmanager
def env_pool(agent: BenchAgent, case: BenchCase) -> Iterator[Contender]:
    """EnvPool (Weng et al., 2022, https://arxiv.org/abs/2206.10558) in step with torch."""
    with suppress(ImportError):  # loaded after EnvPool's library, it ends the process
        import triton  # noqa: F401
    import envpool

    games = envpool.make_gymnasium(
        f"{agent.game.name}-v5",
        num_envs=case.envs,
        num_threads=case.threads,
        episodic_life=False,
        reward_clip=False,
        use_inter_area_resize=True,
        seed=0,
    )
    with closing(games):
        yield _loop(agent, case, games.reset()[0], lambda a: games.step(a.astype(np.int32))[0])


@contextmanager
def gymnasium_async(agent: BenchAgent, case: BenchCase) -> Iterator[Contender]:
    """Gymnasium's AsyncVectorEnv of AtariPreprocessing: a process for each environment."""
    from gymnasium.vector import AsyncVectorEnv

    makers = [partial(_wrapped, agent.game.name)] * case.envs
    with closing(AsyncVectorEnv(makers)) as games:
        loop = _loop(agent, case, games.reset(seed=0)[0], lambda actions: games.step(actions)[0])
        yield loop._replace(inside=False)


@contextmanager
def sb3_subprocesses(agent: BenchAgent, case: BenchCase) -> Iterator[Contender]:
    """Stable-Baselines3: the prediction of its own CnnPolicy over a SubprocVecEnv."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its tensorboard loads TensorFlow
    from stable_baselines3 import A2C
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack

    _register()
    games = VecFrameStack(
        make_atari_env(
            f"ALE/{agent.game.name}-v5",
            n_envs=case.envs,
            seed=0,
            wrapper_kwargs={"terminal_on_life_loss": False, "clip_reward": False},
            env_kwargs={"frameskip": 1, "repeat_action_probability": 0.0},
            vec_env_cls=SubprocVecEnv,
            # spawned ones would each import torch first
            vec_env_kwargs={"start_method": "fork"},
        ),
        4,
    )
    with closing(games):
        player = A2C("CnnPolicy", games, device=agent.device)
        seen: list[Any] = [games.reset()]

        def step() -> int:
            actions, _ = player.predict(seen[0], deterministic=False)
            seen[0] = games.step(actions)[0]
            return case.envs

        yield Contender(step, inside=False)


class Peer(NamedTuple):
    """How one plays otherwise: what it needs, and what pip calls that."""

    open: Opener
    module: str
    package: str


ENV_POOL = "EnvPool + torch"
PEERS: dict[str, Peer] = {
    "naive loop over AtariVectorEnv": Peer(naive_loop, "ale_py", "ale-py"),
    ENV_POOL: Peer(env_pool, "envpool", "envpool"),
    "Gymnasium AsyncVectorEnv + torch": Peer(gymnasium_async, "gymnasium", "gymnasium"),
    "SB3 predict, SubprocVecEnv": Peer(sb3_subprocesses, "stable_baselines3", "stable-baselines3"),
}


def missing_peers() -> dict[str, str]:
    """The packages of those that are not installed, by the peer's name."""
    return {name: peer.package for name, peer in PEERS.items() if find_spec(peer.module) is None}


def _loop(
    agent: BenchAgent, case: BenchCase, first: Any, act: Callable[[np.ndarray], Any]
) -> Contender:
    """Observe, think, act. first: observations. act: gives those that follow."""
    seen = [first]

    def step() -> int:
        seen[0] = act(_sampled(agent.network, seen[0]))
        return case.envs

    return Contender(step)


@torch.inference_mode()
def _sampled(network: Network, seen: Any) -> np.ndarray:
    device = next(network.parameters()).device
    logits = network(torch.from_numpy(np.ascontiguousarray(seen)).to(device))
    return torch.distributions.Categorical(logits=logits).sample().cpu().numpy()


def _wrapped(name: str) -> Any:
    import gymnasium
    from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

    _register()
    game = gymnasium.make(f"ALE/{name}-v5", frameskip=1, repeat_action_probability=0.0)
    return FrameStackObservation(AtariPreprocessing(game), 4)


def _register() -> None:
    import ale_py
    import gymnasium

    gymnasium.register_envs(ale_py)
