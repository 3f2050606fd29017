"""Sample Factory's checkpoints, against its own networks written out from its source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from architectures import observations
from sample_factory_files import SharedPolicy, save_sample_factory

from atari_zoo import rollout
from atari_zoo.converters import ConversionError, MnihNetwork, to_onnx, to_torch, verify
from atari_zoo.converters.convert import read
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.recurrent import RecurrentNetwork
from atari_zoo.models import convert

NAME = "experiment/checkpoint_p0/checkpoint_000000978_4005888.pth"
CASES: dict[str, dict[str, Any]] = {
    "atari": {},
    "atari, not normalized": {"normalized": False},
    "elu": {"nonlinearity": "elu"},
    "tanh, not normalized": {"nonlinearity": "tanh", "normalized": False},
    "bytes": {"scale": 1.0, "normalized": False},
    "bytes, normalized": {"scale": 128.0},
    "simple": {"kind": "convnet_simple", "units": 64},
    "impala": {"kind": "convnet_impala", "units": 256, "normalized": False},
    "resnet": {"kind": "resnet_impala", "units": 256},
    "subtracted": {"scale": 128.0, "subtracted": 128.0},
    "subtracted, not normalized": {"subtracted": 100.0, "normalized": False, "units": 64},
    "subtracted, simple": {"kind": "convnet_simple", "subtracted": 50.5, "scale": 1.0},
    "subtracted, resnet": {"kind": "resnet_impala", "subtracted": 10.0, "units": 64},
    "decoder": {"more": (32, 16), "units": 64, "normalized": False},
}


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_gives_its_own_outputs(tmp_path: Path, case: str) -> None:
    path, seen = save_sample_factory(tmp_path / NAME, **CASES[case]), observations()
    policy = SharedPolicy(**CASES[case])
    assert read(path).card["format"] == "sample-factory"
    with torch.no_grad():
        logits, value = policy.both(seen)
        found = to_torch(path)
        # the statistics blow differences of float32 up
        torch.testing.assert_close(found(seen), logits, atol=1e-4, rtol=1e-4)
    session = onnxruntime.InferenceSession(
        to_onnx(path).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    outputs = session.run(["output", "value"], {name: seen.float().numpy()})
    np.testing.assert_allclose(outputs[0], logits, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(outputs[1], value, atol=1e-4, rtol=1e-4)
    assert found.card.action_rule == "sample" and found.card.preprocessing.name == "cleanrl"


RECURRENT: dict[str, dict[str, Any]] = {
    "gru": {"rnn": "gru", "units": 16, "normalized": False},
    "lstm": {"rnn": "lstm", "units": 16, "normalized": False},
    "gru, normalized": {"rnn": "gru", "units": 16},
    "lstm, two layers, resnet": {
        "rnn": "lstm",
        "layers": 2,
        "kind": "resnet_impala",
        "widths": (4, 5, 6),
        "units": 16,
        "normalized": False,
    },
    "lstm, decoder": {"rnn": "lstm", "units": 16, "more": (9,), "kind": "convnet_impala"},
}


@pytest.mark.parametrize("case", RECURRENT)
def test_a_memory_is_its_own_step_by_step(tmp_path: Path, case: str) -> None:
    """Over episodes of three environments that begin at other times, its state at zero."""
    path = save_sample_factory(tmp_path / NAME, env="atari_pong", **RECURRENT[case])
    policy, found = SharedPolicy(**RECURRENT[case]), to_torch(path)
    named = "normalized" in RECURRENT[case]  # else each pixel has statistics
    assert isinstance(found, RecurrentNetwork if named else ForeignNetwork)
    assert [part.name for part in found.states] == (
        ["hidden"] if "gru" in case else ["hidden", "cell"]
    )
    theirs, ours = torch.zeros(3, policy.core.size), found.initial_state(3)
    generator = torch.Generator().manual_seed(5)
    for step in range(8):
        seen = torch.randint(0, 256, (3, 4, 84, 84), dtype=torch.uint8, generator=generator)
        starts = torch.tensor([step == 0, step == 3, step in (0, 5)])
        theirs = torch.where(starts[:, None], torch.zeros_like(theirs), theirs)
        ours = found.begun(ours, starts)
        with torch.no_grad(), recorded(found, ["value"]) as values:
            logits, value, theirs = policy.step(seen, theirs)
            made, ours = found.step(seen, ours)
        assert logits.abs().max() > 0.1
        torch.testing.assert_close(made, logits, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(values["value"], value, atol=1e-5, rtol=1e-4)
        # theirs is of one layer after the other, ours of all hidden ones and then the cells
        parts = theirs.view(3, policy.core.layers, -1).split(policy.core.units, dim=2)
        expected = torch.cat([part.flatten(1) for part in parts], dim=1)
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)
    for row in verify(to_onnx(path)):  # onnxruntime, states carried
        assert row.difference <= 1e-4 * max(row.magnitude, 1), row


def test_a_recurrent_checkpoint_plays(tmp_path: Path) -> None:
    path = save_sample_factory(tmp_path / NAME, env="atari_pong", **RECURRENT["lstm"])
    recording = rollout(to_torch(path), steps=5, envs=2, seed=0)
    state = torch.from_numpy(np.asarray(recording.state))
    assert state.shape[-1] == 24 and state[0].abs().max() == 0 and state[-1].abs().max() > 0


def test_the_plain_one_is_the_network_of_mnih(tmp_path: Path) -> None:
    path = save_sample_factory(tmp_path / NAME, normalized=False, env="atari_kongfumaster")
    found = to_torch(path)
    assert isinstance(found, MnihNetwork) and found.head.kind == "actor-critic"
    assert (found.card.game, found.card.algorithm) == ("KungFuMaster", "ppo")
    assert not found.card.assumptions


@pytest.mark.parametrize("env, game", [("atari_breakout", "Breakout"), ("doom_basic", "")])
def test_the_game_is_told_by_the_settings(tmp_path: Path, env: str, game: str) -> None:
    path = save_sample_factory(tmp_path / NAME, env=env, units=8)
    assert read(path).card.get("game", "") == game


def test_what_settings_would_tell_is_assumed_without_them(tmp_path: Path) -> None:
    path = save_sample_factory(tmp_path / "a.pth", config=False, normalized=False, units=8)
    lines = convert(path).card.assumptions
    assert any("ReLUs" in line for line in lines) and any("by 255" in line for line in lines)
    path = save_sample_factory(tmp_path / "b.pth", config=False, units=8)
    (line,) = convert(path).card.assumptions  # statistics of pixels tell their scale
    assert "ReLUs" in line


def changed(path: Path, **weights: torch.Tensor) -> Path:
    content = torch.load(path, weights_only=True)
    content["model"] |= {name.replace("__", "."): tensor for name, tensor in weights.items()}
    torch.save(content, path)
    return path


def test_the_units_of_the_value_are_told(tmp_path: Path) -> None:
    path = save_sample_factory(tmp_path / NAME, units=8)
    mean, variance = torch.tensor([2.5]), torch.tensor([16.0 - 1e-5])
    changed(path, returns_normalizer__running_mean=mean, returns_normalizer__running_var=variance)
    (line,) = [note for note in convert(path).report.notes if "normalized returns" in note]
    assert "times 4, plus 2.5" in line
    content = torch.load(path, weights_only=True)
    kept = {k: v for k, v in content["model"].items() if not k.startswith("returns_normalizer")}
    torch.save(content | {"model": kept}, path)
    assert not any("returns" in note for note in convert(path).report.notes)


def test_what_was_subtracted_must_be_told(tmp_path: Path) -> None:
    path = save_sample_factory(tmp_path / NAME, units=8)
    (path.parent.parent / "config.json").write_text(json.dumps({"obs_subtract_mean": "x"}))
    with pytest.raises(ConversionError, match="obs_subtract_mean is 'x'; a number was expected"):
        to_torch(path)
    path = save_sample_factory(tmp_path / "b.pth", config=False, units=8)
    name = "obs_normalizer.running_mean_std.running_mean_std.obs.running_mean"
    changed(path, **{name: torch.full((4, 84, 84), -0.5)})
    with pytest.raises(ConversionError, match="something was subtracted from pixels"):
        to_torch(path)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    path = save_sample_factory(tmp_path / NAME, units=8)
    memory = changed(path, core__core__weight_ih_l0=torch.zeros(4, 4))
    with pytest.raises(ConversionError, match=r"memory 'core.core' lacks weight_ih or weight_hh"):
        to_torch(memory)
    path = save_sample_factory(tmp_path / NAME, units=8, rnn="gru")
    wide = {"core__core__weight_ih_l0": torch.zeros(36, 9)}
    with pytest.raises(ConversionError, match=r"'core.core' reads 9 features, but .* gives 8"):
        to_torch(changed(path, **wide))
    path = save_sample_factory(tmp_path / NAME, units=8)
    with pytest.raises(ConversionError, match=r"beside its layers it has 'extra\.weight'"):
        to_torch(changed(path, extra__weight=torch.zeros(4, 4)))
    head = "encoder__encoders__obs__enc__mlp_layers__0__weight"
    path = save_sample_factory(tmp_path / NAME, units=8)
    with pytest.raises(ConversionError, match="none of its own encoders on 84x84"):
        to_torch(changed(path, **{head: torch.zeros(8, 100)}))
    path = save_sample_factory(tmp_path / NAME, units=8)
    settings = path.parent.parent / "config.json"
    settings.write_text(json.dumps({"nonlinearity": "mish"}))
    with pytest.raises(ConversionError, match="activation 'mish' is none of relu, elu, tanh"):
        to_torch(path)
