"""Files of one agent in an explorer: screens, decisions, layers, maps of saliency, units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.viz.explorer.correlates import unit_words
from atari_zoo.viz.explorer.decisions import decisions
from atari_zoo.viz.explorer.dictionary import write_units
from atari_zoo.viz.explorer.effects import effect_words
from atari_zoo.viz.explorer.layers import write_layer
from atari_zoo.viz.explorer.maps import write_maps
from atari_zoo.viz.explorer.screens import write_frames, write_observations
from atari_zoo.viz.explorer.scripts import write_script
from atari_zoo.viz.explorer.settings import ExplorerSettings, ShownAgent
from atari_zoo.viz.pages.atlas_images import atlas_images
from atari_zoo.viz.plots import ALGORITHM_COLOURS, OTHERS

PartsDone = Callable[[int, int, str], None]
ABLATED = "What units tell of is measured of the intact agent alone."


class WorkParts:
    """Counts the parts of the work for whoever watches."""

    def __init__(self, progress: PartsDone, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def next(self, text: str) -> None:
        """Tells what is done now."""
        self.progress(self.done, self.total, text)
        self.done += 1


def write_agent(
    folder: Path,
    agent: ShownAgent,
    layers: Sequence[str],
    settings: ExplorerSettings,
    steps: WorkParts,
) -> dict[str, Any]:
    """Writes the files of one agent; returns its row in the index."""
    facts: dict[str, Any] = decisions(agent, settings.seed)
    steps.next(f"{agent.name}: screens")
    if agent.screens == agent.folder:
        facts["frames"] = write_frames(folder, agent)
        facts["seen"] = write_observations(folder, agent)
    facts["layers"] = []
    for number, layer in enumerate(layers):
        steps.next(f"{agent.name}: {layer}")
        facts["layers"].append(write_layer(folder, agent, layer, number))
    facts["methods"] = []
    for number, name in enumerate(settings.methods):
        steps.next(f"{agent.name}: {name}")
        facts["methods"].append(write_maps(folder, agent, name, number, settings))
    facts["units"] = _write_dictionary(folder, agent, layers, settings, steps)
    write_script(folder, f"{agent.folder}/facts", facts)
    card = agent.card
    known = ALGORITHMS.get(card.algorithm)
    other = OTHERS[sum(card.algorithm.encode()) % len(OTHERS)]
    return {
        "name": agent.name,
        "short": agent.short,
        "algorithm": card.algorithm,
        "title": known.title if known else card.algorithm,
        "colour": ALGORITHM_COLOURS.get(card.algorithm, other),
        "run": card.run,
        "folder": agent.folder,
        "screens": agent.screens,
        "steps": agent.steps,
        "env": agent.env,
        "ablated": agent.ablated,
    }


def _write_dictionary(
    folder: Path,
    agent: ShownAgent,
    layers: Sequence[str],
    settings: ExplorerSettings,
    steps: WorkParts,
) -> str:
    """Writes the units of each layer; returns what is to be said of all; "" if there are none."""
    if not settings.units:
        return ""
    images: dict[str, Any] = {}
    if settings.images:
        steps.next(f"{agent.name}: images of units")
        images = atlas_images(agent.network, layers, settings.images, settings.seed)
    steps.next(f"{agent.name}: what units tell of")
    words: dict[str, dict[int, list[str]]] = {}
    said = ABLATED
    counts = [len(agent.values(layer)[0]) for layer in layers]
    if not agent.ablated:
        words, said = unit_words(agent.subject, layers, counts, settings.seed)
    for number, layer in enumerate(layers):
        effects: list[str] = []
        if not agent.ablated:
            steps.next(f"{agent.name}: {layer} without each unit")
            effects = effect_words(agent, layer, counts[number])
        write_units(folder, agent, layer, number, words.get(layer, {}), effects, images.get(layer))
    return said
