"""Images per second that synthetic_radiographs makes on one core.

python tests/benchmarks/synthetic_radiographs_speed.py --help
"""

import argparse
import statistics
import sys
import time

from xaibench.datasets import SyntheticRadiographs


def images_per_second(dataset: SyntheticRadiographs, *, repeats: int) -> tuple[float, float]:
    """Median and best of several passes over the dataset, one image at a time; the first pass is not counted."""
    rates = []
    for _ in range(repeats + 1):
        # Processor time, so that neighbours on a shared machine do not count.
        start = time.process_time()
        for index in range(len(dataset)):
            dataset[index]
        rates.append(len(dataset) / (time.process_time() - start))
    return statistics.median(rates[1:]), max(rates[1:])


def main() -> None:
    """Print one line per task and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    for task in ("pathology", "findings", "severity"):
        for size in options.sizes:
            dataset = SyntheticRadiographs(task=task, n_images=options.images, image_size=size)
            median, best = images_per_second(dataset, repeats=options.repeats)
            sys.stdout.write(f"{task:<10} {size:>4} px: {median:6.0f} images/s (best pass {best:.0f})\n")


if __name__ == "__main__":
    main()
