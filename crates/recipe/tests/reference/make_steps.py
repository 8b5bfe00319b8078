"""Writes steps.json: what scikit-learn, numpy, Pillow, scipy and librosa make of small inputs.

    python3 -m venv env && env/bin/pip install numpy scipy scikit-learn pillow librosa && env/bin/python make_steps.py
"""

import datetime
import json
import math
import pathlib
import unicodedata

import librosa
import numpy
import scipy
import sklearn
from PIL import Image, ImageOps
from scipy.signal import resample_poly
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer, KBinsDiscretizer, OneHotEncoder, OrdinalEncoder, PowerTransformer, RobustScaler,
    StandardScaler, TargetEncoder,
)

HERE = pathlib.Path(__file__).parent
generator = numpy.random.default_rng(11)


def listed(values):
    return [None if isinstance(value, float) and math.isnan(value) else value for value in numpy.asarray(values).ravel().tolist()]


def numbers():
    columns = {
        "skewed": generator.lognormal(2, 1, 60),
        "signed": generator.normal(0, 3, 60) ** 3,
        "ties": numpy.round(generator.exponential(2, 60)),
        "outliers": numpy.concatenate([generator.normal(10, 1, 57), [1e4, -1e3, 5e5]]),
    }
    scalers = {
        "robust": RobustScaler(),
        "log1p": make_pipeline(FunctionTransformer(numpy.log1p), StandardScaler()),
        "yeo_johnson": PowerTransformer(),
        "bins": KBinsDiscretizer(5, encode="onehot-dense", strategy="quantile", quantile_method="linear"),
        "ordinal_bins": KBinsDiscretizer(5, encode="ordinal", strategy="quantile", quantile_method="linear"),
    }
    for name, values in columns.items():
        for scale, scaler in scalers.items():
            if scale == "log1p" and values.min() <= -1:
                continue
            output = scaler.fit_transform(values.reshape(-1, 1))
            yield {"name": name, "scale": scale, "input": listed(values), "output": listed(output)}
        low, high = numpy.quantile(values, [0.05, 0.9])
        clipped = StandardScaler().fit_transform(numpy.clip(values, low, high).reshape(-1, 1))
        yield {"name": name, "scale": "standardize", "clip": [0.05, 0.9], "input": listed(values), "output": listed(clipped)}


def imputation():
    # Noise of its own in each column: regressions on each other come to rest soon.
    x = generator.normal(0, 1, (80, 2)) @ generator.normal(0, 1, (2, 4)) + generator.normal(0, 0.8, (80, 4))
    x = x * numpy.array([1, 3, 10, 0.2]) + numpy.array([5, -20, 100, 0.5])
    x[generator.random(x.shape) < 0.12] = numpy.nan
    scaler = StandardScaler().fit(x)
    scaled = scaler.transform(x)
    knn = scaler.inverse_transform(KNNImputer(n_neighbors=5).fit_transform(scaled))
    iterative = IterativeImputer(Ridge(alpha=1e-3), max_iter=50, tol=1e-13, imputation_order="roman", initial_strategy="mean")
    chained = scaler.inverse_transform(iterative.fit_transform(scaled))
    return {
        "columns": [listed(column) for column in x.T],
        "nearest": [listed(column) for column in knn.T],
        "iterative": [listed(column) for column in chained.T],
    }


def categories():
    letters = numpy.array(list("abcdef"))
    train = generator.choice(letters, 120, p=[0.4, 0.25, 0.15, 0.1, 0.07, 0.03])
    served = numpy.array(list("abcdefz"))
    two = generator.random(120) < numpy.searchsorted(letters, train) / 7 + 0.1
    three = generator.integers(0, 3, 120) * (train == "a") + numpy.where(train == "b", 2, 0)
    rows, wanted = train.reshape(-1, 1), served.reshape(-1, 1)
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(rows)
    rare = OneHotEncoder(min_frequency=13, handle_unknown="infrequent_if_exist", sparse_output=False).fit(rows)
    cases = {
        "train": train.tolist(), "served": served.tolist(),
        "two": numpy.where(two, "yes", "no").tolist(), "three": [str(value) for value in three],
        "ordinal": listed(ordinal.transform(wanted)),
        "rare": listed(rare.transform(wanted)),
        "frequency": [float(numpy.mean(train == value)) for value in served],
        "target": [],
    }
    for labels in ("two", "three"):
        for smooth in ("auto", 5.0):
            kind = "binary" if labels == "two" else "multiclass"
            encoder = TargetEncoder(smooth=smooth, target_type=kind).fit(rows, numpy.array(cases[labels]))
            cases["target"].append({
                "labels": labels, "smooth": None if smooth == "auto" else smooth,
                "output": listed(encoder.transform(wanted)),
            })
    return cases


