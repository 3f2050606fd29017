"""DQN, Rainbow and Ape-X: their formulas against plain loops, their runs against kills."""

from __future__ import annotations

import copy
import dataclasses
import json
from contextlib import closing, contextmanager

import numpy as np
import pytest
import torch
from filled_replay import fill

from atari_zoo.converters.cards import PREPROCESSINGS, Preprocessing
from atari_zoo.training import registry
from atari_zoo.training.captured import put_back
from atari_zoo.training.off_policy.apex import ApeX, ApeXConfig
from atari_zoo.training.off_policy.dqn import DQN, DQNConfig
from atari_zoo.training.off_policy.rainbow import Rainbow, RainbowConfig, projection
from atari_zoo.training.off_policy.replay import CUT, TERMINATED

# a call of update() is a row of the replay, 16 frames and, once 10 rows are there, an update;
# a log row each 4 of them, a checkpoint each 15, so that some lie between two rows
TINY = {
    "frames": 720,
    "envs": 4,
    "buffer": 80,
    "min_history": 40,
    "batch": 4,
    "update_every": 4,
    "target_every": 5,
    "save_every": 240,
    "log_every": 64,
    "epsilon_steps": 100,
    "preprocessing": Preprocessing(max_frames=40),
}
THREE = {
    "dqn": (DQN, DQNConfig(**TINY)),
    "rainbow": (Rainbow, RainbowConfig(**TINY)),
    "apex": (ApeX, ApeXConfig(**TINY)),
}
each = pytest.mark.parametrize("algorithm", THREE)


@contextmanager
def made(algorithm: str, path, **changes):
    """A trainer before its first step."""
    cls, config = THREE[algorithm]
    with closing(cls(path, dataclasses.replace(config, **changes), "cpu")) as trainer:
        trainer.begin(0)
        yield trainer


def whole(trainer) -> torch.Tensor:
    return trainer.memory.priorities.masses.view(-1).nonzero().flatten()


def numbers(network, observations) -> np.ndarray:
    with torch.no_grad():
        return network(observations).double().numpy()


def distributions(network, observations) -> np.ndarray:
    with torch.no_grad():
        logits = network.head.atoms(network.trunk(observations)).double().numpy()
    powers = np.exp(logits - logits.max(2, keepdims=True))
    return powers / powers.sum(2, keepdims=True)


def n_step(trainer, slot: int) -> tuple[float, float]:
    """Return and discount, from the replay's own arrays."""
    replay, total, discount = trainer.replay, 0.0, 1.0
    for _ in range(trainer.config.steps):
        total += discount * float(replay.rewards[slot])
        discount *= 0.99
        if replay.endings[slot] == TERMINATED:
            return total, 0.0
        slot += trainer.config.envs
    return total, discount


def errors_of(algorithm: str, trainer, batch, slots) -> np.ndarray:
    """target - value of each transition, one by one."""
    online, target = trainer.network, trainer.target
    errors = []
    for index, slot in enumerate(slots.tolist()):
        total, discount = n_step(trainer, slot)
        ahead = numbers(target, batch.following[index, None])[0]
        if algorithm == "apex":  # double: the online network chooses
            best = numbers(online, batch.following[index, None])[0].argmax()
        else:
            best = ahead.argmax()
        value = numbers(online, batch.observations[index, None])[0][batch.actions[index]]
        errors.append(total + discount * ahead[best] - value)
    return np.array(errors)


