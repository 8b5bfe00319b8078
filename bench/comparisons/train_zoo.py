"""Training steps of several networks against PyTorch as it comes and with all that makes it faster on a CPU, each way in a
process of its own, all ways in turn. The peer's figure is that of its fastest way on that row."""

from statistics import median

from .environment import BENCH, THREADS, Failure, built, peer_python, run_json, say

# Steps that are timed in a process.
ROWS = {
    "worked-example-32": 200,
    "worked-example-128": 60,
    "lenet5-64": 100,
    "mlp-256": 200,
    "conv-stack-32": 8,
    "resnet18-32": 3,
    "lstm-32": 20,
    "gru-32": 20,
    "transformer-16": 8,
    "text-cnn-64": 60,
}

# Rows without pictures, for which channels-last memory means nothing.
FLAT = {"mlp-256", "lstm-32", "gru-32", "transformer-16", "text-cnn-64"}

# glibc keeps what was freed in place of giving it back to the system.
MALLOC = {"MALLOC_TRIM_THRESHOLD_": "2147483648", "MALLOC_MMAP_THRESHOLD_": "2147483648", "MALLOC_TOP_PAD_": "67108864"}

WAYS = {
    "stock": ([], {}),
    "fused Adam": (["--fused"], {}),
    "fused Adam, tuned malloc": (["--fused"], MALLOC),
    "channels-last, fused Adam": (["--channels-last", "--fused"], {}),
    "channels-last, fused Adam, tuned malloc": (["--channels-last", "--fused"], MALLOC),
    "torch.compile, fused Adam": (["--compile", "--fused"], {}),
}


def train_zoo(rounds, quick):
    ours, python = built("example", "train_zoo"), peer_python("torch")
    rows, versions, figures, failed = [], {}, {}, {}
    for row, steps in ROWS.items():
        steps = 2 if quick else steps
        results = {"Lepton": [], **{way: [] for way in WAYS}}
        for number in range(1, rounds + 1):
            say(f"{row}, round {number} of {rounds}")
            results["Lepton"].append(run_json([ours, row, THREADS, steps]))
            for way, (flags, variables) in WAYS.items():
                if way in failed or (row in FLAT and "channels-last" in way):
                    continue
                try:
                    command = [python, BENCH / "peers" / "train_zoo_torch.py", row, THREADS, steps, *flags]
                    results[way].append(run_json(command, **variables))
                except Failure as failure:
                    # torch.compile needs a C++ compiler, which a machine need not have: said, and left out.
                    failed[way] = str(failure).strip().splitlines()[-1]
                    say(f"PyTorch, {way}: {failed[way]}")
        for result in (result for own in results.values() for result in own):
            versions.update(result.pop("versions"))
        figures[row] = {way: own for way, own in results.items() if own}
        middle = lambda way, key: median(result[key] for result in results[way])
        best = min((way for way in WAYS if results[way]), key=lambda way: middle(way, "median_ms"))
        for key, unit in (("median_ms", "ms"), ("peak_mib", "MiB")):
            mine, theirs = middle("Lepton", key), middle(best, key)
            name = f"{row}, {'a step' if unit == 'ms' else 'peak memory'} (PyTorch: {best})"
            rows.append({"name": name, "ours": mine, "peer": theirs, "unit": unit, "ratio": theirs / mine})
    return rows, {"versions": versions, "threads": THREADS, "figures": figures, "failed": failed}
