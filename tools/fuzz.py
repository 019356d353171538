"""Damaged files of every kind through everything that reads files: `make fuzz`.

    python tools/fuzz.py --files 10000 --workers 2
    python tools/fuzz.py --only 4711          # one of them again, in this process, with its traceback

Each number is one input: a seed (see `fuzz_seeds`) with damage (`fuzz_changes`), and what is done with it
(`fuzz_feeds`); the same number and --seed make the same. Good are two ends: it was read, or it was refused with one
line that this project wrote. Not good are any other error (broken), a result that is none (wrong), a process that died
(crashed), more than --seconds (slow) and more than --mib (big). Those inputs are kept in OUT/NUMBER; the table goes to
--results.

Results are written as they come: Ctrl-C ends with the table so far, the same command goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from fuzz_changes import damage
from fuzz_seeds import make_seeds

# Of 100 inputs, how many are of each kind; `watch` and `command` take the seeds of others.
SHARES = {"media": 38, "watch": 16, "models": 7, "sessions": 8, "shards": 5, "folders": 4, "manifests": 5,
          "annotations": 10, "packs": 2, "predictions": 2, "command": 3}  # fmt: skip
COMMANDS = ("media", "media", "models", "annotations", "manifests", "shards")
GOOD, BAD = ("read", "refused"), ("broken", "wrong", "crashed", "slow", "big")
LEAST_SECONDS = 60.0  # for a worker to start


@dataclass(frozen=True)
class Case:
    """One input: of which seed, in which folder, and how it was damaged."""

    kind: str
    name: str
    folder: Path
    changes: dict[str, list[str]]


def make_case(number: int, seed: int, seeds: Path, folder: Path) -> Case:
    """Writes input `number` into `folder`."""
    chance = random.Random(f"{seed}/{number}")
    kind = chance.choices(list(SHARES), list(SHARES.values()))[0]
    of = chance.choice(COMMANDS) if kind == "command" else "media" if kind == "watch" else kind
    names = sorted(path.name for path in (seeds / of).iterdir())
    name = chance.choice(names)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(seeds / of / name, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    others = sorted(path for path in (seeds / of / chance.choice(names)).rglob("*") if path.is_file())
    changes = {}
    if of in ("manifests", "annotations", "predictions"):  # the texts; their media now and then
        texts = [path for path in files if path.parent == folder]
        files = texts if chance.random() < 0.9 else files
    for path in chance.sample(files, min(len(files), chance.choice((1, 1, 1, 2)))):
        other = chance.choice(others)
        data, done = damage(chance, path.name, path.read_bytes(), other.read_bytes())
        path.write_bytes(data)
        if done:
            changes[str(path.relative_to(folder))] = done
    return Case(kind, f"{of}/{name}" if kind == "command" else name, folder, changes)


# -- a worker ----------------------------------------------------------------------------------------------------------


def run_case(feeder: Any, case: Case, number: int, seed: int) -> dict[str, Any]:
    """What became of it. Errors of one line are the ones that the program prints as one."""
    from fuzz_feeds import Wrong

    began, outcome, message, trace = time.monotonic(), "read", "", ""
    chance = random.Random(f"feed {seed}/{number}")
    try:
        feeder.feed(case.kind, chance, case.folder, case.name)
    except Wrong as error:
        outcome, message = "wrong", str(error)
    except Exception as error:
        message = " ".join(str(error).split())
        outcome = "refused" if message and in_own_words(error) else "broken"
        trace = "" if outcome == "refused" else traceback.format_exc()
        message = message if outcome == "refused" else f"{type(error).__name__}: {message}"
    return {"outcome": outcome, "seconds": round(time.monotonic() - began, 3), "message": message[:600],
            "trace": trace[-4_000:], "mib": round(peak_mib())}  # fmt: skip


def in_own_words(error: BaseException) -> bool:
    """Whether it says what is wrong with the input: an error of the system that names a file, or a `ValueError` that a
    `raise` of this project raised, not whatever stumbled over the input."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return True
    frames = traceback.extract_tb(error.__traceback__)
    here = {"mirasol", Path(__file__).parent.name} & set(Path(frames[-1].filename).parts)
    return isinstance(error, ValueError) and bool(here) and (frames[-1].line or "").startswith("raise")


