"""Training steps of several networks against PyTorch and TensorFlow, as they come and with all that makes them faster on a
CPU, each way in a process of its own, all ways in turn. A peer's figure is that of its fastest way on that row."""

from statistics import median

from .environment import BENCH, THREADS, Failure, built, chosen, lepton, peer_python, run_json, say
from .machine import Ceilings

# Steps that are timed in a process.
ROWS = {
    "worked-example-32": 200,
    "worked-example-128": 60,
    "lenet5-64": 100,
    "mlp-256": 200,
    "conv-stack-32": 8,
    "resnet18-32": 3,
    "mobilenet-v2-32": 4,
    "lstm-32": 20,
    "gru-32": 20,
    "transformer-16": 8,
    "text-cnn-64": 60,
    "conv-stack-32 bf16": 8,
    "resnet18-32 bf16": 4,
    "lstm-32 bf16": 20,
    "gru-32 bf16": 20,
    "transformer-16 bf16": 8,
}

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
    chosen_rows = chosen(ROWS, only)
    ours = built("example", "train_zoo")
    pythons = {script: peer_python(name) for script, name in ENVIRONMENT.items()}
    ceilings = Ceilings(lepton())
    rows, versions, figures, failed = [], {}, {}, {}
    for row, steps in chosen_rows.items():
        steps = 2 if quick else steps
        results = {"Lepton": [], **{way: [] for way in WAYS}}
        for number in range(1, rounds + 1):
            say(f"{row}, round {number} of {rounds}")
            ceilings.wait()
            network, *precision = row.split()
            results["Lepton"].append(run_json([ours, network, THREADS, steps, *precision]))
            for way, (peer, script, flags, variables) in WAYS.items():
                if (row, way) in failed or (row.startswith(FLAT) and "channels-last" in way):
                    continue
                # Autocast is PyTorch's; TensorFlow's mixed precision on a CPU is not compared.
                if precision and peer != "PyTorch":
                    continue
                try:
                    more = [f"--{name}" for name in precision]
                    command = [pythons[script], BENCH / "peers" / script, network, THREADS, steps, *flags, *more]
                    results[way].append(run_json(command, **variables))
                except Failure as failure:
                    # torch.compile needs a C++ compiler, which a machine need not have: said, and left out.
                    failed[row, way] = str(failure).strip().splitlines()[-1]
                    say(f"{peer}, {way}: {failed[row, way]}")
        for result in (result for own in results.values() for result in own):
            versions.update(result.pop("versions"))
        figures[row] = {way: own for way, own in results.items() if own}
        middle = lambda way, key: median(result[key] for result in results[way])
        # By convention: the way back costs twice the way forward.
        flops = 3 * results["Lepton"][0]["flops"] * results["Lepton"][0]["batch"]
        peak = ceilings.best["bf16_gflops" if row.endswith("bf16") and "bf16_gflops" in ceilings.best else "gflops"]
        share = flops / middle("Lepton", "median_ms") / 1e6 / peak
        for peer in ("PyTorch", "TensorFlow"):
            ways = [way for way, (own, *_) in WAYS.items() if own == peer and results[way]]
            if not ways:
                continue
            best = min(ways, key=lambda way: middle(way, "median_ms"))
            for key, unit in (("median_ms", "ms"), ("peak_mib", "MiB")):
                mine, theirs = middle("Lepton", key), middle(best, key)
                what = f"a step at {100 * share:.0f} % of peak" if unit == "ms" else "peak memory"
                name = f"{row}, {what} ({peer}: {best})"
                rows.append({"name": name, "ours": mine, "peer": theirs, "unit": unit, "ratio": theirs / mine})
    left_out = {f"{row}, {way}": words for (row, way), words in failed.items()}
    details = {"versions": versions, "threads": THREADS, "figures": figures, "failed": left_out}
    details |= {"ceilings": ceilings.best, "noisy_rounds": ceilings.noisy_rounds}
    return rows, details
