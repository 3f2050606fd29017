"""Stable-Baselines3's and sb3-contrib's own zips, against the libraries' own policies."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stable_baselines3
import torch
from architectures import layer_values, observations
from torch import Tensor
from torch_zoo_files import Screens, save_sb3, sb3_model

from atari_zoo import rollout
from atari_zoo.converters import ConversionError, MnihNetwork, to_torch
from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.convert import read
from atari_zoo.converters.formats.sb3 import read_sb3
from atari_zoo.converters.network.heads import ActorCriticHead, PolicyHead, QHead, QuantileHead

# the policies see bytes; float spaces are for normalize_images=False
CASES: dict[str, tuple[str, dict[str, Any], type]] = {
    "A2C": ("A2C", {}, ActorCriticHead),
    "PPO": ("PPO", {}, ActorCriticHead),
    "DQN": ("DQN", {}, QHead),
    "QR-DQN": ("QRDQN", {}, QuantileHead),
    "QR-DQN of 30 quantiles": ("QRDQN", {"n_quantiles": 30}, QuantileHead),
    "two trunks": ("PPO", {"share_features_extractor": False}, PolicyHead),
    "256 units": ("A2C", {"units": 256}, ActorCriticHead),
    "narrow": ("DQN", {"widths": (8, 16, 12), "units": 40}, QHead),
    "18 actions": ("DQN", {"actions": 18}, QHead),
    "frames last": ("A2C", {"env": Screens(shape=(84, 84, 4))}, ActorCriticHead),
    "unscaled bytes": ("PPO", {"normalize_images": False}, ActorCriticHead),
    "unscaled floats": (
        "PPO",
        {"normalize_images": False, "env": Screens(high=255, dtype=np.float32)},
        ActorCriticHead,
    ),
    "scaled floats": (
        "DQN",
        {"normalize_images": False, "env": Screens(high=1, dtype=np.float32)},
        QHead,
    ),
}


def theirs(model: Any, seen: Tensor) -> dict[str, Tensor]:
    """The library's own values; SB3 hands out logits less their logsumexp."""
    policy = model.policy
    if policy.observation_space.high.max() == 1:
        seen = seen.float() / 255
    with torch.no_grad():
        if hasattr(policy, "q_net"):
            return {"output": policy.q_net(seen)}
        if hasattr(policy, "quantile_net"):
            quantiles = policy.quantile_net(seen)  # (batch, quantiles, actions)
            return {"quantiles": quantiles.transpose(1, 2), "output": quantiles.mean(1)}
        logits = policy.get_distribution(seen).distribution.logits
        return {"log-probabilities": logits, "value": policy.predict_values(seen)}


def ours(network: MnihNetwork, seen: Tensor) -> dict[str, Tensor]:
    values = layer_values(network, seen)
    return values | {"log-probabilities": values["output"].log_softmax(1)}


@pytest.mark.parametrize("case", CASES)
def test_its_zips_give_the_policys_own_outputs(tmp_path: Path, case: str) -> None:
    algorithm, settings, head = CASES[case]
    model, seen = sb3_model(algorithm, **settings), observations()
    model.save(tmp_path / "agent.zip")
    through_onnx = to_torch(tmp_path / "agent.zip")
    direct = read(tmp_path / "agent.zip").model
    for network in (through_onnx, direct):
        assert isinstance(network, MnihNetwork) and isinstance(network.head, head)
        found = ours(network, seen)
        for name, expected in theirs(model, seen).items():
            if name == "value" and head is PolicyHead:
                continue  # the critic's convolutions are its own
            # float32 sums of 3136 terms, and with unscaled weights of another magnitude
            torch.testing.assert_close(found[name], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("algorithm", "name", "rule"),
    [
        ("A2C", "a2c", "sample"),
        ("PPO", "ppo", "sample"),
        ("DQN", "dqn", "argmax"),
        ("QRDQN", "qrdqn", "argmax"),
    ],
)
def test_the_card_says_what_the_zip_does(
    tmp_path: Path, algorithm: str, name: str, rule: str
) -> None:
    model = sb3_model(algorithm, widths=(4, 4, 4), units=8)
    model.num_timesteps = 12_345
    path = tmp_path / f"{name}-MsPacmanNoFrameskip-v4.zip"
    model.save(path)
    source = read(path)
    expected = {"algorithm": name, "action_rule": rule, "game": "MsPacman", "frames": 49_380}
    assert {key: source.card.get(key) for key in expected} == expected
    assert source.card["preprocessing"] == PREPROCESSINGS["deepmind"]
    assert source.written_by.startswith("Stable-Baselines3 (")
    assert source.written_by.endswith(f") {stable_baselines3.__version__}")
    assert source.input == "uint8 (4, 84, 84)"
    assert any("counted as 4 frames" in note for note in source.notes)


