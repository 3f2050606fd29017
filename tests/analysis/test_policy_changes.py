"""Measures of policies and of scores under noise, against plain loops and known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from scipy.stats import entropy

from atari_zoo.analysis.measures.history_information import (
    history_information,
    shifted_history,
    time_folds,
)
from atari_zoo.analysis.measures.noise_curves import (
    Resampled,
    area,
    area_ranks,
    normalised,
    resampled_mean,
)
from atari_zoo.analysis.measures.policy_changes import (
    agrees,
    difference_interval,
    episode_interval,
    jensen_shannon,
    kullback_leibler,
    lead_of,
)


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return tuple(random.normal(size=(2, 50, 6)) * 4)


def test_divergences_are_scipys(pair) -> None:
    first, second = (softmax(some, axis=1) for some in pair)
    expected = entropy(first, second, base=2, axis=1)
    np.testing.assert_allclose(kullback_leibler(*pair), expected, atol=1e-9)
    expected = jensenshannon(first, second, base=2, axis=1) ** 2
    np.testing.assert_allclose(jensen_shannon(*pair), expected, atol=1e-9)


def test_of_the_same_policy_they_are_nothing_and_of_disjoint_ones_a_bit(pair) -> None:
    same = pair[0], pair[0] + 1000  # a softmax does not see what is added to all
    assert np.abs(jensen_shannon(*same)).max() < 1e-9
    assert (jensen_shannon(pair[0], pair[0]) == 0).all()
    assert (kullback_leibler(pair[0], pair[0]) == 0).all()
    sure = np.array([[900.0, 0, 0]]), np.array([[0.0, 900, 0]])
    assert jensen_shannon(*sure) == pytest.approx(1)


def test_agreement_and_lead_by_loops(pair) -> None:
    first, second = pair
    for state in range(len(first)):
        best = max(range(6), key=lambda action: first[state, action])
        other = max(range(6), key=lambda action: second[state, action])
        assert agrees(first, second)[state] == (best == other)
        rest = max(second[state, action] for action in range(6) if action != best)
        lead = lead_of(second, first.argmax(1))[state]
        assert lead == pytest.approx(second[state, best] - rest)


def test_episodes_are_resampled_whole() -> None:
    random = np.random.default_rng(1)
    episodes = np.repeat(np.arange(8), random.integers(20, 60, 8))
    values = episodes % 2 + 0.0  # what varies, varies between episodes
    low, high = episode_interval(values, episodes, 3)
    assert low < 0.3 and high > 0.7  # of frames it would be a tenth as wide
    assert episode_interval(values, episodes, 3) == (low, high)
    assert all(map(math.isnan, episode_interval(values, episodes * 0)))
    few = np.array([0, 0, 1, 1, 1])
    assert episode_interval(np.array([1.0, 3, 4, 5, 9]), few) == (2, 6)


def test_a_difference_covers_what_it_should() -> None:
    random, hits = np.random.default_rng(2), 0
    for number in range(200):
        ours, theirs = random.normal(3, 1, 30), random.normal(1, 2, 20)
        low, high = difference_interval(ours, theirs, number)
        hits += low < 2 < high
    assert 0.88 < hits / 200 < 0.99
    assert all(map(math.isnan, difference_interval(np.ones(1), np.ones(9))))
    ends = difference_interval(np.array([1.0, 2]), np.array([5.0, 7, 9, 9]))
    assert ends == (1 - 9, 2 - 5)


class TestCurves:
    def constant(self, value: float) -> Resampled:
        return resampled_mean([[value] * 4] * 3, np.random.default_rng(0))

    def test_the_mean_and_its_spread_are_those_of_two_stages(self) -> None:
        random = np.random.default_rng(3)
        draws = [list(random.normal(place, 1, 10)) for place in (0, 4, 8, 12)]
        found = resampled_mean(draws, np.random.default_rng(0))
        assert found.value == pytest.approx(np.mean(draws))
        plain = []
        for _ in range(4000):
            chosen = random.integers(4, size=4)
            plain.append(np.mean([random.choice(draws[c], 10).mean() for c in chosen]))
        assert found.resamples.mean() == pytest.approx(np.mean(plain), abs=0.15)
        assert found.resamples.std() == pytest.approx(np.std(plain), rel=0.1)
        assert all(map(math.isnan, resampled_mean([[3.0]], random).ends))

    def test_of_few_draws_the_lowest_and_the_highest_of_one_nothing(self) -> None:
        random = np.random.default_rng(3)
        one = resampled_mean([[1.0, 2, 3, 4, 5]], random)
        assert one.value == 3 and all(map(math.isnan, one.ends))
        two = resampled_mean([[1.0, 3], [5.0, 7]], random)
        assert two.value == 4 and two.ends == (2, 6)
        three = resampled_mean([[0.0], [9.0], [3.0]], random)
        assert three.ends == (0, 9)
        clean, chance = (
            resampled_mean([[10.0], [20.0]], random),
            resampled_mean([[0.0]] * 2, random),
        )
        share = normalised(resampled_mean([[5.0], [4.0]], random), chance, clean)
        assert share.ends == (0.2, 0.5)  # of each draw's own clean play
        assert area((0.1, 1), [share, share]).ends == pytest.approx((0.2, 0.5))
        third = normalised(three, resampled_mean([[0.0]] * 3, random), clean)
        assert third.ends == pytest.approx((0, 0.9))  # of draws of other numbers, all pairs
        ranks = area_ranks([two, three, one])
        assert [rank.value for rank in ranks] == [1.5, 1.5, 3]
        assert all(math.isnan(end) for rank in ranks for end in rank.ends)  # of `one` none is known

    def test_random_is_0_and_clean_is_1(self) -> None:
        clean, chance = self.constant(120), self.constant(20)
        found = [normalised(self.constant(v), chance, clean).value for v in (20, 70, 120, 0)]
        assert found == pytest.approx([0, 0.5, 1, -0.2])
        beneath = normalised(clean, clean, chance)
        assert math.isnan(beneath.value) and all(map(math.isnan, beneath.ends))

    def test_the_area_is_the_mean_over_the_logarithm(self) -> None:
        levels = (0, 0.01, 0.1, 1)
        curve = [self.constant(value) for value in (9, 1, 0.5, 0)]
        # two decades: means .75 and .25
        assert area(levels, curve).value == pytest.approx(0.5)
        shuffled = [curve[n] for n in (3, 0, 2, 1)]
        assert area((1, 0, 0.1, 0.01), shuffled).value == pytest.approx(0.5)
        assert area((0, 0.1), curve[:2]).value == 1
        assert math.isnan(area((0,), curve[:1]).value)

    def test_ranks_are_as_sure_as_the_areas(self) -> None:
        random = np.random.default_rng(4)
        alike = [resampled_mean(random.normal(0, 1, (5, 10)).tolist(), random) for _ in range(2)]
        areas = [self.constant(5), *alike, self.constant(-9)]
        found = area_ranks(areas)
        assert found[0].value == 1 and found[0].ends == (1, 1)
        assert found[3].value == 4 and found[3].ends == (4, 4)
        assert {one.value for one in found[1:3]} == {2, 3}
        assert [one.ends for one in found[1:3]] == [(2, 3), (2, 3)]
        assert area_ranks([areas[0], areas[0]])[0].value == 1.5


class TestHistory:
    """Frames of one bright column; the action is told by it, or by where it was before."""

    MOMENTS = 700

    def frames(self, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        shade = random.choice([0, 255], size=(self.MOMENTS, 4))
        frames = random.integers(0, 40, (self.MOMENTS, 4, 16, 16))
        frames[:, :, :, :8] += shade[:, :, None, None] * 3 // 4
        return frames.astype(np.uint8), (shade > 0).astype(int)

    @pytest.mark.parametrize("frame", [0, 2, 3])
    def test_what_one_frame_tells_is_a_bit_of_the_past_or_of_the_present(self, frame) -> None:
        frames, bits = self.frames()
        episodes = np.arange(self.MOMENTS) // 90
        found = history_information(frames, bits[:, frame], episodes, 0)
        if frame == 3:  # the present
            assert found.entropy < 0.1 and abs(found.gain) < 0.05
        else:
            assert found.entropy == pytest.approx(1, abs=0.1)
            assert 0.85 < found.gain < 1.1 and found.low > 0.8
        assert abs(found.shuffled) < 0.1 and found.shuffled_low < 0.05

    def test_one_action_alone_tells_nothing(self) -> None:
        frames, _ = self.frames()
        found = history_information(frames, np.full(self.MOMENTS, 2), np.zeros(self.MOMENTS, int))
        assert found.gain == pytest.approx(0, abs=1e-9) and found.entropy < 0.01

    def test_what_only_neighbours_tell_is_not_held_to_be_information(self) -> None:
        """A past, and actions, that are of the episode and have nothing to do with each other."""
        random, episodes = np.random.default_rng(2), np.arange(self.MOMENTS) // 70
        frames = random.integers(0, 255, (self.MOMENTS, 2, 16, 16)).astype(np.uint8)
        levels = random.integers(60, 190, (10, 4, 4))
        frames[:, 0] = frames[:, 0] // 8 + np.kron(levels, np.ones((4, 4)))[episodes]
        actions = random.integers(0, 3, 10)[episodes]
        found = history_information(frames, actions, episodes, 0)
        # 1.7 bits, where other parts of the same episode are fitted on
        assert found.gain < 0.1 and abs(found.gain - found.shuffled) < 0.1

    def test_folds_share_no_episode_or_have_gaps(self) -> None:
        episodes = np.repeat([0, 1, 2, 3, 4, 5], [130, 7, 63, 20, 50, 9])
        folds = time_folds(episodes)
        assert sorted(np.concatenate([fold.test for fold in folds])) == [*range(len(episodes))]
        for fold in folds:
            kinds = [set(episodes[part].tolist()) for part in fold]
            assert all(kinds) and sum(map(len, kinds)) == len(set().union(*kinds)) == 6
        alone = time_folds(np.zeros(600, int))
        assert sorted(np.concatenate([fold.test for fold in alone])) == [*range(600)]
        for fold in alone:
            for one, other in ((0, 1), (0, 2), (1, 2)):
                apart = np.abs(fold[one][:, None] - fold[other][None])
                assert len(fold[one]) and apart.min() > 50
        with pytest.raises(ValueError, match="expected at least 5 episodes, or 500 moments"):
            history_information(np.zeros((3, 2, 8, 8)), np.zeros(3, int), np.zeros(3, int))

    def test_the_control_keeps_neighbours_together(self) -> None:
        episodes = np.repeat([0, 1, 2], [100, 40, 60])
        found = shifted_history(episodes, 3)
        assert (episodes[found] == episodes).all() and len(set(found)) == len(found)
        for number in range(3):
            own = found[episodes == number]
            steps = np.diff(own) % len(own)
            assert (steps == 1).all() and own[0] != np.flatnonzero(episodes == number)[0]
