"""Makes layers.json with PyTorch: outputs in inference mode of the layers for sequences, of attention, of blocks and of
the activations beyond the first ones; and losses.json. Run: python make_layers.py  (torch 2.15 CPU build)."""

import json
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(11)
torch.set_num_threads(1)
cases = []


def flat(tensor):
    tensor = tensor.detach()
    kind = "int64" if tensor.dtype == torch.int64 else "float32"
    values = tensor.reshape(-1).tolist()
    if kind == "float32":
        values = [float(f"{value:.9g}") for value in values]
    return {"dtype": kind, "shape": list(tensor.shape), "values": values}


def case(name, layers, weights, x, y, free=False):
    dtype = "int64" if x.dtype == torch.int64 else "float32"
    entry = {"name": "input", "shape": list(x.shape[1:]), "dtype": dtype}
    if free:
        entry["free_length"] = True
    skipped = "num_batches_tracked"
    cases.append({
        "architecture": {"name": name, "input": entry, "layers": layers},
        "weights": {key: flat(value) for key, value in weights.items() if not key.endswith(skipped)},
        "input": flat(x),
        "output": flat(y),
    })


def named(prefix, module):
    return {f"{prefix}.{key}": value for key, value in module.state_dict().items()}


def over_time(function):
    """PyTorch puts channels before time."""
    return lambda x: function(x.transpose(1, 2)).transpose(1, 2)


# Convolutions
def conv1d(name, features, time, settings, pad, **options):
    conv = nn.Conv1d(features, settings["out_channels"], settings["kernel"], bias=settings.get("bias", True), **options)
    x = torch.randn(2, time, features)
    y = over_time(lambda x: conv(F.pad(x, pad)))(x)
    case(name, [{"name": "c", "kind": "conv1d", **settings}], named("c", conv), x, y, free=True)


conv1d("conv1d-valid", 3, 9, {"out_channels": 4, "kernel": 3, "stride": 2}, (0, 0), stride=2)
conv1d("conv1d-same", 3, 8, {"out_channels": 2, "kernel": 4, "padding": "same", "bias": False}, (1, 2))
conv1d("conv1d-causal", 2, 7, {"out_channels": 2, "kernel": 3, "dilation": 2, "padding": "causal"}, (4, 0), dilation=2)
conv1d("conv1d-groups", 4, 6, {"out_channels": 4, "kernel": 3, "groups": 2, "padding": [1, 0]}, (1, 0), groups=2)

depthwise = nn.Conv2d(3, 6, 3, padding=1, groups=3, stride=2)
x = torch.randn(2, 3, 7, 7)
case("depthwise", [{"name": "c", "kind": "depthwise_conv2d", "kernel": 3, "stride": 2, "padding": 1, "multiplier": 2}],
     named("c", depthwise), x, depthwise(x))

for name, settings, options in [
    ("transpose", {"out_channels": 4, "kernel": 2, "stride": 2}, {"stride": 2}),
    ("transpose-padded", {"out_channels": 4, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 1}, {"stride": 2, "padding": 1, "output_padding": 1}),
    ("transpose-groups", {"out_channels": 4, "kernel": [2, 3], "groups": 2, "dilation": 2, "bias": False}, {"groups": 2, "dilation": 2, "bias": False}),
]:
    conv = nn.ConvTranspose2d(2, 4, settings["kernel"], **options)
    x = torch.randn(2, 2, 4, 5)
    case(name, [{"name": "c", "kind": "conv_transpose2d", **settings}], named("c", conv), x, conv(x))

# Normalisation
norm = nn.BatchNorm1d(3)
norm.running_mean.uniform_(-1, 1), norm.running_var.uniform_(0.5, 2), nn.init.uniform_(norm.weight, 0.5, 2), norm.eval()
x = torch.randn(2, 5, 3)
case("batch-norm-sequences", [{"name": "n", "kind": "batch_norm"}], named("n", norm), x, over_time(norm)(x), free=True)
for name, shape in [("layer-norm-rows", (3, 6)), ("layer-norm-sequences", (2, 4, 6))]:
    norm = nn.LayerNorm(6)
    nn.init.uniform_(norm.weight, 0.5, 2), nn.init.uniform_(norm.bias, -1, 1)
    x = torch.randn(*shape)
    case(name, [{"name": "n", "kind": "layer_norm"}], named("n", norm), x, norm(x))
