"""Training steps of several networks against PyTorch and TensorFlow, as they come and with all that makes them faster on a
CPU, each way in a process that stays, all in turns of a second or two. A peer's figure is that of its fastest way on that row;
a ratio is the median of those between neighbouring turns, because a shared machine may be half as fast for some seconds."""

from contextlib import ExitStack
from math import ceil
from statistics import median

from .environment import BENCH, THREADS, Failure, Side, built, chosen, in_turns, lepton, peer_python, say
from .machine import Ceilings

ROWS = (
    "worked-example-32",
    "worked-example-128",
    "lenet5-64",
    "mlp-256",
    "conv-stack-32",
    "resnet18-32",
    "mobilenet-v2-32",
    "lstm-32",
    "gru-32",
    "transformer-16",
    "text-cnn-64",
    "conv-stack-32 bf16",
    "resnet18-32 bf16",
    "lstm-32 bf16",
    "gru-32 bf16",
    "transformer-16 bf16",
)

# Turns of each way in a round, and seconds of one.
TURNS, SECONDS = 3, 1.0

# Rows without pictures, for which channels-last memory means nothing.
FLAT = ("mlp", "lstm", "gru", "transformer", "text")

# glibc keeps what was freed in place of giving it back to the system.
MALLOC = {"MALLOC_TRIM_THRESHOLD_": "2147483648", "MALLOC_MMAP_THRESHOLD_": "2147483648", "MALLOC_TOP_PAD_": "67108864"}

TORCH, TENSORFLOW = "train_zoo_torch.py", "train_zoo_tensorflow.py"

# Each way: who it is, its script, flags, and variables of its process.
WAYS = {
    "stock": ("PyTorch", TORCH, [], {}),
    "fused Adam": ("PyTorch", TORCH, ["--fused"], {}),
    "fused Adam, tuned malloc": ("PyTorch", TORCH, ["--fused"], MALLOC),
    "channels-last, fused Adam": ("PyTorch", TORCH, ["--channels-last", "--fused"], {}),
    "channels-last, fused Adam, tuned malloc": ("PyTorch", TORCH, ["--channels-last", "--fused"], MALLOC),
    "torch.compile, fused Adam": ("PyTorch", TORCH, ["--compile", "--fused"], {}),
    "tf.function": ("TensorFlow", TENSORFLOW, [], {}),
    "tf.function, XLA": ("TensorFlow", TENSORFLOW, ["--xla"], {}),
}
ENVIRONMENT = {TORCH: "torch", TENSORFLOW: "keras"}


def train_zoo(rounds, quick, only):
    chosen_rows = chosen(dict.fromkeys(ROWS), only)
    ours = built("example", "train_zoo")
    pythons = {script: peer_python(name) for script, name in ENVIRONMENT.items()}
    ceilings = Ceilings(lepton())
    rows, versions, figures, failed = [], {}, {}, {}
    for row in chosen_rows:
        turns, failures = timed(row, commands(row, ours, pythons), rounds, quick, ceilings)
        for turn in (turn for own in turns.values() for turn in own):
            versions.update(turn.pop("versions"))
        figures[row] = turns
        failed |= {f"{row}, {way}": words for way, words in failures.items()}
        rows += compared(row, turns, ceilings.best)
    details = {"versions": versions, "threads": THREADS, "figures": figures, "failed": failed}
    details |= {"ceilings": ceilings.best, "noisy_rounds": ceilings.noisy_rounds}
    return rows, details


def commands(row, ours, pythons):
    """What runs for each way, and the variables of its process."""
    network, *precision = row.split()
    found = {"Lepton": ([ours, network, THREADS, *precision], {})}
    for way, (peer, script, flags, variables) in WAYS.items():
        if row.startswith(FLAT) and "channels-last" in way:
            continue
        # Autocast is PyTorch's; TensorFlow's mixed precision on a CPU is not compared.
        if precision and peer != "PyTorch":
            continue
        more = [f"--{name}" for name in precision]
        found[way] = ([pythons[script], BENCH / "peers" / script, network, THREADS, *flags, *more], variables)
    return found


def timed(row, ways, rounds, quick, ceilings):
    """The turns of each way, and the last words of those that cannot run here."""
    sides, steps, failed = {}, {}, {}
    with ExitStack() as stack:
        for way, (command, variables) in ways.items():
            say(f"{row}, {way} sets up")
            side = stack.enter_context(Side(command, **variables))
            try:
                milliseconds = side.turn(3)["median_ms"]
                steps[way] = 2 if quick else max(2, ceil(SECONDS * 1e3 / milliseconds))
                sides[way] = side
            except Failure as failure:
                if way == "Lepton":
                    raise
                # torch.compile needs a C++ compiler, which a machine need not have: said, and left out.
                failed[way] = str(failure).strip().splitlines()[-1]
                say(f"{way}: {failed[way]}")
        turns = {way: [] for way in sides}
        for number in range(1, rounds + 1):
            say(f"{row}, round {number} of {rounds}")
            ceilings.wait()
            for way, taken in in_turns(sides, steps, 1 if quick else TURNS).items():
                turns[way] += taken
    return turns, failed


def compared(row, turns, ceilings):
    """Time and memory beside the fastest way of each peer."""
    ours, rows = turns["Lepton"], []
    middle = lambda way, key: median(turn[key] for turn in turns[way])
    # By convention: the way back costs twice the way forward.
    flops = 3 * ours[0]["flops"] * ours[0]["batch"]
    peak = ceilings["bf16_gflops" if row.endswith("bf16") and "bf16_gflops" in ceilings else "gflops"]
    share = flops / middle("Lepton", "median_ms") / 1e6 / peak
    for peer in ("PyTorch", "TensorFlow"):
        ways = [way for way in turns if way in WAYS and WAYS[way][0] == peer]
        if not ways:
            continue
        best = min(ways, key=lambda way: middle(way, "median_ms"))
        for key, unit in (("median_ms", "ms"), ("peak_mib", "MiB")):
            ratio = median(theirs[key] / mine[key] for mine, theirs in zip(ours, turns[best]))
            what = f"a step at {100 * share:.0f} % of peak" if unit == "ms" else "peak memory"
            name = f"{row}, {what} ({peer}: {best})"
            rows.append({"name": name, "ours": middle("Lepton", key), "peer": middle(best, key), "unit": unit, "ratio": ratio})
    return rows
