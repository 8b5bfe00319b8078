"""Makes imports/*.onnx and imports.json: small PyTorch models as its exporters write them, each with an input and the
output in inference mode. Run: python make_imports.py  (torch 2.15 CPU build, onnx, onnxscript).

Metadata (stack traces of the exporter) is taken out of the files, which are otherwise as they were written."""

import json
import pathlib
import warnings

import onnx
import torch
from torch import nn
import torch.nn.functional as F

warnings.filterwarnings("ignore")
torch.manual_seed(7)
torch.set_num_threads(1)
folder = pathlib.Path(__file__).parent / "imports"
folder.mkdir(exist_ok=True)
cases = []


def flat(tensor):
    kind = "int64" if tensor.dtype == torch.int64 else "float32"
    values = tensor.detach().reshape(-1).tolist()
    if kind == "float32":
        values = [float(f"{value:.9g}") for value in values]
    return {"dtype": kind, "shape": list(tensor.shape), "values": values}


def settle(model):
    """Statistics and scales of norms that are not those of a new one."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.uniform_(-0.5, 0.5), module.running_var.uniform_(0.5, 2)
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)):
            nn.init.uniform_(module.weight, 0.5, 2), nn.init.uniform_(module.bias, -0.5, 0.5)
    return model.eval()


def bare(path):
    model = onnx.load(path)
    del model.metadata_props[:]
    for item in [model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output]:
        item.doc_string = ""
        del item.metadata_props[:]
    del model.graph.value_info[:]
    model.doc_string = ""
    model.ClearField("functions")
    onnx.save(model, path)


def case(name, model, x, opsets=(11, 17), dynamo=18, fold=True, free=True, time=False):
    model = settle(model)
    with torch.no_grad():
        y = model(x)
    done = []
    for opset in opsets:
        path = folder / f"{name}-{opset}.onnx"
        axes = {"x": {0: "batch"}, "y": {0: "batch"}} if free else None
        if time:
            axes["x"][1] = "time"
        training = torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE
        torch.onnx.export(model, (x,), path, input_names=["x"], output_names=["y"], opset_version=opset, dynamo=False,
                          dynamic_axes=axes, do_constant_folding=fold, training=training)
        done.append(path)
    if dynamo:
        path = folder / f"{name}-dynamo.onnx"
        shapes = ({0: torch.export.Dim("batch")},) if free else None
        try:
            torch.onnx.export(model, (x,), path, input_names=["x"], output_names=["y"], opset_version=dynamo,
                              dynamo=True, external_data=False, dynamic_shapes=shapes, verbose=False)
            done.append(path)
        except Exception as error:  # What it cannot export is said here and missing there.
            print(name, "dynamo:", str(error).splitlines()[0])
    for path in done:
        bare(path)
        operators = sorted({node.op_type for node in onnx.load(path).graph.node})
        print(path.name, path.stat().st_size, *operators)
        cases.append({"file": path.stem, "input": flat(x), "output": flat(y)})


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 5, padding=2), nn.Conv2d(4, 6, 5)
        self.fc1, self.fc2 = nn.Linear(24, 12), nn.Linear(12, 4)

    def forward(self, x):
        x = F.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.avg_pool2d(torch.sigmoid(self.conv2(x)), 2, padding=1, count_include_pad=False)
        return self.fc2(F.relu(self.fc1(x.view(x.size(0), -1))))


class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.shortcut = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(4, 4, 1))
        self.layer2 = nn.Sequential(Block(4, 6, 2))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 3)

    def forward(self, x):
        x = self.layer2(self.layer1(self.maxpool(F.relu(self.bn1(self.conv1(x))))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Inverted(nn.Module):
    """A MobileNet block with squeeze and excitation."""

    def __init__(self, channels, activation):
        super().__init__()
        wide = channels * 2
        self.expand = nn.Sequential(nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), activation)
        self.depthwise = nn.Sequential(nn.Conv2d(wide, wide, 3, 1, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), activation)
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, 2, 1), nn.ReLU(), nn.Conv2d(2, wide, 1), nn.Hardsigmoid())
        self.project = nn.Sequential(nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = self.depthwise(self.expand(x))
        return x + self.project(y * self.squeeze(y))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Dropout(0.2), nn.Linear(8, 8), nn.SiLU(),
                                    nn.BatchNorm1d(8), nn.Linear(8, 5), nn.ELU(0.7), nn.Linear(5, 3), nn.Softmax(1))

    def forward(self, x):
        return self.layers(x)


class TextCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.convs = nn.ModuleList(nn.Conv1d(6, 4, kernel) for kernel in (2, 3))
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        x = self.embedding(x).transpose(1, 2)
        return self.out(torch.cat([F.relu(conv(x)).max(2)[0] for conv in self.convs], 1))


class Recurrent(nn.Module):
    def __init__(self, kind, last, **options):
        super().__init__()
        self.embedding, self.last = nn.Embedding(12, 5), last
        self.rnn = kind(5, 4, batch_first=True, **options)
        self.head = nn.Linear(8 if options.get("bidirectional") else 4, 3)

    def forward(self, x):
        y, state = self.rnn(self.embedding(x))
        if self.last == "step":
            return self.head(y[:, -1])
        if self.last == "mean":
            return self.head(y.mean(1))
        if self.last == "both":
            state = state[0] if isinstance(state, tuple) else state
            return self.head(torch.cat([state[-2], state[-1]], 1))
        return self.head(y)


class Signal(nn.Module):
    """Time last, as PyTorch has it."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(3, 4, 3, padding=1), nn.BatchNorm1d(4), nn.LeakyReLU(0.2), nn.MaxPool1d(2),
                                  nn.Conv1d(4, 4, 3, padding=2, dilation=2, groups=2), nn.Hardswish(), nn.AvgPool1d(2))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(8, 3))

    def forward(self, x):
        return self.head(self.body(x))


