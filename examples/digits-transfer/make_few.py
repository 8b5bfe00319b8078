"""Takes ten pictures of each class from ../digits/train-*: python make_few.py. Running it again gives the same bytes."""

import struct

pictures = open("../digits/train-images-idx3-ubyte", "rb").read()
labels = open("../digits/train-labels-idx1-ubyte", "rb").read()[8:]
_, count, height, width = struct.unpack(">4i", pictures[:16])
size = height * width
taken, seen = [], {label: 0 for label in range(10)}
for row, label in enumerate(labels):
    if seen[label] < 10:
        seen[label] += 1
        taken.append(row)
with open("train-images-idx3-ubyte", "wb") as file:
    file.write(struct.pack(">4i", 0x803, len(taken), height, width))
    for row in taken:
        file.write(pictures[16 + row * size : 16 + (row + 1) * size])
with open("train-labels-idx1-ubyte", "wb") as file:
    file.write(struct.pack(">2i", 0x801, len(taken)) + bytes(labels[row] for row in taken))
