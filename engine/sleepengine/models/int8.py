"""Weight-only int8 for CPUs: every linear layer at a byte a weight, activations as they are.

Decoding one token reads every weight once and computes little, so a quarter of the bytes is up to four times the speed.
Weights are rounded once, symmetrically, with one scale for each output; they are never changed after that, and edits
and adapters stand beside them as beside any others.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

FEW_ROWS = 8
"""Up to so many tokens torch's int8 kernel is used, which is made for reading weights; beyond, ordinary products."""

KERNEL_STEP = 32
"""That kernel reads so many inputs at once, past the end of a row that is no multiple of it."""

LEVELS = 127


class Int8Linear(nn.Module):
    """y = x W^T + bias, with W = `weight` (d_out, d_in), in int8, times `scale` (d_out,) in bf16, row by row."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """`weight` is (d_out, d_in) in any floating dtype."""
        super().__init__()
        self.out_features, self.in_features = weight.shape
        whole = weight.detach().float()
        largest = whole.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny * LEVELS)
        scale = (largest / LEVELS).bfloat16()
        # The scale that is stored is the one that is divided by; its own rounding may push the largest weight over.
        rounded = (whole / scale.float()[:, None]).round().clamp(-LEVELS, LEVELS).to(torch.int8)
        self.weight = nn.Parameter(rounded, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach().float(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """x is (..., d_in); returns (..., d_out) in x's dtype. Gradients flow to x."""
        flat = x.reshape(-1, self.in_features)
        if flat.requires_grad and torch.is_grad_enabled():
            y: Tensor = _Product.apply(flat, self.weight, self.scale)  # type: ignore[no-untyped-call]
        else:
            y = product(flat, self.weight, self.scale)
        if self.bias is not None:
            y = y + self.bias.to(y.dtype)
        return y.view(*x.shape[:-1], self.out_features)


def product(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """x (n, d_in) times the weights; (n, d_out) in x's dtype."""
    if len(x) <= FEW_ROWS and weight.shape[1] % KERNEL_STEP == 0:
        # The kernel takes activations in bf16, as precise as the weights are.
        y: Tensor = torch.ops.aten._weight_int8pack_mm(x.bfloat16(), weight, scale)
        return y.to(x.dtype)
    return functional.linear(x, weight.to(x.dtype)) * scale.to(x.dtype)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(weight, scale)
        return product(x, weight, scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        weight, scale = ctx.saved_tensors
        (slope,) = gradients
        return (slope * scale.to(slope.dtype)) @ weight.to(slope.dtype), None, None


def quantise(model: Any) -> None:
    """Replace every linear layer of a Transformers model, its output head included, by one in int8.

    A head that shares its weights with the embedding gets its own in int8; the embedding stays, one row of it is read
    for a token. GPT-2's Conv1D is no linear layer and stays too.
    """
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.Linear):
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, Int8Linear(module.weight, module.bias))
