"""Where both sides come from: the release binary, and a virtual environment for each peer, made on first use."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
ENVIRONMENTS = BENCH / ".env"
THREADS = 2


class Failure(Exception):
    """Something that ends a comparison with one line for a person."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def peer_python(name):
    """The Python of the peer's environment, with what requirements-NAME.txt lists."""
    requirements = BENCH / f"requirements-{name}.txt"
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    stamp = folder / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    say(f"making {folder.relative_to(ROOT)} from {requirements.name}")
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements])
    stamp.write_text(wanted)
    return python


def lepton():
    """The release binary of this checkout, built when it is not up to date."""
    return built("bin", "lepton")


def built(kind, name):
    """A program of this checkout. The whole workspace is selected, as by the tests: another selection unifies other
    features, and compiles the dependencies again."""
    run(["cargo", "build", "--release", "--quiet", "--workspace", f"--{kind}", name])
    return target() / "release" / ("examples" if kind == "example" else "") / name


def target():
    """Where cargo puts what it builds."""
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def chosen(table, only):
    """The rows of a comparison whose name holds one of the texts of `--only`; all of them without one."""
    found = {name: row for name, row in table.items() if not only or any(text.lower() in name.lower() for text in only)}
    if not found:
        raise Failure(f"--only leaves nothing to compare; there is: {'; '.join(table)}")
    return found


def numeric_threads():
    """This process's variables, with one thread count for every numeric library that reads its own from there."""
    threads = {name: str(THREADS) for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "MKL_NUM_THREADS")}
    return {**os.environ, **threads, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""}


def run(command, **environment):
    """Runs a program to its end and gives its standard output; its standard error is shown when it fails."""
    command = [str(part) for part in command]
    variables = {**numeric_threads(), **environment}
    try:
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        raise Failure(f"{command[0]} is not installed") from missing
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.strip()[-4000:]}")
    return done.stdout


def run_json(command, **environment):
    """The JSON object that a program prints, alone or as its last line."""
    output = run(command, **environment).strip()
    for text in (output, output.rpartition("\n")[2]):
        try:
            return json.loads(text)
        except ValueError:
            continue
    raise Failure(f"{command[0]} did not print a JSON object but: {output[-500:]}")


class Side:
    """A program that stays, and computes only when it is its turn: a line of its standard input says how much, a JSON object
    on a line is its answer. Sides that take short turns see the same machine, however its neighbours come and go."""

    def __init__(self, command, **environment):
        self.command = [str(part) for part in command]
        self.errors = tempfile.TemporaryFile("w+")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors}
        variables = {**numeric_threads(), **environment}
        self.process = subprocess.Popen(self.command, cwd=ROOT, env=variables, text=True, **pipes)

    def turn(self, amount):
        try:
            print(amount, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # It has ended: what it said follows.
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        self.errors.seek(0)
        said = self.errors.read().strip()[-4000:]
        raise Failure(f"{' '.join(self.command)} ended with {self.process.wait()}:\n{said}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def in_turns(sides, amounts, count):
    """What each side says of its `count` turns, which go there and back again."""
    taken = {name: [] for name in sides}
    for number in range(count):
        for name, side in list(sides.items())[:: -1 if number % 2 else 1]:
            taken[name].append(side.turn(amounts[name]))
    return taken
