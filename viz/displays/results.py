"""Results of analyses in a notebook: their picture, the table's first rows, how sure they are."""

from __future__ import annotations

import io

from markupsafe import Markup

from atari_zoo.analysis.results import PICTURES, Result
from atari_zoo.converters.displays import display
from atari_zoo.viz.displays.markup import figure_html, image_html

ROWS = 10
DOTS = 100  # to the inch


@display("Result")
def result_display(result: Result) -> str:
    """The picture, if its analysis has one, above the first rows."""
    name = result.made.analysis
    inside = Markup()
    if name in PICTURES:
        stream = io.BytesIO()
        result.picture().savefig(stream, format="png", dpi=DOTS)
        inside += image_html(stream.getvalue(), f"The picture of {name}")
    # pandas escapes what stands in the cells
    inside += Markup(result.table.head(ROWS).to_html(index=False, float_format="{:.4g}".format))
    rest = len(result.table) - ROWS
    more = f"The first {ROWS} of {len(result.table):,} rows. " if rest > 0 else ""
    return figure_html(inside, f"{more}{result.uncertainty}")
