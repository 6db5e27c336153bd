"""Images in the layout that convolutions want, and one that does not crash them."""

import subprocess
import sys

import pytest
import torch

from xaibench.explainers.memory_layout import to_device


@pytest.mark.parametrize("channels", [2, 3])
def test_channels_come_last_where_there_are_several(channels):
    images = torch.rand(4, channels, 8, 10)
    moved = to_device(images, "cpu")
    assert moved.stride() == (80 * channels, 1, 10 * channels, channels)
    assert torch.equal(moved, images)


def test_one_channel_stays_as_it_is():
    images = torch.rand(4, 1, 8, 10)
    assert to_device(images, "cpu").stride() == (80, 80, 10, 1)


def test_a_first_layer_of_few_filters_learns_from_one_channel():
    # In a process of its own: with channels last this ends in a segmentation fault or a corrupted heap.
    code = (
        "import torch\n"
        "from xaibench.explainers.classifiers.small_resnet import SmallResNet\n"
        "from xaibench.explainers.memory_layout import to_device\n"
        "torch.set_num_threads(1)\n"
        "network = SmallResNet(2, 1, width=16).train()\n"
        "for _ in range(4):\n"
        "    network(to_device(torch.rand(32, 1, 64, 64), 'cpu')).sum().backward()\n"
        "print('done')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "done\n"
