"""Networks in a batch against the same networks alone; populations against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils import parameters_to_vector

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.converters.network.heads import PolicyHead
from atari_zoo.converters.network.networks import SAME, MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.emulator.environments import Environments
from atari_zoo.training.evolution.batched_networks import BatchedNetworks
from atari_zoo.training.evolution.noise_table import NoiseTable
from atari_zoo.training.evolution.populations import Arena
from atari_zoo.untrained.flat_weights import write_parameters
from atari_zoo.untrained.untrained import deviations, policy_network

CPU = torch.device("cpu")


def flat_weights(network: MnihNetwork) -> torch.Tensor:
    return parameters_to_vector(network.parameters()).detach()


def policies(count: int, actions: int, trunk: Trunk | None = None) -> list[MnihNetwork]:
    """Random ones, with biases, so that they act on what they see."""
    torch.manual_seed(0)
    made = []
    for _ in range(count):
        network = MnihNetwork(trunk or Trunk(), PolicyHead(512, actions))
        deviation = deviations(network)
        write_parameters(network, torch.randn_like(deviation) * (deviation + 0.02))
        made.append(network)
    return made


@pytest.mark.parametrize("paddings", [None, SAME], ids=["valid", "same"])
def test_a_batch_of_networks_gives_what_each_gives_alone(paddings):
    convolutions = paddings and mnih_convolutions(paddings=paddings)
    alone = [
        network
        for _ in range(3)
        for network in policies(1, 18, Trunk(convolutions))  # a trunk of its own each
    ]
    for index, network in enumerate(alone):
        write_parameters(network, flat_weights(network) * (1 + index))
    batch = BatchedNetworks(alone[0], 3, CPU)
    for weights, network in zip(batch.weights, alone, strict=True):
        weights.copy_(flat_weights(network))
    observations = torch.randint(0, 256, (3, 4, 84, 84)).byte()
    together = batch(observations)
    for index, network in enumerate(alone):
        with torch.no_grad():
            expected = network(observations[index : index + 1])[0]
        # float32 sums of 3136 terms in another order
        torch.testing.assert_close(together[index], expected, atol=1e-4, rtol=1e-4)


def test_writing_one_copy_leaves_the_others():
    (network,) = policies(1, 6)
    batch = BatchedNetworks(network, 2, CPU)
    observations = torch.randint(0, 256, (2, 4, 84, 84)).byte()
    batch.weights[1].copy_(flat_weights(network))
    first, second = batch(observations)
    assert not first.any()
    assert second.any()


def test_a_policy_is_normal_with_a_deviation_by_layer():
    torch.manual_seed(0)
    network = policy_network(6)
    inputs = {"conv1": 256, "conv2": 512, "conv3": 576, "fc": 3136, "output": 512}
    for name, layer in network.layers.items():
        weight, bias = layer.parameters()
        deviation = inputs[name] ** -0.5 * (0.1 if name == "output" else 1)
        # the output's 3072 weights: 1.3% is one standard error
        assert weight.std().item() == pytest.approx(deviation, rel=0.05), name
        assert not bias.any(), name
    assert flat_weights(network).shape == deviations(network).shape


def test_written_parameters_are_read_back():
    network = policy_network(6)
    flat = torch.randn_like(flat_weights(network))
    write_parameters(network, flat)
    assert torch.equal(flat_weights(network), flat)
    assert network.trunk.get_parameter("conv1.conv.weight")[0, 0, 0, 1] == flat[1]


def test_noise_is_a_normal_slice_that_the_seed_finds():
    table = NoiseTable(30_000, 10_000, seed=1, device="cpu")
    noise = table(7)
    assert torch.equal(noise, NoiseTable(30_000, 10_000, seed=1, device="cpu")(7))
    assert torch.equal(noise[1:], table(8)[:-1])
    assert not torch.equal(noise, NoiseTable(30_000, 10_000, seed=2, device="cpu")(7))
    assert torch.equal(table(20_000), table.numbers[-10_000:])  # the last slice
    assert torch.equal(table(20_001), table.numbers[:10_000])
    assert abs(noise.mean().item()) < 0.05  # five standard errors
    assert noise.std().item() == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("size", [10, 9_999, 10_000])
def test_a_short_table_is_refused(size):
    with pytest.raises(ValueError, match=f"{size} numbers is too short .* of 10000; make `noise`"):
        NoiseTable(size, 10_000, seed=1, device="cpu")


# a Breakout where nobody lasts long, as an action is held for half a second, and where the same
# actions seldom do the same
HASTY = Preprocessing(frame_skip=30, sticky=0.25, max_frames=600)


def episodes_in_a_plain_loop(networks, envs, seed) -> list[tuple[float, int]]:
    """Score and length of each, from one network and one observation at a time."""
    games = Environments("breakout", envs, HASTY)
    games.reset(seed)
    observations = games.reset(None)
    at, begun = list(range(envs)), envs
    rewards: list[list[float]] = [[] for _ in networks]
    while any(index < len(networks) for index in at):
        actions = []
        for env, index in enumerate(at):
            network = networks[min(index, len(networks) - 1)]
            with torch.no_grad():
                actions.append(int(network(observations[env : env + 1]).argmax()))
        step = games.step(np.array(actions))
        observations = step.observations
        for env, index in enumerate(at):
            if index < len(networks):
                rewards[index].append(float(step.rewards[env]))
                if step.terminated[env] or step.truncated[env]:
                    at[env], begun = begun, begun + 1
    games.close()
    return [(sum(of), len(of)) for of in rewards]


def write_copy(individual: torch.Tensor, weights: torch.Tensor) -> None:
    weights.copy_(individual)


def arena(envs: int, workers: int, max_steps: int = 1000) -> Arena:
    return Arena(policy_network(4), "breakout", envs, workers, HASTY, max_steps, CPU)


@pytest.fixture(scope="module")
def seven() -> list[MnihNetwork]:
    return policies(7, actions=4)


@pytest.mark.parametrize("envs", [3, 8])
def test_a_population_plays_as_a_plain_loop_does(seven, envs):
    playing = arena(envs, workers=1)
    playing.begin(5)
    played = playing.play([flat_weights(network) for network in seven], write_copy)
    playing.close()
    expected = episodes_in_a_plain_loop(seven, envs, seed=5)
    assert list(zip(played.scores, played.steps, strict=True)) == expected
    assert len({steps for _, steps in expected}) > 1  # else nobody took a place early


def test_workers_play_shares_of_the_population(seven):
    playing = arena(4, workers=2)
    playing.begin(5)
    played = playing.play([flat_weights(network) for network in seven], write_copy)
    playing.close()
    first = episodes_in_a_plain_loop(seven[0::2], 2, seed=5)
    second = episodes_in_a_plain_loop(seven[1::2], 2, seed=7)
    assert list(zip(played.scores, played.steps, strict=True))[0::2] == first
    assert list(zip(played.scores, played.steps, strict=True))[1::2] == second


def test_seeded_games_repeat_and_others_go_on(seven):
    playing = arena(4, workers=2)
    weights = [flat_weights(network) for network in seven]

    def scores_and_steps() -> list[list[float]]:
        return [list(values) for values in playing.play(weights, write_copy)]

    playing.begin(5)
    twice = [scores_and_steps(), scores_and_steps()]
    assert twice[0] != twice[1]  # the games' generators went on
    playing.begin(5)
    assert [scores_and_steps(), scores_and_steps()] == twice
    playing.close()


def test_long_episodes_are_cut_off(seven):
    playing = arena(4, workers=1, max_steps=5)
    playing.begin(5)
    played = playing.play([flat_weights(network) for network in seven], write_copy)
    playing.close()
    assert played.steps.tolist() == [5] * 7


@pytest.mark.parametrize("envs, workers", [(4, 3), (0, 1), (1, 2)])
def test_games_must_be_shared_evenly(envs, workers):
    with pytest.raises(ValueError, match=f"{envs} environments cannot be shared by {workers}"):
        arena(envs, workers)
