"""Writes tone.flac, tone.ogg and tone.mp3, and sounds.json: what libsndfile decodes of them.

    python3 -m venv env && env/bin/pip install numpy soundfile && env/bin/python make_sounds.py
"""

import json
import pathlib

import numpy
import soundfile

HERE = pathlib.Path(__file__).parent
RATE = 16_000

time = numpy.arange(RATE // 2) / RATE
left = 0.4 * numpy.sin(2 * numpy.pi * 440 * time) + 0.05
right = 0.2 * numpy.sin(2 * numpy.pi * 660 * time)
cases = {}
for ending, channels in [("flac", 2), ("ogg", 1), ("mp3", 1)]:
    samples = numpy.stack([left, right], axis=1) if channels == 2 else left
    path = HERE / f"tone.{ending}"
    soundfile.write(path, samples, RATE)
    decoded, rate = soundfile.read(path, always_2d=True)
    cases[ending] = {
        "rate": rate,
        "channels": decoded.shape[1],
        "frames": decoded.shape[0],
        "rms": float(numpy.sqrt((decoded**2).mean())),
        "peak": float(numpy.abs(decoded).max()),
        "offset": float(decoded.mean()),
    }
document = {"made_by": {"soundfile": soundfile.__version__, "libsndfile": soundfile.__libsndfile_version__}, "sounds": cases}
(HERE / "sounds.json").write_text(json.dumps(document, indent=1) + "\n")
