# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Making new inputs
#
# What would drive a unit most? Three ways to ask: what of real play does, an image made for it, and a
# moment of play that is changed a little. Each beside a control.

# %%
import atari_zoo as zoo
from atari_zoo.viz.parameterizations import parameterization_named
from atari_zoo.viz.patches import Selection, patches
from atari_zoo.viz.render.ascent import Settings
from atari_zoo.viz.render.rendering import render

net = zoo.load("apex/Seaquest/1")
play = zoo.rollout(net, steps=300, envs=1, keep=["screens", "frames", "ram", "outputs"])

# %% [markdown]
# What it saw when it answered most: real moments.

# %%
patches(net, play, "conv3", [26], Selection(n=4))[0]

# %% [markdown]
# An image made for it, by gradient ascent from noise, in two ways of writing an image: by its waves
# (`fourier`), and with the waves' strengths kept as they are in real frames (`maco`). The percentile says
# how many of real moments the image exceeds.

# %%
seen = play.observations()
by_waves = Settings(steps=48, parameterization=parameterization_named("fourier"))
free = render(net, "conv3:26", by_waves, observations=seen)
free

# %%
of_play = parameterization_named("maco", seen)
render(net, "conv3:26", Settings(steps=48, parameterization=of_play), observations=seen)

# %% [markdown]
# The control: the same for the network before it was trained. An image that looks like this one says
# nothing of what was learnt.

# %%
before = zoo.load("apex/Seaquest/1@initial")
render(before, "conv3:26", by_waves, observations=seen)

# %% [markdown]
# What a network makes of an image that was made for another: does what drives one drive the other?

# %%
values = {
    agent: float(zoo.activations(zoo.load(agent), free.bytes, "conv3")["conv3"][:, 26].mean())
    for agent in ("apex/Seaquest/1", "rainbow/Seaquest/1", "apex/Seaquest/1@initial")
}
values

# %% [markdown]
# A real moment, changed: the screen is drawn again by the emulator with another byte of memory. More in
# the notebook on causes.

# %%
(byte,) = [v.address for v in zoo.variables("Seaquest") if v.name == "player_x"]
moved = zoo.counterfactual(play, 120, {byte: 100})
there = zoo.activations(net, moved, "conv3")["conv3"][:, 26].max()
here = zoo.activations(net, seen[120:121], "conv3")["conv3"][:, 26].max()
float(here), float(there)
