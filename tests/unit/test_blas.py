"""OpenBLAS instead of the reference BLAS, and a folder of one's own for kernels."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux's wheel has the slow BLAS")


def python(program: str, **environment: str) -> subprocess.CompletedProcess:
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return run


PRODUCT = """
import mlxgan, time
import mlx.core as mx, numpy as np
a, b = mx.random.normal((512, 512), key=mx.random.key(0)), mx.random.normal((512, 512), key=mx.random.key(1))
def seconds():
    start = time.perf_counter()
    mx.eval(a @ b)
    return time.perf_counter() - start
seconds()
assert np.allclose(np.array(a @ b), np.array(a) @ np.array(b), atol=1e-3)
print(min(seconds() for _ in range(3)))
"""


@linux
def test_products_take_a_fifth_of_the_time():
    ours = float(python(PRODUCT).stdout)
    stock = float(python(PRODUCT, MLXGAN_STOCK_CPU="1").stdout)
    assert stock > 5 * ours


@linux
def test_one_warning_if_mlx_was_imported_first():
    run = python("import mlx.core, mlxgan, mlxgan.training")
    assert run.stderr.count("Warning") == 1
    assert "put 'import mlxgan' first" in run.stderr


def test_no_warning_if_all_is_well_or_switched_off():
    assert python("import mlxgan").stderr == ""
    assert python("import mlxgan", MLXGAN_STOCK_CPU="1").stderr == ""


IMPORT = "import mlxgan, mlx.core as mx; print((mx.ones((2, 2)) @ mx.ones((2, 2))).sum().item())"


def cached(folder: Path) -> list[Path]:
    return sorted((folder / "mlxgan").glob("libopenblas-*.so"))


@linux
@pytest.mark.parametrize("obstacle", ["no patchelf", "a patchelf that cannot run", "no wheel", "no library in it"])
def test_what_is_missing_is_a_warning_with_its_cure(tmp_path, obstacle):
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    if "patchelf" in obstacle:
        environment["PATH"] = "" if obstacle == "no patchelf" else f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        program = "import sysconfig; sysconfig.get_path = lambda name: ''\n" + IMPORT
        if obstacle != "no patchelf":
            (tmp_path / "patchelf").write_bytes(b"\x7fELF")
            (tmp_path / "patchelf").chmod(0o755)
    elif obstacle == "no library in it":
        program = (
            f"from importlib import metadata\nmetadata.PathDistribution.locate_file = lambda *_: {str(tmp_path)!r}\n"
        )
        program += IMPORT
    else:
        program = (
            "from importlib import metadata\n"
            "def missing(name): raise metadata.PackageNotFoundError(name)\n"
            "metadata.distribution = missing\n" + IMPORT
        )
    run = python(program, **environment)
    assert run.stdout == "8.0\n" and run.stderr.count("Warning") == 1
    anew = "run 'pip uninstall -y scipy-openblas32 patchelf' and then 'pip install -r requirements.txt'"
    assert "OpenBLAS could not be made" in run.stderr and anew in run.stderr


@pytest.mark.slow
@linux
@pytest.mark.parametrize("obstacle", ["a file in its place", "for everybody to write"])
def test_a_cache_that_cannot_be_used_is_done_without(tmp_path, obstacle):
    if obstacle == "a file in its place":
        (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    else:
        (tmp_path / "cache" / "mlxgan").mkdir(parents=True)
        (tmp_path / "cache" / "mlxgan").chmod(0o777)
    run = python(PRODUCT, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert run.stderr == ""
    assert float(run.stdout) < 0.1  # a second with the reference BLAS
    assert obstacle == "a file in its place" or list((tmp_path / "cache" / "mlxgan").iterdir()) == []


@pytest.mark.slow
@linux
@pytest.mark.parametrize("damage", ["cut short", "a bit flipped", "empty", "for everybody to write"])
def test_a_damaged_library_is_made_anew(tmp_path, damage):
    """Python died of a bus error when it loaded one that was cut short."""
    python(IMPORT, XDG_CACHE_HOME=str(tmp_path))
    (library,) = cached(tmp_path)
    content = library.read_bytes()
    if damage == "cut short":
        library.write_bytes(content[: len(content) // 2])
    elif damage == "a bit flipped":
        library.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    elif damage == "empty":
        library.write_bytes(b"")
    else:
        library.chmod(0o777)
    run = python(IMPORT, XDG_CACHE_HOME=str(tmp_path))
    assert (run.stdout, run.stderr) == ("8.0\n", "")
    assert [path.read_bytes() for path in cached(tmp_path)] == [content]
    assert cached(tmp_path)[0].stat().st_mode & 0o022 == 0


@pytest.mark.slow
@linux
def test_the_copy_is_made_once(tmp_path):
    libraries = []
    for _ in range(2):
        python("import mlxgan", XDG_CACHE_HOME=str(tmp_path))
        (library,) = cached(tmp_path)
        libraries.append((library.name, library.stat().st_mtime_ns))
    assert libraries[0] == libraries[1]


# The kernels that MLX builds

FUSED = """
import mlxgan, os, sys
import mlx.core as mx
print(mx.compile(lambda x: mx.sin(x) * 3 + mx.exp(x))(mx.zeros(2)).tolist())
"""


@pytest.mark.slow
@linux
@pytest.mark.skipif(shutil.which("g++") is None, reason="without g++ no kernels are built")
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"\x7fELF" + bytes(60) + b"\xff" * 60,
        lambda content: b"no library",
        lambda content: content[: len(content) // 4] + bytes(len(content) // 2) + content[-len(content) // 4 :],
    ],
    ids=["empty", "cut off", "text", "zeros in the middle"],
)
def test_a_damaged_kernel_is_built_again(tmp_path, damage):
    """Some can be loaded, and Python would die of them at each start."""
    first = python(FUSED, XDG_CACHE_HOME=str(tmp_path))
    kernels = list(tmp_path.glob("mlxgan/kernels/0-*/mlx/*/cpu/*.so"))
    assert kernels
    for kernel in kernels:
        kernel.write_bytes(damage(kernel.read_bytes()))
    again = python(FUSED, XDG_CACHE_HOME=str(tmp_path))
    assert (again.stdout, again.stderr) == (first.stdout, "") and first.stdout == "[1.0, 1.0]\n"


@pytest.mark.slow
@linux
@pytest.mark.skipif(shutil.which("g++") is None, reason="without g++ no kernels are built")
def test_a_kernel_that_cannot_be_loaded_does_not_stay(tmp_path):
    """For another machine, and of a process that was killed before it could note what the kernel should be."""
    first = python(FUSED, XDG_CACHE_HOME=str(tmp_path))
    kernels = {path: path.read_bytes() for path in tmp_path.glob("mlxgan/kernels/0-*/mlx/*/cpu/*.so")}
    next(tmp_path.glob("mlxgan/kernels/0-*/digests")).unlink()
    for path, content in kernels.items():
        path.write_bytes(content[:18] + b"\xff\xff" + content[20:])
    for _ in range(2):
        again = python(FUSED, XDG_CACHE_HOME=str(tmp_path))
        assert (again.stdout, again.stderr) == (first.stdout, "")
    assert all(path.read_bytes()[18:20] == content[18:20] for path, content in kernels.items())


@linux
def test_a_pipe_in_the_cache_is_not_read(tmp_path):
    python(IMPORT, XDG_CACHE_HOME=str(tmp_path))
    pipes = cached(tmp_path) + list(tmp_path.glob("mlxgan/kernels/0-*/mlx/*/cpu/*.so"))
    for path in pipes:
        path.unlink()
        os.mkfifo(path)
    run = python(IMPORT, XDG_CACHE_HOME=str(tmp_path))
    assert (run.stdout, run.stderr) == ("8.0\n", "") and all(path.is_file() for path in pipes)


@pytest.mark.slow
@linux
@pytest.mark.parametrize("temporary", ["/nonexistent", "/dev/null", "/proc"])
def test_the_temporary_folder_does_not_matter(tmp_path, temporary):
    run = python(FUSED, XDG_CACHE_HOME=str(tmp_path), TMPDIR=temporary)
    assert (run.stdout, run.stderr) == ("[1.0, 1.0]\n", "")


@linux
@pytest.mark.skipif(shutil.which("g++") is None, reason="without g++ no kernels are built")
@pytest.mark.parametrize("cache", ["empty", pytest.param("with kernels of another compiler", marks=pytest.mark.slow)])
def test_a_compiler_that_fails_is_one_warning(tmp_path, cache):
    if cache != "empty":
        python("import mlxgan", XDG_CACHE_HOME=str(tmp_path))
    compiler = tmp_path / "bin" / "g++"
    compiler.parent.mkdir()
    compiler.write_text(
        '#!/bin/sh\ncase "$*" in *-o*) echo no room >&2; exit 1;; esac\necho g++ 12\n', encoding="utf-8"
    )
    compiler.chmod(0o755)
    path = f"{compiler.parent}{os.pathsep}{os.environ['PATH']}"
    run = python(FUSED, XDG_CACHE_HOME=str(tmp_path), PATH=path)
    assert run.stdout == "[1.0, 1.0]\n"
    assert run.stderr.count("Warning") == 1 and "mx.compile is off" in run.stderr


NO_TEMPORARY_FOLDER = """
import tempfile
def none(): raise FileNotFoundError(2, "No usable temporary directory found")
tempfile._get_default_tempdir = none
"""


@linux
@pytest.mark.parametrize("cache", ["usable", "not usable"])
def test_without_a_temporary_folder_there_is_at_most_a_warning(tmp_path, cache):
    if cache == "not usable":
        (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in ("MLXGAN_TMPDIR", "TMPDIR")}
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache") if cache == "not usable" else os.environ["XDG_CACHE_HOME"]
    command = [sys.executable, "-c", NO_TEMPORARY_FOLDER + IMPORT]
    environment["TMPDIR"] = str(tmp_path / "nowhere")
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout == "8.0\n", run.stderr
    said = ["OpenBLAS could not be loaded", "MLX cannot build kernels here"]
    assert [line for line in said if line in run.stderr] == (said if cache == "not usable" else [])
    assert "Traceback" not in run.stderr


NO_PROGRAMS = """
import ctypes, sys
from pathlib import Path
real = ctypes.CDLL
def refuse(name, *arguments, **options):
    if name and Path(name).is_relative_to(sys.argv[1]):
        raise OSError(f"{name}: failed to map segment from shared object")
    return real(name, *arguments, **options)
