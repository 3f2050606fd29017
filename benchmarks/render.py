"""Activation maximization of all 512 units of a dense layer, 256 steps each, beside a loop over the
units and beside torch-lucent; on CUDA, of all units of all layers too.

    python benchmarks/render.py --quick

The peers do one image at a time. They would take hours, so a few steps are measured, and ours as
many image-steps as take about as long; both are scaled up to all. Without --quick ours is run in
full. torch-lucent is fetched into a temporary folder, with the kornia it pins. Of it nothing is
changed; an empty IPython.display stands in for the one that it imports and does not need here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rows import Row, arguments, by_turns, row, show, until

AGENT = "dqn/Seaquest/1"
UNITS, STEPS = 512, 256
ATLAS_STEPS = 512
JITTER = 3
LUCENT = ("torch-lucent==0.1.8", "kornia==0.4.1", "decorator==5.1.1")


def ours(units: int, steps: int, device: str = "cpu") -> float:
    """Seconds that `units` images of `steps` steps would take, scaled to all."""
    import atari_zoo as zoo
    from atari_zoo.viz.render.ascent import ORIGINAL
    from atari_zoo.viz.render.rendering import render

    network = zoo.load(AGENT, device)
    render(network, "fc:0..31", replace(ORIGINAL, steps=1))
    begun = time.perf_counter()
    render(network, f"fc:0..{units - 1}", replace(ORIGINAL, steps=steps))
    return (time.perf_counter() - begun) * UNITS * STEPS / (units * steps)


def loop(steps: int, device: str = "cpu") -> float:
    """Seconds that a loop over the units would take: one image, Adam, a hook, the whole network."""
    import torch

    import atari_zoo as zoo

    network = zoo.load(AGENT, device)
    kept = {}
    network.trunk.fc.linear.register_forward_hook(lambda m, i, out: kept.update(fc=out))
    for some in (3, steps):  # first to warm up
        image = (0.01 * torch.randn(1, 4, 84, 84)).to(device).requires_grad_()
        optimizer = torch.optim.Adam([image], lr=0.05)
        begun = time.perf_counter()
        for _ in range(some):
            optimizer.zero_grad()
            padded = torch.nn.functional.pad(image.sigmoid(), (JITTER,) * 4, mode="reflect")
            row, column = torch.randint(0, 2 * JITTER + 1, (2,)).tolist()
            network(padded[:, :, row : row + 84, column : column + 84])
            (-kept["fc"][0, 7]).backward()
            optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()
    return (time.perf_counter() - begun) * UNITS * STEPS / steps


def lucent(folder: str, steps: int) -> float:
    """Seconds that torch-lucent would take, measured in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--lucent", str(steps)],
        env=os.environ | {"PYTHONPATH": folder},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1]) * UNITS * STEPS / steps


def run_lucent(steps: int) -> None:
    """Prints the seconds that `steps` steps of one image take in torch-lucent."""
    import torch
    from lucent.optvis import objectives, param, render, transform

    import atari_zoo as zoo

    network = zoo.load(AGENT)
    trunk, layers = network.trunk, OrderedDict()
    for name in ("conv1", "conv2", "conv3"):
        layers[name] = trunk.get_submodule(name).conv
        layers[f"{name}_relu"] = torch.nn.ReLU()
    layers |= {"flatten": torch.nn.Flatten(), "fc": trunk.fc.linear, "fc_relu": torch.nn.ReLU()}
    model = torch.nn.Sequential(layers | {"output": network.head.output}).eval()
    for some in (3, steps):
        begun = time.perf_counter()
        render.render_vis(
            model,
            objectives.channel("fc", 7),
            param_f=lambda: param.image(84, channels=4, fft=False, sd=0.01),
            transforms=[transform.jitter(2 * JITTER + 1)],
            thresholds=(some,),
            preprocess=False,
            progress=False,
            show_image=False,
            fixed_image_size=84,
        )
    print(json.dumps(time.perf_counter() - begun))


def install_lucent(folder: str) -> None:
    """Fetches it, without what it depends on, into a folder."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder]
    subprocess.run([*pip, *LUCENT], check=True)
    display = Path(folder) / "IPython"
    display.mkdir()
    (display / "__init__.py").touch()
    (display / "display.py").touch()


def atlas(peer_steps: int) -> Row:
    """All units of all layers of an agent on CUDA."""
    import atari_zoo as zoo
    from atari_zoo.viz.render.ascent import ORIGINAL
    from atari_zoo.viz.render.rendering import render

    network = zoo.load(AGENT, "cuda")
    wanted = [f"{name}:*" for name in network.layers]
    render(network, wanted, replace(ORIGINAL, steps=2))
    begun = time.perf_counter()
    count = sum(len(render(network, w, replace(ORIGINAL, steps=ATLAS_STEPS)).names) for w in wanted)
    taken = time.perf_counter() - begun
    peer = loop(peer_steps, "cuda") * count * ATLAS_STEPS / (UNITS * STEPS)
    case = f"atlas: {count} units x {ATLAS_STEPS} steps (theirs from {peer_steps} steps)"
    return row("render", case, "one at a time, CUDA", [taken], [peer], "s")


def compare(quick: bool) -> Iterator[Row]:
    """A row for each peer, and on CUDA the atlas."""
    import torch

    repeats, peer_steps = (3, 24) if quick else (3, 4 * STEPS)
    units, steps = (32, 128) if quick else (UNITS, STEPS)
    case = f"{UNITS} fc units x {STEPS} steps"
    ours_from = f"ours from {units} x {steps}, " if quick else ""
    case += f" ({ours_from}theirs from {peer_steps} steps)"
    end = until(quick)
    found = by_turns(lambda: ours(units, steps), lambda: loop(peer_steps), repeats, end)
    yield row("render", case, "one at a time", *found, "s")
    with TemporaryDirectory() as folder:
        install_lucent(folder)
        found = by_turns(
            lambda: ours(units, steps), lambda: lucent(folder, peer_steps), repeats, end
        )
        yield row("render", case, "torch-lucent 0.1.8", *found, "s")
    if torch.cuda.is_available():
        yield atlas(peer_steps)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--lucent"]:
        run_lucent(int(sys.argv[2]))
    else:
        options = arguments(__doc__).parse_args()
        show(compare(options.quick), options.json)
