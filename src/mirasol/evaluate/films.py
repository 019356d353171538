"""Several films watched side by side, each decoded once; their snippets are encoded as one batch.

A film can be shown in several ways at once (`ROWS`), each with a session of its own. Memory holds a few seconds of each
film and their states. A film that breaks gives its error instead of what was watched; the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from typing import Any

from mirasol.inference.answer import Loaded, Watched
from mirasol.inference.session import MOST, Session, step_together
from mirasol.media.clip import Clip
from mirasol.media.reader import Media, open_media
from mirasol.model.snippets import instants

ROWS = ("both", "picture", "sound", "swapped")


@dataclass(frozen=True)
class Film:
    """What to watch: a file or a span of it, a file of its own for the sound, the film whose sound is swapped in."""

    key: str
    media: Any  # a path, or whatever `open_media` takes
    sound: Any = None
    start: float | None = None
    end: float | None = None
    other: Film | None = None


@dataclass
class Seen:
    """One film after it was watched: a `Watched` for each row; or `error`, why it cannot be."""

    film: Film
    rows: dict[str, Watched] = field(default_factory=dict)
    error: str | None = None
    warnings: tuple[str, ...] = ()
    silent: bool = False  # it has no sound track
    seconds: float = 0.0  # of the film
    taken: float = 0.0  # seconds of this machine's time, for this film's share of the batch


class _Player:
    """One film on its way: the clips that come of it, and a session for each row."""

    def __init__(self, film: Film, rows: Sequence[str], loaded: Loaded, stack: ExitStack) -> None:
        self.seen, self._loaded = Seen(film), loaded
        self._media = stack.enter_context(open_media(film.media))
        self._clips = self._pieces(self._media, film)
        self._tracks: dict[str, Iterator[Clip | None]] = {}
        if film.sound is not None:
            self._tracks["own"] = self._sound(film, stack, film.sound)
        self.seen.silent = film.sound is None and not self._media.has_sound
        if "swapped" in rows and film.other is not None:
            self._tracks["swapped"] = self._sound(film.other, stack, film.other.sound or film.other.media)
        self.sessions = {row: self._session(row, film) for row in rows}
        self.open, self._last = True, film.start or 0.0

    def _session(self, row: str, film: Film) -> Session:
        """What is not there is not waited for; a film of which a row shows nothing at all is watched as blank."""
        sound = row != "picture" and (row != "swapped" or film.other is not None)
        sound = sound and (row == "swapped" or not self.seen.silent)
        picture = (row != "sound" and self._media.has_picture) or not sound
        return Session(self._loaded, start=film.start or 0.0, picture=picture, sound=sound)

    def _pieces(self, media: Media, film: Film, picture: bool = True) -> Iterator[Clip]:
        sizes, origin = self._loaded.model.sizes, film.start or 0.0
        return media.pieces(
            film.start, film.end, instants=lambda a, b: instants(sizes, a, b, origin), fit=(sizes.height, sizes.width),
            sample_rate=sizes.sample_rate, piece_seconds=MOST * sizes.snippet_seconds, picture=picture,
        )  # fmt: skip

    def _sound(self, film: Film, stack: ExitStack, path: str) -> Iterator[Clip | None]:
        """The sound of a file in pieces as long as the film's, then nothing for ever."""
        media = stack.enter_context(open_media(path))
        pieces = self._pieces(media, film, picture=False) if media.has_sound else iter(())
        return chain(pieces, repeat(None))

    def push(self) -> None:
        """The next piece to every session; at the end of the film, `open` becomes false."""
        clip = next(self._clips, None)
        if clip is None:
            self.open = False
            for session in self.sessions.values():
                session.flush(self._last)
            return
        tracks = {name: next(track) for name, track in self._tracks.items()}
        if "own" in tracks:
            clip = with_sound(clip, tracks["own"])
        for row, session in self.sessions.items():
            shown = with_sound(clip, tracks.get("swapped")) if row == "swapped" else clip
            session.push_clip(replace(shown, frames=None) if row == "sound" else shown)
        self._last = clip.end

    def finish(self) -> None:
        self.seen.rows = {row: session.snapshot() for row, session in self.sessions.items()}
        self.seen.warnings = tuple(self._media.warnings)
        self.seen.seconds = self._last - (self.seen.film.start or 0.0)


def with_sound(clip: Clip, track: Clip | None) -> Clip:
    """A clip with the sound of another, which begins where this one begins; what is longer is cut off."""
    if track is None or track.waveform is None:
        return replace(clip, waveform=None)
    start = clip.start + track.waveform_start - track.start
    most = max(0, round((clip.end - start) * track.sample_rate))
    return replace(clip, waveform=track.waveform[:most], sample_rate=track.sample_rate, waveform_start=start)


def watch_together(films: Sequence[Film], loaded: Loaded, rows: Sequence[str] = ("both",)) -> list[Seen]:
    """Watches films side by side; gives what was seen of each, in their order."""
    began = time.perf_counter()
    found: list[Seen] = []
    players: list[_Player] = []
    with ExitStack() as stack:
        for film in films:
            player = _guarded(Seen(film), lambda film=film: _Player(film, rows, loaded, stack))
            found.append(player if isinstance(player, Seen) else player.seen)
            if isinstance(player, _Player):
                players.append(player)
        while playing := [player for player in players if player.open and player.seen.error is None]:
            for player in playing:
                _guarded(player.seen, player.push)
            while step_together([s for p in playing if p.seen.error is None for s in p.sessions.values()]):
                pass
        for player in players:
            if player.seen.error is None:
                player.finish()
    share = (time.perf_counter() - began) / len(films)
    for seen in found:
        seen.taken = share
    return found


def _guarded(seen: Seen, action: Any) -> Any:
    """What the action gives; a film that cannot be read or makes no sense becomes the error of `seen`."""
    try:
        return action()
    except (ValueError, OSError) as error:
        seen.error = " ".join(str(error).split())
        return seen
