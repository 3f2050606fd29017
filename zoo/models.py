"""Agents loaded and converted: by name from the zoo, or from any file that a converter knows."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch

from atari_zoo.catalog.catalog import UnknownModel, find, measured_scores
from atari_zoo.catalog.conversions import converted
from atari_zoo.catalog.patterns import is_pattern, names_like
from atari_zoo.converters.algorithms import algorithm_named
from atari_zoo.converters.arguments import checked, fitting_argument
from atari_zoo.converters.cards import (
    ACTION_RULES,
    INPUT_RANGES,
    PREPROCESSINGS,
    ModelCard,
)
from atari_zoo.converters.convert import in_half_the_bytes, read, to_onnx, to_torch, written
from atari_zoo.converters.errors import ConversionError, naming
from atari_zoo.converters.interchange import read_card, write_card
from atari_zoo.converters.keras.backends import written_with
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.finite import all_finite
from atari_zoo.converters.network.foreign import ForeignNetwork, Network
from atari_zoo.converters.network.outputs import OUTPUT, with_outputs_named
from atari_zoo.converters.network.stateful import state_parts
from atari_zoo.converters.preprocessings import as_preprocessing
from atari_zoo.converters.registry import Source, is_prefix
from atari_zoo.converters.reports import Report, report
from atari_zoo.converters.weights.named_heads import expected_actions
from atari_zoo.downloads.bars import download_bars
from atari_zoo.emulator.resets import reset_rule
from atari_zoo.games import agent_actions, checked_actions
from atari_zoo.games import game as find_game
from atari_zoo.preprocessing.renderable import TALLEST, check_renderable
from atari_zoo.remote.references import is_remote
from atari_zoo.remote.remote_models import remote_source
from atari_zoo.untrained.untrained import initial_network


@checked
def load(
    name: str | Path, device: str | torch.device = "cpu", input_range: str | None = None
) -> Network:
    """The agent called `name`, or in the file `name`, ready to run: in eval mode, on `device`.

    name: as in `a2c/Pong/1`, or the path of any file or folder `to_onnx` reads, such as a run's
        of `atari-zoo train`; a repository of the Hugging Face Hub, `hf:owner/repo`, with
        `@revision` and `/file` where wanted; or an address, `https://host/agent.zip`.
        Where the file names a game but not its actions, the card has them.
    input_range: the pixels that the file's network was made for, "0..1" or "0..255", where the
        file does not tell. The network that is returned takes bytes or 0..1 in any case.

    Warns of what the file does not tell and was assumed, and of weights that are not finite.
    Raises ValueError if there is no such device, UnknownModel if there is neither a file nor a
    model of that name, ConversionError if the file cannot be read as an agent.

    >>> load("a2c/Pong/1")(torch.zeros(1, 4, 84, 84)).shape
    torch.Size([1, 6])
    """
    if input_range is not None and input_range not in INPUT_RANGES:
        raise ValueError(f"no input range '{input_range}'; there are {', '.join(INPUT_RANGES)}")
    place = device_named(device)
    if is_remote(str(name)):
        network: Network = _of_source(remote_source(str(name)), str(name), input_range)
    else:
        found = source_named(name)
        if isinstance(found, AgentNetwork):
            network = found
        elif input_range is None:
            network = to_torch(found)
        else:
            network = _of_source(read(found), str(found), input_range)
    network.card = _with_actions(network.card, network.actions)
    if not all_finite(network.state_dict()):
        warnings.warn(
            f"{name}: weights that are not finite numbers: it answers nothing, and is not played",
            UserWarning,
            stacklevel=2,
        )
    if network.card.assumptions:
        warnings.warn(
            f"{name}: assumed {'; '.join(network.card.assumptions)}", UserWarning, stacklevel=2
        )
    return network.to(place).eval()


def _of_source(source: Source, name: str, input_range: str | None) -> Network:
    with naming(name):
        return to_torch(_ranged(source, input_range) if input_range else written(source))


def as_network(model: Network | str | Path) -> Network:
    """The network itself, or the one that `load` finds by that name or path."""
    network: Network = fitting_argument("network", model, Network | str | Path)
    return load(network) if isinstance(network, str | Path) else network


def as_networks(models: Any) -> list[Network]:
    """The networks that are meant: one, or several, of networks, names, paths, and patterns of
    names such as "*/Seaquest/*".

    Raises ValueError if that is nothing, and as `load` does.
    """
    one = isinstance(models, str | Path) or not isinstance(models, Sequence)
    found: list[Network] = []
    for model in [models] if one else models:
        text = str(model) if isinstance(model, str | Path) else ""
        names = names_like(text) if is_pattern(text) and not Path(text).exists() else [model]
        found += [as_network(name) for name in names]
    if not found:
        raise ValueError("no agents: give names, or networks")
    return found


def facts_about(name: str | Path) -> dict[str, Any]:
    """What is known of a model: its card's fields, what the catalogue has measured, its layers, and
    the parts of the state that it carries.

    Raises as `load` does.
    """
    network = load(name)
    facts = json.loads(network.card.to_json()) | {"name": network.card.name}
    facts["scores"] = facts["scores"] | measured_scores(str(name))
    facts["living_units"] = facts["scores"].pop("living_units", {})
    facts["architecture"] = network.architecture
    facts["parameters"] = sum(parameter.numel() for parameter in network.parameters())
    facts["state"] = {part.name: list(part.shape) for part in state_parts(network)}
    return facts | {"layers": list(network.layers)}


def device_named(name: str | torch.device) -> torch.device:
    """The device, such as cpu or cuda:1, or for "auto" the GPU where there is one.

    Raises ValueError if this machine has none of it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"no device '{name}'; there are auto, cpu and cuda") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"no device '{name}' here: torch sees {torch.cuda.device_count()} CUDA devices; "
            "leave it out to run on the CPU"
        )
    return device


