"""The architectures that have a name: each trunk with the class of the networks that have it."""

from __future__ import annotations

from atari_zoo.converters.network.agent_networks import AgentNetwork, AgentTrunk
from atari_zoo.converters.network.heads import Head
from atari_zoo.converters.network.impala import ImpalaNetwork, ImpalaTrunk
from atari_zoo.converters.network.networks import MnihNetwork, Trunk


def network_of(trunk: AgentTrunk, head: Head) -> AgentNetwork:
    """The network of this trunk and head, of the class that its architecture has.

    >>> type(network_of(ImpalaTrunk(), QHead(256, actions=6))).__name__
    'ImpalaNetwork'
    """
    if isinstance(trunk, ImpalaTrunk):
        return ImpalaNetwork(trunk, head)
    return MnihNetwork(trunk, head) if isinstance(trunk, Trunk) else AgentNetwork(trunk, head)
