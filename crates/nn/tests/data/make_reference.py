"""Makes reference.json, training.json and optimizers.json with PyTorch: what the layers, three training loops
and the optimisers must reproduce. Run: python make_reference.py  (torch 2.15 CPU or CUDA build, on the CPU)."""

import json
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(7)
torch.set_num_threads(1)


def flat(tensor):
    tensor = tensor.detach()
    kind = "int64" if tensor.dtype == torch.int64 else "float32"
    values = tensor.reshape(-1).tolist()
    if kind == "float32":
        values = [float(f"{value:.9g}") for value in values]
    return {"dtype": kind, "shape": list(tensor.shape), "values": values}


def arch(name, shape, layers, dtype="float32"):
    return {"name": name, "input": {"name": "input", "shape": shape, "dtype": dtype}, "layers": layers}


def case(name, shape, layers, weights, x, y, dtype="float32"):
    return {
        "architecture": arch(name, shape, layers, dtype),
        "weights": {key: flat(value) for key, value in weights.items()},
        "input": flat(x),
        "output": flat(y),
    }


cases = []


def conv_case(name, channels, side, layer, pad, **options):
    """`pad` is PyTorch's F.pad order: left, right, top, bottom."""
    conv = nn.Conv2d(channels, layer["out_channels"], layer["kernel"], bias=layer.get("bias", True), **options)
    x = torch.randn(2, channels, *side)
    weights = {"c." + key: value for key, value in conv.state_dict().items()}
    cases.append(case(name, [channels, *side], [{"name": "c", "kind": "conv2d", **layer}], weights, x, conv(F.pad(x, pad))))


conv_case("conv-valid", 1, (7, 6), {"out_channels": 3, "kernel": 3}, (0, 0, 0, 0))
conv_case("conv-same", 2, (7, 6), {"out_channels": 3, "kernel": 3, "padding": "same"}, (1, 1, 1, 1))
conv_case("conv-same-even", 2, (7, 6), {"out_channels": 3, "kernel": [2, 4], "padding": "same"}, (1, 2, 0, 1))
conv_case("conv-same-stride", 2, (8, 7), {"out_channels": 4, "kernel": 3, "stride": 2, "padding": "same"}, (1, 1, 0, 1), stride=2)
conv_case("conv-groups", 4, (5, 5), {"out_channels": 6, "kernel": 3, "groups": 2, "padding": 1}, (1, 1, 1, 1), groups=2)
conv_case("conv-depthwise", 3, (5, 5), {"out_channels": 3, "kernel": 3, "groups": 3, "bias": False}, (0, 0, 0, 0), groups=3)
conv_case("conv-dilated", 2, (9, 9), {"out_channels": 2, "kernel": 3, "dilation": 2, "stride": [2, 1]}, (0, 0, 0, 0), dilation=2, stride=(2, 1))
conv_case("conv-explicit", 2, (5, 5), {"out_channels": 2, "kernel": 3, "padding": [0, 1, 2, 0]}, (1, 0, 0, 2))
conv_case("conv-pointwise", 5, (4, 4), {"out_channels": 3, "kernel": 1}, (0, 0, 0, 0))


def norm_case(name, shape, norm):
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    norm.eval()
    x = torch.randn(3, *shape)
    weights = {"n." + key: value for key, value in norm.state_dict().items() if key != "num_batches_tracked"}
    cases.append(case(name, shape, [{"name": "n", "kind": "batch_norm", "epsilon": norm.eps}], weights, x, norm(x)))


norm_case("batch-norm-pictures", [4, 3, 2], nn.BatchNorm2d(4))
norm_case("batch-norm-rows", [5], nn.BatchNorm1d(5, eps=1e-3))


def plain_case(name, shape, layers, function, x=None):
    x = torch.randn(3, *shape) if x is None else x
    cases.append(case(name, shape, layers, {}, x, function(x)))


