"""Steps that are timed when it is their turn."""

import json
import sys
import time
from statistics import median

# Steps before the first turn.
WARM = 3


def take_turns(step, versions):
    """For each line of standard input, which says how many steps, one JSON object on a line; `step` gives the loss."""
    for _ in range(WARM):
        step()
    for turn in sys.stdin:
        milliseconds = []
        for _ in range(int(turn)):
            started = time.perf_counter()
            loss = step()
            milliseconds.append(1e3 * (time.perf_counter() - started))
        with open("/proc/self/status", encoding="utf-8") as lines:
            peak = next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
        result = {"median_ms": median(milliseconds), "least_ms": min(milliseconds), "total_ms": sum(milliseconds)}
        print(json.dumps({**result, "loss": float(loss), "peak_mib": peak, "versions": versions}), flush=True)
