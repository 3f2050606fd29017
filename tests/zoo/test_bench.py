"""Measuring throughput: rates by clocks that are set by hand, plans that fit their time, advice;
and once the real thing, for a few seconds."""

from __future__ import annotations

import dataclasses
import importlib.util
from itertools import groupby
from pathlib import Path

import pandas
import pytest
import torch
from fake_clocks import FakeClock
from small_networks import small_network

from atari_zoo.bench import Throughput, open_throughput, throughput
from atari_zoo.bench.agents import ARCHITECTURES, bench_network
from atari_zoo.bench.budgets import TimeBudget
from atari_zoo.bench.cases import (
    BOUND,
    EMULATOR,
    EXACT,
    NETWORK,
    PLAY,
    BenchCase,
    CaseRate,
    bound,
)
from atari_zoo.bench.contenders import OPENERS, BenchAgent
from atari_zoo.bench.groups import RECORDED, SETTINGS, Usual, bench_groups, compute_group
from atari_zoo.bench.measuring import ALL_OPENERS, Watch, measured_groups, usual_of
from atari_zoo.bench.options import BenchOptions
from atari_zoo.bench.peers import PEERS, missing_peers
from atari_zoo.bench.recommendations import recommended, same_outputs
from atari_zoo.bench.results import GroupRates
from atari_zoo.bench.stopwatch import WARM, Contender, Stopwatch
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.heads import ActorCriticHead, QHead
from atari_zoo.converters.network.networks import MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.games import game
from atari_zoo.machines import NEEDED, Machine, check_fits

MACHINE = Machine("Z80", cores=4, memory=2**34, precisions=("bfloat16",))
USUAL = Usual("onnxruntime", "float32", groups=2, automatic="onnxruntime")


@pytest.fixture(scope="module")
def agent() -> BenchAgent:
    torch.manual_seed(0)
    trunk = Trunk(mnih_convolutions((4, 4, 4)), units=8)
    head = ActorCriticHead(8, len(game("Pong").actions))
    card = ModelCard("a2c", "Pong", action_rule="sample")
    return BenchAgent(MnihNetwork(trunk, head, card).eval())


def test_a_slice_counts_steps_of_its_own_time() -> None:
    clock = FakeClock()
    contender = Contender(lambda: setattr(clock, "now", clock.now + 0.25) or 8)
    rate, _ = Stopwatch(1.0, clock, clock).slice(contender)
    assert rate == 8 / 0.25
    assert clock.now == 0.25 * (WARM + 4)
    rate, spent = Stopwatch(0.1, clock, lambda: 2 * clock.now).slice(contender)  # two cores busy
    assert rate == 32 and spent == 1000 * 2 * 0.25 / 8


def test_contenders_take_turns() -> None:
    clock, agent = FakeClock(), None
    cases = [BenchCase(PLAY, 2), BenchCase(PLAY, 4)]
    opener = clock.opener(lambda case: 10.0 * case.envs)
    with opener(agent, cases[0]) as first, opener(agent, cases[1]) as second:
        *_, found = Stopwatch(0.5, clock).turns(dict(zip(cases, (first, second), strict=True)), 3)
    assert [case for case, _ in groupby(clock.stepped)] == cases * 3
    assert [rate.case for rate in found] == cases
    assert [rate.slices for rate in found] == [pytest.approx((20.0,) * 3)] + [
        pytest.approx((40.0,) * 3)
    ]


def test_the_bound_is_of_time_added_or_of_the_slower() -> None:
    emulator = CaseRate(BenchCase(EMULATOR, 8), (3000.0, 100.0))
    network = CaseRate(BenchCase(NETWORK, batch=4), (1500.0, 400.0))
    assert bound(emulator, network, together=True).slices == pytest.approx((1000.0, 80.0))
    assert bound(emulator, network, together=False).slices == (1500.0, 100.0)
    assert bound(emulator, network, together=True).case == BenchCase(BOUND, 8)


def watch_of(clock: FakeClock, opening: float = 0.0, **rates: float) -> Watch:
    """Everything steps 1,000 times a second, but what `rates` has."""
    opener = clock.opener(lambda case: rates.get(case.what, 1000.0), opening)
    return Watch(clock=clock, openers=dict.fromkeys(ALL_OPENERS, opener))


