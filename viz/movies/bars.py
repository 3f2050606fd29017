"""Bars of an agent's outputs: how far each action's lies from their mean, the one taken lit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from atari_zoo.viz.images import BAR, CHOSEN, FAINT, LINE, text
from atari_zoo.viz.movies.boards import SMALL
from atari_zoo.viz.movies.ranges import Range

LOGIT = "logit"  # what an output of a policy is that is sampled from
ROW = 18  # pixels of an action
NAME, NUMBER = 124, 58  # pixels of its name, and of its number behind the bar
SHARE = 46  # more, of its probability


class Bars:
    """A row for each action, on one scale: what all outputs share, as Q-values do the state's
    value, moves no bar.

    actions: their names. scale: the least and the most that an output lies from the mean of all.
    width: of names, bars and numbers together. sampled: whether outputs are the logits of a policy
        that is sampled from; each action's probability then stands behind its logit.
    """

    def __init__(
        self, actions: Sequence[str], scale: Range, width: int, sampled: bool = False
    ) -> None:
        self.actions, self.scale, self.width, self.sampled = actions, scale, width, sampled
        self.left = NAME + 8  # where bars begin and end
        self.right = width - NUMBER - SHARE * sampled
        self.height = len(actions) * ROW

    def draw(
        self,
        canvas: np.ndarray,
        left: int,
        top: int,
        output: Float[np.ndarray, "actions"],
        taken: int | None,
    ) -> None:
        """Draws them on a picture; each reaches from where an output equals the mean of all to
        where this one lies. taken: the number of the action that is lit."""
        part = canvas[top : top + self.height, left : left + self.width]
        image = Image.fromarray(np.ascontiguousarray(part))
        draw = ImageDraw.Draw(image)
        apart = np.append(output - output.mean(), 0.0)
        span = self.right - self.left
        powers = np.exp(output - output.max())
        shares = powers / powers.sum()
        *ends, mean = self.left + np.clip(self.scale.unit(apart), 0, 1) * span
        for index, end in enumerate(ends):
            above, below = index * ROW + 3, index * ROW + ROW - 4
            chosen = index == taken
            draw.rectangle((self.left, above, self.right, below), fill=LINE)
            bar = (min(mean, end), above, max(mean, end), below)
            draw.rectangle(bar, fill=CHOSEN if chosen else BAR)
            ink, middle = CHOSEN if chosen else FAINT, index * ROW + ROW / 2
            text(draw, (NAME, middle), self.actions[index], ink, SMALL, anchor="rm")
            number = self.width - SHARE * self.sampled
            text(draw, (number, middle), f"{output[index]:z.2f}", ink, SMALL, anchor="rm")
            if self.sampled:
                text(draw, (self.width, middle), f"{shares[index]:.0%}", ink, SMALL, anchor="rm")
        part[:] = np.asarray(image)