plain_case("max-pool", [2, 6, 4], [{"name": "p", "kind": "max_pool2d", "kernel": 2}], lambda x: F.max_pool2d(x, 2))
plain_case("max-pool-odd", [2, 7, 5], [{"name": "p", "kind": "max_pool2d", "kernel": 2}], lambda x: F.max_pool2d(x, 2))
plain_case("max-pool-overlap", [2, 7, 7], [{"name": "p", "kind": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1}], lambda x: F.max_pool2d(x, 3, 2, 1))
plain_case("max-pool-same", [2, 5, 5], [{"name": "p", "kind": "max_pool2d", "kernel": 2, "padding": "same"}],
           lambda x: F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=float("-inf")), 2))
plain_case("avg-pool", [2, 6, 4], [{"name": "p", "kind": "avg_pool2d", "kernel": [3, 2]}], lambda x: F.avg_pool2d(x, (3, 2)))
plain_case("avg-pool-padded", [2, 7, 7], [{"name": "p", "kind": "avg_pool2d", "kernel": 3, "stride": 2, "padding": 1}],
           lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False))
plain_case("global-avg-pool", [3, 4, 5], [{"name": "g", "kind": "global_avg_pool"}], lambda x: x.mean((2, 3)))
plain_case("flatten", [2, 3, 4], [{"name": "f", "kind": "flatten"}], lambda x: x.flatten(1))
for kind, function in [("relu", F.relu), ("gelu", F.gelu), ("sigmoid", torch.sigmoid), ("tanh", torch.tanh), ("softmax", lambda x: x.softmax(-1))]:
    plain_case(kind, [6], [{"name": "a", "kind": kind}], function)
plain_case("relu-pictures", [2, 3, 3], [{"name": "a", "kind": "relu"}], F.relu)
plain_case("dropout", [6], [{"name": "r", "kind": "relu"}, {"name": "d", "kind": "dropout", "p": 0.5}], F.relu)
plain_case("add", [5], [{"name": "a", "kind": "relu"}, {"name": "b", "kind": "tanh", "inputs": ["input"]},
                        {"name": "s", "kind": "add", "inputs": ["a", "b", "input"]}], lambda x: F.relu(x) + torch.tanh(x) + x)
plain_case("concat", [2, 3, 3], [{"name": "a", "kind": "relu"}, {"name": "s", "kind": "concat", "inputs": ["a", "input"]}],
           lambda x: torch.cat([F.relu(x), x], 1))
plain_case("columns", [6], [{"name": "c", "kind": "columns", "from": 1, "to": 4}], lambda x: x[:, 1:4])

for bias in [True, False]:
    dense = nn.Linear(5, 4, bias=bias)
    x = torch.randn(3, 5)
    cases.append(case(f"linear-{'bias' if bias else 'plain'}", [5], [{"name": "l", "kind": "linear", "units": 4, "bias": bias}],
                      {"l." + key: value for key, value in dense.state_dict().items()}, x, dense(x)))

table = torch.randn(7, 3)
codes = torch.tensor([[0, 6, 2], [3, 3, 1]])
embed = [{"name": "e", "kind": "embedding", "vocabulary": 7, "dimensions": 3}, {"name": "f", "kind": "flatten"}]
cases.append(case("embedding-codes", [3], embed, {"e.weight": table}, codes, table[codes].flatten(1), "int64"))
cases.append(case("embedding-columns", [3], embed, {"e.weight": table}, codes.float(), table[codes].flatten(1)))

json.dump(cases, open("reference.json", "w"))


class Table(nn.Module):
    """Two category columns with one embedding each beside two numbers."""

    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(5, 3)
        self.l = nn.Linear(8, 6)
        self.n = nn.BatchNorm1d(6)
        self.o = nn.Linear(6, 3)

    def forward(self, x):
        vectors = self.e(x[:, 2:4].long()).flatten(1)
        return self.o(F.gelu(self.n(self.l(torch.cat([vectors, x[:, :2]], 1)))))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.n1 = nn.BatchNorm2d(4)
        self.c2 = nn.Conv2d(4, 4, 3, padding=1)
        self.o = nn.Linear(4, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)
        return self.o(torch.tanh(self.c2(x) + x).mean((2, 3)))


class Plain(nn.Module):
    """The worked example in small: convolution, pool, two dense layers."""

    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(1, 4, 3)
        self.h = nn.Linear(4 * 4 * 3, 8)
        self.o = nn.Linear(8, 3)

    def forward(self, x):
        return self.o(F.relu(self.h(F.max_pool2d(F.relu(self.c(x)), 2).flatten(1))))


