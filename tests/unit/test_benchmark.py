"""What the benchmark measures, stores and prints."""

from mlxgan import recipes

import importlib.util
import json

import benchmark
import pytest
from mlx.utils import tree_flatten


@pytest.mark.slow
def test_a_step_of_each_network_is_timed(capsys):
    for model in benchmark.MODELS:
        benchmark.work(benchmark.FAST, model, seconds=0.01)
        assert float(capsys.readouterr().out) > 0


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")
@pytest.mark.parametrize("model", benchmark.MODELS)
def test_the_networks_in_pytorch_are_those_of_the_recipe(model):
    recipe = recipes.RECIPES[benchmark.MODELS[model]]
    assert recipe.batch_size == benchmark.BATCH
    *networks, _ = benchmark.torch_networks(model)
    for kind, network in zip((recipe.generator, recipe.discriminator), networks, strict=True):
        ours = sorted(value.size for _, value in tree_flatten(kind().trainable_parameters()))
        assert sorted(value.numel() for value in network.parameters()) == ours


def test_the_report_names_medians_and_ratios(capsys):
    times = {"mlx as installed": [90.0, 100.0, 120.0], benchmark.FAST: [5.0, 4.0, 6.0]}
    pipeline = {"data": "digits", "batches": 0.1, "epoch": 4.0, "steps": 3.8}
    benchmark.report({"milliseconds": {"mlp": times}, "pipeline": pipeline})
    printed = capsys.readouterr().out
    assert "100.0 (90.0 to 120.0)    20.00 x mlx with mlxgan" in printed
    assert "pytorch" not in printed
    assert "5.0% outside the steps" in printed and "0.10 s, 2.5%" in printed


def test_the_stored_result_is_whole():
    result = json.loads(benchmark.OUT.read_text(encoding="utf-8"))
    assert set(result["milliseconds"]) == set(benchmark.MODELS)
    for model, rows in result["milliseconds"].items():
        assert list(rows) == benchmark.variants(model), "run: make pytorch"
        assert all(len(times) >= 5 for times in rows.values())
    assert result["pipeline"]["data"] == "MNIST, train split"
    assert 0.97 < result["pipeline"]["steps"] / result["pipeline"]["epoch"] < 1
