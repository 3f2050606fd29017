"""Maps of saliency for an explorer: what each decision depended on, by several methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from atari_zoo.agent_states import as_it_was
from atari_zoo.converters.network.stateful import state_size
from atari_zoo.viz.attribution.attribution import attribution_of
from atari_zoo.viz.attribution.cases import target_for
from atari_zoo.viz.attribution.registry import UNIT, AttributionMethod, method_named
from atari_zoo.viz.attribution.targets import DECISION, target_words
from atari_zoo.viz.explorer.scripts import script_array, write_script
from atari_zoo.viz.explorer.settings import OPTIONS, ExplorerSettings, ShownAgent, chunks

CELL = 2  # pixels along a side that are one number of a map
STEPS = 15  # from nothing to the full colour
FULL = 99.8  # percentile of the whole play's values that gets the full colour


def write_maps(
    folder: Path,
    agent: ShownAgent,
    name: str,
    number: int,
    settings: ExplorerSettings,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Writes one method's maps, in 16 steps of one scale for all of the play; returns what the page
    says of them.

    number: of the method, for its files' names.
    progress: called with the steps explained and those there are.
    Raises ValueError if the method would be wrong on this network.
    """
    method = method_named(name)
    each = _every(agent, method, settings)
    options = OPTIONS.get(name, {})
    found, gaps = [], []
    wanted = range(0, agent.steps, each)
    for span in chunks(agent.steps):
        steps = [step for step in wanted if span.start <= step < span.stop]
        maps, gap = _explained(agent, steps, name, options, settings.seed)
        found.append(maps)
        gaps += gap
        progress(steps[-1] + 1 if steps else span.stop, agent.steps)
    every = np.concatenate(found)
    full = float(np.percentile(every, FULL)) or float(every.max()) or 1.0
    for part, maps in enumerate(found):
        stored = np.rint(np.clip(maps / full, 0, 1) * STEPS).astype(np.uint8)
        write_script(folder, f"{agent.folder}/map{number}_{part}", script_array(stored))
    return {
        "name": name,
        "summary": method.summary,
        "source": method.source,
        "explains": _words(agent, method),
        "unit": method.unit or UNIT,
        "every": each,
        "full": full,
        "shape": list(every.shape[1:]),
        "note": _note(options, gaps),
    }


def _every(agent: ShownAgent, method: AttributionMethod, settings: ExplorerSettings) -> int:
    """One of so many steps is explained: all, by one or a few gradients."""
    slow = not method.gradients or state_size(agent.network)
    return settings.every if slow else 1


def _explained(
    agent: ShownAgent, steps: list[int], name: str, options: Mapping[str, Any], seed: int
) -> tuple[Float[np.ndarray, "steps rows columns"], list[float]]:
    """Absolute values, summed over the frames; and how far sums miss what they should be."""
    parts, gaps = [], []
    several = [[step] for step in steps] if state_size(agent.network) else [steps]
    for some in several:
        if not some:
            continue
        seen = agent.observations(slice(some[0], some[-1] + 1))
        seen = seen[[step - some[0] for step in some]]
        asked = as_it_was(agent.network, agent.recording, some[0], agent.env)
        given = seen.float() / 255 if not seen.is_floating_point() else seen
        found = attribution_of(asked, given, name, DECISION, seed=seed, **options)
        parts.append(coarse_maps(found.values.abs().sum(dim=1).cpu().numpy()))
        gaps += [] if found.delta is None else found.delta.abs().tolist()
    if not parts:
        height, width = agent.recording.preprocessing.side
        return coarse_maps(np.zeros((0, height, width), np.float32)), gaps
    return np.concatenate(parts), gaps


def coarse_maps(
    maps: Float[np.ndarray, "steps rows columns"],
) -> Float[np.ndarray, "steps fewer_rows fewer_columns"]:
    """The mean of each cell of 2 x 2 pixels; as they are, where these do not fill the map."""
    count, rows, columns = maps.shape
    if rows % CELL or columns % CELL:
        return maps
    cells = maps.reshape(count, rows // CELL, CELL, columns // CELL, CELL)
    return cells.mean(axis=(2, 4)).astype(np.float32)


def _words(agent: ShownAgent, method: AttributionMethod) -> str:
    if not method.target:
        return "all outputs"
    return target_words(agent.network, target_for(agent.network, method, DECISION))


def _note(options: Mapping[str, Any], gaps: list[float]) -> str:
    words = ", ".join(f"{name} {value}" for name, value in options.items())
    if not gaps:
        return words
    gap = (
        f"sums miss what they should be by {np.median(gaps):.2g} (median), at most {max(gaps):.2g}"
    )
    return "; ".join(filter(None, [words, gap]))
