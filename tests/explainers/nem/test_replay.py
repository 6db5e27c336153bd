"""Recorded kernels: the same maps, launched at once."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from xaibench.explainers import EXPLAINERS, NemtExplainer
from xaibench.explainers.nem import replay
from xaibench.explainers.nem.replay import Replayed, side_by_side
from xaibench.explainers.separable import along_both_sides, line_matrix


def doubled_and_summed(first: Tensor, second: Tensor) -> Tensor:
    return 2 * first + second.sum()


def maps_without_replay(explainer, images: Tensor, targets: Tensor) -> Tensor:
    network = explainer._network
    with torch.no_grad():
        _, features = explainer.classifier.logits_and_features(images, layers=network.layers)
        return network.attributions(network.logits(features, explainer._mask_index(targets), images=images))


def graph_launches(call) -> int:
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        call()
        torch.cuda.synchronize()
    return sum(event.count for event in profiled.key_averages() if event.key == "cudaGraphLaunch")


def test_on_a_cpu_the_function_is_called_every_time():
    calls: list[Tensor] = []
    replayed = Replayed(lambda value: calls.append(value) or value + 1)
    values = [torch.rand(3) for _ in range(4)]
    for value in values:
        assert torch.equal(replayed(value), value + 1)
    assert all(seen is value for seen, value in zip(calls, values, strict=True))


def test_outside_a_recording_one_is_computed_after_the_other():
    order: list[str] = []

    def logged(name: str, value: Tensor) -> Tensor:
        order.append(name)
        return value

    values = torch.rand(3), torch.rand(2)
    found = side_by_side(lambda: logged("first", values[0]), lambda: logged("second", values[1]))
    assert found[0] is values[0]
    assert found[1] is values[1]
    assert order == ["first", "second"]


def test_a_copied_explainer_asks_its_own_network(make_classifier, blobs, make_batch):
    explainer = NemtExplainer(make_classifier(), steps=2, batch_size=4, widths=(8,))
    explainer.fit(blobs)
    batch = make_batch()
    before = batch.explained_by(explainer)
    for copied in (deepcopy, lambda original: pickle.loads(pickle.dumps(original))):
        copy = copied(explainer)
        assert torch.equal(batch.explained_by(copy), before)
        with torch.no_grad():
            copy._network.decoder.head.bias.add_(1)
        assert not torch.equal(batch.explained_by(copy), before)
        assert torch.equal(batch.explained_by(explainer), before)


class TestOnAGpu:
    pytestmark = pytest.mark.gpu

    def test_every_call_has_its_own_values(self):
        replayed = Replayed(doubled_and_summed)
        inputs = [(torch.rand(5, 7, device="cuda"), torch.rand(3, device="cuda")) for _ in range(5)]
        found = [replayed(*pair) for pair in inputs]
        for pair, values in zip(inputs, found, strict=True):
            torch.testing.assert_close(values, doubled_and_summed(*pair))

    def test_the_third_call_of_a_shape_is_one_launch(self):
        replayed = Replayed(doubled_and_summed)
        inputs = torch.rand(5, 7, device="cuda"), torch.rand(3, device="cuda")
        assert graph_launches(lambda: replayed(*inputs)) == 0
        replayed(*inputs)
        assert graph_launches(lambda: replayed(*inputs)) == 1
        other_layout = torch.rand(7, 5, device="cuda").T, inputs[1]
        assert graph_launches(lambda: replayed(*other_layout)) == 0

    def test_a_recording_computes_side_by_side(self):
        streams: list[tuple[torch.cuda.Stream, torch.cuda.Stream]] = []

        def in_two_parts(square: Tensor) -> Tensor:
            seen = []

            def powers(n: int) -> Tensor:
                seen.append(torch.cuda.current_stream())
                result = square
                for _ in range(n):  # long enough to be overtaken by whoever does not wait
                    result = result @ square
                return result

            one, other = side_by_side(lambda: powers(40), lambda: powers(3))
            streams.append((seen[0], seen[1]))
            return one - other

        replayed = Replayed(in_two_parts)
        for seed in range(5):
            generator = torch.Generator("cuda").manual_seed(seed)
            square = torch.linalg.qr(torch.randn(512, 512, device="cuda", generator=generator)).Q
            wanted = torch.linalg.matrix_power(square, 41) - torch.linalg.matrix_power(square, 4)
            torch.testing.assert_close(replayed(square), wanted, atol=1e-3, rtol=1e-3)
        # As usual; warmed up, recorded.
        assert [first == second for first, second in streams] == [True, False, False]

    def test_inputs_of_any_dtype_and_layout_are_read(self):
        replayed = Replayed(lambda image, index, view: image[index] + view)
        for seed in range(5):
            generator = torch.Generator("cuda").manual_seed(seed)
            image = torch.rand(6, 3, 4, device="cuda", generator=generator)
            index = torch.randint(6, (2,), device="cuda", generator=generator)
            view = torch.rand(2, 4, 5, device="cuda", generator=generator)[..., :3].transpose(1, 2)
            torch.testing.assert_close(replayed(image, index, view), image[index] + view)

    def test_few_shapes_are_kept(self):
        replayed = Replayed(torch.neg)
        for size in range(1, 3 * replay._MOST_RECORDINGS):
            for _ in range(3):
                value = torch.rand(size, device="cuda")
                assert torch.equal(replayed(value), -value)
        assert len(replayed._recordings) == replay._MOST_RECORDINGS

    def test_large_inputs_are_not_recorded(self, monkeypatch):
        monkeypatch.setattr(replay, "_MOST_ELEMENTS", 10)
        replayed = Replayed(doubled_and_summed)
        for _ in range(3):
            replayed(torch.rand(8, device="cuda"), torch.rand(2, device="cuda"))
        assert len(replayed._recordings) == 1
        for _ in range(3):
            replayed(torch.rand(8, device="cuda"), torch.rand(3, device="cuda"))
        assert len(replayed._recordings) == 1

    def test_under_autocast_nothing_is_recorded(self):
        replayed = Replayed(torch.mm)
        square = torch.rand(8, 8, device="cuda")
        for _ in range(3):
            with torch.autocast("cuda", dtype=torch.bfloat16):
                assert replayed(square, square).dtype == torch.bfloat16
        assert not replayed._recordings
        assert replayed(square, square).dtype == torch.float32

    def test_on_another_stream_nothing_is_recorded(self):
        replayed = Replayed(torch.neg)
        value = torch.rand(9, device="cuda")
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                assert torch.equal(replayed(value), -value)
        assert not replayed._recordings

    @pytest.mark.parametrize("where", ["alone", "first of two", "second of two"])
    def test_without_memory_for_a_recording_the_function_is_called(self, where):
        are_recorded = []

        def needs_much(value: Tensor) -> Tensor:
            are_recorded.append(torch.cuda.is_current_stream_capturing())
            if are_recorded[-1]:
                raise torch.cuda.OutOfMemoryError
            return -value

        def in_company(value: Tensor) -> Tensor:
            if where == "alone":
                return needs_much(value)
            parts = [lambda: needs_much(value), lambda: torch.zeros_like(value)]
            return sum(side_by_side(*(parts if where == "first of two" else parts[::-1])))

        replayed = Replayed(in_company)
        value = torch.rand(9, device="cuda")
        for _ in range(4):
            assert torch.equal(replayed(value), -value)
            assert torch.cuda.current_stream() == torch.cuda.default_stream()
        # Plain; warmed up, failed and plain; plain; plain.
        assert are_recorded == [False, False, True, False, False, False]
        other = Replayed(torch.neg)
        for _ in range(3):
            assert torch.equal(other(value), -value)
        assert graph_launches(lambda: other(value)) == 1

    def test_threads_find_their_own_inputs(self):
        replayed = Replayed(torch.neg)

        def are_right(seed: int) -> bool:
            generator = torch.Generator("cuda").manual_seed(seed)
            values = [torch.rand(300, 300, device="cuda", generator=generator) for _ in range(50)]
            return all(torch.equal(replayed(value), -value) for value in values)

        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(are_right, range(4)))

    def test_what_was_recorded_in_inference_mode_serves_outside_it(self):
        replayed = Replayed(torch.neg)
        value = torch.rand(9, device="cuda")
        with torch.inference_mode():
            for _ in range(3):
                replayed(value)
        assert torch.equal(replayed(value), -value)
        assert graph_launches(lambda: replayed(value)) == 1

    def test_matrices_stay_while_a_recording_reads_them(self):
        matrices = [line_matrix(lambda lines: 3 * lines, 8, device=torch.device("cuda"))]
        replayed = Replayed(lambda images: along_both_sides(images, matrices[0], matrices[0]))
        images = torch.rand(2, 8, 8, device="cuda")
        for _ in range(2):
            replayed(images)
        matrices[0] = torch.zeros(8, 8, device="cuda")
        overwritten = [torch.full((8, 8), torch.nan, device="cuda") for _ in range(32)]
        torch.testing.assert_close(replayed(images), 9 * images)
        assert overwritten

    @pytest.mark.usefixtures("exact_arithmetic")
    @pytest.mark.parametrize("name", ["nemt", "nem_u", "nemt_published"])
    def test_maps_are_those_of_the_network(self, name, make_classifier, blobs, make_batch):
        classifier = make_classifier().cuda()
        explainer = EXPLAINERS.create(name, classifier, steps=3, batch_size=4)
        explainer.fit(blobs)
        for seed in range(4):
            batch = make_batch(seed=seed)
            images, targets = batch.images.cuda(), batch.targets.cuda()
            wanted = maps_without_replay(explainer, images, targets)
            torch.testing.assert_close(explainer.explain(images, targets), wanted, rtol=1e-5, atol=1e-6)
            # Where targets lie matters as little as before there were recordings.
            torch.testing.assert_close(explainer.explain(images, targets.cpu()), wanted, rtol=1e-5, atol=1e-6)
        assert graph_launches(lambda: explainer.explain(images, targets)) == 1
        explainer._network.contrast.fill_(1.5)
        changed = maps_without_replay(explainer, images, targets)
        torch.testing.assert_close(explainer.explain(images, targets), changed, rtol=1e-5, atol=1e-6)

    @pytest.mark.usefixtures("exact_arithmetic")
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("model", ["resnet10t", "tf_efficientnet_lite0", "convnext_atto", "vit_tiny_patch16_224"])
    def test_networks_of_timm_channels_and_odd_sizes(self, make_blobs, make_timm_classifier, model, channels):
        blobs = make_blobs(n_images=4, image_size=64, channels=channels)
        classifier = make_timm_classifier(model, channels=channels, output_names=blobs.info.output_names).cuda()
        explainer = NemtExplainer(classifier, steps=1, batch_size=2, widths=(8,))
        explainer.fit(blobs)
        for size in ((64, 64), (80, 96), (67, 75)):
            for _ in range(3):
                images = torch.rand(2, channels, *size, device="cuda")
                maps, scores = explainer.explain_with_scores(images)
                assert torch.equal(scores, classifier.scores(images))
                wanted = maps_without_replay(explainer, images, scores.argmax(dim=1))
                torch.testing.assert_close(maps, wanted, rtol=1e-4, atol=1e-5)

    def test_a_copy_on_a_gpu_asks_its_own_network(self, make_classifier, blobs, make_batch):
        explainer = NemtExplainer(make_classifier().cuda(), steps=2, batch_size=4, widths=(8,))
        explainer.fit(blobs)
        batch = make_batch()
        images, targets = batch.images.cuda(), batch.targets.cuda()
        before = [explainer.explain(images, targets) for _ in range(3)]
        copy = deepcopy(explainer)
        with torch.no_grad():
            copy._network.decoder.head.bias.add_(1)
        for _ in range(3):
            assert not torch.equal(copy.explain(images, targets), before[-1])
        assert torch.equal(explainer.explain(images, targets), before[-1])
