"""Probes with one hidden layer: what is there, but not as a direction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from atari_zoo.analysis.probing.features import Features, coordinates
from atari_zoo.analysis.probing.ridge import FEWEST, Prediction
from atari_zoo.analysis.probing.splits import FoldMoments
from atari_zoo.analysis.probing.targets import ProbeTarget
from atari_zoo.seeds import generator_seed

UNITS = 32  # hidden ones of each target
EPOCHS, PATIENCE, BATCH = 200, 20, 128
RATE, DECAY = 2e-3, 1e-3


class HiddenProbes(nn.Module):
    """Many probes side by side, each with hidden units of its own.

    columns: how many numbers each gives; those beyond a target's own are not used.
    """

    def __init__(self, axes: int, targets: int, columns: int) -> None:
        super().__init__()
        self.targets = targets
        self.first = nn.Linear(axes, targets * UNITS)
        self.second = nn.Parameter(torch.randn(targets, UNITS, columns) / UNITS**0.5)
        self.bias = nn.Parameter(torch.zeros(targets, columns))

    def forward(self, values: Float[Tensor, "moments axes"]) -> Tensor:
        """(moments, targets, columns)."""
        hidden = F.relu(self.first(values)).unflatten(1, (self.targets, UNITS))
        return torch.einsum("nth,thc->ntc", hidden, self.second) + self.bias


def hidden_probe(
    given: Features, targets: Sequence[ProbeTarget], fold: FoldMoments, seed: int = 0
) -> list[Prediction]:
    """A probe with 32 hidden units for each target, stopped where it is best on the fold's moments
    to choose by: each target at its own epoch.

    seed: of the first weights and the batches.
    """
    inner, others = coordinates(given, fold.fit, np.concatenate([fold.choose, fold.test]))
    scale = inner.shape[1] ** 0.5  # so that an axis is about 1, as torch's first weights expect
    fit, rest = (torch.from_numpy(part * scale).float() for part in (inner, others))
    wanted, means, spreads = _wanted(targets, fold)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_seed(seed))
        probes = HiddenProbes(fit.shape[1], len(targets), wanted.shape[2])
        told = _trained(probes, fit, rest, wanted, fold, targets)
    found = []
    for number, target in enumerate(targets):
        values = told[:, number].numpy().astype(float)
        test, there = fold.test, target.there
        own = values[:, : 1 if target.classes is None else len(target.classes)]
        shares = means[number][: own.shape[1]]
        if target.classes is None:
            own = own * spreads[number] + means[number][0]
        if there[fold.fit].sum() < FEWEST:
            own = np.broadcast_to(shares, own.shape)
        found.append(Prediction(test[there[test]], own[there[test]], shares, np.nan))
    return found


def _wanted(
    targets: Sequence[ProbeTarget], fold: FoldMoments
) -> tuple[Tensor, list[np.ndarray], list[float]]:
    """What each target is at all moments, NaN where absent: quantities of mean 0 and spread 1,
    classes hot; and the means, or shares, and spreads where it is fitted."""
    columns = [target.columns() for target in targets]
    widest = max(part.shape[1] for part in columns)
    wanted = np.full((len(columns[0]), len(targets), widest), np.nan, np.float32)
    means, spreads = [], []
    for number, (target, part) in enumerate(zip(targets, columns, strict=True)):
        known = part[fold.fit][target.there[fold.fit]]
        mean = known.mean(0) if len(known) else np.zeros(part.shape[1])
        spread = float(known.std()) if target.classes is None and len(known) else 1.0
        means.append(mean)
        spreads.append(spread or 1.0)
        shown = (part - mean) / spreads[-1] if target.classes is None else part
        wanted[:, number, : part.shape[1]] = shown
    return torch.from_numpy(wanted), means, spreads


def _trained(
    probes: HiddenProbes,
    fit: Tensor,
    rest: Tensor,
    wanted: Tensor,
    fold: FoldMoments,
    targets: Sequence[ProbeTarget],
) -> Tensor:
    """What each probe says of the moments to test on, at the epoch at which it was best."""
    named = torch.tensor([target.classes is not None for target in targets])
    optimizer = torch.optim.AdamW(probes.parameters(), RATE, weight_decay=DECAY)
    choose = len(fold.choose)
    truth, chosen = wanted[fold.fit], wanted[fold.choose]
    own = wanted.isfinite().any(0)  # (targets, columns): the others are not a target's
    best, since = torch.full((len(targets),), torch.inf), 0
    told = torch.zeros(len(fold.test), *wanted.shape[1:])
    for _ in range(EPOCHS):
        for some in torch.randperm(len(fit)).split(BATCH):
            optimizer.zero_grad()
            _losses(probes(fit[some]), truth[some], named, own).sum().backward()
            optimizer.step()
        with torch.no_grad():
            given = probes(rest)
            losses = _losses(given[:choose], chosen, named, own)
        better = losses < best
        best[better] = losses[better]
        scored = torch.where(
            named[None, :, None], _log_shares(given[choose:], own).exp(), given[choose:]
        )
        told[:, better] = scored[:, better]
        since = 0 if bool(better.any()) else since + 1
        if since >= PATIENCE:
            break
    return told


def _losses(given: Tensor, truth: Tensor, named: Tensor, own: Tensor) -> Float[Tensor, "targets"]:
    """The mean of each target over the moments at which it is there."""
    there = truth[..., 0].isfinite()
    square = (given[..., 0] - truth[..., 0].nan_to_num()) ** 2
    cross = -(truth.nan_to_num() * _log_shares(given, own)).sum(-1)
    each = torch.where(named, cross, square) * there
    return each.sum(0) / there.sum(0).clamp_min(1)


def _log_shares(given: Tensor, own: Tensor) -> Tensor:
    """Logarithms of the classes' probabilities; 0 in columns that are not a target's own."""
    return given.masked_fill(~own, -torch.inf).log_softmax(-1).masked_fill(~own, 0)