@dataclass(frozen=True)
class Conversion:
    """A file's content as ONNX with its card, and the report on what was found in it."""

    model: onnx.ModelProto
    card: ModelCard
    report: Report


@checked
def convert(
    source: str | Path,
    *,
    algorithm: str | None = None,
    game: str | None = None,
    run: str | None = None,
    preprocessing: str | Mapping[str, Any] | None = None,
    action_rule: str | None = None,
    actions: Sequence[str] | None = None,
    float16: bool = False,
    input_range: str | None = None,
    keras_backend: str | None = None,
    outputs: Mapping[str, str] | None = None,
) -> Conversion:
    """A file as ONNX with a full card: what is not given is what the file tells, or follows from
    the algorithm and game. It is checked with onnxruntime at every layer.

    source: a file or folder, a name of the zoo's, hf:owner/repo or an address.
    preprocessing: its name, or what to change of the file's, as in {"resize": "linear"}; "name"
        among that is of the one to begin from.
    actions: ALE's names of the outputs, in order, where they are not the game's own nor all 18.
    input_range: see `load`.
    keras_backend: what Keras ran on, where its file does not tell: Theano turned its kernels over.
    outputs: of a graph with several, the names of that which rates the actions, as "output", and of
        the state's value, as "value", where their shapes and names do not tell.
    Raises ValueError for an unknown algorithm, game, preprocessing or action rule, or where the
    network's actions are not the game's; ConversionError where the file is no agent.
    """
    count = len(actions or (find_game(game).actions if game else ()))
    with expected_actions(count), written_with(keras_backend or ""):
        found = _source(source)
    model = written(found) if input_range is None else _ranged(found, input_range)
    model = with_outputs_named(model, outputs or {})
    card = read_card(model) or ModelCard()
    trained_by = algorithm_named(algorithm or card.algorithm)
    changes: dict[str, Any] = {"algorithm": trained_by.name, "run": run or card.run}
    if algorithm:
        changes |= {"action_rule": trained_by.action_rule}
        changes |= {"preprocessing": PREPROCESSINGS[trained_by.preprocessing]}
    if preprocessing:
        usual = changes.get("preprocessing", card.preprocessing)
        changes["preprocessing"] = as_preprocessing(preprocessing, usual)
    if action_rule:
        if action_rule not in ACTION_RULES:
            raise ValueError(f"no action rule '{action_rule}'; there are {', '.join(ACTION_RULES)}")
        changes["action_rule"] = action_rule
    if game or card.game:
        changes["game"] = find_game(game or card.game).name
    if actions:
        changes["action_meanings"] = checked_actions(actions, str(source))
    card = card.replace(**changes)
    network = to_torch(model)
    for role, name in (outputs or {}).items():
        carrying = isinstance(network, ForeignNetwork) and network.carried
        if role == OUTPUT and carrying and network.main != OUTPUT:
            raise ConversionError(
                f"{source}: output '{name}' is not (batch, actions), or is the next step's state"
            )
        if role not in network.layers:
            raise ConversionError(f"{source}: output '{name}' is not (batch, 1), as a {role} is")
    if preprocessing:
        check_renderable(card.preprocessing, *TALLEST)
        reset_rule(card.preprocessing)
        if card.preprocessing.shape != network.shape:
            raise ValueError(
                f"{source}: the network sees observations of {network.shape}; preprocessing "
                f"'{card.preprocessing.name}' makes {card.preprocessing.shape}"
            )
    if card.game:
        named = agent_actions(network.actions, card, find_game(card.game), str(source))
        card = card.replace(action_meanings=named)
    with naming(source):
        checked = report(found, model, network)
    card = card.replace(verified=checked.verified)
    if not float16:
        write_card(model, card)
        return Conversion(model, card, checked)
    if isinstance(network, AgentNetwork):
        network.card = card = card.replace(input_range="")  # what is written takes 0..1
    with naming(source):
        halved = in_half_the_bytes(model, network)
    write_card(halved, card)
    return Conversion(halved, card, checked)


