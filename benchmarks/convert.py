"""From a TensorFlow frozen graph to a ready torch module, beside tf2onnx and onnx2torch on the
same file, each in processes of their own.

    python benchmarks/convert.py --quick
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from processes import Cost, main, measured
from rows import Row, by_turns, row

NAME = "graph.pb"


def make_graph(folder: Path) -> None:
    """A frozen A2C graph of full size, 16 MB, made and run by TensorFlow; both must agree."""
    import numpy as np
    import torch

    if find_spec("triton"):
        import_module("triton")  # after TensorFlow it crashes the process; torch imports it late
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from frozen_graphs import a2c

    (folder / NAME).write_bytes(a2c().data)
    ours, theirs = ours_prepared(folder / NAME)(), theirs_prepared(folder / NAME)()
    seen = torch.from_numpy(np.random.default_rng(0).random((1, 4, 84, 84), np.float32))
    with torch.no_grad():
        torch.testing.assert_close(ours(seen), theirs(seen.permute(0, 2, 3, 1)))


def ours_prepared(file: Path) -> Callable[[], object]:
    """What a user of the zoo would write."""
    from atari_zoo.converters import to_torch

    return lambda: to_torch(file)


def theirs_prepared(file: Path) -> Callable[[], object]:
    """What a user would write with the libraries that there are."""
    import onnx2torch
    import tensorflow as tf
    import tf2onnx

    def convert() -> object:
        graph = tf.compat.v1.GraphDef.FromString(file.read_bytes())
        model, _ = tf2onnx.convert.from_graph_def(
            graph, input_names=["X_t:0"], output_names=["a2c/policy/BiasAdd:0"], opset=13
        )
        return onnx2torch.convert(model)

    return convert


CHILDREN = {"ours": ours_prepared, "theirs": theirs_prepared}


def compare(repeats: int, end: float) -> list[Row]:
    """Rows for the time and the memory: of the whole process, and of the conversion alone."""
    with TemporaryDirectory() as folder:
        # which converts by both, so that bytecode is written
        subprocess.run([sys.executable, __file__, "--make", folder], check=True)
        file = Path(folder) / NAME
        ours, theirs = by_turns(
            lambda: measured(__file__, "ours", file),
            lambda: measured(__file__, "theirs", file),
            repeats,
            end,
        )
    return [_row(case, ours, theirs) for case in CASES]


CASES: dict[str, tuple[Callable[[Cost], float], str]] = {
    "16 MB graph, conversion alone": (lambda cost: cost.work, "s"),
    "16 MB graph, memory it adds": (lambda cost: cost.growth, "MiB"),
    "16 MB graph, process from its start": (lambda cost: cost.total, "s"),
    "16 MB graph, peak memory of the process": (lambda cost: cost.peak, "MiB"),
}


def _row(case: str, ours: list[Cost], theirs: list[Cost]) -> Row:
    take, unit = CASES[case]
    return row(
        "convert",
        case,
        "tf2onnx + onnx2torch",
        [take(cost) for cost in ours],
        [take(cost) for cost in theirs],
        unit,
    )


if __name__ == "__main__":
    main(__doc__, make_graph, CHILDREN, compare)
