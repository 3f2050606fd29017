"""Players of recordings, and whether another network can be asked about their play."""

from __future__ import annotations

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.foreign import Network
from atari_zoo.games import UnknownGame
from atari_zoo.games import game as find_game
from atari_zoo.recordings.recordings import Recording


def check_play(network: Network, recording: Recording) -> None:
    """Raises ValueError unless the recording is of the network's game and has its actions.

    It may be another agent's play: `player_words` names it.
    """
    name, own, theirs = network.card.name, _game(network.card.game), _game(recording.game)
    if own and theirs and own != theirs:
        raise ValueError(
            f"{name} plays {own}, but the recording is of {theirs}: give play of {own}"
        )
    kept = recording.outputs
    outputs = kept.shape[2] if kept is not None and kept.ndim == 3 else 0
    if is_own_play(network, recording) and not outputs:
        return
    names, mine = (
        _actions(recording.card, recording.game),
        _actions(network.card, network.card.game),
    )
    count = outputs or len(names)
    if count and count != network.actions:
        raise ValueError(
            f"the recording has {count} actions and {name} {network.actions}: "
            "was it recorded with another network, or another action set?"
        )
    if len(mine) == len(names) and mine != names:
        raise ValueError(
            f"{name} has the actions {' '.join(mine)}, but the recording {' '.join(names)}: "
            "their numbers mean different things"
        )


def is_own_play(network: Network, recording: Recording) -> bool:
    """Whether the agent that played has the network's name, and came from the same file."""
    own, theirs = network.card, recording.card
    hashes = {own.sha256, theirs.sha256} - {""}
    return own.name == theirs.name and len(hashes) < 2


def player_words(network: Network, recording: Recording) -> str:
    """For a title, whose play it is where that is another agent's; else nothing.

    >>> player_words(zoo.load("a2c/Pong/1"), dqn_recording)
    ', play of dqn/Pong/1'
    """
    return "" if is_own_play(network, recording) else f", play of {recording.card.name}"


def _game(name: str) -> str:
    try:
        return find_game(name).name if name else ""
    except UnknownGame:
        return name


def _actions(card: ModelCard, game: str) -> tuple[str, ...]:
    if card.action_meanings:
        return tuple(card.action_meanings)
    try:
        return find_game(game).actions if game else ()
    except UnknownGame:
        return ()