ctypes.CDLL = refuse
"""


@pytest.mark.slow
@linux
def test_a_cache_that_may_hold_no_programs_is_done_without(tmp_path):
    command = [sys.executable, "-c", NO_PROGRAMS + PRODUCT, str(tmp_path)]
    run = subprocess.run(command, env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)}, capture_output=True, text=True)
    assert run.stderr == "" and float(run.stdout) < 0.1  # a second with the reference BLAS


@linux
def test_a_temporary_folder_for_kernels_does_not_stay(tmp_path):
    (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    program = "import mlxgan, os; print(os.environ['TMPDIR'], os.path.isdir(os.environ['TMPDIR']))"
    run = python(program, XDG_CACHE_HOME=str(tmp_path / "cache"), MLXGAN_TMPDIR=str(tmp_path))
    folder, was_there = run.stdout.split()
    assert Path(folder).parent == tmp_path and was_there == "True"
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, resource.RLIM_INFINITY))
"""


@linux
def test_a_full_disk_is_named_with_its_cure(tmp_path):
    """A limit on the size of files stands for the full disk: patchelf fails in the middle of its write."""
    run = python(FULL + IMPORT, XDG_CACHE_HOME=str(tmp_path), MLXGAN_TMPDIR=str(tmp_path))
    assert run.stdout == "8.0\n" and run.stderr.count("OpenBLAS could not be loaded") == 1
    assert "patchelf" in run.stderr and "to a folder that can be written and has room" in run.stderr
    assert not cached(tmp_path)


@pytest.mark.slow
@linux
def test_two_processes_at_once_use_two_folders(tmp_path):
    program = FUSED + "print(os.environ['TMPDIR'], flush=True); sys.stdin.read()"
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, "-c", program], env=environment, **pipes) for _ in range(2)]
    folders = [process.communicate()[0].splitlines()[1] for process in both]
    assert len(set(folders)) == 2 and all(Path(folder).stat().st_mode & 0o077 == 0 for folder in folders)
