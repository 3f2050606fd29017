"""Preprocessings: how the emulator's screen becomes an observation, and how an episode begins.

Facts alone: `atari_zoo.preprocessing` renders by them, `atari_zoo.emulator` plays by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

# first row, the one after the last, first column, the one after the last
Span = tuple[int, ...]


def _part(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Preprocessing:
    """How the emulator's screen becomes an observation, and how an episode begins.

    The variants that published agents were trained with are rows of `PREPROCESSINGS`.
    """

    name: str = "vector"
    frame_skip: int = _part(4, "Emulator frames an action is repeated for.")
    frame_skip_least: int = _part(
        0, "If not 0, as many frames as are drawn at each step, from this to --frame-skip."
    )
    crop: Span = _part((), "The part of the screen that is seen, as in 35,195,0,160; else all.")
    grey: str = _part(
        "luma",
        "luma: bytes; float: .299 R + .587 G + .114 B, not rounded; gymnasium: its own since 1.0; "
        "rec709: .2125 R + .7154 G + .0721 B, not rounded; mean of the three, not rounded; "
        "async-rl: .2126 R + .0722 G + .7152 B, cut to bytes; colour: none, a frame is three "
        "channels.",
    )
    max_pool: str = _part(
        "grey",
        "The maximum of the last two frames is taken in grey, in rgb, or of the frames resized; "
        "none: of the last frame alone.",
    )
    stretch: bool = _part(
        False, "A frame's darkest and brightest become 0 and 255 before it is resized."
    )
    resize_colour: bool = _part(
        False, "Red, green and blue are resized first, and made grey after."
    )
    resize: str = _part(
        "area", "OpenCV's area, linear or nearest, TensorFlow's bilinear, Pillow's triangle."
    )
    size: tuple[int, ...] = _part((84, 84), "Height and width of what that makes, as in 80x80.")
    window: Span = _part((), "The part of that which is kept, as in 18,102,0,84; else all.")
    rounding: str = _part("nearest", "To bytes: nearest or truncate; none: to numbers in 0..1.")
    stack: int = _part(4, "Frames in an observation, newest last; 1 to 8.")
    stack_start: str = _part("zeros", "What stands before the first frame: zeros, or its copies.")
    reset: str = _part(
        "vector", "Whose rules an episode begins by: vector, deepmind, gym-tensorflow or envpool."
    )
    noops: int = _part(30, "Single-frame no-ops at its start: fewer than this, or 1 to this many.")
    fire_reset: bool = _part(True, "FIRE is pressed at an episode's start, in games that have it.")
    life_loss_ends: bool = _part(
        False, "For the agent an episode ends with a life; the game goes on."
    )
    fire_after_life_loss: bool = _part(
        False, "FIRE is pressed in an action's place after a lost life."
    )
    sticky: float = _part(0.0, "Probability that the emulator repeats the action before.")
    max_frames: int = _part(108_000, "Emulator frames in an episode; half an hour of play.")

    @property
    def channels(self) -> int:
        """Of a frame: 3 in colour."""
        return 3 if self.grey == "colour" else 1

    @property
    def side(self) -> tuple[int, int]:
        """Height and width of an observation."""
        top, bottom, left, right = self.window or (0, self.size[0], 0, self.size[1])
        return bottom - top, right - left

    @property
    def frame(self) -> tuple[int, ...]:
        """The shape of a frame: (height, width), or (3, height, width) in colour."""
        return self.side if self.channels == 1 else (self.channels, *self.side)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an observation."""
        return (self.stack * self.channels, *self.side)


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
        # torchbeast's atari_wrappers.py: baselines' with cv2, whose FrameStack begins with copies
        Preprocessing(
            name="torchbeast",
            max_pool="rgb",
            stack_start="copies",
            reset="deepmind",
            life_loss_ends=True,
        ),
        # Kaixhin/Rainbow (env.py, as it evaluates): frames are resized, and then the maximum taken
        Preprocessing(name="kaixhin", max_pool="resized", resize="linear", fire_reset=False),
        # muupan/async-rl (ale.py of its copies, as it evaluates), whose weights of green and blue
        # stand the other way round; it draws 0 to 30 no-ops, and ends no game by itself
        Preprocessing(
            name="async-rl",
            grey="async-rl",
            max_pool="rgb",
            resize="linear",
            noops=31,
            fire_reset=False,
            max_frames=LONG,
        ),
        # greydanus/baby-a3c (baby-a3c.py over gym's Game-v4): scipy.misc.imresize of a float image
        # stretches it first
        Preprocessing(
            name="baby-a3c",
            frame_skip_least=2,
            crop=(35, 195, 0, 160),
            grey="mean",
            max_pool="none",
            stretch=True,
            resize="triangle",
            size=(80, 80),
            stack=1,
            noops=0,
            fire_reset=False,
            max_frames=30_000,  # 10,000 steps, of 3 frames in the mean
        ),
    )
}


