"""Peak memory of `xaibench run quick`, and whether it grows with the number of cases.

Runs the suite in processes of their own with its images, and with ten times as many, and prints the peak resident set
of each.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from xaibench.benchmark.suite_files import load_suite

_CHILD = """
import sys, pathlib, resource
from xaibench.benchmark.cpu import prepare_cpu
from xaibench.benchmark.runner import run_suite
from xaibench.benchmark.suite_files import load_suite
prepare_cpu(threads=None)  # as the command does
suite = load_suite("quick")
name, spec = next(iter(suite.datasets.items()))
spec = spec.model_copy(update={"params": {**spec.params, "n_images": int(sys.argv[2])}})
run_suite(suite.model_copy(update={"datasets": {name: spec}}), run_dir=pathlib.Path(sys.argv[1]), device="cpu")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 10], help="multiples of the suite's images")
    arguments = parser.parse_args()
    (spec,) = load_suite("quick").datasets.values()
    unit = 1024 if sys.platform == "darwin" else 1  # ru_maxrss is in bytes on macOS, in KiB elsewhere
    for factor in arguments.factors:
        with tempfile.TemporaryDirectory() as folder:
            n_images = factor * spec.params["n_images"]
            command = [sys.executable, "-c", _CHILD, str(Path(folder) / "run"), str(n_images)]
            peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / unit
        print(f"{n_images} images: peak {peak / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
