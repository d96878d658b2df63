"""The layout of the weights, the convolutions, and batch normalization, against MLX's own."""

from mlxgan import checkpoints, layers, models, recipes, training

import time

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten


@pytest.fixture(autouse=True)
def on_the_cpu():
    """What is tested here is for the CPU, also where there is a GPU."""
    before = mx.default_device()
    mx.set_default_device(mx.cpu)
    yield
    mx.set_default_device(before)


@pytest.fixture(params=["another device", "switched off"])
def off(request, monkeypatch):
    """Something that leaves everything to MLX itself."""
    if request.param == "another device":
        monkeypatch.setattr(mx, "default_device", lambda: mx.Device(mx.gpu))
    else:
        monkeypatch.setenv("MLXGAN_STOCK_CPU", "1")


# The layout


def by_columns(array) -> bool:
    return memoryview(array).strides == (4, 4 * array.shape[0])


def test_weights_and_their_moments_are_stored_by_columns_with_the_same_values():
    network, optimizer = models.MLPGenerator(), recipes.adam()
    optimizer.init(network.trainable_parameters())
    before = {name: mx.array(value) for name, value in tree_flatten(network.parameters())}
    layers.column_major(network, optimizer)
    for name, value in tree_flatten(network.parameters()):
        assert mx.array_equal(value, before[name])
        assert value.ndim == 1 or by_columns(value)
    moments = [value for _, value in tree_flatten(optimizer.state) if value.ndim == 2]
    assert len(moments) == 8 and all(by_columns(value) for value in moments)


@pytest.mark.usefixtures("off")
def test_off_the_cpu_the_layout_stays():
    network, optimizer = models.MLPGenerator(), recipes.adam()
    layers.column_major(network, optimizer)
    assert not any(by_columns(layer.weight) for layer in network.layers)


def test_three_steps_with_and_without_the_layout_give_the_same_weights():
    results = []
    for layout in (False, True):
        mx.random.seed(0)
        networks = models.MLPGenerator(), models.MLPDiscriminator()
        optimizers = recipes.adam(), recipes.adam()
        for network, optimizer in zip(networks, optimizers, strict=True):
            optimizer.init(network.trainable_parameters())
            if layout:
                layers.column_major(network, optimizer)
        step, state = training.make_step(*networks, *optimizers)
        real = mx.random.uniform(-1, 1, (32, 28, 28, 1), key=mx.random.key(1))
        for _ in range(3):
            mx.eval(step(real), state)
        results.append([value for network in networks for _, value in tree_flatten(network.parameters())])
    for mine, theirs in zip(*results, strict=True):
        assert mx.abs(mine - theirs).max().item() < 1e-5


# Convolutions

PAIRS = [(layers.Conv2d, nn.Conv2d), (layers.ConvTranspose2d, nn.ConvTranspose2d)]
pairs = pytest.mark.parametrize(("ours", "stock"), PAIRS, ids=["conv", "transposed"])


def twins(ours, stock, *arguments, **keywords):
    """A layer of each kind with the same weights; neither knows of the other's code."""
    mx.random.seed(0)
    a, b = ours(*arguments, **keywords), stock(*arguments, **keywords)
    a.update(b.parameters())
    return a, b


def output_and_gradients(layer, x):
    """The output, and the gradients with respect to the input and to each parameter."""

    def loss(x):
        return (mx.sin(layer(x)) ** 2).sum()

    _, by_weights = nn.value_and_grad(layer, loss)(x)
    return [layer(x), mx.grad(loss)(x), *(gradient for _, gradient in tree_flatten(by_weights))]


@pairs
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("into", "out"), [(1, 8), (3, 5), (16, 1), (8, 2), (4, 4)])
def test_outputs_and_all_gradients_equal_the_stock_layers(ours, stock, into, out, bias):
    mine, theirs = twins(ours, stock, into, out, 4, stride=2, padding=1, bias=bias)
    x = mx.random.normal((3, 6, 8, into), key=mx.random.key(1))
    results = [output_and_gradients(layer, x) for layer in (mine, theirs)]
    assert len(results[0]) == (4 if bias else 3)
    for a, b in zip(*results, strict=True):
        assert a.shape == b.shape
        assert mx.abs(a - b).max().item() < 1e-4


