"""Pictures per second that one core augments (rotation with scale and shift, colour, noise, all together) against
albumentations, at the size of MNIST and at the size of ImageNet."""

from statistics import median

from .environment import BENCH, peer_python, run, run_json, say, target

SIZES = ((28, 1), (224, 3))


def augment(rounds, quick):
    python = peer_python("albumentations")
    run(["cargo", "build", "--release", "--quiet", "--workspace", "--example", "time_augment"])
    seconds = 0.1 if quick else 2
    figures, versions = {}, {}
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}")
        for side, channels in SIZES:
            for name, command in (
                ("ours", [target() / "release" / "examples" / "time_augment"]),
                ("peer", [python, BENCH / "peers" / "augment_albumentations.py"]),
            ):
                result = run_json([*command, side, channels, seconds])
                versions.update(result.get("versions", {"Lepton": result.get("version")}))
                for step, rate in result["pictures_per_second"].items():
                    figures.setdefault((step, side, channels, name), []).append(rate)
    rows = []
    for step, side, channels, name in figures:
        if name == "ours":
            mine, theirs = (median(figures[step, side, channels, who]) for who in ("ours", "peer"))
            rows.append({
                "name": f"{step}, {side}x{side}x{channels}", "ours": mine, "peer": theirs, "unit": "pictures/s",
                "ratio": mine / theirs,
            })
    singles = {", ".join(map(str, key)): values for key, values in figures.items()}
    return rows, {"versions": versions, "threads": 1, "figures": singles}
