"""Tiny valid files of every format, written by their own tools, and ways to break them deeply.

Blind mutations stop at the first checksum; so archives are also broken inside and packed again,
checkpoints sealed again, and graphs rewired as graphs.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from fuzzing import NUMBERS, mutated

SIZES: dict[str, Any] = {"widths": (4, 4, 4), "units": 8, "actions": 3}
Files = dict[str, bytes]


@dataclass(frozen=True)
class Seed:
    """A valid model: its files by name, and the one that is given to the reader.

    broken: a deeper way to break the files than changing their bytes.
    """

    files: Files
    entry: str
    broken: Callable[[Files, Random], Files] | None = None

    def case(self, random: Random) -> Files:
        """The files with some damage."""
        if self.broken is not None and random.random() < 0.6:
            return self.broken(self.files, random)
        name = random.choice(sorted(self.files))
        return self.files | {name: mutated(self.files[name], random)}


def frozen_graphs() -> list[Seed]:
    import frozen_graphs as graphs

    made = [
        graphs.a2c(**SIZES),
        graphs.apex(**SIZES),
        graphs.es(**SIZES),
        graphs.ga(**SIZES),
        graphs.rainbow(**SIZES),
        graphs.impala(**SIZES),
    ]
    return [Seed({"graph.pb": graph.data}, "graph.pb", _rewired_tensorflow) for graph in made]


def onnx_files() -> list[Seed]:
    import torch
    from loop_graphs import scan, stepping

    from atari_zoo.converters import AgentNetwork, ImpalaNetwork
    from atari_zoo.converters.export.graph import network_to_onnx
    from atari_zoo.converters.network import heads
    from atari_zoo.converters.network.activations import Activation
    from atari_zoo.converters.network.impala import ImpalaTrunk, impala_blocks
    from atari_zoo.converters.network.networks import (
        ConvShape,
        MnihNetwork,
        Trunk,
        mnih_convolutions,
    )

    convolutions = mnih_convolutions((4, 4, 4))
    made = (
        (heads.ActorCriticHead(8, 3), 8),
        (heads.DuelingHead(196, 3, 8), None),
        (heads.CategoricalHead(8, 3, torch.linspace(-1, 1, 5)), 8),
        (heads.ImplicitQuantileHead(196, 3, 8, 4, 2), None),
    )
    networks: list[AgentNetwork]
    networks = [MnihNetwork(Trunk(convolutions, units), head) for head, units in made]
    gelu = Trunk([ConvShape(4, (8, 8), (4, 4), activation=Activation("gelu"))], 8)
    networks += [MnihNetwork(gelu, heads.QHead(8, 3))]
    networks += [ImpalaNetwork(ImpalaTrunk(impala_blocks((2, 3)), 8), heads.QHead(8, 3))]
    networks += recurrent_networks()
    models = [*(network_to_onnx(network) for network in networks), scan(2), stepping(2)]
    return [Seed({"a.onnx": m.SerializeToString()}, "a.onnx", _rewired_onnx) for m in models]


def recurrent_networks() -> list[Any]:
    """Two small ones: told of the last step, and with a critic apart."""
    from atari_zoo.converters.network.heads import PolicyHead
    from atari_zoo.converters.network.memories import Critic, RecurrentLayers
    from atari_zoo.converters.network.networks import Trunk, mnih_convolutions
    from atari_zoo.converters.network.recurrent import RecurrentNetwork

    def trunk() -> Trunk:
        return Trunk(mnih_convolutions((4, 4, 4)), 8)

    critic = Critic(RecurrentLayers("gru", 8, 3, prefix="critic_"))
    told = ("reward", "action")
    return [
        RecurrentNetwork(trunk(), RecurrentLayers("lstm", 12, 4, 2), PolicyHead(4, 3), told=told),
        RecurrentNetwork(trunk(), RecurrentLayers("gru", 8, 3), PolicyHead(3, 3), critic),
    ]


def dopamine_checkpoints() -> list[Seed]:
    from dopamine_files import save_agent

    with TemporaryDirectory() as folder:
        save_agent(Path(folder) / "tf_ckpt-1", **SIZES)
        files = {p.name: p.read_bytes() for p in Path(folder).iterdir() if "tf_ckpt" in p.name}
    files = {name: data for name, data in files.items() if not name.endswith(".meta")}
    return [Seed(files, "tf_ckpt-1.index", _resealed), Seed(_tarball(files), "a.tar", _in_tar)]


def dopamine_pickles() -> list[Seed]:
    import jax_files

    module = jax_files.DopamineDense(**SIZES)
    bundle = jax_files.dopamine_bundle(jax_files.parameters(module))
    bundle["state"] = bundle["state"][..., :1, :1, :]  # smaller, so that more damage meets code
    content = {"ckpt.199": jax_files.dopamine_pickle(bundle)}
    return [Seed(content, "ckpt.199", _opcodes_inserted)]


def flax_models() -> list[Seed]:
    import jax_files

    shape = (1, 4, 84, 84)
    dqn = jax_files.parameters(jax_files.CleanRL(**SIZES), shape)
    c51 = jax_files.parameters(jax_files.CleanRL(**SIZES, atoms=jax_files.ATOMS), shape)
    resnet = jax_files.parameters(jax_files.CleanRLImpala(3, (2, 3), 8), shape)
    made = [jax_files.cleanrl_dqn_file(dqn), jax_files.cleanrl_dqn_file(resnet)]
    made.append(jax_files.cleanrl_c51_file(c51))  # with its settings
    return [Seed({"a.cleanrl_model": each}, "a.cleanrl_model") for each in made]


def _saved(save: Callable[..., object], name: str, **more: Any) -> Files:
    with TemporaryDirectory() as folder:
        save(Path(folder) / name, **SIZES, **more)
        return {name: (Path(folder) / name).read_bytes()}


def sb3_zips() -> list[Seed]:
    from torch_zoo_files import save_sb3

    return [
        Seed(_saved(save_sb3, "a.zip", algorithm=name), "a.zip", _in_zip)
        for name in ("A2C", "QRDQN")
    ]


def sb3_policies() -> list[Seed]:
    from unittest.mock import patch

    from stable_baselines3.common import torch_layers
    from torch_zoo_files import sb3_model

    def save(path: Path, **sizes: Any) -> None:
        policy = sb3_model("DQN", **sizes).policy
        with patch.object(torch_layers, "NatureCNN", type(policy.q_net.features_extractor)):
            policy.save(path)

    return [Seed(_saved(save, "a.pth"), "a.pth", _in_zip)]


def cleanrl_models() -> list[Seed]:
    from torch_zoo_files import save_cleanrl

    name = "a.cleanrl_model"
    return [
        Seed(_saved(save_cleanrl, name, kind=kind), name, _in_zip) for kind in ("ppo", "rainbow")
    ]


def torch_files() -> list[Seed]:
    from torch_zoo_files import save_acktr, save_cleanrl

    return [
        Seed(_saved(save_cleanrl, "a.pt", kind="dqn"), "a.pt", _in_zip),
        Seed(_saved(save_acktr, "a.pt", legacy=False), "a.pt", _in_zip),
    ]


def old_torch_files() -> list[Seed]:
    from kfac_files import save_kfac
    from torch_zoo_files import save_acktr

    saves = (save_acktr, save_kfac)
    return [Seed(_saved(save, "a.pt", legacy=True), "a.pt", _opcodes_inserted) for save in saves]


def atari_agents() -> list[Seed]:
    from torch_zoo_files import save_atari_agents

    name = "model_50000000.gz"
    return [Seed(_saved(save_atari_agents, name, legacy=old), name, _in_gzip) for old in (0, 1)]


def safetensors_files() -> list[Seed]:
    from residual_networks import TorchBeast
    from safetensors.torch import save
    from torch_zoo_files import acktr_model

    made = (acktr_model(**SIZES), TorchBeast((2, 3)), *recurrent_networks())
    return [Seed({"a.safetensors": save(each.state_dict())}, "a.safetensors") for each in made]


def zoo_runs() -> list[Seed]:
    """The folder itself is the model."""
    import json
    from dataclasses import asdict

    from safetensors.torch import save

    from atari_zoo.converters.cards import Preprocessing
    from atari_zoo.converters.network.heads import ActorCriticHead, QHead
    from atari_zoo.converters.network.networks import MnihNetwork, Trunk

    seeds = []
    for algorithm, head in (("a2c", ActorCriticHead(8, 3)), ("dqn", QHead(8, 3))):
        config = {"algorithm": algorithm, "rom": "pong", "seed": 1}
        config["preprocessing"] = asdict(Preprocessing())
        files = {
            "config.json": json.dumps(config).encode(),
            "checkpoints/000000000400.safetensors": save(
                MnihNetwork(Trunk(units=8), head).state_dict()
            ),
        }
        seeds.append(Seed(files, ""))
    return seeds


def numpy_archives() -> list[Seed]:
    import numpy as np
    from torch_zoo_files import acktr_model

    file = io.BytesIO()
    weights = {name: t.numpy() for name, t in acktr_model(**SIZES).state_dict().items()}
    np.savez(file, **weights)
    return [Seed({"a.npz": file.getvalue()}, "a.npz", _in_zip)]


def keras_hdf5_files() -> list[Seed]:
    from keras_networks import save_keras, save_keras_weights

    whole = _saved(save_keras, "a.h5", scaled=True)
    nested = _saved(save_keras, "a.h5", nested=True)
    weights = _saved(save_keras_weights, "a.weights.h5")
    return [
        Seed(whole, "a.h5"),
        Seed(nested, "a.h5"),
        Seed(weights, "a.weights.h5"),
        *_compressed(weights),
    ]


def _compressed(files: Files) -> list[Seed]:
    """The same in chunks, packed with gzip."""
    import h5py

    made, found = io.BytesIO(), h5py.File(io.BytesIO(files["a.weights.h5"]))

    def copy(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            new.create_dataset(name, data=node[()], chunks=True, compression="gzip", shuffle=True)

    with h5py.File(made, "w") as new:
        found.visititems(copy)
    return [Seed({"a.weights.h5": made.getvalue()}, "a.weights.h5")]


def keras_zips() -> list[Seed]:
    from keras_networks import save_keras

    kinds: tuple[dict[str, Any], ...] = ({"critic": True}, {"nested": True})
    return [Seed(_saved(save_keras, "a.keras", **kind), "a.keras", _in_zip) for kind in kinds]


def sample_factory_checkpoints() -> list[Seed]:
    from sample_factory_files import save_sample_factory

    seeds = [_saved(save_sample_factory, "x/a.pth", normalized=normal) for normal in (True, False)]
    seeds.append(_saved(save_sample_factory, "x/a.pth", rnn="lstm", normalized=False))
    return [Seed(files, "x/a.pth", _in_zip) for files in seeds]


def chainer_links() -> list[Seed]:
    from chainer_files import save_chainer

    packed = _saved(save_chainer, "a.npz", kind="rainbow")
    return [Seed(_saved(save_chainer, "a.h5"), "a.h5"), Seed(packed, "a.npz", _in_zip)]


SEEDS: dict[str, Callable[[], list[Seed]]] = {
    "chainer": chainer_links,
    "sample-factory": sample_factory_checkpoints,
    "keras-hdf5": keras_hdf5_files,
    "keras": keras_zips,
    "tensorflow-graph": frozen_graphs,
    "onnx": onnx_files,
    "dopamine": dopamine_checkpoints,
    "dopamine-jax": dopamine_pickles,
    "flax": flax_models,
    "sb3": sb3_zips,
    "sb3-policy": sb3_policies,
    "cleanrl": cleanrl_models,
    "torch": torch_files,
    "torch, before 1.6": old_torch_files,
    "atari-agents": atari_agents,
    "safetensors": safetensors_files,
    "zoo-run": zoo_runs,
    "numpy": numpy_archives,
}


def _in_zip(files: Files, random: Random) -> Files:
    """A member broken, a name changed or doubled, or a bomb put in; packed again with its sum."""
    ((name, data),) = files.items()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    place = random.randrange(len(members))
    member, content = members[place]
    kind = random.randrange(8)
    packing = zipfile.ZIP_STORED
    if kind == 0:
        members[place] = (random.choice(("../" + member, "/" + member, member + "x")), content)
    elif kind == 1:
        members.append((member, mutated(content, random)))
    elif kind == 2:
        bomb = 300 << 20 if random.random() < 0.05 else 1 << 20  # a large one is slow to pack
        members[place] = (member, bytes(bomb))
        packing = zipfile.ZIP_DEFLATED
    elif kind == 3 and content[:1] == b"\x80":
        members[place] = (member, _with_opcodes(content, random))
    else:
        members[place] = (member, mutated(content, random))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing, compresslevel=1) as archive:
        written = set()
        for inner, inside in members:
            if inner not in written:  # zipfile warns of doubled names
                archive.writestr(inner, inside)
            written.add(inner)
    return {name: file.getvalue()}


def _in_gzip(files: Files, random: Random) -> Files:
    ((name, data),) = files.items()
    content = gzip.decompress(data)
    if random.random() < 0.005:
        return {name: gzip.compress(content[:64] + bytes(300 << 20), 1)}
    return {name: gzip.compress(mutated(content, random), 1)}


def _tarball(files: Files) -> Files:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"run/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return {"a.tar": file.getvalue()}


def _in_tar(files: Files, random: Random) -> Files:
    """Members that leave the folder, links, devices, doubled names, sizes that lie."""
    file = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(files["a.tar"])) as whole,
        tarfile.open(fileobj=file, mode=random.choice(("w", "w:gz"))) as broken,
    ):
        for info in whole.getmembers():
            content = whole.extractfile(info)
            data = content.read() if content else b""
            kind = random.randrange(7)
            if kind == 0:
                info.name = random.choice(("../", "/", "run/../../")) + info.name
            elif kind == 1:
                info.type = random.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE))
                info.linkname = random.choice(("/etc/passwd", "../../x", info.name))
            elif kind == 2:
                data = mutated(data, random)
            info.size = len(data)
            broken.addfile(info, io.BytesIO(data))
    return {"a.tar": file.getvalue()}


def _resealed(files: Files, random: Random) -> Files:
    """An index whose entries are broken but whose checksums are right."""
    from table_files import index

    from atari_zoo.converters.tf.table import read_table

    entries = read_table(files["tf_ckpt-1.index"])
    head = entries.pop(b"")
    for _ in range(random.choice((1, 2, 5))):
        key = random.choice(sorted(entries))
        if random.random() < 0.2:
            entries[mutated(key, random)] = entries.pop(key)
        else:
            entries[key] = mutated(entries[key], random) if entries[key] else b""
    head = mutated(head, random) if random.random() < 0.2 else head
    return files | {"tf_ckpt-1.index": index(entries, head)}


OPCODES = (
    b"cos\nsystem\n",
    b"cbuiltins\neval\n",
    b"ctorch.hub\nload\n",
    b"cnumpy\nload\n",
    b"cmodel\nPolicy\n)R",
    b")R",
    b"}b",
    b"]a",
    b"2",
    b"0",
    b"e",
    b"u",
    b"(",
    b"t",
    b"r\xff\xff\xff\x7f",
    b"j\xff\xff\xff\x7f",
    b"\x8b\xff\xff\xff\x7f",
    b"B\xff\xff\xff\x7f",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\x00",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\x00",
    b"Q",
    b"\x82\x01",
    b".",
)


def _with_opcodes(data: bytes, random: Random) -> bytes:
    for _ in range(random.choice((1, 1, 2, 4))):
        place = random.randrange(2, len(data))
        data = data[:place] + random.choice(OPCODES) * random.choice((1, 1, 1, 40)) + data[place:]
    return data


def _opcodes_inserted(files: Files, random: Random) -> Files:
    ((name, data),) = files.items()
    head = random.choice((256, 4096, len(data)))
    return {name: _with_opcodes(data[:head], random) + data[head:]}


def _rewired_tensorflow(files: Files, random: Random) -> Files:
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    graph = GraphDef.FromString(files["graph.pb"])
    for _ in range(random.choice((1, 1, 2, 4))):
        node = random.choice(list(graph.node))
        other = random.choice(list(graph.node))
        kind = random.randrange(7)
        if kind == 0 and node.input:
            node.input[random.randrange(len(node.input))] = other.name  # cycles among them
        elif kind == 1:
            node.op = other.op
        elif kind == 2 and node.attr:
            node.attr[random.choice(sorted(node.attr))].i = random.choice(NUMBERS) % 2**63
        elif kind == 3:
            for attribute in node.attr.values():
                for dim in (*attribute.tensor.tensor_shape.dim, *attribute.shape.dim):
                    dim.size = random.choice((-1, 0, *NUMBERS)) % 2**63
        elif kind == 4:
            graph.node.remove(node)
        elif kind == 5:
            graph.node.add().CopyFrom(node)
        else:
            for attribute in node.attr.values():
                content = attribute.tensor.tensor_content
                if content:
                    attribute.tensor.tensor_content = mutated(content, random)
    return {"graph.pb": graph.SerializeToString()}


def _rewired_onnx(files: Files, random: Random) -> Files:
    import onnx

    model = onnx.ModelProto.FromString(files["a.onnx"])
    graph = model.graph
    for _ in range(random.choice((1, 1, 2, 4))):
        node, other = random.choice(list(graph.node)), random.choice(list(graph.node))
        kind = random.randrange(7)
        if kind == 0 and node.input:
            node.input[random.randrange(len(node.input))] = other.output[0]
        elif kind == 1:
            node.op_type = other.op_type
        elif kind == 2 and node.attribute:
            attribute = random.choice(list(node.attribute))
            attribute.i = random.choice(NUMBERS) % 2**63
            attribute.ints[:] = [random.choice(NUMBERS) % 2**63 for _ in attribute.ints]
        elif kind == 3:
            tensor = random.choice(list(graph.initializer))
            tensor.dims[:] = [random.choice(NUMBERS) % 2**63 for _ in tensor.dims]
        elif kind == 4:
            graph.node.remove(node)
        elif kind == 5:
            graph.node.add().CopyFrom(node)
        else:
            tensor = random.choice(list(graph.initializer))
            tensor.raw_data = mutated(tensor.raw_data or b"\0", random)
    return {"a.onnx": model.SerializeToString()}
