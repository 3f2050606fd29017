"""Keras's files, against Keras itself; Theano's convolutions against SciPy's."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import torch
from architectures import layer_values, observations
from keras import layers
from keras_networks import keras_network, keras_outputs, lively, save_layers
from real_policies import POLICIES, by_hand, needs_policies, widened
from safetensors.torch import load_file
from scipy.signal import convolve

from atari_zoo import load
from atari_zoo.converters import ConversionError, MnihNetwork, to_torch
from atari_zoo.converters.cards import RANGE_ASSUMED
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.models import convert

SMALL: dict[str, Any] = {"widths": (4, 4, 4), "units": 8}
close = np.testing.assert_allclose


@pytest.mark.parametrize("ending", [".h5", ".keras"])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_model_saved_whole(tmp_path: Path, ending: str, padding: str) -> None:
    model, seen = keras_network(scaled=True, critic=True, padding=padding), observations()
    model.save(tmp_path / f"a{ending}")
    found = to_torch(tmp_path / f"a{ending}")
    assert isinstance(found, MnihNetwork) and not found.card.assumptions
    values = layer_values(found, seen)
    logits, value = keras_outputs(model, seen)  # which takes 0..255
    close(values["output"], logits, atol=1e-5, rtol=1e-4)
    close(values["value"], value, atol=1e-5, rtol=1e-4)


def test_a_model_that_does_not_scale_does_not_tell(tmp_path: Path) -> None:
    model, seen = keras_network(**SMALL), observations()
    model.save(tmp_path / "a.h5")
    with pytest.warns(UserWarning, match="assumed pixels from 0 to 1"):
        found = load(tmp_path / "a.h5")
    assert found.card.assumptions == (RANGE_ASSUMED,)
    with torch.no_grad():
        close(found(seen), keras_outputs(model, seen / 255)[0], atol=1e-5)
        bytes_in = load(tmp_path / "a.h5", input_range="0..255")
        close(bytes_in(seen), keras_outputs(model, seen)[0], atol=1e-3, rtol=1e-4)


def test_a_sequential_model_and_other_layers(tmp_path: Path) -> None:
    model = lively(
        keras.Sequential(
            [
                keras.Input((4, 84, 84)),
                layers.Permute((2, 3, 1)),
                layers.Rescaling(1 / 127.5, offset=-1),
                layers.ZeroPadding2D(((1, 2), (3, 0))),
                layers.Conv2D(6, 5, 2, padding="same", use_bias=False),
                layers.BatchNormalization(),
                layers.LeakyReLU(negative_slope=0.2),
                layers.MaxPooling2D(3, 2, padding="same"),
                layers.Conv2D(8, 3, activation="elu"),
                layers.AveragePooling2D(2),
                layers.Dropout(0.5),
                layers.Flatten(),
                layers.Dense(16),
                layers.Activation("tanh"),
                layers.Dense(6, activation="linear"),
            ]
        )
    )
    model.save(tmp_path / "a.keras")
    model.save(tmp_path / "a.h5")
    seen = observations()
    expected = np.asarray(model(seen.numpy().astype(np.float32)))
    for name in ("a.keras", "a.h5"):
        with torch.no_grad():
            close(to_torch(tmp_path / name)(seen), expected, atol=1e-5, rtol=1e-4)


def test_residual_sums_and_averages(tmp_path: Path) -> None:
    seen_in = keras.Input((84, 84, 4))
    x = layers.Conv2D(8, 8, 4, activation="relu")(seen_in)
    y = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Add()([x, y])
    x = layers.Concatenate()([x, layers.Average()([x, y]), layers.Multiply()([x, y])])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    model = lively(keras.Model(seen_in, layers.Dense(6)(x)))
    model.save(tmp_path / "a.h5")
    seen = observations()
    with torch.no_grad():
        found = to_torch(tmp_path / "a.h5")(seen)
    close(found, keras_outputs(model, seen / 255)[0], atol=1e-5, rtol=1e-4)


def encoder(kind: str, frozen: bool = False) -> Any:
    """A model to stand in another, with a batch norm, which has four arrays."""
    parts = [
        layers.Conv2D(4, 8, 4, activation="relu", name="conv"),
        layers.BatchNormalization(name="norm", trainable=not frozen),
        layers.Conv2D(5, 4, 2, activation="relu", name="conv_again"),
    ]
    if kind == "sequential":
        return keras.Sequential([keras.Input((84, 84, 4)), *parts], name="encoder")
    x = seen_in = keras.Input((84, 84, 4), name="screens")
    for part in parts:
        x = part(x)
    pooled = layers.GlobalAveragePooling2D()(parts[0].output)
    return keras.Model(seen_in, [pooled, layers.Flatten()(x)], name="encoder")


@pytest.mark.parametrize("kind", ["sequential", "in a row", "functional", "three deep"])
def test_models_within_models(tmp_path: Path, kind: str) -> None:
    """Of which two layers have one name, and one model two outputs."""
    keras.utils.set_random_seed(0)
    head = keras.Sequential([layers.Dense(7, activation="tanh", name="conv")], name="head")
    ends = [layers.Dense(6, name="actor"), layers.Dense(1, name="critic")]
    if kind == "in a row":
        model = keras.Sequential([encoder("sequential"), layers.Flatten(), head, ends[0]])
    else:
        seen_in = keras.Input((84, 84, 4))
        x = layers.Rescaling(1 / 255)(seen_in)
        if kind == "sequential":
            x = layers.Flatten()(encoder("sequential")(x))
        else:
            pooled, flat = encoder("functional", frozen=True)(x)
            x = layers.Concatenate()([flat, pooled])  # in the other order
        if kind == "three deep":
            inner = keras.Input((x.shape[-1],))
            head = keras.Model(inner, head(layers.Dense(9, name="conv")(inner)), name="neck")
        x = head(x)
        model = keras.Model(seen_in, [end(x) for end in ends])
    drawn = np.random.default_rng(0)
    model.set_weights([abs(drawn.normal(0, 0.2, w.shape)) for w in model.get_weights()])
    seen = observations()
    expected = keras_outputs(model, seen / 255 if kind == "in a row" else seen)
    assert np.abs(expected[0]).max() > 0.1
    for path in (tmp_path / "a.h5", tmp_path / "a.keras", tmp_path / "b.keras"):
        model.save(path)
        found = to_torch(without_names(path) if path.name == "b.keras" else path)
        values = layer_values(found, seen)
        close(values["output"], expected[0], atol=1e-5, rtol=1e-4)
        if len(expected) > 1:
            close(values["value"], expected[1], atol=1e-5, rtol=1e-4)


def test_nested_weights_as_keras_2_named_them(tmp_path: Path) -> None:
    """A model within the model was one group, each array called after its own layer."""
    model = keras.Sequential(
        [keras.Input((84, 84, 4)), encoder("sequential"), layers.Flatten(), layers.Dense(6)]
    )
    lively(model)
    model.save(tmp_path / "a.h5")
    seen = observations()
    with h5py.File(tmp_path / "a.h5", "a") as file:
        group = file["model_weights/encoder"]
        names = [str(name) for name in group.attrs["weight_names"]]
        short = ["/".join(name.split("/")[-2:]) + ":0" for name in names]
        arrays = [group[name][()] for name in names]
        for name in list(group):
            del group[name]
        for name, array in zip(short, arrays, strict=True):
            group[name] = array
        group.attrs["weight_names"] = [name.encode() for name in short]
    with torch.no_grad():
        found = to_torch(tmp_path / "a.h5")(seen)
    close(found, keras_outputs(model, seen / 255)[0], atol=1e-5, rtol=1e-4)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        group = file["model_weights/encoder"]
        again = [f"in_{n.split('/')[0]}/{n.replace('conv_again', 'conv')}" for n in short]
        for name, old in zip(again, short, strict=True):
            group[name] = group[old][()]
        group.attrs["weight_names"] = [name.encode() for name in again]
    with pytest.raises(ConversionError, match="two layers of this name in one model within"):
        to_torch(tmp_path / "a.h5")


def test_a_layer_may_read_another_twice(tmp_path: Path) -> None:
    seen_in = keras.Input((84, 84, 4))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 8, 4, activation="relu")(seen_in))
    x = layers.Concatenate()([layers.Multiply()([x, x]), layers.Add()([x, x, x])])
    model = lively(keras.Model(seen_in, layers.Dense(6)(x)))
    seen = observations()
    for name in ("a.keras", "a.h5"):
        model.save(tmp_path / name)
        with torch.no_grad():
            found = to_torch(tmp_path / name)(seen)
        close(found, keras_outputs(model, seen / 255)[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("critic", [False, True])
def test_weights_alone(tmp_path: Path, critic: bool) -> None:
    model, seen = keras_network(critic=critic), observations()
    model.save_weights(tmp_path / "a.weights.h5")
    arrays = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    old = save_layers(tmp_path / "old.h5", arrays, backend="tensorflow", keras_version="2.2.4-tf")
    for path in (tmp_path / "a.weights.h5", old):
        found = to_torch(path)
        assert isinstance(found, MnihNetwork) and RANGE_ASSUMED in found.card.assumptions
        values = layer_values(found, seen)
        names = ("output", "value") if critic else ("output",)
        for name, expected in zip(names, keras_outputs(model, seen / 255), strict=True):
            close(values[name], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("case", ["2013", "80x80", "no dense layer between", "sorted"])
def test_weights_alone_of_other_sizes(tmp_path: Path, case: str) -> None:
    """Dense layers read height, width, channels, whatever their number is."""
    random, side = np.random.default_rng(4), 80 if case == "80x80" else 84
    x = seen_in = keras.Input((side, side, 4))
    for width, kernel, stride in ((16, 8, 4), (8, 4, 2)):
        x = layers.Conv2D(width, kernel, stride, activation="relu")(x)
    x = layers.Flatten()(x)
    if case != "no dense layer between":
        x = layers.Dense(24, activation="relu", name="fc")(x)
    ends = [layers.Dense(1, name="critic")(x), layers.Dense(6, name="policy")(x)]
    model = lively(keras.Model(seen_in, ends))
    arrays = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    if case == "sorted":
        arrays = dict(sorted(arrays.items()))
        assert list(arrays).index("critic") < list(arrays).index("fc")
    path = save_layers(tmp_path / "a.h5", arrays, backend="tensorflow", keras_version="2.2.4-tf")
    seen = torch.from_numpy(random.integers(0, 256, (3, 4, side, side), np.uint8))
    values = layer_values(to_torch(path), seen)
    for name, expected in zip(("value", "output"), keras_outputs(model, seen / 255), strict=True):
        close(values[name], expected, atol=1e-5, rtol=1e-4)


def test_which_dense_layer_is_first_may_not_be_clear(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    shapes = {"conv": (8, 8, 4, 6), "a": (600, 8), "b": (2400, 8), "out": (8, 6)}
    arrays = {name: [random.normal(size=shape)] for name, shape in shapes.items()}
    path = save_layers(tmp_path / "a.h5", arrays, backend="tensorflow", keras_version="2.2.4-tf")
    with pytest.raises(ConversionError, match=r"6 channels is not clear \('a' \(600, 8\)"):
        to_torch(path)


def theanos(kernels: list[np.ndarray], seen: np.ndarray, padding: str = "valid") -> np.ndarray:
    """True convolutions by SciPy. kernels: (out, in, height, width) each. seen: one observation.

    padding "same" is Theano's "half": k // 2 before, cut to ceil(size / stride) outputs.
    """
    x, mode = seen, "full" if padding == "same" else "valid"
    for kernel, stride in zip(kernels, (4, 2, 1), strict=True):
        maps = [
            sum(convolve(x[i], kernel[o, i], mode) for i in range(len(x)))
            for o in range(len(kernel))
        ]
        side, width = x.shape[-1], kernel.shape[-1]
        whole = np.array(maps)
        if padding == "same":  # "full" begins width - 1 before the first pixel
            begin = width - 1 - width // 2
            whole = whole[:, begin : begin + side, begin : begin + side]
        x = np.maximum(whole[:, ::stride, ::stride], 0)
    return x.reshape(-1)  # channels, height, width: as its Flatten did


def theano_config(version: int, padding: str = "valid") -> str:
    """Sequential, channels first, as Keras 1 and early Keras 2 wrote it."""
    first = {"batch_input_shape": [None, 4, 84, 84]}
    rows: list[dict[str, Any]] = []
    for number, (kernel, stride) in enumerate(((8, 4), (4, 2), (3, 1))):
        config: dict[str, Any] = {"name": f"conv{number}", "activation": "relu"}
        config |= first if not number else {}
        if version == 1:
            sizes = {"nb_filter": 4, "nb_row": kernel, "nb_col": kernel, "dim_ordering": "th"}
            config |= sizes | {"subsample": [stride, stride], "border_mode": padding}
        else:
            config |= {"filters": 4, "kernel_size": [kernel, kernel], "strides": [stride, stride]}
            config |= {"data_format": "channels_first", "padding": padding}
        rows.append({"class_name": "Convolution2D" if version == 1 else "Conv2D", "config": config})
    rows.append({"class_name": "Flatten", "config": {"name": "flatten"}})
    for name, activation in (("dense", "relu"), ("out", "linear")):
        rows.append({"class_name": "Dense", "config": {"name": name, "activation": activation}})
    return json.dumps({"class_name": "Sequential", "config": rows})


@pytest.mark.parametrize("version", [1, 2])
def test_theanos_convolutions_turn_their_kernels_over(tmp_path: Path, version: int) -> None:
    random = np.random.default_rng(2)
    shapes = ((4, 4, 8, 8), (4, 4, 4, 4), (4, 4, 3, 3))
    kernels = [random.normal(0, 0.2, shape).astype(np.float32) for shape in shapes]
    dense = random.normal(0, 0.1, (4 * 49, 8)).astype(np.float32)
    out = random.normal(0, 1, (8, 6)).astype(np.float32)
    stored = [k if version == 1 else k.transpose(2, 3, 1, 0) for k in kernels]
    arrays = {f"conv{i}": [k, np.zeros(4, np.float32)] for i, k in enumerate(stored)}
    arrays |= {"dense": [dense, np.zeros(8, np.float32)], "out": [out, np.zeros(6, np.float32)]}
    told = {} if version == 1 else {"backend": "theano", "keras_version": "2.1.2"}
    path = save_layers(tmp_path / "a.h5", arrays, theano_config(version), **told)
    seen = observations(1)
    features = theanos(kernels, seen[0].numpy() / 255.0)
    expected = np.maximum(features @ dense, 0) @ out
    done = convert(path, keras_backend="theano" if version == 1 else None)
    assert any("turned over" in note for note in done.report.notes)
    with torch.no_grad():
        close(to_torch(done.model)(seen)[0], expected, atol=1e-4, rtol=1e-4)
    if version == 1:  # nobody says so: it is assumed, and said
        other = convert(path)
        assert any("what Keras ran on" in line for line in other.card.assumptions)
        assert not torch.allclose(to_torch(other.model)(seen), to_torch(done.model)(seen))
        with pytest.raises(ConversionError, match="no backend 'theno' of Keras's"):
            convert(path, keras_backend="theno")


@pytest.mark.parametrize("version", [1, 2])
def test_theanos_same_padding_is_half_a_kernel_before(tmp_path: Path, version: int) -> None:
    random = np.random.default_rng(3)
    shapes = ((4, 4, 8, 8), (4, 4, 4, 4), (4, 4, 3, 3))
    kernels = [random.normal(0, 0.2, shape).astype(np.float32) for shape in shapes]
    dense = random.normal(0, 0.1, (4 * 121, 8)).astype(np.float32)
    out = random.normal(0, 1, (8, 6)).astype(np.float32)
    stored = [k if version == 1 else k.transpose(2, 3, 1, 0) for k in kernels]
    arrays = {f"conv{i}": [k] for i, k in enumerate(stored)} | {"dense": [dense], "out": [out]}
    told = {"backend": "theano", "keras_version": "1.2.2" if version == 1 else "2.1.2"}
    path = save_layers(tmp_path / "a.h5", arrays, theano_config(version, "same"), **told)
    seen = observations(1)
    features = theanos(kernels, seen[0].numpy() / 255.0, "same")
    assert features.shape == (4 * 121,)
    with torch.no_grad():
        found = to_torch(path)(seen)[0]
    close(found, np.maximum(features @ dense, 0) @ out, atol=1e-4, rtol=1e-4)


def test_theanos_pools_with_padding_are_refused(tmp_path: Path) -> None:
    config = json.loads(theano_config(2))
    pool = {"name": "pool", "padding": "same", "data_format": "channels_first"}
    config["config"].insert(1, {"class_name": "MaxPooling2D", "config": pool})
    arrays = {"conv0": [np.zeros((8, 8, 4, 4), np.float32)]}
    told = {"backend": "theano", "keras_version": "2.1.2"}
    path = save_layers(tmp_path / "a.h5", arrays, json.dumps(config), **told)
    with pytest.raises(ConversionError, match="a pooling with padding 'same' of Theano's"):
        to_torch(path)


def test_weights_alone_of_keras_1_on_theano(tmp_path: Path) -> None:
    """Channels are first, and the dense layer reads channels, height, width."""
    random = np.random.default_rng(2)
    shapes = ((6, 4, 8, 8), (5, 6, 4, 4), (7, 5, 3, 3))
    kernels = [random.normal(0, 0.2, shape).astype(np.float32) for shape in shapes]
    dense = random.normal(0, 0.1, (7 * 49, 8)).astype(np.float32)
    out = random.normal(0, 1, (8, 6)).astype(np.float32)
    arrays = {f"conv{i}": [k, np.zeros(len(k), np.float32)] for i, k in enumerate(kernels)}
    arrays |= {"dense": [dense, np.zeros(8, np.float32)], "out": [out, np.zeros(6, np.float32)]}
    path, seen = save_layers(tmp_path / "a.h5", arrays), observations(1)
    expected = np.maximum(theanos(kernels, seen[0].numpy() / 255.0) @ dense, 0) @ out
    with torch.no_grad():
        found = to_torch(convert(path, keras_backend="theano").model)(seen)[0]
    close(found, expected, atol=1e-4, rtol=1e-4)


def without_names(path: Path) -> Path:
    """As Keras 3.0 wrote it: groups of variables do not tell their layers' own names."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    content = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(content, "a") as file:
        groups: list[Any] = []
        file.visititems(lambda name, node: groups.append(node) if name.endswith("vars") else None)
        for group in groups:
            group.attrs.pop("name", None)
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in (parts | {"model.weights.h5": content.getvalue()}).items():
            archive.writestr(name, part)
    return path