def peak_mib() -> float:
    """The most memory that this process held since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def forget_peak() -> None:
    with contextlib.suppress(OSError):  # then the peak is that of the whole process
        Path("/proc/self/clear_refs").write_text("5")


def work(pipe: Connection, seeds: Path, folder: Path, seed: int) -> None:
    """A worker process: numbers in, results out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(folder)
    sys.stdin = open(os.devnull)  # noqa: SIM115, for as long as the process lives
    silence(folder / "stderr")
    import torch
    from fuzz_feeds import Feeder

    torch.set_num_threads(1)
    feeder = Feeder(seeds, folder)
    pipe.send("ready")
    while (number := pipe.recv()) is not None:
        case = make_case(number, seed, seeds, folder / "case")
        forget_peak()
        pipe.send({"number": number, "kind": case.kind, "seed": case.name, "changes": case.changes,
                   **run_case(feeder, case, number, seed)})  # fmt: skip


def silence(path: Path) -> None:
    """What decoders print goes into a file."""
    kept = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(kept, 1)
    os.dup2(kept, 2)


# -- the pool ----------------------------------------------------------------------------------------------------------


@dataclass
class Worker:
    process: Any
    pipe: Connection
    folder: Path
    number: int | None = None
    began: float = field(default_factory=time.monotonic)
    ready: bool = False

    def mib(self) -> float:
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Pool:
    """Workers, each with one input at a time, watched from here: what is too slow or too big is ended."""

    options: argparse.Namespace
    seeds: Path
    workers: list[Worker] = field(default_factory=list)

    def start(self) -> Worker:
        folder = Path(tempfile.mkdtemp(prefix="mirasol-fuzz-"))
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=work, args=(theirs, self.seeds, folder, self.options.seed), daemon=True
        )
        process.start()
        theirs.close()
        worker = Worker(process, ours, folder)
        self.workers.append(worker)
        return worker

    def results(self, numbers: list[int]) -> Any:
        """A result for each number, in the order in which they end."""
        waiting = numbers[::-1]
        for _ in range(min(self.options.workers, len(waiting))):
            self.start()
        while waiting or any(worker.number is not None for worker in self.workers):
            wait([worker.pipe for worker in self.workers], timeout=0.1)
            for worker in list(self.workers):
                if (found := self.look(worker)) is not None:
                    yield found
                if worker.ready and worker.number is None and waiting and worker in self.workers:
                    worker.number, worker.began = waiting.pop(), time.monotonic()
                    worker.pipe.send(worker.number)

    def look(self, worker: Worker) -> dict[str, Any] | None:
        """The result of a worker where there is one; ends a worker that is over a limit, and starts another."""
        limits, spent = self.options, time.monotonic() - worker.began
        try:
            told = worker.pipe.recv() if worker.pipe.poll() else None
        except (EOFError, OSError):
            if worker.number is None:
                raise SystemExit("fuzz: a worker died before its first input; see the error above") from None
            worker.process.join(5)
            return self.replace(worker, "crashed", spent, f"exit code {worker.process.exitcode}")
        if told == "ready":
            worker.ready = True
        elif told is not None:
            worker.number = None
            self.keep(told, worker)
            return {**told, **over(told, limits)}
        elif worker.number is not None and worker.mib() > limits.mib * 1.3:
            return self.replace(worker, "big", spent, f"ended at {worker.mib():.0f} MiB")
        elif worker.number is not None and spent > limits.seconds * 1.5:
            return self.replace(worker, "slow", spent, f"ended after {spent:.0f} s")
        elif not worker.ready and spent > LEAST_SECONDS + limits.seconds:
            raise SystemExit("fuzz: a worker did not start")
        return None

    def replace(self, worker: Worker, outcome: str, spent: float, why: str) -> dict[str, Any]:
        assert worker.number is not None
        number, mib = worker.number, worker.mib()
        worker.process.kill()
        worker.process.join()
        case = make_case(number, self.options.seed, self.seeds, worker.folder / "case")
        found = {"number": number, "kind": case.kind, "seed": case.name, "changes": case.changes, "outcome": outcome,
                 "seconds": round(spent, 3), "message": why, "trace": "", "mib": round(mib)}  # fmt: skip
        self.keep(found, worker)
        self.workers.remove(worker)
        worker.end()
        self.start()
        return found

    def keep(self, found: dict[str, Any], worker: Worker) -> None:
        """The input of what went wrong."""
        if found["outcome"] in GOOD and not over(found, self.options):
            return
        kept = self.options.out / str(found["number"])
        shutil.rmtree(kept, ignore_errors=True)
        if (worker.folder / "case").is_dir():
            shutil.copytree(worker.folder / "case", kept)

    def close(self) -> None:
        for worker in self.workers:
            worker.end()


def over(found: dict[str, Any], limits: argparse.Namespace) -> dict[str, Any]:
    """`slow` or `big` for what ended well, but over a limit."""
    if found["outcome"] in GOOD and found["seconds"] > limits.seconds:
        return {"outcome": "slow"}
    if found["outcome"] in GOOD and found["mib"] > limits.mib:
        return {"outcome": "big"}
    return {}


