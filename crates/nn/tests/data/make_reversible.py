"""Makes reversible.json with PyTorch: windows less their centre over their deviation, and the way back, as in the
authors' code of reversible instance normalisation (Kim and others 2022), without its learned scale and shift.
Run: python make_reversible.py  (torch 2.15)."""

import json

import torch

torch.manual_seed(12)
cases = []


def flat(tensor):
    values = [float(f"{value:.9g}") for value in tensor.reshape(-1).tolist()]
    return {"dtype": "float32", "shape": list(tensor.shape), "values": values}


def moments(x, centre, scale, epsilon=1e-5):
    middle = x.mean(1, keepdim=True) if centre == "mean" else x[:, -1:]
    spread = torch.sqrt(x.var(1, keepdim=True, unbiased=False) + epsilon) if scale else torch.ones_like(middle)
    return middle, spread


for centre, scale in [("mean", True), ("last", True), ("mean", False), ("last", False)]:
    x = torch.randn(3, 7, 1) * 4 + 2
    x[2] = 1.5  # a window that does not move
    middle, spread = moments(x, centre, scale)
    settings = {"centre": centre, "scale": scale}
    ending = f"{centre}-{'scaled' if scale else 'plain'}"
    spec = {"name": "input", "shape": [7, 1], "dtype": "float32", "free_length": True}
    norm = {"name": "n", "kind": "reversible_norm", **settings}
    cases.append({"architecture": {"name": f"reversible-{ending}", "input": spec, "layers": [norm]},
                  "weights": {}, "input": flat(x), "output": flat((x - middle) / spread)})
    spec = {"name": "input", "shape": [7, 1], "dtype": "float32"}
    dense = torch.nn.Linear(7, 3)
    layers = [norm, {"name": "flat", "kind": "flatten"}, {"name": "dense", "kind": "linear", "units": 3},
              {"name": "back", "kind": "reverse_norm", "inputs": ["dense", "input"], **settings}]
    y = dense(((x - middle) / spread).flatten(1)) * spread[:, 0] + middle[:, 0]
    cases.append({"architecture": {"name": f"reverse-{ending}", "input": spec, "layers": layers},
                  "weights": {f"dense.{key}": flat(value.detach()) for key, value in dense.named_parameters()},
                  "input": flat(x), "output": flat(y.detach())})

json.dump(cases, open("reversible.json", "w"))
