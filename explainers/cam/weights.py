"""How class activation maps weigh feature maps: the one thing in which they differ.

All take activations (B, C, h, w), gradients of the target's logit with respect to them, and give (B, h, w).
"""

import torch
from torch import Tensor


def grad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """One weight per channel, its mean gradient (Selvaraju et al., ICCV 2017, equations 1 and 2)."""
    return (gradients.mean(dim=(2, 3), keepdim=True) * activations).sum(dim=1)


def grad_cam_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    """One weight per channel, its positive gradients weighted by the share of each place.

    Chattopadhay et al., WACV 2018, equations 5 and 19: for an exponential of the logit the shares of places, which ask
    for second and third derivatives, follow from powers of the first.
    """
    squared = gradients.square()
    denominator = 2 * squared + activations.sum(dim=(2, 3), keepdim=True) * squared * gradients
    # Where there is no gradient there is no share; 1e-6 keeps a denominator of zero finite.
    shares = torch.where(gradients != 0, squared / (denominator + 1e-6), 0.0)
    weights = (shares * gradients.clamp(min=0)).sum(dim=(2, 3), keepdim=True)
    return (weights * activations).sum(dim=1)


def hi_res_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Each place weighted by its own gradient (Draelos, Carin, arXiv:2011.08891, equation 4)."""
    return (gradients * activations).sum(dim=1)


def layer_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Each place weighted by its own positive gradient (Jiang et al., TIP 2021, equations 6 and 7)."""
    return (gradients.clamp(min=0) * activations).sum(dim=1)


def eigen_cam(activations: Tensor) -> Tensor:
    """First principal component of the vectors at all places (Muhammad, Yeasin, IJCNN 2020).

    A principal component has no sign; the one is taken that agrees with the sum over channels.
    """
    vectors = activations.flatten(2).transpose(1, 2).double()
    centred = vectors - vectors.mean(dim=1, keepdim=True)
    directions = torch.linalg.svd(centred, full_matrices=False).Vh[:, 0]
    projection = torch.einsum("bnc,bc->bn", centred, directions)
    agreement = (projection * centred.sum(dim=2)).sum(dim=1, keepdim=True)
    oriented = torch.where(agreement < 0, -projection, projection)
    return oriented.reshape(len(activations), *activations.shape[-2:]).float()
