"""Lists of models, which show themselves as tables."""

from __future__ import annotations

from atari_zoo.converters.cards import ModelCard

SHOWN = 20  # rows of a longer list: its first ones
HEADS = "model", "frames trained", "score", "preprocessing"


class ModelList(list[ModelCard]):
    """Cards; shown, a row for each of the first few, and how many there are."""

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """For each card its cells under `HEADS`; empty where nothing is known."""
        return [
            (
                card.name,
                f"{card.frames:,}" if card.frames else "",
                f"{card.scores['mean']:.1f}" if "mean" in card.scores else "",
                card.preprocessing.name,
            )
            for card in self
        ]

    def __repr__(self) -> str:
        if not self:
            return "no models"
        rows = [HEADS, *ModelList(self[:SHOWN]).rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, *self._rest()])

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        from html import escape

        rows = [HEADS, *ModelList(self[:SHOWN]).rows]
        cells = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"<table>{body}</table>" + "".join(f"<p>{line}</p>" for line in self._rest())

    def _rest(self) -> list[str]:
        return [f"and {len(self) - SHOWN:,} more"] if len(self) > SHOWN else []
