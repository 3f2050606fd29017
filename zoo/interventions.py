"""Interventions: units of a layer are silenced, held, scaled or pushed while a network runs.

with zoo.ablated(net, "conv3:26"):
    zoo.rollout(net, episodes=10)

What stands behind the layer computes from the changed values; everything before it is untouched.
Ablation by zeros, by the mean and by values of other moments is told apart as in Chan et al. (2022,
causal scrubbing) and Zhang and Nanda (2024, https://arxiv.org/abs/2309.16042); steering along a
direction is that of Turner et al. (2023, https://arxiv.org/abs/2308.10248).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from atari_zoo.converters.arguments import check_kinds, checked
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.layer_changes import AffineChange, DrawnChange, LayerChange
from atari_zoo.layers import Played, activations
from atari_zoo.models import as_network
from atari_zoo.observations import ObservationsLike
from atari_zoo.seeds import generator_seed
from atari_zoo.units.numbering import runs, spread_over
from atari_zoo.units.texts import parse_units

KINDS = {
    "zero": "silenced",
    "mean": "held at the mean that they have in play, each place of a map at its own",
    "resample": "as they were at another moment of play, drawn anew for each observation",
    "patch": "as they were at one moment of play",
    "scale": "multiplied by `amount`",
    "steer": "pushed: `amount` times `direction` is added",
}
OF_PLAY = ("mean", "resample", "patch")  # which need some


@dataclass(frozen=True, eq=False)
class Intervention:
    """What is done to some units of one layer.

    units: as in "conv3:26", "fc:1,5", "output:FIRE", or a layer alone, "fc", for all of them.
    kind: "zero", "mean", "resample", "patch", "scale" or "steer": see `KINDS`.
    play: a recording, or observations, that values are taken from, by "mean", "resample", "patch".
    moment: of that play, step * environments + environment: the one of "patch".
    amount: the factor of "scale"; how often "steer" adds the direction.
    direction: of "steer", a number for each of the units; 1 for each if not given.
    seed: of the draws of "resample".

    Raises ValueError for a kind that there is not, or for what it needs and is not given.
    """

    units: str
    kind: str = "zero"
    play: Played | ObservationsLike | None = None
    moment: int | None = None
    amount: float | None = None
    direction: Float[Tensor, "units"] | Sequence[float] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_kinds(self)
        if self.kind not in KINDS:
            raise ValueError(f"no kind of intervention '{self.kind}'; there are {', '.join(KINDS)}")
        wanted = {
            "play": self.kind in OF_PLAY,
            "moment": self.kind == "patch",
            "amount": self.kind in ("scale", "steer"),
        }
        for name, needed in wanted.items():
            given = getattr(self, name) is not None
            if needed and not given:
                raise ValueError(f"'{self.kind}' of {self.units} needs {name}=")
            if given and not needed:
                raise ValueError(f"'{self.kind}' of {self.units} has no {name}")
        if self.direction is not None and self.kind != "steer":
            raise ValueError(f"'{self.kind}' of {self.units} has no direction")

    @property
    def words(self) -> str:
        """In short, as names of changed agents have it: "conv3:26=0", "fc:3*0.5"."""
        amount = self.amount or 0
        ends = {
            "zero": "=0",
            "mean": "=mean",
            "resample": f"=resampled{self.seed}",
            "patch": f"=moment{self.moment}",
            "scale": f"*{amount:g}",
            "steer": f"{amount:+g}" + "*direction" * (self.direction is not None),
        }
        return self.units.replace(" ", "") + ends[self.kind]

    def named(self, change: LayerChange) -> str:
        """The same, and where more than words make it what it is, digits that tell it apart."""
        if self.direction is None and self.kind not in OF_PLAY:
            return self.words
        values = [value for value in vars(change).values() if isinstance(value, Tensor)]
        parts = b"".join(value.detach().cpu().float().numpy().tobytes() for value in values)
        return f"{self.words}#{hashlib.sha256(parts).hexdigest()[:6]}"


@contextmanager
def intervening(network: Network, *interventions: Intervention | str) -> Iterator[Network]:
    """While it is open, the network runs with its units changed, and its card's name says so.

    interventions: several are done one after the other; a text alone is of units that are silenced.
    Afterwards the network is what it was, whatever happened in between.
    Raises ValueError if a unit is not there, with the size of its layer, or if the layer is a
    module that runs several times for one observation.

    >>> with intervening(net, Intervention("fc:7", "scale", amount=2)):
    ...     zoo.rollout(net, episodes=10)
    """
    network = as_network(network)
    several = [_as_intervention(one) for one in interventions]
    changes = [_change(network, one) for one in several]  # all of the intact network's values
    card, hooks = network.card, list[RemovableHandle]()
    try:
        for layer, change in changes:
            hooks += change.attach(network, layer)
        network.card = _called(card, several, changes)
        yield network
    finally:
        for hook in hooks:
            hook.remove()
        network.card = card


@contextmanager
def ablated(
    network: Network,
    *units: str,
    kind: str = "zero",
    play: Played | ObservationsLike | None = None,
    seed: int = 0,
) -> Iterator[Network]:
    """While it is open, these units of the network are put out of action.

    units: as in "conv3:26"; see `Intervention`, which has the other arguments too.
    kind: "zero"; "mean" and "resample" take values from `play`.

    >>> with zoo.ablated(net, "conv3:26"):
    ...     zoo.rollout(net, episodes=10)
    """
    if kind not in ("zero", "mean", "resample"):
        raise ValueError(f"no ablation '{kind}'; there are zero, mean, resample")
    if not units:
        raise ValueError("no units to ablate; name some, such as 'conv3:26'")
    each = [Intervention(text, kind, play=play, seed=seed) for text in units]
    with intervening(network, *each):
        yield network


@checked
def intervened(network: Network, *interventions: Intervention | str) -> Network:
    """A copy of the network that runs with its units changed; the network itself stays as it is.

    Arguments and errors are those of `intervening`.

    >>> silent = zoo.intervened(net, "conv3:26")
    """
    several = [_as_intervention(one) for one in interventions]
    changes = [_change(network, one) for one in several]
    changed = copy.deepcopy(network)
    for layer, change in changes:
        change.attach(changed, layer)
    changed.card = _called(network.card, several, changes)
    return changed


def _as_intervention(given: Intervention | str) -> Intervention:
    return Intervention(given) if isinstance(given, str) else given


def _called(
    card: ModelCard, several: Sequence[Intervention], changes: Sequence[tuple[str, LayerChange]]
) -> ModelCard:
    """No model of the zoo has a tag with "=", "*" or ":" in it: a changed agent is never loaded."""
    names = [one.named(change) for one, (_, change) in zip(several, changes, strict=True)]
    return card.replace(tag="+".join(filter(None, [card.tag, *names])))


def _change(network: Network, one: Intervention) -> tuple[str, LayerChange]:
    """The layer, and what is done to its value."""
    layer, units = parse_units(one.units, network)
    if (times := runs(layer, network)) > 1:
        raise ValueError(
            f"{layer} is one module that runs {times} times for an observation, so a change would "
            "be made each time: give each use a module of its own, or choose another layer"
        )
    device = next(network.parameters()).device
    every = torch.zeros(_count(layer, network))
    every[units] = 1
    chosen = spread_over(layer, every, network) > 0
    keep = (~chosen).float()[None]
    if one.kind in OF_PLAY:
        values = _values(network, layer, one)
        if one.kind == "resample":
            drawn = values[:, chosen]
            return layer, DrawnChange(chosen.to(device), drawn.to(device), generator_seed(one.seed))
        held = values.mean(dim=0) if one.kind == "mean" else values[one.moment]
        shift = torch.where(chosen, held, 0.0)[None]
        return layer, _affine(keep, shift, device)
    if one.kind == "steer":
        every[units] = float(one.amount or 0) * _direction(one, len(units))
        return layer, _affine(
            torch.ones_like(keep), spread_over(layer, every, network)[None], device
        )
    factor = keep + chosen.float()[None] * float(one.amount or 0)  # of "zero" there is no amount
    return layer, _affine(factor, torch.zeros_like(factor), device)


def _affine(factor: Tensor, shift: Tensor, device: torch.device) -> AffineChange:
    return AffineChange(factor.to(device), shift.to(device))


def _direction(one: Intervention, count: int) -> Tensor:
    if one.direction is None:
        return torch.ones(count)
    direction = torch.as_tensor(one.direction, dtype=torch.float32).reshape(-1)
    if len(direction) != count or not direction.isfinite().all():
        raise ValueError(
            f"a direction of {len(direction)} numbers for {one.units}, which is {count} units: "
            "expected a finite number for each"
        )
    return direction


def _values(network: Network, layer: str, one: Intervention) -> Float[Tensor, "moments *units"]:
    """What the layer computed in play, moment by moment."""
    assert one.play is not None  # the intervention has looked
    found = activations(network, one.play, layer)[layer].float()
    values = found.flatten(0, 1) if isinstance(one.play, Played) else found
    if not len(values):
        raise ValueError(f"the play that {one.units} is to have values of has no moments")
    if one.moment is not None and not 0 <= one.moment < len(values):
        raise ValueError(f"no moment {one.moment} in that play; expected 0 to {len(values) - 1}")
    return values


def _count(layer: str, network: Network) -> int:
    """How many units the layer has."""
    return len(parse_units(layer, network)[1])
