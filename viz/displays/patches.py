"""A unit's patches in a notebook."""

from __future__ import annotations

from atari_zoo.converters.displays import display
from atari_zoo.viz.displays.markup import figure_html, image_html
from atari_zoo.viz.images import png
from atari_zoo.viz.patches.finding import UnitPatches
from atari_zoo.viz.patches.pictures import patch_picture


@display("UnitPatches")
def patches_display(found: UnitPatches) -> str:
    """What the unit saw where it answered, and the histogram of its values."""
    dead = " It never changed here, or never passed its ReLU." if found.dead else ""
    words = f"{found.name}: {found.which} patches of {found.values.size:,} observations.{dead}"
    return figure_html(image_html(png(patch_picture([found])), words), words)
