"""Markup that displays share: facts as a table, pictures, and a sentence beneath.

Texts are escaped; notebooks bring their own colours, light or dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from atari_zoo.converters.files import encodable
from atari_zoo.viz.images import data_uri

_ENVIRONMENT = Environment(autoescape=True, undefined=StrictUndefined)
_FIGURE = _ENVIRONMENT.from_string(
    '<figure style="margin:0">{{ inside }}'
    '<figcaption style="max-width:60em">{{ caption }}</figcaption></figure>'
)
_FACTS = _ENVIRONMENT.from_string(
    '<table><caption style="text-align:left;font-weight:bold">{{ title }}</caption>'
    '{% for name, value in facts %}<tr><th scope="row" style="text-align:left">{{ name }}</th>'
    '<td style="text-align:left">{{ value }}</td></tr>{% endfor %}</table>'
)
_IMAGE = _ENVIRONMENT.from_string(
    '<img src="{{ uri }}" alt="{{ words }}" style="max-width:100%;image-rendering:pixelated">'
)
_VIDEO = _ENVIRONMENT.from_string(
    '<video src="{{ uri }}" aria-label="{{ words }}" width="{{ width }}" controls loop muted '
    'style="max-width:100%;image-rendering:pixelated"></video>'
)


def figure_html(inside: Markup, caption: str) -> Markup:
    """What is shown, and a sentence beneath."""
    return _filled(_FIGURE, inside=inside, caption=caption)


def facts_html(title: str, facts: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Markup:
    """A table of names and values; those that are empty are left out."""
    pairs = facts.items() if isinstance(facts, Mapping) else facts
    return _filled(_FACTS, title=title, facts=[(n, v) for n, v in pairs if v not in ("", None, ())])


def image_html(png: bytes, words: str) -> Markup:
    """A PNG file as an image. words: what it shows, for those who cannot see it."""
    return _filled(_IMAGE, uri=data_uri(png), words=words)


def video_html(mp4: bytes, words: str, width: int) -> Markup:
    """An mp4 file with its controls. width: in pixels of the page."""
    return _filled(_VIDEO, uri=data_uri(mp4, "video/mp4"), words=words, width=width)


def _filled(template: Any, **fields: Any) -> Markup:
    return Markup(encodable(template.render(**fields)))
