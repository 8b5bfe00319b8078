"""Reads idx files named as MNIST's are, as both peers use them: float32 in 0 to 1, and a seeded choice of training rows."""

from pathlib import Path

import numpy


def read(path):
    data = Path(path).read_bytes()
    dimensions = data[3]
    shape = [int.from_bytes(data[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(dimensions)]
    return numpy.frombuffer(data, dtype=numpy.uint8, offset=4 + 4 * dimensions).reshape(shape)


def load(folder, rows, seed):
    """((training pictures, labels), (test pictures, labels)); pictures are float32 [n, height, width]."""
    folder = Path(folder)
    test = "t10k" if (folder / "t10k-images-idx3-ubyte").is_file() else "test"

    def part(name):
        pictures = read(folder / f"{name}-images-idx3-ubyte").astype(numpy.float32) / numpy.float32(255)
        return pictures, read(folder / f"{name}-labels-idx1-ubyte").astype(numpy.int64)

    pictures, labels = part("train")
    chosen = numpy.random.default_rng(seed).permutation(len(pictures))[:rows]
    return (pictures[chosen], labels[chosen]), part(test)
