"""Trains the worked example with PyTorch and prints one JSON object.

Rows lie in memory and batches are picked by a shuffled index, which is faster than a DataLoader. `--tuned` adds
what PyTorch's own guide advises on a CPU: channels-last memory and the fused Adam. With `--until SHARE` it tests after
each epoch, and stops when so many of the test rows are right.
"""

import argparse
import json
import time

import mnist
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("data")
for name in ("--epochs", "--rows", "--seed", "--threads"):
    parser.add_argument(name, type=int, required=True)
parser.add_argument("--tuned", action="store_true")
parser.add_argument("--until", type=float)
arguments = parser.parse_args()

torch.set_num_threads(arguments.threads)
torch.manual_seed(arguments.seed)

(pictures, labels), (test_pictures, test_labels) = mnist.load(arguments.data, arguments.rows, arguments.seed)
pictures, test_pictures = torch.from_numpy(pictures)[:, None], torch.from_numpy(test_pictures)[:, None]
labels, test_labels = torch.from_numpy(labels), torch.from_numpy(test_labels)
height, width = pictures.shape[2:]
features = 32 * ((height - 2) // 2) * ((width - 2) // 2)
model = nn.Sequential(
    nn.Conv2d(1, 32, 3),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(features, 128),
    nn.ReLU(),
    nn.Linear(128, 10),
)
optimizer_flags = {}
if arguments.tuned:
    model = model.to(memory_format=torch.channels_last)
    optimizer_flags["fused"] = True
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **optimizer_flags)
loss_function = nn.CrossEntropyLoss()

accuracies, tests, ends = [], [], []


def test():
    started = time.perf_counter()
    model.eval()
    with torch.no_grad():
        predicted = torch.cat([model(part).argmax(1) for part in test_pictures.split(256)])
    model.train()
    accuracies.append((predicted == test_labels).double().mean().item())
    tests.append(time.perf_counter() - started)


started = time.perf_counter()
for _ in range(arguments.epochs):
    for rows in torch.randperm(len(pictures)).split(32):
        batch = pictures[rows]
        if arguments.tuned:
            batch = batch.contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad(set_to_none=True)
        loss_function(model(batch), labels[rows]).backward()
        optimizer.step()
    if arguments.until:
        ends.append(time.perf_counter() - started - sum(tests))
        test()
        if accuracies[-1] >= arguments.until:
            break
seconds = time.perf_counter() - started
if not arguments.until:
    test()
print(
    json.dumps(
        {
            "samples_per_second": len(pictures) * arguments.epochs / seconds,
            "test_accuracy": accuracies[-1],
            "accuracies": accuracies,
            "ends": ends,
            "seconds_of_earlier_tests": sum(tests[:-1]),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "versions": {"PyTorch": torch.__version__},
        }
    )
)
