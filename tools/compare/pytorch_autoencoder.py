#!/usr/bin/env python3
"""The seed model, 784 -> 32 -> 784, in PyTorch as one who wants speed would write it: the data set
resident as one float tensor, batches by index, the loss from logits, no DataLoader.

Usage: pytorch_autoencoder.py TRAIN_IMAGES --epochs N --threads N
Prints one JSON object an epoch: {"epoch": …, "seconds": …, "train_loss": …}.
"""

import argparse
import json
import time

import numpy
import torch

BATCH = 256


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("images")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)  # as ae does: moments that decay to nothing cost nothing
    torch.manual_seed(arguments.seed)
    raw = numpy.fromfile(arguments.images, dtype=numpy.uint8)[16:].reshape(-1, 784)
    x = torch.from_numpy(raw.astype(numpy.float32) / 255)

    model = torch.nn.Sequential(torch.nn.Linear(784, 32), torch.nn.ReLU(), torch.nn.Linear(32, 784))
    with torch.no_grad():
        for layer in (model[0], model[2]):
            torch.nn.init.xavier_uniform_(layer.weight)
            layer.bias.zero_()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
    loss_function = torch.nn.BCEWithLogitsLoss()

    for epoch in range(1, arguments.epochs + 1):
        start = time.perf_counter()
        order = torch.randperm(len(x))
        total = torch.zeros(())
        for batch_rows in order.split(BATCH):
            batch = x[batch_rows]
            optimizer.zero_grad(set_to_none=True)
            loss = loss_function(model(batch), batch)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
        train_loss = total.item() / len(x)
        print(json.dumps({"epoch": epoch, "seconds": time.perf_counter() - start,
                          "train_loss": train_loss}), flush=True)


if __name__ == "__main__":
    main()
