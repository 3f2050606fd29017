"""Agents play: a network, many copies of its game, and a record of what happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypedDict, Unpack, overload

from atari_zoo.catalog.names import file_name
from atari_zoo.converters.cards import Preprocessing
from atari_zoo.converters.network.foreign import Network
from atari_zoo.play.noise import Noise
from atari_zoo.play.plans import SILENCE, Plan
from atari_zoo.play.runner import Play
from atari_zoo.recordings.recordings import Recording
from atari_zoo.threads import torch_threads


class Options(TypedDict, total=False):
    """The arguments of `rollout`, for type checkers: what it returns depends on the first."""

    steps: int | None
    episodes: int | None
    envs: int
    seed: int
    game: str | None
    action: str | None
    epsilon: float | None
    preprocessing: Preprocessing | None
    sticky: float | None
    mode: int | None
    difficulty: int | None
    noise: Noise
    keep: Sequence[str]
    layers: Sequence[str]
    recompute: Sequence[str]
    path: str | Path | None
    resume: bool
    dtype: str
    backend: str
    groups: int | None
    progress: Callable[[int, int], None]


@overload
def rollout(network: Network, **options: Unpack[Options]) -> Recording: ...
@overload
def rollout(network: Sequence[Network], **options: Unpack[Options]) -> list[Recording]: ...


def rollout(
    network: Network | Sequence[Network],
    *,
    steps: int | None = None,
    episodes: int | None = None,
    envs: int = 8,
    seed: int = 0,
    game: str | None = None,
    action: str | None = None,
    epsilon: float | None = None,
    preprocessing: Preprocessing | None = None,
    sticky: float | None = None,
    mode: int | None = None,
    difficulty: int | None = None,
    noise: Noise = SILENCE,
    keep: Sequence[str] = (),
    layers: Sequence[str] = (),
    recompute: Sequence[str] = (),
    path: str | Path | None = None,
    resume: bool = False,
    dtype: str = "float32",
    backend: str = "auto",
    groups: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Recording | list[Recording]:
    """Plays `steps` steps in each environment, or `episodes` whole episodes in all.

    network: on the device where it is to run; or several, of any games, each of which plays in
        `envs` environments of its own, as it would alone: a list of recordings is returned.
    episodes: shared out beforehand, each environment playing its first few to the end, so that
        short episodes are not counted more often than long ones.
    seed: environment i is seeded with seed + i; the same seed and envs give the same play.
    game, action ("argmax", "sample", "epsilon-greedy"), epsilon, preprocessing: the card's
        if not given. sticky: instead of the preprocessing's.
    mode, difficulty: of the game, as ALE numbers them.
    noise: on observations, parameters, actions.
    keep: what to record beside actions, rewards and scores: "frames" (the emulator's exact
        screens, which observations of any preprocessing are rendered from), "ram", "screens"
        (84x84, as the agent saw them), "outputs", "probabilities" (of the actions), "executed"
        (the actions that the emulator was given).
    layers: whose activations to record, in float16. recompute: whose to leave out, because the
        model, which must be one that `load` knows by its card's name, computes them again when
        they are read: a recording with fc is a third to three quarters smaller so.
    path: of a folder to record into while playing; the recording returned then reads from it.
        Of several networks, the folder that their recordings' folders are made in.
    resume: goes on with what is there, as if it had never stopped; or begins, if nothing is.
    dtype, backend: see `Player`; with torch on a CPU, have OMP_WAIT_POLICY=PASSIVE in the
        environment before torch is imported, lest its threads spin on the emulator's cores.
    groups: the environments are played in so many halves or parts, so that the network thinks
        of one while the others' emulators work. 2 if not given; but 1 where torch thinks on a
        CPU, as its threads need the emulators' cores.
    progress: called with what is done and what there is to do, in steps or episodes.

    Raises ValueError if the network and the game do not fit, or an argument is out of range;
    FileExistsError if there is something at `path` and it is not to be resumed.

    >>> rollout(net, episodes=10).returns.mean()
    20.1
    """
    plan = Plan(
        steps=steps,
        episodes=episodes,
        envs=envs,
        seed=seed,
        game=game,
        action=action,
        epsilon=epsilon,
        preprocessing=preprocessing,
        sticky=sticky,
        mode=mode,
        difficulty=difficulty,
        noise=noise,
        keep=keep,
        layers=layers,
        recompute=recompute,
        dtype=dtype,
        backend=backend,
        groups=groups,
    )
    several = isinstance(network, Sequence)
    networks = list(network) if isinstance(network, Sequence) else [network]
    places = _places(networks, path) if several else [None if path is None else Path(path)]
    with ExitStack() as stack:
        plays = [
            stack.enter_context(Play(one, plan, place, resume))
            for one, place in zip(networks, places, strict=True)
        ]
        if all(play.backend == "onnxruntime" for play in plays):
            stack.enter_context(torch_threads(1))
        going = [play for play in plays if not play.tally.finished]
        while going:
            # in turn: while one's network thinks, the emulators of the others work
            going = [play for play in going if _advanced(play, plays, progress)]
        recordings = [play.recording() for play in plays]
    return recordings if several else recordings[0]


def _advanced(play: Play, plays: Sequence[Play], progress: Callable[[int, int], None]) -> bool:
    more = play.advance()
    done, total = zip(*(one.tally.progress for one in plays), strict=True)
    progress(sum(done), sum(total))
    return more


def _places(networks: Sequence[Network], path: str | Path | None) -> list[Path | None]:
    """A folder for each network's recording, by its name; numbered where two have the same."""
    if path is None:
        return [None] * len(networks)
    Path(path).mkdir(parents=True, exist_ok=True)
    names = [file_name(network.card.name) for network in networks]
    same = [names[:at].count(name) for at, name in enumerate(names)]
    numbers = [f"~{count + 1}" if count else "" for count in same]
    return [Path(path) / f"{name}{n}.zarr" for name, n in zip(names, numbers, strict=True)]
