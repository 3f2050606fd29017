"""Embeddings of planted clusters, and what is placed among them later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from atari_zoo.analysis.embedding.quality import quality_of, visits_of
from atari_zoo.analysis.embeddings import embed
from atari_zoo.analysis.results import Result, open_result
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.network.heads import QHead
from atari_zoo.converters.network.networks import SAME, MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording

STEPS, ENVS = 60, 2
CENTRES = np.random.default_rng(5).integers(0, 200, (4, 128))
QUICK = {"perplexity": 10.0, "iterations": 320}


def group_of(row: np.ndarray) -> int:
    return int(((CENTRES - row) ** 2).sum(axis=1).argmin())


def recording(
    name: str, groups: tuple[int, ...], seed: int, game: str = "Seaquest", **more: np.ndarray
) -> Recording:
    """Whose RAM is near one of the centres at a time; an episode has 20 steps."""
    random = np.random.default_rng(seed)
    which = random.choice(groups, (STEPS, ENVS))
    algorithm, run = name.split("/")
    arrays = {
        "ram": (CENTRES[which] + random.integers(0, 9, (STEPS, ENVS, 128))).astype(np.uint8),
        "starts": np.arange(STEPS)[:, None] % 20 == np.zeros(ENVS, int),
        "rewards": np.ones((STEPS, ENVS), np.float32),
        "terminated": np.arange(STEPS)[:, None] % 20 == np.full(ENVS, 19),
        "truncated": np.zeros((STEPS, ENVS), bool),
    }
    header = Header(ModelCard(algorithm, game, run), game, Preprocessing())
    return Recording(header, arrays | more)


AGENTS = [recording("a2c/1", (0, 1), 1), recording("dqn/1", (1, 2), 2)]


@pytest.fixture(scope="module")
def made() -> Result:
    return embed(AGENTS, **QUICK)


def groups_in(result: Result) -> np.ndarray:
    """The planted group of each old moment."""
    rams = [np.asarray(one.ram) for one in AGENTS]
    rows = result.table[~result.table["placed"]].itertuples()
    return np.array([group_of(rams[row.play][row.step, row.env]) for row in rows])


def test_planted_groups_are_apart(made: Result) -> None:
    groups, places = groups_in(made), made.table[["x", "y"]].to_numpy()
    gaps = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    np.fill_diagonal(gaps, np.inf)
    nearest = gaps.argsort(axis=1)[:, :10]
    assert (groups[nearest] == groups[:, None]).all()
    # each group is tighter than it is far from the others
    middles = [places[groups == group].mean(axis=0) for group in range(3)]
    spread = max(places[groups == group].std(axis=0).max() for group in range(3))
    apart = min(np.linalg.norm(middles[i] - middles[j]) for i in range(3) for j in range(i))
    assert apart > 3 * spread


def test_rows_lead_back_to_the_recording(made: Result) -> None:
    assert len(made.table) == 2 * STEPS * ENVS
    assert set(made.table["agent"]) == {"a2c/Seaquest/1", "dqn/Seaquest/1"}
    row = made.table[(made.table["play"] == 1) & (made.table["step"] == 45)].iloc[1]
    assert (row["env"], row["episode"], row["score"], row["map"]) == (1, 5, 5, "all")
    means = np.concatenate([np.asarray(one.ram).reshape(-1, 128) for one in AGENTS]).astype(float)
    centred = means - means.mean(axis=0)
    first = np.linalg.svd(centred, full_matrices=False)[2][0]
    ours = made.table["pca_x"].to_numpy()  # its sign is free
    np.testing.assert_allclose(abs(ours), abs(centred @ first), atol=1e-2)


def test_controls_and_stability_are_told(made: Result) -> None:
    table = quality_of(made).set_index(["places", "measure"])["value"]
    assert table["map", "trustworthiness"] > 0.85 > 0.6 > table["shuffled", "trustworthiness"]
    assert table["map", "preservation"] > 2 * table["shuffled", "preservation"]
    assert 0 < table["map", "divergence"] < 2
    assert 0.2 < table["seeds", "overlap"] < 1
    assert 0 <= table["seeds", "disparity"] < 1
    assert f"trustworthiness {table['map', 'trustworthiness']:.3f} (first two" in made.uncertainty
    alone = embed(AGENTS, seeds=1, **QUICK)
    assert "seeds" not in set(quality_of(alone)["places"])
    assert "of one layout alone" in alone.uncertainty
    np.testing.assert_array_equal(alone.table["x"], made.table["x"])  # and the same again


def test_who_is_where_no_other_is(made: Result) -> None:
    table = visits_of(made).set_index("agent")
    groups, whose = groups_in(made), made.table["play"].to_numpy()
    for play, own in ((0, 0), (1, 2)):  # the group that the agent has to itself
        share = (groups[whose == play] == own).mean()
        assert table["share"].iloc[play] >= share - 0.05
    assert (table["dealt"] < table["share"]).all()


def test_held_out_moments_go_to_their_neighbours(made: Result, tmp_path: Path) -> None:
    """Also where the old map is not around 0, as openTSNE would have it."""
    moved = replace(made, table=made.table.assign(x=made.table["x"] + 500))
    moved.save(tmp_path)
    new = recording("es/1", (0, 2), 9)
    both = embed([new], into=tmp_path, **QUICK).table
    old, placed = both[~both["placed"]], both[both["placed"]]
    np.testing.assert_array_equal(old["x"], made.table["x"] + 500)
    assert placed["play"].unique().tolist() == [2] and len(placed) == STEPS * ENVS
    before = np.concatenate([np.asarray(one.ram).reshape(-1, 128) for one in AGENTS]).astype(float)
    groups, places = groups_in(made), old[["x", "y"]].to_numpy()
    spread = max(places[groups == group].std(axis=0).max() for group in range(3))
    gaps = []
    for row in placed.itertuples():
        ram = np.asarray(new.ram)[row.step, row.env].astype(float)
        nearest = ((before - ram) ** 2).sum(axis=1).argsort()[:10]
        gaps.append(np.linalg.norm(np.median(places[nearest], axis=0) - [row.x, row.y]))
    assert np.median(gaps) < spread and max(gaps) < 2 * spread  # groups are 3 apart, and more
    assert (placed["far"] < 1.3).all()


def test_what_is_like_nothing_there_is_told(made: Result, tmp_path: Path) -> None:
    made.save(tmp_path)
    stranger = embed([recording("ga/1", (0, 3), 9)], into=tmp_path, **QUICK)
    rows = stranger.table[stranger.table["placed"]]
    ram = np.asarray(recording("ga/1", (0, 3), 9).ram)
    strange = [group_of(ram[row.step, row.env]) == 3 for row in rows.itertuples()]
    assert (rows["far"][strange] > 3).all()
    assert (rows["far"][~np.array(strange)] < 1.3).all()
    stranger.save(tmp_path / "again")  # and once more into what was placed into
    twice = embed([recording("es/1", (1,), 3)], into=tmp_path / "again", **QUICK)
    assert twice.table["play"].max() == 3
    assert open_result(tmp_path / "again").table["placed"].sum() == STEPS * ENVS


def test_a_layer_has_a_map_for_each_agent(tmp_path: Path) -> None:
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    screens = random.integers(0, 256, (STEPS, ENVS, 84, 84), np.uint8)
    fc = {"activations/fc": random.random((STEPS, ENVS, 30)).astype(np.float32)}
    trunk = Trunk(mnih_convolutions((2, 3, 4), SAME), units=30)
    network = MnihNetwork(trunk, QHead(30, actions=18), ModelCard("dqn", "Seaquest", "1")).eval()
    played = recording("dqn/1", (0, 1), 4, screens=screens)
    pair = [(network, played), recording("a2c/1", (0, 1), 4, **fc)]
    result = embed(pair, space="fc", seeds=1, every=2, **QUICK)
    assert result.table["map"].unique().tolist() == ["dqn/Seaquest/1", "a2c/Seaquest/1"]
    assert len(result.table) == 2 * STEPS * ENVS // 2
    assert visits_of(result).empty
    result.save(tmp_path)
    again = embed(pair[1:], space="fc", into=tmp_path, seeds=1, every=3, **QUICK).table
    placed = again[again["placed"]]
    # the same moments: where they are already
    both = placed.merge(again[~again["placed"]], on=["map", "step", "env"], suffixes=("", "_old"))
    assert len(both) == STEPS * ENVS // 6
    spread = result.table["x"].std()
    assert (abs(both["x"] - both["x_old"]) < spread / 2).mean() > 0.9
    with pytest.raises(ValueError, match="no map of ga/Seaquest/1 in the embedding"):
        embed([recording("ga/1", (0,), 1, **fc)], space="fc", into=tmp_path, seeds=1, **QUICK)


PONG = recording("a2c/1", (0,), 1, game="Pong")


@pytest.mark.parametrize(
    ("agents", "settings", "message"),
    [
        ([AGENTS[0], PONG], {}, "a2c/Seaquest/1 plays Seaquest and a2c/Pong/1 plays Pong: a byte"),
        (AGENTS, {"method": "pca"}, "no method 'pca'; there are tsne, umap"),
        (AGENTS, {"every": 0}, "every is 0; expected 1"),
        (AGENTS, {"seeds": 0}, "seeds is 0; expected 1"),
        (AGENTS, {"iterations": 250}, "250 iterations; the first 250 only pull"),
        (AGENTS, {"every": 60}, "perplexity is 30, which takes 90 neighbours of each point; of 4"),
        (AGENTS, {"into": Path("nowhere")}, "nowhere: no result of an analysis"),
    ],
)
def test_refuses(agents: list[Recording], settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embed(agents, **settings)


def test_refuses_what_was_not_recorded_or_never_changes() -> None:
    without = Recording(AGENTS[0].header, {"starts": AGENTS[0].starts})
    words = r"a2c/Seaquest/1: no RAM in this recording: record with keep=\['ram'\] \(--keep ram\)"
    with pytest.raises(ValueError, match=words):
        embed([without])
    still = recording("a2c/1", (0,), 1, ram=np.ones((STEPS, ENVS, 128), np.uint8))
    with pytest.raises(ValueError, match="all 120 moments of all in ram are the same"):
        embed([still])


def test_refuses_an_embedding_of_another_kind(made: Result, tmp_path: Path) -> None:
    made.save(tmp_path)
    with pytest.raises(ValueError, match=r"was made with space ram, and space is bits now"):
        embed(AGENTS, space="bits", into=tmp_path, **QUICK)
    with pytest.raises(ValueError, match="a2c/Pong/1 plays Pong, and the embedding is of Seaquest"):
        embed([PONG], into=tmp_path, **QUICK)


def test_progress_counts_iterations() -> None:
    ticks: list[tuple[int, int]] = []
    embed(AGENTS, space="bits", progress=lambda *tick: ticks.append(tick), **QUICK)
    assert ticks[-1] == (620, 640) and len(ticks) == 12  # each 50 of 250 and of 70, twice
    assert ticks == sorted(ticks)


UMAP = """
import json, sys
from importlib.util import find_spec
import numpy as np, sklearn
from atari_zoo.analysis.embedding.methods import UMAP, Layout, from_components
random = np.random.default_rng(0)
groups = random.integers(0, 3, 75)
points = (random.normal(size=(3, 20))[groups] * 9 + random.normal(size=(75, 20)))
points = points.astype(np.float32)
layout = Layout(10.0, 40)
places = UMAP().lay_out(points[:60], None, from_components(points[:60]), layout, lambda n: None)
again = UMAP().lay_out(points[:60], None, from_components(points[:60]), layout, lambda n: None)
assert (places == again).all()
new = UMAP().place(points[:60], places + 100, points[60:], layout) - 100
if find_spec('triton'):
    import triton  # which dies if TensorFlow was there before
assert "tensorflow" not in sys.modules
print(json.dumps([groups.tolist(), places.tolist(), new.tolist()]))
"""


def test_umap_without_tensorflow() -> None:
    """In a process of its own: TensorFlow before triton would crash it."""
    flags = ["-W", "error::UserWarning", "-W", "error::ImportWarning:umap"]
    # compiling takes longer than 75 points do without
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, *flags, "-c", UMAP]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    groups, places, new = map(np.array, json.loads(done.stdout.splitlines()[-1]))
    middles = np.stack([places[groups[:60] == group].mean(axis=0) for group in range(3)])
    for points, own in ((places, groups[:60]), (new, groups[60:])):
        gaps = ((points[:, None] - middles[None]) ** 2).sum(axis=2)
        assert (gaps.argmin(axis=1) == own).all()