def dates():
    train = ["2021-01-31", "2021-06-30 18:30", "2022-12-25T06:00:00", "2024-02-29"]
    served = ["2023-03-04 12:00", "2020-12-31", "29 Feb 2024"]
    read = {
        "2023-03-04 12:00": datetime.datetime(2023, 3, 4, 12), "2020-12-31": datetime.datetime(2020, 12, 31),
        "29 Feb 2024": datetime.datetime(2024, 2, 29),
    }
    days = numpy.array([datetime.datetime.fromisoformat(text).toordinal() for text in train])
    years = numpy.array([int(text[:4]) for text in train])
    output = []
    for text in served:
        date = read[text]
        has_hour = ":" in text
        circle = lambda value, period: [math.sin(2 * math.pi * value / period), math.cos(2 * math.pi * value / period)]
        output += [(date.toordinal() - days.mean()) / days.std(), (date.year - years.mean()) / years.std()]
        output += circle(date.month - 1, 12) + circle(date.weekday(), 7)
        output += circle(date.hour + date.minute / 60, 24) if has_hour else [0.0, 0.0]
    return {"train": train, "served": served, "output": output}


def texts():
    train = [
        "The cat sat on the mat, and the cat was fat.", "A dog! A dog? A dog.", "Größe und Café — naïve_words 42",
        "the mat is a mat", "", "x y z",
    ]
    served = ["the cat and the dog", "unseen words only", "Cafe\u0301 42 42"]
    clean = lambda text: " ".join(unicodedata.normalize("NFC", text).lower().split())
    counts = HashingVectorizer(n_features=64, alternate_sign=False, norm=None)
    tf_idf = make_pipeline(counts, TfidfTransformer()).fit([clean(text) for text in train])
    plain = HashingVectorizer(n_features=64, alternate_sign=False, norm="l2")
    cleaned = [clean(text) for text in served]
    return {
        "train": train, "served": served,
        "tf_idf": listed(tf_idf.transform(cleaned).toarray()), "counts": listed(plain.transform(cleaned).toarray()),
    }


def pictures():
    # Sides that differ much, so that a crop and a pad have something to cut and to fill.
    pixels = numpy.add.outer(numpy.arange(40) * 3, numpy.arange(23) * 5)[:, :, None] + numpy.array([0, 20, 40])
    source = Image.fromarray((pixels % 256).astype(numpy.uint8), "RGB")
    cases = []
    for turned in (False, True):
        picture = source.transpose(Image.Transpose.TRANSPOSE) if turned else source
        for height, width in ((16, 16), (12, 20), (31, 9)):
            padded = ImageOps.pad(picture, (width, height), Image.Resampling.BILINEAR, color=(7, 7, 7))
            cases.append({"turned": turned, "fit": "pad", "height": height, "width": width, "pixels": listed(padded)})
        # torchvision: Resize(shorter side), then CenterCrop.
        for side, height, width in ((18, 16, 16), (20, 12, 20)):
            w, h = picture.size
            size = (side, int(side * h / w)) if w <= h else (int(side * w / h), side)
            resized = picture.resize(size, Image.Resampling.BILINEAR)
            top, left = int(round((size[1] - height) / 2.0)), int(round((size[0] - width) / 2.0))
            cut = resized.crop((left, top, left + width, top + height))
            cases.append({"turned": turned, "fit": "crop", "resize": side, "height": height, "width": width, "pixels": listed(cut)})
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    given = (numpy.asarray(source) / 255 - mean) / std
    return {
        "source": listed(source), "height": 40, "width": 23, "cases": cases,
        "given": {"mean": mean, "std": std, "output": listed(given.transpose(2, 0, 1))},
    }


def audio():
    cases = []
    for start, end, count in ((44100, 16000, 900), (8000, 16000, 300), (22050, 16000, 500), (16000, 8000, 401)):
        time = numpy.arange(count) / start
        samples = (0.6 * numpy.sin(2 * numpy.pi * 440 * time) + 0.1 * generator.normal(0, 1, count)).astype(numpy.float32)
        factor = math.gcd(start, end)
        # In float64, as we sum; the input is that of float32.
        output = resample_poly(samples.astype(numpy.float64), end // factor, start // factor)
        cases.append({"from": start, "to": end, "input": listed(samples), "output": listed(output)})
    samples = (0.5 * numpy.sin(2 * numpy.pi * 900 * (numpy.arange(2400) / 16000) ** 1.5 * 8) + 0.01 * generator.normal(0, 1, 2400)).astype(numpy.float32)
    mels = []
    for window, hop, bands, low, high in ((400, 160, 40, 0.0, None), (512, 128, 64, 20.0, 7600.0)):
        power = librosa.feature.melspectrogram(
            y=samples.astype(numpy.float64), sr=16000, n_fft=window, hop_length=hop, n_mels=bands, fmin=low, fmax=high,
            center=True, pad_mode="constant", window="hann",
        )
        output = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)
        mels.append({"window": window, "hop": hop, "bands": bands, "low": low, "high": high, "shape": list(output.shape), "output": listed(numpy.round(output, 6))})
    return {"resample": cases, "samples": listed(samples), "mel": mels}


steps = {
    "versions": {
        "numpy": numpy.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__,
        "pillow": Image.__version__, "librosa": librosa.__version__,
    },
    "numbers": list(numbers()), "imputation": imputation(), "categories": categories(), "dates": dates(),
    "texts": texts(), "pictures": pictures(), "audio": audio(),
}
(HERE / "steps.json").write_text(json.dumps(steps) + "\n")
