"""The one training loop, and the step that it takes."""

from mlxgan import augment, data, losses, models, recipes, resume, training

import inspect
import threading

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map


@pytest.fixture
def few():
    images = mx.random.randint(0, 256, (40, 28, 28, 1), key=mx.random.key(3)).astype(mx.uint8)
    return data.Digits(images, mx.zeros(40, mx.int32), "forty")


def weights(*networks):
    return [dict(tree_flatten(network.parameters())) for network in networks]


def run(few, seed=0, **arguments):
    mx.random.seed(seed)
    networks = models.MLPGenerator(), models.MLPDiscriminator()
    before = weights(*networks)
    history = training.train(*networks, few, seed=seed, **{"epochs": 2, "batch_size": 8} | arguments)
    return before, weights(*networks), history


def same(a, b):
    return all(mx.array_equal(a[name], b[name]).item() for name in a)


def small_dcgan(conditional=False, norm=True):
    mx.random.seed(0)
    if conditional:
        return models.ConditionalGenerator(channels=4, hidden=8), models.ConditionalDiscriminator(channels=4, hidden=8)
    return models.DCGANGenerator(channels=4, hidden=8), models.DCGANDiscriminator(channels=4, hidden=8, norm=norm)


# The step


def still_step(**settings):
    """Two networks, and a step that measures them without moving them."""
    mx.random.seed(0)
    networks = models.MLPGenerator(), models.MLPDiscriminator()
    step, state = training.set_up(*networks, optim.SGD(0.0), optim.SGD(0.0), **settings)

    def measure(real):
        measured = step(real)
        mx.eval(measured, state)
        return measured.tolist()

    return networks, measure


def test_the_step_does_what_the_formulas_say(few):
    """One compiled step against the same update written out in NumPy."""
    mx.random.seed(0)
    networks = models.MLPGenerator(), models.MLPDiscriminator()
    bias = np.array(networks[1].layers[-1].bias)
    step, state = training.set_up(*networks, recipes.adam(), recipes.adam())
    real = data.normalize(few.images[:8])
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


def test_each_player_gets_noise_of_its_own(few):
    (generator, discriminator), measure = still_step()
    mx.random.seed(5)
    first, second = (discriminator(generator(mx.random.normal((8, 100)))) for _ in range(2))
    mx.random.seed(5)
    _, loss_g, _, d_fake = measure(data.normalize(few.images[:8]))
    assert d_fake == pytest.approx(mx.sigmoid(first).mean().item(), rel=1e-5)
    assert loss_g == pytest.approx(losses.generator_loss(second).item(), rel=1e-5)
    assert losses.generator_loss(first).item() != pytest.approx(loss_g, rel=1e-4)


def test_the_noise_is_new_in_each_step(few):
    _, measure = still_step()
    real = data.normalize(few.images[:8])
    assert len({measure(real)[1] for _ in range(3)}) == 3


def test_the_discriminator_moves_before_the_generator(few):
    """The generator's loss is measured by the discriminator that has just learned."""
    mx.random.seed(0)
    generator, discriminator = models.MLPGenerator(), models.MLPDiscriminator()
    step, state = training.set_up(generator, discriminator, optim.SGD(0.0), optim.SGD(5.0))
    real = data.normalize(few.images[:8])
    mx.random.seed(5)
    mx.random.normal((8, 100))
    fake = generator(mx.random.normal((8, 100)))
    before = losses.generator_loss(discriminator(fake)).item()
    mx.random.seed(5)
    measured = step(real)
    mx.eval(measured, state)
    assert measured[1].item() == pytest.approx(losses.generator_loss(discriminator(fake)).item(), rel=1e-4)
    assert measured[1].item() != pytest.approx(before, rel=1e-3)


