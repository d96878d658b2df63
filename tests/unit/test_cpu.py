"""OpenBLAS in the place of the reference BLAS, the layout of the weights, and the convolutions."""

from mlxgan import checkpoints, cpu, models, training

import os
import subprocess
import sys

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


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux's wheel has the slow BLAS")


def python(program: str, **environment: str) -> subprocess.CompletedProcess:
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return run


PRODUCT = """
import mlxgan, time
import mlx.core as mx, numpy as np
a, b = mx.random.normal((512, 512), key=mx.random.key(0)), mx.random.normal((512, 512), key=mx.random.key(1))
def seconds():
    start = time.perf_counter()
    mx.eval(a @ b)
    return time.perf_counter() - start
seconds()
assert np.allclose(np.array(a @ b), np.array(a) @ np.array(b), atol=1e-3)
print(min(seconds() for _ in range(3)))
"""


@linux
def test_five_times_as_fast():
    ours = float(python(PRODUCT).stdout)
    stock = float(python(PRODUCT, MLXGAN_STOCK_CPU="1").stdout)
    assert stock > 5 * ours


@linux
def test_warns_once_where_mlx_was_imported_first():
    run = python("import mlx.core, mlxgan, mlxgan.training")
    assert run.stderr.count("Warning") == 1
    assert "put 'import mlxgan' first" in run.stderr


def test_silent_where_all_is_well_or_switched_off():
    assert python("import mlxgan").stderr == ""
    assert python("import mlxgan", MLXGAN_STOCK_CPU="1").stderr == ""


@linux
@pytest.mark.parametrize("obstacle", ["no patchelf", "no wheel", "cache is a file", "broken library"])
def test_never_fails_an_import(tmp_path, obstacle):
    program = "import mlxgan, mlx.core as mx; print(mx.ones(2).sum().item())"
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    if obstacle == "no patchelf":
        environment["PATH"] = ""
        program = "import sysconfig; sysconfig.get_path = lambda name: ''\n" + program
    elif obstacle == "no wheel":
        program = (
            "from importlib import metadata\n"
            "def missing(name): raise metadata.PackageNotFoundError(name)\n"
            "metadata.distribution = missing\n" + program
        )
    elif obstacle == "cache is a file":
        (tmp_path / "cache").write_text("in the way")
    else:
        python("import mlxgan", **environment)
        (library,) = (tmp_path / "cache" / "mlxgan").glob("*.so")
        library.write_bytes(b"broken")
    run = python(program, **environment)
    assert run.stdout == "2.0\n"
    assert run.stderr.count("Warning") == 1
    assert "pip install -r requirements.txt" in run.stderr


@linux
def test_the_copy_is_made_once(tmp_path):
    libraries = []
    for _ in range(2):
        python("import mlxgan", XDG_CACHE_HOME=str(tmp_path))
        (library,) = (tmp_path / "mlxgan").iterdir()
        libraries.append((library.name, library.stat().st_mtime_ns))
    assert libraries[0] == libraries[1]


def test_fifty_steps_with_and_without_the_layout_give_the_same_weights():
    results = []
    for layout in (False, True):
        mx.random.seed(0)
        networks = models.MLPGenerator(), models.MLPDiscriminator()
        optimizers = training.adam(), training.adam()
        for network, optimizer in zip(networks, optimizers, strict=True):
            optimizer.init(network.trainable_parameters())
            if layout:
                cpu.column_major(network, optimizer)
        step, state = training.make_step(*networks, *optimizers)
        real = mx.random.uniform(-1, 1, (32, 28, 28, 1), key=mx.random.key(1))
        for _ in range(50):
            mx.eval(step(real), state)
        results.append([value for network in networks for _, value in tree_flatten(network.parameters())])
    for mine, theirs in zip(*results, strict=True):
        assert mx.abs(mine - theirs).max().item() < 1e-4


# Convolutions

PAIRS = [(cpu.Conv2d, nn.Conv2d), (cpu.ConvTranspose2d, nn.ConvTranspose2d)]
pairs = pytest.mark.parametrize(("ours", "stock"), PAIRS, ids=["conv", "transposed"])
FAST = ("_convolve", "_convolve_transposed")


def twins(ours, stock, *arguments, **keywords):
    """A layer of each kind with the same weights; neither knows of the other's code."""
    mx.random.seed(0)
    a, b = ours(*arguments, **keywords), stock(*arguments, **keywords)
    a.update(b.parameters())
    return a, b


@pytest.fixture
def calls(monkeypatch):
    """Counts the calls of the fast convolutions."""
    counted = []
    for name in FAST:
        fast = getattr(cpu, name)
        monkeypatch.setattr(cpu, name, lambda *arguments, f=fast: counted.append(1) or f(*arguments))
    return counted


