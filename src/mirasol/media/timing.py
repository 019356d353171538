"""Timestamps -> seconds that never fall back: one count for all streams of a source.

Where a recording begins anew (two files joined, a sender that restarts) the stamps of all streams jump. A break moves
everything behind it by one offset, the least that keeps what every stream has sent, so that picture and sound stay
together. Files and live sources go through here packet by packet, in the order in which they are stored.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import av.error

FALLS = 0.2  # seconds: stamps that fall back by more are a new count, by less disorder
REORDERED = 3.0  # the same for pictures that need others, which are not stored in the order in which they are shown
AHEAD = 3600.0  # seconds: stamps that run ahead by more are a new count, by less a hole
LEAD_IN = 0.25  # seconds by which streams of one recording may begin apart without content of their own
BREAK_SECONDS, BREAK_PACKETS = 1.0, 200  # how long the first packet of each stream behind a break is waited for
MADE_UP = 0x80  # flag of the formats in which a picture has no timestamp
DISCONTINUOUS = 0x200  # flag of the formats whose recordings may be joined
BLOCKED = 0.005  # seconds: a read that takes longer waits for the source
BURST = 64  # packets that a source may have sent before we listened
DELAYED = 32  # packets that a decoder may be behind
OWN_PACE = 1 / 3  # share of its nominal seconds that a source of its own pace is waited for at least


@dataclass
class Count:
    """What is known of one stream: its highest raw stamp, where it ends when placed, its offset, the breaks crossed."""

    last: float
    end: float
    offset: float
    crossed: int


class Steady:
    """Places the packets of all streams of one container. `warn(line)` is told of breaks."""

    def __init__(self, warn: Callable[[str], None], origin: float = 0.0, limit: float | None = None) -> None:
        self._warn, self._origin, self._limit = warn, origin, limit
        self.breaks = 0
        self._counts: dict[int, Count] = {}
        self._offset = 0.0
        self._old = self._new = 0.0  # raw stamps on both sides of the latest break
        self._held: list[Any] | None = None  # packets behind a break whose offset is not known yet

    @property
    def end(self) -> float | None:
        """Seconds in the source's first count at which the last packet ends."""
        return max((count.end for count in self._counts.values()), default=None)

    def ends(self, index: int) -> float | None:
        """The same of one stream."""
        count = self._counts.get(index)
        return None if count is None else count.end

    def feed(self, packet: Any) -> list[Any]:
        """The packets that are ready, with their timestamps moved."""
        stamp = _stamp(packet)
        if stamp is None:
            return [packet] if packet.size else [*self.finish(), packet]
        index = packet.stream_index
        if self._held is not None:
            if not self._beyond(index, stamp):
                return [self._place(packet, behind=False)]
            self._held.append(packet)
            found = {held.stream_index for held in self._held}
            wait = stamp - self._new < BREAK_SECONDS and len(self._held) < BREAK_PACKETS
            return [] if wait and not found >= set(self._counts) else self.finish()
        count = self._counts.get(index)
        if count is not None and count.crossed < self.breaks:
            if not self._beyond(index, stamp):
                return [self._place(packet, behind=False)]
        elif count is not None:
            # A picture that needs no other is later than all that are stored before it; of others, some are earlier.
            whole = packet.stream.type != "video" or packet.is_keyframe
            falls = FALLS if whole else REORDERED
            placed = stamp + self._offset - self._origin
            far = stamp - count.last > AHEAD or (self._limit is not None and placed > max(self._limit, count.end))
            if stamp < count.last - falls or far:
                self._old, self._new = count.last, stamp
                self._held = [packet]
                return self.finish() if len(self._counts) == 1 else []
        return [self._place(packet)]

    def finish(self) -> list[Any]:
        """The packets that still wait behind a break."""
        held, self._held = self._held, None
        if not held:
            return []
        begins: dict[int, float] = {}
        for packet in held:
            shown = _seconds(packet, packet.pts if packet.pts is not None else packet.dts)
            begins[packet.stream_index] = min(shown, begins.get(packet.stream_index, shown))
        ends = {index: count.end for index, count in self._counts.items()}
        whole = max(ends.values()) - min(begins.values())
        needed = max((ends[index] - begin for index, begin in begins.items() if index in ends), default=whole)
        self._offset = needed if 0 <= whole - needed <= LEAD_IN else max(whole, needed)
        self.breaks += 1
        at = min(begins.values()) + self._offset - self._origin
        self._warn(f"the timestamps start again at {at:.2f} s; picture and sound are counted on from there")
        return [self._place(packet) for packet in held]

    def _beyond(self, index: int, stamp: float) -> bool:
        """Whether a stamp belongs behind the latest break: it is nearer to what follows than to what was before."""
        if self._held is not None and any(packet.stream_index == index for packet in self._held):
            return True
        count = self._counts.get(index)
        before = self._old if count is None else count.last
        return abs(stamp - self._new) < abs(stamp - before)

    def _place(self, packet: Any, behind: bool = True) -> Any:
        """Moves a packet by the offset behind the latest break, or by the one that its stream had before."""
        stamp, count = _stamp(packet), self._counts.get(packet.stream_index)
        assert stamp is not None
        if behind or count is None:
            end = 0.0 if count is None else count.end
            crossed = self.breaks if behind else self.breaks - 1
            if count is None or count.crossed != crossed:
                count = Count(stamp, end, self._offset, crossed)
                self._counts[packet.stream_index] = count
        if count.offset:
            ticks = round(count.offset / packet.time_base)
            packet.dts = None if packet.dts is None else packet.dts + ticks
            packet.pts = None if packet.pts is None else packet.pts + ticks
        shown = _seconds(packet, packet.pts if packet.pts is not None else packet.dts)
        count.last = max(count.last, stamp)
        count.end = max(count.end, shown + (_seconds(packet, packet.duration) if packet.duration else 0.0))
        return packet


