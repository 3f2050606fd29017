"""The catalogue: every row of it, names in every spelling, and what is said of those that miss."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import atari_zoo.converters.convert  # noqa: F401  registers the formats
from atari_zoo.catalog.catalog import UnknownModel, collections, entries, find, list_models
from atari_zoo.catalog.user import BadCatalog
from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.cards import ACTION_RULES, PREPROCESSINGS
from atari_zoo.converters.registry import FORMATS
from atari_zoo.games import UnknownGame, games

CLOUD = "https://dgqeqexrlnkvd.cloudfront.net/zoo"
HUB = "https://huggingface.co"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "cache"))
    for name in ("ATARI_ZOO_CATALOG", "ATARI_ZOO_MIRROR", "ATARI_ZOO_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def test_every_row_is_right() -> None:
    rows = entries()
    actions = {known.name: known.actions for known in games()}
    places: Counter[str] = Counter()
    for row in rows:
        card = row.card
        assert card.algorithm in ALGORITHMS and card.action_rule in ACTION_RULES, card.name
        assert card.action_meanings == actions[card.game], card.name
        kinds = (row.packaged is not None, row.seed is not None, bool(row.files))
        assert sum(kinds) == 1, card.name
        if not card.collection:  # a starter agent's card is its own
            continue
        assert card.preprocessing is PREPROCESSINGS[card.preprocessing.name], card.name
        assert card.format in FORMATS, card.name
        own = [file.place for file in (*row.files, *row.extras.values())]
        assert len(own) == len(set(own)), card.name
        places.update(file.place for file in row.files)
        for file in (*row.files, *row.extras.values()):
            assert re.fullmatch(r"[\w.+-]+(/[\w.+@-]+){4}", file.place), file.place
            for url in file.urls:
                assert re.fullmatch(r"(https|gs)://[a-z0-9._-]+(/[\w.+-]+)+", url), url
    names = Counter(row.card.name for row in rows)
    assert max(names.values()) == 1 and max(places.values()) == 1
    assert len(names) == sum(collections().values())


def test_the_collections_are_as_large_as_their_projects_say() -> None:
    counts = collections()
    assert list(counts) == [
        "starter", "uber", "dopamine-lucid", "dopamine", "dopamine-jax", "sb3", "cleanrl",
        "atari-agents",
    ]  # fmt: skip
    assert counts["uber"] == 5 * 55 * 3 * 10
    assert counts["dopamine"] == 4 * 60 * 5
    assert counts["dopamine-jax"] == 5 * 6 * 5
    assert counts["sb3"] == 4 * 10
    assert len(list_models(collection="atari-agents", game="Pooyan")) == 6  # the modern two alone
    assert len({card.game for card in list_models(collection="uber")}) == 55
    # of 57 games 28 have the same cartridge in atari-py, for which they were trained, and in ale-py
    classic = [
        card
        for card in list_models(collection="atari-agents")
        if card.preprocessing.name == "atari-agents-classic"
    ]
    assert len({card.game for card in classic}) == 28 and len(classic) == 28 * (3 + 2)
    with pytest.raises(UnknownModel):
        find("atari-agents:c51/SpaceInvaders/0")
    assert len(list_models(collection="cleanrl", run="cleanba-3")) == 55


# addresses as the projects' own documentation and code have them
@pytest.mark.parametrize(
    "name, urls",
    [
        ("uber:a2c/Seaquest/3@400M", [f"{CLOUD}/a2c/SeaquestNoFrameskip-v4/model3_400M.pb"]),
        ("apex/Pong/2", [f"{CLOUD}/apex/PongNoFrameskip-v4/model2_final.pb"]),
        ("impala/UpNDown/1@6hr", [f"{CLOUD}/impala/UpNDownNoFrameskip-v4/model1_6HR.pb"]),
        (
            "es/Zaxxon/1@human",
            [f"{CLOUD}/es/ZaxxonNoFrameskip-v4/model1_{human}.pb" for human in ("human", "Human")],
        ),
        ("rainbow/Pong/2", ["gs://download-dopamine-rl/lucid/rainbow/Pong/2/graph_def.pb"]),
        (
            "dopamine:iqn/BankHeist/5",
            [
                "gs://download-dopamine-rl/lucid/iqn/BankHeist/5/tf_ckpt-199.index",
                "gs://download-dopamine-rl/lucid/iqn/BankHeist/5/tf_ckpt-199.data-00000-of-00001",
            ],
        ),
        ("dopamine-jax:qrdqn/Pong/1", ["gs://download-dopamine-rl/jax/quantile/Pong/1/ckpt.199"]),
        (
            "dopamine-jax:iqn/Qbert/4",
            ["gs://download-dopamine-rl/jax/implicit_quantile/Qbert/4/ckpt.199"],
        ),
        (
            "ppo/Breakout/1",
            [f"{HUB}/sb3/ppo-BreakoutNoFrameskip-v4/resolve/main/ppo-BreakoutNoFrameskip-v4.zip"],
        ),
        (
            "cleanrl:dqn/Pong/1",
            [f"{HUB}/cleanrl/PongNoFrameskip-v4-dqn_atari-seed1/resolve/main/dqn_atari.cleanrl_model"],
        ),
        (
            "cleanrl:ppo/Breakout/1",
            [
                f"{HUB}/cleanrl/Breakout-v5-ppo_atari_envpool_xla_jax_scan-seed1/resolve/main/"
                "ppo_atari_envpool_xla_jax_scan.cleanrl_model"
            ],
        ),
        (
            "cleanrl:ppo/Pong/cleanba-3",
            [
                f"{HUB}/cleanrl/Pong-v5-cleanba_ppo_envpool_impala_atari_wrapper_naturecnn-seed3/"
                "resolve/main/cleanba_ppo_envpool_impala_atari_wrapper_naturecnn.cleanrl_model"
            ],
        ),
        (
            "atari-agents:dqn/AirRaid/0",
            [
                f"gs://bitdefender_ml_artifacts/{folder}/DQN_modern/AirRaid/0/model_50000000.gz"
                for folder in ("atari", "reinforcement_learning", "reinforcement_learning/atari")
            ],
        ),
    ],
)  # fmt: skip
def test_models_are_where_they_were_published(name: str, urls: list[str]) -> None:
    assert [url for file in find(name).files for url in file.urls] == urls


@pytest.mark.parametrize(
    "name, kind, url",
    [
        ("a2c/Pong/2@1B", "play", f"{CLOUD}/a2c/PongNoFrameskip-v4/model2_1B_rollout.npz"),
        ("a2c/Pong/2@1B", "log", f"{CLOUD}/a2c/checkpoints/PongNoFrameskip-v4_2_log.json"),
        ("a2c/Pong/2@1B", "checkpoints", f"{CLOUD}/a2c/checkpoints/PongNoFrameskip-v4_2.json"),
        ("ga/Pong/1", "video", f"{CLOUD}/movies/ga-PongNoFrameskip-v4-1-final.mp4"),
        (
            "dopamine-lucid:rainbow/Pong/1",
            "play",
            f"{CLOUD}/rainbow/PongNoFrameskip-v4/model1_final_rollout.npz",
        ),
    ],
)
def test_what_was_published_beside_a_model(name: str, kind: str, url: str) -> None:
    assert find(name).extras[kind].urls == (url,)


def test_a_log_is_kept_once_for_all_checkpoints_of_a_run() -> None:
    places = {find(f"a2c/Pong/2@{tag}").extras["log"].place for tag in ("1HR", "1B", "final")}
    assert places == {"uber/a2c/Pong/2/PongNoFrameskip-v4_2_log.json"}


@pytest.mark.parametrize(
    "name, full",
    [
        ("a2c/Pong/1", "a2c/Pong/1"),
        ("starter:A2C/pong/1", "a2c/Pong/1"),
        ("a2c/Pong/1@400m", "uber:a2c/Pong/1@400M"),
        ("a2c/ALE/Pong-v5/2", "uber:a2c/Pong/2@final"),
        ("dqn/ms_pacman/1", "dopamine-lucid:dqn/MsPacman/1"),
        ("dqn/Enduro/jax-1", None),
        ("c51/Pong/1", "dopamine:c51/Pong/1"),
        ("dqn/SeaquestNoFrameskip-v4/jax-1", "cleanrl:dqn/Seaquest/jax-1"),
        ("atari-agents:dqn/Pong/0", "atari-agents:dqn/Pong/0@50000000"),
        ("atari-agents:dqn/Pong/0@49000000", "atari-agents:dqn/Pong/0@49000000"),
    ],
)
def test_names_are_understood_in_every_spelling(name: str, full: str | None) -> None:
    if full is not None:
        assert find(name).card.name == full and find(full).card.name == full
        return
    with pytest.raises(UnknownModel):
        find(name)


@pytest.mark.parametrize(
    "name, message",
    [
        ("a2c/Pnog/1", "no model 'a2c/Pnog/1'; did you mean 'a2c/Pong/1'"),
        ("uber:a2c/Pnog/1@400M", "did you mean 'uber:a2c/Pong/1@400M'"),
        ("rainbo/Pong/1", "did you mean 'rainbow/Pong/1'"),
        ("a2c/Pong", "did you mean 'a2c/Pong/1'?"),
        ("missing.onnx", "no file or model 'missing.onnx'; `atari-zoo list` shows all 10,9"),
        ("ubr:a2c/Pong/1", "no collection 'ubr'; did you mean 'uber'? there are starter, uber, d"),
        ("uber:a2c/Pong/4", "a2c/Pong has the runs 1 to 3 (uber)"),
        ("a2c/Pong/9", "the runs 1 (starter); 1 to 3 (uber); 1 (sb3)"),
        ("a2c/Pong/2@2B", "run 2 has the tags initial, 1HR, 2HR, 4HR, 6HR, 10HR, 400M, 1B, human"),
        ("dopamine:dqn/Pong/1@final", "run 1 has the tags none (dopamine)"),
        ("dopamine-jax:dqn/Alien/1", "there is dqn for Asterix, Breakout, Pong, Qbert, Seaquest"),
        ("../../etc/passwd", "no file or model"),
        ("..:a2c/Pong/1", "no model"),
    ],
)
def test_a_miss_says_what_there_is(name: str, message: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        find(name)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_lists_are_narrowed_down() -> None:
    cards = list_models(game="ms_pacman", algorithm="a2c", tag="1b")
    assert [card.name for card in cards] == [f"uber:a2c/MsPacman/{run}@1B" for run in (1, 2, 3)]
    assert {card.frames for card in cards} == {1_000_000_000}
    starters = [card.name for card in list_models(collection="starter")]
    assert {"a2c/Pong/1", "ga/Seaquest/1"} <= set(starters)
    assert [c.name for c in list_models(offline=True)] == starters
    assert [c.name for c in list_models(game="Pong", offline=True)] == [
        name for name in starters if "/Pong/" in name
    ]
    for run in ("5", 5):
        assert {card.run for card in list_models(collection="dopamine", run=run)} == {"5"}
    assert repr(list_models(tag="xxx")) == "no models"
    with pytest.raises(UnknownGame):
        list_models(game="Pnog")
    with pytest.raises(UnknownModel, match="no collection 'sb4'; did you mean 'sb3'"):
        list_models(collection="sb4")


def test_the_whole_list_is_quick_and_light() -> None:
    program = (
        "import time; begun = time.process_time()\n"
        "from atari_zoo.catalog.catalog import list_models; cards = list_models()\n"
        "import sys; print(time.process_time() - begun, len(cards))\n"
        "heavy = {'torch', 'onnx', 'ale_py', 'gymnasium', 'pandas', 'requests', 'fsspec'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    seconds, count = done.stdout.split()
    assert int(count) > 10_000 and float(seconds) < 0.6  # 0.2 where nothing else runs


ROW = {"name": "lab:dqn/ms_pacman/7@best", "urls": ["https://lab.example/pacman.onnx"]}


def test_a_user_adds_models_and_collections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = {"algorithms": "dqn=deep", "games": "mine Qbert", "runs": "1 2"}
    table = {
        "models": [
            ROW | {"sha256": "0" * 64, "preprocessing": "modern"},
            ROW | {"name": "ga/Pong/x"},
        ],
        "games": {"mine": ["Pong"]},
        "collections": [
            {
                "name": "team", "title": "ours", "format": "onnx", "preprocessing": "vector",
                "mirrors": ["https://team.example"], "files": ["{algorithm}/{game}-{run}.onnx"],
                "groups": [group],
            }
        ],
    }  # fmt: skip
    (tmp_path / "mine.json").write_text(json.dumps(table))
    monkeypatch.setenv("ATARI_ZOO_CATALOG", str(tmp_path / "mine.json"))
    entry = find("lab:dqn/MsPacman/7@best")
    assert entry.files[0].sha256 == "0" * 64 and entry.card.preprocessing.name == "modern"
    assert entry.files[0].place == "lab/dqn/MsPacman/7@best/pacman.onnx"
    assert find("ga/Pong/x").card.name == "user:ga/Pong/x"
    assert find("team:dqn/Qbert/2").files[0].urls == ("https://team.example/deep/Qbert-2.onnx",)
    assert list(collections())[-3:] == ["team", "lab", "user"]
    assert len(list_models(collection="team")) == 4
    assert find("dqn/Qbert/2").card.collection == "dopamine-lucid"  # the zoo's own come first


@pytest.mark.parametrize(
    "content, reason",
    [
        ("[", "not a JSON file"),
        ("7", "expected a list of models, or 'models' and 'collections'"),
        ([7], "model 1: expected an object"),
        ([ROW, ROW | {"name": "dqn/Pong"}], "model 2 ('dqn/Pong'): a name is"),
        ([ROW | {"name": "..:dqn/Pong/1"}], "a name is"),
        ([ROW | {"name": "dqn/Pnog/1"}], "no game 'Pnog'; did you mean Pong"),
        ([ROW | {"name": "dq/Pong/1"}], "no algorithm 'dq'; there are a2c"),
        ([ROW, ROW], "model 2 ('lab:dqn/ms_pacman/7@best'): there is one of that name already"),
        ([{"name": "dqn/Pong/1"}], "urls is a list of at least one address"),
        ([ROW | {"urls": "https://x.example/a"}], "urls is a list"),
        ([ROW | {"urls": ["a.onnx"]}], "'a.onnx' is no address"),
        ([ROW | {"urls": ["https://x.example/"]}], "does not end in a file's name"),
        ([ROW | {"sha256": "abc"}], "sha256 is 64 hexadecimal digits"),
        ([ROW | {"preprocesing": "vector"}], "no field 'preprocesing'"),
        ([ROW | {"preprocessing": "new"}], "no preprocessing 'new'; there are vector"),
        ([ROW | {"action_rule": "best"}], "no action rule 'best'"),
        ({"collections": [{"name": "x"}]}, "collection 'x': it has no 'groups'"),
        ({"collections": [{"name": "x", "groups": [{"games": "Pong"}]}]}, "missing"),
        ({"collections": [7]}, "collection 7: "),
    ],
)
def test_a_bad_row_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object, reason: str
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    monkeypatch.setenv("ATARI_ZOO_CATALOG", str(path))
    with pytest.raises(BadCatalog) as caught:
        find("a2c/Pong/2")
    assert str(path) in str(caught.value) and reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_user_catalogue_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATARI_ZOO_CATALOG", "/no/such.json")
    with pytest.raises(BadCatalog, match=r"ATARI_ZOO_CATALOG: /no/such.json: No such file"):
        list_models()
