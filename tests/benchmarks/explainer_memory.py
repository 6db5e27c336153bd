"""Peak memory of every explainer: a batch of 16 images at 224 px through ResNet-50, against a bound of 6 GiB.

Each explainer runs in a process of its own, on the CPU, where everything that a call holds is resident. Printed are the
largest resident sets (VmHWM, Linux) of its fit and of its call, the libraries, the network and its images included.
Parameters that only repeat passes are cut down; what decides how many images go through at once is left as it is.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from xaibench.datasets import SyntheticLesions, Task
from xaibench.explainers import EXPLAINERS, Architecture, Classifier

BOUND_MIB = 6 * 1024
# Enough to fill a pass, and no more.
_FEW: dict[str, dict[str, Any]] = {
    "integrated_gradients": {"steps": 2},
    "expected_gradients": {"samples": 32, "backgrounds": 8},
    "rise": {"masks": 32},
    "relax": {"masks": 32},
    "u_relax": {"masks": 32},
    "lime": {"samples": 32},
    "kernel_shap": {"samples": 32},
    "occlusion": {"window": 0.5, "stride": 0.25},
    "extremal_perturbation": {"steps": 1},
    "meaningful_perturbation": {"steps": 1},
    # 64 channels in the place of 2,048.
    "scorecam": {"layer": "bn1"},
}
# They take images one after the other: a third one would use the memory of the first two again.
_ONE_BY_ONE = frozenset(
    {"smoothgrad", "vargrad", "gradient_shap", "expected_gradients", "rise", "relax", "u_relax", "lime", "kernel_shap"}
    | {"scorecam"}
)


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Fit and explain in this process.

    Returns:
        ``fit_mib`` (None without a fit) and ``explain_mib``; or ``skipped``, why it cannot explain the network.
    """
    torch.manual_seed(0)
    torch.set_num_threads(arguments.threads)
    data = SyntheticLesions(split="train", n_images=arguments.batch, image_size=arguments.size)
    network = Architecture(type="timm", params={"model": arguments.model}).build(len(data.info.output_names), 3)
    classifier = Classifier(
        network.module,
        task=Task.MULTICLASS,
        output_names=data.info.output_names,
        mean=network.mean,
        std=network.std,
        image_size=arguments.size,
    )
    reason = EXPLAINERS.get(name).unsupported(classifier)  # type: ignore[attr-defined]
    if reason is not None:
        return {"skipped": reason}
    params = dict(_FEW.get(name, {}))
    if EXPLAINERS.get(name).needs_fit and "steps" in EXPLAINERS.params(name):  # type: ignore[attr-defined]
        params |= {"steps": 1, "batch_size": arguments.batch}
    explainer = EXPLAINERS.create(name, classifier, **params)
    fit_mib = None
    if explainer.needs_fit:
        reset_peak()
        explainer.fit(data)
        fit_mib = peak_mib()
    images = torch.stack([data[index].image for index in range(arguments.batch)])
    targets = torch.arange(arguments.batch) % len(data.info.output_names)
    gt_masks = torch.ones(len(images), *images.shape[-2:], dtype=torch.bool)
    n_images = 2 if name in _ONE_BY_ONE else len(images)
    reset_peak()
    explainer.explain(images[:n_images], targets[:n_images], gt_masks=gt_masks[:n_images])
    return {"fit_mib": fit_mib, "explain_mib": peak_mib()}


def reset_peak() -> None:
    """Let the kernel forget the largest resident set of this process."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """Largest resident set of this process since `reset_peak`, in MiB."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--explainers", nargs="+", default=list(EXPLAINERS), choices=list(EXPLAINERS))
    parser.add_argument("--model", default="resnet50", help="timm model, with random weights")
    parser.add_argument("--size", type=int, default=224, help="image side in pixels")
    parser.add_argument("--batch", type=int, default=16, help="images per call, and per step of a fit")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.explainers[0], arguments)))
        return
    print(f"{'explainer':<24} {'fit MiB':>8} {'peak MiB':>9}  over {BOUND_MIB / 1024:.0f} GiB?")
    for name in arguments.explainers:
        settings = [f"--{key}={getattr(arguments, key)}" for key in ("model", "size", "batch", "threads")]
        command = [sys.executable, __file__, "--child", "--explainers", name, *settings]
        child = subprocess.run(command, capture_output=True, text=True)
        print(line_of(name, child), flush=True)


def line_of(name: str, child: subprocess.CompletedProcess[str]) -> str:
    """Line of the table for a child that has ended."""
    if child.returncode:
        return f"{name:<24} failed: {(child.stderr.strip().splitlines() or [f'signal {-child.returncode}'])[-1]}"
    found = json.loads(child.stdout.splitlines()[-1])
    if "skipped" in found:
        return f"{name:<24} skipped: {found['skipped']}"
    fit = f"{found['fit_mib']:.0f}" if found["fit_mib"] is not None else ""
    is_over = max(found["fit_mib"] or 0, found["explain_mib"]) > BOUND_MIB
    return f"{name:<24} {fit:>8} {found['explain_mib']:>9.0f}  {'YES' if is_over else 'no'}"


if __name__ == "__main__":
    main()
