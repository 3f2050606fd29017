"""Docstrings of the package as Markdown: their `name: words.` become a list."""

from __future__ import annotations

import re
from typing import Any

import griffe

from atari_zoo.cli.analyses import ENDS

NAMES = r"[a-z]\w*(?:, [a-z]\w*)*: "
# lines of arguments up to what is none of theirs: see `setting_helps`
ARGUMENTS = re.compile(rf"^(?:{NAMES}.*\n?(?:(?!{ENDS}).+\n?)*)+", re.M)
EXAMPLE = re.compile(r"^>>> (?:.*\n?)+?(?=\n\n|\Z)", re.M)


class ListedArguments(griffe.Extension):
    """Rewrites docstrings as they are collected."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Of modules, classes and functions alike."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(docstring: str) -> str:
    r"""The text with its arguments as a list, and its example as a block of code.

    >>> as_markdown("Counts.\n\nlayer: its name. seed: of\n    the draws.\nRaises nothing.")
    'Counts.\n\n- **layer**: its name.\n- **seed**: of the draws.\n\nRaises nothing.'
    """
    text = ARGUMENTS.sub(_listed, docstring)
    text = re.sub(r"^(?!- \*\*)(.+)\n(?=- \*\*)", r"\1\n\n", text, flags=re.M)  # a list begins so
    return EXAMPLE.sub(lambda found: f"```python\n{found[0].rstrip()}\n```", text).strip()


def _listed(found: re.Match[str]) -> str:
    words = re.split(rf"(?:^|(?<=[.;] ))({NAMES})", " ".join(found[0].split()))[1:]
    pairs = zip(words[::2], words[1::2], strict=True)
    items = [f"- **{names[:-2]}**: {text.strip()}" for names, text in pairs]
    return "\n".join(items) + "\n\n"
