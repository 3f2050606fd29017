"""A tour of one agent: what it is, how it plays, what it computes, why it acted. One HTML page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from atari_zoo.agent_states import as_it_was
from atari_zoo.analysis.first_convolutions import first_convolution
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.files import written_whole
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.recurrent import RecurrentNetwork
from atari_zoo.games import game as find_game
from atari_zoo.models import load
from atari_zoo.play.rollouts import rollout
from atari_zoo.recordings.arrays import not_kept
from atari_zoo.recordings.recordings import Recording
from atari_zoo.seeds import whole
from atari_zoo.viz import filters
from atari_zoo.viz.attribution import attribution
from atari_zoo.viz.attribution.targets import DECISION, rates_actions, target_words
from atari_zoo.viz.images import enlarge
from atari_zoo.viz.movies import movies
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.shown_layers import shown_layers
from atari_zoo.viz.pages.templates import check_page
from atari_zoo.viz.pages.tour_page import DecisiveStep, Habit, Score, TourFindings, tour_page
from atari_zoo.viz.saliency import overlays

ENVS = 4
METHOD = "integrated_gradients"
MOMENTS = 4


@checked
def tour(
    model: str | Path,
    path: str | Path,
    steps: int = 300,
    seed: int = 0,
    score_steps: int = 2500,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Plays an agent, looks inside it, and writes a page that explains what was found.

    model: a name, such as a2c/Pong/1, or the path of any file a converter knows.
    path: of the page, one self-contained HTML file of a few MB.
    steps: agent steps in the movie. score_steps: played in each of 4 games for the score.
    device: where the network runs. progress: called with the steps done and those there are.

    Raises UnknownModel or ConversionError as `load` does; ValueError if the network diverged, or
    its card names no game.
    """
    seed = whole(seed)
    check_page(path)
    network = load(model, device)
    check_finite(network)
    total = score_steps + 2 * steps

    def report(before: int) -> Callable[[int, int], None]:
        return lambda done, _: progress(before + done, total)

    play = rollout(network, steps=score_steps, envs=ENVS, seed=seed, progress=report(0))
    recording = rollout(
        network,
        steps=steps,
        envs=1,
        seed=seed,
        keep=["screens", "frames", "outputs"],
        progress=report(score_steps),
    )
    fps = float(Clip().rate(recording))  # as fast as the game runs
    first = first_convolution(network)
    movie = _movie(network, recording, report(score_steps + steps))
    found = TourFindings(
        card=network.card,
        game=find_game(recording.game),
        weights=_weights(network),
        envs=ENVS,
        score=whole_episodes(play),
        steps=steps,
        fps=fps,
        movie=movie,
        shown=shown_layers(network),
        habit=_habit(recording),
        first=first[0] if first else "",
        filters=filters.filter_picture(network) if first else None,
        narrow_filters=filters.filter_picture(network, blocks=2) if first else None,
        rates_actions=rates_actions(network),
        decisions=[_decision(network, recording, step) for step in decisive_steps(recording)],
        examples=_examples(str(model), recording, seed, score_steps),
    )
    with written_whole(path) as beside:
        beside.write_text(tour_page(found), encoding="utf-8")


def whole_episodes(recording: Recording) -> Score:
    """Scores of the first few episodes of every environment, the same number of each.

    Counting whatever ended in a given time would count short episodes more often. Where some
    environment has not ended even one, the first episodes of the others are counted, and what
    is missing is told.
    """
    finished, unfinished = [], []
    for starts, rewards in zip(recording.starts.T, recording.rewards.T, strict=True):
        points = np.add.reduceat(rewards, np.flatnonzero(starts)).astype(float)
        finished.append(points[:-1])
        unfinished.append(points[-1])
    each = min(map(len, finished))
    missing = [points for points, ended in zip(unfinished, finished, strict=True) if not len(ended)]
    counted = np.concatenate([points[: max(each, 1)] for points in finished])
    return Score(counted, np.array(missing, float), len(recording.starts))


