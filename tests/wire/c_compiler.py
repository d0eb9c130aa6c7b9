"""The machine's C compiler, for the tests and for ``make check``, where no warning is let through.

Run as ``python -m tests.wire.c_compiler``.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FRAMES = ROOT / "wire" / "frames_native.c"
SOURCES = (FRAMES, *sorted((ROOT / "benchmarks" / "peers").glob("*.c")))

STRICT = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror")
SANITIZED = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def find_compiler() -> list[str] | None:
    """Return the command of the compiler, if there are one and Python's headers."""
    command = shlex.split(os.environ.get("CC") or "cc")
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return command if shutil.which(command[0]) and headers.is_file() else None


def compile_c(compiler: list[str], source: Path, output: Path, *flags: str) -> None:
    """Compile a source to an object or a shared library.

    Raises:
        subprocess.CalledProcessError: If the compiler says a word against it.
    """
    include = f"-I{sysconfig.get_path('include')}"
    subprocess.run([*compiler, include, *flags, "-o", str(output), str(source)], check=True)


def library(compiler: list[str], name: str) -> str | None:
    """Return the path of one of the compiler's own shared libraries, if it has it."""
    command = [*compiler, f"-print-file-name={name}"]
    path = subprocess.run(command, check=True, text=True, capture_output=True).stdout.strip()
    return path if Path(path).is_absolute() else None


def main() -> int:
    """Compile every source strictly, and keep nothing of it."""
    compiler = find_compiler()
    if compiler is None:
        print("No C compiler, or no Python.h: the C sources are not checked.", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for source in SOURCES:
            try:
                compile_c(compiler, source, Path(folder, "object.o"), *STRICT, "-c")
            except subprocess.CalledProcessError:
                return 1
    print(f"{len(SOURCES)} C sources: no warnings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
