"""Writes reference.json and the pictures beside it: what scikit-learn and Pillow make of small inputs.

    python3 -m venv env && env/bin/pip install numpy scikit-learn pillow && env/bin/python make.py
"""

import json
import pathlib

import numpy
import PIL
import sklearn
from PIL import Image
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

HERE = pathlib.Path(__file__).parent
generator = numpy.random.default_rng(7)


def missing_to_null(values):
    return [None if numpy.isnan(value) else float(value) for value in values]


def number_cases():
    ages = numpy.round(generator.normal(30, 14, 40), 2)
    ages[[3, 9, 10, 25]] = numpy.nan
    columns = {
        "ages": ages,
        "large_offset": 1e9 + generator.normal(0, 1, 40),
        "tiny": generator.normal(0, 1e-12, 40),
        "constant": numpy.full(40, 0.1),
        "even_median": numpy.array([4.0, 1.0, 3.0, 2.0, numpy.nan]),
    }
    scalers = {"none": None, "standardize": StandardScaler, "min_max": MinMaxScaler}
    for name, values in columns.items():
        for missing in ("mean", "median"):
            for normalize, scaler in scalers.items():
                steps = [SimpleImputer(strategy=missing)] + ([scaler()] if scaler else [])
                output = make_pipeline(*steps).fit_transform(values.reshape(-1, 1))[:, 0]
                yield {
                    "name": name, "missing": missing, "normalize": normalize,
                    "input": missing_to_null(values), "output": [float(value) for value in output],
                }


def category_case():
    values = [["b"], ["a"], ["c"], ["a"], ["b"], ["a"]]
    served = [["c"], ["zebra"], ["a"]]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(values)
    return {
        "train": [value[0] for value in values], "served": [value[0] for value in served],
        "output": encoder.transform(served).tolist(),
    }


def picture_cases():
    smooth = numpy.add.outer(numpy.arange(13) * 9, numpy.arange(17) * 6)[:, :, None] + numpy.array([0, 20, 40])
    noise = generator.integers(0, 256, smooth.shape)
    cases = []
    for name, pixels in {"smooth": smooth, "noise": noise}.items():
        picture = Image.fromarray(pixels.astype(numpy.uint8), "RGB")
        picture.save(HERE / f"{name}.png")
        for height, width in ((13, 17), (26, 34), (5, 6), (28, 9)):
            for channels, mode in ((1, "L"), (3, "RGB")):
                shaped = picture.convert(mode).resize((width, height), Image.Resampling.BILINEAR)
                cases.append({
                    "name": name, "height": height, "width": width, "channels": channels,
                    "pixels": numpy.asarray(shaped).reshape(-1).tolist(),
                })
    # One file of each kind that a person may send; the decoder must say the same size and channels.
    Image.fromarray(noise[:, :, 0].astype(numpy.uint8), "L").save(HERE / "grey.png")
    Image.fromarray(smooth.astype(numpy.uint8), "RGB").save(HERE / "smooth.jpg", quality=95)
    return cases


def standardized_picture():
    pixels = generator.integers(0, 256, (4, 5, 6, 3))
    flat = pixels.reshape(-1, 3) / 255
    output = StandardScaler().fit_transform(flat).reshape(pixels.shape).transpose(0, 3, 1, 2)
    return {"shape": list(pixels.shape), "pixels": pixels.reshape(-1).tolist(), "output": output.reshape(-1).tolist()}


reference = {
    "versions": {"numpy": numpy.__version__, "scikit-learn": sklearn.__version__, "pillow": PIL.__version__},
    "numbers": list(number_cases()),
    "category": category_case(),
    "pictures": picture_cases(),
    "standardized_picture": standardized_picture(),
}
(HERE / "reference.json").write_text(json.dumps(reference) + "\n")
