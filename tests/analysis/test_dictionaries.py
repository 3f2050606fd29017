"""Dictionaries of features: TopK autoencoders by their formulas, and planted directions found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from sklearn.decomposition import PCA
from torch import Tensor
from torch.testing import assert_close

from atari_zoo.analysis.dictionaries.autoencoders import (
    LearningSettings,
    TopKAutoencoder,
    geometric_median,
)
from atari_zoo.analysis.dictionaries.dictionaries import (
    first_components,
    random_directions,
    standard_of,
)
from atari_zoo.analysis.dictionaries.files import open_dictionary, save_dictionary
from atari_zoo.analysis.dictionaries.learning import FeatureLearning, fit_autoencoder
from atari_zoo.analysis.dictionaries.studies import learn_dictionary

RATE, EPSILON = 1e-3, 6.25e-10


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def planted(directions: int = 64, active: int = 4, rows: int = 2000) -> tuple[Tensor, Tensor]:
    """Rows that are each a sum of some of the directions, by .5 to 1.5 of each."""
    generator = torch.Generator().manual_seed(1)
    unit = F.normalize(drawn(directions, directions, seed=9), dim=1)
    which = torch.rand(rows, directions, generator=generator).topk(active).indices
    amounts = 0.5 + torch.rand(rows, active, generator=generator)
    return unit, (unit[which] * amounts[..., None]).sum(dim=1)


def begun(rows: Tensor, features: int, k: int) -> TopKAutoencoder:
    made = TopKAutoencoder(rows.shape[1], features, k, torch.Generator().manual_seed(0))
    made.fit_start(rows)
    return made


def dense_loss(parts: dict[str, Tensor], rows: Tensor, k: int, dead: Tensor, most: int) -> Tensor:
    """The loss of Gao et al. written out with dense codes, a row after the other."""
    variance = (rows - rows.mean(dim=0)).square().mean()
    loss = torch.zeros(())
    residuals, auxiliary = [], []
    for row in rows:
        answers = parts["encoder"] @ (row - parts["centre"]) + parts["bias"]
        codes = torch.zeros(len(answers))
        for feature in answers.argsort(descending=True)[:k].tolist():
            codes[feature] = answers[feature].clamp(min=0)
        missed = row - (parts["decoder"].T @ codes + parts["centre"])
        loss = loss + missed.square().mean() / variance / len(rows)
        dead_codes = torch.zeros(len(answers))
        for feature in [f for f in answers.argsort(descending=True).tolist() if dead[f]][:most]:
            dead_codes[feature] = answers[feature].clamp(min=0)
        residuals.append(missed.detach())
        auxiliary.append(parts["decoder"].T @ dead_codes)
    residual = torch.stack(residuals)
    spread = (residual - residual.mean(dim=0)).square().mean()
    if dead.any():
        loss = loss + (torch.stack(auxiliary) - residual).square().mean() / spread / 32
    return loss


def stepped(parts: dict[str, Tensor], loss: Tensor) -> dict[str, Tensor]:
    """One step of Adam written out, the decoder's gradient without what lies along its rows."""
    found = {}
    for name, gradient in zip(parts, torch.autograd.grad(loss, list(parts.values())), strict=True):
        part = parts[name].detach()
        if name == "decoder":
            gradient = gradient - (gradient * part).sum(dim=1, keepdim=True) * part
        moved = part - RATE * gradient / (gradient.abs() + EPSILON)  # both moments corrected
        found[name] = F.normalize(moved, dim=1) if name == "decoder" else moved
    return found


def leaves(autoencoder: TopKAutoencoder) -> dict[str, Tensor]:
    return {n: p.detach().clone().requires_grad_() for n, p in autoencoder.named_parameters()}


def test_a_step_of_the_trainer_is_that_of_the_formulas() -> None:
    rows = drawn(40, 7)
    settings = LearningSettings(k=3, expansion=2, steps=1, epochs=1, batch=40, rate=RATE)
    found = fit_autoencoder(rows, settings, seed=0)
    parts = leaves(begun(rows, 14, 3))
    expected = stepped(parts, dense_loss(parts, rows, 3, torch.zeros(14, dtype=torch.bool), 0))
    for name, part in found.named_parameters():
        # the first step is the gradient's sign times the rate, but where it is about 0
        assert_close(part, expected[name], atol=2e-6, rtol=0)
        assert (part - parts[name]).abs().max() > 0.5 * RATE


