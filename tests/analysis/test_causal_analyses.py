"""Memory, interventions and noise, on agents of which it is known what must come out."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache

import numpy as np
import pandas
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from torch import nn

import atari_zoo as zoo
from atari_zoo.analysis.interventions import intervention_effects
from atari_zoo.analysis.memory import memory_use
from atari_zoo.analysis.noise import noise_robustness, robustness
from atari_zoo.analysis.responses import untrained_control
from atari_zoo.analysis.results import open_result
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.network.heads import ActorCriticHead, QHead
from atari_zoo.converters.network.networks import MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.play.robustness import NoiseScores
from atari_zoo.sweeps.jobs import noise as noise_job
from atari_zoo.sweeps.sweeps import sweep
from atari_zoo.viz.analyses.noise import _words


@cache
def subject(head: str = "actor", reads: tuple[int, ...] = (0, 1, 2, 3)) -> Subject:
    """A small agent and 300 steps of its play. reads: frames that its first filters have weights
    on, 3 the present one."""
    torch.manual_seed(3)
    made = {"actor": ActorCriticHead, "q": QHead}[head](16, 6)
    short = Preprocessing(max_frames=160)
    card = ModelCard(
        {"actor": "a2c", "q": "dqn"}[head], "Pong", action_rule="sample", preprocessing=short
    )
    network = MnihNetwork(Trunk(mnih_convolutions((8, 8, 8)), 16), made, card).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(module.weight, 1.6)
    others = [frame for frame in range(4) if frame not in reads]
    with torch.no_grad():
        network.layers["conv1"].conv.weight[:, others] = 0
    keep = ["screens", "outputs"]
    return Subject(zoo.rollout(network, steps=150, envs=2, seed=1, keep=keep), network)


def value_of(table: pandas.DataFrame, **wanted: object) -> float:
    rows = table
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1, (wanted, len(rows))
    return float(rows["value"].iloc[0])


class TestMemory:
    @pytest.mark.parametrize("head", ["actor", "q"])
    def test_of_an_agent_without_a_past_it_is_nothing(self, head) -> None:
        found = memory_use([subject(head, (3,))], episodes=1, states=80, information=False).table
        causal = found[(found["where"] != "untrained") & (found["measure"] != "score")]
        still = causal[causal["measure"] == "agreement"]["value"]
        rest = causal[causal["measure"] != "agreement"]["value"].dropna()
        assert len(still) == 5 + 4 and (still == 1).all()
        assert len(rest) > 20 and (rest == 0).all()

    def test_of_one_that_reads_a_single_past_frame_it_is_that_frames(self) -> None:
        reader = subject("actor", (1, 3))  # T-2 and now
        found = memory_use([reader], episodes=0, states=80, information=False).table
        js = {
            words: value_of(found, replaced=words, where="recorded", measure="js")
            for words in ("none", "T-1", "T-2", "T-3", "all")
        }
        assert js["none"] == js["T-1"] == js["T-3"] == 0
        assert js["T-2"] == js["all"] > 0.001

    def test_the_numbers_are_those_of_a_plain_loop(self) -> None:
        agent = subject()
        found = memory_use([agent], episodes=0, states=10_000, information=False).table
        seen = agent.observations()
        changed, network = seen.clone(), agent.network
        for moment in range(len(seen)):
            changed[moment, 2] = seen[moment, 3]
        with torch.no_grad():
            one, other = network(seen), network(changed)
            features = [network.trunk(some) for some in (seen, changed)]
            values = [network.head.value(some)[:, 0] for some in features]
        agree = float((one.argmax(1) == other.argmax(1)).double().mean())
        change = float((values[1] - values[0]).double().mean())
        facts = {"replaced": "T-1", "where": "recorded"}
        policies = [some.double().softmax(1).numpy() for some in (one, other)]
        js = float((jensenshannon(*policies, base=2, axis=1) ** 2).mean())
        assert value_of(found, **facts, measure="js") == pytest.approx(js, rel=1e-3) and js > 1e-5
        assert value_of(found, **facts, measure="agreement") == pytest.approx(agree, abs=1e-9)
        assert value_of(found, **facts, measure="value") == pytest.approx(change, abs=1e-4)

    def test_play_loses_what_it_loses(self) -> None:
        agent = subject()
        found = memory_use([agent], episodes=1, states=50, information=True, seed=2)
        plain = zoo.rollout(agent.network, episodes=1, seed=2).returns.mean()
        blind = zoo.rollout(agent.network, episodes=1, seed=2, forget=[1, 2, 3]).returns.mean()
        facts = {"replaced": "all", "where": "played"}
        lost = value_of(found.table, **facts, measure="score_lost")
        assert lost == pytest.approx(plain - blind)
        assert np.isnan(found.table[found.table["measure"] == "score"]["low"]).all()
        for measure in ("information", "shuffled", "entropy"):
            value_of(found.table, replaced="all", where="recorded", measure=measure)

    def test_q_values_have_no_divergence(self) -> None:
        found = memory_use([subject("q")], episodes=0, states=30, information=False).table
        missing = found[found["measure"].isin(["js", "kl"])]["value"]
        assert len(missing) and missing.isna().all()
        assert found[found["measure"] == "lead"]["value"].notna().all()

    def test_scores_that_nobody_samples_from_have_no_divergence(self) -> None:
        agent = subject()
        network = copy.deepcopy(agent.network)
        network.card = network.card.replace(algorithm="es", action_rule="argmax")
        played = zoo.rollout(network, steps=20, envs=1, keep=["screens"])
        options = {"episodes": 0, "states": 10}
        by_memory = memory_use([(network, played)], information=False, **options)
        by_units = intervention_effects([(network, played)], units=["fc:1"], **options)
        for found in (by_memory, by_units):
            missing = found.table[found.table["measure"].isin(["js", "kl"])]["value"]
            assert len(missing) and missing.isna().all()
            assert "do not sample from a policy" in found.uncertainty

    def test_play_without_actions_is_told_and_the_rest_measured(self) -> None:
        network = subject().network
        played = zoo.rollout(network, steps=20, envs=2, keep=["screens"])
        played.arrays["actions"] = np.zeros((0, 2), int)
        found = memory_use([(network, played)], episodes=0, states=10)
        assert "information" not in set(found.table["measure"]) and len(found.table)
        assert "No information of a2c/Pong" in found.uncertainty
        assert "no actions in this recording" in found.uncertainty

    def test_where_no_untrained_network_can_be_made_that_is_told(self, monkeypatch) -> None:
        def refuse(network, seed):
            raise ValueError("torch does not know how 'gain' is initialised")

        monkeypatch.setattr("atari_zoo.analysis.responses.untrained", refuse)
        found = memory_use([subject()], episodes=0, states=10, information=False)
        assert set(found.table["where"]) == {"recorded"}
        assert "No untrained control: torch does not know how 'gain'" in found.uncertainty

    def test_a_recurrent_one_has_no_untrained_control(self, monkeypatch) -> None:
        network = subject().network
        assert untrained_control(network, 0)[0] is not None
        monkeypatch.setattr("atari_zoo.analysis.responses.state_size", lambda network: 32)
        control, why = untrained_control(network, 0)
        assert control is None and "it is recurrent" in why


class TestInterventions:
    def test_effects_are_those_of_the_zeroed_unit(self) -> None:
        agent = subject()
        found = intervention_effects(
            [agent], units=["conv3:2"], episodes=0, states=10_000, controls=2
        ).table
        seen, network = agent.observations(), agent.network
        with torch.no_grad():
            intact = network(seen)
            kept = network.layers["conv3"].conv.weight.clone()
            network.layers["conv3"].conv.weight[2] = 0  # its bias is 0
            bias = network.layers["conv3"].conv.bias[2].clone()
            network.layers["conv3"].conv.bias[2] = 0
            changed = network(seen)
            network.layers["conv3"].conv.weight.copy_(kept)
            network.layers["conv3"].conv.bias[2] = bias
        agree = float((intact.argmax(1) == changed.argmax(1)).double().mean())
        logs = [some.double().log_softmax(1) for some in (intact, changed)]
        kl = float((logs[0].exp() * (logs[0] - logs[1])).sum(1).mean() / np.log(2))
        facts = {"units": "conv3:2", "role": "ablated"}
        assert value_of(found, **facts, measure="agreement") == pytest.approx(agree)
        assert value_of(found, **facts, measure="kl") == pytest.approx(kl, rel=1e-4)
        controls = found[found["role"] == "control"]
        assert (controls["of"] == "conv3:2").all() and len(controls) == 2 * 5
        assert "conv3:2" not in set(controls["units"])

    def test_each_or_together(self) -> None:
        agent, options = subject("q"), {"episodes": 0, "states": 40, "controls": 1}
        each = intervention_effects([agent], units=["fc:1,5", "conv1:0"], **options).table
        assert set(each[each["role"] == "ablated"]["units"]) == {"fc:1", "fc:5", "conv1:0"}
        both = intervention_effects([agent], units=["fc:1,5"], together=True, **options).table
        assert set(both[both["role"] == "ablated"]["units"]) == {"fc:1,5"}
        control = both[both["role"] == "control"]["units"].iloc[0].split()
        assert len(set(control)) == 2 and not {"fc:1", "fc:5"} & set(control)

    def test_controls_are_about_as_active(self) -> None:
        agent = subject()
        found = intervention_effects(
            [agent], units=["conv1:3"], episodes=0, states=10, controls=1, seed=4
        ).table
        control = found[found["role"] == "control"]["units"].iloc[0]
        means = zoo.activations(agent.network, agent.observations(), "conv1")["conv1"].mean(
            (0, 2, 3)
        )
        order = (means - means[3]).abs().argsort().tolist()
        assert int(control.partition(":")[2]) in order[1:6]

    def test_nothing_done_is_nothing_changed(self) -> None:
        found = intervention_effects(
            [subject()], units=["fc"], kind="scale", amount=1.0, together=True, episodes=1, seed=1
        ).table
        ablated = found[found["role"] == "ablated"].set_index("measure")["value"]
        assert ablated["agreement"] == 1
        assert (ablated[["kl", "js", "lead", "value", "score_change"]] == 0).all()
        plain = zoo.rollout(subject().network, episodes=1, seed=1).returns.mean()
        assert value_of(found, role="intact", measure="score") == plain == ablated["score"]

    def test_ticks_and_saves(self, tmp_path) -> None:
        ticks = []
        found = intervention_effects(
            [subject()],
            units=["output:FIRE"],
            kind="steer",
            amount=100.0,
            episodes=0,
            states=20,
            progress=lambda *tick: ticks.append(tick),
        )
        assert ticks == [(1, 3), (2, 3), (3, 3)]
        found.save(tmp_path)
        again = open_result(tmp_path)
        pandas.testing.assert_frame_equal(again.table, found.table)
        assert again.made.parameters["kind"] == "steer"
        lead = value_of(found.table, role="ablated", measure="lead")
        assert lead < -50  # what was best before is behind FIRE now

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({}, "no units to change; name some"),
            ({"units": ["conv3:99"]}, "no unit 99 in conv3; expected 0 to 7"),
            ({"units": ["fc:1"], "kind": "scale"}, "'scale' of fc:1 needs amount="),
            ({"units": ["fc:1"], "controls": -1}, "controls is -1"),
            ({"units": ["fc:1"], "states": 0}, "states is 0; expected at least 1"),
        ],
    )
    def test_bad_words_are_told(self, options, said) -> None:
        with pytest.raises(ValueError, match=said):
            intervention_effects([subject()], **{"episodes": 0} | options)


Made = Callable[..., NoiseScores]


class TestNoise:
    def scores(self, heights: list[float], clean: float = 100, **more: object) -> NoiseScores:
        """Episodes that scored so at each level, and 1 less and more."""
        random = np.random.default_rng(0)

        def around(height: float) -> tuple[float, ...]:
            return tuple((height + random.normal(0, 1, 12)).tolist())

        levels = (0, 0.01, 0.1, 1)
        shown = around(clean)
        rest = tuple(around(height) for height in heights)
        chance = around(float(str(more.get("chance", 0))))
        return NoiseScores("relative", levels, (shown, *rest), shown, chance)

    def test_known_curves_are_normalised_and_ranked(self) -> None:
        steady, weak = self.scores([100, 100, 100]), self.scores([40, 20, 0], 50)
        games = {"a2c/Pong/1": "Pong", "es/Pong/1": "Pong"}
        found = robustness({"a2c/Pong/1": [steady] * 2, "es/Pong/1": [weak] * 2}, games)
        table = found.table
        own = table[(table["measure"] == "own") & (table["agent"] == "es/Pong/1")]["value"]
        np.testing.assert_allclose(own, [1, 0.8, 0.4, 0], atol=0.05)
        best = table[(table["measure"] == "best") & (table["agent"] == "es/Pong/1")]["value"]
        np.testing.assert_allclose(best, [0.5, 0.4, 0.2, 0], atol=0.05)
        facts = {"agent": "es/Pong/1"}
        assert value_of(table, **facts, measure="area_own") == pytest.approx(0.4, abs=0.03)
        assert value_of(table, **facts, measure="rank_own") == 2
        rows = table[table["measure"] == "rank_own"]
        assert (rows["low"] == rows["high"]).all()  # there is no doubt
        assert value_of(table, **facts, measure="own", level=0) == 1
        assert value_of(table, kind="random", agent="a2c/Pong/1") == pytest.approx(0, abs=1)
        assert "nothing is ranked" not in found.uncertainty

    def test_who_is_below_random_play_has_no_own_share_and_that_is_said(self) -> None:
        good, poor = self.scores([90, 50, 0]), self.scores([5, 5, 5], 5, chance=20)
        games = dict.fromkeys(("dqn/Pong/1", "ga/Pong/1"), "Pong")
        found = robustness({"dqn/Pong/1": [good], "ga/Pong/1": [poor]}, games)
        rows = found.table[found.table["agent"] == "ga/Pong/1"]
        assert rows[rows["measure"] == "own"]["value"].isna().all()
        assert rows[rows["measure"] == "best"]["value"].notna().all()
        assert "without own: ga/Pong/1" in found.uncertainty
        assert value_of(found.table, agent="dqn/Pong/1", measure="rank_own") == 1

    def test_one_agent_alone_is_not_ranked(self) -> None:
        found = robustness({"dqn/Pong/1": [self.scores([90, 50, 0])]}, {"dqn/Pong/1": "Pong"})
        assert not found.table["measure"].str.startswith("rank").any()
        assert "nothing is ranked" in found.uncertainty

    def test_a_level_of_nothing_is_clean_play_and_all_random_is_random_play(self) -> None:
        agent = subject()
        ticks = []
        found = noise_robustness(
            [agent],
            kinds=["actions", "frame", "relative"],
            levels=[0.0, 1.0],
            episodes=1,
            draws=2,
            seed=3,
            progress=lambda *tick: ticks.append(tick),
        ).table
        plain = [zoo.rollout(agent.network, episodes=1, seed=s).returns[0] for s in (3, 11)]
        for kind in ("actions", "frame", "relative"):
            clean = value_of(found, kind=kind, level=0.0, measure="score")
            assert clean == np.mean(plain)
        chance = value_of(found, kind="random", measure="score")
        assert value_of(found, kind="actions", level=1.0, measure="score") == chance
        assert ticks[-1][0] == ticks[-1][1] and len({total for _, total in ticks}) == 1

    def test_draws_play_no_game_twice(self, monkeypatch) -> None:
        plans = []

        def spy(network, plan, kinds, levels, progress):
            plans.append(plan)
            return [self.scores([90, 50, 0])]

        monkeypatch.setattr("atari_zoo.analysis.noise.noise_scores", spy)
        found = noise_robustness([subject()], kinds=["relative"], draws=3)
        games = [set(range(plan.seed, plan.seed + plan.envs)) for plan in plans]
        assert len(games) == 3 and len(set().union(*games)) == sum(map(len, games))
        assert "of two or three draws the lowest and the highest" in found.uncertainty
        assert "Bands: lowest and highest draw" in _words(found, found.table)

    def test_seeds_of_a_sweep_play_no_game_twice_and_older_ones_are_refused(
        self, monkeypatch, tmp_path
    ) -> None:
        plans = []

        def spy(network, plan, kinds, levels):
            plans.append(plan)
            return [self.scores([90, 50, 0])]

        monkeypatch.setattr("atari_zoo.play.robustness.noise_scores", spy)
        network = subject().network
        monkeypatch.setattr("atari_zoo.load", lambda name, device: network)
        told = [noise_job("a2c/Pong/1", tmp_path, seed, envs=4) for seed in (0, 1, 2)]
        assert [plan.seed for plan in plans] == [0, 4, 8] == [one["first_game"] for one in told]
        for result in told:
            del result["first_game"]
        task = {"job": "noise", "model": "a2c/Pong/1"}
        report = [{"task": task, "result": result} for result in told]
        (tmp_path / "report.json").write_text(json.dumps(report))
        with pytest.raises(ValueError, match="whose seeds played mostly the same games"):
            noise_robustness([subject()], sweep=str(tmp_path))

    def test_a_sweep_of_files_is_read_by_what_they_are_called(self, tmp_path) -> None:
        found = {"kind": "actions", "levels": [0.0, 1.0], "returns": [[9.0, 8.0], [1.0, 2.0]]}
        found |= {"clean": [9.0, 8.0], "random": [1.0, 0.0], "first_game": 0}
        found["agent"] = subject().card.name
        report = [{"task": {"job": "noise", "model": "/models/a.onnx"}, "result": found}]
        (tmp_path / "report.json").write_text(json.dumps(report))
        read = noise_robustness([subject()], sweep=str(tmp_path)).table
        assert value_of(read, kind="actions", level=1.0, measure="score") == 1.5
        report.append({"task": {"job": "noise", "model": "/models/b.onnx"}, "result": found})
        (tmp_path / "report.json").write_text(json.dumps(report))
        with pytest.raises(ValueError, match="several models are called a2c/Pong/1 there: /models"):
            noise_robustness([subject()], sweep=str(tmp_path))

    def test_a_sweep_is_read_as_if_it_had_been_played(self, tmp_path) -> None:
        short = {"episodes": 1, "envs": 1, "preprocessing": {"max_frames": 160}}
        settings = short | {"kind": ["actions", "sticky"], "levels": [0.0, 1.0]}
        sweep("noise", ["a2c/Seaquest/1"], tmp_path / "noise", [0, 1], settings)
        network = zoo.load("a2c/Seaquest/1")
        agent = Subject(zoo.rollout(network, steps=5, envs=1, keep=["screens"]), network)
        read = noise_robustness([agent], sweep=str(tmp_path / "noise")).table
        assert set(read["kind"]) == {"random", "actions", "sticky"} and (read["n"] > 0).all()
        expected = [zoo.rollout(network, seed=s, sticky=1.0, **short).returns[0] for s in (0, 1)]
        swept = value_of(read, kind="sticky", level=1.0, measure="score")
        assert swept == np.mean(expected)
        with pytest.raises(ValueError, match="nothing of a2c/Pong/1 there, but of a2c/Seaquest/1"):
            noise_robustness([subject()], sweep=str(tmp_path / "noise"))
        with pytest.raises(ValueError, match="no sweep, or one that has not ended"):
            noise_robustness([agent], sweep=str(tmp_path / "nothing"))

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"kinds": ["gravity"]}, "no noise on 'gravity'; there are observation, frame"),
            (
                {"kinds": ["actions"], "levels": [2.0]},
                "action noise is 2.0; it must be",
            ),
            ({"kinds": ["sticky"], "levels": [2.0]}, "sticky is 2.0; it must be from 0 to 1"),
            ({"draws": 0}, "draws is 0"),
        ],
    )
    def test_bad_words_are_told(self, options, said) -> None:
        with pytest.raises(ValueError, match=said):
            noise_robustness([subject()], **{"episodes": 1} | options)
