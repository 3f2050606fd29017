"""Objectives in text: "conv3:38 - 1e-6*tv", "output:RIGHT", "atoms:0,0", "fc:0..511".

    sum   = ["-"] part {("+" | "-") part}
    part  = number "*" part  |  "(" sum ")"  |  thing
    thing = name [":" index {"," index}] ["@" (row "," column | "max" | number)] [":relu"]
    index = number [".." number]  |  "*"  |  the name of an action or of a layer

A unit of a convolution is the mean of its map, `@2,3` its value at a place, `@max` the largest. Of
an output that is the mean of a distribution, `@2` is the atom or quantile 2 behind it.
What the names mean is in `atari_zoo.viz.objectives.words`. Made by hand, since a library of parsers
would be longer to explain than four rules, and its errors would not say what a unit is called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite

from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.objectives.layers import Thing, UnitIndex, behind_output, unit_numbers
from atari_zoo.viz.objectives.objectives import Objective
from atari_zoo.viz.objectives.words import check_name, meaning

LARGEST = "max"  # in a place's place
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)"
    r"|(?P<name>[A-Za-z_/][\w/.]*)|(?P<mark>\.\.|[-+*:@,()]))"
)


class ObjectiveError(ValueError):
    """What is wrong with an objective's text; its second and third line point at the place."""

    def __init__(self, reason: str, text: str, place: int) -> None:
        super().__init__(f"{reason}\n    {text}\n    {' ' * place}^")


def parse(text: str, network: Network) -> Objective:
    """The objective that a text asks for, of this network.

    Raises ObjectiveError, a ValueError, if it does not parse, or asks for what is not there.

    >>> parse("fc:0..511 - 1e-6*tv", network).samples
    512
    """
    return _Reader(text, network).all()


def parse_units(text: str, network: Network) -> tuple[str, list[int]]:
    """A layer and some of its units, as `peaks` numbers them: "conv3:0..3", "output:FIRE"; all of
    them where it names a layer alone, "conv3".

    Raises ObjectiveError as `parse` does, and for what asks for more than units.

    >>> parse_units("fc:0..3", network)
    ('fc', [0, 1, 2, 3])
    """
    return _Reader(text, network).units()


@dataclass(frozen=True)
class _Token:
    kind: str
    words: str
    place: int


class _Reader:
    """Reads a text from left to right, one function for each line of the grammar."""

    def __init__(self, text: str, network: Network) -> None:
        self.text, self.network, self.at = text, network, 0
        self.tokens = list(self._tokens())

    def all(self) -> Objective:
        objective = self.sum()
        if self.now.kind != "end":
            raise self.error("expected +, - or the end")
        return objective

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
            thing = behind
            self.at += thing.name == name.words
        if self.now.kind != "end":
            raise self.error("expected the end after the units" if indices else "expected : or @")
        try:
            return thing.name, unit_numbers(thing, self.network)
        except ValueError as error:
            raise self.located(error, name) from error

    def sum(self) -> Objective:
        total = -self.part() if self.took("-") else self.part()
        while self.now.words in ("+", "-") and self.now.kind == "mark":
            mark = self.take()
            part = self.part()
            try:
                total = total + part if mark.words == "+" else total - part
            except ValueError as error:  # ranges of different lengths
                raise self.error(str(error), mark.place) from error
        return total

    def part(self) -> Objective:
        if self.now.kind == "number":
            place = self.now.place
            weight = float(self.take().words)
            if not isfinite(weight):
                raise self.error("expected a smaller number", place)
            if not self.took("*"):
                raise self.error("expected * after a number")
            return weight * self.part()
        if self.took("("):
            inside = self.sum()
            if not self.took(")"):
                raise self.error("expected )")
            return inside
        if self.now.kind != "name":
            raise self.error("expected a layer, a word such as tv, or a number")
        return self.thing()

    def thing(self) -> Objective:
        name = self.take()
        try:
            check_name(name.words, self.network)
        except ValueError as error:
            raise self.located(error, name) from error
        indices: list[UnitIndex] = []
        rectified = False
        while self.took(":"):
            if self.now.words == "relu":
                self.take()
                rectified = True
            elif indices or rectified:
                raise self.error("expected relu")
            else:
                indices.append(self.index())
                while self.took(","):
                    indices.append(self.index())
            if not rectified and self.took("@"):
                return self.placed(name, indices)
        return self.resolved(Thing(name.words, tuple(indices), None, rectified), name)

    def behind(self, thing: Thing) -> Thing | None:
        """What a single number after the @ of an output means; None where there is none."""
        if self.now.kind != "number" or self.tokens[self.at + 1].words == ",":
            return None
        token = self.now
        number = self.whole()
        try:
            found = behind_output(thing, self.network, UnitIndex("", number, number, token.place))
        except ValueError as error:
            raise self.located(error, token) from error
        self.at -= found is None
        return found

    def placed(self, name: _Token, indices: list[UnitIndex]) -> Objective:
        place: tuple[int, int] | str = LARGEST
        if behind := self.behind(Thing(name.words, tuple(indices))):
            return self.resolved(behind, name)
        if self.now.words == LARGEST:
            self.take()
        else:
            row = self.whole()
            if not self.took(","):
                raise self.error("expected , between the row and the column")
            place = (row, self.whole())
        rectified = self.took(":")
        if rectified and self.take().words != "relu":
            self.at -= 1
            raise self.error("expected relu")
        return self.resolved(Thing(name.words, tuple(indices), place, rectified), name)

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

    def resolved(self, thing: Thing, name: _Token) -> Objective:
        try:
            return meaning(thing, self.network)
        except ValueError as error:
            raise self.located(error, name) from error

    def located(self, error: ValueError, name: _Token) -> ObjectiveError:
        """An index that is wrong says where it stands."""
        place = next((arg for arg in error.args[1:] if isinstance(arg, int)), name.place)
        return self.error(str(error.args[0]), place)

    @property
    def now(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def took(self, mark: str) -> bool:
        here = self.now.kind == "mark" and self.now.words == mark
        self.at += here
        return here

    def error(self, reason: str, place: int | None = None) -> ObjectiveError:
        return ObjectiveError(reason, self.text, self.now.place if place is None else place)

    def _tokens(self) -> list[_Token]:
        tokens, place = [], 0
        while place < len(self.text.rstrip()):
            match = _TOKEN.match(self.text, place)
            if match is None:
                place += len(self.text[place:]) - len(self.text[place:].lstrip())
                raise ObjectiveError(f"no meaning for '{self.text[place]}'", self.text, place)
            kind = match.lastgroup or ""
            tokens.append(_Token(kind, match[kind], match.start(kind)))
            place = match.end()
        return [*tokens, _Token("end", "", len(self.text))]
