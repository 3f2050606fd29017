"""`atari-zoo grid`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atari_zoo.cli.clip_options import Episode, First, Scale, Speed, Stop, within
from atari_zoo.cli.options import Env, Force, Json, Output
from atari_zoo.cli.outputs import check_file
from atari_zoo.cli.tables import print_facts
from atari_zoo.cli.verbs import verb
from atari_zoo.progress import progress_bar

Agents = Annotated[
    list[str],
    typer.Argument(
        help="Agents of one game: names, patterns such as '*/Seaquest/*', files of models or of "
        "recorded play. Who has no play plays 2,500 steps, recorded once and kept."
    ),
]


@verb(
    "atari-zoo grid '*/Seaquest/*'",
    "atari-zoo grid 'a2c/Seaquest/*' dqn/Seaquest/1 --to 900 --speed 4 -o first.mp4",
)
def grid(
    agents: Agents,
    first: First = 0,
    stop: Stop = None,
    episode: Episode = None,
    env: Env = 0,
    speed: Speed = 1.0,
    scale: Scale = None,
    output: Output = Path("grid.mp4"),
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Films many agents' play of one game side by side: algorithms across, runs down."""
    from atari_zoo.analysis.subjects import as_subjects
    from atari_zoo.viz.movies.clips import Clip
    from atari_zoo.viz.movies.grids import check_games, grid_movie

    check_file(output, force, ".mp4")
    clip = Clip(env, first, stop, episode, speed, scale)
    subjects = as_subjects(agents)
    check_games(subjects)  # before minutes of play
    longest = max((subject.recording for subject in subjects), key=lambda play: len(play.starts))
    clip = within(clip, longest)
    with progress_bar("filming", "steps") as update:
        grid_movie(subjects, output, clip, update)
    names = [subject.name for subject in subjects]
    print_facts({"agents": names, "output": str(output)}, as_json, str(output))
