"""Words on pictures."""

from __future__ import annotations

from PIL import Image, ImageDraw

from atari_zoo.viz.images import fitting, text


def test_words_are_cut_where_they_no_longer_fit():
    words = "es/Seaquest/1  fc:0    47.4    did not hold"
    whole = Image.new("RGB", (600, 30))
    text(ImageDraw.Draw(whole), (0, 2), words, (255, 255, 255))
    width = whole.getbbox()[2]  # what is drawn, not what is said
    assert fitting(words, width + 1) == words
    short = fitting(words, width / 2)
    drawn = Image.new("RGB", (600, 30))
    text(ImageDraw.Draw(drawn), (0, 2), short, (255, 255, 255))
    assert width / 2 - 20 < drawn.getbbox()[2] <= width / 2
    assert short.endswith("…") and words.startswith(short[:-1])
    assert fitting(words, 1) == "…"
