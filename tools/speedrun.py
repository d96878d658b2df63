"""Train a recipe of the book against the clock, and measure it with the judge that ships for this purpose.

``make speedrun`` does it for the recipe ``best``, in fifteen minutes of training for each of three seeds; measuring
takes longer and does not count. It prints the rows of a table, and writes book/data/speedrun/NAME.json, which the
chapter To the floor shows. A seed whose file in runs/speedrun exists is not repeated, so that an interrupted speedrun
continues where it stopped; remove these files if you have changed the recipe. Leave the machine alone meanwhile.
"""

import json
import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

import common

if TYPE_CHECKING:
    from mlxgan.metrics import Reference, Scores
    from mlxgan.rejection import Selective

FOLDER = common.ROOT / "book" / "data" / "speedrun"
RUNS = common.ROOT / "runs" / "speedrun"
RECIPES = ("tutorial", "mlp", "dcgan", "conditional", "best")
REJECTING = ("best",)  # recipes that get a referee, and a part of the time is for that
BUDGET, FOR_REFEREE, EARLY, EVERY = 900.0, 110.0, 130.0, 30.0  # seconds
GOAL, SAMPLES, RATE, WIDTH = 3.0, 10_000, 0.7, 1.05
MEASURES = ("fid", "precision", "recall", "coverage", "confident")


class Stopwatch:
    """Counts seconds, except those that pass within ``with watch.pause():``."""

    def __init__(self, now: Callable[[], float] = time.perf_counter):
        self.now, self.start = now, now()

    def seconds(self) -> float:
        return self.now() - self.start

    @contextmanager
    def pause(self) -> Iterator[None]:
        before = self.now()
        yield
        self.start += self.now() - before


class OutOfTime(Exception):
    """The pair has used up its time."""


def chosen(scores: "Scores") -> dict[str, float]:
    return {name: getattr(scores, name) for name in MEASURES}