@pytest.mark.parametrize("minutes", [0.05, 0.5, 2, 8])
@pytest.mark.parametrize("opening", [0.02, 0.18, 1.0])
def test_a_plan_keeps_to_its_time(agent: BenchAgent, minutes: float, opening: float) -> None:
    clock, said = FakeClock(), list[str]()
    options = BenchOptions(minutes=minutes)
    groups = bench_groups(options, MACHINE, USUAL)
    found = list(measured_groups(agent, groups, options, said.append, watch_of(clock, opening)))
    assert found[0].title == "8 environments"  # the first is measured in any case
    first = opening * 16 + 3 * 3 * TimeBudget(60 * minutes).slice * 2
    assert clock.now < max(60 * minutes * 1.2, first)
    left = [group.title for group in groups if group.title not in {g.title for g in found}]
    assert said == [] or all(title in said[0] for title in left)
    assert bool(left) == bool(said)
    if minutes == 8 and opening < 1:
        assert not left


def test_a_slow_machine_is_noticed(agent: BenchAgent) -> None:
    """What opening took is reckoned with from then on: of two plans the slow one has less."""
    counts = []
    for opening in (0.1, 2.0):
        options, clock = BenchOptions(minutes=2), FakeClock()
        groups = bench_groups(options, MACHINE, USUAL)
        found = measured_groups(agent, groups, options, print, watch_of(clock, opening))
        counts.append(len(list(found)))
        assert clock.now < 120 * 1.2
    assert counts[0] > counts[1] >= 1


def test_who_stops_keeps_what_was_measured(agent: BenchAgent) -> None:
    clock, found = FakeClock(), list[GroupRates]()
    watch = dataclasses.replace(
        watch_of(clock), found=found.append, stopped=lambda: len(clock.stepped) > 2000
    )
    result = throughput(agent.network, machine=MACHINE, watch=watch)
    assert 1 <= len(found) == len(result.groups) < len(bench_groups(BenchOptions(), MACHINE, USUAL))
    assert result.groups == tuple(found)


def test_what_cannot_be_opened_is_told_and_the_rest_measured(agent: BenchAgent) -> None:
    clock, said = FakeClock(), list[str]()
    watch = watch_of(clock)

    def broken(agent: object, case: BenchCase) -> None:
        raise {True: AttributeError, False: ValueError}[case.what in PEERS]("no\nluck")

    peer = next(iter(PEERS))
    openers = {**watch.openers, peer: broken, EXACT: broken}
    watch = dataclasses.replace(watch, openers=openers, remark=said.append)
    result = throughput(
        agent.network, options=BenchOptions(minutes=20, peers=True), machine=MACHINE, watch=watch
    )
    assert f"not measured: {peer}: no luck" in said
    assert f"not measured: {EXACT}: no luck" in said
    whats = {rate.case.what for group in result.groups for rate in group.rates}
    assert peer not in whats and "recording" in whats and set(said) == set(result.remarks)


def test_peers_that_are_missing_are_named(agent: BenchAgent, monkeypatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "atari_zoo.bench.peers.find_spec", lambda name: None if name == "envpool" else there(name)
    )
    assert missing_peers() == {"EnvPool + torch": "envpool"}
    options = BenchOptions(peers=True)
    whats = {c.what for g in bench_groups(options, MACHINE, USUAL) for c in g.cases}
    assert set(PEERS) - whats == {"EnvPool + torch"}
    result = throughput(
        agent.network, options=options, machine=MACHINE, watch=watch_of(FakeClock())
    )
    assert "not installed: EnvPool + torch: pip install envpool" in result.remarks


def test_precisions_are_those_of_the_machine() -> None:
    cases = compute_group(16, MACHINE, USUAL).cases
    assert [(case.backend, case.dtype) for case in cases] == [
        ("onnxruntime", "float32"),
        ("onnxruntime", "int8"),
        ("torch", "float32"),
        ("torch", "bfloat16"),
    ]
    foreign = dataclasses.replace(USUAL, backend="torch")
    assert {case.backend for case in compute_group(16, MACHINE, foreign).cases} == {"torch"}


