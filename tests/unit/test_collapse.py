"""What the runs of many seeds record and store."""

from mlxgan import recipes

import json
import sys

import collapse
import numpy as np
import pytest

STORED = json.loads(collapse.OUT.read_text(encoding="utf-8"))
SCORES = set(collapse.MEASURES)


def check(run: dict, epochs: int) -> None:
    assert run["epochs"] == epochs and len(run["spread"]) == epochs
    assert {len(values) for values in run["history"].values()} == {epochs}
    for which in ("last", "average"):
        assert set(run[which]) == SCORES | ({"right"} if run["name"] == "conditional" else set())
        assert len(run[which]["histogram"]) == 10 and run[which]["fid"] > 0
    assert np.isfinite(run["history"]["loss_d"] + run["history"]["loss_g"] + run["spread"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tutorial", "conditional"])
def test_a_run_has_the_form_of_those_that_are_stored(monkeypatch, name):
    monkeypatch.setattr(collapse, "EPOCHS", 2)
    monkeypatch.setattr(collapse, "SAMPLES", 600)
    run = collapse.train(name, seed=1)
    check(run, epochs=2)
    assert run["data"].startswith("scikit-learn's small digits")
    [stored, *_] = [run for run in STORED["mlx"]["runs"] if run["name"] == "conditional"]
    assert set(stored) <= set(run) and set(stored["history"]) == set(run["history"])
    assert 0 < min(run["spread"]) and run["total"] > sum(run["history"]["seconds"])


def test_runs_are_added_to_those_of_other_machines_and_replace_their_own(monkeypatch, tmp_path):
    def run(number: int, **others: object) -> dict:
        return {"name": "mlp", "seed": 0, "number": number} | others

    stored = [run(0), run(1, machine="here"), run(2, machine="there"), run(3, machine="here", seed=1)]
    monkeypatch.setattr(collapse, "OUT", tmp_path / "collapse.json")
    collapse.OUT.write_text(
        json.dumps({"pytorch": {"runs": [1]}, "mlx": {"device": "GPU", "runs": stored}}), encoding="utf-8"
    )
    added = [run(4, machine="here"), run(5, name="tutorial", machine="here")]
    asked = {"mlp": added[:1], "tutorial": added[1:]}
    monkeypatch.setattr(
        collapse.common, "run_all", lambda script, folder, names, *_: {name: asked[name] for name in names}
    )
    monkeypatch.setattr(collapse.common.Parser, "require_mnist", lambda parser: None)
    monkeypatch.setattr(sys, "argv", ["collapse.py"])
    collapse.main()
    result = json.loads(collapse.OUT.read_text(encoding="utf-8"))
    assert sorted(each["number"] for each in result["mlx"]["runs"]) == [0, 2, 3, 4, 5]
    assert result["pytorch"] == {"runs": [1]} and result["mlx"]["device"] == "GPU"


def test_the_stored_results_are_whole():
    assert set(collapse.RECIPES) <= set(recipes.RECIPES)
    torch, mlx = STORED["pytorch"], STORED["mlx"]
    settings = [run["setting"] for run in torch["runs"]]
    assert set(settings) == set(torch["settings"])
    assert settings.count("tutorial") == 24 and all(settings.count(each) == 12 for each in set(settings) - {"tutorial"})
    for run in torch["runs"]:
        assert {len(run[each]) for each in ("loss_d", "loss_g", "d_real", "d_fake", "spread")} == {torch["epochs"]}
        assert set(run["average"]) == SCORES
    by_machine: dict[tuple, list[int]] = {}
    for run in mlx["runs"]:
        check(run, collapse.EPOCHS)
        by_machine.setdefault((run["name"], run.get("machine")), []).append(run["seed"])
        assert "machine" not in run or run["data"] == "MNIST, train split"
    for (_, machine), seeds in by_machine.items():
        assert sorted(seeds) == (list(collapse.SEEDS) if machine else [0, 1, 2, 3])
