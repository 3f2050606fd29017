"""Counterparts of figures 4 and 5 of the paper (Such et al., 2019,
https://arxiv.org/abs/1812.07069), from the agents in the package.

    python docs/figures/synthesized.py

Figure 4 shows what output neurons in Seaquest want, figure 5 what the first three neurons of the
dense layer want. The settings are the original's: pixels, jitter of 3, Adam at .05, 512 steps, and
no regularization.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import atari_zoo as zoo
from atari_zoo.viz.render.ascent import Settings
from atari_zoo.viz.render.pictures import save_rendered
from atari_zoo.viz.render.rendering import render
from atari_zoo.viz.render.results import Rendered, together

HERE = Path(__file__).parent
SEAQUEST = ("a2c", "apex", "dqn", "es", "ga", "impala", "rainbow")
# the paper's figure 5 is of Freeway, for which the package has no agents
DENSE = ("dqn/Seaquest/1", "rainbow/Seaquest/1", "apex/Seaquest/1", "es/Seaquest/1", "a2c/Pong/1")
# of the distribution that Rainbow's network gives, the paper shows the lowest atom's logit
OBJECTIVES = {"rainbow": "atoms:0,0"}
PLAY = 500  # steps, for the percentiles


def synthesized(model: str, objective: str) -> Rendered:
    """What an agent's neurons want, each image named after the agent too."""
    network = zoo.load(model)
    seen = zoo.rollout(network, steps=PLAY, envs=1, keep=["screens"]).observations()
    rendered = render(network, objective, Settings(), observations=seen)
    return replace(rendered, names=tuple(f"{model}  {name}" for name in rendered.names))


def main() -> None:
    """Writes both pictures beside this file."""
    outputs = [synthesized(f"{a}/Seaquest/1", OBJECTIVES.get(a, "output:0")) for a in SEAQUEST]
    save_rendered(together(outputs), HERE / "synthesized_outputs.png", columns=2, factor=1)
    dense = [synthesized(model, "fc:0..2") for model in DENSE]
    save_rendered(together(dense), HERE / "synthesized_dense.png", columns=3, factor=1)


if __name__ == "__main__":
    main()