def test_a_result_is_tidy_and_comes_back(agent: BenchAgent, tmp_path: Path) -> None:
    watch = watch_of(FakeClock(), play=400.0)
    result = throughput(agent.network, options=BenchOptions(), machine=MACHINE, watch=watch)
    table = result.table
    assert set(table["what"]) >= {EMULATOR, NETWORK, BOUND, PLAY}
    first = table[(table["group"] == "reach") & (table["envs"] == 8)].set_index("what")
    assert first.loc[BOUND, "rate"] == pytest.approx(500, rel=0.02)
    assert first.loc[PLAY, "share_of_bound"] == pytest.approx(0.8, rel=0.02)
    assert (table["low"] <= table["rate"]).all() and (table["rate"] <= table["high"]).all()
    result.save(tmp_path / "bench.json")
    again = open_throughput(tmp_path / "bench.json")
    assert again == result
    pandas.testing.assert_frame_equal(again.table, table)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"groups": 3}'])
def test_another_file_is_no_result(tmp_path: Path, text: str) -> None:
    (tmp_path / "bench.json").write_text(text)
    with pytest.raises(ValueError, match=r"bench\.json: no result of `atari-zoo bench`"):
        open_throughput(tmp_path / "bench.json")


# slices of play in the usual groups, in one, and in the usual with one thread
@pytest.mark.parametrize(
    "usual, one, thread, expected",
    [
        ((100, 100, 100), (120, 130, 110), (100, 90, 80), "--groups 1"),
        ((100, 100, 100), (120, 130, 110), (140, 135, 150), "--threads 1"),
        ((100, 100, 100), (120, 130, 99), (90, 90, 90), ""),  # not in each turn
        ((100, 100, 100), (101, 102, 101), (90, 90, 90), ""),  # not worth it
    ],
)
@pytest.mark.parametrize("kind, what", [(SETTINGS, PLAY), (RECORDED, EXACT)])
def test_settings_are_recommended_that_are_surely_faster(
    agent: BenchAgent, usual, one, thread, expected, kind, what
) -> None:
    case = BenchCase(what, 8, groups=2, backend="onnxruntime", dtype="float32")
    cases = case, dataclasses.replace(case, groups=1), dataclasses.replace(case, threads=1)
    slices = (tuple(map(float, some)) for some in (usual, one, thread))
    rates = tuple(CaseRate(c, s) for c, s in zip(cases, slices, strict=True))
    result = Throughput("m", "a", "Pong", "Z80", "v", (GroupRates(kind, "t", rates),))
    (found,) = recommended(result, agent, USUAL, lambda a, b: True).settings
    assert found.words == expected and found.exact is (kind == RECORDED)
    (found,) = recommended(result, agent, USUAL, lambda a, b: a.groups == b.groups).settings
    assert found.words == expected.replace("--groups 1", "")
    torch_by_wish = dataclasses.replace(USUAL, backend="torch")
    assert recommended(result, agent, torch_by_wish, lambda a, b: True).settings == ()


def test_other_groups_are_taken_only_if_they_compute_the_same(agent: BenchAgent) -> None:
    class Unlike(MnihNetwork):
        def forward(self, observations: torch.Tensor) -> torch.Tensor:
            return torch.full((len(observations), self.actions), float(len(observations)))

    network = agent.network
    unlike = BenchAgent(Unlike(network.trunk, network.head, network.card).eval())
    case = BenchCase(PLAY, 4, groups=2)
    other = dataclasses.replace(case, groups=1)
    usual = dataclasses.replace(USUAL, backend="torch")
    assert not same_outputs(unlike, usual)(case, other)
    assert same_outputs(unlike, usual)(case, dataclasses.replace(case, threads=1))


def test_the_fewest_environments_that_are_nearly_as_fast(agent: BenchAgent) -> None:
    speeds = {8: 500.0, 32: 980.0, 128: 1000.0}
    groups = tuple(
        GroupRates("reach", "", (CaseRate(BenchCase(PLAY, envs), (rate,)),))
        for envs, rate in speeds.items()
    )
    result = Throughput("m", "a", "Pong", "Z80", "v", groups)
    assert recommended(result, agent, USUAL, lambda a, b: True).envs == 32