def train(name: str, seed: int, against: "Reference") -> dict:
    """Train a recipe within the budget, and return its scores early and at the end, and when it reached the goal."""
    from mlxgan import data, measures, metrics, models, recipes, rejection, training

    import mlx.core as mx

    recipe, digits = recipes.RECIPES[name], data.load("train")
    recipes.seed_everything(10**6 + seed)  # for the samples
    labels = data.draw_labels(SAMPLES)
    z = mx.random.normal((SAMPLES, recipe.generator().latent_dim))
    mx.eval(labels, z)

    networks = recipe.generator(), recipe.discriminator()  # of a first step, in which MLX builds its kernels
    step, state = training.set_up(*networks, average=recipe.generator(), **recipe.settings(1))
    mx.eval(step(*next(data.batches(digits, recipe.batch_size, seed=0))), state)

    recipes.seed_everything(seed)
    generator, discriminator, average = recipe.generator(), recipe.discriminator(), recipe.generator()
    found: dict = {"seed": seed, "data": digits.name, "steps": 0, "seconds_to_goal": None, "early": None}
    watch, end, due = Stopwatch(), BUDGET - FOR_REFEREE * (name in REJECTING), EVERY

    def draw() -> mx.array:
        return training.sample(average, z, labels if models.is_conditional(average) else None)

    def on_step(_: mx.array) -> None:
        nonlocal due
        seconds = watch.seconds()
        found["steps"] += 1
        with watch.pause():
            if found["early"] is None and seconds >= EARLY:
                found["early"] = chosen(metrics.evaluate(draw(), against))
            if found["seconds_to_goal"] is None and seconds >= due:
                due += EVERY
                if measures.fid(against.real, metrics.features(against.classifier, draw())[0]) <= GOAL:
                    found["seconds_to_goal"] = seconds
        if seconds >= end:
            raise OutOfTime

    steps = recipe.epochs * (len(digits) // recipe.batch_size)
    settings = {"epochs": recipe.epochs, "batch_size": recipe.batch_size, "seed": seed, **recipe.settings(steps)}
    try:
        training.train(generator, discriminator, digits, average=average, on_step=on_step, **settings)
    except OutOfTime:
        print(f"out of time after {found['steps']:,} of {steps:,} steps", flush=True)
    found["seconds"], found["end"] = watch.seconds(), chosen(metrics.evaluate(draw(), against))
    found["early"] = found["early"] or found["end"]
    if name in REJECTING:
        watch = Stopwatch()
        selective = with_referee(average, digits)
        found["seconds_of_referee"] = watch.seconds()
        images, found["accepted"] = rejection.select(selective, labels)
        found["selected"] = chosen(metrics.evaluate(images, against))
    return found


def with_referee(generator, digits) -> "Selective":
    """Return a conditional generator with a referee of half of the digits, fitted on the other half, as the chapter
    has it."""
    from mlxgan import classifiers, data, rejection

    import mlx.core as mx
    import numpy as np

    order = mx.array(np.random.default_rng(0).permutation(len(digits)).astype(np.uint32))
    halves = order[: len(digits) // 2], order[len(digits) // 2 :]
    first, second = (data.Digits(digits.images[half], digits.labels[half], digits.name) for half in halves)
    mx.random.seed(0)
    selective = rejection.Selective()
    selective.generator.update(generator.parameters())
    classifiers.train(selective.classifier, first, epochs=4)
    rejection.fit_referee(selective, second, rate=RATE, width=WIDTH)
    return selective


def rows(result: dict) -> list[str]:
    """Return rows of a table in Markdown, with means and standard deviations over the seeds: early, at the end, and
    with the referee if there is one.

    The columns are name, machine, seconds to the goal, at which second, and the measures.
    """

    def cell(values: list[float], form: str) -> str:
        spread = f" ± {statistics.stdev(values):{form}}" if len(values) > 1 else ""
        return f"{statistics.mean(values):{form}}{spread}"

    runs = result["runs"]
    times = [run["seconds_to_goal"] for run in runs if run["seconds_to_goal"] is not None]
    goal = cell(times, ".0f") if times else "not reached"
    if 0 < len(times) < len(runs):
        goal += f" ({len(times)} of {len(runs)} runs)"
    moments = {"early": f"{EARLY:.0f}", "end": cell([run["seconds"] for run in runs], ".0f")}
    if "selected" in runs[0]:
        seconds = [run["seconds"] + run["seconds_of_referee"] for run in runs]
        moments["selected"] = f"{cell(seconds, '.0f')}, with a referee"
    lines = []
    for when, moment in moments.items():
        cells = [cell([run[when][name] for run in runs], ".2f" if name == "fid" else ".3f") for name in MEASURES]
        first = (result["name"], result["machine"], goal) if when == "early" else ("", "", "")
        lines.append(f"| {' | '.join((*first, moment, *cells))} |")
    return lines


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("--recipe", choices=RECIPES, default="best")
    parser.add_argument("--seeds", type=common.whole(1, 100), default=3, help="how many, from 0")
    parser.add_argument("--name", help="of the file, for example best-m4; by default that of the recipe")
    parser.add_argument("--by", default="the authors", help="who runs it, as the book shall say")
    options = parser.parse_args()
    name = options.name or options.recipe
    if not re.fullmatch(r"[a-z0-9-]{1,60}", name):
        parser.error(f"--name: {name!r} is not made of 1 to 60 small letters, digits and hyphens")
    parser.require_mnist()
    from mlxgan import checkpoints, files, metrics

    try:
        common.require_writable(FOLDER)
        against = metrics.reference(classifier=checkpoints.load_pretrained("judge"))
    except (OSError, ValueError) as error:
        parser.error(error)
    paths = [RUNS / f"{name}-{seed}.json" for seed in range(options.seeds)]
    for seed, path in enumerate(paths):
        if not path.exists():
            common.write_json(path, train(options.recipe, seed, against))
    result: dict = {
        "name": name,
        "recipe": options.recipe,
        "run_by": options.by,
        "date": date.today().isoformat(),
        "machine": common.machine(),
        "versions": common.versions("mlx", "numpy"),
        "judge": files.digest(checkpoints.PRETRAINED / "judge.safetensors"),
        "budget": BUDGET,
        "samples": SAMPLES,
        "floor": chosen(against.floor),
        "runs": [json.loads(path.read_text(encoding="utf-8")) for path in paths],
    }
    result["rows"] = rows(result)
    print("\n".join(result["rows"]))
    common.write_json(FOLDER / f"{name}.json", result)
    print("To add these rows to the book's table, contribute the file: CONTRIBUTING.md says how.")


if __name__ == "__main__":
    main()
