"""How the cost of training grows: a step over the rows of a batch and over the depth of a network, and a training over its
rows, beside PyTorch's (channels-last, fused Adam). Draws bench/cost.svg."""

from contextlib import ExitStack
from math import log
from statistics import median

from .environment import BENCH, THREADS, Side, built, in_turns, peer_python, say

# Each point: what it counts, the row of the example (deep-DEPTH-BATCH), and steps.
AXES = {
    "rows of a batch": [(batch, f"deep-4-{batch}", 20) for batch in (16, 32, 64, 128, 256)],
    "layers": [(depth, f"deep-{depth}-32", 20) for depth in (1, 2, 4, 8, 16)],
    "rows of a training": [(32 * steps, "deep-4-32", steps) for steps in (25, 50, 100, 200, 400)],
}
COLOURS = {"Lepton": "#2563eb", "PyTorch": "#d97706"}


def cost(rounds, quick):
    ours, python = built("example", "train_zoo"), peer_python("torch")
    script = BENCH / "peers" / "train_zoo_torch.py"
    sides = {"Lepton": lambda row: [ours, row, THREADS]}
    sides["PyTorch"] = lambda row: [python, script, row, THREADS, "--channels-last", "--fused"]
    rows, versions, figures = [], {}, {}
    for axis, points in AXES.items():
        key = "total_ms" if axis == "rows of a training" else "median_ms"
        figures[axis] = {side: [] for side in sides}
        for at, row, steps in points[:2] if quick else points:
            with ExitStack() as stack:
                live = {side: stack.enter_context(Side(command(row))) for side, command in sides.items()}
                for side in live.values():
                    side.turn(1)
                say(f"{at} {axis}, {rounds} rounds")
                found = in_turns(live, dict.fromkeys(live, 2 if quick else steps), rounds)
            for turn in (turn for taken in found.values() for turn in taken):
                versions.update(turn["versions"])
            middle = {side: median(turn[key] for turn in taken) for side, taken in found.items()}
            for side, value in middle.items():
                figures[axis][side].append((at, value))
            name = f"{at} {axis}, {'all steps' if key == 'total_ms' else 'a step'}"
            ratio = middle["PyTorch"] / middle["Lepton"]
            rows.append({"name": name, "ours": middle["Lepton"], "peer": middle["PyTorch"], "unit": "ms", "ratio": ratio})
    slopes = {axis: {side: round(growth(line), 3) for side, line in lines.items()} for axis, lines in figures.items()}
    if not quick:
        (BENCH / "cost.svg").write_text(drawing(figures, slopes), encoding="utf-8")
        say("drew bench/cost.svg")
    return rows, {"versions": versions, "threads": THREADS, "growth": slopes, "figures": figures}


def growth(line):
    """The exponent of the power law through the points, by least squares: 1 is linear."""
    xs, ys = [log(x) for x, _ in line], [log(y) for _, y in line]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    products = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys))
    return products / sum((x - mean_x) ** 2 for x in xs)


def drawing(figures, slopes):
    """One panel for each axis, both sides logarithmic, with a line of slope 1 for the eye."""
    wide, high, edge = 300, 260, 50
    parts = []
    for number, (axis, lines) in enumerate(figures.items()):
        xs = [x for x, _ in next(iter(lines.values()))]
        ys = [y for line in lines.values() for _, y in line]
        low, top = min(ys) * 0.8, max(ys) * 1.25
        left = number * (wide + edge) + edge

        def place(x, y):
            across = left + wide * (log(x) - log(xs[0])) / (log(xs[-1]) - log(xs[0]))
            return f"{across:.1f},{30 + high * (1 - (log(y) - log(low)) / (log(top) - log(low))):.1f}"

        parts.append(f'<rect x="{left}" y="30" width="{wide}" height="{high}" fill="none" stroke="#9ca3af"/>')
        parts.append(f'<text x="{left + wide / 2}" y="{high + 66}" text-anchor="middle">{axis}</text>')
        for x in xs:
            across = place(x, low).split(",")[0]
            parts.append(f'<text x="{across}" y="{high + 46}" text-anchor="middle" font-size="10">{x}</text>')
        ideal = [(x, lines["Lepton"][0][1] * x / xs[0]) for x in xs if lines["Lepton"][0][1] * x / xs[0] <= top]
        path = " ".join(place(x, y) for x, y in ideal)
        parts.append(f'<polyline points="{path}" fill="none" stroke="#9ca3af" stroke-dasharray="4 4"/>')
        for row, (side, line) in enumerate(lines.items()):
            path = " ".join(place(x, y) for x, y in line)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[side]}" stroke-width="2"/>')
            for x, y in line:
                across, down = place(x, y).split(",")
                parts.append(f'<circle cx="{across}" cy="{down}" r="3" fill="{COLOURS[side]}"><title>{y:.3g} ms</title></circle>')
            words = f"{side}: {line[0][1]:.3g} to {line[-1][1]:.3g} ms, growth {slopes[axis][side]:.2f}"
            parts.append(f'<text x="{left + 8}" y="{48 + 16 * row}" fill="{COLOURS[side]}">{words}</text>')
    size = f'width="{3 * (wide + edge) + edge}" height="{high + 80}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"])
