#!/usr/bin/env python3
"""The models of ae's recipes in PyTorch as one who wants speed would write them: the data set
resident as one float tensor, batches by index, the loss from logits, no DataLoader. On a GPU also:
permutations drawn there, Adam fused, products in full float32 (no TF32).

With --mode graph a step (index, forward, loss, backward, Adam) is one CUDA graph, and a counter on
the GPU chooses its rows, so that an epoch is nothing but replays. The short last batch is neither
dropped nor run eagerly: it has a graph of its own.

With --mode compiled forward, loss and backward go through torch.compile (PyTorch 2).

Usage: pytorch_autoencoder.py TRAIN_IMAGES [--recipe NAME] --epochs N --threads N [--device cpu|cuda]
                              [--mode eager|compiled|graph] [--channels-last] [--limit ROWS]
                              [--batch-size N] [--learning-rate X]
Prints one JSON object an epoch: {"epoch": …, "seconds": …, "train_loss": …}.
"""

import argparse
import json
import sys
import time

import numpy
import torch

WARM_UP_STEPS = 3  # before a capture


def bce_mean(logits, target):
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, target)


class Dense(torch.nn.Module):
    """A mirrored stack, ReLU between; with an L1 penalty on the code, or without."""

    batch = 256

    def __init__(self, hidden, code_l1=0.0):
        super().__init__()
        widths = [784, *hidden]
        layers = [torch.nn.Linear(a, b) for a, b in zip(widths, widths[1:])]
        mirror = [torch.nn.Linear(b, a) for a, b in zip(widths, widths[1:])][::-1]
        self.encoder, self.decoder, self.code_l1 = torch.nn.ModuleList(layers), torch.nn.ModuleList(mirror), code_l1

    def forward(self, x):
        code = x
        for layer in self.encoder:
            code = torch.relu(layer(code))
        y = code
        for layer in self.decoder[:-1]:
            y = torch.relu(layer(y))
        loss = bce_mean(self.decoder[-1](y), x)
        if self.code_l1:
            loss = loss + self.code_l1 * code.abs().sum() / len(x)
        return loss


class Variational(torch.nn.Module):
    """784 -> 400 -> a Gaussian of 20 -> 400 -> 784; nats an image, as in PyTorch's examples."""

    batch = 128

    def __init__(self):
        super().__init__()
        self.hidden, self.distribution = torch.nn.Linear(784, 400), torch.nn.Linear(400, 40)
        self.back, self.output = torch.nn.Linear(20, 400), torch.nn.Linear(400, 784)

    def forward(self, x):
        mean, log_variance = self.distribution(torch.relu(self.hidden(x))).chunk(2, dim=1)
        code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        logits = self.output(torch.relu(self.back(code)))
        reconstruction = torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
        return (reconstruction + divergence) / len(x)


