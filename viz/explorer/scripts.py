"""Data of a page as scripts that hand themselves over, since a page from disk may not fetch.

A file is `window.zoo.take("agent0/frames_3", {...})`. Arrays in it are zlib's stream in base64;
the page takes them apart in `web/data.js`.
"""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from atari_zoo.converters.files import written_whole
from atari_zoo.viz.pages.templates import script_json

TYPES = {"uint8", "uint16", "uint32", "float32"}  # those of JavaScript's typed arrays that serve
LEVEL = 6  # of zlib: 9 takes four times as long for a tenth


def script_array(values: Shaped[np.ndarray, "*shape"], changes: bool = False) -> dict[str, Any]:
    """An array as the page's script reads it: shape, type, and bytes.

    changes: of bytes, whether each row is stored as what it differs by from the one before, modulo
        256, which of successive screens is nearly nothing.
    Raises ValueError for a type that the page cannot read, or changes of anything but bytes.
    """
    name = values.dtype.name
    if name not in TYPES or (changes and name != "uint8"):
        raise ValueError(f"an array of {name}: expected {', '.join(sorted(TYPES))}")
    stored = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    if changes and len(stored):
        stored = np.concatenate([stored[:1], stored[1:] - stored[:-1]])
    content = base64.b64encode(zlib.compress(stored.tobytes(), LEVEL)).decode()
    return {"shape": list(values.shape), "type": name, "changes": changes, "content": content}


def write_script(folder: Path, name: str, data: Any) -> int:
    """Writes `folder/name.js` with what JSON can hold, and returns its bytes."""
    path = folder / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f"window.zoo.take({script_json(name)}, {script_json(data)});\n"
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return path.stat().st_size
