"""V-trace against the paper's formulas in plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from atari_zoo.training.on_policy.vtrace import vtrace

GAMMA = 0.9
TIME, ENVS = 6, 5


def weights(case: dict[str, np.ndarray], bar: float) -> np.ndarray:
    return np.minimum(bar, np.exp(case["log_ratios"]))


def deltas(case: dict[str, np.ndarray], env: int, rho_bar: float) -> list[float]:
    """delta_t V = rho_t (r_t + gamma V(x_t+1) - V(x_t)); no x_t+1 after an end."""
    found = []
    values = [*case["values"][:, env], case["bootstrap"][env]]
    for t in range(TIME):
        following = 0.0 if case["over"][t, env] else values[t + 1]
        error = case["rewards"][t, env] + GAMMA * following - values[t]
        found.append(weights(case, rho_bar)[t, env] * error)
    return found


def targets_by_the_sum(case, rho_bar, c_bar) -> np.ndarray:
    """Equation 1: v_s = V(x_s) + sum over t of gamma^(t-s) c_s ... c_t-1 delta_t V."""
    targets = np.zeros((TIME, ENVS))
    for env in range(ENVS):
        delta = deltas(case, env, rho_bar)
        for s in range(TIME):
            targets[s, env] = case["values"][s, env]
            for t in range(s, TIME):
                traces = np.prod(weights(case, c_bar)[s:t, env])
                targets[s, env] += GAMMA ** (t - s) * traces * delta[t]
                if case["over"][t, env]:
                    break
    return targets


def targets_by_the_recursion(case, rho_bar, c_bar) -> np.ndarray:
    """Remark 1: v_s = V(x_s) + delta_s V + gamma c_s (v_s+1 - V(x_s+1))."""
    targets = np.zeros((TIME + 1, ENVS))
    targets[TIME] = case["bootstrap"]
    values = np.vstack([case["values"], case["bootstrap"]])
    for env in range(ENVS):
        delta = deltas(case, env, rho_bar)
        for s in reversed(range(TIME)):
            targets[s, env] = values[s, env] + delta[s]
            if not case["over"][s, env]:
                trace = GAMMA * weights(case, c_bar)[s, env]
                targets[s, env] += trace * (targets[s + 1, env] - values[s + 1, env])
    return targets[:TIME]


def advantages(case, targets: np.ndarray, rho_bar: float) -> np.ndarray:
    """Section 4.2: rho_s (r_s + gamma v_s+1 - V(x_s))."""
    found = np.zeros((TIME, ENVS))
    following = np.vstack([targets[1:], case["bootstrap"]])
    for s in range(TIME):
        for env in range(ENVS):
            ahead = 0.0 if case["over"][s, env] else GAMMA * following[s, env]
            error = case["rewards"][s, env] + ahead - case["values"][s, env]
            found[s, env] = weights(case, rho_bar)[s, env] * error
    return found


def random_case(seed: int, ends: float) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return generator.normal(size=shape).astype(np.float32)

    return {
        "log_ratios": normal(TIME, ENVS),
        "rewards": normal(TIME, ENVS),
        "over": generator.random((TIME, ENVS)) < ends,
        "values": normal(TIME, ENVS),
        "bootstrap": normal(ENVS),
    }


@pytest.mark.parametrize("ends", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("bars", [(1.0, 1.0), (2.0, 0.7), (0.7, 2.0)])
def test_the_papers_two_forms(ends, bars):
    case = random_case(0, ends)
    found = vtrace(*map(torch.from_numpy, case.values()), GAMMA, bars)
    # float32 sums of some seven numbers near 1
    for form in (targets_by_the_sum, targets_by_the_recursion):
        np.testing.assert_allclose(found.targets.numpy(), form(case, *bars), atol=1e-5)
    expected = advantages(case, targets_by_the_sum(case, *bars), bars[0])
    np.testing.assert_allclose(found.advantages.numpy(), expected, atol=1e-5)


def test_on_policy_they_are_the_returns():
    """Section 4.1: where pi is mu, v_s is the n-step Bellman target."""
    case = random_case(1, ends=0.2) | {"log_ratios": np.zeros((TIME, ENVS), np.float32)}
    returns = np.zeros((TIME, ENVS))
    ahead = case["bootstrap"].astype(float)
    for s in reversed(range(TIME)):
        ahead = case["rewards"][s] + GAMMA * np.where(case["over"][s], 0, ahead)
        returns[s] = ahead
    found = vtrace(*map(torch.from_numpy, case.values()), GAMMA)
    np.testing.assert_allclose(found.targets.numpy(), returns, atol=1e-5)


def test_environments_are_apart():
    case = random_case(2, ends=0.3)
    whole = vtrace(*map(torch.from_numpy, case.values()), GAMMA)
    for env in range(ENVS):
        alone = [torch.from_numpy(array[..., env : env + 1]) for array in case.values()]
        found = vtrace(*alone, GAMMA)
        assert torch.equal(found.targets[:, 0], whole.targets[:, env])
        assert torch.equal(found.advantages[:, 0], whole.advantages[:, env])


def test_no_gradient_passes_through():
    case = {name: torch.from_numpy(array) for name, array in random_case(3, 0.3).items()}
    case["values"].requires_grad_()
    case["log_ratios"].requires_grad_()
    assert not any(tensor.requires_grad for tensor in vtrace(*case.values(), GAMMA))
