"""The card that travels inside a model's file: what is known of it besides its weights."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from atari_zoo.converters.displays import notebook_html
from atari_zoo.converters.preprocessings import PREPROCESSINGS as PREPROCESSINGS
from atari_zoo.converters.preprocessings import Preprocessing as Preprocessing
from atari_zoo.converters.preprocessings import preprocessing_from
from atari_zoo.converters.preprocessings import preprocessing_named as preprocessing_named

ACTION_RULES = ("argmax", "sample", "epsilon-greedy")


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

    _repr_html_ = notebook_html

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
        fields["preprocessing"] = preprocessing_from(fields.get("preprocessing", {}))
        for name in ("action_meanings", "assumptions"):
            fields[name] = tuple(fields.get(name, ()))
        return cls(**_known(cls, fields))


def _known(cls: type, fields: dict[str, Any]) -> dict[str, Any]:
    names = {f.name for f in dataclasses.fields(cls)}
    return {name: value for name, value in fields.items() if name in names}
