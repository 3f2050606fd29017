"""Plans: all that can be asked of a rollout, each option declared once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from atari_zoo.converters.arguments import check_kinds
from atari_zoo.converters.cards import ACTION_RULES, PREPROCESSINGS, Preprocessing
from atari_zoo.play.noise import Noise
from atari_zoo.play.options import check_options, flattened, gathered, option
from atari_zoo.recordings.arrays import KEEP
from atari_zoo.seeds import whole

INT8 = "int8"
DTYPES = ("float32", "bfloat16", "float16", INT8)
BACKENDS = ("auto", "torch", "onnxruntime", "trial")
SILENCE = Noise()
# what the paper's cache of play held, the dense layer aside
CACHE: Mapping[str, Any] = {"steps": 2500, "envs": 1, "keep": ["frames", "ram", "outputs"]}


def unheard(done: int, total: int) -> None:
    """Progress that nobody is told of."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked of a rollout; what is None is as the network's card has it.

    Raises ValueError if an option is out of range, or some do not go together.
    """

    steps: int | None = option(None, "Steps in each environment.", least=1, header="steps")
    episodes: int | None = option(
        None,
        "Whole episodes in all, instead of steps.",
        "They are shared out beforehand, each environment playing its first few to the end, so "
        "that short episodes are not counted more often than long ones.",
        least=1,
        verbs=["play"],
        header="counted",
    )
    envs: int = option(8, "Copies of the game at once.", least=1, header="envs")
    seed: int = option(
        0,
        "Any whole number; the same seed and envs give the same play.",
        "Environment i is seeded with seed + i.",
        header="seed",
    )
    game: str | None = option(None, "A game, in any spelling; else the card's.", header="game")
    action: str | None = option(
        None,
        f"How actions are chosen: {', '.join(ACTION_RULES)}; else as the card has it.",
        choices=ACTION_RULES,
        noun="action rule",
    )
    epsilon: float | None = option(
        None, "Share of random actions of epsilon-greedy; else the card's.", least=0, most=1
    )
    preprocessing: Preprocessing | Mapping[str, Any] | str | None = option(
        None,
        f"How screens are seen: {', '.join(PREPROCESSINGS)}; else as the card has it.",
        "A Preprocessing, the name of one, or what to change of the card's, such as "
        '{"resize": "linear"}; "name" among that is of the one to begin from.',
        choices=PREPROCESSINGS,
        header="preprocessing",
    )
    sticky: float | None = option(
        None,
        "Probability that the emulator repeats the action before; else the preprocessing's.",
        least=0,
        most=1,
        header="preprocessing",
    )
    mode: int | None = option(None, "Mode of the game, as ALE numbers it.")
    difficulty: int | None = option(None, "Difficulty of the game, as ALE numbers it.")
    noise: Noise = option(SILENCE, "Noise on observations, parameters, actions.")
    forget: Sequence[int] = option(
        (),
        "Past frames in whose place the agent sees the present one: 1 is the last before it.",
        "So what its memory of frames is for can be told from what it loses.",
        flag="--forget-frame",
    )
    keep: Sequence[str] = option(
        (),
        f"What to record beside actions, rewards and scores: {', '.join(KEEP)}.",
        "; ".join(f'"{name}": {array.help}' for name, array in KEEP.items()) + ".",
        choices=KEEP,
        verbs=["record"],
        header="arrays",
    )
    layers: Sequence[str] = option(
        (),
        "Layers whose activations to record, in float16.",
        flag="--layer",
        verbs=["record"],
        header="arrays",
    )
    recompute: Sequence[str] = option(
        (),
        "Layers that the model computes again when they are read, instead: smaller.",
        "The model must be one that `load` knows by its card's name; a recording with fc is a "
        "third to three quarters smaller so.",
        verbs=["record"],
    )
    path: str | Path | None = option(
        None,
        "A folder to record into while playing; the recording returned then reads from it.",
        "Of several networks, the folder that their recordings' folders are made in.",
        verbs=[],
        header="",
    )
    resume: bool = option(
        False,
        "Goes on with what is at `path`, as if it had never stopped; begins, if nothing is.",
        verbs=[],
        header="",
    )
    dtype: str = option(
        "float32",
        f"Of weights and arithmetic: {', '.join(DTYPES)}.",
        "Outputs are float32, and so is the head of an architecture with a name. int8, of such an "
        "architecture on a CPU in onnxruntime, is calibrated once on the agent's own play.",
        choices=DTYPES,
    )
    force_int8: bool = option(
        False,
        "Play in int8 even where it chooses another action than float32 in over 5 % of frames.",
        flag="--force",
        verbs=["play"],
        header="",
    )
    backend: str = option(
        "auto",
        f"What computes: {', '.join(BACKENDS)}.",
        "auto: onnxruntime, on a CPU about twice as fast, where it computes the same, else torch; "
        "trial: the faster of both, so that play may not repeat to the last bit. With torch on a "
        "CPU, have OMP_WAIT_POLICY=PASSIVE in the environment before torch is imported, lest its "
        "threads spin on the emulator's cores.",
        choices=BACKENDS,
    )
    groups: int | None = option(
        None,
        "Parts that the environments are played in, the network thinking of one while the others' "
        "emulators work; 2, but 1 where torch computes on a CPU.",
        least=1,
        header="",
    )
    threads: int | None = option(
        None,
        "Threads of each group's emulators, or their processes; one a core if not given.",
        least=1,
        header="",
    )
    progress: Callable[[int, int], None] = option(
        unheard,
        "Called with what is done and what there is to do, in steps or episodes.",
        verbs=[],
        header="",
    )

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.episodes is None):
            raise ValueError("say how long to play: either steps= or episodes=")
        check_kinds(self)
        check_options(self)
        whole(self.seed)
        if self.dtype == INT8 and (self.noise.observation or self.noise.parameters):
            raise ValueError(
                "int8 is of the agent's own weights and observations in bytes: no noise on either; "
                "play in float32"
            )
        if self.recompute and (self.noise != SILENCE or self.forget or self.dtype != "float32"):
            raise ValueError(
                "what a network computed with noise, without some frames or in fewer bits "
                "cannot be recomputed: "
                "record these layers with layers= (--layer)"
            )
        if self.recompute and not {"screens", "frames"} & set(self.keep):
            raise ValueError(
                "layers are recomputed from what the agent saw: keep 'screens' or 'frames' too"
            )


# the options by flat names, those aside that only a caller in Python can give
FLAT = {name: flat for name, flat in flattened(Plan).items() if flat.about.verbs}


def plan_of(flat: Mapping[str, Any]) -> Plan:
    """A plan from options by flat names, such as those of the command line.

    Raises ValueError as `Plan` does.

    >>> plan_of({"steps": 10, "observation_noise": 0.1}).noise.observation
    0.1
    """
    return Plan(**gathered(Plan, flat))


def as_cached(plan: Plan, layers: Collection[str]) -> Plan:
    """The plan; but the dense layer is recorded, as in that cache, if it says nothing of layers.

    layers: the network's, of which it may be none.
    """
    asked = plan.layers or plan.recompute or "fc" not in layers
    return plan if asked else replace(plan, layers=["fc"])