@pytest.mark.parametrize(
    "words, message",
    [
        ({"minutes": 0}, "minutes is 0; expected more than 0"),
        ({"minutes": float("nan")}, "minutes is nan"),
        ({"envs": [8, 0]}, "envs is 0; it must be at least 1"),
        ({"threads": [-1]}, "threads is -1; it must be at least 1"),
        ({"backend": "tpu"}, "no backend 'tpu'; there are auto, torch, onnxruntime"),
        ({"dtype": "int3"}, "no dtype 'int3'; there are float32"),
    ],
)
def test_options_out_of_range_are_refused(words: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BenchOptions(**words)


def test_a_backend_that_is_not_installed_names_what_brings_it(monkeypatch) -> None:
    monkeypatch.setattr("atari_zoo.bench.options.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="'onnxruntime' is not installed: pip install 'onnxr"):
        BenchOptions(backend="onnxruntime")


def test_more_environments_than_memory_are_refused(agent: BenchAgent) -> None:
    small = dataclasses.replace(MACHINE, memory=100 * NEEDED + 5)
    with pytest.raises(ValueError, match=r"128 environments need about .* at most 100 fit"):
        throughput(agent.network, machine=small, watch=watch_of(FakeClock()))
    check_fits(100, small.memory)


def test_more_threads_than_cores_are_told(agent: BenchAgent) -> None:
    said: list[str] = []
    watch = dataclasses.replace(watch_of(FakeClock()), remark=said.append)
    options = BenchOptions(minutes=9, threads=[2, 8])
    result = throughput(agent.network, options=options, machine=MACHINE, watch=watch)
    assert said[0] == "8 threads on 4 cores: they will wait for each other"
    emulator = result.table.query("group == 'threads'")
    assert emulator["threads"].tolist() == [2, 8]


def test_unknown_names_are_answered_with_near_ones() -> None:
    with pytest.raises(ValueError, match="no architecture 'rainbw'; did you mean 'rainbow'"):
        bench_network("rainbw")
    with pytest.raises(ValueError, match="no game 'Pnog'; did you mean Pong"):
        bench_network("a2c", "Pnog")
    with pytest.raises(ValueError, match="did you mean 'a2c/Pong/1'"):
        bench_network("a2c/Pnog/1")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_play_their_game(name: str) -> None:
    network = bench_network(name, "breakout")
    assert BenchAgent(network).game.name == "Breakout"
    assert network(torch.zeros(1, 4, 84, 84)).shape == (1, 4)


def test_a_network_alone_that_has_no_game_is_refused() -> None:
    network = small_network(QHead, 84, 4, 8, 6)
    with pytest.raises(ValueError, match="card names no game"):
        throughput(network)


@pytest.mark.parametrize("what", [what for what in OPENERS if what != NETWORK])
def test_each_contender_really_plays(agent: BenchAgent, what: str) -> None:
    case = BenchCase(what, envs=2, groups=2, backend="", dtype="")
    with OPENERS[what](agent, case) as contender:
        assert [contender.step() for _ in range(3)] == [2, 2, 2]


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
def test_the_network_alone_is_asked_in_batches(agent: BenchAgent, backend: str) -> None:
    case = BenchCase(NETWORK, threads=1, batch=3, backend=backend, dtype="float32")
    calls: list[int] = []
    hook = agent.network.trunk.register_forward_hook(lambda m, i, out: calls.append(len(out)))
    with OPENERS[NETWORK](agent, dataclasses.replace(case, backend="torch")) as contender:
        assert contender.step() == 3 and contender.threads == 1
    assert calls == [3]
    hook.remove()
    with OPENERS[NETWORK](agent, case) as contender:
        assert contender.step() == 3 and contender.threads == 1


def test_the_usual_is_what_a_rollout_does(agent: BenchAgent) -> None:
    assert usual_of(agent, BenchOptions()) == USUAL
    found = usual_of(agent, BenchOptions(backend="torch"))
    assert (found.backend, found.groups, found.automatic) == ("torch", 1, "onnxruntime")


def test_the_whole_of_it_in_a_few_seconds(agent: BenchAgent) -> None:
    options = BenchOptions(minutes=0.05, envs=[2, 3], peers=False)
    found: list[GroupRates] = []
    result = throughput(agent.network, options=options, watch=Watch(found=found.append))
    assert result.groups == tuple(found) and found[0].title == "2 environments"
    assert (result.table["rate"] > 0).all() and result.game == "Pong"
    assert found[0].share_of_bound > 0 and result.envs in (2, 3)
