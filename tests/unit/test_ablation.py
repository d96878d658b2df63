"""What the ablation runs and stores."""

from mlxgan import training

import json

import ablation
import mlx.core as mx
import numpy as np
import pytest

EVERY = ablation.SETTINGS | ablation.candidates()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EVERY if name in ablation.SETTINGS or name.endswith(" 1")])
def test_every_setting_takes_a_step(name):
    mx.random.seed(0)
    generator, discriminator, options = ablation.build(**EVERY[name])
    before = np.array(generator.up2.weight)
    step, state = training.set_up(generator, discriminator, **options)
    measured = step(mx.random.uniform(-1, 1, (4, 28, 28, 1)))
    mx.eval(measured, state)
    assert np.isfinite(np.array(measured)).all()
    assert (np.array(generator.up2.weight) != before).any()


def test_settings_change_what_they_say():
    def logits(**settings):
        mx.random.seed(0)
        discriminator = ablation.build(**settings)[1].train(settings.get("norm", True))
        images = mx.random.uniform(-1, 1, (8, 28, 28, 1), key=mx.random.key(1))
        return np.array(discriminator(images)), np.array(discriminator(images[:2]))

    for settings in ({"spectral": True}, {"he": True}):
        together, alone = logits(norm=False, variety=False, **settings)
        np.testing.assert_allclose(together[:2], alone, atol=1e-5)  # each image is judged by itself
    together, alone = logits(variety=False)
    assert np.abs(together[:2] - alone).max() > 1e-3
    weight = np.array(ablation.build(norm=False, he=True)[1].shrink.weight)
    assert weight.std() == pytest.approx((2 / weight.shape[1]) ** 0.5, rel=0.01)
    assert "variety" in ablation.build(norm=False)[1] and "variety" not in ablation.build(variety=False)[1]


@pytest.mark.slow
def test_a_run_is_scored(monkeypatch):
    monkeypatch.setattr(ablation, "SAMPLES", 300)
    found = ablation.train("equal rates of 1e-3", seed=1)
    assert found["seed"] == 1 and found["settings"] == {"rates": [1e-3, 1e-3]}
    assert len(found["history"]["loss_d"]) == ablation.EPOCHS and "failed" not in found
    assert found["average"]["fid"] > 0 and found["last"]["fid"] != found["average"]["fid"]


@pytest.mark.slow
def test_a_run_that_diverges_says_why(monkeypatch):
    monkeypatch.setitem(ablation.SETTINGS, "too fast", {"rates": [1e9, 1e9], "loss": "Wasserstein"})
    found = ablation.train("too fast", seed=1)
    assert found["failed"].startswith("a loss is NaN, infinite or above a million") and "average" not in found


def test_the_comparison_takes_the_best_of_the_search(monkeypatch, tmp_path):
    monkeypatch.setattr(ablation, "RUNS", tmp_path)
    for name, settings in ablation.candidates().items():
        run = {"settings": settings, "average": {"fid": 10 + 1000 * settings["rates"][0]}}
        if name.startswith("R1 ") and settings["rates"][0] == 1e-3:
            run = {"settings": settings, "failed": "NaN"}
        (tmp_path / f"{name.replace(',', '').replace(' ', '-')}-100.json").write_text(json.dumps(run), encoding="utf-8")
    best = ablation.best()
    assert list(best) == list(ablation.TECHNIQUES)
    assert best["nothing"]["rates"] == [1e-3, 1e-3] and best["R1"]["rates"] == [2e-3, 5e-4]
    for path in tmp_path.glob("R1-?-100.json"):
        path.write_text(json.dumps({"failed": "NaN"}), encoding="utf-8")
    with pytest.raises(ValueError, match="the search has no setting at which R1 trains"):
        ablation.best()


def test_the_stored_results_are_whole_and_of_these_settings():
    stored = json.loads(ablation.OUT.read_text(encoding="utf-8"))
    assert stored["samples"] == ablation.SAMPLES == 10_000
    best = {}
    for name, settings in ablation.candidates().items():
        (run,) = stored["search"][name]
        assert run["settings"] == settings and run["seed"] == ablation.SEARCH_SEEDS[0]
        best.setdefault(name.rsplit(" ", 1)[0], []).append((run["average"]["fid"], settings))
    best = {technique: min(tried, key=lambda each: each[0])[1] for technique, tried in best.items()}
    wanted = ablation.SETTINGS | best
    wanted |= {name: best[technique] | {"variety": False} for name, technique in ablation.WITHOUT.items()}
    assert list(stored["runs"]) == list(wanted)
    for name, runs in stored["runs"].items():
        assert [run["seed"] for run in runs] == ablation.SEEDS
        assert all(run["settings"] == wanted[name] for run in runs)
        assert all(run["data"] == "MNIST, train split" for run in runs)
