#!/usr/bin/env python3
"""Records the first steps of some trainings in PyTorch: what tests/pytorch_trace_test.cpp replays.

    tools/make_pytorch_trace.py > tests/data/pytorch_trace.json

Gradients come from PyTorch's autograd, in double. Weights, data and the order of rows are not
stored: both sides compute them from a seed with Philox 4x32-10, which is written here once more,
from the paper (Salmon et al., SC 2011), so that it is tested as well.

What PyTorch brings itself judges in its own words: the other optimisers, clipping, averaging of
weights, schedules of the learning rate.

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
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel

WEIGHTS, SHUFFLE, SYNTHETIC_DATA = 0, 1, 2  # what random numbers are for
STEPS = 5
SAMPLES = 32  # values recorded of each tensor

CASES = [
    # The Keras example.
    dict(name="keras", inputs=784, hidden=[32], activation="relu", output_activation="sigmoid", loss="bce",
         reduction="mean", seed=1, learning_rate=0.001),
    dict(name="deep", inputs=784, hidden=[16, 8], activation="tanh", output_activation="sigmoid", loss="mse",
         reduction="mean", seed=2, learning_rate=0.001),
    # The textbook's loss, (1/N)·Σ‖x - y‖².
    dict(name="textbook", inputs=784, hidden=[16], activation="sigmoid", output_activation="identity",
         loss="mse", reduction="sum", seed=3, learning_rate=0.01),
]
# Ends of steps, on a model so small that little needs to be recorded.
SMALL = dict(inputs=24, hidden=[6], activation="tanh", output_activation="sigmoid", loss="bce",
             reduction="mean", seed=4)
UPDATES = [
    dict(name="adam", optimizer="adam", learning_rate=0.01, weight_decay=0.02),
    dict(name="adamw", optimizer="adamw", learning_rate=0.01, weight_decay=0.1),
    dict(name="sgd", optimizer="sgd", learning_rate=0.5, momentum=0.0),
    dict(name="momentum", optimizer="sgd", learning_rate=0.5, momentum=0.9, weight_decay=0.01),
    dict(name="nesterov", optimizer="nesterov", learning_rate=0.5, momentum=0.9,
         weight_decay=0.01),
    dict(name="rmsprop", optimizer="rmsprop", learning_rate=0.01, rho=0.8, weight_decay=0.01),
    dict(name="adadelta", optimizer="adadelta", learning_rate=2.0, rho=0.95, epsilon=1e-6,
         weight_decay=0.01),
    dict(name="clipped", optimizer="nesterov", learning_rate=2.0, momentum=0.9, clip_norm=0.03,
         weight_decay=0.01),
    dict(name="averaged", optimizer="adam", learning_rate=0.01, ema_decay=0.7),
]
SCHEDULES = [
    dict(schedule="step", learning_rate=0.4, factor=0.3, step_epochs=2),
    dict(schedule="cosine", learning_rate=0.01, floor=0.001),
    dict(schedule="constant", learning_rate=0.01, warm_up=2.0),
    dict(schedule="cosine", learning_rate=0.01, floor=0.001, warm_up=1.25),
    dict(schedule="plateau", learning_rate=1.0, factor=0.5, patience=2, floor=0.2,
         losses=[1.0, 0.9, 0.9, 0.91, 0.9, 0.89991, 0.8, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]),
]
SCHEDULE_EPOCHS, STEPS_PER_EPOCH = 6, 4
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


def synthetic_bytes(rows, inputs):
    """Grey values, about a fifth of them not zero, as in pictures of digits."""
    words = philox_words(DATA_SEED, SYNTHETIC_DATA, 0, rows * inputs)
    grey = np.where((words & np.uint64(0xFF)) < 51, words >> np.uint64(24), 0)
    return grey.astype(np.uint8).reshape(rows, inputs)


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
    widths = [case["inputs"], *case["hidden"], *reversed(case["hidden"][:-1]), case["inputs"]]
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


def as_float(value):
    """Options are floats in the program."""
    return float(np.float32(value))


class KerasAdam:
    """Adam as Keras writes it: ε is added to the square root of the uncorrected second moment.
    torch.optim.Adam adds it to the corrected one."""

    def __init__(self, case, parameters):
        self.rate, self.beta1, self.beta2, self.epsilon = map(
            as_float, (case["learning_rate"], 0.9, 0.999, 1e-7))
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

    def result(self, parameters):
        return parameters


class TorchUpdate:
    """What PyTorch does at the end of a step: clipping, its optimiser, its average."""

    def __init__(self, case, parameters):
        option = lambda name, default: as_float(case.get(name, default))
        self.values = list(parameters.values())
        self.clip_norm = option("clip_norm", 0)
        self.epsilon, self.beta2 = option("epsilon", 1e-7), as_float(0.999)
        common = dict(lr=option("learning_rate", 0), weight_decay=option("weight_decay", 0))
        adam = dict(betas=(as_float(0.9), self.beta2), **common)
        sgd = dict(momentum=option("momentum", 0.9), **common)
        self.is_adam = case["optimizer"].startswith("adam")
        self.optimizer = {
            "adam": lambda: torch.optim.Adam(self.values, **adam),
            "adamw": lambda: torch.optim.AdamW(self.values, **adam),
            "sgd": lambda: torch.optim.SGD(self.values, **sgd),
            "nesterov": lambda: torch.optim.SGD(self.values, nesterov=True, **sgd),
            "rmsprop": lambda: torch.optim.RMSprop(self.values, alpha=option("rho", 0.9),
                                                   eps=self.epsilon, **common),
            "adadelta": lambda: torch.optim.Adadelta(self.values, rho=option("rho", 0.9),
                                                     eps=self.epsilon, **common),
        }[case["optimizer"]]()
        self.average = None
        if "ema_decay" in case:
            decay = option("ema_decay", 0)
            self.module = torch.nn.ParameterList(self.values)
            self.average = AveragedModel(self.module,
                                         avg_fn=lambda a, w, _: decay * a + (1 - decay) * w)
            self.average.update_parameters(self.module)  # the first time it copies
        self.t = 0

    def step(self, _, gradients):
        self.t += 1
        for value, gradient in zip(self.values, gradients.values()):
            value.grad = gradient.clone()
        if self.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.values, self.clip_norm)
        if self.is_adam:  # where Keras adds ε, in PyTorch's terms
            self.optimizer.param_groups[0]["eps"] = (
                self.epsilon / math.sqrt(1 - self.beta2**self.t))
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.module)

    def result(self, parameters):
        """The parameters, or their average."""
        values = self.values if self.average is None else self.average.module
        return {name: value.detach().clone() for name, value in zip(parameters, values)}


def train(case, dtype, update_class):
    """Each step's rows and loss, its gradients, and the parameters after it; and what becomes of
    the training."""
    data = torch.from_numpy(synthetic_bytes(ROWS, case["inputs"])).to(dtype) / 255
    parameters = {name: torch.nn.Parameter(value.to(dtype))
                  for name, value in initial_parameters(case).items()}
    update = update_class(case, parameters)
    batches = [shuffled(ROWS, case["seed"], epoch)[first:first + BATCH_SIZE]
               for epoch in (1, 2) for first in range(0, ROWS, BATCH_SIZE)]
    steps = []
    for rows in batches[:STEPS]:
        loss = loss_of(case, parameters, data[rows])
        gradients = dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values()))))
        update.step(parameters, gradients)
        steps.append((rows, loss.item(), gradients,
                      {name: value.detach().clone() for name, value in parameters.items()}))
    return steps, update.result(parameters)


def schedule_rates(case):
    """The learning rate of each step, or of each epoch of a plateau."""
    rate, floor, factor = (as_float(case.get(name, 0))
                           for name in ("learning_rate", "floor", "factor"))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    rate_now = lambda: optimizer.param_groups[0]["lr"]
    if case["schedule"] == "plateau":
        # PyTorch acts when there are more such epochs than its patience.
        plateau = lr_scheduler.ReduceLROnPlateau(optimizer, factor=factor, min_lr=floor, eps=0,
                                                 patience=case["patience"] - 1, threshold=1e-4)
        rates = []
        for loss in case["losses"]:
            rates.append(rate_now())
            plateau.step(loss)
        return rates
    warm_up = round(case.get("warm_up", 0) * STEPS_PER_EPOCH)
    steps = SCHEDULE_EPOCHS * STEPS_PER_EPOCH
    schedule = {
        "constant": lambda: lr_scheduler.ConstantLR(optimizer, factor=1),
        "step": lambda: lr_scheduler.StepLR(optimizer, case["step_epochs"] * STEPS_PER_EPOCH,
                                            gamma=factor),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, steps - warm_up,
                                                         eta_min=floor),
    }[case["schedule"]]()
    if warm_up > 0:
        rise = lr_scheduler.LinearLR(optimizer, start_factor=1 / warm_up, total_iters=warm_up - 1)
        schedule = lr_scheduler.SequentialLR(optimizer, [rise, schedule], milestones=[warm_up])
    rates = []
    for _ in range(steps):
        rates.append(rate_now())
        optimizer.step()
        schedule.step()
    return rates


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


def sample(case, tensors):
    """Which values of each tensor are recorded."""
    generator = torch.Generator().manual_seed(case["seed"])
    return {
        name: sorted(torch.randperm(tensor.numel(), generator=generator)[:SAMPLES].tolist())
        for name, tensor in tensors.items()
    }


def main():
    of_data = {"rows": ROWS, "batch_size": BATCH_SIZE, "data_seed": DATA_SEED}
    cases = []
    for case in CASES:
        exact, _ = train(case, torch.float64, KerasAdam)
        rough, _ = train(case, torch.float32, KerasAdam)
        sampled = sample(case, exact[0][2])
        steps = []
        for (rows, loss, gradients, parameters), (_, _, gradients32, parameters32) in zip(exact,
                                                                                          rough):
            steps.append({"rows": rows, "loss": short(loss),
                          "gradients": record(gradients, gradients32, sampled),
                          "parameters": record(parameters, parameters32, sampled)})
        cases.append({**case, **of_data, "sampled": sampled, "steps": steps})
    updates = []
    for case in ({**SMALL, **update} for update in UPDATES):
        _, exact = train(case, torch.float64, TorchUpdate)
        _, rough = train(case, torch.float32, TorchUpdate)
        sampled = sample(case, exact)
        updates.append({**case, **of_data, "steps": STEPS, "sampled": sampled,
                        "parameters": record(exact, rough, sampled)})
    schedules = [{**case, "epochs": SCHEDULE_EPOCHS, "steps_per_epoch": STEPS_PER_EPOCH,
                  "rates": [short(rate) for rate in schedule_rates(case)]} for case in SCHEDULES]
    about = f"made by tools/make_pytorch_trace.py with PyTorch {torch.__version__}"
    # One line a tensor: short, and differences between two versions of the file can be read.
    text = json.dumps({"about": about, "cases": cases, "updates": updates,
                       "schedules": schedules}, indent=None, separators=(",", ":"))
    for opening in ('{"name"', '{"inputs"', '{"schedule"', '"sampled"', '{"rows"', '"gradients"',
                    '"parameters"', '"encoder.', '"decoder.'):
        text = text.replace(opening, "\n" + opening)
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
