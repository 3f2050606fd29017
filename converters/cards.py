"""The card that travels inside a model's file: what is known of it besides its weights."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

ACTION_RULES = ("argmax", "sample", "epsilon-greedy")


@dataclass(frozen=True)
class Preprocessing:
    """How the emulator's screen becomes an observation, and how an episode begins.

    The variants that published agents were trained with are rows of `PREPROCESSINGS`.
    """

    name: str = "vector"
    frame_skip: int = 4  # emulator frames an action is repeated for
    # "luma": bytes; "float": .299 R + .587 G + .114 B, not rounded; "gymnasium": its own since 1.0
    grey: str = "luma"
    # the maximum of the last two frames is taken in "grey", in "rgb", or of the frames "resized"
    max_pool: str = "grey"
    resize_colour: bool = False  # red, green and blue are resized first, and made grey after
    resize: str = "area"  # to 84x84: OpenCV's "area", TensorFlow's "bilinear", Pillow's "triangle"
    rounding: str = "nearest"  # to bytes: "nearest" or "truncate"; "none": to numbers in 0..1
    stack: int = 4  # frames in an observation, newest last
    stack_start: str = "zeros"  # what stands before the first frame: "zeros", or its "copies"
    reset: str = "vector"  # whose rules an episode begins by: a name in `atari_zoo.emulator.resets`
    noops: int = 30  # single-frame no-ops at its start: fewer than this, or 1 to this many
    fire_reset: bool = True  # FIRE is pressed at an episode's start, in games that have it
    life_loss_ends: bool = False  # for the agent an episode ends with a life; the game goes on
    fire_after_life_loss: bool = False  # FIRE is pressed in an action's place after a lost life
    sticky: float = 0.0  # probability that the emulator repeats the action before
    max_frames: int = 108_000  # emulator frames in an episode: half an hour of play


# frames in a game of gym's NoFrameskip-v4 of old, and of gym_tensorflow
LONG = 400_000
PREPROCESSINGS: dict[str, Preprocessing] = {
    preprocessing.name: preprocessing
    for preprocessing in (
        # ale-py's AtariVectorEnv as it comes, but with the rewards as the game gives them
        Preprocessing(name="vector"),
        # DeepMind's wrappers as baselines, SB3 (AtariWrapper and VecFrameStack) and
        # pytorch-a2c-ppo-acktr-gail have them
        Preprocessing(name="deepmind", max_pool="rgb", reset="deepmind", life_loss_ends=True),
        # what the original zoo played its A2C, Ape-X, ES and GA agents with: atari_wrappers.py of
        # uber-research/atari-model-zoo, with resize_bilinear(align_corners=True)
        Preprocessing(
            name="tf",
            grey="float",
            max_pool="rgb",
            resize="bilinear",
            rounding="none",
            stack_start="copies",
            reset="deepmind",
            max_frames=LONG,
        ),
        # and its IMPALA agents: the same with Pillow
        Preprocessing(
            name="np",
            grey="float",
            max_pool="rgb",
            resize="triangle",
            rounding="truncate",
            stack_start="copies",
            reset="deepmind",
            max_frames=LONG,
        ),
        # Dopamine's AtariPreprocessing and its agents' zero-filled state
        Preprocessing(name="dopamine", noops=0, fire_reset=False, sticky=0.25),
        # the same as the original zoo played its DQN and Rainbow agents with it
        Preprocessing(name="dopamine-zoo", noops=0, fire_reset=False, stack_start="copies"),
        # what ES and GA were trained with: uber-research/deep-neuroevolution
        # (gpu_implementation/gym_tensorflow/atari)
        Preprocessing(
            name="gym-tensorflow",
            grey="float",
            resize="bilinear",
            rounding="none",
            reset="gym-tensorflow",
            max_frames=LONG,
        ),
        # DQN and C51 of atari-agents (ale_env.py: ALEModern), and with the ALE's older settings
        Preprocessing(
            name="atari-agents", max_pool="resized", noops=0, fire_reset=False, sticky=0.25
        ),
        Preprocessing(name="atari-agents-classic", max_pool="resized", fire_reset=False),
        # CleanRL's *_atari.py: baselines' wrappers, and then gym's (before Gymnasium 1.0, whose
        # grey is another) ResizeObservation, GrayScaleObservation and FrameStack
        Preprocessing(
            name="cleanrl",
            max_pool="rgb",
            resize_colour=True,
            stack_start="copies",
            reset="deepmind",
            life_loss_ends=True,
        ),
        # the same over Gymnasium 1.0 and later: ResizeObservation, GrayscaleObservation
        Preprocessing(
            name="cleanrl-gymnasium",
            grey="gymnasium",
            max_pool="rgb",
            resize_colour=True,
            stack_start="copies",
            reset="deepmind",
            life_loss_ends=True,
        ),
        # EnvPool with episodic_life, as CleanRL's *_envpool*.py have it
        Preprocessing(name="envpool", stack_start="copies", reset="envpool", life_loss_ends=True),
        # Gymnasium's AtariPreprocessing and FrameStackObservation over ALE/Game-v5
        Preprocessing(
            name="modern",
            stack_start="copies",
            reset="deepmind",
            fire_reset=False,
            sticky=0.25,
        ),
    )
}


def preprocessing_named(name: str) -> Preprocessing:
    """Raises ValueError, with the names there are, if there is no such preprocessing."""
    if name not in PREPROCESSINGS:
        raise ValueError(f"no preprocessing '{name}'; there are {', '.join(PREPROCESSINGS)}")
    return PREPROCESSINGS[name]


# a white pixel's value
INPUT_RANGES = {"0..1": 1.0, "0..255": 255.0}
RANGE_ASSUMED = "pixels from 0 to 1: the file does not tell (--input-range 0..255 if it is not so)"
BYTES_ASSUMED = (
    "pixels from 0 to 255, its library's default: the file does not tell (--input-range 0..1 if it "
    "is not so)"
)
ASSUMED_RANGES = {RANGE_ASSUMED: "0..1", BYTES_ASSUMED: "0..255"}


@dataclass(frozen=True)
class ModelCard:
    """Who an agent is, how it is meant to be played, and where it came from.

    collection, algorithm, game, run, tag: the parts of its name,
        `[collection:]algorithm/Game/run[@tag]`; the package's own agents have no collection.
    action_meanings: ALE's names of the outputs, in order; empty where unknown.
    action_rule: how an action is chosen from the output: "argmax", "sample" (softmax of the
        output) or "epsilon-greedy".
    source, format: the file it was made from, and that file's kind.
    sha256: of that file.
    scores: facts measured on it, such as {"mean": 20.1, "episodes": 30}.
    verified: how its conversion compared with onnxruntime, layer by layer.
    input_range: the pixels that the file's graph takes, "0..1" or "0..255", where the graph does
        not tell and somebody did; empty where it is as the graph itself has it.
    assumptions: what the file does not tell and was taken for granted, a line each.
    """

    algorithm: str = "unknown"
    game: str = ""
    run: str = "1"
    tag: str = ""
    action_meanings: tuple[str, ...] = ()
    action_rule: str = "argmax"
    epsilon: float = 0.001
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    source: str = ""
    format: str = ""
    licence: str = ""
    sha256: str = ""
    frames: int = 0  # emulator frames it was trained for
    scores: dict[str, Any] = field(default_factory=dict)
    verified: dict[str, Any] = field(default_factory=dict)
    collection: str = ""
    input_range: str = ""
    assumptions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The zoo's name for it, such as `a2c/Seaquest/2` or `uber:a2c/Seaquest/2@1HR`."""
        tag = f"@{self.tag}" if self.tag else ""
        collection = f"{self.collection}:" if self.collection else ""
        return f"{collection}{self.algorithm}/{self.game or 'unknown'}/{self.run}{tag}"

    def __repr__(self) -> str:
        """Short, since a card's facts fill pages; `to_json` has them all."""
        return f"<ModelCard {self.name}>"

    def replace(self, **changes: Any) -> ModelCard:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def over(self, fields: dict[str, Any]) -> ModelCard:
        """This card, and where it says nothing, what `fields` says, by name."""
        empty = ModelCard()
        said = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        said = {name: value for name, value in said.items() if value != getattr(empty, name)}
        return dataclasses.replace(empty, **(fields | said))

    def to_json(self) -> str:
        """The card as JSON, to be stored in a model's file."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Reads what `to_json` wrote; fields that a newer version added are passed over.

        Raises ValueError where the text is no card.
        """
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError(f"a model card is a JSON object, not {type(fields).__name__}")
        fields["preprocessing"] = Preprocessing(
            **_known(Preprocessing, fields.get("preprocessing", {}))
        )
        for name in ("action_meanings", "assumptions"):
            fields[name] = tuple(fields.get(name, ()))
        return cls(**_known(cls, fields))


def _known(cls: type, fields: dict[str, Any]) -> dict[str, Any]:
    names = {f.name for f in dataclasses.fields(cls)}
    return {name: value for name, value in fields.items() if name in names}
