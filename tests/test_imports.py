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
    "__init__": {
        "claims",
        "comparison",
        "datasets",
        "doctor",
        "init",
        "layers",
        "log",
        "losses",
        "module",
    }
    | {"monitor", "network", "numerical", "optim", "passes", "scores"},
    "activations": {"numpy", "module"},
    "adam": {"numpy", "optimizer"},
    "adaptive": {"numpy", "optimizer"},
    "alarms": set(),
    "attach": set(),
    "chain": {"numpy", "layers", "losses", "network"},
    "checks": {"numpy"},
    "claims": set(),
    "clipping": {"numpy", "module", "optimizer"},
    "comparison": {"numpy"},
    "dashboard": {"numpy", "matplotlib", "plotting"},
    "datasets": {"numpy"},
    "differences": {"numpy"},
    "doctor/__init__": {"doctor"},
    "doctor/curvature": {"numpy"},
    "doctor/diagnosis": {"numpy", "doctor", "memory", "module"},
    "doctor/differences": {"numpy", "doctor"},
    "doctor/observation": {"numpy", "measure"},
    "doctor/order": {"doctor"},
    "doctor/preserved": {"numpy"},
    "doctor/remedies": set(),
    "doctor/report": {"doctor", "jsonlines"},
    "doctor/rest": {"numpy", "doctor"},
    "doctor/signs_backward": {"numpy", "doctor"},
    "doctor/signs_buffers": {"numpy", "doctor"},
    "doctor/signs_depth": {"numpy", "doctor"},
    "doctor/signs_numbers": {"numpy", "doctor"},
    "doctor/signs_penalty": {"numpy", "doctor"},
    "doctor/signs_rest": {"numpy", "doctor"},
    "doctor/signs_units": {"numpy", "doctor"},
    "doctor/signs_unreached": {"numpy", "doctor"},
    "doctor/signs_weights": {"numpy", "doctor"},
    "doctor/subject": {"numpy", "differences", "doctor", "layers", "network"},
    "doctor/torch_again": {"numpy", "doctor", "measure", "torch"},
    "doctor/torch_checks": {"torch"},
    "doctor/torch_gradients": {"measure", "torch"},
    "doctor/torch_layout": {"numpy", "torch"},
    "doctor/torch_preserved": {"doctor", "torch"},
    "doctor/torch_stages": {"numpy", "doctor", "measure", "torch"},
    "doctor/torch_subject": {"numpy", "doctor", "measure", "torch"},
    "gradcheck_report": set(),
    "gradient_check": {
        *("numpy", "chain", "differences", "gradcheck_report", "kinks", "module", "whole_network"),
    },
    "flowchart": {"matplotlib", "plotting"},
    "hooks": set(),
    "init": {"numpy"},
    "jsonlines": set(),
    "kinks": {"numpy", "differences"},
    "layers": {"numpy", "module", "init", "activations", "normalization"},
    "log": {"numpy", "records"},
    "losses": {"numpy"},
    "measure": {"numpy"},
    "memory": {"numpy"},
    "meter": {"numpy", "measure"},
    "module": {"numpy", "hooks", "state"},
    "network": {"numpy", "module", "layers", "init", "recurrent"},
    "monitor": {
        *("numpy", "alarms", "attach", "jsonlines", "measure", "meter", "nonfinite", "records"),
    },
    "nonfinite": {"measure"},
    "normalization": {"numpy", "module"},
    "numerical": {
        *("differences", "gradcheck_report", "gradient_check", "second_differences"),
        "whole_network",
    },
    "optim": {"numpy", "adam", "adaptive", "clipping", "optimizer", "schedules"},
    "optimizer": {"module", "hooks"},
    "records": {"numpy", "dashboard"},
    "passes": {"network"},
    "plotting": {"numpy", "matplotlib", "matplotlib_inline"},
    "recurrent": {"numpy", "module", "init"},
    "schedules": {"optimizer"},
    "scores": set(),
    "second_differences": {"numpy", "differences"},
    "state": {"numpy"},
    "whole_network": {"numpy", "chain", "differences", "memory", "module"},
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


def module_name(path):
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=module_name)
def test_a_module_imports_only_what_it_may(path):
    name = module_name(path)
    assert name in MAY_IMPORT, f"say in MAY_IMPORT what {name} may import"
    allowed = MAY_IMPORT[name] | (set() if name == "claims" else {"checks"})
    assert set(imported(path)) - sys.stdlib_module_names <= allowed


def modules_after(code):
    """Return what a fresh interpreter has imported after the code, but for the standard library."""
    code += "; import sys; print(*{name.split('.')[0] for name in sys.modules})"
    printed = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    ).stdout
    return set(printed.split()) - sys.stdlib_module_names - {"__main__"}


def test_gradnb_brings_numpy_and_nothing_else():
    numpy = modules_after("import numpy.random")
    assert modules_after("import gradnb") <= numpy | {"gradnb"}
    assert {"numpy", "gradnb"} <= modules_after("from gradnb import *") <= numpy | {"gradnb"}


def test_every_name_is_there():
    listed = (
        {path.stem for path in PACKAGE.glob("*.py")}
        | {"doctor"}
        | set(gradnb.__all__)
        | {"__version__"}
    )
    assert set(dir(gradnb)) <= listed
    assert set(gradnb.__all__) <= set(dir(gradnb))
    assert len(gradnb.__all__) == len(set(gradnb.__all__))
    for name in dir(gradnb):
        assert getattr(gradnb, name) is not None
    for module, names in gradnb._HOME.items():
        for name in names:
            assert getattr(gradnb, name) is getattr(getattr(gradnb, module), name)
    for path in PACKAGE.glob("[a-z]*.py"):
        assert getattr(gradnb, path.stem).__name__ == f"gradnb.{path.stem}"
    with pytest.raises(AttributeError, match="module 'gradnb' has no attribute 'Conv2d'"):
        gradnb.Conv2d  # noqa: B018
    assert not hasattr(gradnb, "__wrapped__")


def test_editors_read_the_same_names():
    """They cannot run ``__getattr__``, so the names stand under TYPE_CHECKING a second time."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    read = {}
    for node in block.body:
        read.setdefault(node.module, set()).update(alias.name for alias in node.names)
    lazy = {f"gradnb.{module}": set(names) for module, names in gradnb._HOME.items()}
    assert read == lazy | {"gradnb": {"claims", "datasets", "init"}}


@pytest.mark.parametrize(
    "name", sorted(n for n in MAY_IMPORT if n != "plotting" and "torch" not in MAY_IMPORT[n])
)
def test_docstring_examples(name):
    dotted = f"gradnb.{name}".replace("/", ".").removesuffix(".__init__")
    module = importlib.import_module(dotted)
    result = doctest.testmod(module)
    assert result.failed == 0
    assert (result.attempted > 0) == (">>>" in Path(module.__file__).read_text(encoding="utf-8"))
