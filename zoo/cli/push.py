"""`atari-zoo push`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from atari_zoo.cli.options import DryRun, Force, Json, Model
from atari_zoo.cli.outputs import check_folder
from atari_zoo.cli.tables import print_facts
from atari_zoo.cli.verbs import verb
from atari_zoo.progress import progress_bar

if TYPE_CHECKING:
    from atari_zoo.converters.network.foreign import Network
    from atari_zoo.publishing_pages import ReplayMovie

STEPS, SCALE = 900, 3  # a minute of play; pixels for each of the game's


@verb(
    "atari-zoo push a2c/Pong/1 me/a2c-Pong-1",
    "atari-zoo push agent.onnx me/agent --private",
    "atari-zoo push agent.onnx me/agent --dry-run -o pages/agent",
)
def push(
    model: Model,
    repo: Annotated[str, typer.Argument(help="A repository of the Hub, as user/name.")],
    private: Annotated[bool, typer.Option("--private", help="For nobody else to see.")] = False,
    replay: Annotated[
        bool, typer.Option("--replay/--no-replay", help="Add a movie of an episode's first minute.")
    ] = True,
    dry_run: DryRun = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="With --dry-run, a folder to write the files into."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Publishes a model on the Hugging Face Hub, as ONNX and as weights, with a page."""
    import atari_zoo as zoo
    from atari_zoo import publishing

    if dry_run != (output is not None):
        raise ValueError("--dry-run and -o FOLDER go together: the files are written there instead")
    if output is not None:
        check_folder(output, force)
    with TemporaryDirectory() as folder:
        movie = _replay(zoo.load(model), Path(folder)) if replay else None
        if output is None:
            page = publishing.push(model, repo, private=private, replay=movie)
            print_facts({"model": model, "page": page}, as_json, page)
            return
        files = list(map(str, publishing.build_repository(model, output, repo, movie)))
        print_facts({"model": model, "files": files}, as_json, *files)


def _replay(network: Network, folder: Path) -> ReplayMovie | None:
    """A movie of the first minute of play, or of its first episode if that is shorter; None where
    the game is not known."""
    import atari_zoo as zoo
    from atari_zoo.publishing_pages import REPLAY, ReplayMovie
    from atari_zoo.viz.movies.clips import Clip
    from atari_zoo.viz.movies.game import game_movie

    if not network.card.game:
        return None
    with progress_bar("playing", "steps") as update:
        play = zoo.rollout(network, steps=STEPS, envs=1, seed=0, keep=["frames"], progress=update)
    clip = Clip(episode=0, scale=SCALE)
    shown = len(clip.steps(play))
    with progress_bar("filming", "steps") as update:
        game_movie(play, folder / REPLAY, clip, update)
    score = float(play.rewards[:shown, 0].sum())
    return ReplayMovie(folder / REPLAY, shown, score, bool(play.over[shown - 1, 0]))
