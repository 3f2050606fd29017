"""A window in which play is watched: what it shows, and when; Tk is played by a stand-in."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from movie_files import shown_play

from atari_zoo.viz.images import enlarge
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.window import NoScreen, Watching, open_window


class Widget:
    """Whatever is asked of it, it keeps."""

    def __init__(self, *given, **options) -> None:
        self.options, self.images = options, []

    def configure(self, **options) -> None:
        self.options |= options

    def cget(self, name):
        return self.options[name]

    def create_image(self, left, top, image, anchor) -> None:
        self.images.append(image.options["data"])

    def pack(self, **options) -> None: ...
    def delete(self, what) -> None: ...


class Window(Widget):
    """Calls back when its time is run; the clock is its own."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.due, self.keys, self.open = [], {}, True

    def after(self, wait, call) -> None:
        self.due.append((wait, call))

    def bind(self, key, act) -> None:
        self.keys[key] = act

    def title(self, words) -> None:
        self.options["title"] = words

    def destroy(self) -> None:
        self.open = False

    def tick(self) -> int:
        """Runs what is due; the milliseconds that it waited."""
        wait, call = self.due.pop(0)
        call()
        return wait


@pytest.fixture
def tk(monkeypatch) -> types.ModuleType:
    module = types.ModuleType("tkinter")
    module.TclError = type("TclError", (Exception,), {})  # type: ignore[attr-defined]
    for name in ("Label", "Canvas", "PhotoImage"):
        setattr(module, name, Widget)
    module.Tk = Window  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tkinter", module)
    return module


def test_it_shows_every_step_in_order_and_then_its_end(tk, monkeypatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    play = shown_play(4)
    window = open_window("an agent")
    watching = Watching(window, play, Clip(first=1, scale=2))
    waits = [window.tick() for _ in range(3)]
    assert waits[1:] == [66, 66] or waits[1] in (66, 67)  # 15 steps a second
    for data, step in zip(watching.canvas.images, (1, 2, 3), strict=True):
        head, _, pixels = data.partition(b"255 ")
        assert head == b"P6 320 420 "
        shown = np.frombuffer(pixels, np.uint8).reshape(420, 320, 3)
        np.testing.assert_array_equal(shown, enlarge(np.asarray(play.frames[step, 0]), 2))
    assert watching.label.options["text"].startswith("step 3    score 20")
    window.tick()
    assert watching.label.options["text"].endswith("(the end)") and not window.due


def test_keys_pause_step_and_close(tk) -> None:
    window = open_window("an agent")
    watching = Watching(window, shown_play(9), Clip())
    window.tick()
    window.keys["<space>"](None)
    window.tick()
    assert len(watching.canvas.images) == 1 and window.due  # it waits
    window.keys["<Right>"](None)
    assert len(watching.canvas.images) == 2
    window.keys["<Up>"](None)
    assert watching.faster == 2
    for _ in range(9):
        window.keys["<Down>"](None)
    assert watching.faster == 1 / 16
    window.keys["<space>"](None)
    window.tick()
    assert len(watching.canvas.images) == 3
    window.keys["q"](None)
    assert not window.open


def test_without_a_screen_it_says_so(tk, monkeypatch) -> None:
    def none(**options) -> None:
        raise tk.TclError("no display name and no $DISPLAY environment variable")

    monkeypatch.setattr(tk, "Tk", none)
    with pytest.raises(NoScreen, match="no window: no display name"):
        open_window("an agent")
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(NoScreen, match="this Python has no Tk"):
        open_window("an agent")


def test_play_without_screens_is_refused(tk) -> None:
    with pytest.raises(ValueError, match="no frames in this recording"):
        Watching(open_window("an agent"), shown_play(2, colours=None), Clip())
