"""Jobs: what a sweep does with each model.

A job is a function of a model's name or path, a folder to write into, a seed and settings of its
own; it returns what it found, as JSON has it.

To add one: a package's entry point in the group "atari_zoo.jobs", or `module:function` where the
name of a job is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from atari_zoo.converters.registration import RegisteredTwice

Job = Callable[..., dict[str, Any]]
POINTS = "atari_zoo.jobs"


def jobs() -> list[str]:
    """The names of the jobs that installed packages bring, the zoo's own among them."""
    return sorted({point.name for point in entry_points(group=POINTS)})


def job_named(name: str) -> Job:
    """The job; raises ValueError, with those there are, if there is none of that name.

    Raises RegisteredTwice if two packages bring different jobs of that name.
    """
    module, colon, function = name.partition(":")
    try:
        if colon:
            return getattr(import_module(module), function)
        return _point(name).load()
    except (StopIteration, ImportError, AttributeError) as error:
        raise ValueError(
            f"no job '{name}'; there are {', '.join(jobs())}, or MODULE:FUNCTION of your own"
        ) from error


def _point(name: str) -> EntryPoint:
    points = {point.value: point for point in entry_points(group=POINTS) if point.name == name}
    if len(points) > 1:
        raise RegisteredTwice(
            f"two jobs are called '{name}': {' and '.join(sorted(points))}; "
            "uninstall one of the packages that bring them, or ask for MODULE:FUNCTION"
        )
    return next(iter(points.values()))


def check_settings(name: str, given: Mapping[str, Any]) -> None:
    """Raises ValueError if the job of that name has no such settings; the message lists them."""
    parameters = inspect.signature(job_named(name)).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for setting in given:
        if setting not in known:
            raise ValueError(
                f"job '{name}' has no setting '{setting}'; it has {', '.join(known) or 'none'}"
            )


def record(
    model: str,
    folder: Path,
    seed: int,
    *,
    steps: int = 2500,
    envs: int = 1,
    keep: Sequence[str] = ("frames", "ram", "outputs"),
    layers: Sequence[str] = ("fc",),
    device: str = "cpu",
) -> dict[str, Any]:
    """Records play into `play.zarr`: by default all that the paper's cache held."""
    import atari_zoo as zoo

    network = zoo.load(model, device)
    path = folder / "play.zarr"
    return zoo.rollout(
        network, steps=steps, envs=envs, seed=seed, keep=keep, layers=layers, path=path
    ).summary()


def score(
    model: str,
    folder: Path,
    seed: int,
    *,
    episodes: int = 30,
    envs: int = 8,
    action: str | None = None,
    sticky: float | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Plays whole episodes: returns, their mean, its interval."""
    import atari_zoo as zoo

    network = zoo.load(model, device)
    return zoo.rollout(
        network, episodes=episodes, envs=envs, seed=seed, action=action, sticky=sticky
    ).summary()


def noise(
    model: str,
    folder: Path,
    seed: int,
    *,
    kind: str = "parameters",
    levels: Sequence[float] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2),
    episodes: int = 10,
    envs: int = 8,
    device: str = "cpu",
) -> dict[str, Any]:
    """Scores under noise of each level on "parameters" (the convolutions' kernels, as in the
    paper), "observation" or "actions"."""
    import atari_zoo as zoo

    network = zoo.load(model, device)
    kinds = {
        "parameters": [zoo.Noise(parameters=level) for level in levels],
        "observation": [zoo.Noise(observation=level) for level in levels],
        "actions": [zoo.Noise(actions=level) for level in levels],
    }
    if kind not in kinds:
        raise ValueError(f"no noise on '{kind}'; there are {', '.join(kinds)}")
    plays = [
        zoo.rollout(network, episodes=episodes, envs=envs, seed=seed, noise=noise)
        for noise in kinds[kind]
    ]
    returns = [play.returns.tolist() for play in plays]
    means = [sum(some) / len(some) for some in returns]
    return {"kind": kind, "levels": list(levels), "returns": returns, "means": means}
