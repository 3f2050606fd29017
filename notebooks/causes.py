# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Causes: silence units, change the world
#
# A unit that answers to the submarine is not thereby used to find it. Ask the agent itself: without the
# unit, and with other bytes in the console's memory.

# %%
import atari_zoo as zoo

net = zoo.load("apex/Seaquest/1")

# %% [markdown]
# Which units answer to where the submarine is?

# %%
from atari_zoo.analysis.units import unit_variables

units = unit_variables(
    ["apex/Seaquest/1"], layer=["conv3"], variable=["player_x", "player_y", "oxygen"]
)
units.table[["unit", "variable", "share", "untrained"]].head()

# %% [markdown]
# Silence the first, and as a control others of the same activity: how often does the best action change?
# (With `episodes=20` the score is played out as well.)

# %%
from atari_zoo.analysis.interventions import intervention_effects

intervention_effects(["apex/Seaquest/1"], units=["conv3:26"], controls=2, episodes=0, states=200)

# %% [markdown]
# The same in play, by hand: the network is what it was afterwards.

# %%
with zoo.ablated(net, "conv3:26"):
    without = zoo.rollout(net, steps=200, envs=2, seed=0)
intact = zoo.rollout(net, steps=200, envs=2, seed=0)
intact.scores[-1], without.scores[-1]

# %% [markdown]
# Little oxygen: the same moment, another byte. Bytes that the game writes over at once are refused.

# %%
play = zoo.rollout(net, steps=150, envs=1, keep=["screens", "frames", "ram", "outputs"])
low = zoo.counterfactual(play, 120, {102: 4})
outputs = zoo.activations(net, low, "output")["output"]
names = play.action_names
best = int(outputs[0].argmax())
before = int(play.outputs[120, 0].argmax())
f"before {names[before]}, with little oxygen {names[best]}"