norm = nn.GroupNorm(2, 4)
nn.init.uniform_(norm.weight, 0.5, 2), nn.init.uniform_(norm.bias, -1, 1)
x = torch.randn(2, 4, 3, 5)
case("group-norm", [{"name": "n", "kind": "group_norm", "groups": 2}], named("n", norm), x, norm(x))

# Pools
sequence = torch.randn(2, 9, 3)
case("max-pool1d", [{"name": "p", "kind": "max_pool1d", "kernel": 2}], {}, sequence, over_time(lambda x: F.max_pool1d(x, 2))(sequence), free=True)
case("max-pool1d-overlap", [{"name": "p", "kind": "max_pool1d", "kernel": 3, "stride": 1, "padding": "same"}], {}, sequence,
     over_time(lambda x: F.max_pool1d(x, 3, 1, 1))(sequence))
case("avg-pool1d", [{"name": "p", "kind": "avg_pool1d", "kernel": 3, "stride": 2, "padding": 1}], {}, sequence,
     over_time(lambda x: F.avg_pool1d(x, 3, 2, 1, count_include_pad=False))(sequence))
case("global-avg-sequences", [{"name": "g", "kind": "global_avg_pool"}], {}, sequence, sequence.mean(1), free=True)
case("global-max-sequences", [{"name": "g", "kind": "global_max_pool"}], {}, sequence, sequence.amax(1), free=True)
case("last-step", [{"name": "g", "kind": "last_step"}], {}, sequence, sequence[:, -1], free=True)
picture = torch.randn(2, 3, 7, 5)
case("global-max", [{"name": "g", "kind": "global_max_pool"}], {}, picture, picture.amax((2, 3)))
case("adaptive", [{"name": "g", "kind": "adaptive_avg_pool2d", "size": [3, 2]}], {}, picture, F.adaptive_avg_pool2d(picture, (3, 2)))

# Activations
for kind, function, settings in [
    ("relu6", F.relu6, {}), ("silu", F.silu, {}), ("mish", F.mish, {}), ("selu", F.selu, {}), ("softplus", F.softplus, {}),
    ("hard_sigmoid", F.hardsigmoid, {}), ("hard_swish", F.hardswish, {}), ("leaky_relu", lambda x: F.leaky_relu(x, 0.2), {"slope": 0.2}),
    ("elu", lambda x: F.elu(x, 0.7), {"alpha": 0.7}),
]:
    x = 4 * torch.randn(3, 8)
    case(kind, [{"name": "a", "kind": kind, **settings}], {}, x, function(x))

# Shapes
case("reshape", [{"name": "r", "kind": "reshape", "shape": [5, 3]}], {}, torch.arange(30.0).reshape(2, 15), torch.arange(30.0).reshape(2, 5, 3))
case("to-sequence", [{"name": "s", "kind": "to_sequence"}], {}, picture, picture.flatten(2).transpose(1, 2))
for mode in ["bilinear", "nearest"]:
    options = {"align_corners": False} if mode == "bilinear" else {}
    case(f"upsample-{mode}", [{"name": "u", "kind": "upsample", "scale": 2, "mode": mode}], {}, picture,
         F.interpolate(picture, scale_factor=2, mode=mode, **options))
case("concat-features", [{"name": "a", "kind": "tanh"}, {"name": "j", "kind": "concat", "axis": 1, "inputs": ["a", "input"]}], {}, sequence,
     torch.cat([torch.tanh(sequence), sequence], 2), free=True)
case("mul", [{"name": "a", "kind": "tanh"}, {"name": "m", "kind": "mul", "inputs": ["a", "input"]}], {}, sequence, torch.tanh(sequence) * sequence)
dense = nn.Linear(3, 4)
case("linear-sequences", [{"name": "l", "kind": "linear", "units": 4}], named("l", dense), sequence, dense(sequence), free=True)

lora_a, lora_b = torch.randn(2, 3), torch.randn(4, 2)
case("linear-adapter", [{"name": "l", "kind": "linear", "units": 4, "adapter": {"rank": 2, "alpha": 8.0}}],
     {**named("l", dense), "l.lora_a": lora_a, "l.lora_b": lora_b}, sequence, F.linear(sequence, dense.weight + 4 * lora_b @ lora_a, dense.bias))

