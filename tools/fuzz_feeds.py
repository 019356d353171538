"""One damaged input through the code that would read it. `feed` returns in how many ways it was opened; it raises what
that code raises, and `Wrong` where a result is no good one: numbers that are not finite, times out of order, JSON that
is none, an error on the command line of more than one line.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_texts import ANNOTATIONS, MANIFESTS, PREDICTIONS

Chance = random.Random
QUESTION = "what do you hear?"


class Wrong(Exception):
    """A result that must not be."""


def expect(holds: Any, what: str) -> None:
    if not holds:
        raise Wrong(what)


def check_answers(answers: list[Any]) -> None:
    for answer in answers:
        try:
            json.dumps(answer.to_dict(), allow_nan=False)
        except ValueError:
            raise Wrong(f"an answer with a number that is not finite: {answer}") from None
        expect(0 <= answer.confidence <= 1.0001, f"a confidence of {answer.confidence}")


class Feeder:
    """`models`: folder of the seeds' models, which questions are put to."""

    def __init__(self, seeds: Path, work: Path) -> None:
        from mirasol.inference.answer import load

        self.seeds, self.work = seeds, work
        self.small = {path.name: load(path) for path in sorted((seeds / "models").iterdir())}
        self.kinds: dict[str, Callable[[Chance, Path, str], None]] = {
            "media": self.media, "watch": self.watch, "models": self.models, "sessions": self.sessions,
            "shards": self.items, "folders": self.items, "manifests": self.items, "annotations": self.annotations,
            "packs": self.packs, "predictions": self.predictions, "command": self.command,
        }  # fmt: skip

    def feed(self, kind: str, chance: Chance, folder: Path, name: str) -> None:
        """`folder`: holds the damaged input and what belongs to it; `name`: of the seed."""
        self.kinds[kind](chance, folder, name)

    # -- media ---------------------------------------------------------------------------------------------------------

    def media(self, chance: Chance, folder: Path, name: str) -> None:
        """`ask` without a model, from a path, bytes or a file object; then, of some, with one."""
        from mirasol.inference.files import ask
        from mirasol.media.reader import open_media

        path, way = folder / name, chance.choice(("path", "path", "bytes", "file"))
        sizes = self.small["priority"].model.sizes
        start = chance.choice((None, None, None, 0.5, 1.7))
        end = chance.choice((None, None, 2.2, 1_000.0))
        with contextlib.ExitStack() as stack:
            source: Any = str(path)
            if way == "bytes":
                source = path.read_bytes()
            elif way == "file":
                source = stack.enter_context(path.open("rb"))
            media = stack.enter_context(open_media(source, chance.choice((None, None, "AUTO"))))
            fit = chance.choice((None, (sizes.height, sizes.width)))
            before = -1.0
            for clip in media.pieces(start, end, instants=every_quarter, fit=fit, piece_seconds=8.0):
                expect(clip.end >= clip.start >= before, f"a clip from {clip.start} to {clip.end} after {before}")
                before = clip.start
                if clip.frame_times is not None:
                    expect(np.all(np.diff(clip.frame_times) >= 0), "frames out of order")
                    expect(np.isfinite(clip.frame_times).all(), "a time of a frame that is not finite")
                if clip.waveform is not None:
                    expect(np.isfinite(clip.waveform).all(), "a sample that is not finite")
            expect(all("\n" not in line for line in media.warnings), "a warning of two lines")
        if chance.random() < 0.3:
            check_answers(ask(str(path), [QUESTION], self.small[chance.choice(list(self.small))]))

    def watch(self, chance: Chance, folder: Path, name: str) -> None:
        """What the command `watch` does."""
        from mirasol.inference.follow import Follow
        from mirasol.inference.session import Session
        from mirasol.media.live import Live

        loaded = self.small[chance.choice(list(self.small))]
        sizes = loaded.model.sizes
        with contextlib.ExitStack() as stack:
            source: Any = str(folder / name)
            if chance.random() < 0.3:
                source = Pipe(stack.enter_context((folder / name).open("rb")))
            live = Live(source, sample_rate=sizes.sample_rate, fit=(sizes.height, sizes.width))
            session = Session(loaded, start=0.0, picture=live.has_picture, sound=live.has_sound)
            events: list[Any] = []
            follow = Follow(session, [live], (QUESTION,), 1.0, on_event=events.append)
            try:
                watched = follow.run()
            finally:
                follow.stop()
            check_answers([event.answer for event in events])
            json.dumps(watched.receipt.warnings)
            if chance.random() < 0.1:
                session.save(folder / "saved.safetensors")
                check_answers([Session.load(folder / "saved.safetensors", loaded).ask(QUESTION)])

    # -- models and sessions -------------------------------------------------------------------------------------------

    def models(self, chance: Chance, folder: Path, name: str) -> None:
        """`mirasol.load`, then an answer about three seconds of noise."""
        from mirasol.inference.answer import load
        from mirasol.inference.session import Session

        loaded = load(folder)
        session = Session(loaded, start=0.0)
        noise = np.random.default_rng(0)
        frames = [noise.integers(0, 256, (30, 40, 3), dtype=np.uint8) for _ in range(6)]
        waveform = noise.standard_normal(3 * loaded.model.sizes.sample_rate).astype(np.float32) / 8
        session.watch(frames, waveform, at=0.0)
        session.flush()
        check_answers(session.ask_all([QUESTION, None]))

    def sessions(self, chance: Chance, folder: Path, name: str) -> None:
        """`Session.load`, then two more seconds, an answer, and saving again."""
        from mirasol.inference.session import Session

        loaded = self.small[name]
        session = Session.load(folder / "session.safetensors", loaded)
        check_answers([session.ask(QUESTION)])
        before, at = session.seconds, max(0.0, session.seconds)
        expect(np.isfinite(before), f"a session at second {before}")
        noise = np.random.default_rng(0)
        waveform = noise.standard_normal(2 * loaded.model.sizes.sample_rate).astype(np.float32) / 8
        session.watch([noise.integers(0, 256, (30, 40, 3), dtype=np.uint8)] * 2, waveform, at=at, times=[at, at + 1])
        session.flush()
        expect(session.seconds > before, f"nothing was encoded after second {before}")
        check_answers([session.ask(QUESTION)])
        session.save(folder / "again.safetensors")

    # -- data ----------------------------------------------------------------------------------------------------------

    def items(self, chance: Chance, folder: Path, name: str) -> None:
        """What training does with shards, a manifest or a folder, then what `prepare` does."""
        from mirasol.data.decoding import Bad, decode
        from mirasol.data.opening import open_items

        loaded = self.small["priority"]
        source = folder / next(iter(MANIFESTS[name])) if name in MANIFESTS else folder
        if chance.random() < 0.5:
            found = open_items(source)
            for at in range(min(len(found), 6)):
                one = decode(found[at], loaded.model.sizes, loaded.text, longest=4.0)
                if isinstance(one, Bad):
                    expect("\n" not in one.reason, f"a reason of two lines: {one.reason}")
                    expect("Error: " not in one.reason, f"a reason that nobody foresaw: {one.reason}")
        else:
            self.prepare(source)

    def prepare(self, source: Path, **more: Any) -> None:
        from mirasol.data.preparing import How, prepare

        out = self.work / "shards"
        shutil.rmtree(out, ignore_errors=True)
        try:
            json.dumps(prepare(source, out, How(), **more), allow_nan=False)
        finally:
            shutil.rmtree(out, ignore_errors=True)

    def annotations(self, chance: Chance, folder: Path, name: str) -> None:
        """`data check` with its media, then what training and `prepare` make of the file."""
        from mirasol.cli.measuring import checked_text
        from mirasol.data.annotations import MediaFolder, read_annotations, to_items
        from mirasol.data.annotations.check import check

        path = folder / next(iter(ANNOTATIONS[name]))
        if chance.random() < 0.5:
            found = check(path, folder / "films")
            checked_text(found).encode("utf-8", "surrogatepass")
            json.dumps(found.to_dict(), allow_nan=True)
        else:
            annotations = read_annotations(path)
            for item in to_items(annotations, MediaFolder(folder / "films")):
                expect(item.pairs, f"an item without a text: {item}")
                times = [second for second in (item.start, item.end) if second is not None]
                expect(np.isfinite(times).all(), f"a span that is not finite: {item}")

    def packs(self, chance: Chance, folder: Path, name: str) -> None:
        from mirasol.media.toybox.assets import AssetPack

        pack = AssetPack(folder, vary=chance.random() < 0.5)
        for kind in pack.world.kinds:
            expect(pack.draw(kind, 40, np.random.default_rng(1)).shape[0] == 40, "a picture of another height")
            expect(np.isfinite(pack.sound(kind, np.random.default_rng(1))).all(), "a sound that is not finite")

    def predictions(self, chance: Chance, folder: Path, name: str) -> None:
        from mirasol.data.annotations import read_annotations
        from mirasol.evaluate.predictions import read_predictions
        from mirasol.evaluate.tasks import TASKS, score

        path, annotations = [folder / file for file in list(PREDICTIONS[name])[:2]]
        found = read_annotations(annotations)
        records, _ = read_predictions(path, found.rows)
        if found.format in TASKS:
            score(TASKS[found.format], records, "mean")

    # -- the command line ----------------------------------------------------------------------------------------------

    def command(self, chance: Chance, folder: Path, name: str) -> None:
        """The program itself, in this process: exit code 0 with JSON, or 2 with one line."""
        kind, _, seed = name.partition("/")
        model = str(self.seeds / "models" / "priority")
        words = {
            "media": ["ask", str(folder / seed), QUESTION, "--model", model, "--json"],
            "models": ["ask", str(self.seeds / "media" / "a.wav" / "a.wav"), QUESTION, "--model", str(folder),
                       "--json"],
            "annotations": ["data", "check", str(folder / next(iter(ANNOTATIONS.get(seed, ("",))))), "--media",
                            str(folder / "films"), "--json"],
            "manifests": ["prepare", str(folder / next(iter(MANIFESTS.get(seed, ("",))))), str(self.work / "out"),
                          "--workers", "1"],
            "shards": ["prepare", str(folder), str(self.work / "out"), "--workers", "1"],
        }[kind]  # fmt: skip
        out, err = io.StringIO(), io.StringIO()
        code = run_program(words, out, err)
        shutil.rmtree(self.work / "out", ignore_errors=True)
        lines = [line for line in err.getvalue().splitlines() if line.startswith("mirasol: ")]
        expect("Traceback" not in err.getvalue(), f"a traceback on the command line: {err.getvalue()[-1500:]}")
        expect(code in (0, 2), f"exit code {code}: {err.getvalue()[-500:]}")
        if code == 2:
            expect(len(lines) == 1, f"{len(lines)} lines for an error: {err.getvalue()[-500:]}")
            raise ValueError(lines[0])
        if "--json" in words:
            for line in out.getvalue().splitlines():
                try:
                    json.loads(line, parse_constant=lambda word: expect(False, f"{word} in JSON"))
                except ValueError:
                    raise Wrong(f"no JSON: {line[:300]}") from None


def run_program(words: list[str], out: io.StringIO, err: io.StringIO) -> int:
    from mirasol.cli import main

    before, sys.argv = sys.argv, ["mirasol", *words]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    finally:
        sys.argv = before
    return 0


def every_quarter(start: float, end: float) -> np.ndarray:
    """Instants of four frames a second."""
    return np.arange(np.ceil(start * 4), np.ceil(end * 4)) / 4


class Pipe(io.RawIOBase):
    """A file that can be read once, forward."""

    def __init__(self, file: Any) -> None:
        self._file, self.name = file, "a pipe"

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