def test_a_penalty_gets_the_critic_and_both_images_and_is_added_to_its_loss(few):
    real = data.normalize(few.images[:8])

    def measure_with(**settings):
        networks, measure = still_step(**settings)
        mx.random.seed(5)
        return networks, measure(real)

    (generator, discriminator), plain = measure_with()
    _, penalized = measure_with(penalty=lambda critic, real, fake: 3 + critic(real).sum() - 2 * critic(fake).sum())
    mx.random.seed(5)
    fake = generator(mx.random.normal((8, 100)))
    expected = 3 + discriminator(real).sum().item() - 2 * discriminator(fake).sum().item()
    assert penalized[0] - plain[0] == pytest.approx(expected, rel=1e-4)
    assert penalized[1:] == pytest.approx(plain[1:], rel=1e-5)


def test_a_relativistic_loss_compares_the_fakes_with_the_real_images(few):
    settings = {"loss_d": losses.relativistic_discriminator_loss, "loss_g": losses.relativistic_generator_loss}
    (generator, discriminator), measure = still_step(**settings)
    real = data.normalize(few.images[:8])
    mx.random.seed(5)
    first, second = (discriminator(generator(mx.random.normal((8, 100)))) for _ in range(2))
    mx.random.seed(5)
    loss_d, loss_g, _, _ = measure(real)
    logits_real = discriminator(real)
    assert loss_d == pytest.approx(losses.relativistic_discriminator_loss(logits_real, first).item(), rel=1e-5)
    assert loss_g == pytest.approx(losses.relativistic_generator_loss(logits_real, second).item(), rel=1e-5)


def test_what_is_applied_are_the_gradients_that_the_hook_returns(few):
    """The data-parallel step averages them there; here they are doubled, and one player's are set to zero."""

    def moved(on_gradients):
        mx.random.seed(0)
        networks = models.MLPGenerator(), models.MLPDiscriminator()
        before = weights(*networks)
        step, state = training.set_up(*networks, optim.SGD(1e-3), optim.SGD(1e-3), on_gradients=on_gradients)
        mx.eval(step(data.normalize(few.images[:8])), state)
        pairs = zip(before, weights(*networks), strict=True)
        return [np.array(after["layers.3.bias"] - old["layers.3.bias"]) for old, after in pairs]

    plain = moved(lambda gradients: gradients)
    doubled = moved(lambda gradients: tree_map(lambda gradient: 2 * gradient, gradients))
    np.testing.assert_allclose(doubled[1], 2 * plain[1], rtol=1e-3)
    nothing = moved(lambda gradients: tree_map(mx.zeros_like, gradients))
    assert np.abs(plain[0]).max() > 0 and not nothing[0].any() and not nothing[1].any()


def test_the_penalty_holds_the_slope_of_the_critic(few):
    def length_after(penalty):
        generator, critic = small_dcgan(norm=False)
        arguments = {"loss_g": losses.wasserstein_generator_loss, "loss_d": losses.wasserstein_critic_loss}
        optimizers = {"optimizer_g": recipes.adam(), "optimizer_d": recipes.adam(2e-3)}
        training.train(generator, critic, few, epochs=20, batch_size=8, penalty=penalty, **arguments, **optimizers)
        between = 0.5 * data.normalize(few.images) + 0.5 * training.sample(generator, mx.random.normal((40, 100)))
        gradients = mx.grad(lambda images: critic(images).sum())(between)
        return mx.sqrt(mx.square(gradients).sum(axis=(1, 2, 3))).mean().item()

    assert length_after(losses.gradient_penalty) == pytest.approx(1, abs=0.6)
    assert length_after(None) > 30


def test_a_compiled_step_with_spectral_normalization_keeps_its_vector(few):
    generator, discriminator = small_dcgan(norm=False)
    discriminator.down2 = models.SpectralNorm(discriminator.down2)
    before = mx.array(discriminator.down2.u)
    training.train(generator, discriminator, few, epochs=1, batch_size=8)
    after = discriminator.down2.u
    assert not mx.allclose(before, after) and mx.linalg.norm(after).item() == pytest.approx(1, abs=1e-4)


# The loop


