"""First-layer filters: how they lean on the past, and how Gabor-like and symmetric they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas
from jaxtyping import Float

from atari_zoo.analysis.controls import untrained_or_none
from atari_zoo.analysis.filter_rows import ALL, RESAMPLES, filter_rows
from atari_zoo.analysis.filter_values import (
    FEWEST,
    SHAPES,
    FilterValues,
    filter_values,
    shuffled_pixels,
)
from atari_zoo.analysis.first_convolutions import first_convolution, frame_names
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.results import Result
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.converters.network.foreign import Network
from atari_zoo.intervals import CONFIDENCE, interval

RANDOM = 2  # untrained networks whose filters are the control


@checked
@analysis("filters", source="https://arxiv.org/abs/1812.07069")
def first_layer_filters(
    agents: Sequence[Network],
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """How first-layer filters weigh the frames, and how Gabor-like and symmetric they are.

    seed: of the random filters, those of two untrained networks, and of the resampling.
    The table has a row for each agent, measure and frame: agent, algorithm, game, measure, frame
    ("T-3" ... "Now", or "all"), value, low, high, random, excess (value - random), excess_low,
    excess_high, shuffled (of shapes: the same weights, each filter's in another order, which leaves
    loud ones loud), n, of ("filters", or "runs": the mean over an algorithm's runs of a game, where
    there are several). Measures: "relative_square" and "relative_magnitude", the mean square and
    mean magnitude of the weights over the present frame's; "past_to_present", the mean magnitude of
    the past frames over the present one's; "gabor_r2", the share of a filter's variance in a frame
    that the nearest Gabor function explains, 0..1; "left_right", "up_down" and "point", the
    correlation of a filter with its mirror image, -1..1. The arrays have each filter's: a row for a
    filter, a column for a frame, named measure_place by the agents' places.
    Raises ValueError if no convolution takes the frames of one, or it diverged.
    """
    weights = [_first_weights(network) for network in agents]
    rows: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    controls: dict[bytes, FilterValues | None] = {}
    for place, network in enumerate(agents):
        own, drawn = filter_values(weights[place]), _random_weights(network, seed)
        key = drawn.tobytes() if drawn is not None else b""
        if key not in controls:  # runs of one algorithm have the same
            controls[key] = filter_values(drawn) if drawn is not None else None
        mixed = filter_values(shuffled_pixels(weights[place], seed))
        frames = [*frame_names(own.squares.shape[1]), ALL]
        found = filter_rows(own, controls[key], mixed, frames, seed)
        rows += [_agent(network) | row for row in found]
        arrays |= {f"{name}_{place}": values for name, values in own.by_filter().items()}
        progress(place + 1, len(agents))
    table = pandas.DataFrame(rows)
    several = pandas.DataFrame(_of_runs(table, seed), columns=table.columns)
    whole = pandas.concat([table, several], ignore_index=True) if len(several) else table
    return Result(whole, _uncertainty(agents, table), arrays)


def _first_weights(network: Network) -> Float[np.ndarray, "filters frames height width"]:
    check_finite(network)
    found = first_convolution(network)
    if found is None:
        raise ValueError(
            f"{network.card.name}: no convolution takes the frames; its layers are "
            f"{', '.join(network.layers)}"
        )
    return found[1].weight.detach().double().cpu().numpy()


def _random_weights(network: Network, seed: int) -> np.ndarray | None:
    """The filters of untrained networks; None where there can be none."""
    begun = [untrained_or_none(network, seed + i) for i in range(RANDOM)]
    weights = [_first_weights(other) for other in begun if other is not None]
    return np.concatenate(weights) if weights else None


def _agent(network: Network) -> dict[str, str]:
    card = network.card
    return {"agent": card.name, "algorithm": card.algorithm, "game": card.game}


def _of_runs(table: pandas.DataFrame, seed: int) -> list[dict[str, Any]]:
    """Rows of the means over the runs of an algorithm, of which there are several of a game."""
    found = []
    # a checkpoint is no other run than its last one
    runs = table.assign(run=table["agent"].str.partition("@")[0])
    latest = runs.drop_duplicates(["run", "measure", "frame"], keep="last")
    for keys, those in latest.groupby(["algorithm", "game", "measure", "frame"], sort=False):
        if len(those) < 2:
            continue
        facts = dict(zip(("algorithm", "game", "measure", "frame"), keys, strict=True))
        low, high = interval(those["value"].tolist(), seed)
        excess_low, excess_high = interval(those["excess"].tolist(), seed)
        found.append(
            {"agent": f"{facts['algorithm']}/{facts['game']}/*", **facts}
            | {"value": those["value"].mean(), "low": low, "high": high}
            | {"random": those["random"].mean(), "excess": those["excess"].mean()}
            | {"excess_low": excess_low, "excess_high": excess_high}
            | {"shuffled": those["shuffled"].mean()}
            | {"n": len(those), "of": "runs"}
        )
    return found


def _uncertainty(agents: Sequence[Network], table: pandas.DataFrame) -> str:
    words = [
        f"low, high: {CONFIDENCE:.0%} bootstrap over an agent's filters, {RESAMPLES} times",
        "of rows of runs over these, of two or three their lowest and highest",
        f"random: filters of {RANDOM} untrained networks of the same architecture",
        "shuffled: each filter's own weights in another order",
    ]
    constant = table[table["measure"].isin(SHAPES) & table["value"].isna()]
    if len(constant):
        words.append(
            f"shapes: missing where all filters are constant, Gabor fits where a filter has under "
            f"{FEWEST} weights in a frame ({', '.join(dict.fromkeys(constant['agent']))})"
        )
    if none := list(dict.fromkeys(table[table["random"].isna() & table["value"].notna()]["agent"])):
        words.append(f"random: missing of {', '.join(none)}, which torch cannot initialise")
    return "; ".join(words)