def decisive_steps(recording: Recording, count: int = MOMENTS, env: int = 0) -> list[int]:
    """Steps at which the output of the action taken lies highest above the mean of all outputs.

    They are at least a twelfth of the recording apart, in order of time. Where the agent is
    mostly indifferent there are fewer than `count`: none lies less than a quarter as high as
    the highest.
    Raises ValueError if outputs were not recorded.
    """
    if recording.outputs is None:
        raise not_kept("outputs", "outputs")
    outputs = recording.outputs[:, env]
    steps = np.arange(len(outputs))
    gaps = outputs[steps, recording.actions[:, env]] - outputs.mean(axis=1)
    chosen: list[int] = []
    for step in np.argsort(-gaps, kind="stable"):
        if chosen and (gaps[step] < gaps.max() / 4 or len(chosen) == count):
            break
        if all(abs(int(step) - other) >= max(1, len(steps) // 12) for other in chosen):
            chosen.append(int(step))
    return sorted(chosen)


def _habit(recording: Recording) -> Habit:
    assert recording.outputs is not None  # tour records them
    outputs, actions = np.asarray(recording.outputs[:, 0]), recording.actions[:, 0]
    counts = np.bincount(actions)
    gaps = outputs[np.arange(len(outputs)), actions] - outputs.mean(axis=1)
    step = int(gaps.argmax())
    names = recording.action_names
    return Habit(
        names[counts.argmax()],
        float(counts.max() / len(actions)),
        step,
        names[actions[step]],
        float(gaps[step]),
        1 / len(names),
    )


def _movie(network: Network, recording: Recording, progress: Callable[[int, int], None]) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "movie.mp4"
        movies.activation_movie(network, recording, path, progress=progress)
        return path.read_bytes()


def _decision(network: Network, recording: Recording, step: int) -> DecisiveStep:
    assert recording.frames is not None and recording.outputs is not None  # tour records them
    observation = recording.observations()[step]
    action, frame = int(recording.actions[step, 0]), recording.frames[step, 0]
    outputs = torch.from_numpy(np.array(recording.outputs[step, 0]))
    target = f"{DECISION}:{action}"
    asked = as_it_was(network, recording, step)
    found = attribution.attribution_of(asked, observation[None] / 255, METHOD, target)
    assert found.delta is not None  # integrated gradients have one
    values = found.values[0].cpu().numpy()
    return DecisiveStep(
        step=step,
        action=recording.action_names[action],
        explains=target_words(network, target, outputs),
        total=float(values.sum()),
        delta=float(found.delta[0]),
        output=float(outputs[action]),
        mean=float(outputs.mean()),
        probability=None if rates_actions(network) else float(outputs.softmax(0)[action]),
        frame=enlarge(frame, 2),
        overlay=overlays.overlay(frame, values, preprocessing=recording.preprocessing),
        strip=overlays.frame_strip(observation.numpy(), values),
    )


def _weights(network: Network) -> dict[str, int]:
    """How many each layer has; of one that holds other layers, those that are in none of them."""
    counted: set[Tensor] = set()
    counts = {}
    for name, layer in network.layers.items():
        own = set(layer.parameters()) - counted
        counts[name] = sum(weight.numel() for weight in own)
        counted |= own
    if isinstance(network, RecurrentNetwork) and network.memory is not None:
        counts["memory"] = sum(weight.numel() for weight in network.memory.parameters())
    return {name: count for name, count in counts.items() if count}


def _examples(model: str, recording: Recording, seed: int, score_steps: int) -> dict[str, str]:
    step = decisive_steps(recording)[0]
    asked = "net" if recording.state is None else "zoo.as_it_was(net, rec, step)"
    action, steps = int(recording.actions[step, 0]), len(recording.starts)
    lines = {
        "load": ["import atari_zoo as zoo", "", f"net = zoo.load({model!r})"],
        "score": [
            "from atari_zoo.viz.pages.tour import whole_episodes",
            "",
            f"play = zoo.rollout(net, steps={score_steps}, envs={ENVS}, seed={seed})",
            "print(whole_episodes(play))",
        ],
        "movie": [
            "from atari_zoo.viz import movies",
            "",
            'keep = ["screens", "frames", "outputs"]',
            f"rec = zoo.rollout(net, steps={steps}, envs=1, seed={seed}, keep=keep)",
            'movies.activation_movie(net, rec, "movie.mp4")',
        ],
        "filters": [
            "from atari_zoo.viz import filters",
            "",
            'filters.save_filters(net, "filters.png")',
        ],
        "attribution": [
            "from atari_zoo.viz import attribution, images",
            "from atari_zoo.viz.saliency import overlays",
            "",
            f"step, action = {step}, {action}",
            "observation = rec.observations()[step : step + 1] / 255",
            f'target = f"{DECISION}:{{action}}"',
            f'found = attribution.attribute({asked}, observation, "{METHOD}", target)',
            "values, seen = found.values[0].numpy(), rec.preprocessing",
            "picture = overlays.overlay(rec.frames[step, 0], values, preprocessing=seen)",
            'images.save_png(picture, "attribution.png")',
        ],
    }
    return {name: "\n".join(block) for name, block in lines.items()}
