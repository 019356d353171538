"""An item decoded: its media read by the clock of the model, its texts as ids. What cannot be used says why."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import SEEK_CUR, SEEK_END, SEEK_SET, RawIOBase
from pathlib import Path
from typing import Any

import torch

from mirasol.media.clip import Clip, MediaError
from mirasol.media.naming import quoted
from mirasol.media.reader import Media, join, open_media
from mirasol.model.inputs import Complete
from mirasol.model.signals import SILENCE
from mirasol.model.sizes import Sizes
from mirasol.model.snippets import instants
from mirasol.model.text import Text

from .examples import Example, clip_inputs
from .items import Bad, Item, Member, Place

WHOLE = 0.9  # share of the stated span that must be there; less is a truncated file, or one that lies about its length
AT_ONCE = 64 << 20  # bytes: a file in a shard is read whole up to this size, in place beyond
SLACK = 1.0  # ... or this many seconds less


def one_line(error: Exception) -> str:
    """Why, in words; the kind of an error that nobody expected stands before it."""
    expected = isinstance(error, MediaError | ValueError | OSError)
    return ("" if expected else f"{type(error).__name__}: ") + " ".join(str(error).split())


class Slice(RawIOBase):
    """A file inside another one, read where it lies."""

    def __init__(self, member: Member) -> None:
        self._file = open(member.archive, "rb")  # noqa: SIM115 (closed by close)
        self._start, self._size, self._at = member.offset, member.size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        base = {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._size - self._at))
        self._file.seek(self._start + self._at)
        data = self._file.read(count)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def read_bytes(member: Member) -> bytes:
    """A whole file inside a shard; `MediaError` where the shard ends before it."""
    with open(member.archive, "rb") as file:
        there = max(0, file.seek(0, SEEK_END) - member.offset)
        if there < member.size:
            raise MediaError(
                f"{member.archive} ends inside {quoted(member.name)}: {there} of {member.size} bytes are there"
            )
        file.seek(member.offset)
        data = file.read(member.size)
    return data


@contextmanager
def opened(place: Place, threads: str | None = None) -> Iterator[Media]:
    """A path or a file in a shard as opened media; `threads` as for `open_media`."""
    with ExitStack() as stack:
        source: Any = place
        if isinstance(place, Member):
            source = read_bytes(place) if place.size <= AT_ONCE else stack.enter_context(Slice(place))
        elif not Path(place).is_file():
            raise MediaError(f"no file {quoted(place)}")
        yield stack.enter_context(open_media(source, threads))


def words(place: Place | None) -> str:
    """A place as people read it."""
    return f"{place.archive}:{place.name}" if isinstance(place, Member) else str(place or "")


def read_item(item: Item, sizes: Sizes, longest: float, seed: int) -> tuple[Clip, tuple[str, ...]]:
    """(the item's span as one clip, frames by the clock of `sizes`; what the reader noted of it). Of a span longer than
    `longest` seconds a part of that length, whose place `seed` decides. `MediaError` for anything that cannot be used.
    """
    assert item.media is not None
    with opened(item.media) as media:
        start, end = choose_span(item, media, longest, seed)
        clip = read_span(media, sizes, start, end, picture=True, sound=item.sound is None)
        known = end if end is not None else media.duration
        notes = media.warnings
    if item.sound is not None:
        with opened(item.sound) as media:
            if not media.has_sound:
                raise MediaError(f"no sound in {quoted(words(item.sound))}")
            heard = read_span(media, sizes, start, end, picture=False, sound=True)
            notes += media.warnings
        clip = replace(clip, waveform=heard.waveform, waveform_start=heard.waveform_start, end=max(clip.end, heard.end))
    nothing = (clip.frames is None or not len(clip.frames)) and (clip.waveform is None or not len(clip.waveform))
    judge(nothing, clip.duration, None if known is None else known - start)
    return clip, tuple(dict.fromkeys(notes))


def judge(nothing: bool, seconds: float, stated: float | None) -> None:
    """`MediaError` where there was nothing to decode, or `seconds` of media where `stated` ones were promised."""
    if nothing:
        raise MediaError("it is empty: no frame and no sound in it")
    if stated is not None and seconds < min(WHOLE * stated, stated - SLACK):
        raise MediaError(f"it ends after {seconds:.2f} s of the {stated:.2f} s that are stated")


def choose_span(item: Item, media: Media, longest: float, seed: int) -> tuple[float, float | None]:
    """(start, end) to read; an end of None: to the end of a file that is at most `longest` seconds long."""
    start = item.start or 0.0
    end = item.end if item.end is not None else media.duration
    if media.duration is not None and start >= media.duration:
        raise MediaError(f"it is asked for from {start:g} s on, but ends at {media.duration:.2f} s")
    if end is None:
        return start, start + longest
    if end - start > longest:
        late = random.Random(f"span {seed}").random() * (end - start - longest)
        start += late
        return start, start + longest
    return start, item.end


def read_span(media: Media, sizes: Sizes, start: float, end: float | None, *, picture: bool, sound: bool) -> Clip:
    return join(
        media.pieces(
            start, end, instants=lambda a, b: instants(sizes, a, b, start), fit=(sizes.height, sizes.width),
            sample_rate=sizes.sample_rate, piece_seconds=8.0, picture=picture and media.has_picture, sound=sound,
        )
    )  # fmt: skip


def no_media(sizes: Sizes) -> Complete:
    """One snippet of nothing: what goes with a text alone."""
    return Complete(
        torch.full((1, 1, sizes.frames, 3, sizes.height, sizes.width), 128, dtype=torch.uint8),
        torch.zeros(1, 1, sizes.frames, dtype=torch.bool),
        torch.full((1, 1, sizes.mels, sizes.columns), SILENCE),
        torch.zeros(1, 1, sizes.columns, dtype=torch.bool),
        torch.ones(1, 1, dtype=torch.bool),
    )


def choose_pairs(item: Item, text: Text, sizes: Sizes, most: int, seed: int) -> tuple[tuple[str | None, str], ...]:
    """At most so many of the item's pairs; `ValueError` where there is none or one is too long for the model."""
    if item.fault:
        raise ValueError(item.fault)
    if not item.pairs:
        raise ValueError("it has no text")
    pairs = item.pairs
    if len(pairs) > most:
        pairs = tuple(random.Random(f"pairs {seed}").sample(pairs, most))
    for prompt, target in pairs:
        if not target.strip():
            raise ValueError("it has an empty text")
        length = len(text.prompt(prompt)) + len(text.target(target))
        if length > sizes.text_positions:
            raise ValueError(f"it has a text of {length} tokens, this model takes {sizes.text_positions}")
    return pairs


def decode(item: Item, sizes: Sizes, text: Text, *, longest: float, questions: int = 8, seed: int = 0) -> Example | Bad:
    """The item as an example, or why it cannot be one."""
    try:
        pairs = choose_pairs(item, text, sizes, questions, seed)
        if item.media is None:
            return Example(no_media(sizes), pairs, seed, item.key)
        clip, notes = read_item(item, sizes, longest, seed)
        return Example(clip_inputs(clip, sizes), pairs, seed, words(item.media), notes)
    except Exception as error:  # whatever a decoder or a text may raise: one item never ends a run
        return Bad(item.key, words(item.media), one_line(error))
