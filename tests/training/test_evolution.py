"""Evolution strategies and the genetic algorithm: formulas against numpy, runs against kills."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.utils import parameters_to_vector

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.training import registry
from atari_zoo.training.evolution.es import (
    CENTRE,
    ES,
    ESConfig,
    Perturbation,
    centred_ranks,
    move_centre,
    score_gradient,
)
from atari_zoo.training.evolution.ga import GA, GAConfig
from atari_zoo.training.evolution.noise_table import NoiseTable
from atari_zoo.untrained.untrained import deviations, policy_network
from atari_zoo.untrained.virtual_batch import EPSILON, fold_norms, reference_batch

# episodes of 10 steps; a generation is 4 or 8 of them and a few trials
SMALL = {
    "rom": "boxing",
    "envs": 2,
    "threads": 2,
    "population": 4,
    "trials": 2,
    "noise": 2**21,
    "log_every": 40,
    "preprocessing": Preprocessing(frame_skip=10, max_frames=100, sticky=0.25),
}
# a seed whose elite is dethroned, by mutants that are far from it
TINY_GA = GAConfig(
    **SMALL, seed=3, sigma=0.1, parents=2, candidates=2, frames=4000, save_every=2000
)  # 1000 each
TINY_ES = ESConfig(**SMALL, virtual_batch=3, frames=2400, save_every=1200)  # 600 each
TINY = {GA: TINY_GA, ES: TINY_ES}


def flat_weights(network) -> torch.Tensor:
    return parameters_to_vector(network.parameters()).detach()


@pytest.mark.parametrize(
    "scores, expected",
    [
        ([3.0, 1.0, 2.0], [0.5, -0.5, 0.0]),
        ([-1.0, 100.0], [-0.5, 0.5]),
        ([0.0, 0.0, 20.0], [-0.25, -0.25, 0.5]),
        ([7.0, 7.0, 7.0, 7.0], [0.0, 0.0, 0.0, 0.0]),
        ([5.0], [0.0]),
    ],
)
def test_ranks_are_centred(scores, expected):
    np.testing.assert_allclose(centred_ranks(np.array(scores)), expected, atol=1e-12)


def test_ranks_are_places_in_the_sorted_list():
    scores = np.random.default_rng(0).integers(0, 9, (10, 2)).astype(float)  # many equal
    ordered = sorted(scores.ravel())
    expected = [
        np.mean([place for place, score in enumerate(ordered) if score == mine]) / 19 - 0.5
        for mine in scores.ravel()
    ]
    np.testing.assert_allclose(centred_ranks(scores).ravel(), expected, atol=1e-12)


def test_the_gradient_is_the_papers():
    """Salimans et al. (2017), algorithm 2, with mirrored noise: the mean of rank times noise."""
    noise = NoiseTable(500, 7, seed=0, device="cpu")
    seeds = [3, 400, 11]
    scores = np.array([[1.0, 5.0], [2.0, 0.0], [4.0, 9.0]])
    ranks = scores.ravel().argsort().argsort() / 5 - 0.5
    expected = np.zeros(7)
    for individual, rank in enumerate(ranks):
        direction = noise(seeds[individual // 2]).double().numpy()
        expected += rank * (direction if individual % 2 == 0 else -direction) / 6
    found = score_gradient(noise, seeds, scores)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)  # float32 sums of six numbers


def test_generations_climb_a_hill():
    noise = NoiseTable(10_000, 20, seed=0, device="cpu")
    random = np.random.default_rng(0)
    centre, top = torch.zeros(20), torch.linspace(-1, 1, 20)

    def score(point: torch.Tensor) -> float:
        return -float((point - top).square().sum())

    optimizer = torch.optim.Adam([centre], 0.1)
    reached = [score(centre)]
    for _ in range(20):
        seeds = random.integers(2**31, size=50).tolist()
        scores = np.array([[score(centre + s * 0.1 * noise(k)) for s in (1, -1)] for k in seeds])
        move_centre(centre, optimizer, noise, seeds, scores)
        reached.append(score(centre))
    assert reached[1] > reached[0]
    assert reached[-1] > 0.05 * reached[0]  # both are negative


def test_norms_are_folded_into_the_weights():
    """Against normalised layers in numpy, double precision."""
    torch.manual_seed(0)
    network = policy_network(4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)  # biases too
    reference = torch.randint(0, 256, (5, 4, 84, 84)).byte()
    weights = flat_weights(network).clone()
    fold_norms(network, weights, reference)
    seen = torch.randint(0, 256, (2, 4, 84, 84)).byte()
    x = torch.cat([reference, seen]).double() / 255
    for name, layer in network.layers.items():
        weight, bias = (parameter.detach().double() for parameter in layer.parameters())
        if name == "output":
            x = x @ weight.T + bias
            continue
        if name == "fc":
            y = x.flatten(1) @ weight.T
        else:
            stride = {"conv1": 4, "conv2": 2, "conv3": 1}[name]
            y = torch.nn.functional.conv2d(x, weight, stride=stride)
        over = (0, 2, 3)[: y.ndim - 1]
        mean = y[:5].numpy().mean(over, keepdims=True)
        variance = y[:5].numpy().var(over, keepdims=True)
        shifted = bias.numpy().reshape(-1, *[1] * (y.ndim - 2))
        x = torch.from_numpy(((y.numpy() - mean) / np.sqrt(variance + EPSILON) + shifted).clip(0))
    torch.nn.utils.vector_to_parameters(weights, network.parameters())
    with torch.no_grad():
        found = network(seen)
    # float32 through four normalised layers, whose inverse deviations are up to 30
    torch.testing.assert_close(found.double(), x[5:], atol=1e-3, rtol=1e-3)


def test_a_reference_batch_is_seen_in_play():
    preprocessing = Preprocessing()
    batch = reference_batch("breakout", 10, preprocessing, 1, "cpu")
    assert batch.shape == (10, 4, 84, 84)
    assert len({bytes(observation.numpy()) for observation in batch}) == 10
    assert torch.equal(batch, reference_batch("breakout", 10, preprocessing, 1, "cpu"))


def test_the_cloud_is_the_centre_and_noise(tmp_path):
    es = ES(tmp_path, dataclasses.replace(TINY_ES, virtual_batch=0), "cpu")
    centre, noise = es.centre.double().numpy(), es.noise(9).double().numpy()
    weights = torch.empty_like(es.centre)
    for sign in (1, -1):
        es.write(Perturbation(9, sign), weights)
        np.testing.assert_allclose(weights.numpy(), centre + sign * 0.02 * noise, atol=1e-6)
    es.write(CENTRE, weights)
    assert torch.equal(weights, es.centre)
    assert torch.equal(flat_weights(es.network), es.centre)
    es.close()


def test_the_agent_of_es_is_its_folded_centre(tmp_path):
    es = ES(tmp_path, TINY_ES, "cpu")
    centre = es.centre.clone()
    es.begin(1)
    es.update()
    assert not torch.equal(es.centre, centre)
    weights = es.centre.clone()
    fold_norms(es.network, weights, es.reference)
    assert torch.equal(flat_weights(es.network), weights)
    assert not torch.equal(weights, es.centre)
    es.close()


def test_a_genome_is_replayed_from_its_seeds(tmp_path):
    """Such et al. (2017), equations 1 and 2."""
    ga = GA(tmp_path, TINY_GA, "cpu")
    genome = (5, 123_456_789, 7)
    alone, beside = torch.empty(2, ga.noise.count)
    ga.write(genome, alone)
    sigma = np.float32(TINY_GA.sigma)
    expected = ga.noise(5).numpy() * deviations(ga.network).numpy()
    for seed in genome[1:]:
        expected = expected + sigma * ga.noise(seed).numpy()
    np.testing.assert_array_equal(alone.numpy(), expected)  # float32: bit by bit
    for known in ([(5,)], [(5, 123_456_789), (8,)], [genome]):
        ga._adopt(known)
        ga.write(genome, beside)
        assert torch.equal(beside, alone), known
        assert torch.equal(flat_weights(ga.network), ga.weights[known[0]])
    ga.close()


class Hill(GA):
    """Individuals are scored by their first weights, instead of playing: how near to 0.1."""

    def play(self, individuals: Sequence[tuple[int, ...]]) -> tuple[np.ndarray, int]:
        weights = torch.empty(self.noise.count)
        scores = []
        for individual in individuals:
            self.write(individual, weights)
            scores.append(-float((weights[:5] - 0.1).square().sum()))
        return np.array(scores), len(individuals)


def test_breeding_climbs_a_hill_and_keeps_the_elite(tmp_path):
    config = dataclasses.replace(
        TINY_GA, population=6, parents=3, candidates=3, sigma=0.02, trials=1
    )
    hill = Hill(tmp_path, config, "cpu")
    hill.begin(1)
    scores, elites = [], []
    for generation in range(1, 9):
        before = list(hill.parents)
        update = hill.update()
        assert update.frames == 10  # six individuals, three candidates, and the elite again
        assert len(set(hill.parents)) == 3
        for parent in hill.parents:
            assert len(parent) <= generation
            assert len(parent) == 1 or parent[:-1] in before or parent in before
        scores.append(hill.score)
        elites.append(hill.parents[0])
        assert scores[-1] == hill.play([hill.parents[0]])[0][0]
        assert scores[-1] >= hill.play(hill.parents)[0].max()
        assert torch.equal(flat_weights(hill.network), hill.weights[elites[-1]])
    assert scores == sorted(scores)
    assert scores[-1] > scores[0]
    survived = [a == b for a, b in itertools.pairwise(elites)]
    assert any(survived) and not all(survived)
    hill.close()


class Killed(Exception):
    """The process ends here."""


def kill_after(frames: int):
    def progress(done: int, score: float) -> None:
        if done > frames:
            raise Killed

    return progress


def rows(path) -> list[dict]:
    """The log without what no two runs share: the time."""
    return [
        {k: v for k, v in json.loads(line).items() if k != "seconds"}
        for line in (path / "log.jsonl").read_text().splitlines()
    ]


def checkpoints(path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (path / "checkpoints").iterdir()}


@pytest.fixture(scope="module", params=TINY, ids=lambda trainer: trainer.algorithm)
def finished(request, tmp_path_factory):
    """A trainer, and the folder of a run of it that nobody interrupted."""
    path = tmp_path_factory.mktemp(request.param.algorithm)
    request.param(path, TINY[request.param], "cpu").train()
    return request.param, path


def test_a_killed_run_ends_as_if_it_had_not_been(finished, tmp_path):
    trainer, path = finished
    config = TINY[trainer]
    with pytest.raises(Killed):  # a generation after the first checkpoint
        trainer(tmp_path, config, "cpu", kill_after(config.save_every)).train()
    assert len(rows(tmp_path)) == 3
    resumed = trainer(tmp_path, config, "cpu")
    assert resumed.frames == config.save_every
    assert len(rows(tmp_path)) == 2
    resumed.train()
    assert checkpoints(tmp_path) == checkpoints(path)
    assert rows(tmp_path) == rows(path)


def test_generations_are_logged_and_change_the_agent(finished):
    trainer, path = finished
    config, log = TINY[trainer], rows(path)
    assert [row["frames"] for row in log] == [
        config.frames // 4 * generation for generation in (1, 2, 3, 4)
    ]
    for row in log:
        assert row["episodes"] == config.trials
        assert row["population_max"] >= row["population_mean"]
        assert row["weight_norm"] > 0
    assert len(set(checkpoints(path).values())) == 3


def test_a_checkpoint_is_a_plain_policy(finished):
    trainer, path = finished
    network = trainer.new_network(18)
    network.load_state_dict(load_file(max((path / "checkpoints").iterdir())))
    assert network.head.kind == "policy"
    assert network(torch.zeros(1, 4, 84, 84, dtype=torch.uint8)).isfinite().all()


@pytest.mark.parametrize(
    "trainer, change, message",
    [
        (ES, {"population": 5}, "a population of 5 cannot be pairs; make it even"),
        (ES, {"clip_rewards": True}, "clip_rewards must be False"),
        (ES, {"noise": 1000}, "1000 numbers is too short"),
        (GA, {"parents": 5}, "5 parents and 2 candidates cannot be chosen from a population of 4"),
        (GA, {"candidates": 9}, "2 parents and 9 candidates cannot"),
        (GA, {"threads": 3}, "2 environments cannot be shared by 3"),
    ],
)
def test_impossible_settings_are_refused(tmp_path, trainer, change, message):
    with pytest.raises(ValueError, match=message):
        trainer(tmp_path, dataclasses.replace(TINY[trainer], **change), "cpu")


@pytest.mark.parametrize("algorithm, size", [("es", 5000), ("ga", 1000)])
def test_presets_are_configurations(algorithm, size):
    assert registry.config(algorithm, "paper").population == size
    assert registry.config(algorithm).population < size