def _source(name: str | Path) -> Source:
    """What is in a file or folder, on the Hub, at an address, or in what the zoo calls so."""
    if is_remote(str(name)):
        return remote_source(str(name))
    if Path(name).exists() or is_prefix(Path(name)):
        return read(name)
    found = source_named(name)
    if isinstance(found, AgentNetwork):
        return Source(found, card=dict(vars(found.card)))
    return read(found)


def _ranged(source: Source, input_range: str) -> onnx.ModelProto:
    """What was read, with somebody's word on the range of its pixels."""
    inside = None if isinstance(source.model, AgentNetwork) else read_card(source.model)
    return written(source, (inside or ModelCard()).replace(input_range=input_range))


def model_of(name: str | Path) -> onnx.ModelProto:
    """The model that `load` would find by that name, as ONNX; raises as that does."""
    if is_remote(str(name)):
        return written(remote_source(str(name)))
    return to_onnx(source_named(name))


def source_named(name: str | Path) -> Path | AgentNetwork:
    """What `to_onnx` reads of a model: a file, else what the zoo calls so, fetched; else a folder
    or a prefix. One that is made from a seed is in no file: it comes as the network.

    Raises UnknownModel if there is none of these.
    """
    path = Path(name)
    if path.is_file():
        return path
    try:
        entry = find(str(name))
        if entry.seed is not None:
            return initial_network(entry.card, entry.seed, entry.virtual_batch)
        with download_bars() as update:
            return converted(entry, lambda done, size: update(entry.card.name, done, size))
    except UnknownModel:
        if path.is_dir() or is_prefix(path):
            return path
        raise


def _with_actions(card: ModelCard, actions: int) -> ModelCard:
    """The card, with the meanings of the actions where it names a game that has so many."""
    if card.action_meanings or not card.game:
        return card
    try:
        return card.replace(action_meanings=agent_actions(actions, card, find_game(card.game), ""))
    except ValueError:  # no such game, or another number of actions: who plays it is told
        return card
