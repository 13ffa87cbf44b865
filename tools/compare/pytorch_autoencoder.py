#!/usr/bin/env python3
"""The seed model, 784 -> 32 -> 784, in PyTorch as one who wants speed would write it: the data set
resident as one float tensor, batches by index, the loss from logits, no DataLoader. On a GPU also:
permutations drawn there, Adam fused, products in full float32 (no TF32).

With --mode graph a step (index, forward, loss, backward, Adam) is one CUDA graph, and a counter on
the GPU chooses its rows, so that an epoch is nothing but replays. The short last batch is neither
dropped nor run eagerly: it has a graph of its own.

Usage: pytorch_autoencoder.py TRAIN_IMAGES --epochs N --threads N [--device cpu|cuda] [--mode eager|graph]
Prints one JSON object an epoch: {"epoch": …, "seconds": …, "train_loss": …}.
"""

import argparse
import json
import sys
import time

import numpy
import torch

BATCH = 256
WARM_UP_STEPS = 3  # before a capture


class EagerEpoch:
    """An epoch as PyTorch code usually is: every operation launched by Python."""

    def __init__(self, x, model, loss_function, optimizer):
        self.x, self.model, self.loss_function, self.optimizer = x, model, loss_function, optimizer

    def run(self):
        """Trains on every row once; the mean loss."""
        order = torch.randperm(len(self.x), device=self.x.device)
        total = torch.zeros((), device=self.x.device)
        for batch_rows in order.split(BATCH):
            batch = self.x[batch_rows]
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss_function(self.model(batch), batch)
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(batch)
        return total.item() / len(self.x)


class GraphEpoch:
    """An epoch of replays. All that a graph reads or writes lives as long as it does: the addresses
    are part of the graph."""

    def __init__(self, x, model, loss_function, optimizer):
        self.x, self.model, self.loss_function, self.optimizer = x, model, loss_function, optimizer
        self.order = torch.randperm(len(x), device=x.device)
        self.first_positions = torch.arange(BATCH, device=x.device)
        self.positions = self.first_positions.clone()  # of the next batch's rows in the order
        self.total = torch.zeros((), device=x.device)
        self.full_batches, short = divmod(len(x), BATCH)

        # What warming up does to model and optimiser is undone afterwards, in place.
        parameters = list(model.parameters())
        initial = [parameter.detach().clone() for parameter in parameters]
        self.full = self.capture(BATCH) if self.full_batches > 0 else None
        self.short = self.capture(short) if short > 0 else None
        with torch.no_grad():
            for parameter, value in zip(parameters, initial):
                parameter.copy_(value)
            for state in optimizer.state.values():
                for value in state.values():
                    value.zero_()

    def step(self, rows):
        batch = self.x.index_select(0, self.order.index_select(0, self.positions[:rows]))
        loss = self.loss_function(self.model(batch), batch)
        loss.backward()
        self.optimizer.step()
        self.total += loss.detach() * rows
        self.positions += BATCH

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
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--mode", choices=["eager", "graph"], default="eager")
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
    raw = numpy.fromfile(arguments.images, dtype=numpy.uint8)[16:].reshape(-1, 784)
    x = torch.from_numpy(raw.astype(numpy.float32) / 255).to(arguments.device)

    model = torch.nn.Sequential(torch.nn.Linear(784, 32), torch.nn.ReLU(), torch.nn.Linear(32, 784))
    with torch.no_grad():
        for layer in (model[0], model[2]):
            torch.nn.init.xavier_uniform_(layer.weight)
            layer.bias.zero_()
    model.to(arguments.device)
    graph = arguments.mode == "graph"
    gpu_options = {"fused": True, "capturable": graph} if on_gpu else {}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, **gpu_options)
    loss_function = torch.nn.BCEWithLogitsLoss()

    # What was launched counts when it has run.
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    epochs = (GraphEpoch if graph else EagerEpoch)(x, model, loss_function, optimizer)
    for epoch in range(1, arguments.epochs + 1):
        wait()
        start = time.perf_counter()
        train_loss = epochs.run()
        wait()
        print(json.dumps({"epoch": epoch, "seconds": time.perf_counter() - start,
                          "train_loss": train_loss}), flush=True)


if __name__ == "__main__":
    main()
