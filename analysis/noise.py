"""Noise: what agents score under more and more of it, normalised, and who bears it best.

As in Such et al. (2019, supplement S1.2, https://arxiv.org/abs/1812.07069), and with the forms that
can be compared between agents: noise that a frame keeps, noise relative to each layer's weights,
random actions, sticky actions (Machado et al., 2018, https://arxiv.org/abs/1709.06009).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas

from atari_zoo.analysis.measures.noise_curves import (
    Draws,
    Resampled,
    area,
    area_ranks,
    normalised,
    resampled_mean,
)
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.results import Result
from atari_zoo.analysis.subjects import Subject
from atari_zoo.catalog.names import file_name
from atari_zoo.converters.arguments import checked
from atari_zoo.play.noise import PERTURBED
from atari_zoo.play.plans import Plan
from atari_zoo.play.robustness import NoiseScores, noise_scores
from atari_zoo.seeds import draw_seed, generator_seed
from atari_zoo.sweeps.places import Place

COLUMNS = "agent game kind level measure value low high n draws".split()
USUAL = ("observation", "frame", "relative", "actions", "sticky")
UNCERTAINTY = (
    "low, high: 95% bootstrap, draws of the noise resampled, and within each its episodes, with "
    "clean and random play; of two or three draws the lowest and the highest draw's instead; n: "
    "episodes, in draws of the noise, each of other games; missing where there was one draw, or "
    "where a resample in forty has clean play no better than random. own: the score "
    "where random play is 0 and the agent's own clean play 1; best: where the best agent's of the "
    "game is 1. area: the mean of own or best over the logarithm of the level; rank: by it, 1 the "
    "largest. Control: kind 'random', play by random actions"
)


class NoiseCurve(NamedTuple):
    """One agent's curve of one kind: scores, and shares of its own clean and of the best's."""

    scores: list[Resampled]
    own: list[Resampled]
    best: list[Resampled]


@checked
@analysis("noise_robustness", source="https://arxiv.org/abs/1812.07069", verb="noise")
def noise_robustness(
    agents: Sequence[Subject],
    *,
    kinds: Sequence[str] = USUAL,
    levels: Sequence[float] | None = None,
    episodes: int = 10,
    draws: int = 3,
    sweep: str = "",
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """Scores under noise on what agents see, on their weights and on their actions; who bears it.

    kinds: observation (anew at each step), frame (a frame keeps its own), relative and parameters
        (on the convolutions' kernels, in parts of each layer's spread, or absolute), actions,
        sticky. levels: of all kinds; each one's own if not given.
    episodes: whole ones at each level and draw. draws: of the noise, each on other games; of
        one there are no intervals, of two or three they are the lowest and the highest.
    sweep: the place of a sweep of the job `noise`, whose results are read; nothing is played.
    seed: of play and of resampling.
    The table has a row for each agent, kind, level and measure: agent, game, kind, level, measure
    (score, own, best; without a level area_own, area_best, rank_own, rank_best), value, low, high,
    n, draws.
    Raises ValueError if there is no such kind or level, or the sweep has nothing of an agent.
    """
    unknown = [kind for kind in kinds if kind not in PERTURBED]
    if unknown or not kinds:
        said = f"no noise on '{unknown[0]}'" if unknown else "no kinds of noise"
        raise ValueError(f"{said}; there are {', '.join(PERTURBED)}")
    if sweep:
        found = {subject.name: swept_scores(sweep, subject.name) for subject in agents}
    else:
        if draws < 1:
            raise ValueError(f"draws is {draws}; expected at least 1")
        seeds = [draw_seed(seed, number, Plan.envs) for number in range(draws)]
        plans = [Plan(episodes=episodes, seed=one) for one in seeds]
        found = _played(agents, plans, kinds, levels, progress)
    games = {subject.name: subject.game for subject in agents}
    return robustness(found, games, seed)


def robustness(
    scores: Mapping[str, Sequence[NoiseScores]], games: Mapping[str, str], seed: int = 0
) -> Result:
    """The table of `noise_robustness` from scores, those of each agent's kinds and draws.

    games: of each agent. Raises ValueError if draws of a kind have other levels.
    """
    rows, areas, beneath = list[dict[str, Any]](), defaultdict[Any, dict[str, Resampled]](dict), []
    random = np.random.default_rng(generator_seed(seed))
    clean = {a: resampled_mean(_once(some, "clean"), random) for a, some in scores.items()}
    chance = {a: resampled_mean(_once(some, "random"), random) for a, some in scores.items()}
    for agent, some in scores.items():
        game = games[agent]
        rivals = [other for other in scores if games[other] == game]
        best = clean[max(rivals, key=lambda other: clean[other].value)]
        facts = {"agent": agent, "game": game}
        controls = _once(some, "random")
        rows.append(
            facts | _row("random", np.nan, "score", chance[agent], _count(controls), len(controls))
        )
        if clean[agent].value <= chance[agent].value:
            beneath.append(agent)
        for kind, draws in _by_kind(some).items():
            curve = _normalised(draws, clean[agent], chance[agent], best, random)
            levels = draws[0].levels
            for place, level in enumerate(levels):
                count = sum(len(one.returns[place]) for one in draws)
                for measure, values in zip(("score", "own", "best"), curve, strict=True):
                    row = _row(kind, level, measure, values[place], count, len(draws))
                    rows.append(facts | row)
            for measure, values in (("own", curve.own), ("best", curve.best)):
                found = areas[game, kind, measure][agent] = area(levels, values)
                count = sum(len(r) for one in draws for r in one.returns)
                rows.append(facts | _row(kind, np.nan, f"area_{measure}", found, count, len(draws)))
    rows += _rank_rows(areas)
    words = [UNCERTAINTY]
    if beneath:
        words.append(f"No better than random play when clean, so without own: {', '.join(beneath)}")
    if not any(len(some) > 1 for some in areas.values()):
        words.append("One agent of a game alone: nothing is ranked")
    return Result(pandas.DataFrame(rows)[COLUMNS], ". ".join(words))


def swept_scores(place: str, agent: str) -> list[NoiseScores]:
    """What a sweep of the job `noise` found of an agent, at all its seeds.

    Raises ValueError if the sweep is of another job, has not ended, or has nothing of the agent.
    """
    there = Place(place)
    outcomes = there.read("report.json")
    if outcomes is None:
        raise ValueError(f"{place}: no sweep, or one that has not ended: give its command again")
    found, models = [], set()
    for outcome in outcomes:
        task, result = outcome["task"], outcome["result"]
        if task["job"] != "noise":
            raise ValueError(f"{place}: a sweep of the job '{task['job']}'; expected 'noise'")
        if result is None or not _is_of(agent, task["model"], result):
            continue
        models.add(task["model"])
        if "first_game" not in result:
            raise ValueError(
                f"{place}: swept by an older atari-zoo, whose seeds played mostly the same games: "
                "sweep anew"
            )
        for curve in result.get("curves", [result]):
            found.append(
                NoiseScores(
                    curve["kind"],
                    tuple(curve["levels"]),
                    tuple(map(tuple, curve["returns"])),
                    tuple(result["clean"]),
                    tuple(result["random"]),
                )
            )
    if len(models) > 1:
        raise ValueError(
            f"{place}: several models are called {agent} there: {', '.join(sorted(models))}; sweep "
            "each into a folder of its own"
        )
    if not found:
        names = sorted({outcome["task"]["model"] for outcome in outcomes if outcome["result"]})
        raise ValueError(
            f"{place}: nothing of {agent} there, but of {', '.join(names) or 'nobody'}"
        )
    return found


def _is_of(agent: str, model: str, result: Mapping[str, Any]) -> bool:
    """Whether what was swept, a name or a file, is called so."""
    return file_name(agent) in map(file_name, (model, result.get("agent", model)))


def _played(
    agents: Sequence[Subject],
    plans: Sequence[Plan],
    kinds: Sequence[str],
    levels: Sequence[float] | None,
    progress: Callable[[int, int], None],
) -> dict[str, list[NoiseScores]]:
    found: dict[str, list[NoiseScores]] = {subject.name: [] for subject in agents}
    runs = [(subject, plan) for subject in agents for plan in plans]
    for number, (subject, plan) in enumerate(runs):

        def tell(done: int, total: int, before: int = number) -> None:
            progress(before * total + done, len(runs) * total)

        found[subject.name] += noise_scores(subject.network, plan, kinds, levels, tell)
    return found


def _by_kind(scores: Sequence[NoiseScores]) -> dict[str, list[NoiseScores]]:
    found: dict[str, list[NoiseScores]] = {}
    for one in scores:
        same = found.setdefault(one.kind, [])
        same.append(one)
        if one.levels != same[0].levels:
            raise ValueError(
                f"{one.kind} was swept at levels {one.levels} and at {same[0].levels}: expected "
                "the same at each seed"
            )
    return found


def _once(scores: Sequence[NoiseScores], which: str) -> Draws:
    """Clean or random play, once for each seed: a seed's kinds share it."""
    return [getattr(one, which) for one in scores if one.kind == scores[0].kind]