class Convolutional(torch.nn.Module):
    """keras.io's convolutional autoencoder; with noise on its input, or without."""

    batch = 128

    def __init__(self, noise=0.0):
        super().__init__()
        self.layout = torch.contiguous_format
        conv, back = torch.nn.Conv2d, torch.nn.ConvTranspose2d
        self.layers = torch.nn.Sequential(
            conv(1, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            conv(32, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            back(32, 32, 3, stride=2, padding=1, output_padding=1), torch.nn.ReLU(),
            back(32, 32, 3, stride=2, padding=1, output_padding=1), torch.nn.ReLU(),
            conv(32, 1, 3, padding=1))
        self.noise = noise

    def forward(self, x):
        images = x + self.noise * torch.randn_like(x) if self.noise else x
        images = images.view(-1, 1, 28, 28).to(memory_format=self.layout)
        return bce_mean(self.layers(images).reshape(-1, 784), x)


RECIPES = {"simple": lambda: Dense([32]), "deep": lambda: Dense([128, 64, 32]),
           "sparse": lambda: Dense([32], code_l1=1e-4), "vae": Variational,
           "conv": Convolutional, "denoise": lambda: Convolutional(noise=0.4)}


class EagerEpoch:
    """An epoch as PyTorch code usually is: every operation launched by Python."""

    def __init__(self, x, model, optimizer, loss_of=None):
        self.x, self.model, self.optimizer = x, model, optimizer
        self.loss_of = model if loss_of is None else loss_of

    def run(self):
        """Trains on every row once; the mean loss."""
        order = torch.randperm(len(self.x), device=self.x.device)
        total = torch.zeros((), device=self.x.device)
        for batch_rows in order.split(self.model.batch):
            batch = self.x[batch_rows]
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss_of(batch)
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(batch)
        return total.item() / len(self.x)


class GraphEpoch:
    """An epoch of replays. All that a graph reads or writes lives as long as it does: the addresses
    are part of the graph."""

    def __init__(self, x, model, optimizer):
        self.x, self.model, self.optimizer = x, model, optimizer
        self.order = torch.randperm(len(x), device=x.device)
        self.batch = model.batch
        self.first_positions = torch.arange(self.batch, device=x.device)
        self.positions = self.first_positions.clone()  # of the next batch's rows in the order
        self.total = torch.zeros((), device=x.device)
        self.full_batches, short = divmod(len(x), self.batch)

        # What warming up does to model and optimiser is undone afterwards, in place.
        parameters = list(model.parameters())
        initial = [parameter.detach().clone() for parameter in parameters]
        self.full = self.capture(self.batch) if self.full_batches > 0 else None
        self.short = self.capture(short) if short > 0 else None
        with torch.no_grad():
            for parameter, value in zip(parameters, initial):
                parameter.copy_(value)
            for state in optimizer.state.values():
                for value in state.values():
                    value.zero_()

    def step(self, rows):
        batch = self.x.index_select(0, self.order.index_select(0, self.positions[:rows]))
        loss = self.model(batch)
        loss.backward()
        self.optimizer.step()
        self.total += loss.detach() * rows
        self.positions += self.batch

    def capture(self, rows):
        # Libraries and Adam allocate in their first steps what must not be allocated in a graph; on
        # a stream of their own, as autograd remembers the stream that it first ran on.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                self.positions.copy_(self.first_positions)
                self.optimizer.zero_grad(set_to_none=True)
                self.step(rows)
        torch.cuda.current_stream().wait_stream(stream)

        # Without gradients before the capture, backward makes them in the graph's own memory, and
        # each replay overwrites them: nothing needs to clear them.
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step(rows)
        return graph

    def run(self):
        """Trains on every row once; the mean loss."""
        self.order.copy_(torch.randperm(len(self.x), device=self.x.device))
        self.positions.copy_(self.first_positions)
        self.total.zero_()
        for _ in range(self.full_batches):
            self.full.replay()
        if self.short is not None:
            self.short.replay()
        return self.total.item() / len(self.x)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("images")
    parser.add_argument("--recipe", choices=RECIPES, default="simple")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--mode", choices=["eager", "compiled", "graph"], default="eager")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--limit", type=int, help="train on the first rows only")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    arguments = parser.parse_args()
    on_gpu = arguments.device == "cuda"
    if arguments.mode == "graph" and not on_gpu:
        sys.exit("pytorch_autoencoder: --mode graph needs --device cuda")
    if on_gpu and not torch.cuda.is_available():
        sys.exit(f"pytorch_autoencoder: PyTorch {torch.__version__} sees no GPU")

    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)  # as ae does: moments that decay to nothing cost nothing
    torch.set_float32_matmul_precision("highest")  # no TF32
    torch.manual_seed(arguments.seed)
    raw = numpy.fromfile(arguments.images, dtype=numpy.uint8)[16:].reshape(-1, 784)[:arguments.limit]
    x = torch.from_numpy(raw.astype(numpy.float32) / 255).to(arguments.device)

    model = RECIPES[arguments.recipe]()
    with torch.no_grad():
        for layer in model.modules():
            if hasattr(layer, "weight"):
                torch.nn.init.xavier_uniform_(layer.weight)
                layer.bias.zero_()
    model.to(arguments.device)
    if arguments.batch_size:
        model.batch = arguments.batch_size
    if arguments.channels_last:
        model.layout = torch.channels_last
        model.to(memory_format=torch.channels_last)
    graph = arguments.mode == "graph"
    gpu_options = {"fused": True, "capturable": graph} if on_gpu else {}
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.learning_rate, eps=1e-7, **gpu_options)

    # What was launched counts when it has run.
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    if graph:
        epochs = GraphEpoch(x, model, optimizer)
    else:
        epochs = EagerEpoch(x, model, optimizer,
                            torch.compile(model) if arguments.mode == "compiled" else None)
    for epoch in range(1, arguments.epochs + 1):
        wait()
        start = time.perf_counter()
        train_loss = epochs.run()
        wait()
        print(json.dumps({"epoch": epoch, "seconds": time.perf_counter() - start,
                          "train_loss": train_loss}), flush=True)


if __name__ == "__main__":
    main()
