"""Standard play: 2,500 steps of a model, as the paper's cache had them, recorded once and kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from atari_zoo.catalog.catalog import UnknownModel, find
from atari_zoo.catalog.names import file_name
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.foreign import Network
from atari_zoo.downloads.cache import PLAY, root
from atari_zoo.models import as_network
from atari_zoo.play.plans import Plan
from atari_zoo.play.rollouts import rollout
from atari_zoo.progress import progress_bar
from atari_zoo.recordings.files import open_recording
from atari_zoo.recordings.original_published import KIND
from atari_zoo.recordings.recordings import Recording
from atari_zoo.wrapping import WrappedNetwork

STEPS = 2500
KEPT = ("screens", "frames", "ram", "outputs")
FORM = "1"  # changes with what is recorded


@checked
def standard_play(
    model: Network | str | Path, steps: int | None = None, seed: int = 0
) -> Recording:
    """The play of a model that analyses and pictures are made from.

    What was published beside the model, if anything was; else 2,500 steps, or as many as `steps`
    says, in one environment, recorded now with screens, frames, RAM, outputs and the dense layer,
    and kept in the cache: the second time it is opened at once. The same weights and card give the
    same play. Play of a module that `wrap` took, or of one with hooks, is not kept: its weights do
    not tell what it does.

    model: a network, or a name or path as `load` takes them.
    Raises ValueError if it cannot be played, and as `load` does.

    >>> zoo.standard_play("apex/Seaquest/1").steps
    2500
    """
    if isinstance(model, str) and steps is None and seed == 0 and _is_published(model):
        return open_recording(model)
    steps = STEPS if steps is None else steps
    network = as_network(model)
    if not _told_by_weights(network):
        return _play(network, steps, seed)
    name = f"{file_name(network.card.name)}-{_key(network, steps, seed)}.zarr.zip"
    place = root() / PLAY / name
    try:
        if place.exists():
            return open_recording(place)
    except ConversionError:  # damaged: it is made again
        place.unlink()
    played = _play(network, steps, seed)
    place.parent.mkdir(parents=True, exist_ok=True)
    played.save(place)
    return open_recording(place)


def _play(network: Network, steps: int, seed: int) -> Recording:
    layers = ["fc"] if "fc" in network.layers else []
    with progress_bar(f"playing {network.card.name}", "steps") as update:
        plan = Plan(steps=steps, envs=1, seed=seed, keep=KEPT, layers=layers, progress=update)
        played = rollout(network, plan)
    assert isinstance(played, Recording)
    return played


def _told_by_weights(network: Network) -> bool:
    """Not of somebody's own module, whose code may change, nor where hooks change what it does."""
    hooks = (m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    return not isinstance(network, WrappedNetwork) and not any(hooks)


def _key(network: Network, steps: int, seed: int) -> str:
    """Differs where the play would: by weights, card, length and seed."""
    parts = (FORM, steps, seed, network.card.to_json(), network)  # a module tells what it is of
    found = hashlib.sha256(" ".join(map(str, parts)).encode(errors="surrogatepass"))
    for name, value in network.state_dict().items():
        found.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        found.update(
            value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        )
    return found.hexdigest()[:16]


def _is_published(name: str) -> bool:
    try:
        return KIND in find(name).extras
    except UnknownModel:
        return False
