"""`atari-zoo patches` and `atari-zoo atlas`."""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atari_zoo.cli.effects import effect_notes
from atari_zoo.cli.objectives import shown_in_place
from atari_zoo.cli.options import (
    STEPS,
    Device,
    Envs,
    Force,
    Iterations,
    Json,
    Layers,
    Model,
    Output,
    Played,
    Seed,
    seen_play,
)
from atari_zoo.cli.outputs import check_file
from atari_zoo.cli.tables import print_facts
from atari_zoo.cli.verbs import verb
from atari_zoo.progress import progress_bar

if TYPE_CHECKING:
    from atari_zoo.viz.patches.finding import Patch, UnitPatches


@verb(
    "atari-zoo patches apex/Seaquest/1 conv3:60",
    "atari-zoo patches a2c/Pong/1 conv2:7 conv3:0..5 output:RIGHT --n 12 --which bottom",
    "atari-zoo patches agent.onnx conv3:60 --recording play.zarr --json",
)
def patches(
    model: Model,
    units: Annotated[
        list[str], typer.Argument(help="Units, as in conv3:60, fc:0..15, output:FIRE or value.")
    ],
    output: Output = Path("patches.png"),
    steps: Annotated[
        int | None, typer.Option("--steps", help=STEPS, min=1, show_default="1000")
    ] = None,
    envs: Envs = 1,
    seed: Seed = 0,
    n: Annotated[int, typer.Option("--n", help="Patches of each unit.", min=1)] = 8,
    which: Annotated[str, typer.Option(help="top, bottom or random.")] = "top",
    apart: Annotated[
        int, typer.Option(help="Steps between two patches of an episode, at least.")
    ] = 15,
    recording: Played = None,
    device: Device = "cpu",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """What units answered to most, or least: image patches from play, as a picture."""
    import atari_zoo as zoo
    from atari_zoo.converters.network.receptive_fields import receptive_field
    from atari_zoo.players import player_words
    from atari_zoo.units.texts import chosen_units
    from atari_zoo.viz.patches.finding import patches as find_patches
    from atari_zoo.viz.patches.moments import Selection
    from atari_zoo.viz.patches.pictures import save_patches

    check_file(output, force, ".png")
    network = zoo.load(model, device)
    with shown_in_place():
        wanted = chosen_units(units, network)
    for layer in wanted:  # refuses before minutes of play
        receptive_field(network, layer)
    play = seen_play(network, recording, steps, seed, envs)
    found, selection = [], Selection(n, which, apart, seed)
    for layer, numbers in wanted.items():
        with progress_bar(f"looking at {layer}", "observations") as update:
            found += find_patches(network, play, layer, numbers, selection, update)
    notes = effect_notes(network, play, wanted)
    save_patches(found, output, f"{network.card.name}{player_words(network, play)}", notes)
    if as_json:
        facts = {"model": model, "output": str(output), "units": list(map(_row, found))}
        print(json.dumps(facts | {"notes": notes}))
        return
    for answers in found:
        if answers.dead:
            print(f"{answers.name} is dead here: never above 0, or never changing")
    for note in notes:
        print(note)
    print(output)


@verb(
    "atari-zoo atlas apex/Seaquest/1 -o atlas.html",
    "atari-zoo atlas a2c/Pong/1 --layer conv3 --layer fc --iterations 512 --device cuda",
    "atari-zoo atlas agent.onnx --recording play.zarr --no-synthesis",
)
def atlas(
    model: Model,
    output: Output = Path("atlas.html"),
    iterations: Iterations = 80,
    steps: Annotated[
        int | None, typer.Option("--steps", help=STEPS, min=1, show_default="1000")
    ] = None,
    envs: Envs = 1,
    layers: Layers = None,
    synthesis: Annotated[
        bool, typer.Option("--synthesis/--no-synthesis", help="Make an image for each unit.")
    ] = True,
    seed: Seed = 0,
    recording: Played = None,
    device: Device = "cpu",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Every unit of an agent on one page: what drives it, and what it answered to in play."""
    import atari_zoo as zoo
    from atari_zoo.converters.network.finite import check_finite
    from atari_zoo.converters.network.receptive_fields import receptive_field
    from atari_zoo.viz.pages.atlas import atlas as write_atlas
    from atari_zoo.viz.pages.atlas import atlas_layers
    from atari_zoo.viz.pages.atlas_images import atlas_images
    from atari_zoo.viz.pages.atlas_rows import read_from

    check_file(output, force, ".html", ".htm")
    network = zoo.load(model, device)
    names = list(dict.fromkeys(layers or atlas_layers(network)))
    check_finite(network)
    for name in names:
        receptive_field(network, read_from(name))  # refuses before minutes of play
    played = seen_play(network, recording, steps, seed, envs)
    images = None
    if synthesis:
        with progress_bar("making images", "thousandths of layers") as update:
            images = atlas_images(network, names, iterations, seed, update)
    with progress_bar("looking at play", "observations") as update:
        write_atlas(network, played, output, images, names, progress=update)
    size = output.stat().st_size
    facts = {"model": model, "output": str(output), "bytes": size, "layers": names}
    print_facts(facts, as_json, f"{output}: {size / 1e6:.1f} MB")


def _row(unit: UnitPatches) -> dict[str, Any]:
    return {
        "name": unit.name,
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