@pytest.mark.parametrize("algorithm, loss", [("dqn", "mse"), ("dqn", "huber"), ("apex", None)])
def test_losses_are_the_papers(algorithm, loss, tmp_path):
    """Dopamine's DQN squares the error, Mnih et al. (2015) clip its derivative."""
    with made(algorithm, tmp_path, **({"loss": loss} if loss else {})) as trainer:
        fill(trainer)
        slots = whole(trainer)
        batch = trainer.replay.sample(slots)
        losses, priorities, values = trainer.judge(batch)
        errors = errors_of(algorithm, trainer, batch, slots)
        squares = errors**2 / 2
        huber = np.where(np.abs(errors) < 1, squares, np.abs(errors) - 0.5)
        expected = {"mse": errors**2, "huber": huber, None: squares}[loss]
        assert (np.abs(errors) > 1).any() and (np.abs(errors) < 1).any()
        # float32 networks in batches and one by one
        np.testing.assert_allclose(losses.detach(), expected, atol=1e-4)
        np.testing.assert_allclose(priorities.detach(), np.abs(errors), atol=1e-4)
        assert {0.0} < {n_step(trainer, slot)[1] for slot in slots.tolist()}
        assert values.requires_grad


def test_the_online_network_chooses_where_q_learning_is_double(tmp_path):
    with made("apex", tmp_path) as trainer:
        fill(trainer)
        following = trainer.replay.sample(whole(trainer)).following
        chosen = [numbers(n, following).argmax(1) for n in (trainer.network, trainer.target)]
        assert (chosen[0] != chosen[1]).any()  # or the test above shows nothing


def projected_in_a_plain_loop(total, discount, probabilities) -> np.ndarray:
    """Algorithm 1 of Bellemare et al. (2017), as it is printed."""
    atoms, lowest, spacing = 51, -10.0, 20 / 50
    m = np.zeros(atoms)
    for j in range(atoms):
        tz = min(max(total + discount * (lowest + j * spacing), -10.0), 10.0)
        b = round((tz - lowest) / spacing, 9)
        low, high = int(np.floor(b)), int(np.ceil(b))
        m[low] += probabilities[j] * (high - b + (low == high))
        m[high] += probabilities[j] * (b - low)
    return m


def test_projection_is_c51s():
    random = np.random.default_rng(0)
    totals = np.array([0, 0.4, 0.5, -3.33, 9.9, 25, -25, 1], np.float32)
    discounts = np.array([0.99, 1, 0, 0.97, 0.97, 0.97, 0.97, 0], np.float32)
    probabilities = random.dirichlet(np.ones(51), len(totals)).astype(np.float32)
    found = projection(
        *map(torch.from_numpy, (totals, discounts, probabilities)), torch.linspace(-10, 10, 51)
    )
    for index in range(len(totals)):
        expected = projected_in_a_plain_loop(
            totals[index].item(), discounts[index].item(), probabilities[index]
        )
        # a float32 place on the support of 20, divided by 0.4: about 1e-6 of 50
        np.testing.assert_allclose(found[index], expected, atol=1e-5)
    torch.testing.assert_close(found.sum(1), torch.ones(len(totals)), atol=1e-5, rtol=0)


def test_rainbows_loss_is_the_cross_entropy(tmp_path):
    with made("rainbow", tmp_path) as trainer:
        fill(trainer)
        slots = whole(trainer)
        batch = trainer.replay.sample(slots)
        losses, priorities, values = trainer.judge(batch)
        support = np.linspace(-10, 10, 51)
        for index, slot in enumerate(slots.tolist()):
            ahead = distributions(trainer.target, batch.following[index, None])[0]
            best = (ahead @ support).argmax()
            wanted = projected_in_a_plain_loop(*n_step(trainer, slot), ahead[best])
            now = distributions(trainer.network, batch.observations[index, None])[0]
            now = now[batch.actions[index]]
            entropy = -(wanted * np.log(now)).sum()
            assert losses[index].item() == pytest.approx(entropy, abs=1e-4)
            assert priorities[index].item() == pytest.approx(entropy, abs=1e-4)
            assert values[index].item() == pytest.approx(now @ support, abs=1e-4)