# what an environment without frame stacking, or without any wrapper, shows; SB3 moves frames that
# come last to the front by itself (VecTransposeImage), and leaves the others
SEEN: dict[str, tuple[tuple[int, ...], tuple[int, ...], str, str]] = {
    "one frame, last": ((84, 84, 1), (1, 84, 84), "luma", "area"),
    "one frame, first": ((1, 84, 84), (1, 84, 84), "luma", "area"),
    "four frames, first": ((4, 84, 84), (4, 84, 84), "luma", "area"),
    "smaller": ((2, 64, 64), (2, 64, 64), "luma", "area"),
    "as large as padded ones of 64": ((1, 96, 96), (1, 96, 96), "luma", "area"),
    "the emulator's own": ((210, 160, 3), (3, 210, 160), "colour", "area"),
}


@pytest.mark.parametrize("case", SEEN)
def test_screens_of_other_environments(tmp_path: Path, case: str) -> None:
    told, shape, grey, resize = SEEN[case]
    model = sb3_model("A2C", units=8, env=Screens(shape=told))
    model.save(tmp_path / "ppo-PongNoFrameskip-v4.zip")
    seen = torch.randint(0, 256, (7, *shape), dtype=torch.uint8)
    found = to_torch(tmp_path / "ppo-PongNoFrameskip-v4.zip")
    assert isinstance(found, MnihNetwork)
    shown = found.card.preprocessing
    assert found.shape == shape == shown.shape and (shown.grey, shown.resize) == (grey, resize)
    assert shown.life_loss_ends == (grey == "luma")  # DeepMind's wrappers, or none
    for some in (seen[:1], seen):
        values, expected = ours(found, some), theirs(model, some)
        for name, wanted in expected.items():
            torch.testing.assert_close(values[name], wanted, atol=1e-5, rtol=1e-5)
    recording = rollout(found, steps=3, envs=1, seed=0)
    assert len(recording.rewards) == 3


def test_an_algorithm_that_the_zoo_does_not_know_is_not_called_a2c(tmp_path: Path) -> None:
    card = read(save_sb3(tmp_path / "a.zip", "TRPO", widths=(4, 4, 4), units=8)).card
    assert (card["algorithm"], card["action_rule"]) == ("unknown", "sample")


def test_notes_say_what_was_left_out_or_changed(tmp_path: Path) -> None:
    tiny: dict[str, Any] = {"widths": (4, 4, 4), "units": 8}

    def notes(name: str, **settings: Any) -> str:
        return " ".join(read(save_sb3(tmp_path / "a.zip", name, **tiny, **settings)).notes)

    assert notes("A2C") == ""
    assert "target network is left out" in notes("DQN")
    assert "convolutions of its own" in notes("A2C", share_features_extractor=False)
    assert "multiplied by 255" in notes("A2C", normalize_images=False)


