"""What else one would play an agent with. Each is a context that gives a function of the steps to
be played in every environment; it returns agent steps a second, of all environments together.

All see 84x84 grey frames, four stacked, skip four frames, and run on as many threads or processes
as there are cores; neither making nor resetting the games is timed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from ale_py.vector_env import AtariVectorEnv

from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.games import Game
from atari_zoo.play.inference import Inference
from atari_zoo.threads import torch_threads

Contender = Callable[[int], float]
CORES = os.cpu_count() or 1


@contextmanager
def ceiling(of: Game, network: MnihNetwork, envs: int) -> Iterator[Contender]:
    """The vectorised emulator with random actions: nothing that plays can be faster."""

    def play(steps: int) -> float:
        actions = np.random.default_rng(0).integers(network.actions, size=(steps, envs))
        return _rate(lambda: [emulator.step(some) for some in actions], steps * envs)

    with closing(_emulator(of, envs)) as emulator:
        emulator.reset(seed=0)
        yield play


def _argmax(inference: Inference, seen: torch.Tensor) -> torch.Tensor:
    return inference(seen)[0].argmax(1).cpu()


@contextmanager
def alone(of: Game, network: MnihNetwork, envs: int) -> Iterator[Contender]:
    """Our fastest float32 network with nothing to play, half the environments at a time."""
    device = next(network.parameters()).device
    seen = torch.randint(0, 256, (max(1, envs // 2), 4, 84, 84), dtype=torch.uint8, device=device)
    inference = Inference(network)

    @torch.inference_mode()
    def play(steps: int) -> float:
        times = steps * envs // len(seen)
        return _rate(
            lambda: [inference(seen)[0].argmax(1).cpu() for _ in range(times)], steps * envs
        )

    def undisturbed(steps: int) -> float:
        with torch_threads(1):
            return play(steps)

    yield undisturbed


@contextmanager
def naive(of: Game, network: MnihNetwork, envs: int) -> Iterator[Contender]:
    """The loop that everyone writes first: observe, think, act, one after the other."""
    with closing(_emulator(of, envs)) as emulator:
        seen = [emulator.reset(seed=0)[0]]

        def step() -> None:
            seen[0] = emulator.step(_sampled(network, seen[0]))[0]

        yield partial(_played, step, envs)


@contextmanager
def env_pool(of: Game, network: MnihNetwork, envs: int) -> Iterator[Contender]:
    """EnvPool (Weng et al., 2022) in step with torch."""
    with suppress(ImportError):  # loaded after EnvPool's library, it ends the process
        import triton  # noqa: F401
    import envpool

    games = envpool.make_gymnasium(
        f"{of.name}-v5",
        num_envs=envs,
        num_threads=CORES,
        episodic_life=False,
        reward_clip=False,
        use_inter_area_resize=True,
        seed=0,
    )
    seen = [games.reset()[0]]

    def step() -> None:
        seen[0] = games.step(_sampled(network, seen[0]).astype(np.int32))[0]

    yield partial(_played, step, envs)
    games.close()


@contextmanager
def gymnasium_async(of: Game, network: MnihNetwork, envs: int) -> Iterator[Contender]:
    """Gymnasium's AsyncVectorEnv of AtariPreprocessing: a process for each environment."""
    from gymnasium.vector import AsyncVectorEnv

    makers = [partial(_wrapped, of.name)] * envs
    with closing(AsyncVectorEnv(makers)) as games:
        seen = [games.reset(seed=0)[0]]

        def step() -> None:
            seen[0] = games.step(_sampled(network, seen[0]))[0]

        yield partial(_played, step, envs)


@contextmanager
def sb3(of: Game, network: MnihNetwork, envs: int) -> Iterator[Contender]:
    """Stable-Baselines3: the prediction of its own CnnPolicy over a SubprocVecEnv."""
    from stable_baselines3 import A2C
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack

    _register()
    games = VecFrameStack(
        make_atari_env(
            f"ALE/{of.name}-v5",
            n_envs=envs,
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
        agent = A2C("CnnPolicy", games, device=next(network.parameters()).device)
        seen = [games.reset()]

        def step() -> None:
            actions, _ = agent.predict(seen[0], deterministic=False)
            seen[0] = games.step(actions)[0]

        yield partial(_played, step, envs)


PEERS = {
    "AtariVectorEnv alone": ceiling,
    "the network alone": alone,
    "naive loop over AtariVectorEnv": naive,
    "EnvPool + torch": env_pool,
    "Gymnasium AsyncVectorEnv + torch": gymnasium_async,
    "SB3 predict, SubprocVecEnv": sb3,
}


@torch.inference_mode()
def _sampled(network: MnihNetwork, seen: np.ndarray) -> np.ndarray:
    device = next(network.parameters()).device
    logits = network(torch.from_numpy(np.ascontiguousarray(seen)).to(device))
    return torch.distributions.Categorical(logits=logits).sample().cpu().numpy()


def _played(step: Callable[[], None], envs: int, steps: int) -> float:
    return _rate(lambda: [step() for _ in range(steps)], steps * envs)


def _rate(work: Callable[[], object], steps: int) -> float:
    started = time.monotonic()
    work()
    return steps / (time.monotonic() - started)


def _emulator(of: Game, envs: int) -> AtariVectorEnv:
    # as it comes: grey, 84x84, four frames stacked, and with as many threads as ours has
    return AtariVectorEnv(of.rom, envs, stack_num=4, autoreset_mode="SameStep")


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
