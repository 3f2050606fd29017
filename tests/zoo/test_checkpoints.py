"""Checkpoints of runs: what the files and folders tell, against what was put into them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from log_files import write_dopamine, write_run

from atari_zoo.catalog.names import UnknownModel
from atari_zoo.logs.logs import LogError, training_log
from atari_zoo.logs.run_checkpoints import Checkpoint, checkpoints


def facts(frames: int, time: float, score: float | None) -> dict[str, Any]:
    """An entry as the original zoo's notebook printed one."""
    return {
        "fname": f"/space/raw/epoch_{frames // 4}.h5",
        "initial": 0,
        "frames": frames,
        "time": time,
        "final": 0,
        "score": score,
        "policy_entropy": 2.27,
    }


ORIGINAL = [
    {"criteria": "final", "best_checkpoint": facts(1_000_000_000, 39_000.5, 1800.0)},
    {"criteria": "1HR", "best_checkpoint": facts(24_000_000, 3524.2188017368317, 715.4)},
    {"criteria": "10HR", "best_checkpoint": None},
    {"criteria": "Human", "best_checkpoint": facts(400_000_000, 20_000.0, None)},
    {"criteria": "initial", "best_checkpoint": facts(0, 0, 60)},
]
TOLD = [
    ("initial", 0, 0.0, 60.0),
    ("1HR", 24_000_000, 3524.2188017368317, 715.4),
    ("human", 400_000_000, 20_000.0, None),
    ("final", 1_000_000_000, 39_000.5, 1800.0),
]


def told(found: list[Checkpoint]) -> list[tuple[str, int, float, float | None]]:
    return [
        (at.tag, at.frames, at.seconds, None if math.isnan(at.score) else at.score) for at in found
    ]


@pytest.mark.parametrize("spelling", ["Human", "human"])
def test_the_original_zoos_list(tmp_path: Path, spelling: str) -> None:
    file = tmp_path / "SeaquestNoFrameskip-v4_3.json"
    file.write_text(json.dumps(ORIGINAL).replace("Human", spelling))
    found = checkpoints(file)
    assert told(found) == TOLD
    assert {at.path for at in found} == {""}


def test_a_published_model_with_what_is_here_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ATARI_ZOO_MIRROR", str(tmp_path / "mirror"))
    folder = tmp_path / "mirror" / "uber" / "a2c" / "Seaquest" / "3"
    folder.mkdir(parents=True)
    (folder / "SeaquestNoFrameskip-v4_3.json").write_text(json.dumps(ORIGINAL))
    here = tmp_path / "cache" / "uber" / "a2c" / "Seaquest" / "3@1HR" / "model3_1HR.pb"
    here.parent.mkdir(parents=True)
    here.touch()
    found = checkpoints("uber:a2c/seaquest/3@400M")
    assert told(found) == TOLD
    assert [at.path for at in found] == ["", str(here), "", ""]


def test_a_model_whose_catalogue_alone_tells() -> None:
    initial, final = checkpoints("a2c/Pong/1")
    assert (initial.tag, initial.frames, initial.path) == ("initial", 0, "")
    assert (final.tag, final.frames) == ("final", 11_600_000) and final.score > 18
    assert Path(final.path).name == "a2c-Pong-1.onnx" and Path(final.path).is_file()


def test_a_run_of_the_trainer(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    found = checkpoints(tmp_path / "run")
    # rows stand at every 1000 frames, with 2.5 s and one point each; the first has no score
    assert told(found)[1:] == [("4000", 4000, 10.0, -17.0), ("9500", 9500, 22.5, -12.0)]
    assert found[0].frames == 500 and math.isnan(found[0].seconds) and math.isnan(found[0].score)
    assert all(Path(at.path).is_file() for at in found)
    assert checkpoints(tmp_path / "run" / "checkpoints") == found
    (tmp_path / "run" / "log.jsonl").unlink()
    assert [at.frames for at in checkpoints(tmp_path / "run")] == [500, 4000, 9500]


@pytest.mark.parametrize("kind", ["tensorflow", "jax"])
@pytest.mark.parametrize("sentinels", [True, False])
def test_dopamine(tmp_path: Path, kind: str, sentinels: bool) -> None:
    write_dopamine(tmp_path, list(range(12)))
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for iteration in (9, 10, 11):
        (folder / f"ckpt.{iteration}").touch()
        if kind == "tensorflow":
            for end in ("index", "meta", "data-00000-of-00001"):
                (folder / f"tf_ckpt-{iteration}.{end}").touch()
        if sentinels and iteration != 11:  # it was stopped while it wrote that
            (folder / f"sentinel_checkpoint_complete.{iteration}").touch()
    found = checkpoints(tmp_path)
    whole = [9, 10] if sentinels else [9, 10, 11]
    assert [at.tag for at in found] == [str(iteration) for iteration in whole]
    assert [at.frames for at in found] == [(iteration + 1) * 1_000_000 for iteration in whole]
    log = training_log(tmp_path)
    assert [at.score for at in found] == [log["score"][iteration] for iteration in whole]
    assert [at.seconds for at in found] == [log["seconds"][iteration] for iteration in whole]
    prefix = "tf_ckpt-" if kind == "tensorflow" else "ckpt."
    assert [Path(at.path).name for at in found] == [f"{prefix}{iteration}" for iteration in whole]


BAD = {
    "text": ("nothing", "damaged JSON, or cut short"),
    "cut": (json.dumps(ORIGINAL)[:-30], "damaged JSON, or cut short"),
    "deep": ("[" * 100_000, "damaged JSON"),
    "another list": ('[{"frames": 1}]', "not the original zoo's list"),
    "no score": (
        '[{"criteria": "1HR", "best_checkpoint": {"frames": 1, "time": 2}}]',
        "checkpoint '1HR' does not tell its frames, time and score",
    ),
    "no frames": (json.dumps([{"criteria": "a", "best_checkpoint": facts(-1, 0, 0)}]), "-1.0 fra"),
    "words": (
        '[{"criteria": "a", "best_checkpoint": {"frames": "many", "time": 2, "score": 1}}]',
        "'many' in row 1, not a number",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_list_gets_one_clear_line(tmp_path: Path, case: str) -> None:
    content, message = BAD[case]
    file = tmp_path / "list.json"
    file.write_text(content)
    with pytest.raises(LogError, match=r"^[^\n]+$") as caught:
        checkpoints(file)
    assert message in str(caught.value) and str(file) in str(caught.value)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="no file or model"):
        checkpoints("missing.json")
    with pytest.raises(LogError, match="no checkpoints in it"):
        checkpoints(tmp_path)
