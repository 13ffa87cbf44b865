#!/usr/bin/env python3
"""Records the first steps of some trainings in PyTorch: what tests/pytorch_trace_test.cpp replays.

    tools/make_pytorch_trace.py > tests/data/pytorch_trace.json

Gradients come from PyTorch's autograd, in double. Weights, data and the order of rows are not
stored: both sides compute them from a seed with Philox 4x32-10, which is written here once more,
from the paper (Salmon et al., SC 2011), so that it is tested as well.

Every training also runs in float32. How far that is from the one in double, at most, is recorded as
`float32_error` beside the values: it says how far from them a correct program may be.

Needs NumPy and PyTorch (Debian: python3-torch). The output depends on neither's version, but for
the last digits.
"""

import json
import math
import sys

import numpy as np
import torch
from torch.nn import functional

WEIGHTS, SHUFFLE, SYNTHETIC_DATA = 0, 1, 2  # what random numbers are for
INPUTS = 784
STEPS = 5
SAMPLES = 32  # values recorded of each tensor

CASES = [
    # The Keras example.
    dict(name="keras", hidden=[32], activation="relu", output_activation="sigmoid", loss="bce",
         reduction="mean", seed=1, learning_rate=0.001),
    dict(name="deep", hidden=[16, 8], activation="tanh", output_activation="sigmoid", loss="mse",
         reduction="mean", seed=2, learning_rate=0.001),
    # The textbook's loss, (1/N)·Σ‖x - y‖².
    dict(name="textbook", hidden=[16], activation="sigmoid", output_activation="identity",
         loss="mse", reduction="sum", seed=3, learning_rate=0.01),
]
# 20 rows in batches of 8: the third batch is short, and the fourth begins a new order.
ROWS, BATCH_SIZE, DATA_SEED = 20, 8, 7

ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


def philox_words(seed, purpose, epoch, count):
    """The first `count` words of the stream (purpose, epoch)."""
    low = np.uint64(0xFFFFFFFF)
    blocks = np.arange((count + 3) // 4, dtype=np.uint64)
    c = [blocks & low, blocks >> np.uint64(32), np.full_like(blocks, epoch),
         np.full_like(blocks, purpose)]
    k = [np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)]
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * c[0]
        p1 = np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ k[0], p1 & low,
             (p0 >> np.uint64(32)) ^ c[3] ^ k[1], p0 & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return np.stack(c, axis=1).reshape(-1)[:count]


def synthetic_bytes(rows):
    """Grey values, about a fifth of them not zero, as in pictures of digits."""
    words = philox_words(DATA_SEED, SYNTHETIC_DATA, 0, rows * INPUTS)
    grey = np.where((words & np.uint64(0xFF)) < 51, words >> np.uint64(24), 0)
    return grey.astype(np.uint8).reshape(rows, INPUTS)


def shuffled(rows, seed, epoch):
    """Fisher-Yates: the last of those that remain is exchanged with one drawn among them."""
    words = philox_words(seed, SHUFFLE, epoch, rows)
    order = list(range(rows))
    for remaining in range(rows, 1, -1):
        chosen = int(words[remaining - 1]) * remaining >> 32
        order[remaining - 1], order[chosen] = order[chosen], order[remaining - 1]
    return order


def initial_parameters(case):
    """Glorot uniform weights of shape (inputs, units) and zero biases, by layer name."""
    widths = [INPUTS, *case["hidden"], *reversed(case["hidden"][:-1]), INPUTS]
    depth = len(case["hidden"])
    names = [f"encoder.{i}" for i in range(depth)] + [f"decoder.{i}" for i in range(depth)]
    parameters = {}
    for tensor, name in enumerate(names):
        inputs, units = widths[tensor], widths[tensor + 1]
        words = philox_words(case["seed"], WEIGHTS, tensor, inputs * units)
        unit = (words >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)
        limit = np.float32(math.sqrt(6 / (inputs + units)))
        weight = limit * (np.float32(2) * unit - np.float32(1))
        parameters[f"{name}.weight"] = torch.from_numpy(weight.reshape(inputs, units))
        parameters[f"{name}.bias"] = torch.zeros(units)
    return parameters


