"""Optimized images in a notebook."""

from __future__ import annotations

from atari_zoo.converters.displays import display
from atari_zoo.viz.displays.markup import figure_html, image_html
from atari_zoo.viz.images import png
from atari_zoo.viz.render.pictures import rendered_picture
from atari_zoo.viz.render.results import Rendered


@display("Rendered")
def rendered_display(rendered: Rendered) -> str:
    """The images, with what each reached."""
    names = ", ".join(rendered.names)
    held = int(rendered.held.sum())
    words = (
        f"Images made to raise {names}; frames from oldest to newest. {held} of "
        f"{len(rendered.images)} hold without the transforms and as bytes."
    )
    return figure_html(image_html(png(rendered_picture(rendered)), words), words)
