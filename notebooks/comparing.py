# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Comparing algorithms
#
# The questions of the Atari Zoo's paper on the agents of the package, each beside its control. The agents
# are small ones, trained for minutes to hours, mostly one run each: docs/findings.md has what can be said.

# %%
from atari_zoo.analysis.filters import first_layer_filters

# %% [markdown]
# Do gradient methods prefer the present frame, and evolution not? (The paper's figure 3.)

# %%
first_layer_filters("*/Seaquest/*")

# %% [markdown]
# Which layers are alike? Debiased CKA on shared states; below the diagonal the same of untrained networks.

# %%
from atari_zoo.analysis.similarity import compare_layers

compare_layers(
    ["apex/Seaquest/1", "dqn/Seaquest/1", "es/Seaquest/1"], layer=["conv3", "fc"], states=200
)

# %% [markdown]
# How much of each network is in use?

# %%
from atari_zoo.analysis.health import network_health

network_health(["a2c/Seaquest/1", "a2c/Seaquest/3"])

# %% [markdown]
# Where in the game is each? One map of the console's memory (the paper's figure 4).

# %%
from atari_zoo.analysis.embeddings import embed

embed(["apex/Seaquest/1", "dqn/Seaquest/1", "es/Seaquest/1"], every=4, iterations=500, seeds=1)
