"""What the tests share. While they run, the shapes and types in our signatures are checked."""

from __future__ import annotations

import signal
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

import pytest
import torch
from jaxtyping import install_import_hook

# before anything of the package is imported: what is imported earlier goes unchecked. PEP 484's
# tower lets an int pass for a float
install_import_hook(
    "atari_zoo", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
)

# a shell's background job is deaf to Ctrl-C, and so would be what the tests start and interrupt
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if find_spec("triton"):
    import_module("triton")  # after TensorFlow it crashes the process; torch imports it late

from atari_zoo.converters.cards import ModelCard  # noqa: E402
from atari_zoo.converters.network.heads import ActorCriticHead  # noqa: E402
from atari_zoo.converters.network.networks import MnihNetwork, Trunk  # noqa: E402
from atari_zoo.games import game as find_game  # noqa: E402


@pytest.fixture(autouse=True)
def one_core():
    """One thread a test: many small tests on few cores only wait for each other otherwise."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def random_agent() -> Callable[..., MnihNetwork]:
    """Makes an actor-critic of random weights for a game; orthogonal ones, so that it acts on
    what it sees instead of choosing one action for ever."""

    def make(game: str = "Pong", seed: int = 0, rule: str = "sample") -> MnihNetwork:
        torch.manual_seed(seed)
        of = find_game(game)
        head = ActorCriticHead(512, len(of.actions))
        network = MnihNetwork(Trunk(), head, ModelCard("a2c", of.name, action_rule=rule))
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                torch.nn.init.orthogonal_(module.weight, 2**0.5)
        return network.eval()

    return make
