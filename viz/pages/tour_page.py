"""A tour as one HTML page that needs no server and no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from atari_zoo.analysis.first_convolutions import frame_names
from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.cards import ModelCard
from atari_zoo.games import Game, score_source
from atari_zoo.viz.movies.shown_layers import ShownLayers
from atari_zoo.viz.pages.templates import filled

RULES = {
    "sample": "logits; their softmax gives the probabilities that the action is drawn from.",
    "argmax": "the action with the largest is taken.",
    "epsilon-greedy": "the action with the largest is taken, except for rare random ones.",
}
CHOICES = {
    "sample": "drawing one with the policy's probabilities",
    "argmax": "taking the one with the largest output",
    "epsilon-greedy": "taking the one with the largest output, but for a few at random",
}


@dataclass(frozen=True)
class Score:
    """Points of whole episodes.

    finished: episodes counted. unfinished: points so far of those that the play was too short
    for, which are not counted. steps: agent steps played in each environment.
    """

    finished: Float[np.ndarray, "episodes"]
    unfinished: Float[np.ndarray, "others"]
    steps: int

    @property
    def spread(self) -> float:
        """Standard deviation between episodes; nan for fewer than two."""
        return float(self.finished.std(ddof=1)) if len(self.finished) > 1 else float("nan")


@dataclass(frozen=True)
class DecisiveStep:
    """A moment at which the action taken stood out, and why.

    explains: what is shared out over the pixels, in words; total: the sum of all parts, and delta
    by how much it misses what it should be. output, mean: of that action, and of all.
    probability: of that action, where the outputs are a policy's logits.
    overlay: attributions on the screen. strip: on each frame.
    """

    step: int
    action: str
    explains: str
    total: float
    delta: float
    output: float
    mean: float
    probability: float | None
    frame: UInt8[np.ndarray, "height width 3"]
    overlay: UInt8[np.ndarray, "height width 3"]
    strip: UInt8[np.ndarray, "strip_height strip_width 3"]


@dataclass(frozen=True)
class Habit:
    """What an agent did in the movie: the action it chose most often, and at which share of steps;
    and where the action chosen lay highest above the mean of all, and by how much. chance: the
    share of an action in random play."""

    action: str
    share: float
    step: int
    chosen: str
    gap: float
    chance: float


@dataclass(frozen=True)
class TourFindings:
    """What a tour found of an agent.

    rates_actions: whether the outputs are values of actions, and no policy's.
    weights: of each layer that has some, how many. envs: games played for the score.
    steps, fps, movie: of the movie, an mp4 file. shown: its layers. first: the first convolution's
    name, and filters: its picture, and one for narrow windows; None where there is none.
    examples: by name, lines of Python that find the same.
    """

    card: ModelCard
    game: Game
    weights: Mapping[str, int]
    envs: int
    score: Score
    steps: int
    fps: float
    movie: bytes
    shown: ShownLayers
    habit: Habit
    first: str
    filters: UInt8[np.ndarray, "filters_height filters_width 3"] | None
    narrow_filters: UInt8[np.ndarray, "narrow_height narrow_width 3"] | None
    rates_actions: bool
    decisions: Sequence[DecisiveStep]
    examples: Mapping[str, str]


def tour_page(found: TourFindings) -> str:
    """The template `web/tour.html`, filled."""
    return filled(
        "tour.html",
        tour=found,
        facts=facts(found.card, found.weights),
        scores=scores(found.score, found.game),
        score_note=score_note(found.score),
        rule=RULES[found.card.action_rule],
        frame_names=frame_names(found.card.preprocessing.stack),
    )


def facts(card: ModelCard, layers: Mapping[str, int]) -> list[tuple[str, str]]:
    """Rows of what is known of a model; layers: name -> its weights."""
    rows = {
        "algorithm": ALGORITHMS[card.algorithm].title
        if card.algorithm in ALGORITHMS
        else card.algorithm,
        "game": card.game,
        "run": card.run + (f" @{card.tag}" if card.tag else ""),
        "trained for": f"{card.frames:,} emulator frames" if card.frames else "unknown",
        "chooses actions by": CHOICES[card.action_rule],
        "is shown": _preprocessing(card),
        "weights": ", ".join(f"{name} {count:,}" for name, count in layers.items()),
        "score measured earlier": _measured(card),
        "source": f"{card.source} {f'({card.format})' if card.format else ''}".strip() or "unknown",
        "licence": card.licence or "not stated",
        "sha256 of the source": card.sha256,
    }
    return [(name, value) for name, value in rows.items() if value]


def scores(score: Score, game: Game) -> list[tuple[str, str, str]]:
    """Rows of the agent's score beside those of random play and of a person: points, and as a
    part of the way from the one to the other."""
    counted = score.finished if len(score.finished) else score.unfinished
    agent = "this agent" if len(score.finished) else "this agent, so far"
    spread = "" if np.isnan(score.spread) else f" ± {score.spread:,.1f}"
    points = {agent: float(counted.mean()), "random play": game.random, "a person": game.human}
    return [
        (name, _number(value) + (spread if name == agent else ""), _normalized(game, value))
        for name, value in points.items()
    ]


def score_note(score: Score) -> str:
    """What the score counts and what it leaves out."""
    words = "Mean ± standard deviation between episodes; the last column puts random play at 0% "
    words += f"and a person at 100%. Random and human scores: {score_source()}"
    if len(score.unfinished):
        so_far = ", ".join(f"{points:,g}" for points in score.unfinished)
        words = (
            f"{len(score.unfinished)} of the games had not ended their first episode, with "
            f"{so_far} points so far{_consequence(score)}. {words}"
        )
    return words


def _consequence(score: Score) -> str:
    if not len(score.finished):
        return "; the score is the mean of these, and would have gone on changing"
    return "; they are not counted, and a mean over the others favours short episodes"


def _preprocessing(card: ModelCard) -> str:
    """What the agent is shown, in words; the name is that of the zoo's own table."""
    shown = card.preprocessing
    height, width = shown.side
    kind = "colour" if shown.channels == 3 else "grey"
    span = f"{shown.frame_skip_least} to " if shown.frame_skip_least else ""
    stack = f"the last {shown.stack} screens" if shown.stack > 1 else "the last screen"
    words = [
        f"{stack}, {kind}, {height} x {width} pixels",
        f"an action is held for {span}{shown.frame_skip} emulator frames",
    ]
    if shown.noops:
        words.append(f"an episode begins with up to {shown.noops} frames of doing nothing")
    if shown.fire_reset:
        words.append("FIRE is pressed where the game wants it to begin")
    if shown.sticky:
        words.append(f"the emulator repeats the action before with probability {shown.sticky:g}")
    return f"{'; '.join(words)} (preprocessing '{shown.name}')"


def _measured(card: ModelCard) -> str:
    """The score that is known of it, with its spread, and that of random play alike."""
    known = card.scores
    if not isinstance(known.get("mean"), int | float):
        return ""
    words = f"{known['mean']:,.1f}"
    if isinstance(known.get("std"), int | float):
        words += f" \N{PLUS-MINUS SIGN} {known['std']:,.1f}"
    if isinstance(known.get("episodes"), int | float):
        words += f" over {known['episodes']:,} episodes"
    if isinstance(known.get("random_mean"), int | float):
        words += f"; random play alike {known['random_mean']:,.1f}"
    return words


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.1f}"


def _normalized(game: Game, value: float | None) -> str:
    part = None if value is None else game.normalized(value)
    return "" if part is None else f"{part:z.0%}"
