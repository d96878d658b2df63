"""Every tool explains itself, and answers a wrong argument with one line and status 2, before it imports MLX."""

import base64
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import common
import notebooks
import numpy as np
import pytest
from PIL import Image

TOOLS = common.ROOT / "tools"
PATHS = {path.stem: path for path in sorted(TOOLS.glob("*.py")) if path.stem not in ("common", "ranks")}
PATHS["draw"] = common.ROOT / "book" / "diagrams" / "draw.py"
NAMES = tuple(PATHS)


def run(tool: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a tool to its end, on full data unless ``environment`` says otherwise."""
    command = [sys.executable, str(PATHS[tool]), *arguments]
    changes = {"MLXGAN_SMOKE": "0", "COLUMNS": "100"} | environment
    return subprocess.run(command, env=os.environ | changes, capture_output=True, text=True, timeout=60)


def assert_refused(found: subprocess.CompletedProcess, tool: str, said: str) -> None:
    assert found.returncode == 2, found.stderr
    assert found.stderr.startswith(f"{tool}.py: ") and found.stderr.count("\n") == 1, found.stderr
    assert said in found.stderr
    assert found.stdout == ""


#: Tools that miss their command before they see a wrong option.
HAVE_COMMANDS = ("distributed", "export_lab", "notebooks")


@pytest.fixture(scope="module")
def without_mlx(tmp_path_factory) -> str:
    """A folder for PYTHONPATH, from which MLX cannot be imported."""
    folder = tmp_path_factory.mktemp("without-mlx")
    (folder / "mlx.py").write_text('raise ImportError("MLX is imported")\n', encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("tool", NAMES)
def test_help_describes_the_tool_without_mlx(tool, without_mlx):
    found = run(tool, "--help", PYTHONPATH=without_mlx)
    assert found.returncode == 0 and not found.stderr
    assert found.stdout.startswith(f"usage: {tool}.py")


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [(tool, ["--no-such-option"], "--no-such-option") for tool in NAMES if tool not in HAVE_COMMANDS]
    + [
        ("ablation", ["--jobs", "0"], "--jobs: '0' is not a whole number from 1 to 1000"),
        ("ablation", ["--jobs", "two"], "--jobs: 'two'"),
        ("ablation", ["--work", "nonsense"], "--work"),
        ("ablation", ["--work", "hinge", "--seed", "-1"], "--seed"),
        ("collapse", ["--recipes", "vae"], "--recipes"),
        ("collapse", ["--jobs", "0"], "--jobs: '0' is not a whole number from 1 to 1000"),
        ("little_data", ["--jobs", "0"], "--jobs: '0' is not a whole number from 1 to 1000"),
        ("little_data", ["--work", "nonsense"], "--work"),
        ("benchmark", ["--rounds", "0"], "--rounds"),
        ("benchmark", ["--rounds", "1e3"], "--rounds"),
        ("benchmark", ["--seconds", "-1"], "--seconds: '-1' is not a number above 0"),
        ("benchmark", ["--seconds", "nan"], "--seconds"),
        ("benchmark", ["--seconds", "soon"], "--seconds"),
        ("benchmark", ["--work", "tensorflow"], "--work"),
        ("brand", ["extra"], "extra"),
        ("opinion", ["extra"], "extra"),
        ("distributed", [], "command, --out"),
        ("distributed", ["fly", "--out", "unused"], "'fly'"),
        ("distributed", ["train"], "--out"),
        ("distributed", ["train", "--out", "unused", "--no-such-option"], "--no-such-option"),
        ("distributed", ["train", "--out", "unused", "--model", "conditional"], "--model"),
        ("distributed", ["train", "--out", "unused", "--seed", str(2**32)], "--seed"),
        ("distributed", ["measure", "--out", "unused", "--bytes", "4", "3"], "--bytes"),
        ("export_generator", ["--model", "nowhere.safetensors"], "--model: 'nowhere.safetensors' is not a file"),
        ("export_generator", ["--epochs", "nowhere.npz"], "--epochs: 'nowhere.npz' is not a file"),
        ("export_generator", ["--epochs", __file__], "test_tools.py is not an .npz file"),
        ("export_lab", [], "what"),
        ("export_lab", ["everything"], "'everything'"),
        ("export_times", ["--rounds", "0"], "--rounds: '0' is not a whole number from 1 to 100"),
        ("export_times", ["--work", "Fortran"], "--work: invalid choice: 'Fortran'"),
        ("export_times", ["--work", "Python", "--folder", "nowhere"], "--folder: 'nowhere' holds no export"),
        ("lighthouse", ["nonsense.html"], "there is no page 'nonsense.html' in _build/html"),
        ("mutants", ["--only", "losses", "nonsense"], "--only: invalid choice: 'nonsense'"),
        ("mutants", ["--most", "0"], "--most: '0' is not a whole number from 1 to 1000"),
        ("notebooks", [], "action"),
        ("notebooks", ["bake"], "'bake'"),
        ("notebooks", ["update", "--all"], "--all"),
        ("notebooks", ["update", "77"], "no chapter begins with '77'"),
        ("notebooks", ["execute", "01", "chapter"], "no chapter begins with 'chapter'"),
        ("reproducibility", ["dcgan", "0", "0", "somewhere"], "dcgan 0 0 somewhere"),
        ("reproducibility", ["--work", "vae"], "--work"),
        ("reproducibility", ["--work", "mlp"], "--out"),
        ("reproducibility", ["--work", "mlp", "--out", "nowhere/now.npz"], "--out"),
        ("speed", ["--name", "../M2"], "--name: '../M2' is not made of 1 to 60 small letters, digits and hyphens"),
        ("speed", ["--rounds", "0"], "--rounds: '0' is not a whole number from 1 to 100"),
        ("speed", ["--seconds", "0"], "--seconds: '0' is not a number above 0"),
        ("speed", ["--work", "vae"], "--work"),
        ("speedrun", ["--recipe", "vae"], "--recipe"),
        ("speedrun", ["--seeds", "0"], "--seeds: '0' is not a whole number from 1 to 100"),
        ("speedrun", ["--name", "../mine"], "--name: '../mine' is not made of 1 to 60 small letters"),
    ]
    + [
        ("distributed", ["train", "--out", "unused", f"--{name}", value], f"--{name}: '{value}' is not a whole number")
        for name in ("steps", "batch-size", "every", "patience", "repeats", "bytes", "seed")
        for value in ("-1", "1.5")
    ],
)
def test_a_wrong_argument_is_named_in_one_line_without_mlx(tool, arguments, said, without_mlx):
    assert_refused(run(tool, *arguments, PYTHONPATH=without_mlx), tool, said)
    assert not Path("unused").exists()


@pytest.fixture
def epochs(tmp_path) -> str:
    """A file with images of fixed noise after each epoch."""
    path = tmp_path / "epochs.npz"
    np.savez(path, images=np.zeros((2, 10, 28, 28), np.uint8))
    return str(path)


@pytest.mark.parametrize("shape", [(2, 10, 28), (2, 10, 28, 27), (2, 9, 28, 28)], ids=str)
def test_images_of_another_shape_are_refused(shape, tmp_path, without_mlx):
    path = tmp_path / "epochs.npz"
    np.savez(path, images=np.zeros(shape, np.uint8))
    found = run("export_generator", "--epochs", str(path), PYTHONPATH=without_mlx)
    assert_refused(found, "export_generator", f"'images' is uint8 {shape}, but must be uint8 (epochs + 1, 10, 28, 28)")


def test_an_export_is_refused_before_the_work(tmp_path, epochs):
    for name, said in (("mlp", "a MLPGenerator, not a Selective"), ("nothing", "not a whole safetensors")):
        path = TOOLS.parent / "src" / "mlxgan" / "pretrained" / f"{name}.safetensors"
        if name == "nothing":
            path = tmp_path / "nothing.safetensors"
            path.write_bytes(b"nothing")
        out = str(tmp_path / "out")
        assert_refused(
            run("export_generator", "--model", str(path), "--epochs", epochs, "--out", out), "export_generator", said
        )
    assert_refused(run("export_generator", "--epochs", epochs, "--out", epochs), "export_generator", "File exists")


FULL = {
    "ablation": [],
    "benchmark": [],
    "brand": [],
    "collapse": [],
    "export_lab": ["digits"],
    "notebooks": ["execute", "01"],
    "reproducibility": [],
    "speedrun": [],
}


@pytest.fixture(scope="module")
def torch(tmp_path_factory) -> str:
    """A folder for PYTHONPATH with something that looks like PyTorch."""
    folder = tmp_path_factory.mktemp("torch")
    (folder / "torch.py").write_text("", encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("tool", FULL)
def test_smoke_mode_is_refused_where_full_data_are_needed(tool, torch):
    found = run(tool, *FULL[tool], MLXGAN_SMOKE="1", PYTHONPATH=torch)
    assert_refused(found, tool, "MLXGAN_SMOKE is set")


@pytest.mark.parametrize("tool", FULL)
def test_files_that_are_not_mnist_are_refused(tool, torch, tmp_path):
    damaged = tmp_path / "train-images-idx3-ubyte.gz"
    damaged.write_bytes(b"damaged")
    found = run(tool, *FULL[tool], MNIST_DIR=str(tmp_path), PYTHONPATH=torch)
    assert_refused(found, tool, f"{damaged}: not MNIST's train-images-idx3-ubyte")


def test_mnist_that_cannot_be_had_is_refused(tmp_path):
    nowhere = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "MNIST_DIR": ""}
    no_network = {"https_proxy": "http://127.0.0.1:9", "MLXGAN_STOCK_CPU": "1"}
    found = run("notebooks", "execute", "01", **nowhere, **no_network)
    assert_refused(found, "notebooks", "train-images-idx3-ubyte could not be downloaded")


def test_ranks_that_cannot_find_each_other_are_one_line(tmp_path):
    found = run("distributed", "train", "--out", str(tmp_path), MLX_HOSTFILE="/nonexistent", MLX_RANK="0")
    assert_refused(found, "distributed", "the ranks cannot find each other")


def test_the_package_finds_the_book_from_any_folder(tmp_path):
    """From its own place, which is why it is installed as the folder that it is in, on Colab too."""
    program = "import mlxgan, json; print(len(json.loads((mlxgan.ROOT / 'book/data/collapse.json').read_bytes())))"
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert int(found.stdout) > 0, found.stderr
    assert "pip install -q -e /content/book\n" in notebooks.COLAB and "/content/book/src" in notebooks.COLAB


def test_missing_pytorch_is_named(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)\n",
        encoding="utf-8",
    )
    for arguments in ([], ["--work", "pytorch, fused Adam"]):
        found = run("benchmark", *arguments, PYTHONPATH=str(tmp_path))
        assert_refused(found, "benchmark", "PyTorch is not installed: install it, or leave it out with --mlx-only")


def test_the_diagrams_are_what_the_program_draws():
    found = run("draw", "--check")
    assert found.returncode == 0, found.stderr


def test_chapters_are_found_by_the_beginning_of_their_names():
    sources = [Path(name) for name in ("01_a.py", "02_b.py", "12_c.py")]
    assert notebooks.find([], sources) == sources
    assert notebooks.find(["1", "02_b"], sources) == sources[1:]
    with pytest.raises(ValueError, match="no chapter begins with '3'; there are: 01_a, 02_b, 12_c"):
        notebooks.find(["1", "3"], sources)


def test_runs_at_the_same_time_have_their_own_temporary_folders(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, time\ntime.sleep(0.5)\nprint(sys.argv[1:], os.environ['COLOR'], os.environ['TMPDIR'])\n",
        encoding="utf-8",
    )
    with ThreadPoolExecutor(2) as pool:
        pending = [pool.submit(common.work, str(script), number, COLOR="blue") for number in range(2)]
    first, second = (each.result() for each in pending)
    third = common.work(str(script), 2, COLOR="blue")
    assert first.startswith("['--work', '0'] blue ") and second.startswith("['--work', '1'] blue ")
    folders = [printed.split()[-1] for printed in (first, second, third)]
    assert folders[0] != folders[1] and folders[2] in folders[:2]
    assert os.environ["TMPDIR"] not in folders


def test_runs_that_are_stored_are_not_repeated(tmp_path):
    script, settings, seeds = tmp_path / "script.py", ["all, 0.5", "few"], (0, 1)
    script.write_text(
        "import json, os, sys\nprint('a line before')\n"
        "print(json.dumps({'asked': sys.argv[1:], 'threads': os.environ['OPENBLAS_NUM_THREADS']}))\n",
        encoding="utf-8",
    )
    first = common.run_all(str(script), tmp_path / "runs", settings, seeds, jobs=2)
    assert [run["asked"] for run in first["all, 0.5"]] == [["--work", "all, 0.5", "--seed", str(n)] for n in seeds]
    assert [len(runs) for runs in first.values()] == [2, 2] and first["few"][1]["threads"] == "1"
    (tmp_path / "runs" / "few-1.json").unlink()
    script.write_text("print('[\"again\"]')\n", encoding="utf-8")
    assert common.run_all(str(script), tmp_path / "runs", settings, seeds, jobs=1) == {
        "all, 0.5": first["all, 0.5"],
        "few": [first["few"][0], ["again"]],
    }


def test_a_run_that_fails_ends_the_tool_with_one_line(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("raise SystemExit(3)\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"script.py: the run \('a',\) ended with status 3"):
        common.work(str(script), "a")


def test_the_machine_and_its_versions_are_named():
    assert common.machine().endswith(f", {os.cpu_count()} cores") and "\n" not in common.machine()
    found = common.versions("mlx", "no-such-package")
    assert found["mlx"] and found["no-such-package"] is None


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "result.json"
    common.write_json(path, {"a": [1]})
    assert path.read_text(encoding="utf-8") == '{\n "a": [\n  1\n ]\n}\n'
    with pytest.raises(TypeError):
        common.write_json(path, {"a": object()})
    assert [file.name for file in path.parent.iterdir()] == ["result.json"] and path.read_text(encoding="utf-8")


def test_stored_figures_are_small_and_look_the_same():
    random = np.random.default_rng(0)
    gray = random.integers(0, 256, (90, 80, 1)).repeat(3, axis=2).astype(np.uint8)
    colored = random.integers(0, 256, (100, 3)).astype(np.uint8)[random.integers(0, 100, (90, 80))]
    for pixels, apart in ((gray, 0), (colored, 8)):
        file = io.BytesIO()
        Image.fromarray(pixels).convert("RGBA").save(file, "PNG", dpi=(220, 220))
        small = notebooks.smaller(base64.b64encode(file.getvalue()).decode())
        assert len(base64.b64decode(small)) < 0.75 * len(file.getvalue())
        with Image.open(io.BytesIO(base64.b64decode(small))) as picture:
            assert round(picture.info["dpi"][0]) == 220
            assert np.abs(np.asarray(picture.convert("RGB"), int) - pixels).max() <= apart
