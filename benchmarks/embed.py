"""Embedding the RAM of 18 plays, as the paper did, beside scikit-learn's t-SNE: the time, and
what came of it by one exact measure for both.

    python benchmarks/embed.py --quick

Each runs in a process of its own, with the same points (50 principal components), threads,
perplexity and iterations. The paper's setting is 18 x 2,501 points and 3,000 iterations, which is
an hour and more of scikit-learn; `--quick` has 3,000 points of 9 plays and 750 iterations.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rows import Row, arguments, row, show

AGENTS = [f"a2c/Seaquest/{run}" for run in (1, 2, 3)] + [
    f"{name}/Seaquest/1" for name in ("apex", "dqn", "es", "ga", "impala", "rainbow")
]
PLAYS, STEPS, PERPLEXITY = 18, 2501, 30.0  # of each agent two, of seeds 0 and 1
QUICK_STEPS, QUICK_POINTS, QUICK_ITERATIONS, ITERATIONS = 400, 3000, 750, 3000
# "auto" and "pca" are its settings as a rule; the original took those of 2018
PEERS = {
    "scikit-learn, settings of the original": {"init": "random", "learning_rate": 200.0},
    "scikit-learn, its own settings": {},
}
MEASURES = {"time": "s", "exact divergence": "nats", "trustworthiness": "share"}


def ours(points: np.ndarray, iterations: int) -> np.ndarray:
    """What `embed` does, one layout."""
    import torch

    from atari_zoo.analysis.embedding.methods import TSNE, MapSettings, from_components
    from atari_zoo.analysis.measures.divergence import affinities

    near = affinities(points, PERPLEXITY, torch.get_num_threads())
    settings = MapSettings(PERPLEXITY, iterations)
    return TSNE().lay_out(points, near, from_components(points), settings, lambda done: None)


def theirs(points: np.ndarray, iterations: int, **settings: object) -> np.ndarray:
    """`scikit-learn`'s, as dimensionality_reduction/process.py of the original calls it."""
    from sklearn.manifold import TSNE

    made = TSNE(perplexity=PERPLEXITY, max_iter=iterations, random_state=0, **settings)
    return made.fit_transform(points)


def timed(file: Path, who: str, iterations: int) -> None:
    """Lays out the points of the file and writes the places beside it; prints the seconds."""
    points = np.load(file)
    layouts: dict[str, Callable[[], np.ndarray]] = {"ours": lambda: ours(points, iterations)}
    for peer, settings in PEERS.items():
        layouts[peer] = lambda settings=settings: theirs(points, iterations, **settings)
    import sklearn.manifold  # noqa: F401 - imports are not what is compared

    import atari_zoo.analysis.embedding.methods  # noqa: F401

    begun = time.perf_counter()
    places = layouts[who]()
    taken = time.perf_counter() - begun
    np.save(file.with_name("places.npy"), places.astype(float))
    print(json.dumps(taken))


def in_a_process(file: Path, who: str, iterations: int, threads: int) -> tuple[float, np.ndarray]:
    """The seconds that a layout takes, and the places. scikit-learn takes OpenMP's threads."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--lay-out", str(file), who, str(iterations)],
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1]), np.load(file.with_name("places.npy"))


def ram_of_play(quick: bool) -> np.ndarray:
    """Bytes (points, 128) of the starter agents' play of Seaquest, 2,501 steps with each seed."""
    from atari_zoo.play.standard import standard_play

    plays = []
    for number in range(PLAYS):
        seed, agent = divmod(number, len(AGENTS))
        if quick and seed:
            break
        steps = QUICK_STEPS if quick else STEPS
        played = standard_play(AGENTS[agent], steps, seed)
        plays.append(np.asarray(played.ram[:]).reshape(-1, 128))
    whole = np.concatenate(plays)
    if not quick:
        return whole
    chosen = np.random.default_rng(0).choice(len(whole), QUICK_POINTS, replace=False)
    return whole[np.sort(chosen)]


def compare(quick: bool, threads: int) -> Iterator[Row]:
    """Three rows for each peer: the time, the exact divergence, the trustworthiness."""
    from atari_zoo.analysis.embedding.maps import reduction_of
    from atari_zoo.analysis.measures.divergence import affinities, exact_divergence
    from atari_zoo.analysis.measures.neighbourhoods import (
        drawn_rows,
        embedded_ranks,
        trustworthiness,
    )

    ram = ram_of_play(quick).astype(np.float32)
    points = reduction_of(ram, "play")(ram)
    probabilities = affinities(points, PERPLEXITY, threads).P
    rows, iterations = drawn_rows(len(ram), 1000), QUICK_ITERATIONS if quick else ITERATIONS
    case = f"{len(points):,} points, {iterations:,} iterations, {threads} threads"

    def measured(file: Path, who: str) -> tuple[float, float, float]:
        seconds, places = in_a_process(file, who, iterations, threads)
        trust = trustworthiness(embedded_ranks(ram, places, rows=rows), len(ram)).mean()
        return seconds, exact_divergence(probabilities, places), float(trust)

    with TemporaryDirectory() as folder:
        file = Path(folder) / "points.npy"
        np.save(file, points)
        us = measured(file, "ours")
        for peer in PEERS:
            them = measured(file, peer)
            for (measure, unit), our, their in zip(MEASURES.items(), us, them, strict=True):
                yield row("embed", f"{case}: {measure}", peer, [our], [their], unit)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--lay-out"]:
        timed(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        from atari_zoo.threads import cores

        parser = arguments(__doc__)
        parser.add_argument("--threads", type=int, default=cores(), help="all cores if not given")
        options = parser.parse_args()
        show(compare(options.quick, options.threads), options.json)
