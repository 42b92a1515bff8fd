#!/usr/bin/python3
"""Prints the tables of benches/ocsp, which makes what this needs and starts it."""

import argparse
import pathlib
import re
import resource
import signal
import statistics
import subprocess
import sys
import time

from sides import PORT, Ours, Questions, TICK, Wrong, sides

HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS, THREADS = 64, 2
WARM = 2  # seconds of load that are not measured


def note(text):
    print(text, file=sys.stderr, flush=True)


def busy():
    """Seconds of processor time that the machine has used so far."""
    words = [int(word) for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(words) - words[3] - words[4]) / TICK


def children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(*cells):
    print()
    row(*cells)
    print("|" + "---|" * len(cells))


def wrk(side, questions, method, seconds, order):
    return subprocess.run(
        ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", HERE / "ocsp.lua",
         f"http://127.0.0.1:{side.port}", "--", method, questions.base, order],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds + 120,
    ).stdout


def load(side, questions, method, seconds):
    """One figure: wrk for so many seconds."""
    if side.afresh:
        side.start(questions)
    try:
        server, all_work, loader, began = side.cpu(), busy(), children(), time.monotonic()
        said = wrk(side, questions, method, seconds, "random")
        took = time.monotonic() - began
        server, loader, all_work = side.cpu() - server, children() - loader, busy() - all_work
        memory = side.rss()
    finally:
        if side.afresh:
            side.stop()
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", said)
    if not found or found[1] == "0":
        raise Wrong(f"no load: {said[-300:]}")
    requests, micros, size, errors, half, slow = map(int, found.groups())
    figure = {
        "rate": requests / micros * 1e6, "p50": half / 1e3, "p99": slow / 1e3, "cpu": server / requests * 1e6,
        "rss": memory / 2**20, "bytes": size / requests, "errors": errors,
        "other": max(0.0, all_work - server - loader) / took * 100,
    }
    note(f"{side.name}, {questions.kind} {method}: {figure['rate']:.0f}/s, {figure['cpu']:.1f} µs, {errors} errors, "
         f"other work {figure['other']:.0f} %")
    return figure


def measure(path, kind, rounds, seconds, programs, remarks):
    """Rows of the table for one directory, plain or nonced."""
    questions, count = Questions(path, kind), path.name.split("-")[-1]
    all_sides, figures, up = sides(path, programs, kind), {}, {}
    try:
        for side in all_sides:
            up[side.name] = side.start(questions)
            for method in ("post", "get"):
                try:
                    side.check(questions, method)
                    figures[method, side.name] = []
                except Wrong as error:
                    remarks.append(f"{side.name}, {count} certificates, {kind} {method.upper()}: not measured, "
                                   f"since an answer is wrong ({error}).")
            if side.afresh:
                side.stop()
            else:  # what it keeps it has kept before it is measured
                wrk(side, questions, "post", WARM, "walk")
        for _ in range(rounds):
            for method in ("post", "get"):
                for side in all_sides:
                    if (method, side.name) in figures:
                        figures[method, side.name].append(load(side, questions, method, seconds))
        for side in all_sides:  # and nothing has gone wrong under load
            if not side.afresh:
                side.verify(questions, 0, questions.ask(side.port, "post", 0))
    finally:
        for side in all_sides:
            side.stop()
    for method in ("post", "get"):
        base = figures[method, all_sides[0].name]
        for side in all_sides:
            mine = figures.get((method, side.name))
            if not mine:
                continue

            def middle(key):
                return statistics.median(figure[key] for figure in mine)

            def ratio(key):
                return statistics.median(one[key] / other[key] for one, other in zip(mine, base))

            yield (f"{int(count):,}", f"{method.upper()}{', nonce' if kind == 'nonced' else ''}", side.name,
                   f"{middle('rate'):,.0f}", f"{ratio('rate'):.2f}", f"{middle('cpu'):.1f}", f"{ratio('cpu'):.2f}",
                   f"{middle('p50'):.2f}", f"{middle('p99'):.1f}", f"{middle('rss'):.0f}", f"{up[side.name]:.2f}",
                   f"{middle('bytes'):.0f}", sum(figure["errors"] for figure in mine), f"{middle('other'):.0f}")


def passes(path, programs):
    """Every answer once, which signs it, and once more, from memory."""
    count = int(path.name.split("-")[-1])
    # Each part of the memory gets more or less than its share.
    side = Ours("ours", path, programs, PORT, f"cache_entries: {4 * count + 10_000}\n")
    try:
        side.start(Questions(path, "plain"))
        for name, save in (("first", ["--save", path / "answers.txt"]), ("second", [])):
            cpu, memory = side.cpu(), side.rss()
            said = subprocess.run([programs / "ask-all", "--port", str(side.port), *save, path], check=True,
                                  stdout=subprocess.PIPE, text=True).stdout
            cpu, grown, took = side.cpu() - cpu, side.rss() - memory, float(said)
            yield (f"{count:,}", name, f"{took:.2f}", f"{cpu:.2f}", f"{cpu / count * 1e6:.1f}", f"{side.rss() / 2**20:.0f}",
                   f"{grown / count:.0f}")
    finally:
        side.stop()


def table(paths, options):
    signed = [line for path in paths for line in passes(path, options.programs)]
    remarks, lines = [], []
    for path in paths:
        for kind in ("plain", "nonced"):
            lines += measure(path, kind, options.rounds, options.seconds, options.programs, remarks)
    print(f"{CONNECTIONS} connections, {options.rounds} rounds of {options.seconds} s; load average "
          + ", ".join(pathlib.Path("/proc/loadavg").read_text().split()[:3]))
    head("certificates", "request", "server", "requests/s", "÷ base", "CPU µs/request", "÷ base", "p50 ms", "p99 ms",
         "RSS MiB", "start s", "bytes", "errors", "other work %")
    for line in lines:
        row(*line)
    print("\nBase: axum; with a nonce hyper-sign. CPU is the server's alone. Start: until the first right answer. "
          "Other work: processor time of others during the run, 100 is one processor.")
    for remark in remarks:
        print(remark)
    head("certificates", "pass over all answers", "seconds", "CPU s", "CPU µs/answer", "RSS MiB after",
         "bytes more a certificate")
    for line in signed:
        row(*line)


def start(path, programs):
    """Start-up from the ledger, and from the state file."""
    questions, count = Questions(path, "plain"), int(path.name.split("-")[-1])
    state = path / "own" / "state"
    for file in state.glob("*") if state.exists() else []:
        file.unlink()
    head("certificates", "start from", "first right answer after s", "CPU s until then", "RSS MiB", "bytes a certificate")
    for name in ("the ledger", "the state file"):
        side = Ours("ours", path, programs, PORT, "state_dir: state\n")
        try:
            took = side.start(questions)
            cpu = side.cpu()
            for method in ("post", "get"):
                side.check(questions, method)
            memory = side.rss()
        finally:
            side.stop()  # which writes the state
        row(f"{count:,}", name, f"{took:.2f}", f"{cpu:.2f}", f"{memory / 2**20:.0f}", f"{memory / count:.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    commands = parser.add_subparsers(dest="what", required=True)
    command = commands.add_parser("table")
    command.add_argument("--rounds", type=int, required=True)
    command.add_argument("--seconds", type=int, required=True)
    command.add_argument("paths", type=pathlib.Path, nargs="+")
    commands.add_parser("start").add_argument("path", type=pathlib.Path)
    options = parser.parse_args()
    # What was started is ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.what == "start":
            start(options.path, options.programs)
        else:
            table(options.paths, options)
    except (Wrong, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"benches/ocsp: {error}")


main()
