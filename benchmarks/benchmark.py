"""Measure gradnb beside its peers, in one run: `python benchmarks/benchmark.py`.

README.md, in this folder, says what is measured, how, and how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

SECTIONS = ("steps", "numerical", "import", "memory", "monitor")
ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "NPROC": "1",  # the thread pool of JAX
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
}


def main(arguments=None):
    options = parse(arguments)
    os.environ.update(ONE_THREAD)  # read when NumPy and its peers are imported, so before
    import contestants
    import report
    import sections

    needs = contestants.NEEDS
    names = [name for name in contestants.CONTESTANTS if name not in needs]
    if not options.numpy_only:
        names += [name for name, module in needs.items() if find_spec(module)]
    results = {"environment": environment()}
    print(*(f"{key}: {value}" for key, value in results["environment"].items()), sep="\n")
    write = report.summary if options.markdown else report.everything
    for section in options.only:
        results[section] = list(sections.SECTIONS[section](names, options.quick))
        print(f"\n{section}\n\n{write(results[section])}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    wrong = {
        record["contestant"]
        for record in results.get("steps", ())
        if record.get("not timed", "").startswith("WRONG")
    }
    return f"not timed, because it computes another step: {', '.join(wrong)}" if wrong else None


def environment():
    """Return what the numbers depend on, without a name or a path of the machine."""
    import gradnb

    versions = {"Python": platform.python_version(), "gradnb": gradnb.__version__}
    for package in ("numpy", "torch", "jax", "scikit-learn"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions | {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": 1,
        "BLAS of NumPy": blas(),
    }


def processor():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or "unknown"


def blas():
    import numpy as np

    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    name = f"{built['name']} {built['version']}"
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return name
    kernels = [f"{b['architecture']} kernels" for b in threadpool_info() if "architecture" in b]
    return ", ".join([name, *kernels[:1]])


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds of the smallest net")
    parser.add_argument("--numpy-only", action="store_true", help="leave the other libraries out")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=SECTIONS,
        metavar="SECTION,…",
        help=f"some of {','.join(SECTIONS)}",
    )
    parser.add_argument("--markdown", action="store_true", help="medians only, as for a README")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    options = parser.parse_args(arguments)
    if unknown := set(options.only) - set(SECTIONS):
        parser.error(f"unknown section: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
