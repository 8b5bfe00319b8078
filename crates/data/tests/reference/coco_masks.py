"""Masks, areas and boxes as pycocotools makes them, from polygons, run lengths and packed run lengths.

Needs pycocotools and numpy. Run in this folder: python coco_masks.py
"""

import json
import random

import numpy as np
from pycocotools import mask

random.seed(3)
cases = []
for height, width in [(20, 30), (37, 11), (64, 64), (5, 7)]:
    for corners in [3, 4, 5, 9]:
        polygons = []
        for _ in range(random.choice([1, 2])):
            points = [[random.uniform(0, width), random.uniform(0, height)] for _ in range(corners)]
            polygons.append([round(value, 2) for point in points for value in point])
        packed = mask.frPyObjects(polygons, height, width)
        merged = mask.merge(packed)
        pixels = mask.decode(merged)
        flat = pixels.flatten(order="F")
        counts, last, run = [], 0, 0
        for value in flat:
            if value != last:
                counts.append(run)
                last, run = value, 0
            run += 1
        counts.append(run)
        cases.append(
            {
                "height": height,
                "width": width,
                "polygons": polygons,
                "packed": merged["counts"].decode(),
                "counts": [int(count) for count in counts],
                "area": int(mask.area(merged)),
                "box": [float(value) for value in mask.toBbox(merged)],
            }
        )
with open("coco_masks.json", "w") as file:
    json.dump(cases, file)
print(len(cases), sum(case["area"] for case in cases))
