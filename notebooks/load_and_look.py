# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Load an agent and look at it
#
# An agent of the package, as a torch module: play it in the real emulator, see what it saw, what its
# units compute, and what a decision hung on. Where the package is not installed yet: `%pip install atari-zoo`.

# %%
import atari_zoo as zoo

zoo.list_models(game="Seaquest")

# %%
net = zoo.load("apex/Seaquest/1")
net.card

# %% [markdown]
# `net` is a plain `torch.nn.Module` with named layers. Recorded play shows itself as a small movie.

# %%
play = zoo.rollout(net, steps=300, envs=1, keep=["screens", "frames", "ram", "outputs"])
play

# %%
seen = play.observations()  # (300, 4, 84, 84), bytes, oldest frame first
layers = zoo.activations(net, seen, ["conv3", "advantage_fc"])
{name: tuple(values.shape) for name, values in layers.items()}

# %% [markdown]
# The console's memory by name, step by step.

# %%
play.variables[["player_x", "player_y", "oxygen", "lives"]].describe()

# %% [markdown]
# What did unit 26 of the third convolution answer to most? Its receptive field is exact.

# %%
from atari_zoo.viz.patches import Selection, patches

patches(net, play, "conv3", [26], Selection(n=4))[0]

# %% [markdown]
# Which pixels raised the chosen action over the next best? `delta` is by how much the sum misses what
# integrated gradients promise.

# %%
from atari_zoo.viz import attribute

attribute(net, seen[120:122] / 255, "integrated_gradients", steps=256)

# %% [markdown]
# And what would a unit like to see?

# %%
from atari_zoo.viz.render import render
from atari_zoo.viz.render.ascent import Settings

render(net, "conv3:26@max", Settings(steps=64), observations=seen)
