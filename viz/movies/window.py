"""A window in which recorded play is watched, where there is a screen (Tk, of Python's own)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from atari_zoo.recordings.arrays import not_kept
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.images import enlarge
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.game import SCALE
from atari_zoo.viz.movies.played import PlayedStep, played_steps, step_words

if TYPE_CHECKING:
    import tkinter

KEYS = "space: pause    right: one step    up, down: faster, slower    q: close"
FASTEST, SLOWEST = 16.0, 1 / 16  # times the speed that was asked for


class NoScreen(OSError):
    """There is no screen that a window could be opened on."""


def open_window(title: str) -> tkinter.Tk:
    """A window, still empty.

    Raises NoScreen where there is none, or Python came without Tk.
    """
    try:
        import tkinter

        window = tkinter.Tk(className="atari-zoo")
    except ImportError as error:
        raise NoScreen(f"no window: this Python has no Tk ({error})") from error
    except tkinter.TclError as error:
        raise NoScreen(f"no window: {error}") from error
    window.title(title)
    return window


class Watching:
    """Play in a window, at its own speed, until its end or until the window is closed.

    window: as `open_window` gives it. clip: which steps, how fast and how large.
    Keys are those that `KEYS` says. Raises ValueError as `Clip.steps` does, or without screens.
    """

    def __init__(self, window: tkinter.Tk, recording: Recording, clip: Clip) -> None:
        import tkinter

        if recording.frames is None:
            raise not_kept("frames", "frames")
        self.window, self.names = window, recording.action_names
        self.played = played_steps(recording, clip.env, clip.steps(recording))
        self.pause = 1 / float(clip.rate(recording))  # seconds between two steps
        self.scale, self.faster, self.paused = clip.scale or SCALE, 1.0, False
        height, width = (side * self.scale for side in recording.frames.shape[2:4])
        self.label = tkinter.Label(window, text=KEYS, width=0, anchor="w", font=("", 12))
        self.canvas = tkinter.Canvas(window, width=width, height=height, highlightthickness=0)
        self.canvas.pack()
        self.label.pack(fill="x")
        self._image: Any = None  # Tk keeps no picture that nobody else holds
        for key, act in self._keys().items():
            window.bind(key, _ignoring_event(act))
        self._due = time.monotonic()
        window.after(0, self._tick)

    def step(self) -> bool:
        """Shows the next step; False if there is none."""
        played = next(self.played, None)
        if played is None:
            self.label.configure(text=f"{self.label.cget('text')}    (the end)")
            return False
        self._show(played)
        return True

    def _show(self, played: PlayedStep) -> None:
        import tkinter

        self._image = tkinter.PhotoImage(data=ppm(enlarge(played.frame, self.scale)), format="PPM")
        self.canvas.delete("all")
        self.canvas.create_image(0, 0, image=self._image, anchor="nw")
        self.label.configure(text=step_words(played, self.names))

    def _tick(self) -> None:
        if not self.paused and not self.step():
            return
        # by the clock, so that a slow screen does not slow the game by what it takes itself
        self._due = max(self._due + self.pause / self.faster, time.monotonic() - self.pause)
        left = max(1, int(1000 * (self._due - time.monotonic())))
        self.window.after(left, self._tick)

    def _keys(self) -> dict[str, Callable[[], object]]:
        def faster(times: float) -> None:
            self.faster = min(FASTEST, max(SLOWEST, self.faster * times))

        def pause() -> None:
            self.paused = not self.paused

        return {
            "<space>": pause,
            "<Right>": self.step,
            "<Up>": lambda: faster(2),
            "<Down>": lambda: faster(0.5),
            "q": self.window.destroy,
            "<Escape>": self.window.destroy,
        }


def ppm(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """The picture as a PPM file's bytes, which Tk reads fastest."""
    height, width = picture.shape[:2]
    return f"P6 {width} {height} 255 ".encode() + picture.tobytes()


def _ignoring_event(act: Callable[[], object]) -> Callable[[Any], object]:
    return lambda event: act()
