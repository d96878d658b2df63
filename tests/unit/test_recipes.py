"""The recipes of the book, its optimizers and its seeds."""

from mlxgan import checkpoints, data, losses, models, recipes, training

import dataclasses
import inspect
import random
import re

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

each = pytest.mark.parametrize("name", recipes.RECIPES)
SHIPPED = sorted(set(checkpoints.pretrained_names()) - {"classifier", "judge"})


def test_each_generator_of_the_book_has_a_recipe():
    assert {"mlp", "dcgan", "conditional"} <= set(SHIPPED) <= set(recipes.RECIPES)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_generator_was_made_by_its_recipe(name):
    recipe = recipes.RECIPES[name]
    _, about = mx.load(str(checkpoints.PRETRAINED / f"{name}.safetensors"), return_metadata=True)
    assert about["model"] == ("Selective" if name == "best" else recipe.generator.__name__)
    assert int(about["epochs"]) == recipe.epochs
    loaded = checkpoints.load_pretrained(name)
    shapes = [
        {path: value.shape for path, value in tree_flatten(generator.parameters())}
        for generator in (recipe.generator(), loaded.generator if name == "best" else loaded)
    ]
    assert shapes[0] == shapes[1]


@each
def test_the_networks_of_a_recipe_play_together(name):
    recipe = recipes.RECIPES[name]
    seed = recipes.seed_everything(0)
    generator, discriminator = recipe.generator(), recipe.discriminator()
    digits = data.load("train")
    few = data.Digits(digits.images[:8], digits.labels[:8], "eight")
    before = [dict(tree_flatten(network.trainable_parameters())) for network in (generator, discriminator)]
    history = training.train(generator, discriminator, few, epochs=1, batch_size=8, seed=seed, **recipe.settings(1))
    assert len(history) == 1
    after = [dict(tree_flatten(network.trainable_parameters())) for network in (generator, discriminator)]
    for old, new in zip(before, after, strict=True):
        changed = [path for path in old if not mx.array_equal(old[path], new[path]).item()]
        assert len(changed) > len(old) / 2


@each
def test_the_settings_hold_the_rates_at_the_start_and_at_the_end(name):
    recipe = recipes.RECIPES[name]
    settings = recipe.settings(steps=20)
    for optimizer, (first, last) in (("optimizer_g", recipe.rates_g), ("optimizer_d", recipe.rates_d)):
        rates = rates_of(settings[optimizer], steps=22)
        assert rates[0] == pytest.approx(first, rel=1e-5)
        assert rates[-1] == pytest.approx(last, rel=1e-5)


@each
def test_the_learning_rates_are_small_and_do_not_rise(name):
    recipe = recipes.RECIPES[name]
    for first, last in (recipe.rates_g, recipe.rates_d):
        assert 0.01 >= first >= last > 0


def test_a_rate_that_falls_needs_the_number_of_steps():
    with pytest.raises(ValueError, match="steps"):
        recipes.RECIPES["conditional"].settings()


def test_settings_are_new_optimizers_and_what_the_recipe_says():
    def penalty(critic, real, fake):
        return losses.gradient_penalty(critic, real, fake, weight=1.0)

    recipe = dataclasses.replace(
        recipes.RECIPES["mlp"],
        loss_g=losses.wasserstein_generator_loss,
        loss_d=losses.wasserstein_critic_loss,
        penalty=penalty,
    )
    settings, others = recipe.settings(), recipe.settings()
    assert settings["loss_g"] is losses.wasserstein_generator_loss
    assert settings["loss_d"] is losses.wasserstein_critic_loss
    assert settings["penalty"] is penalty
    optimizers = [each[name] for each in (settings, others) for name in ("optimizer_g", "optimizer_d")]
    assert len({id(optimizer) for optimizer in optimizers}) == 4  # for an optimizer has a state


def test_a_recipe_is_changed_by_making_another():
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipes.RECIPES["mlp"].epochs = 3
    longer = dataclasses.replace(recipes.RECIPES["mlp"], epochs=3)
    assert longer.epochs == 3 and longer.generator is models.MLPGenerator


# Optimizers


def rates_of(optimizer, steps):
    """The learning rate of each step."""
    weights = {"w": mx.zeros(2)}
    optimizer.init(weights)
    rates = []
    for _ in range(steps):
        weights = optimizer.apply_gradients({"w": mx.ones(2)}, weights)
        rates.append(optimizer.learning_rate.item())
    return rates


def test_adam_has_the_betas_of_gans_and_the_bias_correction():
    optimizer = recipes.adam(1e-3)
    assert list(optimizer.betas) == [0.5, 0.999] and optimizer.bias_correction
    assert optimizer.learning_rate.item() == pytest.approx(1e-3)
    assert inspect.signature(recipes.adam).parameters["learning_rate"].default == 2e-4


def test_the_decaying_rate_falls_on_a_line():
    optimizer = recipes.decaying_adam(1e-2, 1e-3, 10)
    line = [max(1e-2 - 9e-4 * step, 1e-3) for step in range(12)]
    assert rates_of(optimizer, 12) == pytest.approx(line, rel=1e-5)
    assert list(optimizer.betas) == [0.5, 0.999] and optimizer.bias_correction


def test_a_rate_that_does_not_fall_needs_no_number_of_steps():
    assert rates_of(recipes.decaying_adam(1e-3, 1e-3, 0), 3) == pytest.approx([1e-3] * 3)


# Seeds


def test_one_function_seeds_everything():
    def draw():
        return mx.random.normal((3,)).tolist(), np.random.normal(size=3).tolist(), random.random()

    assert recipes.seed_everything(7) == 7
    first = draw()
    recipes.seed_everything(7)
    assert draw() == first
    recipes.seed_everything(8)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_no_seed(seed):
    with pytest.raises(ValueError, match=re.escape(f"seed is {seed}, but must be from 0 to 4294967295")):
        recipes.seed_everything(seed)