def preprocessing_named(name: str) -> Preprocessing:
    """Raises ValueError, with the names there are, if there is no such preprocessing."""
    if name not in PREPROCESSINGS:
        raise ValueError(f"no preprocessing '{name}'; there are {', '.join(PREPROCESSINGS)}")
    return PREPROCESSINGS[name]


def preprocessing_changed(base: Preprocessing, changes: Mapping[str, Any]) -> Preprocessing:
    """A preprocessing with some fields changed, and a name that tells of it; `name` among the
    changes is of one in `PREPROCESSINGS` to begin from.

    Raises ValueError for a field that there is none of, or a value that cannot be its.

    >>> preprocessing_changed(Preprocessing(), {"name": "dopamine", "resize": "linear"}).name
    'dopamine, resize=linear'
    """
    plain = Preprocessing()
    names = [f.name for f in fields(Preprocessing)]
    for name in changes:
        if name not in names:
            raise ValueError(f"no '{name}' in a preprocessing; there are {', '.join(names[1:])}")
    begun = preprocessing_named(changes["name"]) if "name" in changes else base
    made = {name: value for name, value in changes.items() if name != "name"}
    made = {name: _checked(name, value, getattr(plain, name)) for name, value in made.items()}
    made = {name: value for name, value in made.items() if value != getattr(begun, name)}
    said = [f"{name}={_shown(value)}" for name, value in made.items()]
    return replace(begun, **made, name=", ".join([begun.name, *said]))


def as_preprocessing(
    wanted: Preprocessing | Mapping[str, Any] | str, usual: Preprocessing | None = None
) -> Preprocessing:
    """The preprocessing itself, the one of that name, or the usual one with what is to be changed.

    usual: "vector" if not given.
    Raises ValueError as `preprocessing_changed` does, and for anything else.
    """
    if isinstance(wanted, str):
        return preprocessing_named(wanted)
    if isinstance(wanted, Mapping):
        return preprocessing_changed(usual or Preprocessing(), wanted)
    if not isinstance(wanted, Preprocessing):
        raise ValueError(
            f"preprocessing is {wanted!r}; expected a name, the parts to change in a mapping, or a "
            "Preprocessing"
        )
    return wanted


def preprocessing_from(facts: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing that a file tells of; facts that a newer version added are passed over.

    Raises ValueError for a value that cannot be its.
    """
    plain = Preprocessing()
    known = {f.name: facts[f.name] for f in fields(Preprocessing) if f.name in facts}
    return Preprocessing(
        **{name: _checked(name, value, getattr(plain, name)) for name, value in known.items()}
    )


def _checked(name: str, value: Any, usual: Any) -> Any:
    """The value, where it is of the kind of the usual one; JSON has lists for tuples."""
    if isinstance(usual, tuple):
        length = 2 if name == "size" else 4
        right = isinstance(value, list | tuple) and all(type(part) is int for part in value)
        if not right or len(value) not in (length, 0 if length == 4 else length):
            raise ValueError(f"{name} is {value!r}; expected {length} whole numbers")
        return tuple(value)
    if isinstance(usual, bool) or isinstance(value, bool) or isinstance(usual, str):
        if type(value) is not type(usual):
            raise ValueError(f"{name} is {value!r}; expected {_KINDS[type(usual)]}")
    elif not isinstance(value, int if isinstance(usual, int) else int | float) or value < 0:
        raise ValueError(f"{name} is {value!r}; expected {_KINDS[type(usual)]}, not below 0")
    return value


_KINDS = {bool: "true or false", str: "a word", int: "a whole number", float: "a number"}


def _shown(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple | list) else str(value).lower()
