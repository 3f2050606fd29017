"""A walk over public functions: a wrong type, size, sign, number or name gets one line of ours.

It runs in a process of its own, where nothing checks the signatures' types, as at a user's.
"""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import torch

import atari_zoo as zoo
from atari_zoo.analysis.learning_curves import curves
from atari_zoo.analysis.peaks import unit_peaks
from atari_zoo.converters import to_onnx, to_torch, verify
from atari_zoo.models import convert
from atari_zoo.sweeps.sweeps import sweep
from atari_zoo.training.registry import config
from atari_zoo.viz import filters
from atari_zoo.viz.attribution.attribution import attribute, attribute_layer
from atari_zoo.viz.fidelity.table import fidelity_table
from atari_zoo.viz.movies.ablation import ablation_movie
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.game import game_movie
from atari_zoo.viz.movies.movies import activation_movie
from atari_zoo.viz.pages.atlas import atlas
from atari_zoo.viz.pages.tour import tour
from atari_zoo.viz.patches.finding import patches
from atari_zoo.viz.patches.moments import Selection
from atari_zoo.viz.render.ascent import Settings
from atari_zoo.viz.render.rendering import render
from atari_zoo.viz.saliency.movies import saliency_movie
from atari_zoo.viz.saliency.step_maps import Question

Calls = dict[str, tuple[Callable[..., Any], dict[str, Any]]]
NAME = "a2c/Pong/1"
# any whole number is a seed; what there is none of is empty
FREE = {"seed": [1.5, "x"], "run": [], "tag": [], "x": ["nonsense"], "place": [3]}
FREE |= {"scheduler": ["nonsense"], "threshold": [math.nan, "x"]}


def calls(folder: Path) -> Calls:
    """Functions with arguments that are right, and little work."""
    network = zoo.load(NAME)
    played = zoo.rollout(network, steps=6, envs=1, seed=0, keep=["screens", "frames", "ram"])
    seen = played.observations()[-2:] / 255
    logs = [zoo.training_log(NAME)]
    small = {"steps": 1, "envs": 1}
    return {
        "load": (zoo.load, {"name": NAME, "device": "cpu", "input_range": None}),
        "rollout": (zoo.rollout, {"network": network, **small}),
        "activations": (zoo.activations, {"network": network, "observations": seen}),
        "open_recording": (zoo.open_recording, {"path": folder / "none.zarr"}),
        "training_log": (zoo.training_log, {"source": NAME}),
        "checkpoints": (zoo.checkpoints, {"source": folder}),
        "list_models": (zoo.list_models, {"game": "Pong"}),
        "game": (zoo.game, {"name": "Pong"}),
        "counterfactual": (zoo.counterfactual, {"recording": played, "step": 5, "ram": {3: 4}}),
        "Noise": (zoo.Noise, {}),
        "observations": (played.observations, {}),
        "convert": (convert, {"source": folder / "none.onnx", "game": "Pong"}),
        "to_onnx": (to_onnx, {"source": folder / "none.onnx"}),
        "to_torch": (to_torch, {"source": folder / "none.onnx"}),
        "verify": (verify, {"network": network}),
        "unit_peaks": (unit_peaks, {"network": network, "recording": played, "layer": "fc"}),
        "curves": (curves, {"logs": logs}),
        "attribute": (attribute, {"network": network, "observations": seen}),
        "attribute_layer": (
            attribute_layer,
            {"network": network, "observations": seen, "layer": "fc", "kind": "activation"},
        ),
        "fidelity_table": (fidelity_table, {"network": network, "observations": seen}),
        "render": (render, {"network": network, "objectives": "fc:1"}),
        "Settings": (Settings, {}),
        "Selection": (Selection, {}),
        "patches": (
            patches,
            {"network": network, "recording": played, "layer": "fc", "units": [1]},
        ),
        "activation_movie": (
            activation_movie,
            {"network": network, "recording": played, "path": folder / "a.mp4"},
        ),
        "Clip": (Clip, {"stop": 3, "scale": 2}),
        "game_movie": (game_movie, {"recording": played, "path": folder / "g.mp4"}),
        "ablation_movie": (
            ablation_movie,
            {"network": network, "units": ["fc:1"], "path": folder / "b.mp4"}
            | {"clip": Clip(stop=2)},
        ),
        "saliency_movie": (
            saliency_movie,
            {"network": network, "recording": played, "path": folder / "s.mp4"}
            | {"question": Question("saliency")},
        ),
        "filter_picture": (filters.filter_picture, {"network": network}),
        "save_filters": (filters.save_filters, {"network": network, "path": folder / "f.png"}),
        "atlas": (
            atlas,
            {"network": network, "recording": played, "path": folder / "a.html"}
            | {"layers": ["fc"], "images": None},
        ),
        "tour": (tour, {"model": NAME, "path": folder / "t.html", "steps": 2, "score_steps": 2}),
        "sweep": (sweep, {"job": "score", "models": [NAME], "place": folder / "sweep"}),
        "config": (config, {"algorithm": "a2c", "rom": "pong"}),
    }