def _normalised(
    draws: Sequence[NoiseScores],
    clean: Resampled,
    chance: Resampled,
    best: Resampled,
    random: np.random.Generator,
) -> NoiseCurve:
    scores = []
    for place in range(len(draws[0].levels)):
        same = all(one.returns[place] == one.clean for one in draws)
        played = [one.returns[place] for one in draws]
        scores.append(clean if same else resampled_mean(played, random))
    own = [normalised(score, chance, clean) for score in scores]
    return NoiseCurve(scores, own, [normalised(score, chance, best) for score in scores])


def _rank_rows(areas: Mapping[Any, Mapping[str, Resampled]]) -> list[dict[str, Any]]:
    rows = []
    for (game, kind, measure), some in areas.items():
        if len(some) < 2:
            continue
        for agent, rank in zip(some, area_ranks(list(some.values())), strict=True):
            facts = {"agent": agent, "game": game}
            rows.append(facts | _row(kind, np.nan, f"rank_{measure}", rank, len(some), 0))
    return rows


def _count(draws: Draws) -> int:
    return sum(map(len, draws))


def _row(
    kind: str, level: float, measure: str, found: Resampled, count: int, draws: int
) -> dict[str, Any]:
    low, high = found.ends
    return {
        "kind": kind,
        "level": float(level),
        "measure": measure,
        "value": float(found.value),
        "low": low,
        "high": high,
        "n": count,
        "draws": draws,
    }
