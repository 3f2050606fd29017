"""A frame of an activation movie, the README's first picture.

python docs/figures/movie.py            # writes docs/figures/movie.png
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import av

import atari_zoo as zoo
from atari_zoo.viz.movies import Clip, activation_movie

MODEL, STEP = "apex/Seaquest/1", 253  # at which conv3:26 answers most
SCALED = slice(STEP - 100, STEP + 101)  # steps whose least and most are black and yellow


def main() -> None:
    """Writes the picture."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "movie.mp4"
        clip = Clip(first=SCALED.start, stop=SCALED.stop)
        activation_movie(zoo.load(MODEL), zoo.standard_play(MODEL), path, clip)
        with av.open(path) as movie:
            for number, frame in enumerate(movie.decode(video=0)):
                if number == STEP - SCALED.start:
                    frame.to_image().save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
