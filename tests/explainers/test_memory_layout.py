"""Images in the layout that convolutions want, and one that does not crash them."""

import subprocess
import sys

import pytest
import torch

from xaibench.explainers.memory_layout import to_device


@pytest.mark.parametrize("channels", [2, 3])
def test_channels_come_last_before_a_frozen_network(channels):
    images = torch.rand(4, channels, 8, 10)
    moved = to_device(images, "cpu", learns=False)
    assert moved.stride() == (80 * channels, 1, 10 * channels, channels)
    assert torch.equal(moved, images)


@pytest.mark.parametrize(("channels", "learns"), [(1, False), (1, True), (3, True)])
def test_one_channel_and_a_learning_network_get_them_as_they_are(channels, learns):
    images = torch.rand(4, channels, 8, 10)
    assert to_device(images, "cpu", learns=learns).stride() == images.stride()


@pytest.mark.parametrize(("channels", "side"), [(1, 64), (3, 80)])
def test_a_first_layer_of_few_filters_learns(channels, side):
    # In a process of its own: with channels last this ends in a segmentation fault or a corrupted heap.
    code = (
        "import torch\n"
        "from xaibench.explainers.classifiers.small_resnet import SmallResNet\n"
        "from xaibench.explainers.memory_layout import to_device\n"
        "torch.set_num_threads(1)\n"
        f"network = SmallResNet(2, {channels}, width=16).train()\n"
        "for _ in range(4):\n"
        f"    network(to_device(torch.rand(32, {channels}, {side}, {side}), 'cpu', learns=True)).sum().backward()\n"
        "print('done')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "done\n"
