"""Counterparts of figures 4 and 5 of the paper (Such et al., 2019,
https://arxiv.org/abs/1812.07069), from the agents in the package.

    python docs/figures/synthesized.py [--original]

Figure 4 shows what output neurons in Seaquest want, figure 5 what the first three neurons of the
dense layer want. With --original the settings are the paper's: pixels, jitter of 3, Adam at .05,
512 steps, and no regularization.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import atari_zoo as zoo
from atari_zoo.analysis.controls import untrained
from atari_zoo.viz.render.ascent import ORIGINAL, Settings
from atari_zoo.viz.render.pictures import save_rendered
from atari_zoo.viz.render.rendering import render
from atari_zoo.viz.render.results import Rendered, together

HERE = Path(__file__).parent
SEAQUEST = ("a2c", "apex", "dqn", "es", "ga", "impala", "rainbow")
# the paper's figure 5 is of Freeway, for which the package has no agents
DENSE = ("dqn/Seaquest/1", "rainbow/Seaquest/1", "apex/Seaquest/1", "es/Seaquest/1", "a2c/Pong/1")
# of the distribution that Rainbow's network gives, the paper shows the lowest atom's logit
OBJECTIVES = {"rainbow": "atoms:0,0"}
# a dueling network's fc is the value's alone
ACTING = {"apex/Seaquest/1": "advantage_fc"}
CONTROL = "dqn/Seaquest/1"
PLAY = 500  # steps, for the percentiles


def synthesized(model: str, objective: str, settings: Settings) -> Rendered:
    """What an agent's neurons want, each image named after the agent too."""
    network = zoo.load(model)
    seen = zoo.rollout(network, steps=PLAY, envs=1, keep=["screens"]).observations()
    rendered = render(network, objective, settings, observations=seen)
    return replace(rendered, names=tuple(f"{model}  {name}" for name in rendered.names))


def before_training(objective: str, settings: Settings) -> Rendered:
    """The same of a network that learnt nothing."""
    rendered = render(untrained(zoo.load(CONTROL)), objective, settings)
    return replace(rendered, names=tuple(f"dqn/Seaquest  {name}" for name in rendered.names))


def main() -> None:
    """Writes both pictures beside this file."""
    original = "--original" in sys.argv
    settings, end = (ORIGINAL, "_original") if original else (Settings(), "")
    outputs = [
        synthesized(f"{a}/Seaquest/1", OBJECTIVES.get(a, "output:0"), settings) for a in SEAQUEST
    ]
    dense = [synthesized(model, f"{ACTING.get(model, 'fc')}:0..2", settings) for model in DENSE]
    pictures = (("outputs", outputs, 2, "output:0"), ("dense", dense, 3, "fc:0..2"))
    for name, images, columns, objective in pictures:
        save_rendered(
            together(images),
            HERE / f"synthesized_{name}{end}.png",
            columns=columns,
            factor=1,
            control=before_training(objective, settings),
        )


if __name__ == "__main__":
    main()
