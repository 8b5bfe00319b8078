"""Writes warp.json: pictures rotated, scaled and shifted by scipy.ndimage, with linear interpolation.

    python3 -m venv env && env/bin/pip install numpy scipy && env/bin/python make.py
"""

import json
import pathlib

import numpy
import scipy
from scipy import ndimage

HERE = pathlib.Path(__file__).parent
generator = numpy.random.default_rng(11)


def warp(picture, degrees, factor, down, right):
    """Content turns counter-clockwise on the screen, grows by factor, then moves; about the centre."""
    angle = numpy.deg2rad(degrees)
    centre = (numpy.array(picture.shape[:2]) - 1) / 2
    # From an output place (y down, x right) to its source place.
    matrix = numpy.array([[numpy.cos(angle), numpy.sin(angle)], [-numpy.sin(angle), numpy.cos(angle)]]) / factor
    offset = centre - matrix @ (centre + numpy.array([down, right]))
    channels = [
        ndimage.affine_transform(picture[:, :, c].astype(float), matrix, offset, order=1, mode="grid-constant")
        for c in range(picture.shape[2])
    ]
    return numpy.stack(channels, axis=2)


cases = []
for height, width, channels in ((9, 9, 1), (8, 11, 3)):
    picture = generator.integers(0, 256, (height, width, channels))
    for change in ((30, 1, 0, 0), (-7.5, 1, 0, 0), (0, 1.2, 0, 0), (0, 0.8, 0, 0), (0, 1, 1.25, -2.5), (15, 0.9, -1, 2)):
        cases.append({
            "height": height, "width": width, "channels": channels, "change": list(change),
            "pixels": picture.reshape(-1).tolist(), "output": warp(picture, *change).reshape(-1).tolist(),
        })

# A quarter turn needs no interpolation: what it must be is known without any formula.
square = generator.integers(0, 256, (7, 7, 1))
cases.append({
    "height": 7, "width": 7, "channels": 1, "change": [90, 1, 0, 0],
    "pixels": square.reshape(-1).tolist(), "output": numpy.rot90(square, 1).astype(float).reshape(-1).tolist(),
})
reference = {"versions": {"numpy": numpy.__version__, "scipy": scipy.__version__}, "cases": cases}
(HERE / "warp.json").write_text(json.dumps(reference) + "\n")
