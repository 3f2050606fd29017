"""Jobs: what a sweep does with each model.

A job is a function of a model's name or path, a folder to write into, a seed and settings of its
own; it returns what it found, as JSON has it.

To add one: a package's entry point in the group "atari_zoo.jobs", or `module:function` where the
name of a job is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from atari_zoo.converters.registration import RegisteredTwice
from atari_zoo.play.noise import Noise
from atari_zoo.play.options import flattened
from atari_zoo.play.plans import CACHE, FLAT, Plan, as_cached, plan_of
from atari_zoo.seeds import draw_seed

if TYPE_CHECKING:
    from atari_zoo.converters.network.foreign import Network

Job = Callable[..., dict[str, Any]]
POINTS = "atari_zoo.jobs"


PLANNED = "planned"  # of a job that takes a plan: what makes it of settings
LANES = "in_lanes"  # of a job that may be done beside others in one process
LOADING = Lock()  # of models: what is drawn for untrained ones is drawn from torch's one generator


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
        return _installed(name)
    except (StopIteration, ImportError, AttributeError) as error:
        raise ValueError(
            f"no job '{name}'; there are {', '.join(jobs())}, or MODULE:FUNCTION of your own"
        ) from error


def _installed(name: str) -> Job:
    points = {point.value: point for point in entry_points(group=POINTS) if point.name == name}
    if len(points) > 1:
        raise RegisteredTwice(
            f"two jobs are called '{name}': {' and '.join(sorted(points))}; "
            "uninstall one of the packages that bring them, or ask for MODULE:FUNCTION"
        )
    return next(iter(points.values())).load()


def check_settings(name: str, given: Mapping[str, Any]) -> None:
    """Raises ValueError if the job of that name has no such settings; the message lists them. Also
    if they make no plan, of a job that takes one."""
    job = job_named(name)
    parameters = inspect.signature(job).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for setting in given:
        if setting not in known:
            raise ValueError(
                f"job '{name}' has no setting '{setting}'; it has {', '.join(known) or 'none'}"
            )
    planned: Callable[[dict[str, Any]], Any] | None = getattr(job, PLANNED, None)
    if planned is not None:
        planned(dict(given))


def job_of_a_plan(
    usual: Mapping[str, Any], without: Iterable[str] = (), lanes: bool = False
) -> Callable[[Job], Job]:
    """Gives a job a plan's options for settings, by flat names; it takes the plan for `plan`.

    usual: what the job takes where an option is not given, if that is not the plan's own default;
        of steps and episodes, whichever is given. without: options that are not the user's.
    lanes: whether it may be done for several models at once, in threads of one process.
    """
    there = {name: flat for name, flat in FLAT.items() if name not in ("seed", *without)}

    def given(job: Job) -> Job:
        def planned(settings: dict[str, Any], seed: int = 0) -> Plan:
            """The plan that the settings make; they are taken out of them."""
            asked = {name: settings.pop(name) for name in [*settings] if name in there}
            lengths = {"steps", "episodes"}
            defaults = {n: v for n, v in usual.items() if not (n in lengths and lengths & {*asked})}
            return plan_of(defaults | asked | {"seed": seed})

        @wraps(job)
        def run(model: str, folder: Path, seed: int, **settings: Any) -> dict[str, Any]:
            plan = planned(settings, seed)
            return job(model, folder, seed, plan=plan, **settings)

        vars(run)[PLANNED] = planned
        vars(run)[LANES] = lanes

        own = inspect.signature(job)
        parameters = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=usual.get(name, flat.default),
            )
            for name, flat in sorted(there.items(), key=lambda item: item[0] not in usual)
        ]
        first = [p for p in own.parameters.values() if p.kind is not p.KEYWORD_ONLY]
        rest = [p for p in own.parameters.values() if p not in first and p.name != "plan"]
        vars(run)["__signature__"] = own.replace(parameters=[*first, *parameters, *rest])
        return run

    return given


def in_lanes_too(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether the job may be done for several models at once in one process, on its processor."""
    may = getattr(job_named(name), LANES, False)
    return bool(may) and settings.get("device", "cpu") == "cpu"


def _loaded(model: str, device: str) -> Network:
    """The model, one at a time."""
    import atari_zoo as zoo

    with LOADING:
        return zoo.load(model, device)


def _tuned(plan: Plan, network: Network) -> Plan:
    """The plan with what was found fastest on the machine that does the job."""
    from atari_zoo.play.tuned import as_tuned  # which asks for torch

    return as_tuned(plan, network)[0]


@job_of_a_plan(CACHE, lanes=True)
def record(
    model: str, folder: Path, seed: int, *, plan: Plan, device: str = "cpu"
) -> dict[str, Any]:
    """Records play into `play.zarr`: by default all that the paper's cache held."""
    import atari_zoo as zoo

    path, network = folder / "play.zarr", _loaded(model, device)
    plan = _tuned(as_cached(plan, network.layers), network)
    return zoo.rollout(network, plan, path=path).summary()


@job_of_a_plan({"episodes": 30}, lanes=True)
def score(
    model: str, folder: Path, seed: int, *, plan: Plan, device: str = "cpu"
) -> dict[str, Any]:
    """Plays whole episodes: returns, their mean, its interval."""
    import atari_zoo as zoo

    network = _loaded(model, device)
    return zoo.rollout(network, _tuned(plan, network)).summary()


@job_of_a_plan({"episodes": 10}, without=flattened(Noise), lanes=True)
def noise(
    model: str,
    folder: Path,
    seed: int,
    *,
    plan: Plan,
    kind: str | Sequence[str] = "parameters",
    levels: Sequence[float] | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Scores under noise of each level, of one kind or several (`play.noise.PERTURBED`), or "all":
    "parameters" are the convolutions' kernels, as in the paper; clean and random play beside it.
    Each seed plays other games: environment i of seed s plays game s * envs + i.

    With several kinds, the `curves` of each stand in the place of its levels, returns and means.
    """
    from atari_zoo.play.noise import LEVELS
    from atari_zoo.play.robustness import noise_scores

    kinds = [*LEVELS] if kind == "all" else [kind] if isinstance(kind, str) else [*kind]
    plan, network = replace(plan, seed=draw_seed(0, seed, plan.envs)), _loaded(model, device)
    found = noise_scores(network, _tuned(plan, network), kinds, levels)
    curves = [
        {
            "kind": one.kind,
            "levels": list(one.levels),
            "returns": [list(some) for some in one.returns],
            "means": [sum(some) / len(some) for some in one.returns],
        }
        for one in found
    ]
    facts = {
        "clean": list(found[0].clean),
        "random": list(found[0].random),
        "first_game": plan.seed,
        "agent": network.card.name,
    }
    return (curves[0] if len(curves) == 1 else {"kind": kinds, "curves": curves}) | facts
