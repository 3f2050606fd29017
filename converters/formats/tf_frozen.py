"""TensorFlow's frozen graphs: what the original zoo and Dopamine published their agents in.

The graph becomes ONNX node by node; which network it is, is found out afterwards as in any other
ONNX file. TensorFlow is not needed.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.registry import Probe, Source, reader
from atari_zoo.converters.tf.agents import Agent, known_agent
from atari_zoo.converters.tf.endpoints import ends
from atari_zoo.converters.tf.graphdef import NAME, parse_graph
from atari_zoo.converters.tf.screen import find_screen
from atari_zoo.converters.tf.translation import translate

LARGEST_FILE = 1 << 28  # bytes
SAVED_MODEL = b"\x08\x01\x12"  # its first field is its version, 1; its second a graph


def _is_graph(probe: Probe) -> bool:
    """A first node with a name and an operator; or what is called as such files are."""
    start, named = probe.start, probe.path.suffix.lower() == ".pb"
    if "saved_model.pb" in probe.names or (named and start.startswith(SAVED_MODEL)):
        return True
    if start.startswith(b"\x0a"):
        name_field = 2 + next((i for i, byte in enumerate(start[1:6]) if byte < 128), 5)
        end = name_field + 2 + int.from_bytes(start[name_field + 1 : name_field + 2])
        name = start[name_field + 2 : end].decode("ascii", "replace")
        if start[name_field : name_field + 1] == b"\x0a" and NAME.fullmatch(name):
            return start[end : end + 1] == b"\x12"  # its operator follows
    return named and not start.startswith(b"\x08")  # which is how ONNX files start


@reader(
    "tensorflow-graph",
    "TensorFlow frozen graph",
    "the original zoo's seven algorithms, Dopamine's graph_def.pb, and other frozen graphs of the "
    "Mnih et al. (2015) network",
    _is_graph,
)
def read_tensorflow_graph(path: Path) -> Source:
    """A `.pb` file, its ends told by their names or by what leads to them."""
    return read_frozen(path)


def read_frozen(path: str | Path, output: str | None = None, input: str | None = None) -> Source:
    """A frozen graph as ONNX: `output`, a number for each action, and `value` where it has one.

    output, input: nodes to be taken as such, where they are not to be found out.
    Raises ConversionError where the graph is not frozen, has an operator without a translation,
    or does not tell which nodes these are.
    """
    graph = parse_graph(_content(Path(path)))
    agent = known_agent(graph) if output is None else None
    if agent is not None:
        main, value = agent.output, agent.value if agent.value in graph.nodes else ""
    elif output is not None:
        main, value = output, ""
    else:
        main, value = ends(graph)
    if main not in graph.nodes:
        raise ConversionError(f"the graph has no node '{main}'; output= names one")
    screen = find_screen(graph, main, agent.input if agent else "", input)
    model, notes = translate(graph, screen, main, value)
    way = graph.way([main], stop=[screen.node])
    about = [agent.note] if agent and agent.note else []
    left = f"{len(way)} of {len(graph.nodes)} nodes lead from '{screen.node}' to '{main}'"
    return Source(
        model,
        _card(agent),
        written_by=agent.written_by if agent else f"TensorFlow (graph version {graph.version})",
        input=screen.words,
        operators=dict(Counter(graph.op(name) for name in way)),
        notes=[*about, *screen.notes, *notes, left],
    )


def _card(agent: Agent | None) -> dict[str, Any]:
    if agent is None:
        return {}
    return {
        "algorithm": agent.algorithm,
        "action_rule": agent.action_rule,
        "preprocessing": PREPROCESSINGS[agent.preprocessing],
    }


def _content(path: Path) -> bytes:
    if path.is_file() and path.stat().st_size > LARGEST_FILE:
        raise ConversionError(f"more than {LARGEST_FILE >> 20} MB, larger than any agent's graph")
    data = path.read_bytes() if path.is_file() else SAVED_MODEL
    if data.startswith(SAVED_MODEL):
        raise ConversionError(
            "a SavedModel, not a frozen graph: freeze it with convert_variables_to_constants "
            "and give the GraphDef that it returns"
        )
    return data
