"""The contract on a GPU: same answers, same cleanliness."""

from collections.abc import Iterator
from typing import get_args

import pytest
import torch

from xaibench.explainers import CONTROLS, EXPLAINERS, Architecture, Classifier, NemtExplainer
from xaibench.explainers.augmentation import AugmentName, augmented
from xaibench.explainers.nem.removal import draw_removals
from xaibench.explainers.nem.want_of_evidence import asked_by_pattern
from xaibench.explainers.randomness import preserved_random_state

pytestmark = pytest.mark.gpu

NAMES = list(EXPLAINERS)


@pytest.fixture(autouse=True)
def exact_arithmetic() -> Iterator[None]:
    """Without TF32 and with one algorithm per convolution, so that CPU and GPU can be compared."""
    conv, matmul, deterministic = (
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.deterministic,
    )
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = conv, matmul
    torch.backends.cudnn.deterministic = deterministic


def on_gpu(batch):
    return type(batch)(images=batch.images.cuda(), targets=batch.targets.cuda(), gt_masks=batch.gt_masks.cuda())


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_holds(name, build, make_classifier, blobs, make_batch, untouched):
    classifier = make_classifier().cuda()
    batch = on_gpu(make_batch())
    explainer = build(name, classifier, blobs)
    state = torch.cuda.get_rng_state()
    with untouched(classifier):
        maps = batch.explained_by(explainer)
    assert torch.equal(torch.cuda.get_rng_state(), state)
    assert maps.device.type == "cuda"
    assert maps.dtype == torch.float32
    assert maps.shape == (8, 32, 32)
    assert maps.isfinite().all()
    scale = maps.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    one_by_one = torch.cat([batch[i : i + 1].explained_by(explainer) for i in range(8)])
    assert float(((maps - one_by_one) / scale).abs().max()) < 1e-3
    again = batch.explained_by(explainer)
    assert float(((maps - again) / scale).abs().max()) < 1e-4


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gradient_shap"])
def test_cpu_and_gpu_agree(name, build, make_classifier, blobs, make_batch, tmp_path):
    batch, on_cpu = make_batch(), make_classifier()
    cpu_explainer = build(name, on_cpu, blobs)
    gpu_classifier = make_classifier().cuda()
    if cpu_explainer.needs_fit:
        cpu_explainer.save(tmp_path / "explainer")
        gpu_explainer = type(cpu_explainer).load(tmp_path / "explainer", gpu_classifier)
    else:
        gpu_explainer = build(name, gpu_classifier, blobs)
    wanted = batch.explained_by(cpu_explainer)
    found = on_gpu(batch).explained_by(gpu_explainer).cpu()
    scale = wanted.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    assert float(((found - wanted) / scale).abs().max()) < (1e-5 if name in CONTROLS else 1e-2)


def test_gradient_shap_on_a_gpu_is_near_to_that_on_a_cpu(build, make_classifier, blobs, make_batch):
    # Their noise comes from different generators, so only the means can agree.
    batch = make_batch(n=2)
    maps = []
    for device, moved in (("cpu", batch), ("cuda", on_gpu(batch))):
        explainer = EXPLAINERS.create("gradient_shap", make_classifier().to(device), samples=256)
        maps.append(moved.explained_by(explainer).cpu().flatten())
    assert torch.corrcoef(torch.stack(maps))[0, 1] > 0.7


def test_fingerprints_do_not_depend_on_the_device(make_classifier):
    assert make_classifier().cuda().fingerprint == make_classifier().fingerprint


@pytest.mark.parametrize("members", [1, 2])
def test_nemt_is_fitted_on_a_gpu(make_classifier, blobs, make_batch, untouched, tmp_path, members):
    classifier = make_classifier().cuda()
    explainer = NemtExplainer(classifier, steps=8, batch_size=6, widths=(8,), members=members)
    with untouched(classifier):
        explainer.fit(blobs)
    assert explainer.fit_record["fit_device"] == "cuda"
    batch = on_gpu(make_batch())
    maps = batch.explained_by(explainer)
    assert maps.device.type == "cuda"
    masks, scores = explainer.explain_with_scores(batch.images, batch.targets)
    assert torch.equal(masks, maps)
    assert torch.equal(scores, classifier.scores(batch.images))
    explainer.save(tmp_path / "decoder")
    assert torch.equal(batch.explained_by(NemtExplainer.load(tmp_path / "decoder", classifier)), maps)


def test_every_step_asks_a_gpu_about_as_many_fills():
    images, asked = torch.rand(12, 3, 16, 16, device="cuda"), []

    def silences(fills, own):
        asked.append(len(fills))
        assert torch.equal(own, torch.arange(12, device="cuda"))
        return torch.ones_like(own, dtype=torch.bool)

    for seed in range(5):
        fill, drawn = draw_removals(
            images,
            names=("mean", "blur", "noise", "other"),
            mean_color=torch.full((1, 3, 1, 1), 0.5, device="cuda"),
            weaker=torch.zeros(12, 12, dtype=torch.bool, device="cuda"),
            silences=silences,
            generator=torch.Generator().manual_seed(seed),
        )
        assert fill.shape == images.shape
        assert drawn.device == fill.device
    assert asked == [12] * 5


def test_want_of_evidence_is_found_on_a_gpu_as_on_a_cpu(make_classifier, make_blobs):
    blobs, names = make_blobs(n_images=40), ("mean", "noise", "other")
    verdicts = []
    for seed in range(6):
        classifier = make_classifier(seed=seed)
        on_cpu = asked_by_pattern(classifier, blobs, names, indices=range(40))
        found = asked_by_pattern(classifier.to("cuda"), blobs, names, indices=range(40))
        assert found.device.type == "cuda"
        assert torch.equal(found.cpu(), on_cpu)
        verdicts.append(on_cpu)
    assert torch.stack(verdicts).any()


@pytest.mark.parametrize("kind", get_args(AugmentName))
def test_images_are_varied_on_a_gpu_as_on_a_cpu(kind):
    images = torch.rand(6, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    wanted = augmented(images, kind, generator=torch.Generator().manual_seed(1))
    found = augmented(images.cuda(), kind, generator=torch.Generator().manual_seed(1))
    assert found.device.type == "cuda"
    # A place between two pixels may be read from the other side of an edge of the sampled grid.
    assert float((found.cpu() - wanted).abs().mean()) < 1e-4


def test_a_classifier_is_trained_on_a_gpu(blobs):
    from xaibench.explainers import ClassifierTraining, train_classifier

    classifier, record = train_classifier(
        Architecture(type="small_resnet", params={"width": 8}),
        train=blobs,
        validation=blobs,
        settings=ClassifierTraining(epochs=2, batch_size=8),
        device="cuda",
    )
    assert classifier.device.type == "cuda"
    assert len(record["curve"]) == 2
    assert isinstance(classifier, Classifier)


def test_the_random_state_of_the_gpu_comes_back():
    torch.cuda.manual_seed(3)
    state = torch.cuda.get_rng_state()
    with preserved_random_state():
        torch.rand(5, device="cuda")
    assert torch.equal(torch.cuda.get_rng_state(), state)
