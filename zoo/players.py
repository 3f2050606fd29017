"""Players of recordings, and whether another network can be asked about their play."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.network.foreign import Network
from atari_zoo.games import UnknownGame, as_ale_writes
from atari_zoo.games import game as find_game

# of a preprocessing, what is no part of the picture
RULES = set(
    "name noops fire_reset life_loss_ends fire_after_life_loss sticky max_frames reset".split()
)


@runtime_checkable
class Play(Protocol):
    """What a recording tells of who played what, and how it was seen."""

    @property
    def card(self) -> ModelCard: ...

    @property
    def game(self) -> str: ...

    @property
    def preprocessing(self) -> Preprocessing: ...

    @property
    def options(self) -> dict[str, Any]: ...

    @property
    def outputs(self) -> Any: ...


def check_play(network: Network, recording: Play) -> None:
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
    chosen = tuple(recording.options.get("actions", ()))
    if is_own_play(network, recording) and not outputs and not chosen:
        return
    names, mine = (
        chosen or _actions(recording.card, recording.game),
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


def is_own_play(network: Network, recording: Play) -> bool:
    """Whether the agent that played has the network's name, and came from the same file."""
    own, theirs = network.card, recording.card
    hashes = {own.sha256, theirs.sha256} - {""}
    return own.name == theirs.name and len(hashes) < 2


def player_words(network: Network, recording: Play) -> str:
    """For a title, whose play it is where that is another agent's, and as what it was seen where
    the network was made for other screens; else nothing.

    >>> player_words(zoo.load("a2c/Pong/1"), dqn_recording)
    ', play of dqn/Pong/1'
    """
    words = "" if is_own_play(network, recording) else f", play of {recording.card.name}"
    seen = recording.preprocessing
    other = _picture(network.card.preprocessing) != _picture(seen)
    return words + f", seen as '{seen.name}' has it" * other


def _picture(preprocessing: Preprocessing) -> dict[str, Any]:
    """What decides how a screen looks, and how far apart those of a stack are."""
    return {name: value for name, value in asdict(preprocessing).items() if name not in RULES}


def _game(name: str) -> str:
    try:
        return find_game(name).name if name else ""
    except UnknownGame:
        return name


def _actions(card: ModelCard, game: str) -> tuple[str, ...]:
    if card.action_meanings:
        return as_ale_writes(card.action_meanings)
    try:
        return find_game(game).actions if game else ()
    except UnknownGame:
        return ()
