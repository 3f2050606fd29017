"""Texts that name units: "conv3:26", "fc:0..511", "fc:1,5", "output:FIRE", "atoms:0,0", "conv3".

    units = name [":" index {"," index}] ["@" ("max" | number)]
    index = number [".." number]  |  "*"  |  the name of an action

`@max` is what is shown of a unit anyway; `output:FIRE@2` is the atom or quantile 2 behind it.

Of a layer whose units have one number, several indices are several units. Objectives are written in
the same words and more: `atari_zoo.viz.objectives.text`. Made by hand, since a library of parsers
would be longer to explain than the rules, and its errors would not say what a unit is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from atari_zoo.converters.network.foreign import Network
from atari_zoo.units.numbering import Thing, UnitIndex, behind_output, unit_numbers

LARGEST = "max"  # in a place's place
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)"
    r"|(?P<name>[A-Za-z_/][\w/.]*)|(?P<mark>\.\.|[-+*:@,()]))"
)


class TextError(ValueError):
    """What is wrong with a text; its second and third line point at the place."""

    def __init__(self, reason: str, text: str, place: int) -> None:
        super().__init__(f"{reason}\n    {text}\n    {' ' * place}^")


def parse_units(text: str, network: Network) -> tuple[str, list[int]]:
    """A layer and some of its units, as `peaks` numbers them: "conv3:0..3", "output:FIRE"; all of
    them where it names a layer alone, "conv3".

    Raises TextError, a ValueError, if it does not parse, asks for what is not there, or for more
        than units.

    >>> parse_units("fc:0..3", network)
    ('fc', [0, 1, 2, 3])
    """
    return TextReader(text, network).units()


def chosen_units(texts: Iterable[str], network: Network) -> dict[str, list[int]]:
    """The units that texts such as "conv3:0..3" name, each once, in the order they are named.

    Raises TextError, a ValueError, for a text that names none, or one that is not there.
    """
    chosen: dict[str, list[int]] = {}
    for text in texts:
        layer, units = parse_units(text, network)
        numbers = chosen.setdefault(layer, [])
        numbers += [unit for unit in units if unit not in numbers]
    return chosen


@dataclass(frozen=True)
class TextToken:
    """A number, a name, a mark or the end, as it is written, and where that is."""

    kind: str
    words: str
    place: int


class TextReader:
    """Reads a text from left to right, one function for each line of the grammar."""

    def __init__(self, text: str, network: Network) -> None:
        self.text, self.network, self.at = text, network, 0
        self.tokens = list(self._tokens())

    def units(self) -> tuple[str, list[int]]:
        name = self.now
        if name.kind == "name":
            self.take()
        if name.kind != "name":
            raise self.error("expected a layer and units, as in conv3:60 or fc:0..15")
        indices: list[UnitIndex] = []
        if self.took(":"):
            indices.append(self.index())
        while indices and self.took(","):
            indices.append(self.index())
        thing = Thing(name.words, tuple(indices))
        if self.took("@"):
            place = self.now.place
            behind = self.behind(thing) if self.now.words != LARGEST else thing
            if behind is None:
                words = f"expected {LARGEST}: a unit is shown by the largest value of its map"
                raise self.error(words, place)
            self.at += behind is thing
            thing = behind
        if self.now.kind != "end":
            raise self.error("expected the end after the units" if indices else "expected : or @")
        try:
            return thing.name, unit_numbers(thing, self.network)
        except ValueError as error:
            raise self.located(error, name) from error

    def behind(self, thing: Thing) -> Thing | None:
        """What a single number after the @ of an output means; None where there is none."""
        token = self.now
        if token.kind != "number" or self.tokens[self.at + 1].words == ",":
            return None
        number = self.whole()
        try:
            found = behind_output(thing, self.network, UnitIndex("", number, number, token.place))
        except ValueError as error:
            raise self.located(error, token) from error
        self.at -= found is None
        return found

    def index(self) -> UnitIndex:
        token = self.now
        if token.kind == "name":
            return UnitIndex(self.take().words, place=token.place)
        if self.took("*"):
            return UnitIndex("*", place=token.place)
        first = self.whole()
        last = self.whole() if self.took("..") else first
        if last < first:
            raise self.error(f"{first}..{last} has no number in it", token.place)
        return UnitIndex("", first, last, token.place)

    def whole(self) -> int:
        if not (self.now.kind == "number" and self.now.words.isdigit()):
            raise self.error("expected a whole number, or the name of an action")
        return int(self.take().words)

    def located(self, error: ValueError, name: TextToken) -> TextError:
        """An index that is wrong says where it stands."""
        place = next((arg for arg in error.args[1:] if isinstance(arg, int)), name.place)
        return self.error(str(error.args[0]), place)

    @property
    def now(self) -> TextToken:
        return self.tokens[self.at]

    def take(self) -> TextToken:
        self.at += 1
        return self.tokens[self.at - 1]

    def took(self, mark: str) -> bool:
        here = self.now.kind == "mark" and self.now.words == mark
        self.at += here
        return here

    def error(self, reason: str, place: int | None = None) -> TextError:
        return TextError(reason, self.text, self.now.place if place is None else place)

    def _tokens(self) -> list[TextToken]:
        tokens, place = [], 0
        while place < len(self.text.rstrip()):
            match = _TOKEN.match(self.text, place)
            if match is None:
                place += len(self.text[place:]) - len(self.text[place:].lstrip())
                raise TextError(f"no meaning for '{self.text[place]}'", self.text, place)
            kind = match.lastgroup or ""
            tokens.append(TextToken(kind, match[kind], match.start(kind)))
            place = match.end()
        return [*tokens, TextToken("end", "", len(self.text))]
