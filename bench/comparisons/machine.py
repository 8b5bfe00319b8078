"""What a figure was measured on."""

import os
import platform
import subprocess
import time
from datetime import datetime, timezone

from .environment import THREADS, run_json, say

# Of the best that was seen, how much the machine must reach before a round begins.
QUIET = 0.9


def describe():
    """Processor, cores, memory, system, compiler and date."""
    processor, memory = platform.processor() or platform.machine(), "unknown"
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        with open("/proc/meminfo", encoding="utf-8") as lines:
            memory = f"{int(next(lines).split()[1]) / 2**20:.0f} GiB"
    except (OSError, StopIteration):
        pass  # Not Linux: the platform's own words stay.
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory": memory,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "rustc": rustc,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


class Ceilings:
    """What `lepton bench machine` measures for all threads. Neighbours on a shared machine take up to half of it for minutes:
    a round waits until it is near the best that was seen."""

    def __init__(self, lepton):
        self.command = [lepton, "bench", "machine", "--threads", THREADS, "--json"]
        self.best = {}
        self.noisy_rounds = 0
        self.wait()

    def wait(self, tries=12, pause=10):
        for _ in range(tries):
            now = {name: rate for name, rate in run_json(self.command)["ceilings"][-1].items() if rate is not None}
            self.best = {name: max(rate, self.best.get(name, 0)) for name, rate in now.items()}
            if now["gflops"] >= QUIET * self.best["gflops"]:
                return
            say(f"the machine reaches {now['gflops']:.0f} of {self.best['gflops']:.0f} GFLOP/s: waiting")
            time.sleep(pause)
        self.noisy_rounds += 1


def warn_when_busy():
    """Other work on the machine makes every figure worthless; say so."""
    load = os.getloadavg()[0]
    if load > 0.5:
        say(f"warning: the machine is busy (load {load:.1f}); figures of a busy machine mean little")
