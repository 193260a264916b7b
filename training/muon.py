"""Muon: momentum whose direction is orthogonalised (Jordan et al. 2024), with AdamW's step size.

torch.optim.Muon does the same in bfloat16, which is slow on a CPU without bfloat16 instructions.
"""

import torch


def orthogonalize(matrix, steps=5):
    """Newton-Schulz iteration: moves the singular values of a matrix to about 1."""
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                direction = orthogonalize(p.grad.lerp(state["momentum"], group["momentum"]))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                # The root mean square of an orthogonal matrix is 1/sqrt(max(shape)), that of
                # AdamW's step about 0.2.
                p.add_(direction, alpha=-0.2 * max(p.shape) ** 0.5 * group["lr"])