def test_a_step_with_dead_features_is_that_of_the_formulas() -> None:
    rows = drawn(4, 8, seed=3)
    autoencoder = begun(rows, 16, 2)
    dead = torch.arange(16) >= 3
    learning = FeatureLearning(autoencoder, LearningSettings(k=2), _variance(rows), len(rows))
    assert learning.most == 4  # half of 8 units
    learning.silent_for[dead] = learning.patience
    # those that are active in this very batch live
    active = autoencoder.active(rows)
    dead[active.features[active.values > 1e-3]] = False
    parts = leaves(autoencoder)
    expected = dense_loss(parts, rows, 2, dead, 4)
    assert dead.sum() > 4
    found = learning.training_step(rows)
    assert_close(found, expected, atol=1e-6, rtol=1e-5)
    found.backward()
    gradients = torch.autograd.grad(expected, list(parts.values()))
    for (name, part), gradient in zip(autoencoder.named_parameters(), gradients, strict=True):
        assert_close(part.grad, gradient, atol=1e-6, rtol=1e-4, msg=name)


def _variance(rows: Tensor) -> float:
    return float((rows - rows.mean(dim=0)).square().mean())


def test_a_planted_dictionary_is_found_and_not_by_chance() -> None:
    directions, rows = planted()
    settings = LearningSettings(k=4, expansion=2, steps=200, rate=1e-2, epochs=1)
    found = learn_dictionary(rows, settings, seed=0)
    control = random_directions(found.standard, len(found.decoder), 4, seed=0)
    best = [
        (F.normalize(each.directions, dim=1) @ directions.T).max(dim=0).values.mean()
        for each in (found, control)
    ]
    assert best[0] > 0.95
    assert best[1] < 0.6
    missed = [(each(rows) - rows).square().sum() for each in (found, control)]
    assert missed[0] < 0.05 * missed[1]


def test_the_decoders_rows_keep_their_length_and_the_seed_decides() -> None:
    rows = drawn(100, 12)
    settings = LearningSettings(k=3, steps=30, epochs=1, batch=32)
    found, again, other = (fit_autoencoder(rows, settings, seed) for seed in (0, 0, 1))
    assert_close(found.decoder.norm(dim=1), torch.ones(48), atol=1e-6, rtol=0)
    assert (found.decoder - begun(rows, 48, 3).decoder).abs().max() > 1e-3  # it moved
    for name, part in found.named_parameters():
        assert torch.equal(part, again.get_parameter(name))
        assert not torch.equal(part, other.get_parameter(name))


@pytest.mark.parametrize(("auxiliary", "revived"), [(1 / 32, True), (0.0, False)])
def test_a_dead_feature_is_revived_by_what_the_others_leave(auxiliary, revived) -> None:
    """Feature 7 answers too faintly to be among the k largest, and no other has its direction."""
    directions, rows = planted(directions=8, active=2, rows=256)
    autoencoder = begun(rows, 8, 2)
    with torch.no_grad():
        autoencoder.decoder.copy_(directions)
        autoencoder.encoder.copy_(torch.linalg.inv(directions).T)
        autoencoder.centre.zero_()
        autoencoder.encoder[7] *= 0.01
        autoencoder.bias += 0.1  # so that others that are not there come before it too
        autoencoder.bias[7] = 0
    settings = LearningSettings(k=2, dead_after=1, auxiliary=auxiliary, rate=3e-3)
    learning = FeatureLearning(autoencoder, settings, _variance(rows), len(rows))
    optimizer = learning.configure_optimizers()
    assert not (autoencoder.active(rows).features == 7).any()
    for _ in range(60):
        optimizer.zero_grad()
        learning.training_step(rows).backward()
        learning.on_before_optimizer_step(optimizer)
        optimizer.step()
        learning.on_train_batch_end(None, None, 0)
    active = autoencoder.active(rows)
    assert bool((active.values[active.features == 7] > 0.1).any()) == revived


def test_the_geometric_median_has_the_least_sum_of_distances() -> None:
    rows = torch.cat([drawn(50, 3), 40 + drawn(8, 3, seed=1)])  # outliers that the mean follows
    found = geometric_median(rows)
    best = minimize(lambda p: np.linalg.norm(rows.numpy() - p, axis=1).sum(), np.zeros(3), tol=1e-9)
    assert_close(found, torch.from_numpy(best.x).float(), atol=1e-3, rtol=0)
    assert (rows.mean(dim=0) - found).norm() > 3


