"""Writes hashes.json: perceptual hashes of pictures that a formula makes, by Python's imagehash on Pillow.

    python3 -m venv env && env/bin/pip install numpy pillow imagehash && env/bin/python make_hashes.py
"""

import json
import pathlib

import imagehash
import numpy
import PIL
from PIL import Image

HERE = pathlib.Path(__file__).parent


def picture(height, width, channels, seed):
    """The formula of the Rust test: whole numbers only, so that both sides make the same bytes."""
    rows, columns = numpy.mgrid[0:height, 0:width].astype(numpy.int64)
    planes = []
    for channel in range(channels):
        slow = rows * (seed + 3) * 256 // height + columns * (2 * seed + 1 + channel) * 256 // width
        fast = (rows * rows * (seed + 1) + columns * (7 * seed + channel)) % 61
        planes.append((slow + fast * (seed % 4)) % 256)
    pixels = numpy.stack(planes, axis=-1).astype(numpy.uint8)
    return pixels[..., 0] if channels == 1 else pixels


cases = []
sizes = [(28, 28, 1), (32, 32, 1), (64, 48, 3), (100, 333, 3), (9, 8, 1), (7, 5, 3), (480, 640, 3)]
for height, width, channels in sizes:
    for seed in range(1, 6):
        image = Image.fromarray(picture(height, width, channels, seed))
        cases.append(
            {
                "height": height,
                "width": width,
                "channels": channels,
                "seed": seed,
                "phash": str(imagehash.phash(image)),
                "dhash": str(imagehash.dhash(image)),
            }
        )
small = Image.fromarray(picture(20, 31, 1, 2)).resize((8, 6), Image.LANCZOS)
document = {
    "made_by": {"imagehash": imagehash.__version__, "pillow": PIL.__version__, "numpy": numpy.__version__},
    "hashes": cases,
    "lanczos": {"height": 20, "width": 31, "seed": 2, "to": [6, 8], "pixels": list(small.tobytes())},
}
lines = ",\n".join("  " + json.dumps(case) for case in cases)
head, tail = json.dumps(document["made_by"]), json.dumps(document["lanczos"])
text = f'{{\n "made_by": {head},\n "hashes": [\n{lines}\n ],\n "lanczos": {tail}\n}}\n'
(HERE / "hashes.json").write_text(text)
