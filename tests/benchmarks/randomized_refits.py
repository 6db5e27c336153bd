"""How much of NEMt's map is the network's? A decoder is fitted anew on ever more randomized copies of a classifier.

The sanity check of Adebayo et al. (NeurIPS 2018, cascading, from the output down), with the fit repeated for every
copy: prints the mean rank correlation (Spearman) of the maps with those for the trained network, and, to compare with,
that of a fit with another seed on the trained network, and that of the decoder which is left as it was.
"""

import argparse

from xaibench.benchmark.cpu import prepare_cpu
from xaibench.benchmark.metrics.parameter_randomization import randomized
from xaibench.benchmark.metrics.similarity import rank_similarity
from xaibench.datasets import Case, CaseBatch, SyntheticLesions, TargetRule, targets_of
from xaibench.explainers import Classifier, Explainer, NemtExplainer, load_classifier

NAME = "builtin:lesions_multilabel"


def cases_of(classifier: Classifier, *, n_images: int) -> CaseBatch:
    """Every finding of some test images."""
    dataset = SyntheticLesions(task="multilabel", split="test", n_images=n_images)
    samples = [dataset[index] for index in range(n_images)]
    return CaseBatch.of(
        [
            Case(sample=sample, target=target)
            for sample in samples
            for target in targets_of(sample, task=classifier.task, rule=TargetRule.LABEL)
        ]
    )


def main() -> None:
    """Fit, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", type=int, default=3, help="groups of layers that are randomized one after another")
    parser.add_argument("--steps", type=int, default=200, help="of each fit")
    parser.add_argument("--images", type=int, default=48, help="test images")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    arguments = parser.parse_args()
    prepare_cpu(threads=arguments.threads)
    classifier = load_classifier(NAME)[0]
    batch = cases_of(classifier, n_images=arguments.images)
    images = SyntheticLesions(task="multilabel", split="train", n_images=3000)

    def fitted(on: Classifier, *, seed: int) -> NemtExplainer:
        explainer = NemtExplainer(on, steps=arguments.steps, seed=seed)
        explainer.fit(images, progress=True)
        return explainer

    first = fitted(classifier, seed=0)
    maps = first.explain(batch.images, batch.targets)

    def compare(name: str, other: Explainer) -> None:
        similarity = rank_similarity(maps, other.explain(batch.images, batch.targets))
        print(f"{name}: rank correlation {similarity.mean():.3f} (n = {len(similarity)})", flush=True)

    compare("another seed, the same network", fitted(classifier, seed=1))
    for stage, copy in enumerate(randomized(first, order="top_down", stages=arguments.stages), start=1):
        randomization = f"{stage} of {arguments.stages} stages randomized"
        compare(f"{randomization}, fitted anew", fitted(copy.classifier, seed=0))
        compare(f"{randomization}, decoder as it was", copy)


if __name__ == "__main__":
    main()
