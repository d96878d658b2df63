"""What the ablation runs and stores."""

import json

import ablation
import numpy as np
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("setting", ablation.SETTINGS)
def test_every_setting_trains_and_is_scored(monkeypatch, setting):
    monkeypatch.setattr(ablation, "SAMPLES", 300)
    result = ablation.train(seed=1, epochs=1, **ablation.SETTINGS[setting])
    assert result["seed"] == 1 and len(result["history"]["loss_d"]) == 1
    assert np.isfinite(result["history"]["loss_d"] + result["history"]["loss_g"]).all()
    for which in ("last", "average"):
        assert result[which]["fid"] > 0 and len(result[which]["histogram"]) == 10


def test_the_stored_results_are_whole():
    result = json.loads(ablation.OUT.read_text())
    assert list(result["runs"]) == list(ablation.SETTINGS) and len(result["runs"]) >= 8
    assert result["epochs"] == ablation.EPOCHS and result["samples"] == 10_000
    for runs in result["runs"].values():
        assert [run["seed"] for run in runs] == [0, 1, 2]
        for run in runs:
            assert run["data"] == "MNIST, train split"
            assert len(run["history"]["seconds"]) == ablation.EPOCHS
            assert {"fid", "precision", "recall"} <= set(run["average"]) == set(run["last"])