def test_layers_without_names_are_told_by_class_and_number(tmp_path: Path) -> None:
    """A session's second model: its dense_1 is the first of its file, whose second is dense_1."""
    seen_in = keras.Input((84, 84, 4))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 8, 4, activation="relu")(seen_in))
    y = layers.Dense(8, activation="tanh", name="dense_1")(x)
    y = layers.Dense(8, name="dense_2")(y)
    z = layers.Dense(8, activation="sigmoid", name="dense_3")(x)  # ready before dense_2 is
    model = lively(keras.Model(seen_in, layers.Dense(6, name="dense_4")(layers.Add()([y, z]))))
    model.save(tmp_path / "a.keras")
    seen = observations()
    expected = keras_outputs(model, seen / 255)[0]
    for path in (tmp_path / "a.keras", without_names(tmp_path / "a.keras")):
        with torch.no_grad():
            close(to_torch(path)(seen), expected, atol=1e-5, rtol=1e-4)


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        sizes = ((8, 8, 4), (6, 4, 2), (5, 3, 1))
        self.conv1, self.conv2, self.conv3 = (
            layers.Conv2D(width, kernel, stride, activation="relu")
            for width, kernel, stride in sizes
        )
        self.fc, self.out = layers.Dense(8, activation="relu"), layers.Dense(6)

    def call(self, x: Any) -> Any:
        x = self.conv3(self.conv2(self.conv1(x)))
        return self.out(self.fc(layers.Flatten()(x)))


