"""Time training steps on this machine, and write them to book/data/machines/NAME.json, which a chapter reads.

``make bench`` runs it, in a few minutes and without any data. It times the book's steps for several batch sizes on the
CPU in float32, and on the GPU, if there is one, in float32, in bfloat16 and, if the GPU can, with TF32. Each
measurement is a process of its own, and they take turns. If your machine is not in the book yet, please contribute the
file: see CONTRIBUTING.md.
"""

import platform
import re
import statistics
import sys
import time
from argparse import SUPPRESS
from datetime import date

import common
from benchmark import MODELS, positive

FOLDER = common.ROOT / "book" / "data" / "machines"
BATCHES = (64, 256, 1024)
DTYPES = ("float32", "bfloat16")


def work(model: str, device: str, dtype: str, batch: int, seconds: float) -> None:
    """Print the median time of a step in ms, over about ``seconds`` after three to warm up, and the peak memory."""
    from mlxgan import recipes, training

    import mlx.core as mx

    mx.set_default_device(mx.Device(getattr(mx, device)))
    mx.random.seed(0)
    recipe, kind = recipes.RECIPES[MODELS[model]], getattr(mx, dtype)

    class Generator(recipe.generator):  # type: ignore[name-defined]  # float32 noise would make all of it float32
        def __call__(self, z):
            return super().__call__(z.astype(kind))

    networks = Generator(), recipe.discriminator()
    for network in networks:
        network.set_dtype(kind)
    step, state = training.set_up(*networks, **recipe.settings())
    real = mx.random.uniform(-1, 1, (batch, 28, 28, 1)).astype(kind)
    times: list[float] = []
    for count in range(10**6):
        start = time.perf_counter()
        mx.eval(step(real), state)
        if count >= 3:
            times.append(time.perf_counter() - start)
        if sum(times) > seconds and len(times) >= 3:
            break
    print(1000 * statistics.median(times), mx.get_peak_memory())


def rounds_to_tf32() -> bool:
    """Return True if the GPU multiplies float32 as TF32: a product with the identity is exact in float32 alone."""
    import mlx.core as mx

    a = mx.random.uniform(shape=(512, 512), key=mx.random.key(0))
    product = mx.matmul(a, mx.eye(512), stream=mx.gpu)
    return bool(mx.any(mx.abs(product - a) > 1e-5))


def settings() -> list[dict]:
    """Return what can be timed here: a device, a type of numbers, and whether products may use TF32."""
    import mlxgan  # noqa: F401  (before mlx.core, as everywhere)

    import mlx.core as mx

    found: list[dict] = [{"device": "cpu", "dtype": "float32", "tf32": False}]
    if mx.is_available(mx.gpu):
        found += [{"device": "gpu", "dtype": dtype, "tf32": False} for dtype in DTYPES]
        if rounds_to_tf32():
            found += [{"device": "gpu", "dtype": "float32", "tf32": True}]
    return found


def measure(rounds: int, seconds: float) -> list[dict]:
    """Return a row for each setting, model and batch size: the median time of a step in each round, in ms, and the
    peak memory in bytes."""
    rows = [
        {**setting, "model": model, "batch": batch, "milliseconds": [], "peak_bytes": 0}
        for setting in settings()
        for model in MODELS
        for batch in BATCHES
    ]
    for number in range(1, rounds + 1):
        for row in rows:
            words = (row["model"], "--device", row["device"], "--dtype", row["dtype"], "--batch", row["batch"])
            environment = {"MLX_ENABLE_TF32": str(int(row["tf32"]))}
            printed = common.work(__file__, *words, "--seconds", seconds, **environment).split()
            row["milliseconds"].append(round(float(printed[0]), 3))
            row["peak_bytes"] = max(row["peak_bytes"], int(printed[1]))
        print(f"round {number} of {rounds}", file=sys.stderr)
    return rows


def describe(by: str) -> dict:
    """Return what the file says of this machine, and of who ran it."""
    import mlx.core as mx

    about = {"machine": common.machine(), "gpu": None, "system": platform.platform(), "run_by": by}
    if mx.is_available(mx.gpu):
        about["gpu"] = str(mx.device_info(mx.gpu)["device_name"])
    return about | {"date": date.today().isoformat(), "versions": common.versions("mlx", "scipy-openblas32")}


def table(rows: list[dict]) -> str:
    """Return the rows as text: milliseconds per step, median over the rounds, and images per second."""
    lines: list[str] = []
    names: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        name = f"{row['device'].upper()}, {row['dtype']}" + (" with TF32" if row["tf32"] else "")
        names.setdefault((row["model"], name), []).append(statistics.median(row["milliseconds"]))
    for model in MODELS:
        lines += ["", f"{model:23}" + "".join(f"{f'batch {batch}':>22}" for batch in BATCHES)]
        for (of, name), times in names.items():
            cells = (f"{t:.1f} ms, {1000 * batch / t:,.0f}/s" for batch, t in zip(BATCHES, times, strict=True))
            lines += [f"  {name:21}" + "".join(f"{cell:>22}" for cell in cells)] if of == model else []
    return "\n".join(lines[1:])


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("--name", help="of the file, for example m2-air; by default that of the GPU or processor")
    parser.add_argument("--by", default="a reader", help="who runs it, as the book shall say")
    parser.add_argument("--rounds", type=common.whole(1, 100), default=3)
    parser.add_argument("--seconds", type=positive, default=1.0, help="time of a measurement")
    parser.add_argument("--work", choices=MODELS, help=SUPPRESS)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help=SUPPRESS)
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help=SUPPRESS)
    parser.add_argument("--batch", type=common.whole(2), default=64, help=SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.device, options.dtype, options.batch, options.seconds)
        return
    if options.name is not None and not re.fullmatch(r"[a-z0-9-]{1,60}", options.name):
        parser.error(f"--name: {options.name!r} is not made of 1 to 60 small letters, digits and hyphens")
    try:
        common.require_writable(FOLDER)
    except OSError as error:
        parser.error(error)
    about = describe(options.by)
    chip = about["gpu"] or about["machine"].split(", ", 1)[1]
    name = options.name or re.sub("[^a-z0-9]+", "-", chip.lower()).strip("-")[:60]
    result = {**about, "rows": measure(options.rounds, options.seconds)}
    print(table(result["rows"]))
    common.write_json(FOLDER / f"{name}.json", result)
    print("If this machine is not in the book yet, please contribute the file: CONTRIBUTING.md says how.")


if __name__ == "__main__":
    main()