def test_both_networks_learn_and_the_history_is_kept(few, capsys):
    calls = []
    before, after, history = run(few, on_epoch=lambda epoch, history: calls.append((epoch, len(history))))
    assert not same(before[0], after[0]) and not same(before[1], after[1])
    assert calls == [(1, 1), (2, 2)]
    for values in (history.loss_d, history.loss_g, history.d_real, history.d_fake, history.seconds):
        assert len(values) == 2 and np.isfinite(values).all()
    assert history.loss_d[1] < history.loss_d[0]  # noise images are easy to tell from generated ones
    assert all(0 < value < 1 for value in history.d_real + history.d_fake)
    assert all(0 < value < 60 for value in history.seconds)
    assert not history.stopped
    assert capsys.readouterr().out.count("epoch") == 2


def test_the_history_has_the_means_of_each_epoch_over_its_steps(few):
    steps = []
    _, _, history = run(few, on_step=lambda measured: steps.append(measured.tolist()))
    means = np.array(steps).reshape(2, 5, 4).mean(axis=1)
    columns = [history.loss_d, history.loss_g, history.d_real, history.d_fake]
    np.testing.assert_allclose(np.array(columns).T, means, rtol=1e-5)


def test_each_epoch_shows_all_images_in_another_order(few):
    """What a discriminator that does not move says of them shows which they are."""
    said = []
    still = {"optimizer_g": optim.SGD(0.0), "optimizer_d": optim.SGD(0.0)}
    run(few, on_step=lambda measured: said.append(measured[2].item()), **still)
    first, second = said[:5], said[5:]
    assert np.mean(first) == pytest.approx(np.mean(second), rel=1e-5)
    assert first != pytest.approx(second, rel=1e-5)


