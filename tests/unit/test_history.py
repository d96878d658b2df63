"""A run that has collapsed says so, when it begins and at the end; a healthy one says nothing."""

from mlxgan import data, models, training
from mlxgan.history import History

import mlx.core as mx
import pytest

HEALTHY = {"d_real": 0.9, "d_fake": 0.1, "spread": 0.3}


def run_of(*epochs):
    """A history of epochs that are healthy but for what each names."""
    history = History()
    for epoch in epochs:
        values = HEALTHY | epoch
        history.add(mx.array([[0.5, 2.0, values["d_real"], values["d_fake"]]]), 1.0, values["spread"])
    return history


@pytest.mark.parametrize(
    "epoch",
    [{}, {"d_real": 0.99}, {"d_fake": 0.0}, {"d_real": 0.951, "d_fake": 0.048}, {"spread": 0.05}],
    ids=["healthy", "sure of real images", "sure of fakes", "a seed that recovered", "the first epoch's smudge"],
)
def test_a_healthy_epoch_gives_no_warning(epoch):
    assert run_of(epoch).warning() == ""


@pytest.mark.parametrize("epoch", [{"spread": 0.0007}, {"d_real": 0.98, "d_fake": 0.02}])
def test_a_collapsed_epoch_names_its_sign_and_the_chapter(epoch):
    warning = run_of({}, epoch).warning()
    assert "The training loop" in warning
    assert any(f"{value:g}" in warning for value in epoch.values())


def test_the_first_epoch_of_each_collapse_is_marked():
    """An alarm after the first few steps must not silence that of a later collapse."""
    history = run_of({})
    marked = []
    for spread in (0.001, 0.3, 0.001, 0.001):
        history.add(mx.array([[0.5, 2.0, 0.9, 0.1]]), 1.0, spread)
        marked.append("warning" in history.line())
    assert marked == [True, False, True, False]


def test_the_line_tells_of_the_last_epoch():
    history = History()
    for n in (1, 2, 3):
        history.add(mx.array([[0.1 * n, 0.2 * n, 0.25 + 0.2 * n, 0.3 - 0.05 * n]]), 10.0 * n, 0.3)
    assert history.line() == "epoch   3   loss D 0.300   loss G 0.600   D(x) 0.850   D(G(z)) 0.150   30 s"


def test_lists_of_different_lengths_are_no_history():
    with pytest.raises(ValueError, match="different lengths"):
        History(loss_d=[1.0], loss_g=[1.0, 2.0])


@pytest.mark.parametrize("values", [["x"], [None], [[1.0]], [float("nan")], [-1e300], [10**400], 3, {"a": 1}])
def test_what_are_no_lists_of_numbers_is_no_history(values):
    with pytest.raises(ValueError, match="six lists of numbers"):
        History(*[values] * 6)


@pytest.mark.parametrize(("recipe", "alike"), [("still", True), ("drawing", False)])
def test_training_warns_of_samples_that_are_alike(recipe, alike, capsys):
    mx.random.seed(0)
    generator, discriminator = models.MLPGenerator(), models.MLPDiscriminator()
    scale = 0.0 if alike else 30.0
    generator.layers[-1].weight = scale * generator.layers[-1].weight
    digits = data.Digits(mx.zeros((8, 28, 28, 1), mx.uint8), mx.zeros(8, mx.int32), "empty")
    training.train(generator, discriminator, digits, epochs=2, batch_size=4, optimizer_g=training.adam(0.0))
    printed = capsys.readouterr().out
    assert printed.count("warning: all samples are alike") == (2 if alike else 0)


def test_measuring_the_spread_disturbs_neither_the_noise_nor_the_mode():
    generator = models.MLPGenerator()
    generator.train()
    mx.random.seed(3)
    undisturbed = mx.random.normal((4,))
    mx.random.seed(3)
    spread = training.spread(generator)
    assert mx.array_equal(undisturbed, mx.random.normal((4,)))
    assert generator.training
    assert spread == training.spread(generator) > 0
