"""`atari-zoo patches` and `atari-zoo atlas`."""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atari_zoo.cli.options import Device, Json, Model, Output, Played, Seed, seen_play
from atari_zoo.cli.verbs import verb
from atari_zoo.progress import progress_bar

if TYPE_CHECKING:
    from atari_zoo.viz.patches.finding import Patch, UnitPatches


@verb(
    "atari-zoo patches apex/Seaquest/1 conv3:60",
    "atari-zoo patches a2c/Pong/1 conv2:7 conv3:5 fc:10 --n 12 --which bottom -o patches.png",
    "atari-zoo patches agent.onnx conv3:60 --recording play.zarr --json",
)
def patches(
    model: Model,
    units: Annotated[list[str], typer.Argument(help="Units, as in conv3:60 or fc:10.")],
    output: Output = Path("patches.png"),
    steps: Annotated[
        int | None, typer.Option(help="Steps to play: 1000, or all of a recording.")
    ] = None,
    seed: Seed = 0,
    n: Annotated[int, typer.Option(help="Patches of each unit.")] = 8,
    which: Annotated[str, typer.Option(help="top, bottom or random.")] = "top",
    apart: Annotated[
        int, typer.Option(help="Steps between two patches of an episode, at least.")
    ] = 15,
    recording: Played = None,
    as_json: Json = False,
) -> None:
    """What units answered to most, or least: image patches from play, as a picture."""
    import atari_zoo as zoo
    from atari_zoo.analysis.peaks import check_units
    from atari_zoo.converters.network.receptive_fields import receptive_field
    from atari_zoo.recordings.players import player_words
    from atari_zoo.viz.patches.finding import patches as find_patches
    from atari_zoo.viz.patches.moments import Selection
    from atari_zoo.viz.patches.pictures import save_patches

    network = zoo.load(model)
    wanted: dict[str, list[int]] = {}
    for layer, unit in map(_unit, units):
        wanted.setdefault(layer, []).append(unit)
    for layer, numbers in wanted.items():  # refuses before minutes of play
        receptive_field(network, layer)
        check_units(network, layer, numbers)
    play = seen_play(network, recording, steps, seed)
    found, selection = [], Selection(n, which, apart, seed)
    for layer, numbers in wanted.items():
        with progress_bar(f"looking at {layer}", "observations") as update:
            found += find_patches(network, play, layer, numbers, selection, update)
    save_patches(found, output, f"{network.card.name}{player_words(network, play)}")
    if as_json:
        print(json.dumps({"model": model, "output": str(output), "units": list(map(_row, found))}))
        return
    for answers in found:
        if answers.dead:
            print(f"{answers.layer}:{answers.unit} is dead here: never above 0, or never changing")
    print(output)


@verb(
    "atari-zoo atlas apex/Seaquest/1 -o atlas.html",
    "atari-zoo atlas a2c/Pong/1 --layers conv3,fc --steps 512 --device cuda",
    "atari-zoo atlas agent.onnx --recording play.zarr --no-synthesis",
)
def atlas(
    model: Model,
    output: Output = Path("atlas.html"),
    steps: Annotated[int, typer.Option(help="Of the optimization of each image.")] = 128,
    play: Annotated[
        int | None, typer.Option(help="Steps to play: 1000, or all of a recording.")
    ] = None,
    layers: Annotated[
        str, typer.Option(help="Layers to show, as in conv3,fc; all if not given.")
    ] = "",
    synthesis: Annotated[
        bool, typer.Option("--synthesis/--no-synthesis", help="Make an image for each unit.")
    ] = True,
    seed: Seed = 0,
    recording: Played = None,
    device: Device = "cpu",
) -> None:
    """Every unit of an agent on one page: what drives it, and what it answered to in play."""
    import atari_zoo as zoo
    from atari_zoo.converters.network.receptive_fields import receptive_field
    from atari_zoo.diverged import check_finite
    from atari_zoo.viz.pages.atlas import atlas as write_atlas
    from atari_zoo.viz.pages.atlas import atlas_layers
    from atari_zoo.viz.pages.atlas_images import atlas_images
    from atari_zoo.viz.pages.atlas_rows import read_from

    network = zoo.load(model, device)
    names = layers.replace(",", " ").split() or atlas_layers(network)
    check_finite(network)
    for name in names:
        receptive_field(network, read_from(name))  # refuses before minutes of play
    played = seen_play(network, recording, play, seed)
    images = None
    if synthesis:
        with progress_bar("making images", "thousandths of layers") as update:
            images = atlas_images(network, names, steps, seed, update)
    with progress_bar("looking at play", "observations") as update:
        write_atlas(network, played, output, images, names, progress=update)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


def _unit(words: str) -> tuple[str, int]:
    layer, colon, number = words.removesuffix("@max").partition(":")
    if not (layer and colon and number.isdecimal()):
        raise ValueError(f"'{words}' names no unit; expected a layer and a number, as in conv3:60")
    return layer, int(number)


def _row(unit: UnitPatches) -> dict[str, Any]:
    return {
        "layer": unit.layer,
        "unit": unit.unit,
        "quantity": unit.quantity,
        "which": unit.which,
        "dead": unit.dead,
        "patches": list(map(_fields, unit.patches)),
    }


def _fields(patch: Patch) -> dict[str, Any]:
    """Boxes are top, left, height, width."""
    names = ("step", "env", "value", "score", "row", "column")
    native = patch.native_field
    return {name: getattr(patch, name) for name in names} | {
        "whole": astuple(patch.field.whole),
        "seen": astuple(patch.field.seen),
        "native": None if native is None else astuple(native),
    }
