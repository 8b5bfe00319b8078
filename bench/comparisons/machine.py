"""What a figure was measured on."""

import os
import platform
import subprocess
from datetime import datetime, timezone

from .environment import say


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


def warn_when_busy():
    """Other work on the machine makes every figure worthless; say so."""
    load = os.getloadavg()[0]
    if load > 0.5:
        say(f"warning: the machine is busy (load {load:.1f}); figures of a busy machine mean little")
