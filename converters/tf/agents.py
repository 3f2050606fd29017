"""The agents whose TensorFlow graphs were published, and what their nodes are called.

The original zoo's names are those of atari_zoo/model_maker.py in
https://github.com/uber-research/atari-model-zoo; Dopamine's come from its agents' sources.
"""

from __future__ import annotations

from dataclasses import dataclass

from atari_zoo.converters.tf.graphdef import TfGraph

ZOO, DOPAMINE = "Atari Model Zoo (Uber AI Labs)", "Dopamine (TensorFlow)"


@dataclass(frozen=True)
class Agent:
    """An agent whose graph's names are known.

    output, value: nodes with a number for each action, and with the state's value.
    input: the node whose output the original zoo replaced by the screen.
    note: what the graph leaves open.
    """

    algorithm: str
    written_by: str
    output: str
    input: str
    action_rule: str
    preprocessing: str
    value: str = ""
    note: str = ""


AGENTS = (
    Agent("a2c", ZOO, "a2c/policy/BiasAdd", "X_t", "sample", "tf", value="a2c/value/BiasAdd"),
    Agent("apex", ZOO, "deepq/q_func/q_values", "X_t", "argmax", "tf"),
    Agent("ga", ZOO, "ga/out/signal", "X_t", "argmax", "tf"),
    Agent("es", ZOO, "es/layer5/out/out", "X_t", "argmax", "tf"),
    Agent(
        "impala",
        ZOO,
        "agent_1/agent/unroll/batch_apply_1/policy_logits/add",
        "agent_1/agent/unroll/batch_apply/truediv",
        "sample",
        "np",
        value="agent_1/agent/unroll/batch_apply_1/baseline/add",
    ),
    Agent(
        "rainbow",
        DOPAMINE,
        "Online/Sum",
        "Online/Cast",
        "argmax",
        "dopamine",
        note="Rainbow, or C51: Dopamine's graphs of the two are the same",
    ),
    Agent("dqn", DOPAMINE, "Online/fully_connected_1/BiasAdd", "Online/Cast", "argmax", "dopamine"),
)


def known_agent(graph: TfGraph) -> Agent | None:
    """The row of the table whose output this graph has."""
    return next((agent for agent in AGENTS if agent.output in graph.nodes), None)