class UNet(nn.Module):
    """A transposed convolution, a skip connection, group norm, and a picture as the output."""

    def __init__(self):
        super().__init__()
        self.down, self.norm = nn.Conv2d(2, 4, 3, 1, 1), nn.GroupNorm(2, 4)
        self.inner = nn.Conv2d(4, 6, 3, 2, 1)
        self.up, self.out = nn.ConvTranspose2d(6, 4, 2, 2), nn.Conv2d(8, 2, 1)
        self.bigger = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x):
        x = F.selu(self.norm(self.down(x)))
        y = F.softplus(self.up(F.mish(self.inner(x))))
        return self.bigger(self.out(torch.cat([x, y], 1)))


class Next(nn.Module):
    """A ConvNeXt block: layer norm and dense layers over the channels of a picture."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 2, 2)
        self.depthwise, self.norm = nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.LayerNorm(4)
        self.wide, self.narrow, self.head = nn.Linear(4, 8), nn.Linear(8, 4), nn.Linear(4, 3)

    def forward(self, x):
        x = self.stem(x)
        y = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.narrow(F.gelu(self.wide(self.norm(y)))).permute(0, 3, 1, 2)
        return self.head((x + y).mean([2, 3]))


case("lenet", LeNet(), torch.randn(2, 1, 14, 14), opsets=(11, 20))
case("resnet", ResNet(), torch.randn(2, 3, 8, 8))
case("resnet-unfolded", ResNet(), torch.randn(2, 3, 8, 8), opsets=(13,), dynamo=None, fold=False)
mobile = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU6(), Inverted(4, nn.ReLU6()), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(4, 3))
case("mobilenet", mobile, torch.randn(2, 3, 9, 9), opsets=(12, 17))
case("mlp", Mlp(), torch.randn(3, 6), opsets=(11, 17, 20))
case("mlp-fixed", Mlp(), torch.randn(1, 6), opsets=(13,), free=False)
case("text-cnn", TextCnn(), torch.randint(0, 20, (2, 7)), opsets=(11, 18))
case("lstm", Recurrent(nn.LSTM, "step", num_layers=2), torch.randint(0, 12, (2, 6)))
case("lstm-both", Recurrent(nn.LSTM, "both", bidirectional=True), torch.randint(0, 12, (2, 6)), opsets=(13,))
case("gru", Recurrent(nn.GRU, "mean", bidirectional=True), torch.randint(0, 12, (2, 6)))
case("gru-free", Recurrent(nn.GRU, "mean", bidirectional=True), torch.randint(0, 12, (2, 9)), opsets=(17,), dynamo=None, time=True)
case("lstm-free", Recurrent(nn.LSTM, "step"), torch.randint(0, 12, (2, 9)), opsets=(17,), dynamo=None, time=True)
case("rnn", Recurrent(nn.RNN, "all"), torch.randint(0, 12, (1, 6)), opsets=(13,), dynamo=None, free=False)
case("signal", Signal(), torch.randn(2, 3, 8))
case("unet", UNet(), torch.randn(2, 2, 6, 6))
case("convnext", Next(), torch.randn(2, 3, 6, 6))
(folder.parent / "imports.json").write_text(json.dumps(cases))
