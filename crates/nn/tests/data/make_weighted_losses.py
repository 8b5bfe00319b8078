"""weighted_losses.json: what each row loses (PyTorch's reduction="none", mean over its outputs), and the weighted mean of
both rows with the weights 0.5 and 2. Run: python make_weighted_losses.py  (torch 2.15)."""

import json

import torch
import torch.nn.functional as F

outputs = torch.tensor([[0.3, -1.2, 2.5], [0.9, -0.4, 1.7]], dtype=torch.float64)
classes = torch.tensor([2, 0])
numbers = torch.tensor([[0.1, 0.7, 0.2], [1.0, 0.0, 0.5]], dtype=torch.float64)
of_classes = torch.tensor([0.5, 2.0, 1.5], dtype=torch.float64)
rows = torch.tensor([0.5, 2.0], dtype=torch.float64)

entropy = F.cross_entropy(outputs, classes, reduction="none")
cases = [
    ({"kind": "cross_entropy"}, entropy, rows),
    ({"kind": "cross_entropy", "label_smoothing": 0.1}, F.cross_entropy(outputs, classes, reduction="none", label_smoothing=0.1), rows),
    ({"kind": "cross_entropy", "class_weights": of_classes.tolist()}, entropy, rows * of_classes[classes]),
    ({"kind": "binary_cross_entropy"}, F.binary_cross_entropy_with_logits(outputs, numbers, reduction="none").mean(1), rows),
    ({"kind": "squared"}, F.mse_loss(outputs, numbers, reduction="none").mean(1), rows),
    ({"kind": "huber", "delta": 0.8}, F.huber_loss(outputs, numbers, delta=0.8, reduction="none").mean(1), rows),
]
made = [[settings, each.tolist(), float((weights * each).sum() / weights.sum())] for settings, each, weights in cases]
json.dump(made, open("weighted_losses.json", "w"))
