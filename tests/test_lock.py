"""What is installed is what is locked, down to the last package, and nothing else."""

import re
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.update import PIN, versions

ROOT = Path(__file__).resolve().parents[1]
# pip comes with Python, and the READMEs say how to add what gradnb is compared with.
NOT_LOCKED = {"gradnb", "pip"}
ADDED_BY_HAND = {"torch", "scikit-learn", "jax"}


def locked(text):
    """Return the version that a constraints.txt holds for this Python, by name."""
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    pins = [Requirement(line) for line in lines]
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pins
        if not pin.marker or pin.marker.evaluate()
    }


def installed():
    # By folder, since setuptools puts packages of its own on the path of a process that uses it.
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    there = metadata.distributions(path=folders)
    return {canonicalize_name(found.name): found.version for found in there}


def brought_by(names):
    """Return these packages with all that they need, as far as it is installed."""
    there = installed().keys()
    found, waiting = set(), {canonicalize_name(name) for name in names} & there
    while waiting:
        found.add(name := waiting.pop())
        needs = [Requirement(need) for need in metadata.requires(name) or ()]
        wanted = [need for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
        waiting |= {canonicalize_name(need.name) for need in wanted} & there - found
    return found


def unlocked(installed, locked):
    """Say of each package that is installed how the lock does not cover it."""
    return [
        f"{name} {version} is installed, and constraints.txt has {locked.get(name, 'no line')}"
        for name, version in sorted(installed.items())
        if locked.get(name) != version
    ]


def problems_of_pins(requirements, locked):
    """Say which lines of requirements.txt do not pin one version, the one that is locked."""
    for line in requirements.splitlines():
        bare = line.partition("#")[0].strip()
        if not bare or bare.startswith("-"):
            continue
        if not re.fullmatch(PIN.pattern + r"(\s*;.*)?", bare) or "*" in bare:
            yield f"{bare!r} does not pin one version: write name==version"
            continue
        ((name, (version,)),) = versions(bare).items()
        if locked.get(name) != version:
            there = locked.get(name, "no line")
            yield f"{bare}, and constraints.txt has {there}: run `make lock`"


def test_everything_installed_is_locked():
    pins = locked((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    apart = brought_by(ADDED_BY_HAND) - pins.keys()
    there = {
        name: version
        for name, version in installed().items()
        if name not in NOT_LOCKED and name not in apart
    }
    assert len(there) > 100
    assert not (found := unlocked(there, pins)), "\n".join(
        [
            *found,
            "If requirements.txt brings it, run `make lock`. What you installed yourself belongs "
            "elsewhere: `make clean` removes it.",
        ]
    )


def test_requirements_pin_the_locked_versions():
    pins = locked((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert not (found := list(problems_of_pins(requirements, pins))), "\n".join(found)


LOCK = """\
# made by make lock
flit-core==4.2.0
contourpy==1.3.3 ; python_full_version < '3.12'
contourpy==1.4.0 ; python_full_version >= '3.12'
    # via matplotlib
ruff==0.17.6
pywinpty==3.1.2 ; os_name == 'nt'
"""


def test_markers_choose_the_line():
    pins = locked(LOCK)
    assert pins.keys() == {"flit-core", "contourpy", "ruff"}
    assert pins["contourpy"] in {"1.3.3", "1.4.0"}


@pytest.mark.parametrize(
    ("package", "version", "said"),
    [
        ("flit-core", "4.2.0", None),
        ("flit-core", "4.1.0", "flit-core 4.1.0 is installed, and constraints.txt has 4.2.0"),
        ("uv", "0.13.9", "uv 0.13.9 is installed, and constraints.txt has no line"),
        ("pywinpty", "3.1.2", "pywinpty 3.1.2 is installed, and constraints.txt has no line"),
    ],
)
def test_a_package_that_the_lock_does_not_cover_is_found(package, version, said):
    assert unlocked({package: version}, locked(LOCK)) == ([said] if said else [])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Flit_Core==4.2.0  # builds", None),
        ("ruff==0.17.6 ; python_version > '3.10'", None),
        ("flit-core==4.1.0", "flit-core==4.1.0, and constraints.txt has 4.2.0"),
        ("uv==0.13.9", "uv==0.13.9, and constraints.txt has no line"),
        ("flit-core", "does not pin"),
        ("flit-core>=4.2.0", "does not pin"),
        ("flit-core==4.*", "does not pin"),
        ("flit-core==4.2.0,<5", "does not pin"),
    ],
)
def test_a_loose_pin_is_found(line, said):
    found = list(problems_of_pins(f"# the book\n-e .\n{line}\n", locked(LOCK)))
    assert len(found) == bool(said)
    assert not said or said in found[0]
