"""Times PyTorch's training steps of one row of the train-zoo comparison when it is its turn: for each line of standard input,
which says how many steps, one JSON object on a line.

The steps are those of crates/nn/examples/train_zoo.rs: the same network, batch and optimiser (Adam, cross entropy). The
flags are what makes PyTorch faster on a CPU: channels-last memory, the fused Adam, and torch.compile; with --bf16 it computes
under autocast.
"""

import argparse

import torch
from torch import nn
from turns import take_turns

VOCABULARY = 10_000

parser = argparse.ArgumentParser()
parser.add_argument("row")
parser.add_argument("threads", type=int)
for flag in ("--channels-last", "--fused", "--compile", "--bf16"):
    parser.add_argument(flag, action="store_true")
arguments = parser.parse_args()

torch.set_num_threads(arguments.threads)
torch.manual_seed(1)


class Residual(nn.Module):
    """The basic block."""

    def __init__(self, channels, out_channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.shortcut = nn.Identity()
        if stride > 1 or channels != out_channels:
            conv = nn.Conv2d(channels, out_channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(out_channels))

    def forward(self, x):
        y = self.relu(self.norm1(self.conv1(x)))
        return self.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def worked_example():
    return [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(5408, 128), nn.ReLU(), nn.Linear(128, 10)]


def lenet5():
    head = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
    return [*head, nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]


def mlp():
    return [nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]


def conv_stack():
    layers, channels = [], 3
    for out_channels in (64, 128):
        for _ in range(2):
            layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.ReLU()]
            channels = out_channels
        layers.append(nn.MaxPool2d(2))
    return [*layers, nn.Flatten(), nn.Linear(8192, 10)]


def resnet18():
    layers, channels = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for stage, out_channels in enumerate((64, 128, 256, 512)):
        layers += [Residual(channels, out_channels, 2 if stage else 1), Residual(out_channels, out_channels, 1)]
        channels = out_channels
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]


class InvertedResidual(nn.Module):
    """The block of MobileNetV2."""

    def __init__(self, channels, out_channels, expansion, stride):
        super().__init__()
        wide = channels * expansion
        layers = convolution(channels, wide, 1) if expansion > 1 else []
        layers += convolution(wide, wide, 3, stride, wide)
        self.layers = nn.Sequential(*layers, nn.Conv2d(wide, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
        self.adds = channels == out_channels and stride == 1

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.adds else y


def convolution(channels, out_channels, kernel, stride=1, groups=1):
    conv = nn.Conv2d(channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(out_channels), nn.ReLU6()]


def mobilenet_v2():
    layers, channels = convolution(3, 32, 3), 32
    stages = [(1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 1), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expansion, out_channels, blocks, stride in stages:
        for block in range(blocks):
            layers.append(InvertedResidual(channels, out_channels, expansion, stride if block == 0 else 1))
            channels = out_channels
    head = [*convolution(320, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return [*layers, *head, nn.Dropout(0.2), nn.Linear(1280, 10)]


class Last(nn.Module):
    """The state of a recurrent layer at the last place."""

    def __init__(self, recurrent):
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x):
        return self.recurrent(x)[0][:, -1]


def lstm():
    return [Last(nn.LSTM(64, 256, batch_first=True)), nn.Linear(256, 10)]


def gru():
    return [Last(nn.GRU(64, 256, batch_first=True)), nn.Linear(256, 10)]


class MeanOverTime(nn.Module):
    """The mean over the places of a sequence."""

    def forward(self, x):
        return x.mean(1)


class TextCnn(nn.Module):
    """Windows of several widths over a text side by side, and of each channel the largest value (Kim 2014)."""

    def __init__(self, dimensions=128, channels=64):
        super().__init__()
        self.codes = nn.Embedding(VOCABULARY, dimensions, padding_idx=0)
        self.dropped = nn.Dropout(0.2)
        self.convolutions = nn.ModuleList(nn.Conv1d(dimensions, channels, width, padding="same") for width in (3, 4, 5))

    def forward(self, x):
        x = self.dropped(self.codes(x)).transpose(1, 2)
        return torch.cat([conv(x).relu().amax(2) for conv in self.convolutions], 1)


def transformer():
    def block():
        return nn.TransformerEncoderLayer(256, 4, 1024, dropout=0, activation="gelu", batch_first=True, norm_first=True)

    return [nn.Linear(64, 256), *(block() for _ in range(4)), MeanOverTime(), nn.Linear(256, 10)]


def text_cnn():
    return [TextCnn(), nn.Dropout(0.5), nn.Linear(192, 10)]


ROWS = {
    "worked-example-32": ((1, 28, 28), 32, worked_example),
    "worked-example-128": ((1, 28, 28), 128, worked_example),
    "lenet5-64": ((1, 28, 28), 64, lenet5),
    "mlp-256": ((64,), 256, mlp),
    "conv-stack-32": ((3, 32, 32), 32, conv_stack),
    "resnet18-32": ((3, 32, 32), 32, resnet18),
    "mobilenet-v2-32": ((3, 32, 32), 32, mobilenet_v2),
    "lstm-32": ((100, 64), 32, lstm),
    "gru-32": ((100, 64), 32, gru),
    "transformer-16": ((128, 64), 16, transformer),
    "text-cnn-64": ((100,), 64, text_cnn),
}


def deep(depth):
    layers, channels = [], 3
    for _ in range(depth):
        layers += [nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU()]
        channels = 32
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)]


if arguments.row.startswith("deep-"):
    depth, batch = map(int, arguments.row.split("-")[1:])
    shape, layers = (3, 16, 16), lambda: deep(depth)
else:
    shape, batch, layers = ROWS[arguments.row]
model = nn.Sequential(*layers())
x = torch.randint(1, VOCABULARY, (batch, *shape)) if arguments.row.startswith("text") else torch.rand(batch, *shape)
if arguments.channels_last:
    model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
target = torch.arange(batch) % 10
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=arguments.fused or None)
loss_function = nn.CrossEntropyLoss()
computed = torch.compile(model) if arguments.compile else model


def step():
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=arguments.bf16):
        loss = loss_function(computed(x), target)
    loss.backward()
    optimizer.step()
    return loss


take_turns(step, {"PyTorch": torch.__version__})
