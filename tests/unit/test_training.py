"""The one training loop."""

from mlxgan import data, losses, models, training

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten


@pytest.fixture
def few():
    images = mx.random.randint(0, 256, (40, 28, 28, 1), key=mx.random.key(3)).astype(mx.uint8)
    return data.Digits(images, mx.zeros(40, mx.int32), "forty")


def run(few, seed=0, **arguments):
    mx.random.seed(seed)
    networks = models.MLPGenerator(), models.MLPDiscriminator()
    before = [dict(tree_flatten(network.parameters())) for network in networks]
    history = training.train(*networks, few, seed=seed, **{"epochs": 2, "batch_size": 8} | arguments)
    after = [dict(tree_flatten(network.parameters())) for network in networks]
    return before, after, history


def same(a, b):
    return all(mx.array_equal(a[name], b[name]).item() for name in a)


def test_both_networks_learn_and_the_history_is_kept(few, capsys):
    calls = []
    before, after, history = run(few, on_epoch=lambda epoch, history: calls.append((epoch, len(history))))
    assert not same(before[0], after[0]) and not same(before[1], after[1])
    assert calls == [(1, 1), (2, 2)]
    for values in vars(history).values():
        assert len(values) == 2 and np.isfinite(values).all()
    assert history.loss_d[1] < history.loss_d[0]  # noise images are easy to tell from generated ones
    assert all(0 < value < 1 for value in history.d_real + history.d_fake)
    assert capsys.readouterr().out.count("epoch") == 2


def test_same_seed_same_weights(few):
    _, first, history = run(few)
    _, again, same_history = run(few)
    _, other, _ = run(few, seed=1)
    assert same(first[0], again[0]) and same(first[1], again[1])
    assert history.loss_g == same_history.loss_g
    assert not same(first[0], other[0])


def test_the_step_does_what_the_formulas_say(few):
    """One compiled step against the same update written out in NumPy."""
    mx.random.seed(0)
    networks = models.MLPGenerator(), models.MLPDiscriminator()
    optimizers = training.adam(), training.adam()
    for network, optimizer in zip(networks, optimizers, strict=True):
        optimizer.init(network.trainable_parameters())
    bias = np.array(networks[1].layers[-1].bias)
    step, state = training.make_step(*networks, *optimizers)
    real = data.normalise(few.images[:8])
    logits_real = networks[1](real)
    mx.random.seed(5)
    logits_fake = networks[1](networks[0](mx.random.normal((8, 100))))
    gradient = (mx.sigmoid(logits_real) - 1).mean().item() + mx.sigmoid(logits_fake).mean().item()
    expected_loss = mx.logaddexp(-logits_real, 0).mean().item() + mx.logaddexp(logits_fake, 0).mean().item()
    mx.random.seed(5)
    measured = step(real)
    mx.eval(measured, state)
    assert measured[0].item() == pytest.approx(expected_loss, rel=1e-4)
    assert measured[2].item() == pytest.approx(mx.sigmoid(logits_real).mean().item(), rel=1e-4)
    # Adam's first step, with the bias correction, is the learning rate times the gradient's sign
    moved = np.array(networks[1].layers[-1].bias) - bias
    np.testing.assert_allclose(moved, -2e-4 * np.sign(gradient), rtol=1e-3)


def test_the_noise_is_new_in_each_step(few):
    mx.random.seed(0)
    networks = models.MLPGenerator(), models.MLPDiscriminator()
    still = [training.optim.SGD(0.0) for _ in networks]
    for network, optimizer in zip(networks, still, strict=True):
        optimizer.init(network.trainable_parameters())
    step, state = training.make_step(*networks, *still)
    real = data.normalise(few.images[:8])
    losses = []
    for _ in range(3):
        measured = step(real)
        mx.eval(measured, state)
        losses.append(measured[1].item())
    assert len(set(losses)) == 3


def test_a_run_that_diverges_stops_and_keeps_its_history(few):
    def spoil(epoch, history):
        if epoch == 2:
            optimizer.learning_rate = float("nan")

    optimizer = training.adam()
    with pytest.raises(training.DivergedError, match="NaN or infinite in step 2 of epoch 3") as error:
        run(few, epochs=5, optimizer_g=optimizer, on_epoch=spoil)
    assert len(error.value.history) == 2


@pytest.mark.parametrize(("arguments", "named"), [({"epochs": 0}, "epochs is 0"), ({"batch_size": 41}, "batch_size")])
def test_bad_arguments(few, arguments, named):
    with pytest.raises(ValueError, match=named):
        run(few, **arguments)


def test_adam_has_the_betas_of_gans_and_the_bias_correction():
    optimizer = training.adam(1e-3)
    assert list(optimizer.betas) == [0.5, 0.999] and optimizer.bias_correction
    assert optimizer.learning_rate.item() == pytest.approx(1e-3)