@each
def test_no_gradient_goes_through_the_target(algorithm, tmp_path):
    with made(algorithm, tmp_path) as trainer:
        fill(trainer)
        batch = trainer.replay.sample(whole(trainer)[:3])
        trainer.judge(batch).losses.sum().backward()
        assert all(weight.grad is None for weight in trainer.target.parameters())
        expected = [weight.grad.clone() for weight in trainer.network.parameters()]
        trainer.network.load_state_dict(trainer.target.state_dict())
        gradients = []
        for target in (trainer.target, trainer.network):  # a copy, and the network itself
            trainer.target = target
            trainer.network.zero_grad()
            trainer.judge(batch).losses.sum().backward()
            gradients.append([weight.grad.clone() for weight in trainer.network.parameters()])
        assert all(map(torch.equal, *gradients))
        assert not all(map(torch.equal, gradients[0], expected))


@each
def test_an_update_weights_its_losses_and_renews_its_priorities(algorithm, tmp_path):
    with made(algorithm, tmp_path) as trainer:
        fill(trainer)
        config = trainer.config
        slots = whole(trainer)
        first = torch.linspace(0.5, 2, len(slots))
        trainer.memory.judge(slots, first)
        trainer.draws.uniform_(generator=trainer.generator)
        drawn, weights = trainer.memory.draw(trainer.draws)
        batch = trainer.replay.sample(drawn)
        judged = trainer.judge(batch)
        if algorithm == "rainbow":  # probability is loss ** 0.5; weight, probability ** -0.5
            roots = dict(zip(slots.tolist(), (first**0.5).tolist(), strict=True))
            expected = np.array([roots[slot] for slot in drawn.tolist()]) ** -0.5
            np.testing.assert_allclose(weights, expected / expected.max(), rtol=1e-5)
        if algorithm == "dqn":
            assert weights.tolist() == [1.0] * config.batch
        masses = judged.priorities.detach() ** config.priority_exponent
        loss = (weights * judged.losses).mean().item()
        trainer.learn_once()
        now = trainer.memory.priorities.masses.view(-1)
        torch.testing.assert_close(now[drawn], masses)
        untouched = [slot for slot in slots.tolist() if slot not in drawn.tolist()]
        before = dict(zip(slots.tolist(), first**config.priority_exponent, strict=True))
        assert all(now[slot] == before[slot] for slot in untouched)
        assert trainer.totals.tolist() == pytest.approx([loss, judged.values.mean().item(), 1])


@each
def test_the_target_network_follows_every_few_updates(algorithm, tmp_path):
    """Two updates in each call of update(), once there are 40 steps; a copy after each 5."""
    with made(algorithm, tmp_path, update_every=2) as trainer:
        same = []
        for _ in range(16):
            trainer.frames += trainer.update().frames
            pairs = zip(trainer.network.parameters(), trainer.target.parameters(), strict=True)
            same.append((trainer.updates, all(torch.equal(a, b) for a, b in pairs)))
        assert same[:10] == [(0, True)] * 10
        # 5 is passed in the middle of a call: one more update follows the copy
        assert same[10:] == [(2, False), (4, False), (6, False), (8, False), (10, True)] + [
            (12, False)
        ]


@pytest.mark.parametrize("envs, every, expected", [(4, 2, 2), (4, 16, 0.25), (4, 3, 4 / 3)])
def test_updates_are_as_many_as_steps_ask_for(envs, every, expected, tmp_path):
    with made("dqn", tmp_path, envs=envs, update_every=every, min_history=8) as trainer:
        trainer.learner = lambda: None
        for _ in range(50):
            trainer.frames += trainer.update().frames
        assert trainer.updates == pytest.approx(48 * expected, abs=1)


def test_epsilon_falls_once_learning_has_begun(tmp_path):
    with made("dqn", tmp_path, min_history=40, epsilon_steps=100, epsilon=0.2) as trainer:
        found = []
        for steps in (0, 40, 65, 140, 1000):
            trainer.frames = steps * 4
            found.append(trainer.epsilons().tolist())
        for epsilons, expected in zip(found, (1, 1, 0.8, 0.2, 0.2), strict=True):
            assert epsilons == pytest.approx([expected] * 4)


