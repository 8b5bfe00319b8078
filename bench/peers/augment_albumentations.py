"""Pictures per second that albumentations augments on one core. Usage: augment_albumentations.py SIDE CHANNELS SECONDS"""

import json
import os
import sys
import time

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations
import cv2
import numpy

cv2.setNumThreads(1)
side, channels, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
picture = (numpy.arange(side * side * channels) * 31 % 251).astype(numpy.uint8).reshape(side, side, channels)

affine = albumentations.Affine(
    rotate=(-15, 15), scale=(0.9, 1.1), translate_percent=(-0.1, 0.1), interpolation=cv2.INTER_LINEAR, p=1
)
colour = albumentations.ColorJitter(
    brightness=(0.8, 1.2), contrast=(0.8, 1.2), saturation=(0.8, 1.2), hue=(-0.1, 0.1), p=1
)
noise = albumentations.GaussNoise(std_range=(10 / 255, 20 / 255), p=1)

rates = {}
for name, steps in (("affine", [affine]), ("colour", [colour]), ("noise", [noise]), ("all", [affine, colour, noise])):
    pipeline = albumentations.Compose(steps, seed=1)
    pipeline(image=picture)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(16):
            pipeline(image=picture)
        count += 16
    rates[name] = count / (time.perf_counter() - began)
print(json.dumps({
    "pictures_per_second": rates,
    "versions": {"albumentations": albumentations.__version__, "opencv": cv2.__version__},
}))