def test_what_a_run_takes_unless_told_is_the_same_everywhere():
    """A run that is resumed without a setting is compared with one that had it."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(training.train).parameters.items()}
    assert defaults["batch_size"] == recipes.Recipe.batch_size == resume.DEFAULTS["batch_size"] == 64
    assert defaults["seed"] == resume.DEFAULTS["seed"]


def test_same_seed_same_weights(few):
    _, first, history = run(few)
    _, again, same_history = run(few)
    _, other, _ = run(few, seed=1)
    assert same(first[0], again[0]) and same(first[1], again[1])
    assert history.loss_g == same_history.loss_g
    assert not same(first[0], other[0])


def test_with_a_history_training_goes_on_after_its_epochs(few):
    """In the same process, and with the same optimizers, it is as if nothing had been between."""

    def in_parts(*epochs):
        networks, optimizers, history, seen = small_dcgan(), (recipes.adam(), recipes.adam()), None, []
        average = models.DCGANGenerator(channels=4, hidden=8)
        for each in epochs:
            history = training.train(
                *networks,
                few,
                epochs=each,
                batch_size=8,
                history=history,
                optimizer_g=optimizers[0],
                optimizer_d=optimizers[1],
                average=average,
                on_epoch=lambda epoch, history: seen.append(epoch),
            )
        return weights(*networks, average), history.loss_d, seen

    whole, losses_of_whole, _ = in_parts(3)
    parts, losses_of_parts, seen = in_parts(1, 3)
    assert seen == [1, 2, 3] and losses_of_whole == losses_of_parts
    assert all(same(a, b) for a, b in zip(whole, parts, strict=True))


def test_samples_on_the_way_change_nothing_of_a_run(few):
    def trained(on_epoch):
        networks = small_dcgan()
        z = mx.random.normal((6, 100), key=mx.random.key(1))
        training.train(*networks, few, epochs=3, batch_size=8, on_epoch=lambda *_: on_epoch(networks[0], z))
        assert not networks[0].training and not networks[1].training
        return weights(*networks)

    plain, watched = trained(lambda *_: None), trained(training.sample)
    assert same(plain[0], watched[0]) and same(plain[1], watched[1])


def test_a_run_that_diverges_stops_and_keeps_its_history(few):
    def spoil(epoch, history):
        if epoch == 2:
            optimizer.learning_rate = float("nan")

    optimizer = recipes.adam()
    with pytest.raises(training.DivergedError, match="NaN, infinite or above a million in step 2 of epoch 3") as error:
        run(few, epochs=5, optimizer_g=optimizer, on_epoch=spoil)
    assert len(error.value.history) == 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e6, -1e30])
@pytest.mark.parametrize("column", range(4))
def test_one_step_that_makes_no_sense_is_enough(value, column):
    history = training.History()
    rows = np.ones((3, 4), np.float32)
    history.add(mx.array(rows), 1.0, 0.3)
    rows[1, column] = value
    with pytest.raises(training.DivergedError, match=r"^a loss .* above a million in step 2 of epoch 2$"):
        history.add(mx.array(rows), 1.0, 0.3)
    assert history == training.History([1.0], [1.0], [1.0], [1.0], [1.0], [0.3])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"epochs": 0}, "epochs is 0, but must be at least 1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 41}, "batch_size is 41"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_changed(few, arguments, named):
    generator, discriminator = small_dcgan()
    generator.eval()
    before = weights(generator, discriminator)
    with pytest.raises(ValueError, match=named):
        training.train(generator, discriminator, few, **{"epochs": 1, "batch_size": 8} | arguments)
    assert not generator.training
    assert all(same(a, b) for a, b in zip(before, weights(generator, discriminator), strict=True))


@pytest.mark.parametrize("train", [training.train, resume.train])
@pytest.mark.parametrize("mode", [True, False])
def test_an_error_in_a_hook_leaves_the_modes_as_they_were(few, train, mode):
    networks = small_dcgan()
    for network in networks:
        network.train(mode)
    with pytest.raises(ZeroDivisionError):
        train(*networks, few, epochs=1, batch_size=8, on_epoch=lambda *_: 1 / 0)
    assert [network.training for network in networks] == [mode, mode]


def test_a_discriminator_that_knows_fewer_classes_is_refused(few):
    generator = models.ConditionalGenerator(channels=4, hidden=8).eval()
    discriminator = augment.Augmented(models.ConditionalDiscriminator(classes=9, channels=4, hidden=8))
    with pytest.raises(ValueError, match="the discriminator knows 9 classes, but the generator draws 10"):
        training.train(generator, discriminator, few, epochs=1, batch_size=8)
    assert not generator.training


def test_a_conditional_run_uses_the_labels(few):
    """Where all real images are threes the fakes are threes too, and the other digits' vectors stay as they are."""
    generator, discriminator = small_dcgan(conditional=True)
    threes = data.Digits(few.images, mx.full(40, 3, mx.int32), "threes")
    before = [mx.array(network.embedding.weight) for network in (generator, discriminator)]
    training.train(generator, discriminator, threes, epochs=1, batch_size=8)
    for network, old in zip((generator, discriminator), before, strict=True):
        changed = mx.abs(network.embedding.weight - old).sum(axis=1) > 0
        assert changed.tolist() == [digit == 3 for digit in range(10)]


# The moving average


@pytest.mark.parametrize("taken", [0, 50])
def test_the_moving_average_by_its_definition(taken):
    generator, average = nn.Linear(1, 1), nn.Linear(1, 1)
    generator.weight, average.weight = mx.zeros((1, 1)), mx.full((1, 1), 7.0)
    follow, _ = training.make_average(average, generator, keep=0.9, taken=taken)
    expected = 7.0 if taken else 0.0  # one that has followed already keeps what it has
    for step in range(1, 201):
        generator.weight = mx.full((1, 1), float(step))
        follow()
        keep = min(0.9, (1 + taken + step) / (10 + taken + step))
        expected = keep * expected + (1 - keep) * step
        assert average.weight.item() == pytest.approx(expected, rel=1e-4)


def test_the_average_starts_with_the_weights_and_later_keeps_999_parts_in_a_thousand():
    generator, average = nn.Linear(1, 1), nn.Linear(1, 1)
    generator.weight = mx.full((1, 1), 5.0)
    training.make_average(average, generator)
    assert average.weight.item() == 5
    generator.weight = mx.full((1, 1), 1005.0)
    training.make_average(average, generator, taken=10**6)[0]()
    assert average.weight.item() == pytest.approx(6, rel=1e-4)


