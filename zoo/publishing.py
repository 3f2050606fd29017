"""Models published on the Hugging Face Hub: a folder of four or five files, uploaded in one commit.

model.onnx          the network, its card inside: what `load` reads
model.safetensors   the torch module's state dict, the card in its metadata, where that tells it
card.json           the card
README.md           the page that the Hub shows
replay.mp4          a movie of play, where one was made: the Hub shows it beside the page
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from safetensors.torch import save_file

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.convert import to_onnx
from atari_zoo.converters.files import encodable, written_whole
from atari_zoo.converters.interchange import CARD_KEY, save_onnx
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.layer_changes import check_as_weighted
from atari_zoo.converters.saving import why_not_by_weights
from atari_zoo.models import load
from atari_zoo.publishing_pages import (
    REPLAY,
    ReplayMovie,
    environment_id,
    metadata,
    model_page,
    score_words,
)

# answers of the Hub, and what to do about them
ANSWERS = {
    400: "it takes the page or the name for invalid",
    401: "the token is not valid there: make one with write access, then `hf auth login`",
    403: "the token may not write there: make one with write access to it, then `hf auth login`",
    404: "there is no such place: is the user's or organization's name right?",
    429: "too many requests: try again in a few minutes",
}


class PublishingError(ValueError):
    """A model that could not be published; the message says why and what to do."""


def push(
    model: str | Path | Network,
    repo: str,
    token: str | None = None,
    private: bool = False,
    replay: ReplayMovie | None = None,
) -> str:
    """Publishes a model as the Hub's repository `repo`, made if need be; returns its address.

    model: a name, a file or a network. repo: as user/name.
    token: with write access; the one of `hf auth login` or of HF_TOKEN if not given.
    private: nobody else is to see it. replay: a movie of its play.
    The Hub is the one at HF_ENDPOINT, huggingface.co if that is not set.
    Raises PublishingError if there is no token, no permission or no connection, or if the
    repository is public but `private` was asked for; and what `load` raises.
    """
    hub = _hub()
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repo):
        raise PublishingError(f"'{repo}' is no repository's name; give user/name")
    if not (token or hub.get_token()):
        raise PublishingError(
            f"no token for {hub.constants.ENDPOINT}: make one with write access at its "
            "settings/tokens, then `hf auth login`, or put it into HF_TOKEN"
        )
    with tempfile.TemporaryDirectory() as folder:
        files = build_repository(model, folder, repo, replay)
        try:
            return _uploaded(hub.HfApi(token=token), files, repo, private)
        except PublishingError:
            raise
        except Exception as error:  # of huggingface_hub, and of whatever it reaches the Hub with
            raise PublishingError(f"{repo}: {_reason(error, hub)}") from error


def build_repository(
    model: str | Path | Network,
    folder: str | Path,
    repo: str = "",
    replay: ReplayMovie | None = None,
) -> list[Path]:
    """Writes the files of a published model into `folder`; needs no network.

    model: a name, a file, a run's folder or a network; of a run's folder the page tells the
        hyper-parameters. repo: where it will be, for the page to say. replay: a movie of its play.
    Raises what `load` raises, OSError where the folder cannot be written.
    """
    hub = _hub()
    network = load(model) if isinstance(model, str | Path) else model
    if isinstance(network, AgentNetwork):
        content = to_onnx(network)
    elif isinstance(model, str | Path) and Path(model).is_file():
        content = to_onnx(model)
    else:
        raise PublishingError(f"{network.card.name}: give the file of a network of this kind")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("model.onnx", "model.safetensors", "card.json")]
    save_onnx(content, files[0])
    if why_not_by_weights(network):
        del files[1]
    else:
        _write_weights(files[1], network)
    _write(folder / "card.json", json.dumps(json.loads(network.card.to_json()), indent=1) + "\n")
    if replay is not None:
        files.append(folder / REPLAY)
        shutil.copyfile(replay.path, files[-1])
    sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    parameters = sum(weight.numel() for weight in network.parameters())
    settings = _hyperparameters(model)
    page = model_page(network.card, parameters, sums, repo, replay, settings)
    _write(folder / "README.md", f"---\n{_head(network.card, hub)}\n---\n\n{page}")
    return [*files, folder / "README.md"]


def _hyperparameters(model: str | Path | Network) -> dict[str, Any]:
    """Of a run's folder what it was trained with; the preprocessing has a table of its own."""
    if not isinstance(model, str | Path) or not (Path(model) / "config.json").is_file():
        return {}
    found = json.loads((Path(model) / "config.json").read_bytes())
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if not isinstance(value, dict)}


def _write_weights(path: Path, network: Network) -> None:
    check_as_weighted(network)
    weights = {name: value.contiguous().clone() for name, value in network.state_dict().items()}
    with written_whole(path) as beside:  # more metadata would be in another order each time
        save_file(weights, beside, {CARD_KEY: network.card.to_json()})


def _head(card: ModelCard, hub: ModuleType) -> str:
    """The Hub's metadata as YAML, with the score where there is one."""
    results, score = [], score_words(card)
    if score is not None:
        environment = environment_id(card) or encodable(card.game) or "unknown"
        results.append(
            hub.EvalResult(
                task_type="reinforcement-learning",
                task_name="reinforcement-learning",
                dataset_type=environment,
                dataset_name=environment,
                metric_type="mean_reward",
                metric_name="mean_reward",
                metric_value=score,
                verified=False,
            )
        )
    scored: dict[str, Any] = (
        {"model_name": encodable(card.name), "eval_results": results} if results else {}
    )
    return str(hub.ModelCardData(**metadata(card), **scored).to_yaml()).strip()


def _uploaded(api: Any, files: list[Path], repo: str, private: bool) -> str:
    from huggingface_hub import CommitOperationAdd

    address = api.create_repo(repo, private=private, exist_ok=True)
    if private and not api.repo_info(repo).private:
        raise PublishingError(f"{repo} is there and public: make it private first, or leave that")
    additions = [CommitOperationAdd(path_in_repo=f.name, path_or_fileobj=f) for f in files]
    api.create_commit(repo, additions, commit_message="Publish the model with the Atari Zoo")
    return str(address)


def _reason(error: Exception, hub: ModuleType) -> str:
    """What went wrong, in one line."""
    place = hub.constants.ENDPOINT
    if isinstance(error, hub.errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set; unset it to publish"
    cause: BaseException | None = error  # of an upload's error, what the Hub answered to it
    while cause is not None and getattr(cause, "response", None) is None:
        cause = cause.__cause__
    if cause is None:
        words = " ".join(str(error).split()) or type(error).__name__
        return f"no answer from {place} ({words}): is there a connection?"
    status = cause.response.status_code  # type: ignore[attr-defined]
    reason = " ".join(str(getattr(cause, "server_message", None) or "").split())
    advice = ANSWERS.get(status, "try again later")
    return f"{place} answered {status}{f' ({reason})' if reason else ''}: {advice}"


def _hub() -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ImportError as error:
        raise PublishingError("publishing needs `pip install 'atari-zoo[hub]'`") from error
    return huggingface_hub


def _write(path: Path, text: str) -> None:
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8")
