"""A small residual network for small images: the embedded classifier."""

from typing import cast

from torch import Tensor, nn
from torch.nn.functional import relu


class _Block(nn.Module):
    """Two 3 × 3 convolutions around a shortcut (He et al., CVPR 2016)."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        inner = relu(self.norm1(self.conv1(features)))
        return relu(self.norm2(self.conv2(inner)) + self.shortcut(features))


class SmallResNet(nn.Module):
    """Stem at full resolution and three residual stages at 1/2, 1/4 and 1/8."""

    def __init__(self, n_outputs: int, channels: int, *, width: int) -> None:
        """Build the network.

        Args:
            n_outputs: Number of raw outputs K.
            channels: Channels of an image.
            width: Channels of the first stage; the next have two and four times as many.
        """
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width // 2, 3, padding=1, bias=False), nn.BatchNorm2d(width // 2), nn.ReLU()
        )
        self.stage1 = _Block(width // 2, width, stride=2)
        self.stage2 = _Block(width, 2 * width, stride=2)
        self.stage3 = _Block(2 * width, 4 * width, stride=2)
        self.head = nn.Linear(4 * width, n_outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Raw outputs (B, K) of normalized images (B, C, H, W)."""
        features = self.stage3(self.stage2(self.stage1(self.stem(images))))
        return cast(Tensor, self.head(features.mean(dim=(2, 3))))
