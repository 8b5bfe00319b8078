"""Profiling a table, side by side: `lepton data profile` as a whole process against pandas, polars and DuckDB on the
same findings, from CSV and from Parquet, and against ydata-profiling's minimal report; then memory and time as the
table grows."""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from .environment import BENCH, ROOT, THREADS, Failure, lepton, peer_python, run, run_json, say

PEERS = ("pandas", "polars", "duckdb")


def data(rounds, quick):
    binary, python = lepton(), peer_python("tables")
    small, large = (30_000, (30_000, 60_000)) if quick else (3_000_000, (10_000_000, 30_000_000))
    rows, single, versions = [], {}, {}
    with tempfile.TemporaryDirectory(prefix="lepton-bench-") as folder:
        folder = Path(folder)
        csv, parquet = folder / "table.csv", folder / "table.parquet"
        make(python, small, csv, parquet)
        for file in (csv, parquet):
            figures = {}
            for number in range(1, rounds + 1):
                say(f"{small:,} rows, {file.suffix[1:]}: round {number} of {rounds}")
                ours = profile(binary, file, folder)
                figures.setdefault("ours", []).append(ours)
                for peer in PEERS:
                    theirs = run_json([python, BENCH / "peers" / "profile_table.py", peer, file])
                    versions[peer] = theirs["version"]
                    agree(ours, theirs)
                    figures.setdefault(peer, []).append(theirs)
            for peer in PEERS:
                name = f"{small:,} rows from {file.suffix[1:]}, against {peer}"
                rows += [row(f"seconds, {name}", figures, peer, "seconds", "s"), row(f"peak memory, {name}", figures, peer, "peak_mib", "MiB")]
            single[f"{file.suffix[1:]}, {small:,} rows"] = plain(figures)
        rows += ydata(binary, python, folder, rounds, quick, single, versions)
        csv.unlink()
        parquet.unlink()
        for count in large:
            make(python, count, csv)
            figures = {}
            # Memory and growth, not the last percent: a third of the rounds.
            fewer = max(1, rounds // 3)
            for number in range(1, fewer + 1):
                say(f"{count:,} rows, csv: round {number} of {fewer}")
                ours = profile(binary, csv, folder)
                theirs = run_json([python, BENCH / "peers" / "profile_table.py", "duckdb", csv])
                agree(ours, theirs)
                figures.setdefault("ours", []).append(ours)
                figures.setdefault("duckdb", []).append(theirs)
            name = f"{count:,} rows from csv, against duckdb"
            rows += [row(f"seconds, {name}", figures, "duckdb", "seconds", "s"), row(f"peak memory, {name}", figures, "duckdb", "peak_mib", "MiB")]
            single[f"csv, {count:,} rows"] = plain(figures)
            csv.unlink()
    versions["lepton"] = run([binary, "--version"]).strip()
    return rows, {"versions": versions, "single": single}


def ydata(binary, python, folder, rounds, quick, single, versions):
    """The minimal report is too slow for millions of rows, so it gets its own table."""
    count = 10_000 if quick else 300_000
    csv, peer = folder / "ydata.csv", peer_python("ydata")
    make(python, count, csv)
    figures = {}
    for number in range(1, rounds + 1):
        say(f"{count:,} rows, ydata-profiling: round {number} of {rounds}")
        ours = profile(binary, csv, folder)
        theirs = run_json([peer, BENCH / "peers" / "profile_ydata.py", csv])
        versions["ydata"] = theirs["version"]
        if theirs["missing"] != sum(ours["missing"].values()):
            raise Failure(f"ydata-profiling counts {theirs['missing']} missing cells, Lepton {sum(ours['missing'].values())}")
        figures.setdefault("ours", []).append(ours)
        figures.setdefault("ydata", []).append(theirs)
        # What a person waits for: from the command to the page.
        page = folder / "page.html"
        mine = profile(binary, csv, folder, "--html", page)
        started = time.perf_counter()
        run_json([peer, BENCH / "peers" / "profile_ydata.py", csv, page])
        figures.setdefault("our page", []).append(mine)
        figures.setdefault("their page", []).append({"seconds": time.perf_counter() - started})
    single[f"ydata, {count:,} rows"] = plain(figures)
    pages = {"ours": figures["our page"], "ydata": figures["their page"]}
    name = f"{count:,} rows from csv"
    return [
        row(f"seconds, {name}, against ydata-profiling minimal", figures, "ydata", "seconds", "s"),
        row(f"seconds, {name} to a page, whole processes, against ydata-profiling minimal", pages, "ydata", "seconds", "s"),
    ]


def make(python, count, *files):
    say(f"writing {count:,} rows")
    run([python, BENCH / "peers" / "make_table.py", count, *files])


def profile(binary, file, folder, *more):
    """The whole process: from its start to its end, with the peak of its memory."""
    command = [binary, "--home", folder / "home", "data", "profile", file, "--threads", THREADS, "--json", *more]
    output = folder / "profile.json"
    with open(output, "wb") as out:
        started = time.perf_counter()
        child = subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise Failure(f"lepton data profile ended with {child.returncode}")
    found = json.loads(output.read_text())
    columns = found["columns"]
    return {
        "seconds": seconds,
        "peak_mib": usage.ru_maxrss / 1024,
        "rows": found["rows"],
        "missing": {column["name"]: column["missing"] for column in columns},
        "distinct": {column["name"]: column["distinct"] for column in columns},
        "duplicate_rows": found["duplicate_rows"],
        "outliers": {column["name"]: column["outliers"]["count"] for column in columns if column.get("outliers")},
    }


def agree(ours, theirs):
    """Speed counts only where the findings are the same: counts exactly, sketches within their bounds."""
    for key in ("rows", "missing", "duplicate_rows"):
        # DuckDB rounds the share of nulls to a hundredth of a percent.
        bound = ours["rows"] * 1e-4 if key == "missing" and theirs["version"].startswith("DuckDB") else 0
        mine, other = ours[key], theirs[key]
        pairs = [(mine[name], other[name], name) for name in mine] if key == "missing" else [(mine, other, "")]
        for one, two, name in pairs:
            if abs(one - two) > bound:
                raise Failure(f"{theirs['version']} finds {key} {name} {two}, Lepton {one}")
    if theirs["outliers"] is not None:
        for name, count in ours["outliers"].items():
            if abs(count - theirs["outliers"][name]) > 0.01 * ours["rows"]:
                raise Failure(f"{theirs['version']} finds {theirs['outliers'][name]} outliers of {name}, Lepton {count}")
    exact = not theirs["version"].startswith("DuckDB")
    for name, count in ours["distinct"].items():
        if exact and abs(count - theirs["distinct"][name]) > 0.04 * theirs["distinct"][name]:
            raise Failure(f"{theirs['version']} finds {theirs['distinct'][name]} values of {name}, Lepton {count}")


def row(name, figures, peer, key, unit):
    mine, theirs = (median(one[key] for one in figures[side]) for side in ("ours", peer))
    return {"name": name, "ours": mine, "peer": theirs, "unit": unit, "ratio": theirs / mine}


def plain(figures):
    keys = ("seconds", "peak_mib")
    return {side: [{key: one[key] for key in keys if key in one} for one in runs] for side, runs in figures.items()}
