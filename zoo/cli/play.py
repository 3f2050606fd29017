"""`atari-zoo play` and `atari-zoo record`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atari_zoo.catalog.names import file_name
from atari_zoo.cli.verbs import verb
from atari_zoo.progress import progress_bar

if TYPE_CHECKING:
    from atari_zoo.recordings.recordings import Recording

Model = Annotated[
    str, typer.Argument(help="A name, such as a2c/Pong/1, or the path of a model's file.")
]
Seed = Annotated[int, typer.Option(help="The same seed plays the same games.")]
Envs = Annotated[int, typer.Option(help="Copies of the game at once.")]
Game = Annotated[str | None, typer.Option(help="A game, in any spelling; else the card's.")]
Action = Annotated[
    str | None, typer.Option(help="argmax, sample or epsilon-greedy; the card's if not given.")
]
Variant = Annotated[
    str | None,
    typer.Option(help="vector, deepmind, dopamine, tf, np, modern ...; else the card's."),
]
Sticky = Annotated[
    float | None, typer.Option(help="Probability that the emulator repeats the action before.")
]
Mode = Annotated[int | None, typer.Option(help="Of the game, as ALE numbers it.")]
Difficulty = Annotated[int | None, typer.Option(help="Of the game, as ALE numbers it.")]
ObservationNoise = Annotated[float, typer.Option(help="Its standard deviation, in 0..1.")]
NoisePlace = Annotated[
    str, typer.Option(help="stack: anew at each step; frame: a frame keeps its own.")
]
ParameterNoise = Annotated[float, typer.Option(help="On the convolutions' kernels.")]
ActionNoise = Annotated[float, typer.Option(help="Share of random actions.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


@verb(
    "atari-zoo play a2c/Pong/1",
    "atari-zoo play agent.onnx --episodes 10 --seed 0 --envs 8 --json",
    "atari-zoo play agent.onnx --action argmax --sticky 0.25",
    "atari-zoo play agent.onnx --observation-noise 0.05 --noise-place frame",
)
def play(
    model: Model,
    episodes: Annotated[int, typer.Option(help="Whole episodes to play.")] = 10,
    seed: Seed = 0,
    envs: Envs = 8,
    game: Game = None,
    action: Action = None,
    preprocessing: Variant = None,
    sticky: Sticky = None,
    mode: Mode = None,
    difficulty: Difficulty = None,
    observation_noise: ObservationNoise = 0.0,
    noise_place: NoisePlace = "stack",
    parameter_noise: ParameterNoise = 0.0,
    action_noise: ActionNoise = 0.0,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    backend: Annotated[str, typer.Option(help="torch, onnxruntime, auto or trial.")] = "auto",
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Plays whole episodes, and says how well."""
    from atari_zoo.play.noise import Noise

    played = _rolled(
        model,
        device,
        preprocessing,
        "episodes",
        episodes=episodes,
        envs=envs,
        seed=seed,
        game=game,
        action=action,
        sticky=sticky,
        mode=mode,
        difficulty=difficulty,
        noise=Noise(observation_noise, noise_place, parameter_noise, actions=action_noise),
        dtype=dtype,
        backend=backend,
    )
    _tell(model, played, as_json)


@verb(
    "atari-zoo record a2c/Pong/1 --steps 2500",
    "atari-zoo record agent.onnx --steps 10000 --envs 8 --keep ram --keep screens -o play.zarr",
    "atari-zoo record agent.onnx --steps 2500 -o play.npz    # as the original zoo has it",
    "atari-zoo record apex/Pong/1 --recompute fc    # smaller: the model computes fc when read",
)
def record(
    model: Model,
    steps: Annotated[int, typer.Option(help="Steps in each copy of the game.")] = 2500,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A .zarr folder, resumed if it is there, or .npz."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="frames, ram, screens, outputs, probabilities, executed."),
    ] = None,
    layers: Annotated[
        list[str] | None, typer.Option("--layer", help="Whose activations are kept.")
    ] = None,
    recompute: Annotated[
        list[str] | None,
        typer.Option(help="Layers that the model computes again when they are read: smaller."),
    ] = None,
    seed: Seed = 0,
    envs: Envs = 1,
    game: Game = None,
    action: Action = None,
    preprocessing: Variant = None,
    sticky: Sticky = None,
    mode: Mode = None,
    difficulty: Difficulty = None,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Records play: by default screens, RAM, outputs and the dense layer, as the paper's cache."""
    network_name = Path(model).stem if Path(model).exists() else file_name(model)
    output = output or Path(f"{network_name}.zarr")
    archive = output.suffix in (".npz", ".zip")
    if archive and output.exists():
        raise FileExistsError(f"{output}: is there already; choose another name")
    played = _rolled(
        model,
        device,
        preprocessing,
        "steps",
        steps=steps,
        envs=envs,
        seed=seed,
        game=game,
        action=action,
        sticky=sticky,
        mode=mode,
        difficulty=difficulty,
        keep=keep or ["frames", "ram", "outputs"],
        layers=layers or ([] if recompute else ["fc"]),
        recompute=recompute or [],
        path=None if archive else output,
        resume=True,
    )
    if archive:
        played.save(output)
    _tell(model, played, as_json, str(output))


def _rolled(
    model: str, device: str, preprocessing: str | None, unit: str, **options: Any
) -> Recording:
    import atari_zoo as zoo
    from atari_zoo.converters.cards import preprocessing_named

    network = zoo.load(model, device)
    variant = preprocessing_named(preprocessing) if preprocessing else None
    with progress_bar("playing", unit) as update:
        return zoo.rollout(network, preprocessing=variant, progress=update, **options)


def _tell(model: str, played: Recording, as_json: bool, output: str = "") -> None:
    from atari_zoo.games import game as find_game

    result = played.summary() | {"model": model} | ({"output": output} if output else {})
    if as_json:
        print(json.dumps(result))
        return
    rate = result["steps_per_second"]
    speed = "" if rate is None else f", {rate:.0f} steps/s"
    score = "no episode ended"
    if result["mean"] is not None:
        score = f"{result['mean']:.1f} ± {result['std']:.1f} over {result['episodes']} episodes"
    print(f"{model} in {played.game}: {score}{speed}")
    of = find_game(played.game)
    if of.human is not None:
        print(f"random play scores {of.random:g}, a person {of.human:g}")
    if output:
        print(output)
