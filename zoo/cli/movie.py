"""`atari-zoo movie`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atari_zoo.cli.clip_options import (
    Agent,
    Episode,
    Filmed,
    First,
    OthersPlay,
    Scale,
    Speed,
    Stop,
    filmed,
    within,
)
from atari_zoo.cli.options import (
    Baseline,
    Device,
    Env,
    Force,
    Json,
    Method,
    MethodOptions,
    Output,
    Seed,
    Target,
    method_options,
)
from atari_zoo.cli.outputs import check_file
from atari_zoo.cli.tables import print_facts
from atari_zoo.cli.verbs import verb
from atari_zoo.progress import progress_bar

if TYPE_CHECKING:
    from atari_zoo.viz.movies.clips import Clip
    from atari_zoo.viz.saliency.step_maps import Question

GAME, ACTIVATIONS, SALIENCY = "game", "activations", "saliency"
Show = Annotated[
    list[str] | None,
    typer.Option(
        help="game: alone; activations: of all layers; saliency: over the game, beside an "
        "untrained control; or a layer, such as conv3, in large, as often as wanted.",
        show_default=ACTIVATIONS,
    ),
]
Ablate = Annotated[
    list[str] | None,
    typer.Option(
        help="Units, such as conv3:26: the agent without them beside itself intact, both played "
        "from one start; as often as wanted."
    ),
]
Control = Annotated[
    bool, typer.Option("--control/--no-control", help="An untrained network beside saliency.")
]


@verb(
    "atari-zoo movie apex/Seaquest/1",
    "atari-zoo movie apex/Seaquest/1 --show game --from 200 --to 500 --speed 2 -o game.mp4",
    "atari-zoo movie a2c/Pong/1 --show conv3 --to 100 -o conv3.mp4",
    "atari-zoo movie dqn/Seaquest/1 --show saliency --method sarfa --to 100 -o saliency.mp4",
    "atari-zoo movie apex/Seaquest/1 --ablate conv3:26 --to 600 -o ablated.mp4",
)
def movie(
    agent: Agent,
    show: Show = None,
    ablate: Ablate = None,
    first: First = 0,
    stop: Stop = None,
    episode: Episode = None,
    env: Env = 0,
    speed: Speed = 1.0,
    scale: Scale = None,
    method: Method = "greydanus",
    target: Target = "decision",
    baseline: Baseline = "black",
    option: MethodOptions = None,
    control: Control = True,
    recording: OthersPlay = None,
    seed: Seed = 0,
    output: Output = Path("movie.mp4"),
    device: Device = "cpu",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Films play: the game, what the agent computes, what decides, or what units are for."""
    from atari_zoo.viz.movies.clips import Clip
    from atari_zoo.viz.saliency.step_maps import Question

    check_file(output, force, ".mp4")
    clip = Clip(env, first, stop, episode, speed, scale)
    if ablate:
        if show or recording is not None or episode is not None or env or option:
            raise ValueError(
                "--ablate plays the agent anew, with and without units: it goes with none of "
                "--show, --option, --recording, --episode and --env"
            )
        facts = _ablated(agent, ablate, output, clip, seed, device)
    else:
        shown = show or [ACTIVATIONS]
        if len(shown) > 1 and {GAME, ACTIVATIONS, SALIENCY} & set(shown):
            raise ValueError(f"--show {' and '.join(shown)}: give one of them, or only layers")
        question = Question(method, target, baseline, seed, method_options(option), control)
        if shown != [SALIENCY] and question != Question(seed=seed):
            raise ValueError(
                "--method, --target, --baseline, --option and --no-control are of --show saliency"
            )
        found = filmed(agent, recording, clip, seed, device)
        facts = _shown(found, shown, clip, question, output)
    parting = facts.get("parting", ())
    words = ["they never act differently" if parting is None else f"they part at step {parting}"]
    lines = [str(output)] if parting == () else [*words, str(output)]
    print_facts({"model": agent, "output": str(output)} | facts, as_json, *lines)


def _shown(
    found: Filmed, show: list[str], clip: Clip, question: Question, output: Path
) -> dict[str, Any]:
    from atari_zoo.viz.movies.game import game_movie
    from atari_zoo.viz.movies.movies import activation_movie, check_layers
    from atari_zoo.viz.saliency.movies import saliency_movie

    layers = None if {GAME, ACTIVATIONS, SALIENCY} & set(show) else show
    if layers is not None:
        check_layers(found.network(), layers)  # before minutes of play
    recording = found.recording()
    clip = within(clip, recording)
    with progress_bar("filming", "steps") as update:
        if show == [GAME]:
            game_movie(recording, output, clip, update)
        elif show == [SALIENCY]:
            saliency_movie(found.network(), recording, output, question, clip, update)
        else:
            activation_movie(found.network(), recording, output, clip, layers, update)
    steps = clip.steps(recording)
    return {"first": steps.start, "stop": steps.stop, "fps": float(clip.rate(recording))}


def _ablated(
    agent: str, units: list[str], output: Path, clip: Clip, seed: int, device: str
) -> dict[str, Any]:
    import atari_zoo as zoo
    from atari_zoo.viz.movies.ablation import ablation_movie

    network = zoo.load(agent, device)
    with progress_bar("playing and filming", "steps") as update:
        return {"parting": ablation_movie(network, units, output, clip, seed, update)}