table_layers = [
    {"name": "codes", "kind": "columns", "from": 2, "to": 4}, {"name": "e", "kind": "embedding", "vocabulary": 5, "dimensions": 3},
    {"name": "f", "kind": "flatten"}, {"name": "numbers", "kind": "columns", "from": 0, "to": 2, "inputs": ["input"]},
    {"name": "j", "kind": "concat", "inputs": ["f", "numbers"]}, {"name": "l", "kind": "linear", "units": 6}, {"name": "n", "kind": "batch_norm"},
    {"name": "g", "kind": "gelu"}, {"name": "o", "kind": "linear", "units": 3}]
residual_layers = [
    {"name": "c1", "kind": "conv2d", "out_channels": 4, "kernel": 3, "padding": "same", "bias": False}, {"name": "n1", "kind": "batch_norm"},
    {"name": "r1", "kind": "relu"}, {"name": "p1", "kind": "max_pool2d", "kernel": 2},
    {"name": "c2", "kind": "conv2d", "out_channels": 4, "kernel": 3, "padding": "same"}, {"name": "a", "kind": "add", "inputs": ["c2", "p1"]},
    {"name": "t", "kind": "tanh"}, {"name": "g", "kind": "global_avg_pool"}, {"name": "o", "kind": "linear", "units": 3}]
plain_layers = [
    {"name": "c", "kind": "conv2d", "out_channels": 4, "kernel": 3}, {"name": "r", "kind": "relu"}, {"name": "p", "kind": "max_pool2d", "kernel": 2},
    {"name": "f", "kind": "flatten"}, {"name": "h", "kind": "linear", "units": 8}, {"name": "r2", "kind": "relu"}, {"name": "o", "kind": "linear", "units": 3}]

numbers = torch.randn(6, 4)
numbers[:, 2:4] = torch.randint(0, 5, (6, 2)).float()
runs = []
for name, model, shape, layers, x, settings in [
    ("table", Table(), [4], table_layers, numbers, {"kind": "adamw", "weight_decay": 0.01}),
    ("residual", Residual(), [2, 6, 6], residual_layers, torch.randn(5, 2, 6, 6), {"kind": "sgd", "momentum": 0.9}),
    ("plain", Plain(), [1, 10, 9], plain_layers, torch.randn(4, 1, 10, 9), {"kind": "adam"}),
]:
    keep = lambda: {key: flat(value) for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    target = torch.randint(0, 3, (x.shape[0],))
    start, rate = keep(), 0.02
    optimizer = {
        "adam": lambda: torch.optim.Adam(model.parameters(), lr=rate),
        "adamw": lambda: torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01),
        "sgd": lambda: torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9),
    }[settings["kind"]]()
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    runs.append({"architecture": arch(name, shape, layers), "optimizer": settings, "rate": rate, "input": flat(x), "target": flat(target),
                 "start": start, "losses": losses, "end": keep()})
json.dump(runs, open("training.json", "w"))

steps = []
for settings, build in [
    ({"kind": "adam"}, lambda p: torch.optim.Adam(p, lr=0.01)),
    ({"kind": "adam", "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-6},
     lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1)),
    ({"kind": "adamw", "weight_decay": 0.1}, lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1)),
    ({"kind": "sgd", "momentum": 0.0}, lambda p: torch.optim.SGD(p, lr=0.01)),
    ({"kind": "sgd", "momentum": 0.9, "weight_decay": 0.1}, lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=0.1)),
]:
    weights = nn.Parameter(torch.randn(6))
    start, gradients = weights.detach().tolist(), []
    optimizer = build([weights])
    for _ in range(10):
        weights.grad = torch.randn(6) * 10 ** torch.empty(6).uniform_(-3, 1)
        gradients.append(weights.grad.tolist())
        optimizer.step()
    steps.append({"settings": settings, "rate": 0.01, "start": start, "gradients": gradients, "end": weights.detach().tolist()})
json.dump(steps, open("optimizers.json", "w"))
