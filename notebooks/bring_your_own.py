# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Bring your own agent
#
# A module in memory becomes an agent with `zoo.wrap`; a file of Stable-Baselines3, CleanRL, Dopamine,
# TensorFlow, Keras or ONNX with `zoo.load`. What a file does not tell is assumed aloud, on its card.

# %%
from pathlib import Path
from tempfile import mkdtemp

import torch
from torch import nn

import atari_zoo as zoo

folder = Path(mkdtemp())

# %% [markdown]
# Somebody's network, of any shape, that divides by 255 itself.


# %%
class Mine(nn.Module):
    def __init__(self, actions: int = 6) -> None:
        super().__init__()
        self.eyes = nn.Sequential(
            nn.Conv2d(4, 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU()
        )
        self.policy = nn.Linear(32 * 9 * 9, actions)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.policy(self.eyes(pixels / 255).flatten(1))


net = zoo.wrap(Mine(), "Pong", input_range="0..255", action_rule="sample")
list(net.layers)

# %%
zoo.rollout(net, steps=60, envs=1, keep=["frames", "screens", "outputs"])

# %% [markdown]
# The state dict of CleanRL's PPO agent, written as CleanRL writes it, is recognised by its content.

# %%
width = {"network.0": (32, 4, 8), "network.2": (64, 32, 4), "network.4": (64, 64, 3)}
state = {f"{name}.weight": torch.randn(o, i, k, k) / k / i for name, (o, i, k) in width.items()}
state |= {f"{name}.bias": torch.zeros(o) for name, (o, i, k) in width.items()}
for name, (outs, ins) in {"network.7": (512, 3136), "actor": (6, 512), "critic": (1, 512)}.items():
    state |= {
        f"{name}.weight": torch.randn(outs, ins) / ins**0.5,
        f"{name}.bias": torch.zeros(outs),
    }
torch.save(state, folder / "ppo.cleanrl_model")

# %%
from atari_zoo.converters import ModelCard, save_onnx, to_onnx

model = to_onnx(folder / "ppo.cleanrl_model", ModelCard("ppo", "Pong"))
save_onnx(model, folder / "ppo.onnx")
mine = zoo.load(folder / "ppo.onnx")
mine.card

# %% [markdown]
# Every analysis takes it, beside the zoo's agents.

# %%
from atari_zoo.analysis.filters import first_layer_filters

first_layer_filters([mine, "a2c/Pong/1", "dqn/Pong/1"])
