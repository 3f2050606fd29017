"""Templates of the pages, filled; text from a card, a path or a unit stays text, never markup.

Jinja2 escapes whatever it writes into HTML. What a page's script reads goes through `script_json`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from atari_zoo.converters.files import check_parent, encodable
from atari_zoo.viz.images import data_uri, png


def filled(template: str, **fields: Any) -> str:
    """A file of `web/` with its fields, as a page that UTF-8 can hold.

    Raises jinja2.UndefinedError where a field is missing.
    """
    return encodable(_environment().get_template(template).render(**fields))


def check_page(path: str | Path) -> None:
    """Raises OSError where no page can be written, so that it is known before the work."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; expected a file's name")
    check_parent(path)


def script_json(data: Any) -> Markup:
    """JSON for a script element, that no string in it can end or begin another in.

    Raises ValueError for numbers that JSON has not.
    """
    return htmlsafe_json_dumps(data, separators=(",", ":"), allow_nan=False)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("atari_zoo.viz.pages", "web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"png": png, "data_uri": data_uri, "script_json": script_json}
    return environment
