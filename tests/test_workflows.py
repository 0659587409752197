"""The workflows call what there is."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def commands(path):
    """Return the shell lines of a workflow, and those of the scripts of ours that it calls."""
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    lines = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    scripts = [ROOT / name for name in re.findall(r"^\.ci/\w+", "\n".join(lines), re.MULTILINE)]
    return "\n".join([*lines, *(script.read_text(encoding="utf-8") for script in scripts)])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_calls_targets_that_exist(path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    there = set(re.findall(r"^([\w-]+):(?!=)", makefile, re.MULTILINE))
    called = set(re.findall(r"^ *make ([\w-]+)", commands(path), re.MULTILINE))
    assert called, "it calls no make: is this test out of date?"
    assert not called - there, "the Makefile has no such target"
