"""Writes augment.json: what Pillow, scipy, albumentations and imbalanced-learn make of small pictures and tables.

    python3 -m venv env && env/bin/pip install albumentations imbalanced-learn pillow && env/bin/python augment.py
"""

import colorsys
import json
import pathlib

import albumentations
import imblearn
import numpy
import PIL
import scipy
from imblearn.over_sampling import SMOTE, SMOTENC
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

HERE = pathlib.Path(__file__).parent
generator = numpy.random.default_rng(5)
GREY = generator.integers(20, 230, (9, 12)).astype(numpy.uint8)
COLOUR = generator.integers(0, 256, (8, 10, 3)).astype(numpy.uint8)
COLOUR[0, :3] = [[0, 0, 0], [255, 255, 255], [90, 90, 90]]


def flat(values):
    return numpy.asarray(values).reshape(-1).tolist()


def tones():
    """Pillow's changes of tone, and the hue by Python's own colour circle."""
    changes = {}
    for name, picture in (("grey", GREY), ("colour", COLOUR)):
        pillow = Image.fromarray(picture)
        for factor in (0.4, 1.7):
            changes[f"brightness {name} {factor}"] = ImageEnhance.Brightness(pillow).enhance(factor)
            changes[f"contrast {name} {factor}"] = ImageEnhance.Contrast(pillow).enhance(factor)
            changes[f"sharpness {name} {factor}"] = ImageEnhance.Sharpness(pillow).enhance(factor)
            if name == "colour":
                changes[f"saturation {name} {factor}"] = ImageEnhance.Color(pillow).enhance(factor)
        changes[f"auto_contrast {name} 0"] = ImageOps.autocontrast(pillow)
        changes[f"equalize {name} 0"] = ImageOps.equalize(pillow)
        changes[f"solarize {name} 100"] = ImageOps.solarize(pillow, 100)
        changes[f"posterize {name} 3"] = ImageOps.posterize(pillow, 3)
    for turn in (0.1, -0.3):
        pixels = []
        for red, green, blue in COLOUR.reshape(-1, 3) / 255:
            hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
            pixels.append(colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value))
        changes[f"hue colour {turn}"] = numpy.array(pixels) * 255
    return {name: flat(picture) for name, picture in changes.items()}


def blurs():
    cases = []
    for sigma in (0.5, 1.3, 3.0):
        for name, picture in (("grey", GREY), ("colour", COLOUR)):
            sigmas = (sigma, sigma) + (0,) * (picture.ndim - 2)
            blurred = ndimage.gaussian_filter(picture.astype(float), sigmas, mode="mirror", truncate=5)
            cases.append({"picture": name, "sigma": sigma, "output": flat(blurred)})
    return cases


def perspectives():
    """One homography, sampled once, linear; beyond the border is 0."""
    cases = []
    for map_ in (
        [1.1, 0.2, -1.0, -0.15, 0.9, 2.0, 0.01, -0.005, 1.0],
        [0.8, -0.3, 2.5, 0.25, 1.2, -1.5, -0.012, 0.008, 1.0],
    ):
        back = numpy.linalg.inv(numpy.array(map_).reshape(3, 3))
        rows, columns = numpy.mgrid[0:GREY.shape[0], 0:GREY.shape[1]]
        places = back @ numpy.stack([columns, rows, numpy.ones_like(rows)]).reshape(3, -1)
        x, y = places[0] / places[2], places[1] / places[2]
        cases.append({
            "map": map_,
            "output": flat(ndimage.map_coordinates(GREY.astype(float), [y, x], order=1, mode="grid-constant")),
            "nearest": flat(ndimage.map_coordinates(
                GREY, [numpy.floor(y + 0.5), numpy.floor(x + 0.5)], order=0, mode="grid-constant")),
        })
    return cases


def annotations():
    """Boxes (COCO) and key points (xy) as albumentations moves them."""
    boxes = [[2.0, 1.0, 4.0, 3.0], [7.0, 4.0, 5.0, 4.0]]
    points = [[3.0, 2.0], [0.0, 0.0], [10.5, 7.25]]
    cases = []
    for name, change in (
        ("flip_horizontal", albumentations.HorizontalFlip(p=1)),
        ("flip_vertical", albumentations.VerticalFlip(p=1)),
        ("crop", albumentations.Crop(x_min=2, y_min=1, x_max=9, y_max=7, p=1)),
        ("rotate", albumentations.Affine(rotate=(20, 20), p=1)),
        ("scale", albumentations.Affine(scale=(1.25, 1.25), p=1)),
        ("shift", albumentations.Affine(translate_px={"x": (2, 2), "y": (-1, -1)}, p=1)),
    ):
        pipeline = albumentations.Compose(
            [change],
            bbox_params=albumentations.BboxParams("coco", label_fields=["labels"]),
            keypoint_params=albumentations.KeypointParams("xy", remove_invisible=False),
        )
        out = pipeline(image=GREY, bboxes=boxes, labels=["0", "1"], keypoints=points)
        cases.append({
            "change": name, "picture": flat(out["image"]), "size": list(out["image"].shape),
            "boxes": [list(map(float, box)) for box in out["bboxes"]], "labels": list(out["labels"]),
            "key_points": [list(map(float, point)) for point in out["keypoints"]],
        })
    return {"boxes": boxes, "key_points": points, "cases": cases}


def oversampled(kind):
    """Standardised rows of one rare class, its neighbours, and the new rows with what was drawn for them."""
    generator = numpy.random.default_rng(7)
    numbers = generator.normal(size=(60, 3))
    numbers = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    categories = generator.integers(0, 3, (60, 2))
    labels = numpy.array([1] * 20 + [0] * 40)
    seen = {}

    def recorded(base):
        class Recorded(base):
            def _generate_samples(self, X, nn_data, nn_num, rows, cols, steps, y_type=None, y=None):
                seen.update(neighbours=nn_num.tolist(), rows=rows.tolist(), columns=cols.tolist(), steps=flat(steps))
                return super()._generate_samples(X, nn_data, nn_num, rows, cols, steps, y_type, y)
        return Recorded

    if kind == "numbers":
        table = numbers
        sampler = recorded(SMOTE)(random_state=3)
    else:
        table = numpy.concatenate([numbers, categories], axis=1)
        sampler = recorded(SMOTENC)(categorical_features=[3, 4], random_state=3)
    new, new_labels = sampler.fit_resample(table, labels)
    assert (new_labels[60:] == 1).all()
    return {
        "numbers": numbers[:20].tolist(), "categories": categories[:20].tolist() if kind != "numbers" else [[]] * 20,
        **seen, "new": new[60:].tolist(),
    }


json.dump({
    "versions": {
        "pillow": PIL.__version__, "scipy": scipy.__version__, "albumentations": albumentations.__version__,
        "imbalanced-learn": imblearn.__version__,
    },
    "grey": flat(GREY), "colour": flat(COLOUR), "tones": tones(), "blurs": blurs(), "perspectives": perspectives(),
    "annotations": annotations(), "smote": oversampled("numbers"), "smote_nc": oversampled("mixed"),
}, open(HERE / "augment.json", "w"), separators=(",", ":"))