class Packets:
    """The packets of some streams, in the order of storage, placed by a `Steady`. Goes on after an error of reading."""

    def __init__(self, container: Any, streams: list[Any], steady: Steady | None) -> None:
        self._container, self._streams, self._steady = container, streams, steady
        self._demux = container.demux(streams)
        self._ready: deque[Any] = deque()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while not self._ready:
            try:
                packet = next(self._demux)
            except (av.error.FFmpegError, ValueError):
                self._demux = self._container.demux(self._streams)
                raise
            except IndexError:  # PyAV, where a damaged file drops a stream midway: nothing can be read behind it
                raise StopIteration from None
            self._ready += [packet] if self._steady is None else self._steady.feed(packet)
        return self._ready.popleft()


class Pace:
    """The seconds of pictures without timestamps from a source that is read as it comes.

    A source that we wait for keeps its own pace, and the clock of this machine counts. One that is there faster than
    its nominal rate (a file in a pipe) is counted by that rate.
    """

    def __init__(self, packets: Iterator[Any], index: int, step: float) -> None:
        self._packets, self._index, self._step = packets, index, step
        self._burst: deque[tuple[Any, float]] = deque()
        self._count, self._waited, self._begun = 0, 0.0, time.monotonic()
        self._listening = False
        self._now = 0.0  # second of the latest packet of the picture
        self._seconds: deque[float] = deque(maxlen=DELAYED)  # of those whose frames have not come

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._listening:
            self._listen()
        if self._burst:
            packet, second = self._burst.popleft()
        else:
            packet, waited = self._read()
            self._waited += waited
            second = self._second(packet)
        if packet.stream_index == self._index and packet.size:
            self._count += 1
            self._now = max(self._now, second)
            self._seconds.append(self._now)
        return packet

    def shown(self) -> float:
        """The second of the next frame that is decoded: decoders are some packets behind."""
        return self._seconds.popleft() if self._seconds else self._now

    def _read(self) -> tuple[Any, float]:
        before = time.monotonic()
        packet = next(self._packets)
        return packet, time.monotonic() - before

    def _second(self, packet: Any) -> float:
        nominal = self._count * self._step
        return time.monotonic() - self._begun if self._waited > OWN_PACE * nominal else nominal

    def _listen(self) -> None:
        """What was there before we listened came at an even pace up to now."""
        self._listening = True
        early: list[Any] = []
        waited = 0.0
        try:
            packet, _ = self._read()
            early.append(packet)
            while waited < BLOCKED and len(early) < BURST:
                packet, waited = self._read()
                early.append(packet)
        except StopIteration:
            pass
        pictures = sum(packet.stream_index == self._index and packet.size > 0 for packet in early)
        own = waited >= max(BLOCKED, self._step * OWN_PACE)  # the last has come at the pace of those before
        step = waited if own else self._step
        self._waited = max(0, pictures - 1) * step if own else 0.0
        self._begun = time.monotonic() - max(0, pictures - 1) * step
        count = 0
        for packet in early:
            self._burst.append((packet, count * step))
            count += packet.stream_index == self._index and packet.size > 0


def without_clock(container: Any) -> bool:
    """Whether the timestamps of the picture are missing or made up by the reader of the format."""
    return bool(container.format.flags & MADE_UP) or container.format.name.endswith("_pipe")


def limit_of(container: Any) -> float | None:
    """Timestamps beyond this second are wrong; None where nothing is known."""
    seconds = (container.duration or 0) / 1e6
    return None if seconds <= 0 or container.format.flags & DISCONTINUOUS else max(2 * seconds, seconds + 60.0)


def _seconds(packet: Any, ticks: int) -> float:
    return float(ticks * packet.time_base)


def _stamp(packet: Any) -> float | None:
    """When a picture is shown, or when sound is stored. (Containers without times of storage have them guessed, and
    guesses fall back where pictures are shown at an uneven rate.)"""
    both = (packet.pts, packet.dts) if packet.stream.type == "video" else (packet.dts, packet.pts)
    ticks = both[0] if both[0] is not None else both[1]
    return None if ticks is None or packet.time_base is None else _seconds(packet, ticks)
