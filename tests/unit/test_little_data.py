"""What the runs on little data measure and store."""

import json
import os
import subprocess
import sys

import little_data
import numpy as np
import pytest


@pytest.mark.slow
def test_both_settings_train_and_are_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(little_data, "JUDGE", tmp_path / "judge.safetensors")
    monkeypatch.setattr(little_data, "JUDGE_EPOCHS", 2)
    monkeypatch.setattr(little_data, "EVERY", 1)
    monkeypatch.setattr(little_data, "SAMPLES", 300)
    assert little_data.train_judge(little_data.JUDGE) > 0.5  # of the small digits, a tenth by guessing
    results = [little_data.train(setting, seed=1, epochs=1) for setting in little_data.SETTINGS]
    for result in results:
        [row] = result["rows"]
        assert set(row) == FIELDS and np.isfinite(list(row.values())).all()
        assert len(result["history"]["loss_d"]) == 1
    assert results[0]["rows"] != results[1]["rows"]


@pytest.mark.parametrize(
    ("smoke", "said"),
    [
        ("1", "MLXGAN_SMOKE is set, but this needs Omniglot"),
        ("0", "OMNIGLOT_DIR is '/nowhere', but there is no images_background_small1.zip in that folder"),
    ],
)
def test_other_drawings_than_those_of_omniglot_are_refused(smoke, said):
    changes = {"MLXGAN_SMOKE": smoke, "OMNIGLOT_DIR": "/nowhere"}
    command = [sys.executable, little_data.__file__]
    found = subprocess.run(command, env=os.environ | changes, capture_output=True, text=True, timeout=60)
    assert found.returncode == 2 and found.stderr == f"little_data.py: {said}\n"


FIELDS = {
    "epoch",
    "seen",
    "unseen",
    "fake",
    "kid",
    "kid_error",
    "precision",
    "recall",
    "density",
    "coverage",
    "nearer_to_training",
}


def test_the_stored_results_are_whole():
    result = json.loads(little_data.OUT.read_text())
    assert list(result["runs"]) == list(little_data.SETTINGS)
    assert (result["epochs"], result["samples"]) == (little_data.EPOCHS, little_data.SAMPLES)
    assert 0.3 < result["judge"]["accuracy"] < 1
    for runs in result["runs"].values():
        assert [run["seed"] for run in runs] == list(little_data.SEEDS)
        for run in runs:
            assert run["data"] == "Omniglot, train split"
            epochs = [row["epoch"] for row in run["rows"]]
            assert epochs == list(range(little_data.EVERY, little_data.EPOCHS + 1, little_data.EVERY))
            assert all(set(row) == FIELDS for row in run["rows"])
            assert len(run["history"]["seconds"]) == little_data.EPOCHS
