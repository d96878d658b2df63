"""The export of the generator: its parts, and that the committed files are those of the shipped model."""

from mlxgan import data, models

import base64
import io
import json
import zlib

import export_generator as tool
import mlx.core as mx
import numpy as np
import opinion
import pytest
from PIL import Image


def committed(name: str) -> bytes:
    return (tool.OUT / name).read_bytes()


def data_of(read) -> bytes:
    """The weights in the scripts that ``read`` returns by their names."""
    texts = [read(f"weights-{part}.js").decode() for part in range(tool.PARTS)]
    for part, text in enumerate(texts):
        assert text.startswith(f'globalThis.mlxganParts[{part}] = "') and text.endswith('";\n')
    return b"".join(base64.b64decode(text.split('"')[1]) for text in texts)


@pytest.fixture(scope="module")
def fresh() -> dict[str, bytes]:
    if not tool.MODEL.exists():
        pytest.skip("THE EXPORT IS NOT TESTED: no pretrained conditional generator")
    sprite = np.array(Image.open(io.BytesIO(committed("epochs.png"))).getchannel("A"))
    return tool.export(tool.MODEL, sprite.reshape(-1, 28, 10, 28).swapaxes(1, 2))


@pytest.mark.slow
def test_the_committed_files_are_those_of_the_shipped_model(fresh):
    assert sorted(fresh) == sorted(path.name for path in tool.OUT.iterdir())
    new, old = json.loads(fresh["manifest.json"]), json.loads(committed("manifest.json"))
    hint = "run tools/export_generator.py"
    for key in ("model", "bytes", "parameters", "samples", "epochs", "arrays"):
        assert new[key] == old[key], f"{key} differs: {hint}"
    assert [d["name"] for d in new["directions"]] == [d["name"] for d in old["directions"]], hint
    for key, value in new["error"].items():
        assert old["error"][key] == pytest.approx(value, rel=0.1), hint
    new_data, old_data = data_of(fresh.get), data_of(committed)
    for name, layout in new["arrays"].items():  # another processor rounds a few weights the other way
        ours, theirs = tool.unpack(new_data, *layout), tool.unpack(old_data, *layout)
        assert np.isclose(ours, theirs, atol=np.abs(theirs).max() / 1000).mean() > 0.99, f"{name} differs: {hint}"
    assert committed("measured.md").decode() == tool.measured(old), hint
    assert committed("opinion.md").decode() == tool.judged(old) == fresh["opinion.md"].decode(), hint
    script = json.loads(committed("weights.js").decode()[len("globalThis.mlxganWeights = ") : -2])
    assert script == old, hint
    assert zlib.adler32(old_data) == old["checksum"], hint
    for name in ("samples.png", "epochs.png"):
        pictures = [np.array(Image.open(io.BytesIO(file)), int) for file in (fresh[name], committed(name))]
        assert np.abs(pictures[0] - pictures[1]).max() <= 1, f"{name} differs: {hint}"


def test_what_is_shipped_is_small_and_close():
    manifest = json.loads(committed("manifest.json"))
    data = data_of(committed)
    assert manifest["bytes"] == len(data) < 2_200_000 and manifest["checksum"] == zlib.adler32(data)
    assert manifest["samples"] == 1000 and manifest["error"]["max"] < 2
    assert manifest["epochs"] >= 1 and len(manifest["directions"]) == tool.DIRECTIONS
    assert sum(path.stat().st_size for path in tool.OUT.iterdir()) < 3e6


@pytest.mark.parametrize("bits", [8, 9, 12, 16])
def test_a_packed_matrix_comes_back(bits):
    matrix = np.random.default_rng(bits).normal(size=(5, 7))
    codes, scale = tool.rounded(matrix, bits)
    assert np.abs(codes).max() == 2 ** (bits - 1) - 1
    packed = b"1234" + tool.pack(codes, scale, bits)
    found = tool.unpack(packed, 5, 7, bits, 4)
    np.testing.assert_allclose(found, codes * scale, rtol=1e-6)
    assert (np.abs(found - matrix) <= scale * 0.501).all()
    assert len(packed) == 4 + 20 + 35 + (bits - 8) * 5


def test_compensation_lowers_the_error_of_the_output():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2000, 8)) @ rng.normal(size=(8, 40)) + 0.1 * rng.normal(size=(2000, 40))
    weight = rng.normal(size=(30, 40))
    plain, better = (
        np.square(inputs @ (codes * scale - weight).T).mean()
        for codes, scale in (tool.rounded(weight, 6), tool.compensated(weight, np.cov(inputs.T), 6))
    )
    assert better < plain / 2


@pytest.fixture
def model() -> models.ConditionalGenerator:
    """A generator whose normalizations have statistics, as after training."""
    mx.random.seed(0)
    model = models.ConditionalGenerator()
    for norm in (model.norm1, model.norm2, model.norm3):
        norm.running_mean, norm.bias = (mx.random.normal(norm.bias.shape) for _ in range(2))
    model.eval()
    return model


def test_the_responses_are_those_behind_the_images(model):
    z, labels = tool.noise(8, 20)
    *_, (_, last) = tool.responses(model, z, labels)
    images = mx.tanh(model.up2(mx.maximum(mx.array(last.astype(np.float32)), 0)))
    assert mx.array_equal(images, model(mx.array(z), mx.array(labels)))


def test_scale_and_shift_lead_from_a_layer_to_the_relu_after_it(model):
    z, labels = tool.noise(8, 40)
    for (before, after), (scale, shift) in zip(tool.responses(model, z, labels), tool.tables(model), strict=True):
        shape = (len(z), *[1] * (before.ndim - 2), -1)
        found = before * scale[labels].reshape(shape) + shift[labels].reshape(shape)
        np.testing.assert_allclose(found, after, atol=1e-3 * np.abs(after).max())


def test_traits_measure_what_their_names_say():
    y, x = np.mgrid[0:28, 0:28]

    def stroke(lean: float = 0, thick: float = 2, tall: int = 9) -> np.ndarray:
        line = np.abs(x - 13.5 - lean * (13.5 - y)) < thick
        return 255.0 * (line & (np.abs(y - 13.5) < tall))

    slant, thickness, width, height = range(4)
    plain, right, left, thick, tall = tool.traits(
        np.stack([stroke(), stroke(0.4), stroke(-0.4), stroke(thick=4), stroke(tall=12)])
    )
    assert left[slant] < plain[slant] < right[slant] and plain[slant] == pytest.approx(0, abs=1e-9)
    assert right[slant] == pytest.approx(0.4, abs=0.05)
    assert thick[thickness] > 1.3 * plain[thickness] and thick[width] > 1.3 * plain[width]
    assert tall[height] > 1.2 * plain[height] and tall[width] == pytest.approx(plain[width])
    assert right[width] == pytest.approx(plain[width], rel=0.1), "slant is not width"


@pytest.mark.slow
def test_the_discriminator_learns_to_tell_a_fixed_generator_from_the_data(model, capsys):
    digits, before = data.load("train", "small"), model.parameters()["project"]["weight"]
    discriminator = opinion.fit(model, digits, epochs=3, seed=0)
    samples = model(*(mx.array(part) for part in tool.noise(9, 200)))
    assert opinion.right(discriminator, data.normalize(digits.images), 1) > 0.95
    assert opinion.right(discriminator, samples, -1) > 0.95
    assert mx.array_equal(before, model.parameters()["project"]["weight"]), "the generator stays as it is"
    alone, together = discriminator(samples[:1]), discriminator(samples[:50])
    assert alone.item() == pytest.approx(together[0].item(), abs=1e-4), "an opinion is of one image"
