"""Options that several verbs have, each once; and what is read from them."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atari_zoo.progress import progress_bar

if TYPE_CHECKING:
    from atari_zoo.converters.network.foreign import Network
    from atari_zoo.recordings.recordings import Recording

Model = Annotated[
    str,
    typer.Argument(
        help="A name, such as a2c/Pong/1, the path of a model's file, a run's folder, a repository "
        "of the Hugging Face Hub, such as hf:owner/repo, or an address."
    ),
]
Game = Annotated[str | None, typer.Option(help="A game, in any spelling.")]
Algorithm = Annotated[str | None, typer.Option(help="An algorithm, such as a2c.")]
Collection = Annotated[str | None, typer.Option(help="A collection, such as uber, sb3 or starter.")]
Run = Annotated[str | None, typer.Option(help="A run, such as 1.")]
Tag = Annotated[str | None, typer.Option(help="A checkpoint, such as 400M or final.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]
STEPS = "Agent steps of play; of a recording its first ones, all if not given."
Envs = Annotated[int, typer.Option("--envs", help="Copies of the game at once.", min=1)]
Env = Annotated[int, typer.Option("--env", help="Which copy of the game, from 0.", min=0)]
Iterations = Annotated[
    int, typer.Option("--iterations", help="Of gradient ascent, for each image.", min=1)
]
Layers = Annotated[
    list[str] | None,
    typer.Option("--layer", help="A layer, such as conv3; as often as wanted."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="The file to write.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Tell what would be fetched or uploaded; do neither.")
]
Force = Annotated[bool, typer.Option("--force", help="Write over what is there already.")]
Played = Annotated[
    Path | None,
    typer.Option("--recording", help="A recording with screens; else the agent plays one."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any other setting; as often as wanted."),
]


Method = Annotated[str, typer.Option(help="integrated_gradients, greydanus, lrp ...")]
Target = Annotated[
    str,
    typer.Option(
        help="decision (of Q-networks the margin, of policies the output of the choice), chosen, "
        "an action's name or number, margin, value, advantage, entropy, atom:FIRE:50 ..."
    ),
]
Baseline = Annotated[
    str, typer.Option(help="black, mean, previous, still, blurred or observations.")
]
MethodOptions = Annotated[
    list[str] | None, typer.Option("--option", help="Of the method, such as steps=200.")
]


def assignments(
    texts: Iterable[str], example: str = "learning_rate=1e-3", option: str = "--set"
) -> dict[str, Any]:
    """The values by name: numbers, lists and the like as Python writes them, else text.

    Raises ValueError, with the example and the option's name, if one of them has no "=".

    >>> assignments(["envs=8", "levels=[0, 0.1]", "kind=frame"])
    {'envs': 8, 'levels': [0, 0.1], 'kind': 'frame'}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{option} takes NAME=VALUE, such as {example}; it was '{text}'")
        try:
            found[name] = literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def method_options(given: Iterable[str] | None) -> dict[str, Any]:
    """Those of a method of attribution, as in `--option steps=200`.

    Raises ValueError as `assignments` does.
    """
    return assignments(given or [], "steps=200", "--option")


def seen_play(
    network: Network,
    recording: Path | None,
    steps: int | None,
    seed: int,
    envs: int = 1,
    usual: int = 1000,
) -> Recording:
    """A recording with screens and colour frames: the one at that path, or play of the network.

    steps: to play, `usual` if not given; of a recording no more than these.
    Raises ValueError if that is no step, or the recording is of another game or other actions.
    """
    import atari_zoo as zoo
    from atari_zoo.players import check_play
    from atari_zoo.recordings.beginnings import beginning

    if steps is not None and steps < 1:
        raise ValueError(f"{steps} steps; expected at least 1")
    if recording is not None:
        played = zoo.open_recording(recording)
        check_play(network, played)
        return played if steps is None else beginning(played, steps)
    with progress_bar("playing", "steps") as update:
        return zoo.rollout(
            network,
            steps=usual if steps is None else steps,
            envs=envs,
            seed=seed,
            keep=["screens", "frames", "ram"],
            progress=update,
        )