def rewritten(path: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """The zip with one of its members changed."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = change(members[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


def test_zips_of_older_versions(tmp_path: Path) -> None:
    """Before 1.7 the extractor stood there once; before torch 1.6 policy.pth was no zip."""
    seen, model = observations(), sb3_model("PPO")

    def older(content: bytes) -> bytes:
        weights = torch.load(io.BytesIO(content), weights_only=True)
        kept = {k: v for k, v in weights.items() if not k.startswith(("pi_", "vf_"))}
        file = io.BytesIO()
        torch.save(kept, file, _use_new_zipfile_serialization=False)
        return file.getvalue()

    model.save(tmp_path / "agent.zip")
    network = to_torch(rewritten(tmp_path / "agent.zip", "policy.pth", older))
    assert isinstance(network, MnihNetwork)
    expected = theirs(model, seen)
    found = ours(network, seen)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=1e-5)


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "extra layers": ("A2C", {"net_arch": [64, 32]}, r"net_arch\): 512 to 64, 64 to 32"),
    "extra layers of DQN": ("DQN", {"net_arch": [64]}, r"net_arch\): 64 to 6"),
    "nine frames": ("A2C", {"env": Screens(shape=(9, 84, 84))}, r"observations of \[9, 84, 84\]"),
    "smaller": ("A2C", {"env": Screens(shape=(4, 60, 60))}, r"observations of \[4, 60, 60\]"),
    # its dense layer is as large as padded convolutions leave it on 84x84
    "larger": ("DQN", {"env": Screens(shape=(4, 116, 116))}, r"observations of \[4, 116, 116\]"),
    "odd floats": (
        "A2C",
        {"normalize_images": False, "env": Screens(high=3, dtype=np.float32)},
        "pixels up to 3; not 1 or 255",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_policies_are_refused(tmp_path: Path, case: str) -> None:
    algorithm, settings, message = REFUSED[case]
    sb3_model(algorithm, **settings).save(tmp_path / "agent.zip")
    with pytest.raises(ConversionError, match=message):
        to_torch(tmp_path / "agent.zip")


def test_policies_of_vectors_are_refused(tmp_path: Path) -> None:
    from stable_baselines3 import PPO

    PPO("MlpPolicy", Screens(), device="cpu", policy_kwargs={"net_arch": [8]}).save(
        tmp_path / "mlp.zip"
    )
    with pytest.raises(ConversionError, match=r"extra dense layers|no state dict"):
        to_torch(tmp_path / "mlp.zip")


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran",)


def test_what_is_pickled_in_it_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = save_sb3(tmp_path / "a.zip", "PPO", widths=(4, 4, 4), units=8)

    def poisoned(content: bytes) -> bytes:
        settings = json.loads(content)
        code = base64.b64encode(pickle.dumps(RunsCode())).decode()
        for value in settings.values():
            if isinstance(value, dict):
                value[":serialized:"] = code
        return json.dumps(settings).encode()

    assert isinstance(to_torch(rewritten(path, "data", poisoned)), MnihNetwork)
    code = io.BytesIO()
    torch.save({"a": RunsCode()}, code)
    with pytest.raises(ConversionError, match=r"would run code.*system"):
        to_torch(rewritten(path, "policy.pth", lambda _: code.getvalue()))
    assert not (tmp_path / "ran").exists()


def encrypted(data: bytes) -> bytes:
    """The flag set in every central directory entry."""
    changed, place = bytearray(data), 0
    while (place := data.find(b"PK\x01\x02", place)) >= 0:
        changed[place + 8] |= 1
        place += 4
    return bytes(changed)


DAMAGED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no settings": (lambda p: rewritten(p, "data", lambda _: b"[1"), "no JSON"),
    "a list": (lambda p: rewritten(p, "data", lambda _: b"[1]"), "no settings"),
    "deep": (lambda p: rewritten(p, "data", lambda _: b"[" * 50_000), "no JSON"),
    "lists": (lambda p: rewritten(p, "data", lambda _: b"[" * 200_000), "more than settings"),
    "bomb": (
        lambda p: rewritten(p, "policy.pth", lambda _: bytes((1 << 28) + 1)),
        "to 268435457 bytes; at most 268435456",
    ),
    "settings bomb": (
        lambda p: rewritten(p, "data", lambda _: bytes((1 << 24) + 1)),
        "at most 16777216",
    ),
    "no weights": (lambda p: rewritten(p, "policy.pth", lambda _: b""), "not a torch file"),
    "text": (lambda p: rewritten(p, "policy.pth", lambda _: b"hello"), "not a torch file"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_members_are_refused(tmp_path: Path, case: str) -> None:
    damage, message = DAMAGED[case]
    path = damage(save_sb3(tmp_path / "a.zip", "DQN", widths=(4, 4, 4), units=8))
    with pytest.raises(ConversionError, match=message) as caught:
        to_torch(path)
    assert "\n" not in str(caught.value)


def test_damaged_zips_are_refused(tmp_path: Path) -> None:
    path = save_sb3(tmp_path / "a.zip", "DQN", widths=(4, 4, 4), units=8)
    whole = path.read_bytes()
    path.write_bytes(whole[:-2000])
    with pytest.raises(ConversionError, match="cut short"):
        to_torch(path)
    path.write_bytes(encrypted(whole))
    with pytest.raises(ConversionError, match="encrypted"):
        to_torch(path)
    place = whole.index(b"data.pkl", whole.index(b"policy.pth")) + 200  # told by a checksum
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
    with pytest.raises(ConversionError, match="damaged"):
        to_torch(path)


def test_a_spurious_count_of_quantiles_is_refused(tmp_path: Path) -> None:
    path = save_sb3(tmp_path / "a.zip", "QRDQN", widths=(4, 4, 4), units=8, n_quantiles=30)

    def changed(content: bytes) -> bytes:
        return json.dumps(json.loads(content) | {"n_quantiles": 7}).encode()

    with pytest.raises(ConversionError, match="7 rows of units"):
        read_sb3(rewritten(path, "data", changed))


@pytest.mark.parametrize("algorithm", ["A2C", "DQN", "QRDQN"])
def test_an_extractor_of_ones_own_is_refused(tmp_path: Path, algorithm: str) -> None:
    """Its activations are in no file; with NatureCNN's names and shapes it looked like that."""
    from stable_baselines3.common.torch_layers import NatureCNN

    class WithELU(NatureCNN):
        def __init__(self, space: Any, features_dim: int = 512) -> None:
            super().__init__(space, features_dim)
            self.cnn[1] = torch.nn.ELU()

    model = sb3_model(algorithm, features_extractor_class=WithELU)
    model.save(tmp_path / "a.zip")
    with pytest.raises(ConversionError, match=r"features come from .*WithELU.* export .* to ONNX"):
        read(tmp_path / "a.zip")
