"""Highlights: the moments of play that tell most of an agent, for who cannot watch all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas
from jaxtyping import Float

from atari_zoo.analysis.measures.advantages import generalized_advantages
from atari_zoo.analysis.measures.critical_moments import (
    distance_quantile,
    importance,
    moments_apart,
)
from atari_zoo.analysis.moments import counted_ends
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.responses import network_responses, states_of
from atari_zoo.analysis.results import Result
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.living_units import rectified
from atari_zoo.seeds import generator_seed

# kinds of moments: where the choice mattered, what came after was better or worse than its value
# had said, and, to compare with, drawn at random
CRITICAL, GAIN, LOSS, RANDOM = "critical", "gain", "loss", "random"
COLUMNS = (
    "agent kind rank step env episode score taken action second importance share advantage value "
    "nearest"
).split()


class Judged(NamedTuple):
    """What is known of each moment of an agent's play; NaN where it is not."""

    importance: Float[np.ndarray, "moments"]
    advantage: Float[np.ndarray, "moments"]
    value: Float[np.ndarray, "moments"]
    outputs: Float[np.ndarray, "moments actions"]
    features: Float[np.ndarray, "moments units"]


@checked
@analysis("highlights", source="http://www.ifaamas.org/Proceedings/aamas2018/pdfs/p1168.pdf")
def highlights(
    agents: Sequence[Subject],
    *,
    count: int = 5,
    against: str = "second",
    apart: int = 20,
    diversity: float = 0.1,
    layer: str | None = None,
    gamma: float = 0.99,
    trace: float = 0.95,
    clip_rewards: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """The moments of play that tell most of an agent: critical choices, gains and losses.

    count: moments of each kind. against: second or worst: what the best action's output is
    compared with, which is a moment's importance. apart: steps between two moments of one
    episode, at least. diversity: share of pairs of moments that count as alike; of critical
    moments that are alike the most important stands for all; 0 for none.
    layer: whose activations tell what is alike; the dense one if not given.
    gamma, trace: of the generalized advantages. clip_rewards: count rewards as -1, 0 or 1, as most
    agents were trained. seed: of the draws.
    The table has a row for each moment, in each agent by kind and rank. Kinds: "critical", where
    the choice mattered most; "gain" and "loss", after which more, or less, was had than the state's
    value had said; "random", for comparison. action: the best rated, before the second; taken: what
    was done. share: of the play's moments that matter less.
    nearest: distance to the nearest other one of its kind, as the median of the play's is 1.
    The arrays hold importance, advantage and value of each agent's every moment (steps, envs), as
    "importance 0", and the table's screens, "frames", where they were recorded.
    Raises ValueError for fewer than 1 moment, an agent of one action, or one that diverged.
    """
    if count < 1 or apart < 0:
        raise ValueError(f"{count} moments, {apart} steps apart; expected at least 1, and 0")
    rows, arrays, frames = [], dict[str, np.ndarray](), list[np.ndarray | None]()
    for number, agent in enumerate(agents):
        judged = _judged(agent, against, layer, (gamma, trace), clip_rewards)
        shape = agent.recording.starts.shape
        for name in ("importance", "advantage", "value"):
            arrays[f"{name} {number}"] = getattr(judged, name).reshape(shape)
        chosen = _chosen(agent, judged, count, apart, diversity, seed)
        for kind, moments in chosen.items():
            rows += _rows(agent, judged, kind, moments)
            frames += [_frame(agent, moment) for moment in moments]
        progress(number + 1, len(agents))
    shown = [frame for frame in frames if frame is not None]
    if shown and len(shown) == len(frames) and len({frame.shape for frame in shown}) == 1:
        arrays["frames"] = np.stack(shown)
    return Result(pandas.DataFrame(rows, columns=COLUMNS), _uncertainty(rows), arrays)


def _judged(
    agent: Subject,
    against: str,
    layer: str | None,
    discounts: tuple[float, float],
    clip_rewards: bool,
) -> Judged:
    network, play = agent.network, agent.recording
    check_finite(network)
    states = states_of(agent, play.starts.size)
    found = network_responses(network, states)
    values = found.values.astype(float)
    advantages = np.full(len(values), np.nan)
    if len(play.rewards):
        rewards = np.asarray(play.rewards, float)
        shape = rewards.shape
        advantages = generalized_advantages(
            np.sign(rewards) if clip_rewards else rewards,
            values.reshape(shape),
            counted_ends(play),
            *discounts,
        ).reshape(-1)
    features = agent.activations(layer or _dense_layer(agent))
    return Judged(
        importance(found.outputs.astype(float), against),
        advantages,
        values,
        found.outputs,
        features.reshape(len(values), -1).astype(np.float32),
    )


def _dense_layer(agent: Subject) -> str:
    there = rectified(agent.network)
    if "fc" in agent.network.layers:
        return "fc"
    if not there:
        raise ValueError(
            f"{agent.name}: no dense layer is known that would tell moments apart; name one with "
            f"layer=, of {', '.join(agent.network.layers)}"
        )
    return there[-1]


def _chosen(
    agent: Subject, judged: Judged, count: int, apart: int, diversity: float, seed: int
) -> dict[str, list[int]]:
    steps, envs = agent.recording.starts.shape
    where = np.repeat(np.arange(steps), envs), agent.episodes, count, apart
    nearest = distance_quantile(judged.features, diversity, seed)
    random = np.random.default_rng(generator_seed(seed)).random(steps * envs)
    better = np.where(judged.advantage > 0, judged.advantage, np.nan)
    worse = np.where(judged.advantage < 0, -judged.advantage, np.nan)
    return {
        CRITICAL: moments_apart(judged.importance, *where, judged.features, nearest),
        GAIN: moments_apart(better, *where),
        LOSS: moments_apart(worse, *where),
        RANDOM: moments_apart(random, *where),
    }


def _rows(
    agent: Subject, judged: Judged, kind: str, moments: Sequence[int]
) -> list[dict[str, Any]]:
    play, names = agent.recording, agent.recording.action_names
    envs = play.starts.shape[1]
    told = "scores" in play.arrays or len(play.rewards)
    usual = distance_quantile(judged.features, 0.5) or 1.0
    rows = []
    for rank, moment in enumerate(moments):
        step, env = divmod(moment, envs)
        second, best = np.argsort(judged.outputs[moment], kind="stable")[-2:]
        others = [other for other in moments if other != moment]
        distances = np.linalg.norm(judged.features[others] - judged.features[moment], axis=1)
        rows.append(
            {
                "agent": agent.name,
                "kind": kind,
                "rank": rank,
                "step": step,
                "env": env,
                "episode": int(agent.episodes[moment]),
                "score": float(play.scores[step, env]) if told else np.nan,
                "taken": names[agent.actions[moment]] if len(play.actions) else "",
                "action": names[best],
                "second": names[second],
                "importance": judged.importance[moment],
                "share": float((judged.importance < judged.importance[moment]).mean()),
                "advantage": judged.advantage[moment],
                "value": judged.value[moment],
                "nearest": float(distances.min() / usual) if others else np.nan,
            }
        )
    return rows


def _frame(agent: Subject, moment: int) -> np.ndarray | None:
    frames = agent.recording.frames
    if frames is None:
        return None
    step, env = divmod(moment, agent.recording.starts.shape[1])
    return np.asarray(frames[step, env])


def _uncertainty(rows: Sequence[dict[str, Any]]) -> str:
    words = (
        "none: these are single moments; share tells how rare they are within the play, and the "
        'kind "random" what any moments are like'
    )
    without = [row["agent"] for row in rows if np.isnan(row["value"])]
    if without:
        names = ", ".join(dict.fromkeys(without))
        words += f"; no gains and losses of {names}, which rates no states"
    return words
