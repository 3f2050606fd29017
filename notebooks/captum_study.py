# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A study with Captum
#
# A network of the zoo has a module for every ReLU, so Captum's methods are right on it. `attribute` has
# them behind one function, with the targets and baselines of reinforcement learning, and refuses where a
# method would be silently wrong.

# %%
import captum.attr
import torch

import atari_zoo as zoo
from atari_zoo.viz import attribute

net = zoo.load("a2c/Seaquest/3")
play = zoo.rollout(net, steps=200, envs=1, keep=["screens", "frames", "outputs"])
seen = play.observations()[100:104] / 255
taken = torch.from_numpy(play.actions[100:104, 0])

# %% [markdown]
# Captum itself, and the same by `attribute`.

# %%
theirs = captum.attr.Saliency(net).attribute(seen.clone().requires_grad_(), target=taken)
ours = attribute(net, seen, "gradient", target=taken).values
float((theirs - ours.abs()).abs().max())

# %%
captum.attr.LayerGradCam(net, net.layers["conv3"]).attribute(seen, target=taken).shape

# %% [markdown]
# What the policy's output hangs on, and what the critic's value hangs on, need not be the same.

# %%
attribute(net, seen, "integrated_gradients", target="decision", steps=256)

# %%
attribute(net, seen, "integrated_gradients", target="value", steps=256)

# %% [markdown]
# Which method is faithful to this agent? Areas under insertion and deletion, the cascade of randomized
# layers, sensitivity to small noise; the table says where a method is refused.

# %%
from atari_zoo.viz.fidelity.table import fidelity_table

fidelity_table(net, seen[:1], ["gradient", "integrated_gradients"])
