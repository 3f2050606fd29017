"""An atlas of one agent: every unit of every layer on one page.

After the atlases of feature visualizations (Carter et al., 2019, https://distill.pub/2019/
activation-atlas) and the unit pages of OpenAI Microscope: for each unit an image that drives it,
what it answered to in real play, and how often it answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from atari_zoo.analysis.first_convolutions import first_convolution
from atari_zoo.analysis.peaks import recorded_peaks, unit_count
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.files import written_whole
from atari_zoo.converters.network.foreign import Network, observation_shape
from atari_zoo.converters.network.receptive_fields import layer_fields
from atari_zoo.players import check_play, is_own_play
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.attribution.scores import OUTPUT
from atari_zoo.viz.attribution.target_registry import action_names
from atari_zoo.viz.attribution.targets import rates_actions
from atari_zoo.viz.images import diverging
from atari_zoo.viz.pages.atlas_links import Linked
from atari_zoo.viz.pages.atlas_page import atlas_page
from atari_zoo.viz.pages.atlas_rows import (
    MARGIN,
    LayerData,
    ShownMoments,
    add_reached,
    answers,
    layer_row,
    numbered,
    read_from,
    short,
    shown_moments,
)
from atari_zoo.viz.pages.templates import check_page
from atari_zoo.viz.patches.moments import Selection
from atari_zoo.viz.sheets import Sheets, packed

SIDE = 84  # of the screens that the page draws
MOST_UNITS = 4096  # of a layer that is shown unasked: IQN's dense layer has 32 times its units
GREY_STEPS = 31  # steps from black to white in synthesized images
Images = Mapping[str, Float[Tensor, "_ frames height width"]]


@checked
def atlas(
    network: Network,
    recording: Recording,
    path: str | Path,
    images: Images | None = None,
    layers: Sequence[str] | None = None,
    selection: Selection = Selection(),  # noqa: B008  # it is frozen
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Writes one HTML page of all units: no server, and nothing is fetched from elsewhere.

    recording: with keep=["screens"], and "frames" for the colour screens; of the network's game.
        If another agent played it, the page says so.
    images: synthesized ones by layer, in 0..1, one for each unit in their order, such as those of
        `atlas_images`; layers that are not there are shown without. Of a convolution's, what the
        place in the middle of the map sees is shown; of the first convolution always its weights.
    layers: all if not given, but for those of more than 4096 units; of Q-networks "margin" in
        place of "output": how far each action's value exceeds the best other. What they share, the
        state's value, would have all actions answer to the same moments.
    selection: how many top patches, and as many bottom ones, of each unit, and how far apart.
    progress: called with the observations done and those there are, of all layers together.
    Raises ValueError if the network diverged, a layer is not there or it is not known what it sees,
    images do not fit, or the recording has no steps or no screens, or is of another game or other
    actions.
    """
    shape = observation_shape(network)
    if shape[1:] != (SIDE, SIDE):
        raise ValueError(
            f"an atlas is drawn of observations of {SIDE}x{SIDE}; this network sees "
            f"{shape[1]}x{shape[2]}"
        )
    names = list(layers) if layers else atlas_layers(network)
    for name in names:
        layer_fields(network, read_from(name))  # refuses before all the work
    check_play(network, recording)
    check_page(path)
    images = images or {}
    _check_images(network, images)
    weights = _first_weights(network, names)
    shown = shown_moments(recording, selection)
    made = {name: some for name, some in images.items() if name not in weights}
    rows, kinds = _rows(network, recording, names, shown, made, progress)
    moments = numbered(rows)
    pictures = _of_moments(recording, moments)
    for index, name in enumerate(names):
        if name in weights:
            pictures[f"image{index}"] = _kernels(weights[name])
            rows[index]["weights"] = True
        elif name in images:
            pictures[f"image{index}"] = _synthesized(network, name, images[name])
        if f"image{index}" in pictures:
            rows[index]["image"] = f"image{index}"
    steps, envs = recording.starts.shape
    data = {
        "name": network.card.name,
        "game": recording.game,
        "player": "" if is_own_play(network, recording) else recording.card.name,
        "steps": steps,
        "envs": envs,
        "frames": recording.preprocessing.stack,
        "settled": int(shown.settled.sum()),
        "things": kinds,
        "moments": [_moment(recording, moment) for moment in moments],
        "layers": rows,
    }
    with written_whole(path) as beside:
        beside.write_text(atlas_page(data, pictures), encoding="utf-8")