def loss_of(case, parameters, x):
    layers = list(zip(*[iter(parameters.values())] * 2))
    y = x
    for i, (weight, bias) in enumerate(layers):
        z = y @ weight + bias
        y = ACTIVATIONS[case["output_activation" if i + 1 == len(layers) else "activation"]](z)
    if case["loss"] == "bce":
        elements = functional.binary_cross_entropy_with_logits(z, x, reduction="none")
    else:
        elements = (y - x) ** 2
    return elements.mean() if case["reduction"] == "mean" else elements.sum() / len(x)


class KerasAdam:
    """Adam as Keras writes it: ε is added to the square root of the uncorrected second moment.
    torch.optim.Adam adds it to the corrected one. The options are floats in the program: so here."""

    def __init__(self, parameters, learning_rate):
        self.rate, self.beta1, self.beta2, self.epsilon = (
            float(np.float32(value)) for value in (learning_rate, 0.9, 0.999, 1e-7))
        self.m = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self.v = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self.t = 0

    def step(self, parameters, gradients):
        self.t += 1
        rate = self.rate * math.sqrt(1 - self.beta2**self.t) / (1 - self.beta1**self.t)
        for name, gradient in gradients.items():
            m, v = self.m[name], self.v[name]
            m.mul_(self.beta1).add_(gradient, alpha=1 - self.beta1)
            v.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
            with torch.no_grad():
                parameters[name] -= rate * m / (v.sqrt() + self.epsilon)


def train(case, dtype):
    """Each step's rows and loss, its gradients, and the parameters after it."""
    data = torch.from_numpy(synthetic_bytes(ROWS)).to(dtype) / 255
    parameters = {name: value.to(dtype).requires_grad_()
                  for name, value in initial_parameters(case).items()}
    adam = KerasAdam(parameters, case["learning_rate"])
    batches = [shuffled(ROWS, case["seed"], epoch)[first:first + BATCH_SIZE]
               for epoch in (1, 2) for first in range(0, ROWS, BATCH_SIZE)]
    steps = []
    for rows in batches[:STEPS]:
        loss = loss_of(case, parameters, data[rows])
        gradients = dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values()))))
        adam.step(parameters, gradients)
        steps.append((rows, loss.item(), gradients,
                      {name: value.detach().clone() for name, value in parameters.items()}))
    return steps


def short(number):
    return float(f"{number:.9g}")  # a float32 is 1e-7 exact at best


def record(tensors, tensors32, sampled):
    """Some of each tensor's values, their sum, and float32's error."""
    return {
        name: {
            "float32_error": float(f"{(tensor - tensors32[name].double()).abs().max():.2g}"),
            "sum": short(tensor.sum()),
            "values": [short(value) for value in tensor.reshape(-1)[sampled[name]].tolist()],
        }
        for name, tensor in tensors.items()
    }


def main():
    cases = []
    for case in CASES:
        exact = train(case, torch.float64)
        rough = train(case, torch.float32)
        generator = torch.Generator().manual_seed(case["seed"])
        sampled = {
            name: sorted(torch.randperm(tensor.numel(), generator=generator)[:SAMPLES].tolist())
            for name, tensor in exact[0][2].items()
        }
        steps = []
        for (rows, loss, gradients, parameters), (_, _, gradients32, parameters32) in zip(exact,
                                                                                          rough):
            steps.append({"rows": rows, "loss": short(loss),
                          "gradients": record(gradients, gradients32, sampled),
                          "parameters": record(parameters, parameters32, sampled)})
        cases.append({**case, "rows": ROWS, "batch_size": BATCH_SIZE, "data_seed": DATA_SEED,
                      "sampled": sampled, "steps": steps})
    about = f"made by tools/make_pytorch_trace.py with PyTorch {torch.__version__}"
    # One line a tensor: short, and differences between two versions of the file can be read.
    text = json.dumps({"about": about, "cases": cases}, indent=None, separators=(",", ":"))
    for opening in ('{"name"', '"sampled"', '{"rows"', '"gradients"', '"parameters"', '"encoder.',
                    '"decoder.'):
        text = text.replace(opening, "\n" + opening)
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