def wrong(name: str, value: Any, kind: Any) -> list[Any]:
    """Values that the parameter cannot have."""
    if name in FREE:
        return FREE[name]
    if isinstance(value, zoo.Recording):
        return [None, 3, "none.zarr"]
    if isinstance(value, torch.nn.Module):
        return [None, 3, "no/such/1", Path("none.onnx")]
    if isinstance(value, torch.Tensor):
        infinite = torch.full_like(value, math.nan)
        return [None, "x", infinite, value[:, :2], value * 255, value.double().long(), value[0, 0]]
    found: list[Any] = []
    for part in kind:
        if part is bool:
            return []
        if part is int:
            found += [-1, 1.5, math.nan, "x"]
        elif part is float:
            found += [-1.0, math.nan, math.inf, "x"]
        elif part in (str, Path):
            found += ["nonsense", 3]
    return [each for each in found if type(each) not in kind or not isinstance(each, int)] or found


def parts(hint: Any) -> list[Any]:
    union = get_origin(hint) in (Union, types.UnionType)
    return [part for each in get_args(hint) for part in parts(each)] if union else [hint]


def faults(called: str, function: Callable[..., Any], right: dict[str, Any]) -> Iterator[str]:
    signature = inspect.signature(function)
    try:
        hints = get_type_hints(function if inspect.isroutine(function) else function.__init__)
    except NameError:
        hints = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or name in LATER:
            continue
        value = right.get(name, parameter.default)
        hint = parameter.annotation if not isinstance(parameter.annotation, str) else None
        for bad in wrong(name, value, parts(hints.get(name, hint))):
            given = right | {name: bad}
            first = [
                given.pop(p.name)
                for p in signature.parameters.values()
                if p.kind is p.POSITIONAL_ONLY and p.name in given
            ]
            shown = f"{called}({name}={str(bad)[:40]!r})"
            try:
                function(*first, **given)
            except (ValueError, OSError, TypeError) as error:
                trace = error.__traceback__
                while trace is not None and trace.tb_next is not None:
                    trace = trace.tb_next
                place = "" if trace is None else trace.tb_frame.f_code.co_filename
                line = str(error).splitlines()
                ours = "atari_zoo" in place or (isinstance(error, TypeError) and place == __file__)
                if not ours or not line:
                    yield f"{shown}: {type(error).__name__}: {error} ({place})"
            except Exception as error:
                yield f"{shown}: {type(error).__name__}: {str(error)[:200]}"
            else:
                yield f"{shown}: accepted"


LATER = {"progress", "plan", "path", "folder", "retries"}


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for called, (function, right) in calls(Path(folder)).items():
            for fault in faults(called, function, right):
                print(fault, flush=True)


def test_what_makes_no_sense_gets_one_line() -> None:
    done = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, timeout=600, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


if __name__ == "__main__":
    main()