def test_running_statistics_are_averaged_too(few):
    generator, discriminator = small_dcgan()
    average = models.DCGANGenerator(channels=4, hidden=8)
    training.train(generator, discriminator, few, epochs=1, batch_size=8, average=average)
    assert not mx.allclose(average.norm1.running_mean, mx.zeros(8), atol=1e-6)
    assert not average.training


# Samples


def test_sampling_in_parts_gives_the_same_images():
    generator = models.MLPGenerator()
    z = mx.random.normal((10, 100), key=mx.random.key(0))
    whole, parts = training.sample(generator, z), training.sample(generator, z, batch_size=3)
    assert whole.shape == parts.shape == (10, 28, 28, 1)
    assert mx.allclose(whole, parts, atol=1e-5)


def test_sampling_a_class():
    generator, _ = small_dcgan(conditional=True)
    z, labels = mx.random.normal((10, 100), key=mx.random.key(0)), mx.arange(10)
    whole, parts = training.sample(generator, z, labels), training.sample(generator, z, labels, batch_size=3)
    assert whole.shape == (10, 28, 28, 1) and mx.allclose(whole, parts, atol=1e-5)


@pytest.mark.parametrize("mode", [True, False])
def test_samples_are_made_in_evaluation_mode_and_the_mode_stays(mode):
    generator, _ = small_dcgan()
    generator.train(mode)
    z = mx.random.normal((6, 100), key=mx.random.key(0))
    images = training.sample(generator, z)
    assert generator.training == generator.norm1.training == mode
    assert mx.allclose(images, generator.eval()(z), atol=1e-6)


def test_the_mode_stays_when_drawing_fails(few):
    generator, _ = small_dcgan()
    with pytest.raises(ValueError, match="matmul|addmm"):
        training.sample(generator.train(), mx.zeros((2, 3)))
    assert generator.training and generator.norm1.training


@pytest.mark.parametrize("labels", [[12], [-1], [10**6], np.array([0, 10])])
def test_a_class_that_the_generator_does_not_have_is_refused(labels):
    generator, _ = small_dcgan(conditional=True)
    with pytest.raises(ValueError, match="labels must be from 0 to 9, the classes of the network"):
        training.sample(generator, mx.zeros((len(labels), 100)), labels)


def test_losses_that_explode_end_the_run_with_the_networks_of_the_epoch_before(few):
    """Every loss is still a number at a rate of a thousand."""
    optimizers, average = (recipes.adam(), recipes.adam()), models.MLPGenerator()
    networks, kept = (models.MLPGenerator(), models.MLPDiscriminator()), []

    def spoil(epoch, history):
        kept.append([tree_flatten(network.parameters()) for network in (*networks, average)])
        if epoch == 2:
            for optimizer in optimizers:
                optimizer.learning_rate = 1e3

    settings = {"optimizer_g": optimizers[0], "optimizer_d": optimizers[1], "on_epoch": spoil, "average": average}
    with pytest.raises(training.DivergedError, match="of epoch 3") as error:
        training.train(*networks, few, epochs=5, batch_size=8, **settings)
    assert len(error.value.history) == len(kept) == 2
    for network, before in zip((*networks, average), kept[-1], strict=True):
        assert same(dict(before), dict(tree_flatten(network.parameters())))


def test_a_run_in_a_thread_works_or_says_why_not(few):
    """MLX's arrays are computed by the thread that made them."""
    mx.eval(few.images, few.labels)
    made_here, said = (models.MLPGenerator(), models.MLPDiscriminator()), []

    def run_there(networks):
        try:
            made_there = networks or (models.MLPGenerator(), models.MLPDiscriminator())
            said.append(len(training.train(*made_there, few, epochs=1, batch_size=8)))
        except RuntimeError as error:
            said.append(str(error))

    for networks in (None, made_here):
        thread = threading.Thread(target=run_there, args=[networks])
        thread.start()
        thread.join()
    assert said[0] == 1 and "make the networks in the thread that trains them" in said[1]
