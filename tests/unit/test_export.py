"""The export of the generator: its parts, and that the committed files are those of the shipped model."""

from mlxgan import checkpoints, data, models, rejection

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


def data_of(read, name: str) -> bytes:
    """The data in the scripts of this name that ``read`` returns by their names."""
    texts = [read(f"{name}-{part}.js").decode() for part in range(tool.PARTS[name])]
    for part, text in enumerate(texts):
        assert text.startswith(f'mlxganParts.{name}[{part}] = "') and text.endswith('";\n')
    return b"".join(base64.b64decode(text.split('"')[1]) for text in texts)


@pytest.fixture(scope="module")
def fresh() -> dict[str, bytes]:
    if not tool.MODEL.exists():
        pytest.skip("THE EXPORT IS NOT TESTED: no pretrained generator with a referee")
    return tool.export(tool.MODEL)


@pytest.mark.slow
def test_the_committed_files_are_those_of_the_shipped_model(fresh):
    assert sorted(fresh) == sorted(path.name for path in tool.OUT.iterdir())
    new, old = json.loads(fresh["manifest.json"]), json.loads(committed("manifest.json"))
    hint = "run tools/export_generator.py"
    for key in ("model", "width", "parameters", "samples", "rates", "real"):
        assert new[key] == old[key], f"{key} differs: {hint}"
    assert [d["name"] for d in new["directions"]] == [d["name"] for d in old["directions"]], hint
    for part in ("error", "log ratio"):
        for key, value in new[part].items():
            assert old[part][key] == pytest.approx(value, rel=0.1), hint
    for part in tool.PARTS:
        assert new[part]["arrays"] == old[part]["arrays"] and new[part]["bytes"] == old[part]["bytes"], hint
        new_data, old_data = data_of(fresh.get, part), data_of(committed, part)
        assert zlib.adler32(old_data) == old[part]["checksum"], hint
        for name, layout in new[part]["arrays"].items():  # another processor rounds a few weights the other way
            ours, theirs = tool.unpack(new_data, *layout), tool.unpack(old_data, *layout)
            assert np.isclose(ours, theirs, atol=np.abs(theirs).max() / 1000).mean() > 0.99, f"{name} differs: {hint}"
    for name, text in tool.prose(old).items():
        assert committed(name).decode() == text, hint
    for name in ("opinion.md", "rates.md"):
        assert fresh[name] == committed(name), hint
    assert json.loads(committed("weights.js").decode()[len("mlxganParts.about = ") : -2]) == old, hint
    ours, theirs = (np.array(Image.open(io.BytesIO(read("samples.png"))), int) for read in (fresh.get, committed))
    assert np.abs(ours - theirs).max() <= 1, f"samples.png differs: {hint}"


def test_what_is_shipped_is_small_and_close():
    manifest = json.loads(committed("manifest.json"))
    for name, most in (("weights", 2_200_000), ("referee", 700_000)):
        about, data = manifest[name], data_of(committed, name)
        assert about["bytes"] == len(data) < most and about["checksum"] == zlib.adler32(data)
    assert manifest["samples"] == 1000 and manifest["error"]["max"] < 2
    ratio = manifest["log ratio"]
    assert ratio["mean error"] < ratio["spread"] / 50 and ratio["max error"] < ratio["spread"] / 5
    assert manifest["epochs"] >= 1 and len(manifest["directions"]) == tool.DIRECTIONS
    assert sum(path.stat().st_size for path in tool.OUT.iterdir()) < 4e6


def test_the_rates_are_those_of_the_shipped_model():
    """At the rate of the shipped model its thresholds are the stored ones; elsewhere the referee is as strict as the
    rate says, and no file of another model is taken."""
    found = tool.rates(tool.MODEL)
    thresholds = {row["rate"]: np.array(row["thresholds"]) for row in found["rates"]}
    assert list(thresholds) == list(tool.RATES)
    np.testing.assert_allclose(thresholds[tool.SHIPPED], tool.load(tool.MODEL).thresholds, atol=1e-4)
    for row in found["rates"]:
        assert row["accepted"][0] == pytest.approx(row["rate"], abs=0.02)
    assert (np.diff([thresholds[rate] for rate in tool.RATES], axis=0) > 0).all(), "stricter from rate to rate"
    with pytest.raises(ValueError, match="is not about"):
        tool.rates(tool.MODEL.with_name("conditional.safetensors"))


def test_the_film_has_a_row_for_each_epoch():
    epochs = np.random.default_rng(0).integers(0, 256, (3, 10, 28, 28), np.uint8)
    ink = np.array(Image.open(io.BytesIO(tool.film(epochs))).getchannel("A"))
    assert ink.shape == (84, 280)
    assert (ink[28:56, 56:84] == epochs[1, 2]).all()
    assert np.array(Image.open(io.BytesIO(committed("epochs.png")))).shape[1] == 280


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
def selective() -> rejection.Selective:
    """A generator with a referee whose normalizations have statistics, as after training."""
    mx.random.seed(0)
    selective = rejection.Selective()
    model, classifier = selective.generator, selective.classifier
    for norm in (model.norm1, model.norm2, model.norm3, classifier.norm1, classifier.norm2):
        norm.running_mean, norm.bias = (mx.random.normal(norm.bias.shape) for _ in range(2))
        norm.running_var = mx.random.uniform(0.5, 2, norm.bias.shape)
    selective.eval()
    return selective


@pytest.fixture
def model(selective) -> models.ConditionalGenerator:
    return selective.generator


def test_folding_the_normalizations_changes_nothing(selective):
    z, labels = tool.noise(8, 30)
    before, weight = tool.log_ratios(selective, z, labels), selective.classifier.conv2.weight
    assert before.std() > 0
    tool.fold(selective)
    assert not mx.array_equal(selective.classifier.conv2.weight, weight)
    np.testing.assert_allclose(tool.log_ratios(selective, z, labels), before, atol=1e-4)


def test_the_referee_comes_back_from_its_export(selective, tmp_path):
    """Each layer in its place: what is read back from the data rules as the model does, up to rounding."""
    checkpoints.save(tmp_path / "best.safetensors", selective)
    z, labels = tool.noise(8, 30)
    before = tool.log_ratios(selective, z, labels)
    exported = tool.packed(tool.plainly(tool.referee(tool.fold(selective))))
    layers = {name: selective.generator[name] for name in tool.LAYERS}
    generator = tool.packed(tool.plainly(layers))
    again = tool.restored(tmp_path / "best.safetensors", {"weights": generator, "referee": exported})
    off = np.abs(tool.log_ratios(again, z, labels) - before)
    assert 0 < off.max() < before.std() / 5


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
def test_the_discriminator_learns_to_tell_a_fixed_generator_from_the_data(selective, model, capsys):
    digits, before = data.load("train", "small"), model.parameters()["project"]["weight"]
    discriminator = opinion.fit(selective, digits, epochs=3, seed=0)
    samples = model(*(mx.array(part) for part in tool.noise(9, 200)))
    assert opinion.right(discriminator, data.normalize(digits.images), 1) > 0.95
    assert opinion.right(discriminator, samples, -1) > 0.95
    assert mx.array_equal(before, model.parameters()["project"]["weight"]), "the generator stays as it is"
    alone, together = discriminator(samples[:1]), discriminator(samples[:50])
    assert alone.item() == pytest.approx(together[0].item(), abs=1e-4), "an opinion is of one image"
