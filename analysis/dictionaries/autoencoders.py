"""TopK sparse autoencoders (Gao et al., 2024, https://arxiv.org/abs/2406.04093)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

SAMPLED = 32_768  # rows that the median and the encoder's scale are taken from, at most
ROUNDS = 100  # of Weiszfeld's, which converge long before


@dataclass(frozen=True)
class LearningSettings:
    """How features are learned.

    k: active at once. expansion: features for each unit that is not silent.
    steps: updates, at least; there are more where a row would be seen less than `epochs` times.
    dead_after: epochs of silence after which a feature is dead, and learns from what the others
        leave. auxiliary: the weight of that in the loss.

    Raises ValueError for a number that is out of range.
    """

    k: int = 16
    expansion: int = 4
    steps: int = 400
    epochs: int = 30
    batch: int = 256
    rate: float = 3e-3
    dead_after: int = 8
    auxiliary: float = 1 / 32

    def __post_init__(self) -> None:
        for name in ("k", "expansion", "steps", "epochs", "batch", "dead_after"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")


class Active(NamedTuple):
    """The features that a row is a sum of: how strongly, and which."""

    values: Float[Tensor, "rows k"]
    features: Int[Tensor, "rows k"]


class TopKAutoencoder(nn.Module):
    """z = ReLU(the k largest of W_enc (x - b_pre) + b_lat); x^ = W_dec z + b_pre.

    encoder, decoder: a row for each feature; the decoder's rows are of length 1.
    centre: b_pre. bias: b_lat. k: features that may be active at once.

    It begins with random directions, the encoder equal to the decoder and without a bias.
    Raises ValueError if there are fewer than k features.
    """

    def __init__(self, units: int, features: int, k: int, generator: torch.Generator) -> None:
        super().__init__()
        if not 1 <= k <= features:
            raise ValueError(f"k is {k}; expected 1 to {features}, the number of features")
        directions = F.normalize(torch.randn(features, units, generator=generator), dim=1)
        self.k = k
        self.decoder = nn.Parameter(directions)
        self.encoder = nn.Parameter(directions.clone())
        self.bias = nn.Parameter(torch.zeros(features))
        self.centre = nn.Parameter(torch.zeros(units))

    def forward(self, rows: Float[Tensor, "rows units"]) -> Float[Tensor, "rows units"]:
        return self.decode(self.active(rows))

    def active(self, rows: Float[Tensor, "rows units"]) -> Active:
        """Gradients go through the k features of each row alone, which is all that there are."""
        centred = rows - self.centre
        with torch.no_grad():
            which = F.linear(centred, self.encoder, self.bias).topk(self.k, sorted=False).indices
        answers = torch.einsum("rku,ru->rk", F.embedding(which, self.encoder), centred)
        return Active((answers + F.embedding(which, self.bias[:, None])[..., 0]).relu(), which)

    def decode(self, active: Active) -> Float[Tensor, "rows units"]:
        """The sum of the features' directions, and the centre."""
        summed = F.embedding_bag(
            active.features, self.decoder, mode="sum", per_sample_weights=active.values
        )
        return summed + self.centre

    def residual_of_dead(
        self, rows: Float[Tensor, "rows units"], dead: Bool[Tensor, "features"], most: int
    ) -> Float[Tensor, "rows units"]:
        """What the `most` largest of the dead features make of the rows: the auxiliary
        reconstruction of what the others leave (section A.2), without the centre."""
        answers = F.linear(rows - self.centre, self.encoder[dead], self.bias[dead]).relu()
        if answers.shape[1] > most:
            largest = answers.topk(most, sorted=False)
            answers = torch.zeros_like(answers).scatter(1, largest.indices, largest.values)
        return answers @ self.decoder[dead]

    @torch.no_grad()
    def fit_start(self, rows: Float[Tensor, "rows units"]) -> None:
        """Sets the centre to the rows' geometric median, and the encoder's scale so that what
        comes back is as far from it, in the mean, as what was given."""
        rows = rows[:SAMPLED]
        self.centre.copy_(geometric_median(rows))
        given = (rows - self.centre).norm(dim=1).mean()
        came = (self(rows) - self.centre).norm(dim=1).mean()
        if came > 0:
            self.encoder.mul_(given / came)

    @torch.no_grad()
    def remove_radial_gradient(self) -> None:
        """Takes from the decoder's gradient what would only change its rows' lengths."""
        gradient = self.decoder.grad
        if gradient is not None:
            along = (gradient * self.decoder).sum(dim=1, keepdim=True)
            gradient.sub_(along * self.decoder)

    @torch.no_grad()
    def normalize_decoder(self) -> None:
        """Makes the decoder's rows of length 1."""
        self.decoder.div_(self.decoder.norm(dim=1, keepdim=True).clamp(min=1e-12))


def geometric_median(rows: Float[Tensor, "rows units"]) -> Float[Tensor, "units"]:
    """The point whose distances to all rows have the smallest sum (Weiszfeld, 1937)."""
    centre = rows.mean(dim=0)
    for _ in range(ROUNDS):
        weights = 1 / (rows - centre).norm(dim=1).clamp(min=1e-6)
        before, centre = centre, (weights @ rows) / weights.sum()
        if (centre - before).norm() <= 1e-6 * centre.norm():
            break
    return centre
