"""A training run's folder: its configuration, its log, its checkpoints.

run/config.json          the hyper-parameters
run/log.jsonl            one JSON object a line: frames, seconds, score, entropy, losses
run/latest.pt            everything needed to go on
run/previous.pt          the same, one checkpoint before
run/checkpoints/N.safetensors    the network's weights after N emulator frames
run/.lock                there while a process trains
"""

from __future__ import annotations

import io
import json
import pickle
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from atari_zoo.converters.files import Hold, missing_folders, remove_empty, written_whole
from atari_zoo.converters.network.finite import all_finite
from atari_zoo.converters.preprocessings import preprocessing_from


class RunFolder:
    """Reads and writes the folder of one run; every write is whole or absent.

    No other process may open it before `release`, or before this one ends.

    Raises ValueError if `path` holds a run of another algorithm or configuration, or one that is
    being trained.
    """

    def __init__(self, path: str | Path, algorithm: str, config: Any) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self._config = {"algorithm": algorithm} | asdict(config)
        self._agree()
        self._made = missing_folders(self.checkpoints)
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        self._hold = Hold(self.path, "is training this run")

    def release(self) -> None:
        """Leaves the folder to others."""
        self._hold.release()

    def abandon(self) -> None:
        """Releases it; the folders that were made for a run that could not begin go again."""
        self.release()
        remove_empty(self._made)

    def _agree(self) -> None:
        file, config = self.path / "config.json", self._config
        if not file.exists():
            return  # until the first checkpoint: a run that could not begin leaves nothing behind
        there = json.loads(file.read_text())
        if isinstance(there.get("preprocessing"), dict):  # it may have got fields since
            there["preprocessing"] = asdict(preprocessing_from(there["preprocessing"]))
        # a run may be prolonged; anything else would make it another run
        differs = sorted(k for k in config if k != "frames" and there.get(k) != config[k])
        if differs:
            raise ValueError(
                f"{self.path} holds a run with another {', '.join(differs)} "
                f"({', '.join(repr(there.get(k)) for k in differs)}); choose another folder"
            )

    def log(self, **row: Any) -> None:
        """Appends a row to the log."""
        with (self.path / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """The log so far; a last line that the machine did not live to end is passed over."""
        file = self.path / "log.jsonl"
        lines = file.read_text().split("\n")[:-1] if file.exists() else []
        return [json.loads(line) for line in lines]

    def save(self, frames: int, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Archives the weights, and replaces the state that a resumed run begins from."""
        config, archive = self.path / "config.json", self.checkpoint(frames)
        if not config.exists():
            _write(config, json.dumps(self._config, indent=1).encode())
        with written_whole(archive) as beside:
            save_file({name: tensor.cpu().contiguous() for name, tensor in weights.items()}, beside)
        content = io.BytesIO()
        torch.save(state | {"frames": frames}, content)
        if self._latest.exists():
            self._latest.replace(self._previous)
        _write(self._latest, content.getvalue())

    def checkpoint(self, frames: int) -> Path:
        """The file of the weights after so many frames."""
        return self.checkpoints / f"{frames:012d}.safetensors"

    def resume(self) -> dict[str, Any] | None:
        """The last saved state, or None in a new run; the log is cut back to it.

        Where the last cannot be read, or is not finite, the one before is taken, with a warning.
        Raises ValueError if that is no better.
        """
        saved = [file for file in (self._latest, self._previous) if file.exists()]
        if not saved:
            return None
        try:
            state = _state(saved[0])
        except ValueError as error:
            if len(saved) == 1:
                raise
            state = _state(saved[1])
            warnings.warn(f"{error}; going on from {saved[1].name} before it", stacklevel=2)
        kept = [json.dumps(row) for row in self.rows() if row["frames"] <= state["frames"]]
        _write(self.path / "log.jsonl", "".join(line + "\n" for line in kept).encode())
        return state

    @property
    def _latest(self) -> Path:
        return self.path / "latest.pt"

    @property
    def _previous(self) -> Path:
        return self.path / "previous.pt"


ADVICE = (
    "put back a good copy, or delete it to begin the run again (checkpoints/ keeps the weights)"
)


def _state(file: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, KeyError) as error:
        raise ValueError(
            f"{file}: a checkpoint that cannot be read, or cut short; {ADVICE}"
        ) from error
    if not all_finite(state):
        raise ValueError(f"{file}: a checkpoint with numbers that are not finite; {ADVICE}")
    return state


def _write(file: Path, content: bytes) -> None:
    with written_whole(file) as beside:
        beside.write_bytes(content)
