"""What the runs on little data measure and store."""

import json
import os
import subprocess
import sys

import little_data
import numpy as np
import pytest

ROW = {"step", "seen", "unseen", "fake", "kid", "kid_error", "precision", "recall", "coverage", "nearer"}


@pytest.mark.slow
def test_all_settings_train_and_are_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(little_data, "JUDGE", tmp_path / "judge.safetensors")
    monkeypatch.setattr(little_data, "JUDGE_EPOCHS", 2)
    monkeypatch.setattr(little_data, "STEPS", 23)  # an epoch of the small digits
    monkeypatch.setattr(little_data, "EVERY", 1)
    assert little_data.train_judge(little_data.JUDGE) > 0.5  # of the small digits, a tenth by guessing
    results = [little_data.train(setting, seed=1) for setting in little_data.SETTINGS]
    for result, steps, count in zip(results, 2 * [[23]] + 3 * [[8, 16]], 2 * [1500] + 3 * [512], strict=True):
        assert [row["step"] for row in result["rows"]] == steps
        assert result["data"].startswith(f"{count} of scikit-learn's small digits instead of Omniglot")
        assert all(set(row) == ROW and np.isfinite(list(row.values())).all() for row in result["rows"])
    ends = [result["rows"][-1]["kid"] for result in results]
    assert len(set(ends)) == 5


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


def test_the_stored_results_are_whole():
    result = json.loads(little_data.OUT.read_text(encoding="utf-8"))
    assert list(result["runs"]) == list(little_data.SETTINGS)
    assert result["steps"] == little_data.STEPS
    assert 0.3 < result["judge"]["accuracy"] < 1
    for setting, runs in result["runs"].items():
        assert [run["seed"] for run in runs] == list(little_data.SEEDS)
        count = 512 if setting.startswith("few") else 3872
        for run in runs:
            assert run["data"] == f"{count} of Omniglot, train split"
            steps = [row["step"] for row in run["rows"]]
            assert steps == list(range(little_data.EVERY, little_data.STEPS + 1, little_data.EVERY))
            assert all(set(row) == ROW for row in run["rows"])
