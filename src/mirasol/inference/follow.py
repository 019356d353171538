"""Following sources with a session: read, encode, and answer, each at its own speed.

    sources --threads--> queue --> session (this thread) --snapshots--> answers (a thread)

A source that waits for nobody (camera, network) is live: when the encoder falls behind by more than `most_lag`
seconds, whole snippets are left out, the oldest first, and the receipt tells which. Any other source waits for us.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirasol.media.live import Live, Persistent
from mirasol.media.playback import Arrival

from .answer import Answer, Watched, put
from .session import MOST, Session

WAITS = "waits for a source"  # the name of the threads that read
BUFFER = 256  # arrivals waiting to be looked at, for sources that wait for us
MOST_WAITING = 1_000  # ... for those that do not: beyond that, pictures are left out until there is room


@dataclass(frozen=True)
class Pulse:
    """How it goes: seconds watched, seconds that the encoder is behind, speed as a multiple of real time."""

    seconds: float
    lag: float
    speed: float
    state_bytes: int
    process_bytes: int | None
    left_out: int  # snippets

    def sentence(self) -> str:
        words = f"watched {clock(self.seconds)}, {self.lag:.1f} s behind, {self.speed:.1f} x real time"
        memory = "" if self.process_bytes is None else f", process {self.process_bytes / 1e6:.0f} MB"
        lost = f", {self.left_out} snippets left out" if self.left_out else ""
        return f"{words}, state {self.state_bytes / 1e3:.0f} kB{memory}{lost}"


@dataclass(frozen=True)
class Event:
    """An answer: `start` to `end`, the moment of asking, are the seconds that it can rest on."""

    start: float
    end: float
    answer: Answer

    def to_dict(self) -> dict[str, Any]:
        return {"start": self.start, "end": self.end, **self.answer.to_dict()}


@dataclass
class Follow:
    """One run over the sources. `ask` may be called from any thread while `run` goes on."""

    session: Session
    sources: Sequence[Live | Persistent]
    standing: Sequence[str] = ()  # questions asked again and again
    every: float = 10.0  # seconds between two askings
    pace: bool = False  # a file at its own pace, not as fast as possible
    most_lag: float = 8.0  # seconds
    on_event: Callable[[Event], None] = lambda event: None
    on_pulse: Callable[[Pulse], None] = lambda pulse: None
    on_note: Callable[[float, str], None] = lambda second, words: None
    _asked: queue.Queue[tuple[Watched, Sequence[str]] | None] = field(default_factory=lambda: queue.Queue(8))
    _stopped: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)
    _broken: list[BaseException] = field(default_factory=list)  # errors while answering
    _failed: list[BaseException] = field(default_factory=list)  # errors of the sources

    def run(self) -> Watched:
        """Until the sources end or `stop` is called; gives what was watched.

        A source that fails ends like any other, what it had sent is watched; its error is raised when all is done.
        """
        live = any(source.is_live for source in self.sources)
        arrivals: queue.Queue[Arrival | None] = queue.Queue(0 if live else BUFFER)
        readers = [
            threading.Thread(target=self._read, args=(s, arrivals), daemon=True, name=WAITS) for s in self.sources
        ]
        answering = threading.Thread(target=self._answer, daemon=True)
        for thread in (*readers, answering):
            thread.start()
        self._began = self._said = time.monotonic()
        self._noted = 0
        open_sources, self._due = len(readers), self.session.seconds + self.every
        while open_sources and not self._broken:
            try:
                found = [arrivals.get(timeout=0.2)]
            except queue.Empty:
                self._tell()
                if self._stopped.is_set():
                    break
                continue
            while not arrivals.empty() and len(found) < BUFFER:
                found.append(arrivals.get())
            for arrival in found:
                if arrival is None:
                    open_sources -= 1
                    continue
                if arrival.frame is not None:
                    self.session.push([arrival.frame], at=arrival.time)
                elif arrival.kind != "end":
                    self.session.push(waveform=arrival.waveform, at=arrival.time)
                else:
                    self.session.picture_ends(arrival.time)
            self._encode(live)
            if self._stopped.is_set():
                break
        self._stopped.set()
        for source in self.sources:
            source.close()
        if not self._broken:
            # A still has come to no second at all; how long it is on screen, its source says.
            ends = [end for source in self.sources if (end := getattr(source, "end", None)) is not None]
            self.session.flush(max(ends) if ends and self.session.intake.clock == 0 else None)
            self.session.warnings = tuple(line for source in self.sources for line in source.report.lines())
            if self.standing and self.session.seconds > self._due - self.every:
                self._put(self.session.snapshot(), self.standing)
        self._ended.set()
        self._asked.put(None)
        answering.join()
        self._tell(now=True)
        if errors := [*self._broken, *self._failed]:
            raise errors[0]
        return self.session.snapshot()

    def ask(self, question: str) -> None:
        """A question about now, or about the first snippet if none has come yet; the answer comes as an event."""
        while not self.session.snapshot().receipt.snippets and not self._ended.wait(0.05):
            pass
        if self._ended.is_set():
            return
        watched = self.session.snapshot()
        self._put(watched, [question])

    def stop(self) -> None:
        """Ends `run` soon, in good order."""
        self._stopped.set()

    def _read(self, source: Live | Persistent, arrivals: queue.Queue[Arrival | None]) -> None:
        began = time.monotonic()
        try:
            for arrival in source:
                if self.pace:
                    self._stopped.wait(max(0.0, arrival.time - (time.monotonic() - began)))
                if source.is_live and arrival.frame is not None and arrivals.qsize() > MOST_WAITING:
                    source.report.left_out += 1
                    continue
                if not self._hand(arrivals, arrival):
                    break
        except BaseException as error:
            self._failed.append(error)
        self._hand(arrivals, None)

    def _hand(self, arrivals: queue.Queue[Arrival | None], arrival: Arrival | None) -> bool:
        """Puts it into the queue when there is room; False where the run has stopped."""
        while not self._stopped.is_set():
            try:
                arrivals.put(arrival, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def _encode(self, live: bool) -> None:
        """Everything that is due, with a halt wherever the standing questions want to be asked."""
        session = self.session
        length = session.loaded.model.sizes.snippet_seconds
        while session.intake.due and not self._stopped.is_set():
            if live:
                session.keep_up(math.floor(self.most_lag / length))
            until = math.ceil((self._due - session.seconds) / length - 1e-6)
            session.step(max(1, min(MOST, until)) if self.standing else MOST)
            if self.standing and session.seconds >= self._due - 1e-6:
                self._put(session.snapshot(), self.standing)
                while self._due <= session.seconds + 1e-6:
                    self._due += self.every
            self._tell()

    def _put(self, watched: Watched, questions: Sequence[str]) -> None:
        self._asked.put((watched, questions))

    def _answer(self) -> None:
        while (item := self._asked.get()) is not None:
            watched, questions = item
            receipt = watched.receipt
            start = receipt.start if receipt.remembers else receipt.text_start
            try:
                for answer in put(watched, questions, self.session.loaded):
                    self.on_event(Event(start, receipt.end, answer))
            except BaseException as error:
                self._broken.append(error)

    def _tell(self, now: bool = False) -> None:
        notes = list(self.session.intake.notes)
        for second, words in notes[len(notes) - (self.session.intake.noted - self._noted) :] if notes else ():
            self.on_note(second, words)
        self._noted = self.session.intake.noted
        if not now and time.monotonic() - self._said < 0.5:
            return
        self._said = time.monotonic()
        session, intake = self.session, self.session.intake
        seconds = session.seconds - intake.origin
        lag = max(0.0, intake.clock - seconds)
        elapsed = max(1e-9, self._said - self._began)
        self.on_pulse(
            Pulse(seconds, lag, seconds / elapsed, session.state.bytes(), process_bytes(), intake.counts.dropped)
        )


def process_bytes() -> int | None:
    """Memory that this process holds now, where the system says so."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    import resource

    return pages * resource.getpagesize()


def clock(seconds: float) -> str:
    """1:02:03, or 2:03 within the first hour."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
