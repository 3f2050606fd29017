"""A tour as one HTML page that needs no server and no other file.

Whatever comes from a model's file is escaped here: a card is not trusted to hold no script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from importlib import resources
from string import Template

import numpy as np
from jaxtyping import Float, UInt8

from atari_zoo.converters.cards import ModelCard
from atari_zoo.games import Game, score_source
from atari_zoo.viz.filters import frame_names
from atari_zoo.viz.images import data_uri, png

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
class Decision:
    """A moment at which the action taken stood out, and why.

    overlay: attributions on the screen. strip: on each of the four frames.
    """

    step: int
    action: str
    output: float
    mean: float
    frame: UInt8[np.ndarray, "height width 3"]
    overlay: UInt8[np.ndarray, "height width 3"]
    strip: UInt8[np.ndarray, "strip_height strip_width 3"]


def page(fields: Mapping[str, str]) -> str:
    """The template `web/tour.html`, filled; each field is HTML."""
    template = resources.files("atari_zoo.viz.pages").joinpath("web/tour.html").read_text("utf-8")
    return Template(template).substitute(fields)


def code(lines: Sequence[str]) -> str:
    """Python lines, to be copied."""
    return f'<div class="code"><pre><code>{escape(chr(10).join(lines))}</code></pre></div>'


def facts(card: ModelCard, layers: Mapping[str, int]) -> str:
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
    return "".join(
        f"<tr><th>{name}</th><td>{escape(str(value))}</td></tr>"
        for name, value in rows.items()
        if value
    )


def scores(score: Score, game: Game) -> str:
    """Rows of the agent's score beside those of random play and of a person."""
    counted = score.finished if len(score.finished) else score.unfinished
    agent = "this agent" if len(score.finished) else "this agent, so far"
    mean = float(counted.mean())
    spread = "" if np.isnan(score.spread) else f" ± {score.spread:,.1f}"
    rows = ((agent, mean, spread), ("random play", game.random, ""))
    return "".join(
        f'<tr{first}><th>{name}</th><td class="number">{_number(value)}{more}</td>'
        f'<td class="number faint">{_normalized(game, value)}</td></tr>'
        for first, (name, value, more) in zip(
            (' class="first"', "", ""), (*rows, ("a person", game.human, "")), strict=True
        )
    )


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
    return escape(words)


def moment(decision: Decision, fps: int) -> str:
    """A figure of one decision."""
    pair = "".join(
        f'<img src="{data_uri(png(picture))}" alt="{alt} at step {decision.step}">'
        for picture, alt in ((decision.frame, "The screen"), (decision.overlay, "Attributions"))
    )
    strip = data_uri(png(decision.strip))
    names = "".join(f"<span>{name}</span>" for name in frame_names(4))
    return (
        f'<figure><div class="pair">{pair}</div>'
        f'<img src="{strip}" alt="Signed attributions on the four frames">'
        f'<div class="frames">{names}</div><figcaption>Step {decision.step}: '
        f"<b>{escape(decision.action)}</b>, output {decision.output:z.2f} where the mean of all "
        f'actions is {decision.mean:z.2f}. <button data-seconds="{decision.step / fps:.3f}">'
        "show in the movie</button></figcaption></figure>"
    )


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
    return "" if part is None else f"{part:.0%}"
