"""Objectives in text: "conv3:38 - 1e-6*tv", "output:RIGHT", "atoms:0,0", "fc:0..511".

    sum   = ["-"] part {("+" | "-") part}
    part  = number "*" part  |  "(" sum ")"  |  thing
    thing = name [":" index {"," index}] ["@" (row "," column | "max" | number)] [":relu"]
    index = number [".." number]  |  "*"  |  the name of an action or of a layer

A unit of a convolution is the mean of its map, `@2,3` its value at a place, `@max` the largest. Of
an output that is the mean of a distribution, `@2` is the atom or quantile 2 behind it. What the
names mean is in `atari_zoo.viz.objectives.words`. Made by hand, since a library of parsers would be
longer to explain than four rules, and its errors would not say what a unit is called.
"""

from __future__ import annotations

from math import isfinite

from atari_zoo.converters.network.foreign import Network
from atari_zoo.units.numbering import Thing, UnitIndex
from atari_zoo.units.texts import LARGEST, TextReader, TextToken
from atari_zoo.viz.objectives.objectives import Objective
from atari_zoo.viz.objectives.words import check_name, meaning


def parse(text: str, network: Network) -> Objective:
    """The objective that a text asks for, of this network.

    Raises TextError, a ValueError, if it does not parse, or asks for what is not there.

    >>> parse("fc:0..511 - 1e-6*tv", network).samples
    512
    """
    return _Reader(text, network).all()


class _Reader(TextReader):
    """Reads a text from left to right, one function for each line of the grammar."""

    def all(self) -> Objective:
        objective = self.sum()
        if self.now.kind != "end":
            raise self.error("expected +, - or the end")
        return objective

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

    def placed(self, name: TextToken, indices: list[UnitIndex]) -> Objective:
        if behind := self.behind(Thing(name.words, tuple(indices))):
            return self.resolved(behind, name)
        place: tuple[int, int] | str = LARGEST
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

    def resolved(self, thing: Thing, name: TextToken) -> Objective:
        try:
            return meaning(thing, self.network)
        except ValueError as error:
            raise self.located(error, name) from error