def test_each_actor_of_apex_explores_in_its_own_measure(tmp_path):
    with made("apex", tmp_path, envs=5) as trainer:
        expected = [0.4 ** (1 + 7 * i / 4) for i in range(5)]
        assert trainer.epsilons().tolist() == pytest.approx(expected)
    with made("apex", tmp_path / "one", envs=1) as trainer:
        assert trainer.epsilons().tolist() == pytest.approx([0.4])


@pytest.mark.parametrize("epsilon, random", [(0.0, 0), (1.0, 1)])
def test_actions_are_greedy_but_for_epsilon(epsilon, random, tmp_path):
    with made("apex", tmp_path, epsilon=epsilon) as trainer:
        trainer.config = dataclasses.replace(trainer.config, ladder=0.0)
        best = numbers(trainer.network, trainer.observations).argmax(1)
        chosen = np.stack([trainer._act() for _ in range(200)])
        if random:
            assert np.bincount(chosen.ravel(), minlength=6) == pytest.approx(133, rel=0.35)
        else:
            assert (chosen == best).all()


def test_apexs_actors_give_the_first_priorities(tmp_path):
    """They are the absolute errors by the network that acted, here never trained."""
    with made("apex", tmp_path) as trainer:
        trainer.learner = lambda: None
        for _ in range(9):
            trainer.frames += trainer.update().frames
        slots = whole(trainer)
        batch = trainer.replay.sample(slots)
        errors = errors_of("apex", trainer, batch, slots)  # the target is a copy of the network
        found = trainer.memory.priorities.masses.view(-1)[slots]
        assert len(slots) == 6 * 4
        np.testing.assert_allclose(found, (np.abs(errors) + 1e-6) ** 0.6, atol=1e-4)


def test_ended_episodes_are_told_apart(tmp_path):
    """At the time limit nothing is known of what follows; where the game is over, it is 0."""
    with made("dqn", tmp_path) as trainer:
        step = trainer.environments.step(np.zeros(4, int))
        step = step._replace(
            terminated=np.array([False, True, False, True]),
            truncated=np.array([False, False, True, True]),
            rewards=np.array([0, 3, -7, 0.5], np.float32),
            actions=np.array([1, 2, 3, 4]),
            life_ended=np.array([True, False, False, False]),
        )
        trainer._remember(step)
        row = trainer.replay.newest
        assert trainer.replay.endings[row].tolist() == [TERMINATED, TERMINATED, CUT, TERMINATED]
        assert trainer.replay.rewards[row].tolist() == [0, 1, -1, 1]
        assert trainer.replay.actions[row].tolist() == [1, 2, 3, 4]
        assert list(trainer.recent) == [3, -7, 0.5]


def test_gradients_are_clipped_to_a_norm(tmp_path):
    with made("apex", tmp_path, max_gradient=1e-3) as trainer:
        fill(trainer)
        trainer.draws.uniform_(generator=trainer.generator)
        trainer.learn_once()
        squares = sum(weight.grad.square().sum() for weight in trainer.network.parameters())
        assert float(squares) ** 0.5 == pytest.approx(1e-3, rel=1e-3)


def test_an_optimizers_state_is_put_back_in_place():
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight])

    def step() -> dict:
        weight.grad = torch.full((3,), 2.0)
        optimizer.step()
        return copy.deepcopy(optimizer.state_dict()["state"])

    once = step()
    held = optimizer.state[weight]["exp_avg"]
    step()
    put_back(optimizer, once)
    assert optimizer.state[weight]["exp_avg"] is held
    assert all(torch.equal(optimizer.state[weight][name], once[0][name]) for name in once[0])
    put_back(optimizer, {})  # as if there had been no step
    assert all(not tensor.any() for tensor in optimizer.state[weight].values())


