"""A bucket of S3, real client and a server of its own: sweeps, recordings and mirrors."""

from __future__ import annotations

import numpy as np
import pytest
from frozen_graphs import a2c
from moto.server import ThreadedMotoServer

import atari_zoo as zoo
from atari_zoo.catalog.catalog import find
from atari_zoo.sweeps.sweeps import sweep

# raised within aiobotocore and moto
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch):
    import s3fs

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    system.mkdir("lab")
    yield system
    system.rm("lab", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_a_sweep_into_a_bucket_is_gone_on_with_and_opened_there(bucket):
    settings = {"steps": 12, "keep": ["ram"], "layers": []}
    done = sweep("record", ["a2c/Pong/1"], "s3://lab/play", [0, 1], settings)
    assert not done.failed and [outcome.attempts for outcome in done.outcomes] == [1, 1]
    again = sweep("record", ["a2c/Pong/1"], "s3://lab/play", [0, 1, 2], settings)
    assert [outcome.attempts for outcome in again.outcomes] == [0, 0, 1]
    kept = zoo.open_recording("s3://lab/play/a2c-Pong-1/seed-1/play.zarr")
    played = zoo.rollout(zoo.load("a2c/Pong/1"), steps=12, envs=1, seed=1, keep=["ram"])
    np.testing.assert_array_equal(kept.ram[:], played.ram)
    assert "| a2c/Pong/1 | 2 |" in bucket.cat_file("lab/play/report.md").decode()


def test_a_mirror_in_a_bucket(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path))
    monkeypatch.setenv("ATARI_ZOO_MIRROR", "s3://lab/mirror")
    name = "uber:a2c/Pong/2@400M"
    place = find(name).files[0].place
    bucket.pipe_file(f"lab/mirror/{place}", a2c(widths=(8, 8, 8), units=16).data)
    assert zoo.load(name).card.name == name
    assert (tmp_path / place).is_file()
