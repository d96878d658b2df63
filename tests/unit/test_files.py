"""Files that are there are whole, and a folder has one writer at a time."""

import mlxgan  # noqa: F401  (before mlx.core)
from mlxgan import files

import errno
import os
import subprocess
import sys
from unittest.mock import Mock

import pytest


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    with files.part_of(path) as part:
        part.write_text("half", encoding="utf-8")
        assert not path.exists() and part.parent == tmp_path and part.suffix == ".txt"
    assert path.read_text(encoding="utf-8") == "half" and list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_nothing_and_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(ZeroDivisionError), files.part_of(path) as part:
        part.write_text("half", encoding="utf-8")
        1 / 0  # noqa: B018
    assert path.read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [path]


def test_two_writers_at_once_both_write_whole_files(tmp_path):
    """Names of unfinished files are their own, so one writer cannot rename the other's half."""
    path = tmp_path / "a.txt"
    with files.part_of(path) as first, files.part_of(path) as second:
        assert first != second
        first.write_text("1" * 1000, encoding="utf-8")
        second.write_text("2" * 1000, encoding="utf-8")
    assert path.read_text(encoding="utf-8") in ("1" * 1000, "2" * 1000) and list(tmp_path.iterdir()) == [path]


def test_a_link_with_a_likely_name_is_not_followed(tmp_path):
    target = tmp_path / "target"
    target.write_text("mine", encoding="utf-8")
    for name in (".part-a.txt", "a.txt"):
        (tmp_path / name).symlink_to(target)
    with files.part_of(tmp_path / "a.txt") as part:
        part.write_text("new", encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "mine" and (tmp_path / "a.txt").read_text(encoding="utf-8") == "new"
    assert not (tmp_path / "a.txt").is_symlink()


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the names of open files")
def test_what_is_renamed_is_on_the_disk_and_its_folder_too(tmp_path, monkeypatch):
    done = []
    real_fsync, real_replace = os.fsync, type(tmp_path).replace
    monkeypatch.setattr(os, "fsync", lambda fd: done.append(os.readlink(f"/proc/self/fd/{fd}")) or real_fsync(fd))
    monkeypatch.setattr(type(tmp_path), "replace", lambda a, b: done.append("rename") or real_replace(a, b))
    with files.part_of(tmp_path / "a.txt") as part:
        part.write_text("new", encoding="utf-8")
    assert done == [str(part), "rename", str(tmp_path)]


@pytest.mark.parametrize(("number", "raises"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_that_cannot_sync_a_folder_is_no_error(tmp_path, monkeypatch, number, raises):
    def fail(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    if raises:
        with pytest.raises(OSError, match=f"Input/output error: '{tmp_path}'"):
            files.sync(tmp_path)
    else:
        files.sync(tmp_path)


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(files.fcntl, "flock", Mock(side_effect=OSError(errno.ENOLCK, "No locks available")))
    with pytest.raises(OSError, match=f"{tmp_path}: No locks available"), files.locked(tmp_path):
        pass


def test_no_descriptor_stays_open(tmp_path):
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        with files.locked(tmp_path), files.part_of(tmp_path / "a.txt") as part:
            part.write_text("new", encoding="utf-8")
    assert len(os.listdir("/dev/fd")) == before


def test_a_folder_to_be_locked_is_made_with_those_around_it(tmp_path):
    for _ in range(2):
        with files.locked(tmp_path / "new" / "inner"):
            assert (tmp_path / "new" / "inner").is_dir()


def test_a_folder_has_one_writer(tmp_path):
    program = f"from mlxgan import files; from pathlib import Path\nwith files.locked(Path({str(tmp_path)!r})): pass"
    with files.locked(tmp_path):
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert run.returncode == 1 and f"{tmp_path}: another process is writing there" in run.stderr
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