def test_weights_of_a_class_of_its_own(tmp_path: Path) -> None:
    model, seen = Subclassed(), observations()
    keras_outputs(model, seen)
    model.compile("adam", "mse")
    model.fit(np.zeros((2, 84, 84, 4)), np.zeros((2, 6)), verbose=0)
    model.save_weights(tmp_path / "a.weights.h5")
    with torch.no_grad():
        found = to_torch(tmp_path / "a.weights.h5")(seen)
    close(found, keras_outputs(model, seen / 255)[0], atol=1e-5, rtol=1e-4)


def lambda_model() -> Any:
    return keras.Sequential(
        [keras.Input((84, 84, 4)), layers.Lambda(lambda x: x / 255, name="scale"), layers.Flatten(),
         layers.Dense(6)]
    )  # fmt: skip


def two_inputs() -> Any:
    ends = [layers.Flatten()(keras.Input((84, 84, 4))), keras.Input((6,))]
    return keras.Model([ends[0]._keras_history.operation.input, ends[1]],
                       layers.Dense(6)(layers.Concatenate()(ends)))  # fmt: skip


def plain(*more: Any) -> Any:
    return keras.Sequential([keras.Input((84, 84, 4)), *more])


ACTIVATIONS: dict[str, Any] = {
    "relu": lambda: layers.ReLU(negative_slope=0.2),
    "leaky": lambda: layers.LeakyReLU(negative_slope=0.4),
    "elu": lambda: layers.ELU(alpha=0.3),
    "softmax": lambda: layers.Softmax(),
}


