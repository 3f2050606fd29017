"""`atari-zoo play` and `atari-zoo record`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atari_zoo.catalog.names import file_name
from atari_zoo.cli.options import Device, Force, Json, Model
from atari_zoo.cli.outputs import check_file
from atari_zoo.cli.plan_options import with_plan_options
from atari_zoo.cli.verbs import verb
from atari_zoo.converters.files import check_ending
from atari_zoo.play.plans import CACHE, INT8, Plan, as_cached
from atari_zoo.progress import progress_bar

if TYPE_CHECKING:
    from atari_zoo.converters.network.foreign import Network
    from atari_zoo.recordings.recordings import Recording

ARCHIVES = ".npz", ".zip"


@verb(
    "atari-zoo play a2c/Pong/1",
    "atari-zoo play agent.onnx --episodes 10 --seed 0 --envs 8 --json",
    "atari-zoo play agent.onnx --action argmax --sticky 0.25",
    "atari-zoo play agent.onnx --observation-noise 0.05 --noise-place frame",
)
@with_plan_options("play", {"episodes": 10})
def play(model: Model, plan: Plan, device: Device = "cpu", as_json: Json = False) -> None:
    """Plays whole episodes, or some steps, and says how well."""
    import atari_zoo as zoo

    unit = "steps" if plan.episodes is None else "episodes"
    network = zoo.load(model, device)
    _tell(model, _recording(network, _tuned(plan, network), unit), as_json)


@verb(
    "atari-zoo record a2c/Pong/1 --steps 2500",
    "atari-zoo record agent.onnx --steps 10000 --envs 8 --keep ram --keep screens -o play.zarr",
    "atari-zoo record agent.onnx --steps 2500 -o play.npz    # as the original zoo has it",
    "atari-zoo record apex/Pong/1 --recompute fc    # smaller: the model computes fc when read",
)
@with_plan_options("record", CACHE)
def record(
    model: Model,
    plan: Plan,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A .zarr folder, resumed if it is there, or .npz."),
    ] = None,
    device: Device = "cpu",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Records play: by default screens, RAM, outputs and the dense layer, as the paper's cache."""
    import atari_zoo as zoo

    network_name = Path(model).stem if Path(model).exists() else file_name(model)
    output = output or Path(f"{network_name}.zarr")
    archive = output.suffix.lower() in ARCHIVES
    if archive:
        check_file(output, force)
    else:
        check_ending(output, ".zarr", *ARCHIVES)
        if force and output.exists() and plan.dtype != INT8:
            raise ValueError(f"{output}: a recording is gone on with; remove it to begin anew")
    network = zoo.load(model, device)
    path = None if archive else output
    plan = replace(as_cached(plan, network.layers), path=path, resume=True, force_int8=force)
    recording = _recording(network, _tuned(plan, network), "steps")
    if archive:
        recording.save(output)
    _tell(model, recording, as_json, str(output))


def _tuned(plan: Plan, network: Network) -> Plan:
    """The plan with the settings that were found fastest here, if any were; and what is to be said
    before, a line each."""
    from atari_zoo.machines import crowded
    from atari_zoo.play.int8_calibration import calibrated
    from atari_zoo.play.tuned import as_tuned
    from atari_zoo.threads import cores

    tuned, line = as_tuned(plan, network)
    lines = [line, crowded(plan.threads or 1, cores())]
    if plan.dtype == INT8:
        lines.append(calibrated(network, plan.force_int8).words)
    for line in filter(None, lines):
        print(line, file=sys.stderr)
    return tuned


def _recording(network: Network, plan: Plan, unit: str) -> Recording:
    import atari_zoo as zoo

    with progress_bar("playing", unit) as update:
        return zoo.rollout(network, plan, progress=update)


def _tell(model: str, recording: Recording, as_json: bool, output: str = "") -> None:
    from atari_zoo.games import game as find_game

    result = recording.summary() | {"model": model} | ({"output": output} if output else {})
    if as_json:
        print(json.dumps(result))
        return
    rate = result["steps_per_second"]
    speed = "" if rate is None else f", {rate:.0f} steps/s"
    score = "no episode ended"
    if result["mean"] is not None:
        score = f"{result['mean']:.1f} ± {result['std']:.1f} over {result['episodes']} episodes"
    print(f"{model} in {recording.game}: {score}{speed}")
    game = find_game(recording.game)
    if game.human is not None:
        print(f"random play scores {game.random:g}, a person {game.human:g}")
    if output:
        print(output)
