"""Fingerprints: one way to hash settings and tensors."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def fingerprint(value: Any) -> str:
    """Hash of plain data, the same on every machine.

    Args:
        value: Anything that JSON can hold.

    Returns:
        32 hexadecimal digits.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def tensors_fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Hash of named tensors: names, shapes, dtypes and bytes.

    Returns:
        32 hexadecimal digits, independent of the order of the mapping and of the device.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
