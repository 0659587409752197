"""The surroundings in which `make reproduce` runs the book.

Each row changes what another machine may have otherwise: the matrix products that OpenBLAS has for
a processor, its number of threads, the instructions that NumPy uses, locale and time zone, who may
write into the checkout, or the versions of what is installed. Python's hashes are seeded anew in
each.
"""

import json
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools.uv import uv

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / "_build" / "reproduce"

# OpenBLAS' name of a family of processors, and the instructions that it takes.
CORES = {
    "x86_64": {
        "Haswell": "AVX2",
        "SkylakeX": "AVX512F",
        "Zen": "AVX2",
        "Sandybridge": "AVX",
        "Prescott": "SSE3",
    },
    "aarch64": {"ARMV8": "ASIMD", "NEOVERSEN1": "ASIMD"},
}
# What somebody has set outside would be in force in every row.
SET_OUTSIDE = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_VERBOSE",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
)
AVX512 = ("AVX512", "X86_V4")
AVX2 = (*AVX512, "AVX2", "FMA3", "X86_V3")
NEWEST_PYTHONS = ("3.15", "3.14", "3.13", "3.12", sys._base_executable)


class UnavailableError(Exception):
    """Says what a row needs and does not have."""


@dataclass
class Row:
    """One line of the table."""

    name: str
    env: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    needs: str = ""  # an instruction of the processor
    versions: str = ""  # other ones than those of .venv: "oldest", "newest" or "pre-release"
    read_only: bool = False

    @property
    def all_env(self) -> dict[str, str]:
        """What its kernels find set beyond what this process has."""
        threads = {f"{lib}_NUM_THREADS": str(self.threads) for lib in ("OPENBLAS", "OMP", "MKL")}
        return threads | {"PYTHONHASHSEED": str(random.SystemRandom().randrange(2**32))} | self.env

    @contextmanager
    def place(self) -> Iterator[tuple[Path, Path]]:
        """Yield its Python and its checkout."""
        if self.read_only:
            with read_only_copy() as root:
                yield Path(sys.executable), root
        else:
            yield environment(self.versions) if self.versions else Path(sys.executable), ROOT


def rows() -> list[Row]:
    """List all rows: processors, then other settings, then other versions."""
    return [
        Row("here"),
        *(
            Row(f"{core}-{threads}", {"OPENBLAS_CORETYPE": core}, threads, needs)
            for core, needs in CORES.get(platform.machine().replace("AMD64", "x86_64"), {}).items()
            for threads in (1, 2)
        ),
        *(
            Row(f"no-{name}", {"NPY_DISABLE_CPU_FEATURES": " ".join(found)})
            for name, prefixes in (("AVX512", AVX512), ("AVX2", AVX2))
            if (found := dispatched(prefixes))
        ),
        Row("locale", foreign_locale() | {"TZ": "NPT-5:45"}),
        # Root may write in spite of the mode, and Python's cache would be what is written.
        Row("read-only", {"PYTHONDONTWRITEBYTECODE": "1"}, read_only=True),
        Row("oldest", versions="oldest"),
        Row("newest", versions="newest"),
        Row("pre-release", versions="pre-release"),
    ]


def dispatched(prefixes: tuple[str, ...]) -> list[str]:
    """Name the instructions that NumPy uses here where they are there, and can do without."""
    about = probe(Path(sys.executable), {})
    return [
        name
        for name in about["dispatched"]
        if name.startswith(prefixes) and about["features"][name]
    ]


def probe(python: Path, env: dict[str, str]) -> dict:
    """Ask a Python for its versions, its processor and what OpenBLAS takes it for."""
    code = """
import json, platform, sys, matplotlib, numpy
core = numpy._core if hasattr(numpy, "_core") else numpy.core
json.dump({
    "versions": [platform.python_version(), numpy.__version__, matplotlib.__version__],
    "features": core._multiarray_umath.__cpu_features__,
    "dispatched": core._multiarray_umath.__cpu_dispatch__,
}, sys.stdout)
"""
    result = subprocess.run(
        [python, "-c", code],
        env=os.environ | env | {"OPENBLAS_VERBOSE": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise UnavailableError(f"its NumPy and matplotlib cannot be imported:\n{result.stderr}")
    told = re.search(r"^Core: (.+)", result.stderr, re.MULTILINE)
    known = told and "Core not found" not in result.stderr  # else it takes the one it likes
    return json.loads(result.stdout) | {"blas": told[1] if known else "?"}


def foreign_locale() -> dict[str, str]:
    """Set a locale that writes a comma into numbers: an installed one, or one made for this."""
    folder = ENVIRONMENTS / "locale"
    made = {"LOCPATH": str(folder), "LC_ALL": "de_DE.UTF-8"}
    command = ["localedef", "-i", "de_DE", "-f", "UTF-8", folder / made["LC_ALL"]]
    try:
        listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=True)
        for name in listed.stdout.split():
            if writes_commas({"LC_ALL": name}):
                return {"LC_ALL": name}
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(command, capture_output=True, check=False)  # 1 for a warning, too
    except OSError:  # no such programs here
        pass
    return made if writes_commas(made) else {"LC_ALL": "C"}


def writes_commas(env: dict[str, str]) -> bool:
    """Say whether a locale is there, and has a comma for the decimal point."""
    code = "import locale; locale.setlocale(locale.LC_ALL, ''); print(locale.str(0.5))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() == "0,5"


@contextmanager
def read_only_copy() -> Iterator[Path]:
    """Yield a copy of the checkout that nobody may write to; raise if somebody did."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "book"
        hidden = shutil.ignore_patterns(".*", "_build", "__pycache__")
        shutil.copytree(ROOT, root, ignore=hidden)
        state = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
        for path in [root, *state]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            yield root
            # Root may write in spite of the mode.
            now = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
            if now != state:
                changed = {path for path, _ in now.items() ^ state.items()}
                raise UnavailableError(f"written into: {', '.join(sorted(map(str, changed)))}")
        finally:
            for path in [root, *root.rglob("*")]:
                if path.is_dir():
                    path.chmod(0o755)


def environment(versions: str) -> Path:
    """Make the environment of some versions, anew each time, and return its Python."""
    folder = ENVIRONMENTS / versions
    python = folder / "bin" / "python"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        make(folder, ("3.11",) if versions == "oldest" else NEWEST_PYTHONS)
        install = ["pip", "install", "--python", python]
        if versions == "oldest":
            # What pyproject.toml asks for at least, and then the rest as new as there is.
            uv(*install, "--resolution", "lowest-direct", f"{ROOT}[plot]")
            uv(*install, "ipykernel")
        else:
            allow = "allow" if versions == "pre-release" else "disallow"
            uv(*install, "--upgrade", "--prerelease", allow, f"{ROOT}[plot]", "ipykernel")
    except subprocess.CalledProcessError as error:
        raise UnavailableError("its environment could not be made, for the reason above") from error
    return python


def make(folder: Path, pythons: tuple[str, ...]) -> None:
    """Make an empty environment with the first of some Pythons that there is."""
    for number, version in enumerate(pythons, start=1):
        last = number == len(pythons)
        try:
            uv("venv", "--python", version, folder, stderr=None if last else subprocess.DEVNULL)
            return
        except subprocess.CalledProcessError:
            if last:
                raise
