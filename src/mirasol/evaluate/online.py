"""Questions put while a film runs: the model is fed the film up to the second of each question and no further.

One `Session` a film and row goes through the film once; a question sees what was encoded by then, that is, whole
snippets. Beside the answers: the delay from a question to its answer, and the bytes of the state, which do not grow.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from mirasol.data.annotations import Row
from mirasol.inference.answer import Loaded
from mirasol.inference.session import Session
from mirasol.media.reader import Media, open_media
from mirasol.model.snippets import instants

from .answering import answer, too_long
from .films import Film
from .ledger import Outcome
from .tasks import Record


def watch_online(film: Film, rows: Sequence[Row], shown: Sequence[str], loaded: Loaded, rule: str) -> Outcome:
    """Asks all questions of one film at their seconds."""
    records: list[Record] = []
    taken, seconds, silent = 0.0, 0.0, False
    bad = [
        {"key": row.key, "media": film.media, "kind": "too long", "why": why}
        for row in rows
        if (why := too_long(row, row.options, loaded)) is not None
    ]
    left_out = {one["key"] for one in bad}
    asked = sorted((row for row in rows if row.key not in left_out), key=lambda row: row.at or 0.0)
    try:
        for row in shown:
            began = time.perf_counter()
            with open_media(film.media) as media:
                silent = not media.has_sound
                found, seconds = _one_row(media, asked, row, loaded, rule)
            records += found
            taken += time.perf_counter() - began
    except (ValueError, OSError) as error:
        why = " ".join(str(error).split())
        return Outcome(unused=[{"key": row.key, "media": film.media, "kind": "damaged", "why": why} for row in rows])
    delay = sum(one.more["delay"] for one in records)
    timing = {
        "key": film.key, "seconds": round(seconds, 3), "taken": round(taken, 4), "questions": len(records),
        "answering": round(delay, 4), "silent": silent, "warnings": [],
    }  # fmt: skip
    return Outcome(records, bad, [timing])


def _one_row(media: Media, asked: Sequence[Row], shown: str, loaded: Loaded, rule: str) -> tuple[list[Record], float]:
    """The film in pieces that end where a question is put. A question beyond the end is put at the end."""
    sizes, records = loaded.model.sizes, []
    sound = media.has_sound and shown != "picture"
    session = Session(loaded, start=0.0, picture=(media.has_picture and shown != "sound") or not sound, sound=sound)
    last, waiting = 0.0, list(asked)
    pieces = media.pieces(
        0.0, None, instants=lambda a, b: instants(sizes, a, b, 0.0), fit=(sizes.height, sizes.width),
        sample_rate=sizes.sample_rate, piece_seconds=sizes.snippet_seconds,
    )  # fmt: skip
    for clip in pieces:
        while waiting and (waiting[0].at or 0.0) < clip.end:
            records.append(_ask(session, waiting.pop(0), shown, loaded, rule))
        if not waiting:
            break
        session.push_clip(replace(clip, frames=None) if shown == "sound" else clip)
        session.catch_up()
        last = clip.end
    if waiting:
        session.flush(last)
    records += [_ask(session, row, shown, loaded, rule) for row in waiting]
    return records, last


def _ask(session: Session, row: Row, shown: str, loaded: Loaded, rule: str) -> Record:
    began = time.perf_counter()
    (record,) = answer([session.snapshot()], [(0, row, row.options)], shown, loaded, rule)
    more = {"at": row.at, "fed_until": round(session.seconds, 3), "state_bytes": session.state.bytes(),
            "delay": round(time.perf_counter() - began, 5)}  # fmt: skip
    return replace(record, more={**record.more, **more})
