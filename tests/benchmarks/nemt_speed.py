"""How much more than a prediction does a prediction with its explanation cost?

Prints the ratio of NEMt's one pass (scores and masks) to the classifier's plain forward pass, measured alternately in
one run, so that a noisy machine disturbs both alike.
"""

import argparse
from statistics import median

import torch

from xaibench.benchmark.clock import device_name, timed
from xaibench.benchmark.runner import choose_device
from xaibench.datasets import SyntheticLesions, Task
from xaibench.explainers import Architecture, Classifier, NemtExplainer


def main() -> None:
    """Measure and print one line per network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["tf_efficientnet_lite0"], help="timm models")
    parser.add_argument("--size", type=int, default=224, help="image side in pixels")
    parser.add_argument("--batch", type=int, default=16, help="images per call")
    parser.add_argument("--repeats", type=int, default=15, help="timed pairs")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = choose_device(arguments.device)
    print(f"{device_name(device)}, {arguments.threads} threads, batch {arguments.batch}, {arguments.size} px")
    for model in arguments.models:
        network = Architecture(type="timm", params={"model": model}).build(7, 3)
        classifier = Classifier(
            network.module,
            task=Task.MULTICLASS,
            output_names=[f"output{k}" for k in range(7)],
            mean=network.mean,
            std=network.std,
            image_size=arguments.size,
        ).to(device)
        explainer = NemtExplainer(classifier, finest_stride=4, steps=1, batch_size=2)
        explainer.fit(SyntheticLesions(split="train", n_images=2, image_size=arguments.size))
        images = torch.rand(arguments.batch, 3, arguments.size, arguments.size, device=device)
        pairs = []
        for _ in range(arguments.repeats + 2):
            with torch.no_grad():
                plain = timed(lambda: classifier.scores(images), device=device)  # noqa: B023 - called at once
            both = timed(lambda: explainer.explain_with_scores(images), device=device)  # noqa: B023
            if not torch.equal(plain.result, both.result[1]):
                raise SystemExit("the prediction differs")
            pairs.append((plain.seconds, both.seconds))
        pairs = pairs[2:]  # the first ones warm up
        ratio = median(both / plain for plain, both in pairs)
        print(
            f"{model}: forward {1000 * median(p for p, _ in pairs):.1f} ms, prediction and mask "
            f"{1000 * median(b for _, b in pairs):.1f} ms, ratio {ratio:.3f}"
        )


if __name__ == "__main__":
    main()