# Positions
table = torch.randn(9, 3)
case("positions-learned", [{"name": "p", "kind": "positions"}], {"p.weight": table}, sequence, sequence + table, free=True)
places, features = torch.arange(9.0)[:, None], torch.arange(3)[None]
angle = places.double() / 10000 ** (2 * (features // 2) / 3)
waves = torch.where(features % 2 == 0, angle.sin(), angle.cos()).float()
case("positions-sinusoidal", [{"name": "p", "kind": "positions", "encoding": "sinusoidal"}], {}, sequence, sequence + waves)

# Recurrent layers, whole and with lengths
codes = torch.tensor([[3, 1, 4, 2, 5], [2, 5, 1, 0, 0], [6, 0, 3, 0, 0]])
counts = torch.tensor([5, 3, 3])  # a padding code before the last code is inside
table = torch.randn(7, 4)
table[0] = 0
vectors = table[codes]
for kind, build in [("rnn", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU)]:
    for name, layers, both in [("plain", 1, False), ("stacked", 2, True)]:
        network = build(4, 3, num_layers=layers, bidirectional=both, batch_first=True)
        x = torch.randn(2, 6, 4)
        settings = {"name": "r", "kind": kind, "units": 3, "layers": layers, "bidirectional": both}
        case(f"{kind}-{name}", [settings], named("r", network), x, network(x)[0], free=True)
        packed = nn.utils.rnn.pack_padded_sequence(vectors, counts, batch_first=True, enforce_sorted=False)
        y = nn.utils.rnn.pad_packed_sequence(network(packed)[0], batch_first=True, total_length=5)[0]
        embed = {"name": "e", "kind": "embedding", "vocabulary": 7, "dimensions": 4, "padding": 0}
        case(f"{kind}-{name}-lengths", [embed, settings], {"e.weight": table, **named("r", network)}, codes, y, free=True)
        last = y[torch.arange(3), counts - 1]
        case(f"{kind}-{name}-last", [embed, settings, {"name": "t", "kind": "last_step"}], {"e.weight": table, **named("r", network)}, codes, last, free=True)
mask = (torch.arange(5)[None] < counts[:, None]).float()
for kind, y in [("avg", (vectors * mask[..., None]).sum(1) / counts[:, None]), ("max", vectors.masked_fill(mask[..., None] == 0, -1e30).amax(1))]:
    case(f"global-{kind}-lengths", [embed, {"name": "g", "kind": f"global_{kind}_pool"}], {"e.weight": table}, codes, y, free=True)
empty = torch.tensor([[0, 0, 0], [4, 0, 0]])
case("all-padding", [embed, {"name": "g", "kind": "global_avg_pool"}], {"e.weight": table}, empty, table[empty][:, 0], free=True)

# Attention
for name, causal in [("attention", False), ("attention-causal", True)]:
    attention = nn.MultiheadAttention(6, 2, batch_first=True)
    nn.init.uniform_(attention.in_proj_bias, -1, 1), nn.init.uniform_(attention.out_proj.bias, -1, 1)
    x = torch.randn(2, 5, 6)
    seen = nn.Transformer.generate_square_subsequent_mask(5) if causal else None
    y = attention(x, x, x, attn_mask=seen, is_causal=causal)[0]
    case(name, [{"name": "a", "kind": "multi_head_attention", "heads": 2, "causal": causal}], named("a", attention), x, y, free=True)
attention = nn.MultiheadAttention(4, 2, batch_first=True)
y = attention(vectors, vectors, vectors, key_padding_mask=mask == 0)[0]
case("attention-lengths", [embed, {"name": "a", "kind": "multi_head_attention", "heads": 2}], {"e.weight": table, **named("a", attention)}, codes, y, free=True)
for norm_first in [False, True]:
    for activation in ["relu", "gelu"]:
        block = nn.TransformerEncoderLayer(6, 3, 8, 0.1, activation, batch_first=True, norm_first=norm_first)
        for parameter in block.parameters():
            nn.init.uniform_(parameter, -0.5, 0.5)
        block.eval()
        x = torch.randn(2, 4, 6)
        settings = {"name": "t", "kind": "transformer_encoder", "heads": 3, "feed_forward": 8, "dropout": 0.1, "activation": activation, "norm_first": norm_first}
        case(f"encoder-{activation}-{'first' if norm_first else 'last'}", [settings], named("t", block), x, block(x), free=True)
    block = nn.TransformerDecoderLayer(6, 2, 8, 0.1, "relu", batch_first=True, norm_first=norm_first)
    block.eval()
    memory = nn.Conv1d(6, 6, 3, stride=2)
    x = torch.randn(2, 5, 6)
    seen = nn.Transformer.generate_square_subsequent_mask(5)
    settings = {"name": "t", "kind": "transformer_decoder", "heads": 2, "feed_forward": 8, "dropout": 0.1, "activation": "relu", "norm_first": norm_first, "inputs": ["input", "m"]}
    case(f"decoder-{'first' if norm_first else 'last'}", [{"name": "m", "kind": "conv1d", "out_channels": 6, "kernel": 3, "stride": 2}, settings],
         {**named("m", memory), **named("t", block)}, x, block(x, over_time(memory)(x), tgt_mask=seen, tgt_is_causal=True))


# Blocks
def conv(channels, out, kernel, stride=1):
    return nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)


class Residual(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = conv(channels, out, 3, stride), nn.BatchNorm2d(out), conv(out, out, 3), nn.BatchNorm2d(out)
        if channels != out or stride != 1:
            self.shortcut, self.shortcut_bn = conv(channels, out, 1, stride), nn.BatchNorm2d(out)

    def forward(self, x):
        beside = self.shortcut_bn(self.shortcut(x)) if hasattr(self, "shortcut") else x
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + beside)


class Dense(nn.Module):
    def __init__(self, channels, layers, growth):
        super().__init__()
        for layer in range(1, layers + 1):
            setattr(self, f"bn{layer}", nn.BatchNorm2d(channels))
            setattr(self, f"conv{layer}", conv(channels, growth, 3))
            channels += growth
        self.layers = layers

    def forward(self, x):
        for layer in range(1, self.layers + 1):
            x = torch.cat([x, getattr(self, f"conv{layer}")(F.relu(getattr(self, f"bn{layer}")(x)))], 1)
        return x


class Inverted(nn.Module):
    def __init__(self, channels, out, expansion, stride):
        super().__init__()
        wide = channels * expansion
        if expansion > 1:
            self.expand, self.expand_bn = conv(channels, wide, 1), nn.BatchNorm2d(wide)
        self.depthwise, self.depthwise_bn = nn.Conv2d(wide, wide, 3, stride, 0, groups=wide, bias=False), nn.BatchNorm2d(wide)
        self.project, self.project_bn = conv(wide, out, 1), nn.BatchNorm2d(out)
        self.same, self.stride = channels == out and stride == 1, stride

    def forward(self, x):
        y = F.relu6(self.expand_bn(self.expand(x))) if hasattr(self, "expand") else x
        y = F.relu6(self.depthwise_bn(self.depthwise(F.pad(y, (1, 1, 1, 1) if self.stride == 1 else (0, 1, 0, 1)))))
        y = self.project_bn(self.project(y))
        return x + y if self.same else y


class Squeeze(nn.Module):
    def __init__(self, channels, reduction):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, channels // reduction), nn.Linear(channels // reduction, channels)

    def forward(self, x):
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3))))))[:, :, None, None]