@pytest.mark.parametrize("case", ACTIVATIONS)
@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_activations_that_are_objects_keep_their_settings(
    tmp_path: Path, case: str, ending: str
) -> None:
    convolution = layers.Conv2D(4, 8, 8, activation=ACTIVATIONS[case]())
    dense = layers.Dense(16, activation=ACTIVATIONS[case]())
    model = lively(plain(convolution, layers.Flatten(), dense, layers.Dense(6)))
    model.save(tmp_path / f"a{ending}")
    seen = observations()
    with torch.no_grad():
        found = to_torch(tmp_path / f"a{ending}")(seen)
    close(found, keras_outputs(model, seen / 255)[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shared", [True, False])
def test_keras_slopes(tmp_path: Path, shared: bool) -> None:
    """Shared over rows and columns, they are a unit's; else each place has its own, and no name."""
    keras.utils.set_random_seed(0)
    screens = keras.Input((84, 84, 4))
    x = layers.Rescaling(1 / 255)(screens)
    for width, kernel, stride in ((6, 8, 4), (5, 4, 2)):
        bend = layers.PReLU("uniform", shared_axes=[1, 2] if shared else None)
        x = bend(layers.Conv2D(width, kernel, stride)(x))
    x = layers.PReLU("uniform")(layers.Dense(16)(layers.Flatten()(x)))
    model = keras.Model(screens, layers.Dense(6)(x))
    drawn = np.random.default_rng(0)
    model.set_weights([drawn.normal(0, 0.3, w.shape) for w in model.get_weights()])
    seen = observations()
    for name in ("a.keras", "a.h5"):
        model.save(tmp_path / name)
        found = to_torch(tmp_path / name)
        assert type(found) is (MnihNetwork if shared else ForeignNetwork)
        with torch.no_grad():
            close(found(seen), keras_outputs(model, seen)[0], atol=1e-4, rtol=1e-4)


def test_activations_with_settings_that_have_no_translation(tmp_path: Path) -> None:
    for activation, message in (
        (layers.ReLU(max_value=6), r"layer 'out' \(Dense\): an activation with a threshold"),
        (layers.Softmax(axis=1), "a softmax over the axis 1; the last was expected"),
    ):
        dense = layers.Dense(8, activation=activation, name="out")
        plain(dense, layers.Flatten(), layers.Dense(6)).save(tmp_path / "a.h5")
        with pytest.raises(ConversionError, match=message):
            to_torch(tmp_path / "a.h5")
    config = json.loads(theano_config(2))
    object_ = {"class_name": "Softplus", "config": {"beta": 2.0}}
    config["config"][0]["config"]["activation"] = object_
    arrays = {"conv0": [np.zeros((8, 8, 4, 4), np.float32)]}
    path = save_layers(tmp_path / "b.h5", arrays, json.dumps(config))
    with pytest.raises(ConversionError, match="the activation 'Softplus' with 'beta'"):
        to_torch(path)


REFUSED: dict[str, tuple[Any, str]] = {
    "lambda": (lambda_model, r"layer 'scale' \(Lambda\): Python code of its own, which is not run"),
    "recurrent": (
        lambda: plain(layers.Reshape((84, -1)), layers.LSTM(6, name="memory")),
        r"layer 'memory' \(LSTM\): no translation",
    ),
    "activation": (
        lambda: plain(layers.Flatten(), layers.Dense(6, activation="gelu", name="out")),
        r"layer 'out' \(Dense\): no translation for the activation 'gelu'",
    ),
    "images": (lambda: plain(layers.Conv2D(6, 3)), "one output of actions"),
    "nested": (
        lambda: plain(plain(layers.Flatten(), layers.Dense(6, activation="gelu", name="out"))),
        r"layer '[^']*/out' \(Dense\): no translation for the activation 'gelu'",
    ),
    "vector": (
        lambda: keras.Sequential([keras.Input((128,)), layers.Dense(6)]),
        "height, width and frames were expected",
    ),
    "two inputs": (two_inputs, "a second input"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_models_are_refused(tmp_path: Path, case: str) -> None:
    make, message = REFUSED[case]
    make().save(tmp_path / "a.h5")
    with pytest.raises(ConversionError, match=message) as caught:
        to_torch(tmp_path / "a.h5")
    assert "\n" not in str(caught.value)


def test_a_model_without_its_weights_is_refused(tmp_path: Path) -> None:
    model = keras_network(**SMALL)
    model.save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["model_weights/hidden"]
    with pytest.raises(ConversionError, match="layer 'hidden' is missing in the file"):
        to_torch(tmp_path / "a.h5")


@needs_policies
def test_a_real_policy_computes_the_same_as_keras_hdf5(tmp_path: Path) -> None:
    """Written by Keras, on 0..255; its play is the same as before since its outputs are."""
    weights = widened(load_file(POLICIES / "acktr-Breakout.safetensors"))
    model = keras_network(actions=4, scaled=True, critic=True)
    names = ("base.main.0", "base.main.2", "base.main.4", "base.main.7")
    arrays = []
    for name in (*names, "dist.linear", "base.critic_linear"):
        weight = weights[f"{name}.weight"].numpy()
        if name == "base.main.7":
            weight = weight.reshape(-1, 64, 7, 7).transpose(0, 2, 3, 1).reshape(len(weight), -1)
        arrays.append(weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T)
        arrays.append(weights[f"{name}.bias"].numpy())
    model.set_weights(arrays)
    model.save(tmp_path / "breakout.h5")
    seen = observations(7)
    values = layer_values(to_torch(tmp_path / "breakout.h5"), seen)
    logits, value = by_hand(weights, seen)
    torch.testing.assert_close(values["output"], logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(values["value"], value, atol=1e-4, rtol=1e-4)
