"""Dopamine's and CleanRL's JAX agents: their networks in flax, and their files as they save them.

The networks are those of dopamine/jax/networks.py and of cleanrl/*_jax.py, with sizes to choose.
"""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

Params = dict[str, Any]

ATOMS, QUANTILES, COSINES, SAMPLES = 51, 200, 64, 32
FRAME_STACK = (84, 84, 4)


def convolved(x: jax.Array, widths: Sequence[int], padding: str) -> jax.Array:
    """The three convolutions; they are made in the module that calls this."""
    for width, kernel, stride in zip(widths, (8, 4, 3), (4, 2, 1), strict=True):
        x = nn.relu(nn.Conv(width, (kernel, kernel), (stride, stride), padding=padding)(x))
    return x


class DopamineDense(nn.Module):
    """NatureDQNNetwork, RainbowNetwork and QuantileNetwork; `atoms` is 1 for DQN."""

    actions: int = 6
    atoms: int = 1
    widths: Sequence[int] = (32, 64, 64)
    units: int = 512
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = convolved(x.astype(jnp.float32) / 255.0, self.widths, self.padding).reshape(-1)
        x = nn.relu(nn.Dense(self.units)(x))
        x = nn.Dense(self.actions * self.atoms)(x)
        if self.atoms == 1:
            return x
        logits = x.reshape(self.actions, self.atoms)
        return expected(logits) if self.atoms == ATOMS else logits.mean(axis=1)


class DopamineImplicit(nn.Module):
    """ImplicitQuantileNetwork, at the middles of equal parts instead of at random quantiles."""

    actions: int = 6
    widths: Sequence[int] = (32, 64, 64)
    units: int = 512
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = convolved(x.astype(jnp.float32) / 255.0, self.widths, self.padding).reshape(-1)
        tiled = jnp.tile(x, [SAMPLES, 1])
        taus = jnp.tile((jnp.arange(SAMPLES)[:, None] + 0.5) / SAMPLES, [1, COSINES])
        angles = jnp.arange(1, COSINES + 1, 1).astype(jnp.float32) * np.pi * taus
        x = tiled * nn.relu(nn.Dense(x.shape[-1])(jnp.cos(angles)))
        x = nn.relu(nn.Dense(self.units)(x))
        return nn.Dense(self.actions)(x).mean(axis=0)


class NoisyNetwork(nn.Module):
    """The layer as it is when evaluated: its noise is zero."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        normal = nn.initializers.normal()
        kernel = self.param("kernel_mu", normal, (x.shape[0], self.features))
        self.param("kernel_sigma", normal, (x.shape[0], self.features))
        bias = self.param("bias_mu", normal, (self.features,))
        self.param("bias_sigma", normal, (self.features,))
        return x @ kernel + bias


class DopamineFullRainbow(nn.Module):
    """FullRainbowNetwork; `atoms` is 1 where it is not distributional."""

    actions: int = 6
    atoms: int = ATOMS
    noisy: bool = True
    dueling: bool = True
    widths: Sequence[int] = (32, 64, 64)
    units: int = 512
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        net = NoisyNetwork if self.noisy else nn.Dense
        x = convolved(x.astype(jnp.float32) / 255.0, self.widths, self.padding).reshape(-1)
        x = nn.relu(net(self.units)(x))
        advantage = net(self.actions * self.atoms)(x).reshape(self.actions, self.atoms)
        if self.dueling:
            value = net(self.atoms)(x).reshape(1, self.atoms)
            advantage = value + (advantage - jnp.mean(advantage, axis=0, keepdims=True))
        return expected(advantage) if self.atoms > 1 else jnp.sum(advantage, axis=1)


class DopamineImpala(nn.Module):
    """As much of ImpalaDQNNetwork as its parameters' names show."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = Stack()(x.astype(jnp.float32) / 255.0)
        return nn.Dense(6)(nn.relu(nn.Dense(32)(x.reshape(-1))))


