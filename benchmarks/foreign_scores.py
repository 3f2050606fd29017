"""Scores of real trained policies, put into files of many kinds by others' tools, beside the same
policies' as they were published: the same episodes, seed by seed.

    python benchmarks/foreign_scores.py ../shared/policies --quick

A path into the zoo that lost a scale, a layout or an activation would play like a random agent.
The folder has the policies of ikostrikov/pytorch-a2c-ppo-acktr-gail as .safetensors files (see
tests/real_policies.py).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from rows import Row, arguments, row, show
from safetensors.torch import load_file
from torch import Tensor, nn

from atari_zoo import rollout
from atari_zoo.converters import to_torch
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.saving import save_as
from atari_zoo.models import convert
from atari_zoo.recordings.recordings import Recording

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

Weights = dict[str, Tensor]
LAYERS = ("base.main.0", "base.main.2", "base.main.4", "base.main.7")
HEADS = ("dist.linear", "base.critic_linear")
# file, game, how actions are chosen
POLICIES = (
    ("acktr-Pong", "Pong", "argmax"),
    ("acktr-Breakout", "Breakout", "sample"),
    ("acktr-Seaquest", "Seaquest", "sample"),
    ("ppo-Breakout", "Breakout", "sample"),
)
COMPARED = 500  # moments of the published policy's play at which the best actions are compared


class Policy(nn.Module):
    """Somebody's own module, with an arithmetic of its own before and after it.

    first: of the pixels. activation: after each layer. pooled: behind a pool of 1x1, which
    changes nothing but that it is no network of Mnih et al.
    """

    def __init__(
        self,
        weights: Weights,
        first: Callable[[Tensor], Tensor] = lambda seen: seen / 255,
        activation: Callable[[], nn.Module] = nn.ReLU,
        last: nn.Module | None = None,
        pooled: bool = False,
    ) -> None:
        super().__init__()
        strides = iter((4, 2, 1))
        parts: list[nn.Module] = [nn.MaxPool2d(1)] if pooled else []
        for name in LAYERS:
            weight = weights[f"{name}.weight"]
            if weight.ndim == 2:
                parts.append(nn.Flatten())
            parts += [_layer(weights, name, next(strides, 1)), activation()]
        self.body = nn.Sequential(*parts)
        self.actor, self.critic = (_layer(weights, name) for name in HEADS)
        self.first, self.last = first, last or nn.Identity()

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(self.first(seen))
        return self.last(self.actor(features)), self.critic(features)


def _layer(weights: Weights, name: str, stride: int = 1) -> nn.Module:
    weight = weights[f"{name}.weight"]
    shape = weight.shape[1], weight.shape[0]
    if weight.ndim == 4:
        made: Any = nn.Conv2d(*shape, weight.shape[2], stride)
    else:
        made = nn.Linear(*shape)
    made.load_state_dict({part: weights[f"{name}.{part}"] for part in ("weight", "bias")})
    return made


def exported(policy: nn.Module, folder: Path, seen: Tensor | None = None) -> Path:
    """As torch's own exporter writes it."""
    seen = torch.zeros(2, 4, 84, 84) if seen is None else seen
    path = folder / "policy.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it is deprecated
        torch.onnx.export(
            policy.eval(),
            (seen,),
            path,
            dynamo=False,
            input_names=["pixels"],
            output_names=["logits", "value"],
            dynamic_axes={"pixels": {0: "batch"}},
        )
    return path


def scaled_onnx(weights: Weights, folder: Path) -> Path:
    return exported(Policy(weights), folder)


def pooled_onnx(weights: Weights, folder: Path) -> Path:
    return exported(Policy(weights, pooled=True), folder)


def bytes_last_onnx(weights: Weights, folder: Path) -> Path:
    policy = Policy(weights, lambda seen: seen.permute(0, 3, 1, 2).float() / 255)
    return exported(policy, folder, torch.zeros(2, 84, 84, 4, dtype=torch.uint8))


def half_onnx(weights: Weights, folder: Path) -> Path:
    return exported(Policy(weights).half(), folder, torch.zeros(2, 4, 84, 84).half())


def leaky_onnx(weights: Weights, folder: Path) -> Path:
    return exported(Policy(weights, activation=lambda: nn.LeakyReLU(0.0)), folder)


