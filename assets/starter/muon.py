"""Muon in float32: momentum, made orthogonal by a Newton-Schulz iteration, as the step of every matrix.

PyTorch's own ``torch.optim.Muon`` iterates in bfloat16, which a CPU without bfloat16 instructions only imitates: there its
step took 0.7 of the 1.2 seconds that a whole training step took, against 0.03 in float32.

Source: Jordan, "Muon: an optimizer for hidden layers in neural networks" (2024), with its coefficients; the step is scaled
as AdamW's would be, after Liu et al., "Muon is scalable for LLM training" (2025), section 2.2.
"""

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Answer a matrix ``(R, C)`` with its singular values pushed towards 1."""
    first, second, third = COEFFICIENTS
    wide = matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        square = wide @ wide.mT
        wide = first * wide + (second * square + third * square @ square) @ wide
    return wide.mT if matrix.shape[0] > matrix.shape[1] else wide


class Muon(torch.optim.Optimizer):
    """Steps matrices along their orthogonal Nesterov momentum."""

    def __init__(self, matrices: list[torch.nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Take one step."""
        for group in self.param_groups:
            for weight in group["params"]:
                average = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                average.lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(average, group["momentum"])
                scale = 0.2 * max(weight.shape) ** 0.5
                weight.add_(orthogonal(ahead), alpha=-group["lr"] * scale)
