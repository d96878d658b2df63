"""The speedrun: its clock, its rows, a run of seconds, and the stored results."""

from mlxgan import metrics, models, recipes

import json

import mlx.core as mx
import numpy as np
import pytest
import speedrun


def test_the_clock_leaves_out_what_is_measured():
    time = 10.0
    watch = speedrun.Stopwatch(now=lambda: time)
    time += 3
    with watch.pause():
        time += 100
    time += 2
    assert watch.seconds() == 5


def test_every_recipe_can_run():
    assert set(speedrun.REJECTING) <= set(speedrun.RECIPES) == set(recipes.RECIPES)


def result(*seconds_to_goal: float | None) -> dict:
    scores = dict.fromkeys(speedrun.MEASURES, 0.5)
    runs = [
        {"seconds": 800.0 + 10 * n, "seconds_to_goal": s, "early": scores | {"fid": 4.0 + n}, "end": scores}
        for n, s in enumerate(seconds_to_goal)
    ]
    return {"name": "mine", "machine": "M9", "runs": runs}


def test_a_row_for_each_moment_has_the_mean_and_the_spread():
    stored = result(100.0, 200.0)
    early, end = speedrun.rows(stored)
    assert early.startswith("| mine | M9 | 150 ± 71 | 130 | 4.50 ± 0.71 | 0.500 ± 0.000 |")
    assert end.startswith("|  |  |  | 805 ± 7 | 0.50 ± 0.00 |")
    assert early.count("|") == end.count("|") == 4 + len(speedrun.MEASURES) + 1
    for run in stored["runs"]:
        run |= {"seconds_of_referee": 50.0, "selected": run["end"] | {"fid": 0.25}}
    assert speedrun.rows(stored)[:2] == [early, end]
    assert speedrun.rows(stored)[2].startswith("|  |  |  | 855 ± 7, with a referee | 0.25 ± 0.00 |")


@pytest.mark.parametrize(
    ("times", "said"), [((None, 90.0), "90 (1 of 2 runs)"), ((None, None), "not reached"), ((90.0,), "90")]
)
def test_a_goal_that_was_not_always_reached_says_so(times, said):
    assert speedrun.rows(result(*times))[0].split(" | ")[2] == said


@pytest.fixture
def against():
    mx.random.seed(0)
    return metrics.reference(classifier=models.Judge())


class Steps(speedrun.Stopwatch):
    """A clock that goes on by a second whenever it is looked at."""

    def __init__(self):
        super().__init__(now=lambda: 0.0)

    def seconds(self) -> float:
        self.start -= 1
        return super().seconds()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "best"])
def test_a_run_ends_with_its_time_and_is_measured_early_and_at_the_end(name, monkeypatch, against):
    """A step takes a second, and so does the referee."""
    changes = {"BUDGET": 9, "FOR_REFEREE": 2, "EARLY": 3, "EVERY": 2, "SAMPLES": 300, "GOAL": 1e6, "Stopwatch": Steps}
    for constant, value in changes.items():
        monkeypatch.setattr(speedrun, constant, value)
    found = speedrun.train(name, 1, against)
    assert found["seed"] == 1 and found["steps"] == (7 if name == "best" else 9)
    assert found["seconds_to_goal"] == 2 and found["seconds"] == found["steps"] + 1
    moments = ["early", "end"]
    if name == "best":
        moments.append("selected")
        assert 0.3 < found["accepted"] < 0.95 and found["seconds_of_referee"] == 1
    for moment in moments:
        assert set(found[moment]) == set(speedrun.MEASURES) and np.isfinite(list(found[moment].values())).all()
    assert len({found[moment]["fid"] for moment in moments}) == len(moments)


def test_the_stored_results_are_whole():
    for path in speedrun.FOLDER.glob("*.json"):
        stored = json.loads(path.read_text(encoding="utf-8"))
        assert stored["name"] == path.stem and stored["recipe"] in speedrun.RECIPES
        assert stored["rows"] == speedrun.rows(stored)
        assert [run["seed"] for run in stored["runs"]] == list(range(len(stored["runs"])))
        assert all(run["data"] == "MNIST, train split" for run in stored["runs"])
