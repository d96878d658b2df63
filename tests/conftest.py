"""Tests run on the small data set, offline; each of xdist's workers has one BLAS thread."""

import os
import tempfile

os.environ["MLXGAN_SMOKE"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["TQDM_DISABLE"] = "1"  # progress bars are no part of a cell's output
os.environ["XDG_CACHE_HOME"] = os.path.abspath(f"{__file__}/../../.pytest_cache/cache")  # keeps kernels for later runs
if "PYTEST_XDIST_WORKER" not in os.environ:  # what notebooks train; the workers share it
    os.environ["MLXGAN_RUNS"] = tempfile.mkdtemp(prefix="mlxgan-runs-")

import mlxgan  # noqa: F401  (before any test imports mlx.core)

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def pytest_unconfigure() -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ["MLXGAN_RUNS"], ignore_errors=True)


def _untracked() -> set[str]:
    if shutil.which("git") is None:
        return set()
    command = ["git", "-C", str(ROOT), "ls-files", "--others", "--exclude-standard"]
    return set(subprocess.run(command, capture_output=True, text=True).stdout.splitlines())


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left(tmp_path_factory) -> Iterator[None]:
    """The tests of a file have a temporary folder of their own, and leave nothing there or in the work tree."""
    tmp_path_factory.getbasetemp()  # pytest's folders, some of which stay, are made elsewhere
    before = _untracked()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="mlxgan-tests-") as own:
        os.chmod(own, 0o1777)  # some tests are another user
        patch.setattr(tempfile, "tempdir", own)
        patch.setenv("MLXGAN_TMPDIR", own)
        yield
        if "common" in sys.modules:
            sys.modules["common"].IDLE.clear()  # folders that the tools keep for their next process
        left = os.listdir(own)
    ours = (".safetensors", ".mlxfn", ".npz", ".png", "history.json", "seconds.json", "samples")
    assert left + sorted(path for path in _untracked() - before if path.endswith(ours) or ".part-" in path) == []


def _build(source: Path, out: Path, *options: str, **environment: str) -> None:
    book = Path(sys.executable).parent / "jupyter-book"
    command = [book, "build", "-W", "-n", *options, "--path-output", out, source]
    known = ("GITHUB_REPOSITORY", "GITHUB_SERVER_URL", "GITHUB_REF_NAME", "SITE_URL")
    clean = {key: value for key, value in os.environ.items() if key not in known}
    clean["TMPDIR"] = os.environ["MLXGAN_TMPDIR"]  # the folder of MLX's kernels is too long for a socket's name
    run = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=clean | environment)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-5000:]


@pytest.fixture(scope="session")
def build():
    """Build the site, or with options another form of the book; a warning is an error."""
    return _build


@pytest.fixture(scope="session")
def sources(tmp_path_factory, worker_id, build) -> Path:
    """A copy of the book's sources, beside things that are no part of it, with the site and its EPUB in _build.

    xdist's workers share it: the first to come builds, the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    source = (base if worker_id == "master" else base.parent) / "book"
    with open(source.with_suffix(".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (source / "built").exists():
            for name in ("book", "notebooks"):
                shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
            for name in ("_config.yml", "_toc.yml", "README.md", "pyproject.toml"):
                shutil.copy(ROOT / name, source)
            (source / ".venv" / "package").mkdir(parents=True)
            (source / ".venv" / "package" / "README.md").write_text("# No page of the book", encoding="utf-8")
            build(source, source, "--builder", "custom", "--custom-builder", "epub")
            build(source, source)
            (source / "built").touch()
    return source


@pytest.fixture(scope="session")
def site(sources) -> Path:
    """The folder of the built site."""
    return sources / "_build" / "html"