class Stack(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.max_pool(nn.Conv(4, (3, 3))(x), (3, 3), (8, 8))
        return x + nn.Conv(4, (3, 3))(nn.relu(x))


class CleanRL(nn.Module):
    """QNetwork of dqn_atari_jax.py and, with atoms, of c51_atari_jax.py; without actions the
    Network of ppo_atari_envpool_xla_jax.py. It reads (batch, 4, 84, 84)."""

    actions: int = 6
    atoms: int = 1
    widths: Sequence[int] = (32, 64, 64)
    units: int = 512

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = convolved(jnp.transpose(x, (0, 2, 3, 1)) / 255.0, self.widths, "VALID")
        x = nn.relu(nn.Dense(self.units)(x.reshape(x.shape[0], -1)))
        if not self.actions:
            return x
        x = nn.Dense(self.actions * self.atoms)(x)
        return x if self.atoms == 1 else nn.softmax(x.reshape(-1, self.actions, self.atoms))


class ResidualBlock(nn.Module):
    channels: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        through = nn.Conv(self.channels, (3, 3))(nn.relu(x))
        return x + nn.Conv(self.channels, (3, 3))(nn.relu(through))


class ConvSequence(nn.Module):
    channels: int
    residuals: int = 2

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.max_pool(nn.Conv(self.channels, (3, 3))(x), (3, 3), (2, 2), padding="SAME")
        for _ in range(self.residuals):
            x = ResidualBlock(self.channels)(x)
        return x


class CleanRLImpala(nn.Module):
    """QNetwork of CleanRL's qdagger_dqn_atari_jax_impalacnn.py; or with no `actions` the Network of
    cleanba's cleanba_impala_envpool_impala_atari_wrapper.py. It reads (batch, 4, 84, 84)."""

    actions: int = 6
    widths: Sequence[int] = (16, 32, 32)
    units: int = 256
    residuals: int = 2

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = jnp.transpose(x, (0, 2, 3, 1)) / 255.0
        for width in self.widths:
            x = ConvSequence(width, self.residuals)(x)
        x = nn.relu(nn.Dense(self.units)(nn.relu(x).reshape(x.shape[0], -1)))
        return nn.Dense(self.actions)(x) if self.actions else x


def expected(logits: jax.Array) -> jax.Array:
    """C51's values of actions, from (actions, atoms)."""
    return jnp.sum(jnp.linspace(-10.0, 10.0, ATOMS) * nn.softmax(logits), axis=-1)


def parameters(module: nn.Module, shape: Sequence[int] = FRAME_STACK, seed: int = 0) -> Params:
    """Random parameters of jax arrays, biases too, of a size that keeps outputs near 1."""
    random = np.random.default_rng(seed)
    key, seen = jax.random.key(0), jnp.zeros(shape)
    shapes = jax.eval_shape(module.init, key, seen)

    def leaf(like: jax.ShapeDtypeStruct) -> jax.Array:
        scale = np.prod(like.shape[:-1]) ** -0.5 if len(like.shape) > 1 else 0.3
        return jnp.asarray(random.normal(0, scale, like.shape), jnp.float32)

    return jax.tree.map(leaf, shapes)


def dopamine_outputs(module: nn.Module, params: Params, seen: np.ndarray) -> np.ndarray:
    """Values (batch, actions). seen: uint8 (batch, 4, 84, 84)."""
    states = jnp.asarray(seen.transpose(0, 2, 3, 1))
    of_all = jax.jit(jax.vmap(lambda state: module.apply(params, state)))
    return np.array(of_all(states))


def dopamine_bundle(params: Params, generation: str = "E", **more: Any) -> dict[str, Any]:
    """What an agent's `bundle_and_checkpoint` and its runner put into `ckpt.N`.

    generation: "C" (flax.nn, 2020), "D" (linen's FrozenDict, 2021) or "E" (2023).
    """
    other = jax.tree.map(lambda x: x + 1, params)  # the target network: an older one
    freeze = {"C": flax_nn, "D": flax.core.freeze, "E": dict}[generation]
    bundle = {
        "state": np.zeros((1, *FRAME_STACK) if generation == "C" else FRAME_STACK),
        "training_steps": 49_750_000,
        "online_params": freeze(params),
        "optimizer_state": optax.adam(1e-4).init(params),
        "target_params": freeze(other),
        "current_iteration": 199,
        "logs": {"iteration_0": {"train_episode_returns": [1.0, -2.5], "train_average": 3.5}},
    }
    if generation == "C":
        del bundle["optimizer_state"]
    return bundle | more


def flax_nn(params: Params) -> Params:
    """Parameters as flax.nn had them: one counter for all layers, and plain NumPy arrays."""
    layers = params["params"].items()
    names = [f"{name.split('_')[0]}_{i}" for i, (name, _) in enumerate(layers)]
    return dict(zip(names, jax.tree.map(np.asarray, [p for _, p in layers]), strict=True))


def dopamine_pickle(bundle: Mapping[str, Any]) -> bytes:
    """As dopamine/discrete_domains/checkpointer.py writes it."""
    return pickle.dumps(bundle)


class DeviceArray:
    """A jax array as jax of 2022 pickled it: another name for what today's does."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    def __reduce__(self) -> tuple[Any, ...]:
        function = sys.modules["jax._src.device_array"].reconstruct_device_array
        return function, (*self.array.__reduce__(), {"weak_type": False, "named_shape": {}})


@contextmanager
def jax_of_2022() -> Iterator[None]:
    """In it, pickle finds the function that arrays of 2022 name."""
    module = types.ModuleType("jax._src.device_array")

    def reconstruct_device_array() -> None: ...

    reconstruct_device_array.__module__ = module.__name__
    reconstruct_device_array.__qualname__ = "reconstruct_device_array"
    module.reconstruct_device_array = reconstruct_device_array  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        del sys.modules[module.__name__]


def settings(**more: Any) -> dict[str, Any]:
    """vars(args) of a script of CleanRL."""
    common = {"exp_name": "script", "seed": 1, "torch_deterministic": True, "wandb_entity": None}
    return common | {"env_id": "BreakoutNoFrameskip-v4", "total_timesteps": 10_000_000} | more


def cleanrl_dqn_file(params: Params) -> bytes:
    """As dqn_atari_jax.py saves `q_state.params`."""
    return flax.serialization.to_bytes(params)


def cleanrl_c51_file(params: Params, **more: Any) -> bytes:
    """As c51_atari_jax.py saves them, with its settings."""
    args = settings(n_atoms=ATOMS, v_min=-10, v_max=10) | more
    return flax.serialization.to_bytes({"model_weights": params, "args": args})


def cleanrl_ppo_file(network: Params, actor: Params, critic: Params, **more: Any) -> bytes:
    """As ppo_atari_envpool_xla_jax.py saves its three networks."""
    args = settings(env_id="Breakout-v5", clip_coef=0.1) | more
    return flax.serialization.to_bytes([args, [network, actor, critic]])
