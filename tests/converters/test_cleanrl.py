"""CleanRL's torch models, against modules with the attributes and the arithmetic of its scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import layer_values, observations
from torch_zoo_files import Agent, QNetwork, Rainbow, cleanrl_model, lively, save_cleanrl

from atari_zoo.converters import ConversionError, MnihNetwork, to_torch
from atari_zoo.converters.convert import read
from atari_zoo.converters.network.heads import (
    ActorCriticHead,
    CategoricalHead,
    Head,
    PolicyHead,
    QHead,
)

KINDS: dict[str, tuple[type[Head], str]] = {
    "dqn": (QHead, "dqn"),
    "c51": (CategoricalHead, "c51"),
    "c51 of other atoms": (CategoricalHead, "c51"),
    "ppo": (ActorCriticHead, "ppo"),
    "rainbow": (CategoricalHead, "rainbow"),
    "sac": (PolicyHead, ""),
    "kaixhin": (CategoricalHead, "rainbow"),
}
ARGUMENTS = {
    "exp_name": "c51_atari",
    "env_id": "BreakoutNoFrameskip-v4",
    "seed": 7,
    "total_timesteps": 10_000_000,
    "v_min": -10,
}


@pytest.mark.parametrize("suffix", [".cleanrl_model", ".pth"])
@pytest.mark.parametrize("kind", KINDS)
def test_its_models_give_their_own_outputs(tmp_path: Path, kind: str, suffix: str) -> None:
    head, algorithm = KINDS[kind]
    model, seen = cleanrl_model(kind), observations()
    path = save_cleanrl(tmp_path / f"model{suffix}", kind)
    source = read(path)
    with torch.no_grad():
        expected = model(seen)
        assert isinstance(source.model, MnihNetwork) and isinstance(source.model.head, head)
        torch.testing.assert_close(source.model(seen), expected, atol=1e-5, rtol=1e-5)
        # through ONNX too, as every model goes
        torch.testing.assert_close(to_torch(path)(seen), expected, atol=1e-5, rtol=1e-5)
    assert source.card.get("algorithm", "") == algorithm
    assert source.card["action_rule"] == ("sample" if kind in ("ppo", "sac") else "argmax")
    assert source.written_by.startswith("Kaixhin" if kind == "kaixhin" else "CleanRL")


def test_its_value_and_its_atoms_are_named_layers(tmp_path: Path) -> None:
    seen, ppo, c51 = observations(), cleanrl_model("ppo"), cleanrl_model("c51")
    with torch.no_grad():
        for kind, layer, expected in (
            ("ppo", "value", ppo.critic(ppo.network(seen / 255))),
            ("c51", "atoms", c51.network(seen / 255).view(3, 6, 51)),
        ):
            network = to_torch(save_cleanrl(tmp_path / "model.cleanrl_model", kind))
            assert isinstance(network, MnihNetwork)
            found = layer_values(network, seen)[layer]
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("folder", "arguments", "expected"),
    [
        (".", ARGUMENTS, {"game": "Breakout", "run": "7", "frames": 40_000_000}),
        (".", ARGUMENTS | {"env_id": "ALE/MsPacman-v5"}, {"game": "MsPacman", "run": "7"}),
        (".", {"env_id": "CartPole", "seed": -1, "total_timesteps": "many"}, {"game": None}),
        ("PongNoFrameskip-v4__dqn_atari__3__1680000000", None, {"game": "Pong", "run": "3"}),
        ("Qbert-v5-dqn_atari-seed2", None, {"game": "Qbert", "run": "2"}),
        ("some/folder", None, {"game": None, "run": None, "frames": None}),
    ],
)
def test_the_card_says_what_arguments_and_folders_tell(
    tmp_path: Path, folder: str, arguments: Any, expected: dict[str, Any]
) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    path = save_cleanrl(
        tmp_path / folder / "c51_atari.cleanrl_model", "c51", arguments, widths=(4, 4, 4), units=8
    )
    source = read(path)
    assert {name: source.card.get(name) for name in expected} == expected
    assert source.card["preprocessing"].stack_start == "copies"
    assert source.card["action_rule"] == "argmax"


def nan_atoms() -> torch.nn.Module:
    model = QNetwork((4, 4, 4), 8, atoms=5)
    model.atoms[2] = float("nan")
    return model


def without(model: torch.nn.Module, *names: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if name not in names}


SMALL: dict[str, Any] = {"widths": (4, 4, 4), "units": 8}
REFUSED: dict[str, tuple[Any, str]] = {
    "lstm": (without(Agent(memory=16, **SMALL), "lstm.weight_hh_l0"), "memory 'lstm' lacks"),
    "nan": (nan_atoms().state_dict(), "'atoms' that are not finite"),
    "atoms": (
        QNetwork(**SMALL, actions=7).state_dict() | {"atoms": torch.linspace(-1, 1, 4)},
        "7 outputs, not a multiple of 4 atoms",
    ),
    "no support": (without(Rainbow(**SMALL), "support"), "whose part is not known"),
    "no mean": (without(Rainbow(**SMALL), "value_head.0.bias_mu"), "value_head.0.bias_mu"),
    "integers": (
        {name: t.long() for name, t in QNetwork(**SMALL).state_dict().items()},
        "floats on .* axes were expected",
    ),
    "extra": (Agent(**SMALL).state_dict() | {"normaliser": torch.ones(4)}, "'normaliser'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_networks_are_refused(tmp_path: Path, case: str) -> None:
    weights, message = REFUSED[case]
    torch.save(weights, tmp_path / "model.cleanrl_model")
    with pytest.raises(ConversionError, match=message):
        to_torch(tmp_path / "model.cleanrl_model")


def test_noise_is_left_out(tmp_path: Path) -> None:
    """The sigmas, and the noise drawn last, change nothing: an agent is evaluated by its means."""
    model = cleanrl_model("rainbow", **SMALL)
    seen = observations()
    noisy = lively(Rainbow(**SMALL))
    noisy.load_state_dict(model.state_dict())
    for name, tensor in noisy.state_dict().items():
        if name.endswith(("sigma", "epsilon")):
            tensor.mul_(100)
    torch.save(noisy.state_dict(), tmp_path / "model.cleanrl_model")
    with torch.no_grad():
        found = to_torch(tmp_path / "model.cleanrl_model")(seen)
        torch.testing.assert_close(found, model(seen), atol=1e-5, rtol=1e-5)