class Killed(Exception):
    """The process ends here."""


def kill_after(frames: int):
    def progress(done: int, score: float) -> None:
        if done > frames:
            raise Killed

    return progress


def rows(path) -> list[dict]:
    lines = (path / "log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def weights(path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (path / "checkpoints").iterdir()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folders of runs that nobody interrupted."""
    paths = {}
    for algorithm, (cls, config) in THREE.items():
        paths[algorithm] = tmp_path_factory.mktemp(algorithm)
        cls(paths[algorithm], config, "cpu").train()
    return paths


@each
def test_a_killed_run_ends_as_if_it_had_not_been(algorithm, finished, tmp_path):
    cls, config = THREE[algorithm]
    with pytest.raises(Killed):  # a log row after the second checkpoint; the ring is full
        cls(tmp_path, config, "cpu", kill_after(480)).train()
    resumed = cls(tmp_path, config, "cpu")
    assert resumed.frames == 480 and resumed.replay.added == 30
    resumed.train()
    assert weights(tmp_path) == weights(finished[algorithm])
    assert rows(tmp_path) == rows(finished[algorithm])


@each
def test_a_run_learns_and_tells_of_it(algorithm, finished):
    assert len(set(weights(finished[algorithm]).values())) == 4  # each checkpoint another
    first, *_, last = rows(finished[algorithm])
    assert {"frames", "score", "episodes", "threads", "epsilon", "updates"} == set(first)
    assert set(last) == set(first) | {"loss", "q"}
    assert first["updates"] == 0 and last["updates"] == 34 and last["episodes"] > 0


def test_the_checkpoint_before_is_as_good(finished, tmp_path):
    DQN(tmp_path, dataclasses.replace(THREE["dqn"][1], frames=560), "cpu").train()
    (tmp_path / "latest.pt").write_bytes(b"")
    (tmp_path / "replay" / "000000000030-000000000035.npz").write_bytes(b"")  # not needed
    (tmp_path / "checkpoints" / "000000000560.safetensors").unlink()
    with pytest.warns(UserWarning, match=r"latest\.pt.*; going on from previous\.pt"):
        resumed = DQN(tmp_path, THREE["dqn"][1], "cpu")
    assert resumed.frames == 480
    resumed.train()
    assert weights(tmp_path) == weights(finished["dqn"])


def test_without_its_replay_a_resumed_run_fills_a_new_one(tmp_path):
    config = dataclasses.replace(THREE["dqn"][1], keep_replay=False, frames=240)
    DQN(tmp_path, config, "cpu").train()
    assert not (tmp_path / "replay").exists()
    resumed = DQN(tmp_path, dataclasses.replace(config, frames=720), "cpu")
    done = resumed.updates
    assert resumed.replay.added == 0 and done > 0
    resumed.begin(0)
    for row in range(12):
        assert resumed.updates == done or row > 10
        resumed.frames += resumed.update().frames
    assert resumed.updates > done
    resumed.close()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"save_every": 16}, "save_every is 16 frames, 1 steps .* make it larger"),
        ({"min_history": 100}, "min_history is 100; .* it must be from 8 to 80"),
        ({"min_history": 1}, "min_history is 1; .* it must be from 8 to 80"),
        ({"preprocessing": PREPROCESSINGS["tf"]}, "'tf' does not round .* choose one that does"),
        ({"buffer": 23, "min_history": 8}, "a replay of 5 steps in each of 4 environments"),
    ],
)
def test_what_cannot_learn_is_refused(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        DQN(tmp_path, dataclasses.replace(THREE["dqn"][1], **changes), "cpu")


@each
@pytest.mark.parametrize("preset", ["workstation", "paper"])
def test_presets_are_configurations(algorithm, preset):
    config = registry.config(algorithm, preset)
    config.check()
    assert type(config) is THREE[algorithm][0].Config
