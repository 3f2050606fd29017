"""Standard play: 2,500 steps of a model, as the paper's cache had them, recorded once and kept."""

from __future__ import annotations

from pathlib import Path

from atari_zoo.catalog.catalog import UnknownModel, find
from atari_zoo.catalog.names import file_name
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.foreign import Network
from atari_zoo.downloads.cache import PLAY, root
from atari_zoo.models import as_network
from atari_zoo.play.keys import network_key, told_by_weights
from atari_zoo.play.plans import Plan
from atari_zoo.play.rollouts import rollout
from atari_zoo.progress import progress_bar
from atari_zoo.recordings.files import open_recording
from atari_zoo.recordings.original_published import KIND
from atari_zoo.recordings.recordings import Recording

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
    if not told_by_weights(network):
        return _play(network, steps, seed)
    name = f"{file_name(network.card.name)}-{network_key(network, FORM, steps, seed)}.zarr.zip"
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


def _is_published(name: str) -> bool:
    try:
        return KIND in find(name).extras
    except UnknownModel:
        return False
