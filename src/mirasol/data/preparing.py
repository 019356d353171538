"""Any data that Mirasol can learn from, made into shards: each content once, what cannot be used left out and named.

    survey     every item is hashed (and its length asked for), some hundred at a time; the results stay on disk
    plan       the same content becomes one example, long ones pieces; which examples lie in which shard
    make       one shard after the other, each whole or not at all

The plan depends on the survey alone and a shard on the plan alone: the result is the same bytes however many processes
work at it and however often they are stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import av.error

from mirasol.media.clip import MediaError
from mirasol.media.naming import quoted
from mirasol.media.pictures import fit_size
from mirasol.media.reader import DEFAULT_RATE, Media

from .annotations.rows import NO_MEDIA
from .decoding import opened, words
from .encoding import Recoding, check, recode
from .endings import MEDIA, SOUNDS
from .items import Bad, Item, Items, Member, Place
from .opening import open_items
from .shards import base_and_ending
from .texts import Pairs
from .working import run_tasks
from .writing import UNFINISHED, ShardWriter, digest_of, reading, write_whole

SURVEYED = 256  # items in one task of the survey
MAKING = ".going-on"  # folder of what is kept until all is done
FAULTS = (MediaError, ValueError, OSError, av.error.FFmpegError)  # of an item, not of this program
Tick = Callable[[str, int, int], None]  # what is done, how many items of it, of how many


@dataclass(frozen=True)
class How:
    """How shards are made.

    recoding     how media are encoded anew; None keeps their bytes, but for parts of a file: a span, or a piece
    seconds      items that have captions alone are cut into pieces of about so many seconds; None leaves them whole
    shard_bytes  about how large a shard becomes
    prompt       the question that goes with texts which stand alone
    media        the folder in which the media that a table names are looked for
    """

    recoding: Recoding | None = None
    seconds: float | None = None
    shard_bytes: int = 256 << 20
    prompt: str | None = None
    media: str | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """One example to be: the items with this content, the seconds of it (None: all), about how many bytes."""

    items: tuple[int, ...]
    start: float | None
    end: float | None
    size: int
    again: bool = False  # a later piece of the same items


@dataclass
class Work:
    """What the tasks are done on."""

    items: Items
    how: How
    out: Path
    shards: list[list[Unit]] = field(default_factory=list)

    def survey(self, task: int) -> None:
        """Looks at the items of one block; writes a line for each."""
        numbers = range(task * SURVEYED, min(len(self.items), (task + 1) * SURVEYED))
        rows = [self.look(number) for number in numbers]
        write_whole(self.surveyed(task), "".join(json.dumps(row) + "\n" for row in rows))

    def surveyed(self, task: int) -> Path:
        return self.out / MAKING / f"survey-{task:07d}.jsonl"

    def look(self, number: int) -> dict[str, Any]:
        """What the plan needs to know of an item, or why it cannot be used."""
        key, place = f"item {number}", ""
        try:
            item = self.items[number]
            key, place = item.key, words(item.media)
            if item.fault:
                raise ValueError(item.fault)
            if missing := [one for one in (item.media, item.sound) if isinstance(one, str) and not os.path.isfile(one)]:
                return {"bad": asdict(Bad(key, place, f"no file {quoted(missing[0])}")), "no media": True}
            if not item.pairs:
                raise ValueError("it has no text")
            if not all(target.strip() for _, target in item.pairs):
                raise ValueError("it has an empty text")
            return survey_of(item, self.how)
        except FAULTS as error:
            return {"bad": asdict(Bad(key, place, " ".join(str(error).split())))}

    def make(self, task: int) -> None:
        """One shard, and what there is to say of it."""
        told = {"examples": 0, "bytes": 0, "seconds": 0.0, "recoded": 0, "duplicates": 0, "merged": 0}
        bad: list[dict[str, str]] = []
        noted: list[dict[str, Any]] = []
        writer = ShardWriter(self.out / f"data-{task:06d}.tar")
        for unit in self.shards[task]:
            item = replace(self.items[unit.items[0]], start=unit.start, end=unit.end)
            try:
                media, seconds, recoded, notes = media_of(item, self.how)
            except FAULTS as error:
                reason = " ".join(str(error).split())
                keys = [self.items[number] for number in unit.items]
                bad += [asdict(Bad(one.key, words(one.media), reason)) for one in keys]
                continue
            if notes:
                noted.append({"place": words(item.media), "notes": notes})
            pairs, merged = self.texts(unit)
            more = {} if unit.start is None and unit.end is None else {"seconds": [unit.start or 0.0, unit.end]}
            writer.add(media, pairs, source=item.key, **more)
            told["examples"] += 1
            told["seconds"] += seconds
            told["recoded"] += recoded
            if not unit.again:
                told["merged"] += merged
                told["duplicates"] += len(unit.items) - 1 - merged
        told["bytes"] = writer.close()
        write_whole(self.made(task), json.dumps({**told, "bad": bad, "noted": noted}) + "\n")

    def made(self, task: int) -> Path:
        return self.out / MAKING / f"made-{task:07d}.json"

    def texts(self, unit: Unit) -> tuple[Pairs, int]:
        """The different pairs of all items of one content, and how many of the later items brought one."""
        pairs = dict.fromkeys(self.items[unit.items[0]].pairs)
        merged = 0
        for number in unit.items[1:]:
            before = len(pairs)
            pairs |= dict.fromkeys(self.items[number].pairs)
            merged += len(pairs) > before
        return tuple(pairs), merged


def survey_of(item: Item, how: How) -> dict[str, Any]:
    """What the plan needs: content (names what the item shows and plays), start, end, size (bytes that it will take),
    captions (whether it has nothing else), length (seconds, where they matter and are stated)."""
    found: dict[str, Any] = {
        "start": item.start,
        "end": item.end,
        "captions": all(ask is None for ask, _ in item.pairs),
    }
    if item.media is None:
        content = json.dumps(sorted(item.pairs, key=str))
        return {
            **found,
            "no media": True,
            "content": hashlib.sha256(content.encode()).hexdigest(),
            "size": len(content),
        }
    parts = [digest_of(item.media), digest_of(item.sound) if item.sound is not None else "", item.start, item.end]
    found["content"] = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    found["size"] = sum(size_of(place) for place in (item.media, item.sound) if place is not None)
    if how.recoding is None and how.seconds is None and item.start is None and item.end is None:
        return found
    with opened(item.media, "NONE") as media:
        end = item.end if media.duration is None else min(item.end or media.duration, media.duration)
        if end is not None and not media.is_still:
            found["length"] = max(0.0, end - (item.start or 0.0))
            share = found["length"] / (media.duration or found["length"] or 1.0)
            found["size"] = min(round(share * found["size"]), encoded_size(media, how, found["length"]))
    return found


def encoded_size(media: Media, how: How, seconds: float) -> int:
    """About how many bytes the media take, encoded anew."""
    recoding = how.recoding or Recoding()
    height, width = fit_size(media.size, recoding.size) if media.size is not None else (0, 0)
    bits = 0.1 * height * width * (recoding.fps or media.frame_rate or DEFAULT_RATE) + 64_000 * media.has_sound
    return round(seconds * bits / 8)


def size_of(place: Place) -> int:
    with reading(place) as (_, size):
        return size


def media_of(item: Item, how: How) -> tuple[list[tuple[str, Place | bytes]], float, bool, list[str]]:
    """(ending and contents of each file, seconds, whether it was encoded anew, what the reader noted); stills stay as
    they are. `MediaError` for what training would skip."""
    if item.media is None:
        return [], 0.0, False, []
    with opened(item.media, "NONE") as media:
        still, ending = media.is_still, ending_of(item.media, media)
    part = item.start is not None or item.end is not None
    if (how.recoding is not None or part) and not still:
        film, seconds, notes = recode(item, how.recoding or Recoding())
        return [("mp4", film)], seconds, True, notes
    if part:
        raise MediaError("it is a part of a picture without a time axis")
    files: list[tuple[str, Place | bytes]] = [(ending, item.media)]
    if item.sound is not None:
        with opened(item.sound, "NONE") as media:
            files.append((ending_of(item.sound, media, SOUNDS), item.sound))
    seconds, notes = check(item)
    return files, seconds, False, notes


def ending_of(place: Place, media: Media, known: frozenset[str] = MEDIA) -> str:
    """The ending under which `ShardItems` finds a file: its own, else one that fits."""
    own = base_and_ending(place.name if isinstance(place, Member) else place)[1].rpartition(".")[2]
    if own in known:
        return own
    if not media.has_picture or known is SOUNDS:
        return "m4a" if "mp4" in media.format else "wav"
    return "png" if media.is_still else "mp4"


def planned(rows: Iterator[dict[str, Any]], how: How) -> tuple[list[list[Unit]], list[dict[str, str]], int]:
    """(the examples of each shard, the items that cannot be used, how many have no media that are there)."""
    contents: dict[bytes, tuple[list[int], dict[str, Any]]] = {}
    bad, without = [], 0
    for number, row in enumerate(rows):
        without += row.get("no media", False)
        if "bad" in row:
            bad.append(row["bad"])
            continue
        numbers, first = contents.setdefault(bytes.fromhex(row.pop("content")), ([], row))
        numbers.append(number)
        first["captions"] &= row["captions"]
    shards: list[list[Unit]] = []
    filled = 0
    for numbers, row in contents.values():
        for unit in units_of(tuple(numbers), row, how.seconds):
            if not shards or filled + unit.size > how.shard_bytes:
                shards.append([])
                filled = 0
            shards[-1].append(unit)
            filled += unit.size
    return shards, bad, without


def units_of(numbers: tuple[int, ...], row: dict[str, Any], seconds: float | None) -> Iterator[Unit]:
    """The example of one content, or its pieces: a rest shorter than half a piece goes to the last one."""
    start, end, length = row["start"], row["end"], row.get("length")
    count = 1 if seconds is None or length is None or not row["captions"] else max(1, round(length / seconds))
    for piece in range(count):
        begins = start if count == 1 else (start or 0.0) + piece * (seconds or 0.0)
        ends = end if piece == count - 1 else (start or 0.0) + (piece + 1) * (seconds or 0.0)
        yield Unit(numbers, begins, ends, row["size"] // count, again=piece > 0)


def prepare(
    source: str | Path, out: Path, how: How, *, workers: int = 1, ray: str | None = None,
    tick: Tick = lambda what, done, total: None,
) -> dict[str, Any]:  # fmt: skip
    """Makes the shards of `source` (see `open_items`) in the folder `out`, or goes on making them; gives the report
    that then lies there (report.json). `ValueError` where `out` holds something else."""
    told = {"source": str(source), **json.loads(json.dumps(asdict(how)))}
    if (finished := begun(out, told)) is not None:
        return finished
    if Path(source).is_dir() and Path(source).resolve() in (out.resolve(), *out.resolve().parents):
        raise ValueError(f"expected a folder outside {source} for the shards, found {out}: they would be its data, too")
    work = Work(open_items(source, how.prompt, how.media), how, out)
    (out / MAKING).mkdir(parents=True, exist_ok=True)
    write_whole(out / MAKING / "settings.json", json.dumps(told))

    def run(name: str, what: str, sizes: Sequence[int], result: Callable[[int], Path]) -> None:
        left = [task for task in range(len(sizes)) if not result(task).is_file()]
        total = sum(sizes)
        done = total - sum(sizes[task] for task in left)
        tick(what, done, total)
        if left:
            with closing(run_tasks(work, name, left, workers=workers, ray=ray)) as finished:  # ends its processes
                for task in finished:
                    done += sizes[task]
                    tick(what, done, total)

    blocks = [min(SURVEYED, len(work.items) - first) for first in range(0, len(work.items), SURVEYED)]
    run("survey", "looking", blocks, work.surveyed)
    rows = (json.loads(line) for task in range(len(blocks)) for line in work.surveyed(task).open(encoding="utf-8"))
    work.shards, bad, without = planned(rows, how)
    broken = list(getattr(work.items, "broken", ()))
    run("make", "writing", [len(units) for units in work.shards], work.made)
    made = [json.loads(work.made(task).read_text(encoding="utf-8")) for task in range(len(work.shards))]
    report = {
        **reported(made, [*map(asdict, broken), *bad]), "items": len(work.items) + len(broken),
        "without_media": without + sum(NO_MEDIA in one.reason for one in broken), "made": told,
    }  # fmt: skip
    write_whole(out / "report.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    clear(out)
    return report


def clear(out: Path) -> None:
    """Removes what was kept for going on, and what a killed call left unfinished."""
    for path in out.glob(f".*{UNFINISHED}"):
        if path.is_file():
            path.unlink()
    shutil.rmtree(out / MAKING, ignore_errors=True)


def begun(out: Path, told: dict[str, Any]) -> dict[str, Any] | None:
    """The report where all is done; None where the work can begin or go on. `ValueError` where `out` holds something
    else."""
    report, settings = out / "report.json", out / MAKING / "settings.json"
    if report.is_file():
        before = json.loads(report.read_text(encoding="utf-8"))
        if before.get("made") == told:
            clear(out)
            return before
    elif settings.is_file():
        if json.loads(settings.read_text(encoding="utf-8")) == told:
            return None
    elif not out.exists() or (out.is_dir() and not [name for name in os.listdir(out) if name != MAKING]):
        return None
    raise ValueError(f"{out} holds something else, or shards made in another way: name a new folder, or remove it")


def reported(made: list[dict[str, Any]], bad: list[dict[str, str]]) -> dict[str, Any]:
    """Sums over all shards, every item that is skipped, and every file that is used with a note."""
    bad = bad + [one for shard in made for one in shard["bad"]]
    unique = list({json.dumps(one): one for one in bad}.values())  # once, if each of its pieces was bad
    sums = {
        name: sum(shard[name] for shard in made) for name in ("examples", "bytes", "duplicates", "merged", "recoded")
    }
    seconds = round(sum(shard["seconds"] for shard in made), 3)
    noted = list({json.dumps(one): one for shard in made for one in shard.get("noted", ())}.values())
    return {
        **sums, "shards": len(made), "seconds": seconds, "left_out": len(unique), "bad": unique, "noted": noted,
    }  # fmt: skip
