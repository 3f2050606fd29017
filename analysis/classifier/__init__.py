"""The classifier of frames: what it is shown, how it learns, how play is split."""
