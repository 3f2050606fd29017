"""A tour as one HTML page that needs no server and no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, UInt8

from atari_zoo.analysis.first_convolutions import frame_names
from atari_zoo.converters.cards import ModelCard
from atari_zoo.games import Game, score_source
from atari_zoo.viz.movies.shown_layers import ShownLayers
from atari_zoo.viz.pages.templates import filled

RULES = {
    "sample": "logits; their softmax gives the probabilities that the action is drawn from.",
    "argmax": "the action with the largest is taken.",
    "epsilon-greedy": "the action with the largest is taken, except for rare random ones.",
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
    overlay: attributions on the screen. strip: on each frame.
    """

    step: int
    action: str
    explains: str
    total: float
    delta: float
    output: float
    mean: float
    frame: UInt8[np.ndarray, "height width 3"]
    overlay: UInt8[np.ndarray, "height width 3"]
    strip: UInt8[np.ndarray, "strip_height strip_width 3"]


@dataclass(frozen=True)
class TourFindings:
    """What a tour found of an agent.

    rates_actions: whether the outputs are values of actions, and no policy's.
    weights: of each layer that has some, how many. envs: games played for the score.
    steps, fps, movie: of the movie, an mp4 file. shown: its layers. first: the first convolution's
    name, and filters: its picture; None where there is none.
    examples: by name, lines of Python that find the same.
    """

    card: ModelCard
    game: Game
    weights: Mapping[str, int]
    envs: int
    score: Score
    steps: int
    fps: int
    movie: bytes
    shown: ShownLayers
    first: str
    filters: UInt8[np.ndarray, "filters_height filters_width 3"] | None
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
        "algorithm": card.algorithm,
        "game": card.game,
        "run": card.run + (f" @{card.tag}" if card.tag else ""),
        "trained for": f"{card.frames:,} emulator frames" if card.frames else "unknown",
        "chooses actions by": card.action_rule,
        "preprocessing": _preprocessing(card),
        "weights": ", ".join(f"{name} {count:,}" for name, count in layers.items()),
        "measured earlier": _measured(card),
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
    known = asdict(card.preprocessing)
    return f"{known.pop('name')}: " + ", ".join(f"{key} {value}" for key, value in known.items())


def _measured(card: ModelCard) -> str:
    """The numbers among a card's scores; what is a list there is too long for a table."""
    numbers = {k: v for k, v in card.scores.items() if isinstance(v, int | float)}
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(numbers.items()))


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.1f}"


def _normalized(game: Game, value: float | None) -> str:
    part = None if value is None else game.normalized(value)
    return "" if part is None else f"{part:z.0%}"
