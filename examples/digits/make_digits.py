"""Makes the four idx files of this folder from scikit-learn's copy of the digits.

    pip download --no-deps --only-binary=:all: scikit-learn==1.9.1
    unzip -j scikit_learn-1.9.1-*.whl sklearn/datasets/data/digits.csv.gz
    python3 make_digits.py digits.csv.gz

Standard library only. Pixels 0..16 become bytes round(value * 255 / 16), halves up. One row in five of each
class becomes test: rows are dealt out by class in file order with a fixed shuffle, so the parts are stratified,
and both parts keep the order of the file: 1,437 training rows and 360 test rows.
"""

import csv
import gzip
import random
import struct
import sys

SIDE, TEST_ROWS, SEED = 8, 360, 1797


def read(path):
    with gzip.open(path, "rt") as file:
        rows = [[int(float(cell)) for cell in row] for row in csv.reader(file)]
    return [row[:-1] for row in rows], [row[-1] for row in rows]


def test_rows(labels):
    """Each class gives its share of TEST_ROWS, rounded down; the largest remainders give one more."""
    classes = sorted(set(labels))
    members = {c: [row for row, label in enumerate(labels) if label == c] for c in classes}
    exact = {c: len(members[c]) * TEST_ROWS / len(labels) for c in classes}
    quota = {c: int(exact[c]) for c in classes}
    by_remainder = sorted(classes, key=lambda c: (-(exact[c] - quota[c]), c))
    for c in by_remainder[: TEST_ROWS - sum(quota.values())]:
        quota[c] += 1
    generator = random.Random(SEED)
    chosen = set()
    for c in classes:
        generator.shuffle(members[c])
        chosen.update(members[c][: quota[c]])
    return chosen


def write(name, images, labels):
    with open(f"{name}-images-idx3-ubyte", "wb") as file:
        file.write(struct.pack(">4B3I", 0, 0, 8, 3, len(images), SIDE, SIDE))
        for image in images:
            file.write(bytes((2 * pixel * 255 + 16) // 32 for pixel in image))
    with open(f"{name}-labels-idx1-ubyte", "wb") as file:
        file.write(struct.pack(">4BI", 0, 0, 8, 1, len(labels)))
        file.write(bytes(labels))


def main():
    images, labels = read(sys.argv[1])
    test = test_rows(labels)
    for name, chosen in (("train", [r for r in range(len(labels)) if r not in test]), ("test", sorted(test))):
        write(name, [images[r] for r in chosen], [labels[r] for r in chosen])
        print(name, len(chosen))


if __name__ == "__main__":
    main()
