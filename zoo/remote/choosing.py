"""Chooses the model's file among those of a repository; what is not clear is asked for."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import PurePosixPath

from atari_zoo.downloads.downloads import DownloadError
from atari_zoo.remote.references import HubReference

# endings of models; of one model in several of them the first is taken
ENDINGS = (
    ".onnx .zip .cleanrl_model .safetensors .pt .pth .bin .npz .h5 .hdf5 .keras .pb .gz .index"
).split()
# what stands beside models under such endings
OTHERS = (
    "optimizer replay_buffer train_eval_metrics vec_normalize vecnormalize pytorch_variables "
    "training_args scheduler rng_state"
).split()
SHOWN = 6  # names in a message


def chosen_file(files: Sequence[str], reference: HubReference) -> str:
    """The path in the repository of its model's file.

    Raises DownloadError, with the candidates, if there is none, or more than one that may be meant.
    """
    wanted = reference.file
    if wanted in files:
        return wanted
    within = [file for file in files if file.startswith(f"{wanted}/")] if wanted else list(files)
    if not within:
        close = difflib.get_close_matches(wanted, files, 1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise DownloadError(
            f"{reference}: no file '{wanted}' in it; {hint}there are {_some(files)}"
        )
    found = [file for file in within if _is_model(file) and not _is_unpacked(file, files)]
    if not found:
        raise DownloadError(f"{reference}: no model in it, but {_some(within)}")
    name = reference.repo.rpartition("/")[2]
    named = [file for file in found if PurePosixPath(file).stem == name]
    same = {str(PurePosixPath(file).with_suffix("")) for file in named or found}
    if len(same) > 1:
        raise DownloadError(
            f"{reference}: several models are in it; name one of {_some(named or found)}, as in "
            f"hf:{reference.repo}/{found[0]}"
        )
    return min(named or found, key=lambda file: ENDINGS.index(_ending(file)))


def companions(file: str, files: Sequence[str]) -> list[str]:
    """What a model's file cannot be read without, or says more of it: beside it in a repository."""
    folder = str(PurePosixPath(file).parent)
    stem = str(PurePosixPath(file).with_suffix(""))
    tells = ("config.json", "cfg.json")  # of Sample Factory, in the folder above its checkpoints
    above = {str(PurePosixPath(folder).parent / name) for name in tells}
    return [
        other
        for other in files
        if other != file
        and (
            other.startswith((f"{file}.", f"{file}_", f"{stem}.data-"))
            or other in above
            or (str(PurePosixPath(other).parent) == folder and PurePosixPath(other).name in tells)
        )
    ]


def _ending(file: str) -> str:
    return PurePosixPath(file).suffix.lower()


def _is_model(file: str) -> bool:
    stem = PurePosixPath(file).name.lower()
    return _ending(file) in ENDINGS and not any(part in stem for part in OTHERS)


def _is_unpacked(file: str, files: Sequence[str]) -> bool:
    """Whether it is in a zip that stands beside its folder, as in those of RL Zoo."""
    return any(f"{folder}.zip" in files for folder in PurePosixPath(file).parents)


def _some(files: Sequence[str]) -> str:
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return ", ".join(f"'{file}'" for file in files[:SHOWN]) + more