def softmax_onnx(weights: Weights, folder: Path) -> Path:
    return exported(Policy(weights, last=nn.Softmax(dim=1)), folder)


def keras_hdf5(weights: Weights, folder: Path) -> Path:
    from keras_networks import keras_network
    from real_policies import widened

    full, arrays = widened(weights), []
    model = keras_network(actions=len(full["dist.linear.bias"]), scaled=True, critic=True)
    for name in (*LAYERS, *HEADS):
        weight = full[f"{name}.weight"].numpy()
        if name == LAYERS[-1]:  # Keras flattens with the channels last
            weight = weight.reshape(-1, 64, 7, 7).transpose(0, 2, 3, 1).reshape(len(weight), -1)
        arrays.append(weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T)
        arrays.append(full[f"{name}.bias"].numpy())
    model.set_weights(arrays)
    model.save(folder / "policy.h5")
    return folder / "policy.h5"


class Published(nn.Module):
    """The policy as a class of somebody's own, its modules called as in the published files."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        body = Policy(weights).body
        self.base, self.dist = nn.Module(), nn.Module()
        self.base.main = body
        self.dist.linear = _layer(weights, HEADS[0])
        self.base.critic_linear = _layer(weights, HEADS[1])


def whole_pickle(weights: Weights, folder: Path) -> Path:
    torch.save(Published(weights), folder / "policy.pt")
    return folder / "policy.pt"


def written_by_the_zoo(ending: str) -> Callable[[Weights, Path], Path]:
    def write(weights: Weights, folder: Path) -> Path:
        path = folder / f"written{ending}"
        save_as(convert(scaled_onnx(weights, folder)).model, path)
        return path

    return write


FORMS: dict[str, Callable[[Weights, Path], Path]] = {
    "ONNX, /255 inside": scaled_onnx,
    "ONNX, /255 inside, another architecture": pooled_onnx,
    "ONNX, bytes, channels last": bytes_last_onnx,
    "ONNX, float16": half_onnx,
    "ONNX, LeakyReLU(0)": leaky_onnx,
    "ONNX, softmax at the end": softmax_onnx,
    "Keras HDF5": keras_hdf5,
    "whole-module pickle": whole_pickle,
    "safetensors, written by the zoo": written_by_the_zoo(".safetensors"),
    "npz, written by the zoo": written_by_the_zoo(".npz"),
}


def agent_in(path: Path, game: str, rule: str) -> Network:
    """What a user would load, told the game and how it was seen."""
    found = convert(path, algorithm="acktr", game=game, preprocessing="deepmind", action_rule=rule)
    return to_torch(found.model)


def compare(folder: Path, name: str, game: str, rule: str, episodes: int) -> Iterator[Row]:
    """Two rows for each kind of file: the mean score, and how often the best action is the same."""
    source = folder / f"{name}.safetensors"
    weights, published = load_file(source), agent_in(source, game, rule)
    agents = {}
    for form, write in FORMS.items():
        with TemporaryDirectory() as place:
            agents[form] = agent_in(write(weights, Path(place)), game, rule)
    options: dict[str, Any] = {"episodes": episodes, "envs": episodes, "seed": 0}
    theirs = rollout(published, keep=["screens"], **options)
    for form, agent in agents.items():
        ours = rollout(agent, **options)
        case = f"{name}, {form}"
        scores = [float(part.returns.mean()) for part in (ours, theirs)]
        yield row("foreign_scores", case, "as published", *([s] for s in scores), "points")
        same = agreement(agent, published, theirs)
        yield row("foreign_scores", f"{case}, actions", "itself", [same], [100.0], "%")


def agreement(agent: Network, published: Network, played: Recording) -> float:
    """Per cent of some moments at which both rate the same action best."""
    seen = played.observations()[:COMPARED]
    with torch.inference_mode():
        ours, theirs = (network(seen).argmax(dim=1).numpy() for network in (agent, published))
    return 100 * float(np.mean(ours == theirs))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("policies", type=Path, help="the folder of the policies")
    parser.add_argument("--episodes", type=int, default=8)
    given = parser.parse_args()
    cases = POLICIES[:1] if given.quick else POLICIES
    episodes = min(2, given.episodes) if given.quick else given.episodes
    rows = (one for case in cases for one in compare(given.policies, *case, episodes))
    show(rows, given.json)


if __name__ == "__main__":
    main()
