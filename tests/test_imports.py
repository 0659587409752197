"""What may import what; and the examples in the docstrings."""

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import gradnb

PACKAGE = Path(gradnb.__file__).parent

MAY_IMPORT = {
    "__init__": {"claims", "datasets", "init", "layers", "losses", "module", "monitor", "network"}
    | {"numerical", "optim"},
    "alarms": set(),
    "attach": set(),
    "checks": {"numpy"},
    "claims": set(),
    "datasets": {"numpy"},
    "hooks": set(),
    "init": {"numpy"},
    "jsonlines": set(),
    "layers": {"numpy", "module", "init"},
    "losses": {"numpy"},
    "measure": {"numpy"},
    "module": {"numpy", "hooks"},
    "monitor": {"numpy", "alarms", "attach", "jsonlines", "measure", "nonfinite"} | {"records"},
    "network": {"numpy", "module", "layers", "init"},
    "nonfinite": {"measure"},
    "numerical": {"numpy", "module"},
    "optim": {"numpy", "optimizer"},
    "optimizer": {"module", "hooks"},
    "records": {"numpy"},
    "plotting": {"numpy", "matplotlib", "matplotlib_inline"},
}
"""Beside the standard library, and `checks`, which all but `claims` may import."""


def imported(path):
    """Yield the top-level package, or the module of gradnb, of every import in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            names = [node.module]
            if node.module == "gradnb":
                names = [f"gradnb.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            top, *rest = name.split(".")
            yield rest[0] if top == "gradnb" and rest else top


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_a_module_imports_only_what_it_may(path):
    assert path.stem in MAY_IMPORT, f"say in MAY_IMPORT what {path.name} may import"
    allowed = MAY_IMPORT[path.stem] | (set() if path.stem == "claims" else {"checks"})
    assert set(imported(path)) - sys.stdlib_module_names <= allowed


def test_import_gradnb_brings_numpy_and_nothing_else():
    code = (
        "import sys, numpy; before = set(sys.modules); import gradnb; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    new = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    ).stdout.split()
    assert set(new) - sys.stdlib_module_names - {"numpy"} == {"gradnb"}


def test_all_is_complete_and_true():
    public = {name for name in vars(gradnb) if not name.startswith("_")}
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert set(gradnb.__all__) <= public
    assert public - modules <= set(gradnb.__all__), "exported by __init__ but not in __all__"


@pytest.mark.parametrize("name", sorted(set(MAY_IMPORT) - {"plotting"}))
def test_docstring_examples(name):
    module = importlib.import_module("gradnb" if name == "__init__" else f"gradnb.{name}")
    result = doctest.testmod(module)
    assert result.failed == 0
    examples = {"claims", "datasets", "layers", "losses", "monitor", "network"}
    examples |= {"numerical", "optim"}
    assert (result.attempted > 0) == (name in examples)
