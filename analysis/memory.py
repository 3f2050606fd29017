"""Memory: what an agent's policy owes to past frames, by taking them away, and by what they tell.

Causal: a past frame is replaced by the present one, on recorded states and during play. Passive:
the information between past frames and the action, given the present one (Dann et al., 2016,
"Memory Lens", https://arxiv.org/abs/1611.06928).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas
from jaxtyping import Float, Int

from atari_zoo.analysis.measures.history_information import history_information, time_folds
from atari_zoo.analysis.measures.policy_changes import difference_interval
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.responses import (
    States,
    difference_rows,
    measured_row,
    network_responses,
    samples_its_policy,
    states_of,
    untrained_control,
)
from atari_zoo.analysis.results import Result
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.foreign import Network
from atari_zoo.emulator.kept import environments_kept
from atari_zoo.intervals import interval
from atari_zoo.observations import with_present
from atari_zoo.play.rollouts import rollout
from atari_zoo.recordings.recordings import Recording

COLUMNS = "agent replaced where measure value low high n".split()
UNCERTAINTY = (
    "low, high: 95% bootstrap, whole episodes resampled; of fewer than 4 their ends; missing "
    "where there is one alone, or what is measured is not there (js, kl of agents that do not "
    "sample from a policy; value of policies without a critic). Controls: 'none', where frames "
    "are replaced by themselves, is 0; 'untrained' is the same architecture before training; "
    "'shuffled' is the information of a past shifted in time within its episode. Information is "
    "an estimate by softmax regressions on held-out episodes (of fewer than 5, parts of the play "
    "with gaps between), no bound: too small by what they miss in the past, too large by what "
    "they miss in the present frame. What an agent carries in a recurrent state is not taken away"
)


@checked
@analysis("memory", source="https://arxiv.org/abs/1611.06928", verb="memory")
def memory_use(
    agents: Sequence[Subject],
    *,
    episodes: int = 10,
    states: int = 1000,
    information: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """What agents do otherwise, and lose, without the past frames that they see.

    episodes: whole ones that each plays without some of the frames; 0 for none.
    states: moments of play on which the policies are compared. information: whether to estimate
        what past frames tell of the action, too, where actions were recorded.
        seed: of play, of the untrained network, of resampling.
    The table has a row for each agent, what is replaced by the present frame (T-1 the last before
    it, all, or none), where (recorded: states of the agent's own play; played: of play without
    those frames; untrained: an untrained network on the recorded states) and each measure:
    agreement, js, kl (bits), lead, value, score, score_lost, information, shuffled, entropy (bits).
    Raises ValueError if an agent sees one frame alone.
    """
    if episodes < 0:
        raise ValueError(f"episodes is {episodes}; expected at least 0")
    for subject in agents:
        if subject.recording.preprocessing.stack < 2:
            raise ValueError(f"{subject.name} sees one frame alone: there is no past to replace")
    total = sum(subject.recording.preprocessing.stack + 2 for subject in agents)
    rows, words, done = list[dict[str, Any]](), [UNCERTAINTY], 0
    for subject in agents:
        control, why = untrained_control(subject.network, seed)
        untold = _why_untold(subject) if information else ""
        words += [some for some in (why, untold) if some]
        told = information and not untold
        with environments_kept():
            for found in _measured(subject, episodes, states, told, seed, control):
                rows += [{"agent": subject.name} | row for row in found]
                done += 1
                progress(done, total)
    return Result(pandas.DataFrame(rows)[COLUMNS], ". ".join(words))


def replacements(stack: int) -> dict[str, tuple[int, ...]]:
    """What can be replaced, by what it is called: "none", "T-1" and so on, "all"."""
    past = tuple(range(1, stack))
    several = {"all": past} if len(past) > 1 else {}
    return {"none": ()} | {f"T-{number}": (number,) for number in past} | several


def without_past(states: States, past: Sequence[int], channels: int) -> States:
    """The same states, with the present frame in the place of some past ones."""
    return states._replace(observations=with_present(states.observations, past, channels))


def _why_untold(subject: Subject) -> str:
    """Why its play does not show what the past tells; nothing if it does."""
    try:
        subject.actions  # noqa: B018  # raises where there are none
        time_folds(subject.episodes[_in_time(subject)])
    except ValueError as error:
        return f"No information of {subject.name}: {error}"
    return ""


def _in_time(subject: Subject) -> Int[np.ndarray, "moments"]:
    """Environment by environment, so that moments follow each other."""
    return np.arange(len(subject.episodes)).reshape(subject.recording.starts.shape).T.reshape(-1)


def _measured(
    subject: Subject,
    episodes: int,
    most: int,
    information: bool,
    seed: int,
    control: Network | None,
) -> Any:
    network, seen = subject.network, subject.recording.preprocessing
    stack, channels = seen.stack, seen.channels
    states = states_of(subject, most)
    own = rollout(network, episodes=episodes, seed=seed) if episodes else None
    returns = None if own is None else np.asarray(own.returns, float)
    for words, past in replacements(stack).items():
        facts = {"replaced": words, "where": "recorded"}
        rows = [facts | r for r in _compared(network, states, past, channels, seed)]
        facts = {"replaced": words, "where": "untrained"}
        if control is not None:
            rows += [facts | r for r in _compared(control, states, past, channels, seed)]
        if returns is not None:
            facts = {"replaced": words, "where": "played"}
            rows += [facts | r for r in _played(subject, past, returns, most, seed)]
        yield rows
    yield _information_rows(subject, seed) if information else []


def _compared(
    network: Network, states: States, past: Sequence[int], channels: int, seed: int
) -> list[dict[str, Any]]:
    """The policy on states, beside that on the same without some frames."""
    changed = network_responses(network, without_past(states, past, channels))
    return difference_rows(
        network_responses(network, states), changed, states, samples_its_policy(network), seed
    )


def _played(
    subject: Subject,
    past: Sequence[int],
    own: Float[np.ndarray, "episodes"],
    most: int,
    seed: int,
) -> list[dict[str, Any]]:
    """What play without some frames scores, and how the policy differs on what it comes to see."""
    network = subject.network
    if not past:
        rows = [measured_row("score", own.mean(), interval(own.tolist(), seed), len(own))]
        return [*rows, measured_row("score_lost", 0.0, (0.0, 0.0), len(own))]
    played = rollout(network, episodes=len(own), seed=seed, forget=list(past), keep=["screens"])
    assert isinstance(played, Recording)
    returns = np.asarray(played.returns, float)
    states = states_of(Subject(played, network), most)
    low, high = difference_interval(own, returns, seed)
    return [
        measured_row("score", returns.mean(), interval(returns.tolist(), seed), len(returns)),
        measured_row("score_lost", own.mean() - returns.mean(), (low, high), len(returns)),
        *_compared(network, states, past, played.preprocessing.channels, seed),
    ]


def _information_rows(subject: Subject, seed: int) -> list[dict[str, Any]]:
    """Of all past frames."""
    seen, order = subject.observations(), _in_time(subject)
    moments = len(seen)
    shape = (moments, subject.recording.preprocessing.stack, -1, *seen.shape[2:])
    frames = seen.reshape(shape).float().mean(dim=2).numpy()[order]
    found = history_information(frames, subject.actions[order], subject.episodes[order], seed)
    facts = {"replaced": "all", "where": "recorded"}
    mixed = found.shuffled_low, found.shuffled_high
    rows = [
        measured_row("information", found.gain, (found.low, found.high), moments),
        measured_row("shuffled", found.shuffled, mixed, moments),
        measured_row("entropy", found.entropy, (np.nan, np.nan), moments),
    ]
    return [facts | row for row in rows]