@pairs
@pytest.mark.parametrize(("into", "out"), [(3, 5), (16, 1)])
def test_second_derivatives_equal_the_stock_layers(ours, stock, into, out):
    """A gradient penalty differentiates the gradient with respect to the input once more, by the weights."""
    results = []
    x = mx.random.normal((2, 4, 4, into), key=mx.random.key(1))
    for layer in twins(ours, stock, into, out, 4, stride=2, padding=1):

        def penalty(weight, layer=layer):
            layer.weight = weight
            return (mx.grad(lambda x: mx.tanh(layer(x)).sum())(x) ** 2).sum()

        results.append(mx.grad(penalty)(layer.weight))
    assert mx.abs(results[0] - results[1]).max().item() < 1e-4 * mx.abs(results[1]).max().item()


@pairs
def test_on_the_cpu_the_stock_layer_is_not_called(ours, stock, monkeypatch):
    mine, _ = twins(ours, stock, 3, 5, 4, stride=2, padding=1)
    monkeypatch.setattr(stock, "__call__", None)
    assert len(output_and_gradients(mine, mx.random.normal((2, 6, 8, 3), key=mx.random.key(1)))) == 4


@pytest.mark.slow
@pairs
def test_gradients_take_at_most_half_of_the_stock_layers_time(ours, stock):
    """They take a tenth or less; the rest is room for a busy machine."""
    x = mx.random.normal((16, 14, 14, 32), key=mx.random.key(1))

    def seconds(layer):
        start = time.perf_counter()
        mx.eval(output_and_gradients(layer, x))
        return time.perf_counter() - start

    mine, theirs = twins(ours, stock, 32, 64, 4, stride=2, padding=1)
    assert 2 * min(seconds(mine) for _ in range(4)) < min(seconds(theirs) for _ in range(2))


@pytest.mark.parametrize(
    ("kinds", "kernel", "keywords"),
    [
        *((kinds, 3, {"stride": 2, "padding": 1}) for kinds in PAIRS),
        *((kinds, 4, {"stride": 1, "padding": 1}) for kinds in PAIRS),
        *((kinds, 4, {"stride": 2, "padding": 0}) for kinds in PAIRS),
        *((kinds, 4, {"stride": 2, "padding": 1, "dilation": 2}) for kinds in PAIRS),
        (PAIRS[0], 4, {"stride": 2, "padding": 1, "groups": 2}),
        (PAIRS[1], 4, {"stride": 2, "padding": 1, "output_padding": 1}),
    ],
)
def test_other_settings_give_what_the_stock_layer_gives(kinds, kernel, keywords):
    mine, theirs = twins(*kinds, 2, 4, kernel, **keywords)
    x = mx.random.normal((2, 8, 8, 2), key=mx.random.key(1))
    for a, b in zip(*(output_and_gradients(layer, x) for layer in (mine, theirs)), strict=True):
        assert a.shape == b.shape and mx.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("size", [(7, 9), (7, 8), (8, 9)])
def test_odd_images_give_what_the_stock_layer_gives(size):
    mine, theirs = twins(*PAIRS[0], 2, 3, 4, stride=2, padding=1)
    x = mx.random.normal((2, *size, 2), key=mx.random.key(1))
    for a, b in zip(*(output_and_gradients(layer, x) for layer in (mine, theirs)), strict=True):
        assert a.shape == b.shape and mx.allclose(a, b, atol=1e-4)