@pairs
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("into", "out"), [(1, 8), (3, 5), (16, 1), (8, 2), (4, 4)])
def test_outputs_and_all_gradients_equal_the_stock_layers(ours, stock, into, out, bias, calls):
    layers = twins(ours, stock, into, out, 4, stride=2, padding=1, bias=bias)
    x = mx.random.normal((3, 6, 8, into), key=mx.random.key(1))
    results = []
    for layer in layers:

        def loss(x, layer=layer):
            return (mx.sin(layer(x)) ** 2).sum()

        _, by_weights = nn.value_and_grad(layer, loss)(x)
        results.append([layer(x), mx.grad(loss)(x), *(gradient for _, gradient in tree_flatten(by_weights))])
    assert len(calls) > 0
    assert len(results[0]) == 4 if bias else 3
    for mine, theirs in zip(*results, strict=True):
        assert mine.shape == theirs.shape
        assert mx.abs(mine - theirs).max().item() < 1e-4


@pairs
@pytest.mark.parametrize(("into", "out"), [(3, 5), (16, 1)])
def test_second_derivatives_equal_the_stock_layers(ours, stock, into, out):
    """A gradient penalty differentiates the gradient by the input once more, by the weights."""
    layers = twins(ours, stock, into, out, 4, stride=2, padding=1)
    x = mx.random.normal((2, 4, 4, into), key=mx.random.key(1))
    results = []
    for layer in layers:

        def penalty(weight, layer=layer):
            layer.weight = weight
            return (mx.grad(lambda x: mx.tanh(layer(x)).sum())(x) ** 2).sum()

        results.append(mx.grad(penalty)(layer.weight))
    assert mx.abs(results[0] - results[1]).max().item() < 1e-4 * mx.abs(results[1]).max().item()


@pairs
@pytest.mark.parametrize(
    ("kernel", "keywords"),
    [(3, {"stride": 2, "padding": 1}), (4, {"stride": 1, "padding": 1}), (4, {"stride": 2, "padding": 0})],
)
def test_other_settings_get_the_stock_layer(ours, stock, kernel, keywords, calls):
    mine, theirs = twins(ours, stock, 2, 3, kernel, **keywords)
    x = mx.random.normal((2, 8, 8, 2), key=mx.random.key(1))
    assert mx.allclose(mine(x), theirs(x), atol=1e-5)
    assert not calls


def test_odd_images_get_the_stock_layer(calls):
    mine, theirs = twins(*PAIRS[0], 2, 3, 4, stride=2, padding=1)
    x = mx.random.normal((2, 7, 9, 2), key=mx.random.key(1))
    assert mx.allclose(mine(x), theirs(x), atol=1e-5)
    assert not calls


@pytest.mark.parametrize("obstacle", ["another device", "switched off"])
def test_off_the_cpu_the_stock_layer_runs(monkeypatch, calls, obstacle):
    mine, theirs = twins(*PAIRS[0], 2, 3, 4, stride=2, padding=1)
    if obstacle == "another device":
        monkeypatch.setattr(cpu.mx, "default_device", lambda: mx.Device(mx.gpu))
    else:
        monkeypatch.setenv("MLXGAN_STOCK_CPU", "1")
    x = mx.ones((1, 4, 4, 2))
    assert mx.allclose(mine(x), theirs(x), atol=1e-5)
    assert not calls


def test_one_checkpoint_serves_both(tmp_path, monkeypatch):
    """Parameters have the same names, shapes and meaning with the stock layers and with ours."""

    def stock_model():
        with monkeypatch.context() as patch:
            patch.setattr(models, "Conv2d", nn.Conv2d)
            patch.setattr(models, "ConvTranspose2d", nn.ConvTranspose2d)
            return models.DCGANGenerator(10, 4), models.DCGANDiscriminator(4)

    z = mx.random.normal((4, 10), key=mx.random.key(0))
    ours, theirs = (models.DCGANGenerator(10, 4), models.DCGANDiscriminator(4)), stock_model()
    assert type(theirs[0].up1) is nn.ConvTranspose2d and type(ours[0].up1) is cpu.ConvTranspose2d
    for source, target in ((ours, theirs), (theirs, ours)):
        for index, (a, b) in enumerate(zip(source, target, strict=True)):
            checkpoints.save(tmp_path / f"{index}.safetensors", a)
            checkpoints.load(tmp_path / f"{index}.safetensors", b)
        images = [generator.eval()(z) for generator in (source[0], target[0])]
        assert mx.abs(images[0] - images[1]).max().item() < 1e-4
        real = mx.random.uniform(-1, 1, (4, 28, 28, 1), key=mx.random.key(1))
        logits = [discriminator.eval()(real) for discriminator in (source[1], target[1])]
        assert mx.abs(logits[0] - logits[1]).max().item() < 1e-4