for name, block, settings in [
    ("residual", Residual(4, 4, 1), {"kind": "residual_block", "out_channels": 4}),
    ("residual-stride", Residual(4, 6, 2), {"kind": "residual_block", "out_channels": 6, "stride": 2}),
    ("dense-block", Dense(4, 2, 3), {"kind": "dense_block", "layers": 2, "growth": 3}),
    ("inverted", Inverted(4, 4, 2, 1), {"kind": "inverted_residual_block", "out_channels": 4, "expansion": 2}),
    ("inverted-stride", Inverted(4, 5, 1, 2), {"kind": "inverted_residual_block", "out_channels": 5, "expansion": 1, "stride": 2}),
    ("squeeze-excite", Squeeze(4, 2), {"kind": "squeeze_excite", "reduction": 2}),
]:
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5), module.running_var.uniform_(0.5, 2), nn.init.uniform_(module.weight, 0.5, 2)
    block.eval()
    x = torch.randn(2, 4, 6, 6)
    case(name, [{"name": "b", **settings}], named("b", block), x, block(x))

# Tokens of numbers, and a forest
weight, bias, x = torch.randn(4, 3), torch.randn(4, 3), torch.randn(2, 4)
case("feature-tokens", [{"name": "t", "kind": "feature_tokens", "dimensions": 3}], {"t.weight": weight, "t.bias": bias}, x, x[..., None] * weight + bias)
# Two trees: x0 < 0 ? (x1 < 0.5 ? 1 : 2) : 3 for the first output, x2 < 1 ? -1 : -2 for the second.
forest = {"feature": [0, 1, 0, 0, 0, 2, 0, 0], "threshold": [0, 0.5, 0, 0, 0, 1, 0, 0], "left": [1, 3, 2, 3, 4, 6, 6, 7],
          "right": [2, 4, 2, 3, 4, 7, 6, 7], "value": [0, 0, 3, 1, 2, 0, -1, -2], "root": [0, 5], "output": [0, 1], "base": [10, 20]}