def test_sampling_in_parts_gives_the_same_images():
    generator = models.MLPGenerator()
    z = mx.random.normal((10, 100), key=mx.random.key(0))
    whole, parts = training.sample(generator, z), training.sample(generator, z, batch_size=3)
    assert whole.shape == parts.shape == (10, 28, 28, 1)
    assert mx.allclose(whole, parts, atol=1e-5)
    assert not generator.training


def small_dcgan(conditional=False, norm=True):
    mx.random.seed(0)
    if conditional:
        return models.ConditionalGenerator(channels=4, hidden=8), models.ConditionalDiscriminator(channels=4, hidden=8)
    return models.DCGANGenerator(channels=4, hidden=8), models.DCGANDiscriminator(channels=4, hidden=8, norm=norm)


def test_the_moving_average_by_its_definition():
    generator, average = training.nn.Linear(1, 1), training.nn.Linear(1, 1)
    generator.weight = mx.zeros((1, 1))
    follow, _ = training.make_average(average, generator, keep=0.9)
    expected = 0.0
    for step in range(1, 201):
        generator.weight = mx.full((1, 1), float(step))
        follow()
        keep = min(0.9, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * step
        assert average.weight.item() == pytest.approx(expected, rel=1e-4)


def test_running_statistics_are_averaged_too(few):
    generator, discriminator = small_dcgan()
    average = models.DCGANGenerator(channels=4, hidden=8)
    training.train(generator, discriminator, few, epochs=1, batch_size=8, average=average)
    assert not mx.allclose(average.norm1.running_mean, mx.zeros(8), atol=1e-6)
    assert not average.training and not generator.training


def test_a_conditional_run_uses_the_labels(few):
    """A discriminator that sees the label alone learns which class is real: here 3, and the fakes get it too."""
    seen = []

    class Generator(models.ConditionalGenerator):
        def __call__(self, z, labels):
            seen.append(labels)
            return super().__call__(z, labels)

    _, discriminator = small_dcgan(conditional=True)
    generator = Generator(channels=4, hidden=8)
    threes = data.Digits(few.images, mx.full(40, 3, mx.int32), "threes")
    before = mx.array(generator.embedding.weight)
    training.train(generator, discriminator, threes, epochs=1, batch_size=8)
    assert seen
    changed = mx.abs(generator.embedding.weight - before).sum(axis=1) > 0
    assert changed.tolist() == [digit == 3 for digit in range(10)]


def test_the_penalty_holds_the_critics_slope(few):
    def length_after(make_step):
        generator, critic = small_dcgan(norm=False)
        arguments = {"loss_g": losses.wasserstein_generator_loss, "loss_d": losses.wasserstein_critic_loss}
        optimizers = {"optimizer_g": training.adam(), "optimizer_d": training.adam(2e-3)}
        training.train(generator, critic, few, epochs=20, batch_size=8, make_step=make_step, **arguments, **optimizers)
        between = 0.5 * data.normalise(few.images) + 0.5 * training.sample(generator, mx.random.normal((40, 100)))
        gradients = mx.grad(lambda images: critic(images).sum())(between)
        return mx.sqrt(mx.square(gradients).sum(axis=(1, 2, 3))).mean().item()

    assert length_after(training.make_penalised_step) == pytest.approx(1, abs=0.4)
    assert length_after(training.make_step) > 3


def test_a_compiled_step_with_spectral_normalisation_keeps_its_vector(few):
    generator, discriminator = small_dcgan(norm=False)
    discriminator.down2 = models.SpectralNorm(discriminator.down2)
    before = mx.array(discriminator.down2.u)
    training.train(generator, discriminator, few, epochs=1, batch_size=8)
    after = discriminator.down2.u
    assert not mx.allclose(before, after) and mx.linalg.norm(after).item() == pytest.approx(1, abs=1e-4)


def test_the_decaying_rate_falls_on_a_line():
    optimizer = training.decaying_adam(1e-2, 1e-3, 10)
    weights = {"w": mx.zeros(2)}
    optimizer.init(weights)
    rates = []
    for _ in range(12):
        weights = optimizer.apply_gradients({"w": mx.ones(2)}, weights)
        rates.append(optimizer.learning_rate.item())
    line = [max(1e-2 - 9e-4 * step, 1e-3) for step in range(12)]
    assert rates == pytest.approx(line, rel=1e-5)
    assert list(optimizer.betas) == [0.5, 0.999] and optimizer.bias_correction


def test_sampling_a_class():
    generator, _ = small_dcgan(conditional=True)
    z, labels = mx.random.normal((10, 100), key=mx.random.key(0)), mx.arange(10)
    whole, parts = training.sample(generator, z, labels), training.sample(generator, z, labels, batch_size=3)
    assert whole.shape == (10, 28, 28, 1) and mx.allclose(whole, parts, atol=1e-5)