@pairs
@pytest.mark.usefixtures("off")
def test_off_the_cpu_every_bit_is_that_of_the_stock_layer(ours, stock):
    mine, theirs = twins(ours, stock, 16, 8, 4, stride=2, padding=1)
    x = mx.random.normal((16, 14, 14, 16), key=mx.random.key(1))
    results = [output_and_gradients(layer, x) for layer in (mine, theirs)]
    assert all(mx.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_one_checkpoint_serves_both(tmp_path, monkeypatch):
    """Parameters have the same names, shapes and meaning with the stock layers and with ours."""

    def stock_model():
        with monkeypatch.context() as patch:
            patch.setattr(models, "Conv2d", nn.Conv2d)
            patch.setattr(models, "ConvTranspose2d", nn.ConvTranspose2d)
            return models.DCGANGenerator(10, 4), models.DCGANDiscriminator(4)

    z = mx.random.normal((4, 10), key=mx.random.key(0))
    ours, theirs = (models.DCGANGenerator(10, 4), models.DCGANDiscriminator(4)), stock_model()
    assert type(theirs[0].up1) is nn.ConvTranspose2d and type(ours[0].up1) is layers.ConvTranspose2d
    for source, target in ((ours, theirs), (theirs, ours)):
        for index, (a, b) in enumerate(zip(source, target, strict=True)):
            checkpoints.save(tmp_path / f"{index}.safetensors", a)
            checkpoints.load(tmp_path / f"{index}.safetensors", b)
        images = [generator.eval()(z) for generator in (source[0], target[0])]
        assert mx.abs(images[0] - images[1]).max().item() < 1e-4
        real = mx.random.uniform(-1, 1, (4, 28, 28, 1), key=mx.random.key(1))
        logits = [discriminator.eval()(real) for discriminator in (source[1], target[1])]
        assert mx.abs(logits[0] - logits[1]).max().item() < 1e-4


# Batch normalization

SHAPES = pytest.mark.parametrize("shape", [(6, 5), (3, 4, 2, 5)], ids=["vectors", "images"])


def norms(shape, **keywords):
    """A batch normalization of each kind with the same parameters, and an input far from mean 0."""
    mine, theirs = twins(layers.BatchNorm, nn.BatchNorm, shape[-1], **keywords)
    if "weight" in theirs:
        theirs.weight, theirs.bias = mx.random.normal((2, shape[-1]))
        mine.update(theirs.parameters())
    return mine, theirs, 3 + 2 * mx.random.normal(shape, key=mx.random.key(1))


@SHAPES
def test_normalization_and_its_gradients_equal_the_stock_layers(shape):
    mine, theirs, x = norms(shape)
    for a, b in zip(*(output_and_gradients(layer, x) for layer in (mine, theirs)), strict=True):
        assert a.shape == b.shape and mx.allclose(a, b, rtol=1e-4, atol=1e-4)
    assert mx.allclose(mine.running_mean, theirs.running_mean, atol=1e-6) and mine.running_mean.max().item() > 0.2
    assert mx.allclose(mine.running_var, theirs.running_var, atol=1e-5)


@SHAPES
def test_second_derivatives_of_the_normalization_equal_the_stock_layers(shape):
    mine, theirs, x = norms(shape)

    def penalty(layer):
        def squares(x):
            return mx.square(mx.grad(lambda x: (mx.sin(layer(x)) ** 2).sum())(x)).sum()

        _, by_weights = nn.value_and_grad(layer, squares)(x)
        return by_weights | {"x": mx.grad(squares)(x)}

    a, b = (dict(tree_flatten(penalty(layer))) for layer in (mine, theirs))
    assert a.keys() == b.keys() == {"weight", "bias", "x"}
    for name, value in a.items():
        assert mx.allclose(value, b[name], rtol=1e-3, atol=1e-3 * mx.abs(b[name]).max().item())


@SHAPES
def test_elsewhere_every_bit_is_that_of_the_stock_normalization(shape, off):
    mine, theirs, x = norms(shape)
    assert mx.array_equal(mine(x), theirs(x)) and mx.array_equal(mine.running_var, theirs.running_var)


@pytest.mark.parametrize("keywords", [{"affine": False}, {"track_running_stats": False}, {}])
def test_other_settings_and_evaluation_give_what_the_stock_normalization_gives(keywords):
    mine, theirs, x = norms((6, 5), **keywords)
    assert mx.allclose(mine(x), theirs(x), atol=1e-5)
    assert mx.allclose(mine.eval()(x), theirs.eval()(x), atol=1e-5)


def test_one_value_per_channel_cannot_be_normalized():
    with pytest.raises(ValueError, match="more than one value per channel"):
        layers.BatchNorm(3)(mx.zeros((1, 3)))