def atlas_layers(network: Network) -> list[str]:
    """The layers that an atlas shows unasked: those of no more than 4096 units; "margin" in place
    of a Q-network's output."""
    names = [name for name in network.layers if unit_count(network, name) <= MOST_UNITS]
    return [MARGIN if name == OUTPUT and rates_actions(network) else name for name in names]


def _first_weights(
    network: Network, names: Sequence[str]
) -> dict[str, Float[Tensor, "filters frames rows columns"]]:
    """Of the first convolution, where it is among the layers, its weights by its name."""
    first = first_convolution(network)
    return {} if first is None or first[0] not in names else {first[0]: first[1].weight}


def _rows(
    network: Network,
    recording: Recording,
    names: Sequence[str],
    shown: ShownMoments,
    images: Images,
    progress: Callable[[int, int], None],
) -> tuple[list[LayerData], Mapping[str, int]]:
    """A row for each layer; and of how many things units may go with, by kind."""
    rows, answered = list[LayerData](), dict[str, Tensor]()
    total = recording.starts.size * len(names)
    for index, name in enumerate(names):

        def report(done: int, _: int, before: int = index * recording.starts.size) -> None:
            progress(before + done, total)

        raw = recorded_peaks(network, recording, read_from(name), progress=report)
        found = answers(name, raw)
        answered |= {read_from(name): raw.values, name: found.values}
        rows.append(layer_row(network, recording, name, found, shown))
        if name in images:
            add_reached(rows[-1], network, found, images[name])
    kept = np.flatnonzero(shown.settled)
    linked = Linked(recording, kept, answered.get(OUTPUT), action_names(network))
    for row in rows:
        for unit, links in zip(row["units"], linked.links(answered[row["name"]]), strict=True):
            if "action" in unit:  # it is an output itself
                links.pop("outputs", None)
            unit |= links
    return rows, linked.kinds


def _of_moments(recording: Recording, moments: Sequence[int]) -> dict[str, Sheets]:
    wide = SIDE * recording.preprocessing.stack
    pictures = {"screen": packed(_screens(recording, moments), SIDE, wide)}
    if recording.frames is not None:
        height, width = recording.frames.shape[2:4]
        pictures["frame"] = packed(_frames(recording, moments), height, width)
    return pictures


def _check_images(network: Network, images: Images) -> None:
    for layer, some in images.items():
        count = unit_count(network, read_from(layer))
        if len(some) != count or some.shape[2:] != (SIDE, SIDE):
            raise ValueError(
                f"images of {layer} are {tuple(some.shape)}; expected ({count}, frames, 84, 84)"
            )


def _moment(recording: Recording, moment: int) -> list[float]:
    step, env = divmod(moment, recording.starts.shape[1])
    return [step, env, short(recording.scores[step, env])]


def _screens(
    recording: Recording, moments: Sequence[int]
) -> Iterator[UInt8[np.ndarray, "rows columns"]]:
    """The frames of each observation side by side, oldest first."""
    channels = recording.preprocessing.channels
    for moment in moments:
        step, env = divmod(moment, recording.starts.shape[1])
        seen = recording.observations(env, slice(step, step + 1))[0, channels - 1 :: channels]
        strip = torch.cat(list(seen), dim=1)
        yield (strip if strip.dtype == torch.uint8 else _grey(strip)).numpy()


def _frames(
    recording: Recording, moments: Sequence[int]
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    assert recording.frames is not None
    for moment in moments:
        yield recording.frames[divmod(moment, recording.starts.shape[1])]


def _synthesized(
    network: Network, layer: str, images: Float[Tensor, "units frames rows columns"]
) -> Sheets:
    """Each unit's frames side by side, oldest first; of a convolution, what the middle sees."""
    fields = layer_fields(network, read_from(layer))
    seen = fields.at(fields.size[0] // 2, fields.size[1] // 2).seen
    cut = images[:, :, *seen.slices].cpu()
    # fewer greys, which in such pictures nobody sees: the page is a third smaller
    cut = _grey((cut * GREY_STEPS).round() / GREY_STEPS)
    strips = (torch.cat(list(image), dim=1).numpy() for image in cut)
    return packed(strips, seen.height, seen.width * images.shape[1])


def _kernels(weights: Float[Tensor, "filters frames rows columns"]) -> Sheets:
    """Each filter's frames side by side, oldest first; one scale for the layer."""
    filters = weights.detach().float().cpu().numpy()
    coloured = diverging(filters, float(np.abs(filters).max()))
    strips = (np.concatenate(list(one), axis=1) for one in coloured)
    return packed(strips, filters.shape[2], filters.shape[1] * filters.shape[3])


def _grey(values: Tensor) -> Tensor:
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)