# -- the table ---------------------------------------------------------------------------------------------------------


def summary(results: list[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    from importlib.metadata import version

    kinds: dict[str, Any] = {}
    for kind in [*SHARES, "all"]:
        chosen = [one for one in results if kind in (one["kind"], "all")]
        if chosen:
            counts = Counter(one["outcome"] for one in chosen)
            kinds[kind] = {
                "files": len(chosen), **{name: counts[name] for name in (*GOOD, *BAD)},
                "undamaged": sum(not one["changes"] for one in chosen),
                "undamaged and refused": sum(not one["changes"] and one["outcome"] == "refused" for one in chosen),
                "longest seconds": max(one["seconds"] for one in chosen), "most MiB": max(one["mib"] for one in chosen),
            }  # fmt: skip
    told = ("number", "kind", "seed", "changes", "outcome", "message")
    bad = sorted((one for one in results if one["outcome"] in BAD), key=lambda one: one["number"])
    return {
        "seed": options.seed, "seeds": len({(one["kind"], one["seed"]) for one in results}),
        "limits": {"seconds": options.seconds, "MiB": options.mib}, "workers": options.workers,
        "cpu cores": os.cpu_count(), "versions": {name: version(name) for name in ("av", "numpy", "torch", "pillow")},
        "kinds": kinds,
        "failures": [{key: one[key] for key in told} for one in bad],
    }  # fmt: skip


def table(kinds: dict[str, Any]) -> str:
    names = ["kind", *next(iter(kinds.values()))] if kinds else ["kind"]
    rows = [names, *([kind, *(f"{value:g}" for value in counts.values())] for kind, counts in kinds.items())]
    widths = [max(len(row[at]) for row in rows) for at in range(len(names))]
    return "\n".join("  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True)) for row in rows)


def run(options: argparse.Namespace) -> int:
    """Feeds all numbers that have no result yet; 1 where anything went wrong."""
    seeds, log = options.out / "seeds", options.out / f"results-{options.seed}.jsonl"
    options.out.mkdir(parents=True, exist_ok=True)
    if options.fresh:
        shutil.rmtree(seeds, ignore_errors=True)
        log.unlink(missing_ok=True)
    make_seeds(seeds)
    results = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    results = [one for one in results if one["number"] < options.files]
    done = {one["number"] for one in results}
    pool = Pool(options, seeds.resolve())
    began = said = time.monotonic()
    try:
        with log.open("a", encoding="utf-8") as out:
            for found in pool.results([number for number in range(options.files) if number not in done]):
                results.append(found)
                out.write(json.dumps(found) + "\n")
                out.flush()
                if found["outcome"] in BAD:
                    print(f"{found['number']:>6} {found['outcome']:<8} {found['kind']}/{found['seed']}: "
                          f"{found['message'][:200]}", flush=True)  # fmt: skip
                if time.monotonic() - said > 30:
                    said = time.monotonic()
                    print(f"{len(results):,} of {options.files:,} after {said - began:.0f} s", flush=True)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", flush=True)
    finally:
        pool.close()
    told = summary(results, options)
    print(table(told["kinds"]))
    print(f"{time.monotonic() - began:.0f} s; inputs that went wrong are in {options.out}/NUMBER")
    if options.results is not None:
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"numbers: {options.results}")
    return 1 if told["failures"] else 0


def again(options: argparse.Namespace) -> int:
    """One input in this process."""
    from fuzz_feeds import Feeder

    seeds = options.out / "seeds"
    make_seeds(seeds)
    folder = options.out.resolve() / f"again-{options.only}"
    folder.mkdir(parents=True, exist_ok=True)
    case = make_case(options.only, options.seed, seeds, folder / "case")
    print(f"{case.kind}/{case.name} in {case.folder}: {case.changes}")
    forget_peak()
    found = run_case(Feeder(seeds.resolve(), folder), case, options.only, options.seed)
    print(found.pop("trace"), found)
    return 0 if found["outcome"] in GOOD else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=int(os.environ.get("FUZZ_FILES", "10000")))
    parser.add_argument("--seed", type=int, default=0, help="other damage")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=20.0, help="more than this for one input is slow")
    parser.add_argument("--mib", type=float, default=1536.0, help="more memory than this in the process is big")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="seeds, results, inputs that went wrong")
    parser.add_argument("--results", type=Path, help="write the table as JSON into this file")
    parser.add_argument("--only", type=int, help="this input alone, in this process")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results and make the seeds again")
    options = parser.parse_args()
    sys.exit(run(options) if options.only is None else again(options))


if __name__ == "__main__":
    main()