x = torch.tensor([[-1.0, 0, 0], [-1, 0.5, 1], [0, 0, 2]])
case("trees", [{"name": "f", "kind": "trees", "trees": 2, "nodes": 8, "depth": 2, "outputs": 2}],
     {f"f.{key}": torch.tensor(value, dtype=torch.float32) for key, value in forest.items()}, x, torch.tensor([[11.0, 19], [12, 18], [13, 18]]))

# Losses: of fixed outputs, in float64
outputs = torch.tensor([[0.3, -1.2, 2.5], [0.9, -0.4, 1.7]], dtype=torch.float64)
classes, weights = torch.tensor([2, 0]), torch.tensor([0.5, 2.0, 1.5], dtype=torch.float64)
numbers = torch.tensor([[0.1, 0.7, 0.2], [1.0, 0.0, 0.5]], dtype=torch.float64)
logs = outputs.log_softmax(1)[torch.arange(2), classes]
losses = [
    ({"kind": "cross_entropy"}, F.cross_entropy(outputs, classes)),
    ({"kind": "cross_entropy", "label_smoothing": 0.1}, F.cross_entropy(outputs, classes, label_smoothing=0.1)),
    ({"kind": "cross_entropy", "class_weights": weights.tolist()}, F.cross_entropy(outputs, classes, weight=weights)),
    ({"kind": "focal", "gamma": 2.0}, (-((1 - logs.exp()) ** 2) * logs).mean()),
    ({"kind": "ordinal"}, ((outputs.softmax(1).cumsum(1) - F.one_hot(classes, 3).cumsum(1)) ** 2).sum(1).mean()),
    ({"kind": "binary_cross_entropy"}, F.binary_cross_entropy_with_logits(outputs, numbers)),
    ({"kind": "squared"}, F.mse_loss(outputs, numbers)),
    ({"kind": "absolute"}, F.l1_loss(outputs, numbers)),
    ({"kind": "huber", "delta": 0.8}, F.huber_loss(outputs, numbers, delta=0.8)),
]
json.dump([[settings, value.item()] for settings, value in losses], open("losses.json", "w"))

# Optimisers, appended to those of make_reference.py
def lion(weights, gradient, mean, rate, beta1, beta2, decay):
    """Chen and others 2023, algorithm 2."""
    weights.mul_(1 - rate * decay).sub_(rate * torch.sign(beta1 * mean + (1 - beta1) * gradient))
    mean.mul_(beta2).add_(gradient, alpha=1 - beta2)


steps = []
for settings in [{"kind": "rmsprop"}, {"kind": "rmsprop", "alpha": 0.9, "weight_decay": 0.1, "epsilon": 1e-6},
                 {"kind": "lion", "beta2": 0.99, "weight_decay": 0.1}]:
    weights, mean = nn.Parameter(torch.randn(6)), torch.zeros(6)
    start, gradients = weights.detach().tolist(), []
    optimizer = torch.optim.RMSprop([weights], lr=0.01, alpha=settings.get("alpha", 0.99), eps=settings.get("epsilon", 1e-8),
                                    weight_decay=settings.get("weight_decay", 0.0))
    for _ in range(10):
        gradient = torch.randn(6) * 10 ** torch.empty(6).uniform_(-3, 1)
        gradients.append(gradient.tolist())
        if settings["kind"] == "lion":
            lion(weights.data, gradient, mean, 0.01, 0.9, 0.99, 0.1)
        else:
            weights.grad = gradient
            optimizer.step()
    steps.append({"settings": settings, "rate": 0.01, "start": start, "gradients": gradients, "end": weights.detach().tolist()})
json.dump(steps, open("more_optimizers.json", "w"))

# Random kernels
for name, channels, settings, pad, dilation in [("random-conv1d", 1, {"kernel": 3, "dilation": 2}, (0, 0), 2),
                                                ("random-conv1d-channels", 3, {"kernel": 4, "padding": "same"}, (1, 2), 1)]:
    conv = nn.Conv1d(channels, 5, settings["kernel"], dilation=dilation)
    x = torch.randn(2, 9, channels)
    values = conv(F.pad(x.transpose(1, 2), pad))
    case(name, [{"name": "r", "kind": "random_conv1d", "kernels": 5, **settings}], named("r", conv), x,
         torch.cat([values.amax(2), (values > 0).float().mean(2)], 1))

json.dump(cases, open("layers.json", "w"))
print(len(cases), "cases")
