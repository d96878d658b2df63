"""Say in one line what this machine lacks, if anything. Runs on any Python 3, before anything is installed."""

import platform
import sys


def missing():
    """What is missing here, or None."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 14):
        return "Python 3.11, 3.12, 3.13 or 3.14 is needed, this is %s" % platform.python_version()
    system, machine = platform.system(), platform.machine()
    if system == "Darwin":
        if machine != "arm64":
            return (
                "a Mac with Apple silicon is needed (and a native Python, not one under Rosetta), this is %s" % machine
            )
        if int(platform.mac_ver()[0].split(".")[0]) < 14:
            return "macOS 14 or later is needed, this is %s" % platform.mac_ver()[0]
    elif system == "Linux":
        if machine not in ("x86_64", "aarch64"):
            return "an x86-64 or arm64 processor is needed, this is %s" % machine
        libc, version = platform.libc_ver()
        if libc != "glibc" or tuple(map(int, version.split(".")[:2])) < (2, 35):
            return "glibc 2.35 or later is needed, this is %s" % (" ".join([libc, version]).strip() or "another libc")
    else:
        return "macOS 14 or Linux is needed, this is %s" % (system or "unknown")
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        return "Python's module %s is missing (on Debian and Ubuntu: apt install python3-venv)" % error.name
    return None


if __name__ == "__main__":
    if sys.argv[1:] in (["-h"], ["--help"]):
        print("usage: check_machine.py [-h]\n\n" + __doc__)
    elif sys.argv[1:]:
        sys.stderr.write("check_machine.py: unrecognized arguments: %s\n" % " ".join(sys.argv[1:]))
        sys.exit(2)
    elif missing():
        sys.exit("This book cannot run here: %s." % missing())
