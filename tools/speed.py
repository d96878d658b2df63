"""Time training steps on this machine, and write them to book/data/machines/NAME.json, which a chapter reads.

``python tools/speed.py`` (or ``make bench``) takes a few minutes and needs no data. It times the book's steps on every
device of this machine, in float32 and on a GPU also in bfloat16 and with TF32, for several batch sizes, and prints a
table. If your machine is not in the book yet, please contribute the file: see CONTRIBUTING.md.
"""

import re
import statistics
import time
from argparse import SUPPRESS

import common

FOLDER = common.ROOT / "book" / "data" / "machines"
MODELS = ("tutorial", "dcgan")
BATCHES = (64, 256, 1024)


def work(model: str, device: str, dtype: str, batch: int, seconds: float) -> None:
    """Print the median time of a step in ms, over about ``seconds`` after three to warm up, and the peak memory."""
    from mlxgan import recipes, training

    import mlx.core as mx

    mx.set_default_device(mx.Device(getattr(mx, device)))
    mx.random.seed(0)
    recipe = recipes.RECIPES[model]
    networks = recipe.generator(), recipe.discriminator()
    for network in networks:
        network.set_dtype(getattr(mx, dtype))
    step, state = training.set_up(*networks, **recipe.settings())
    real = mx.random.uniform(-1, 1, (batch, 28, 28, 1)).astype(getattr(mx, dtype))
    times: list[float] = []
    for count in range(10**6):
        start = time.perf_counter()
        mx.eval(step(real), state)
        if count >= 3:
            times.append(time.perf_counter() - start)
        if sum(times) > seconds and len(times) >= 3:
            break
    print(1000 * statistics.median(times), mx.get_peak_memory())


def settings() -> list[dict]:
    """Return what can be timed here: a device, a type of numbers, and whether a GPU may use TF32."""
    import mlxgan  # noqa: F401  before mlx.core, so that the CPU is timed as the book uses it

    import mlx.core as mx

    found: list[dict] = [{"device": "cpu", "dtype": "float32"}]
    if mx.is_available(mx.gpu):
        found += [{"device": "gpu", "dtype": "float32", "tf32": tf32} for tf32 in (False, True)]
        found += [{"device": "gpu", "dtype": "bfloat16"}]
    return found


def describe() -> dict:
    """Return what the file says of this machine."""
    import mlx.core as mx

    about: dict = {"machine": common.machine(), "versions": common.versions("mlx", "mlxgan")}
    if mx.is_available(mx.gpu):
        about["gpu"] = str(mx.device_info(mx.gpu).get("device_name", "unknown"))
    return about


def table(result: dict) -> str:
    """Return the file's rows as text: milliseconds per step, and images per second."""
    lines = [f"{'':34}" + "".join(f"{f'batch {batch}':>22}" for batch in BATCHES)]
    cells: dict[str, dict[int, str]] = {}
    for row in result["rows"]:
        name = f"{row['model']}, {row['device']}, {row['dtype']}" + (", TF32" if row.get("tf32") else "")
        text = f"{row['milliseconds']:.1f} ms, {1000 * row['batch'] / row['milliseconds']:,.0f}/s"
        cells.setdefault(name, {})[row["batch"]] = text
    return "\n".join([*lines, *(f"{name:34}" + "".join(f"{c[b]:>22}" for b in BATCHES) for name, c in cells.items())])


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("--name", help="of the file, for example m2-air; by default the machine's")
    parser.add_argument("--seconds", type=common.whole(1, 60), default=2, help="time of a measurement")
    parser.add_argument("--work", nargs=4, help=SUPPRESS)
    options = parser.parse_args()
    if options.work:
        model, device, dtype, batch = options.work
        work(model, device, dtype, int(batch), options.seconds)
        return
    result = describe()
    name = options.name or re.sub(r"[^a-z0-9]+", "-", result.get("gpu", result["machine"]).lower()).strip("-")
    if not re.fullmatch(r"[a-z0-9-]{1,60}", name):
        parser.error(f"--name is {name!r}, but may hold small letters, digits and hyphens, 60 at most")
    result["rows"] = []
    for setting in settings():
        for model in MODELS:
            for batch in BATCHES:
                row = {"model": model, "batch": batch, **setting}
                words = (model, setting["device"], setting["dtype"], batch, "--seconds", options.seconds)
                printed = common.work(__file__, *words, MLX_ENABLE_TF32="1" if setting.get("tf32") else "0").split()
                row |= {"milliseconds": round(float(printed[-2]), 2), "peak_bytes": int(printed[-1])}
                result["rows"].append(row)
    print(table(result))
    common.write_json(FOLDER / f"{name}.json", result)
    print("If this machine is not in the book yet, please contribute the file (CONTRIBUTING.md says how).")


if __name__ == "__main__":
    main()
