"""`atari-zoo watch`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from atari_zoo.cli.clip_options import (
    Agent,
    Episode,
    First,
    OthersPlay,
    Scale,
    Speed,
    filmed,
    within,
)
from atari_zoo.cli.options import Device, Env, Force, Json, Seed
from atari_zoo.cli.outputs import check_file
from atari_zoo.cli.tables import print_facts
from atari_zoo.cli.verbs import verb
from atari_zoo.progress import progress_bar

Stop = Annotated[
    int | None,
    typer.Option("--to", help="The step before which it ends.", show_default="all; in a movie 300"),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="A movie instead of a window.", show_default="watch.mp4"),
]


@verb(
    "atari-zoo watch apex/Seaquest/1",
    "atari-zoo watch apex/Seaquest/1 --from 500 --speed 2",
    "atari-zoo watch play.zarr --from 200 --to 500 -o watch.mp4",
)
def watch(
    agent: Agent,
    first: First = 0,
    stop: Stop = None,
    episode: Episode = None,
    env: Env = 0,
    speed: Speed = 1.0,
    scale: Scale = None,
    recording: OthersPlay = None,
    seed: Seed = 0,
    output: Output = None,
    device: Device = "cpu",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Shows an agent at play in a window; where there is no screen, writes a movie of it."""
    from atari_zoo.viz.movies.clips import Clip
    from atari_zoo.viz.movies.game import game_movie
    from atari_zoo.viz.movies.window import NoScreen, Watching, open_window

    clip = Clip(env, first, stop, episode, speed, scale)
    window, why = None, ""
    if output is None:
        try:
            window = open_window(f"{agent} - atari-zoo")
        except NoScreen as none:
            why = str(none)
            output = Path("watch.mp4")
    if window is None:
        assert output is not None  # it has been chosen above
        check_file(output, force, ".mp4")
        played = filmed(agent, recording, clip, seed, device).recording()
        if why:
            print(f"{why}; a movie instead: {output}", file=sys.stderr)
        with progress_bar("filming", "steps") as update:
            game_movie(played, output, within(clip, played), update)
        print_facts({"model": agent, "output": str(output)}, as_json, str(output))
        return
    window.withdraw()  # until there is something to see
    played = filmed(agent, recording, clip, seed, device).recording()
    Watching(window, played, clip)
    window.deiconify()
    window.mainloop()
    print_facts({"model": agent, "output": None}, as_json, f"{agent}: watched")