def test_it_begins_as_long_as_what_it_is_given() -> None:
    rows = 5 * drawn(200, 10) + 3
    made = begun(rows, 40, 4)
    came, given = ((part - made.centre).norm(dim=1).mean() for part in (made(rows), rows))
    assert_close(came, given)
    assert_close(made.centre, geometric_median(rows))
    ratio = made.encoder / made.decoder
    assert_close(ratio, ratio[:1, :1].expand_as(ratio))


def layer_values() -> Tensor:
    """Of 12 units, of which two are silent, one at 0 and one at a constant."""
    values = drawn(90, 12, seed=2).relu()
    values[:, 3], values[:, 8] = 0, 0.7
    return values


def test_silent_units_are_left_out_and_come_back_as_they_were() -> None:
    values = layer_values()
    standard = standard_of(values)
    assert standard.live.sum() == 10
    rows = standard.rows(values)
    assert_close(rows.mean(dim=0), torch.zeros(10), atol=1e-6, rtol=0)
    assert_close(rows.square().mean(), torch.ones(()))
    assert_close(standard.values(rows), values)
    found = learn_dictionary(values, LearningSettings(k=3, steps=5, epochs=1))
    back = found(values)
    assert torch.equal(back[:, 3], values[:, 3]) and torch.equal(back[:, 8], values[:, 8])
    codes = found.codes(values)
    assert ((codes > 0).sum(dim=1) <= 3).all() and (codes >= 0).all()
    found.bias -= 100  # nothing answers: no code is below 0
    assert not found.codes(values).any()
    plain = standard.values(torch.zeros(1, 10) + found.centre)
    assert_close(back, plain + codes @ found.directions, atol=1e-5, rtol=0)


def test_principal_components_are_those_of_scikit_learn() -> None:
    values = layer_values()
    standard = standard_of(values)
    found = first_components(standard, values, 4)(values)
    oracle = PCA(4).fit(values.numpy())
    expected = oracle.inverse_transform(oracle.transform(values.numpy()))
    assert_close(found, torch.from_numpy(expected), atol=1e-5, rtol=0)
    assert first_components(standard, values, 99).k == 10


def test_random_directions_are_fitted_by_least_squares() -> None:
    values = layer_values()
    standard = standard_of(values)
    found = random_directions(standard, 30, 4, seed=0)
    assert_close(found.decoder.norm(dim=1), torch.ones(30))
    rows, back = standard.rows(values), standard.rows(found(values))
    for row, given in zip(rows.numpy(), back.numpy(), strict=True):
        some = found.decoder.numpy()
        largest = some[(some @ row).argsort()[-4:]]
        amounts = np.linalg.lstsq(largest.T, row, rcond=None)[0]
        np.testing.assert_allclose(given, amounts @ largest, atol=1e-3)


def test_a_dictionary_is_opened_as_it_was_saved(tmp_path: Path) -> None:
    values = layer_values()
    made = learn_dictionary(values, LearningSettings(k=3, steps=5, epochs=1))
    save_dictionary(made, tmp_path / "features.safetensors")
    again = open_dictionary(tmp_path / "features.safetensors")
    assert torch.equal(again(values), made(values)) and again.k == 3
    assert torch.equal(again.directions, made.directions)


@pytest.mark.parametrize("damage", ["cut", "another", "missing"])
def test_a_file_that_is_no_dictionary_is_refused(tmp_path: Path, damage: str) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "features.safetensors"
    save_dictionary(
        learn_dictionary(layer_values(), LearningSettings(k=3, steps=1, epochs=1)), path
    )
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "another":
        save_file({"decoder": torch.zeros(2, 2)}, path)
    else:
        path.unlink()
    with pytest.raises(ValueError, match="no dictionary of features"):
        open_dictionary(path)


def test_bad_numbers_and_silent_layers_are_refused(tmp_path: Path) -> None:
    made = learn_dictionary(layer_values(), LearningSettings(k=3, steps=1, epochs=1))
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        save_dictionary(made, tmp_path / "features.pkl")
    with pytest.raises(ValueError, match="k is 0; expected at least 1"):
        LearningSettings(k=0)
    with pytest.raises(ValueError, match="k is 41; expected 1 to 40, the number of features"):
        learn_dictionary(layer_values(), LearningSettings(k=41))
    with pytest.raises(ValueError, match="none of the layer's 5 units ever changes"):
        learn_dictionary(torch.ones(9, 5))
    with pytest.raises(ValueError, match="nothing to learn from"):
        learn_dictionary(torch.ones(0, 5))
