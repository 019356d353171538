"""Damage: one file's bytes in, other bytes out. Plain damage to any file, and damage that knows the format: JSON, CSV,
safetensors, tar, PNG, GIF and Ogg stay well-formed around what was changed, so that it is not a checksum that refuses
them.
"""

from __future__ import annotations

import json
import math
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np

Chance = random.Random
NUMBERS = (
    0, 1, -1, 2, 7, 127, 128, 255, 256, 4_096, 32_767, 32_768, 65_535, 65_536, 10**6, 10**9, 2**31 - 1, -(2**31), 2**31,
    2**32 - 1, 2**53 + 1, 2**63 - 1, -(2**63), 2**70, 10**12, 0.5, -0.5, 1e-300, 1e30, 1e308, math.inf, -math.inf,
    math.nan,
)  # fmt: skip
WORDS = (
    "", " ", "\x00", "a", "0:05", "-1", "1e400", "nan", "inf", "../../../etc/passwd", "/dev/zero", "/", ".", "~",
    "%s%n", "\ud83d\ude00", "\u202e", "\ufeff", "\ud800", "\u0645\u0631\u062d",
    "[1, 2", "['a']", "{}", "1" * 5_000,
    "word " * 300, "<video>", "<image>" * 40, "true", "None", "concat:/etc/passwd", "http://127.0.0.1:9/a.mp4",
)  # fmt: skip


def place(chance: Chance, size: int) -> int:
    """Anywhere, but more often near the beginning and near the end, where headers and indexes lie."""
    if size <= 1:
        return 0
    reach = chance.choice((64, 1_024, 8_192, size, size))
    at = chance.randrange(min(reach, size))
    return size - 1 - at if chance.random() < 0.3 else at


# -- any file ----------------------------------------------------------------------------------------------------------


def flip(chance: Chance, data: bytes, other: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        if made:
            made[place(chance, len(made))] ^= 1 << chance.randrange(8)
    return bytes(made)


def cut_off(chance: Chance, data: bytes, other: bytes) -> bytes:
    return data[: place(chance, len(data))]


def cut_front(chance: Chance, data: bytes, other: bytes) -> bytes:
    return data[place(chance, len(data)) :]


def cut_out(chance: Chance, data: bytes, other: bytes) -> bytes:
    at = place(chance, len(data))
    return data[:at] + data[at + chance.choice((1, 4, 100, 5_000)) :]


def copy_in(chance: Chance, data: bytes, other: bytes) -> bytes:
    """A block again somewhere else: over what is there, or between."""
    size = chance.choice((1, 8, 188, 1_000, 20_000))
    begin, at = place(chance, len(data)), place(chance, len(data))
    return data[:at] + data[begin : begin + size] + data[at + chance.choice((0, size)) :]


def blank(chance: Chance, data: bytes, other: bytes) -> bytes:
    at, size = place(chance, len(data)), chance.choice((1, 16, 512, 8_000))
    size = min(size, len(data) - at)
    return data[:at] + bytes([chance.choice((0, 255, 32))]) * size + data[at + size :]


def noise(chance: Chance, data: bytes, other: bytes) -> bytes:
    at = place(chance, len(data))
    size = min(chance.choice((4, 60, 1_500)), len(data) - at)
    return data[:at] + chance.randbytes(size) + data[at + size :]


def extreme(chance: Chance, data: bytes, other: bytes) -> bytes:
    """Whole numbers of 1 to 8 bytes, at their limits, in either order of bytes."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 6))):
        size = chance.choice((1, 2, 4, 4, 8))
        at = place(chance, len(made)) // size * size
        value = chance.choice(
            (0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), 2 ** (8 * size - 1) - 1, 2 ** (4 * size))
        )
        made[at : at + size] = value.to_bytes(size, chance.choice(("big", "little")))[: max(0, len(made) - at)]
    return bytes(made)


def splice(chance: Chance, data: bytes, other: bytes) -> bytes:
    """The beginning of this file, then the end of another one."""
    return data[: place(chance, len(data))] + other[place(chance, len(other)) :]


def join(chance: Chance, data: bytes, other: bytes) -> bytes:
    return data + chance.choice((data, other))


def digits(chance: Chance, data: bytes, other: bytes) -> bytes:
    """Another number wherever digits stand in the first part of a text."""
    found = [at for at, byte in enumerate(data[:20_000]) if 48 <= byte <= 57]
    made = bytearray(data)
    for at in chance.sample(found, min(len(found), chance.choice((1, 3, 20)))):
        made[at] = chance.choice(b"0123456789-.e")
    return bytes(made)


PLAIN = (flip, flip, cut_off, cut_off, cut_front, cut_out, copy_in, blank, noise, extreme, extreme, extreme, splice,
         join, digits)  # fmt: skip


# -- JSON and tables ---------------------------------------------------------------------------------------------------


def nasty(chance: Chance) -> object:
    kind = chance.randrange(8)
    if kind < 3:
        return chance.choice(NUMBERS)
    if kind < 5:
        return chance.choice(WORDS)
    if kind == 5:
        return chance.choice((None, True, False, [], {}, [[]], {"": None}, [None] * 30, "x" * 140_000))
    value: object = chance.choice((0, "a"))
    for _ in range(chance.choice((1, 3, 60, 500))):
        value = [value] if chance.random() < 0.5 else {"a": value}
    return value


def spots(value: object, found: list[tuple[object, object]], most: int = 5_000) -> None:
    """Every (container, key) of a value."""
    waiting = [value]
    while waiting and len(found) < most:
        inner = waiting.pop()
        keys = inner if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
        for key in keys:
            found.append((inner, key))
            waiting.append(inner[key])  # type: ignore[index]


def change_value(chance: Chance, value: object) -> object:
    for _ in range(chance.choice((1, 1, 2, 4))):
        found: list[tuple[object, object]] = []
        spots(value, found)
        if not found or chance.random() < 0.03:
            value = nasty(chance)
            continue
        holder, key = chance.choice(found)
        what = chance.randrange(8)
        if what < 4:
            holder[key] = nasty(chance)  # type: ignore[index]
        elif what == 4:
            del holder[key]  # type: ignore[attr-defined]
        elif what == 5 and isinstance(holder, list):
            holder.insert(chance.randrange(len(holder) + 1), chance.choice((holder[key], nasty(chance))))  # type: ignore[call-overload]
        elif what == 6 and isinstance(holder, dict):
            holder[chance.choice(("", "x", "0", "video", "start", "end", str(key).upper()))] = holder.pop(key)
        else:
            other, name = chance.choice(found)
            try:
                holder[key] = json.loads(json.dumps(other[name]))  # type: ignore[index]
            except (KeyError, IndexError, ValueError):
                continue
    return value


def deep(chance: Chance) -> bytes:
    """Nested deeper than any reader may follow it."""
    depth = chance.choice((900, 5_000, 200_000))
    return chance.choice((b"[" * depth, b'{"a":' * depth, b"[" * depth + b"]" * depth))


def dumped(chance: Chance, value: object) -> bytes:
    return json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def json_text(chance: Chance, data: bytes, other: bytes) -> bytes:
    """A value of a JSON file, or of some lines of JSON lines."""
    if chance.random() < 0.02:
        return deep(chance)
    try:
        return dumped(chance, change_value(chance, json.loads(data)))
    except (ValueError, RecursionError):
        pass
    lines = data.split(b"\n")
    for _ in range(chance.choice((1, 1, 3))):
        at = chance.randrange(len(lines))
        try:
            lines[at] = dumped(chance, change_value(chance, json.loads(lines[at])))
        except (ValueError, RecursionError):
            lines[at] = deep(chance) if chance.random() < 0.1 else lines[at] * 2
    return b"\n".join(lines)


def table_text(chance: Chance, data: bytes, other: bytes) -> bytes:
    """Fields of a CSV file, its rows, its header, its encoding."""
    comma = b"\t" if data.count(b"\t") > data.count(b",") else b","
    rows = [row.split(comma) for row in data.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")]
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(rows))
        row, what = rows[at], chance.randrange(9)
        if what < 4 and row:
            value = nasty(chance)
            row[chance.randrange(len(row))] = str(value).encode("utf-8", "replace")
        elif what == 4 and row:
            del row[chance.randrange(len(row))]
        elif what == 5:
            row.insert(chance.randrange(len(row) + 1), chance.choice((b"", b'"', b'"a', b"x" * 140_000, b"\x00")))
        elif what == 6:
            rows.insert(at, [list(row), [], [b""] * len(row)][chance.randrange(3)])
        elif what == 7 and len(rows) > 1:
            del rows[at]
        else:
            rows[at] = list(rows[chance.randrange(len(rows))])
        if not rows:
            rows = [[b""]]
    made = chance.choice((b"\n", b"\n", b"\r\n", b"\r")).join(comma.join(row) for row in rows)
    if chance.random() < 0.05:
        made = made.decode("utf-8", "replace").encode(chance.choice(("utf-16", "utf-8-sig", "utf-32")))
    return made


# -- containers --------------------------------------------------------------------------------------------------------


SAME_BYTES = {"float32": "int32", "int64": "float64", "uint8": "int8", "float64": "int64", "float16": "int16"}


def safetensors_file(chance: Chance, data: bytes, other: bytes) -> bytes:
    """A safetensors file that is whole but holds others: values, shapes, kinds of numbers, names, notes."""
    from safetensors import SafetensorError
    from safetensors.numpy import load, save

    try:
        tensors = dict(sorted(load(data).items()))
        length = int.from_bytes(data[:8], "little")
        notes = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    except (SafetensorError, ValueError, KeyError, AttributeError):
        return extreme(chance, data, other)
    for _ in range(chance.choice((1, 1, 2, 5))):
        if chance.random() < 0.1 or not tensors:
            notes = changed_notes(chance, notes)
            continue
        few = [name for name in tensors if tensors[name].size < 40]  # clocks and counts: few values that matter much
        name = chance.choice(few if few and chance.random() < 0.4 else list(tensors))
        value, what = tensors[name], chance.randrange(8)
        if what < 4:
            tensors[name] = other_values(chance, value)
        elif what == 4:
            axes = list(value.shape)
            chance.shuffle(axes)
            tensors[name] = value.reshape(chance.choice((axes, (-1,), (1, *value.shape), value.shape[::-1])))
        elif what == 5:
            kept = value[: chance.choice((0, 1, len(value) // 2))] if value.ndim else value
            tensors[name] = np.ascontiguousarray(chance.choice((kept, np.repeat(value.reshape(-1), 2))))
        elif what == 6:
            kind = chance.choice((SAME_BYTES.get(str(value.dtype), "float64"), "float16", "int64", "bool", "float64"))
            with np.errstate(all="ignore"):
                tensors[name] = value.astype(kind)
        else:
            del tensors[name]
            if chance.random() < 0.5:
                tensors[chance.choice((name + "x", "x", "numbers", name.upper()))] = value
    return in_order(save(tensors, {str(key): str(value) for key, value in notes.items()}))


def in_order(data: bytes) -> bytes:
    """The same safetensors file with its header in order: the library writes notes in another order each time."""
    length = int.from_bytes(data[:8], "little")
    head = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + data[8 + length :]


def other_values(chance: Chance, value: np.ndarray) -> np.ndarray:
    """Of the same shape and kind: not finite, huge, at the limits, or shuffled."""
    made = value.copy()
    flat = made.reshape(-1)
    if not flat.size:
        return made
    where = chance.choice((slice(None), chance.randrange(flat.size), chance.randrange(flat.size)))
    if np.issubdtype(made.dtype, np.floating):
        with np.errstate(all="ignore"):
            flat[where] = chance.choice((math.nan, math.inf, -math.inf, 1e38, -1e12, 1e300, -1.0, 0.0, 1e-40))
    elif made.dtype == bool:
        flat[where] = chance.random() < 0.5
    else:
        limits = np.iinfo(made.dtype)
        most = (limits.max, limits.min, 0, 1, -1, 2, 10**6, 10**12, 3 * 10**9)
        flat[where] = chance.choice([number for number in most if limits.min <= number <= limits.max])
    return made


def changed_notes(chance: Chance, notes: dict[str, str]) -> dict[str, str]:
    notes = dict(notes)
    name = chance.choice([*notes, "x"])
    if chance.random() < 0.3:
        notes.pop(name, None)
    else:
        try:
            value = json.dumps(change_value(chance, json.loads(notes.get(name, ""))))
        except (ValueError, RecursionError):
            value = str(nasty(chance))
        notes[name] = value.encode("utf-8", "replace").decode()
    return notes


def safetensors_head(chance: Chance, data: bytes, other: bytes) -> bytes:
    """The header of a safetensors file as text, with its length made to fit."""
    length = int.from_bytes(data[:8], "little")
    head = json_text(chance, data[8 : 8 + length], other)
    return len(head).to_bytes(8, "little") + head + data[8 + length :]


def tar_file(chance: Chance, data: bytes, other: bytes) -> bytes:
    """A header of a tar archive, with its checksum made to fit."""
    heads = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    if not heads:
        return flip(chance, data, other)
    made = bytearray(data)
    at = chance.choice(heads)
    fields = {  # offset and length in the header, and what may stand there
        (0, 100): (b"../../evil.mp4", b"/etc/passwd", b"a" * 99, b"\xff\xfe.mp4", b"", b"a.b.c.json",
                   b"000000-00000.cls"),
        (124, 12): (b"77777777777\0", b"00000000000\0", b"\x80" + b"\xff" * 11, b"-0000000001\0", b"8\0", b"\xff" * 12,
                    b"\x80" + bytes(3) + (2**63 - 1).to_bytes(8, "big")),
        (156, 1): (b"1", b"2", b"3", b"5", b"L", b"K", b"x", b"g", b"S", b"Z", b"\0"),
        (157, 100): (b"/etc/passwd", b"000000-00000.json", b""),
        (329, 16): (b"77777777\0",),
    }  # fmt: skip
    (offset, length), values = chance.choice(list(fields.items()))
    made[at + offset : at + offset + length] = chance.choice(values)[:length].ljust(length, b"\0")
    made[at + 148 : at + 156] = b" " * 8
    made[at + 148 : at + 156] = b"%06o\0 " % sum(made[at : at + 512])
    return bytes(made)


def png_file(chance: Chance, data: bytes, other: bytes) -> bytes:
    """A chunk of a PNG, with its checksum made to fit: sizes, depths, colours, animation."""
    at, chunks = 8, []
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append([data[at + 4 : at + 8], bytearray(data[at + 8 : at + 8 + length])])
        at += 12 + length
    if not chunks:
        return flip(chance, data, other)
    name, body = chance.choice(chunks[: chance.choice((1, len(chunks)))])
    if name == b"IHDR" and len(body) == 13 and chance.random() < 0.6:
        width, height = chance.choice((0, 1, 3, 14_000, 65_535, 2**31 - 1)), chance.choice((1, 9_000, 14_000, 2**30))
        body[:8] = struct.pack(">II", width, height)
    else:
        body[:] = chance.choice((flip, extreme, cut_off, noise))(chance, bytes(body), other)
    made = bytearray(data[:8])
    for name, body in chunks:
        made += len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
    return bytes(made)


def gif_file(chance: Chance, data: bytes, other: bytes) -> bytes:
    """The canvas of a GIF, how long its pictures stand, and where they lie."""
    made = bytearray(data)
    if chance.random() < 0.5:
        made[6:10] = struct.pack("<HH", chance.choice((0, 1, 9_000, 65_535)), chance.choice((1, 10_000, 65_535)))
    controls = [at for at in range(len(made) - 8) if made[at : at + 3] == b"\x21\xf9\x04"]
    for at in controls if chance.random() < 0.5 else controls[:1]:
        made[at + 3] = chance.choice((made[at + 3], 0, 1, 9, 13, 255))
        made[at + 4 : at + 6] = struct.pack("<H", chance.choice((0, 1, 100, 65_535)))
    return bytes(made)


def ogg_file(chance: Chance, data: bytes, other: bytes) -> bytes:
    """A page of an Ogg file, with its checksum made to fit: its place in time, its number, its contents."""
    pages = data.split(b"OggS")[1:]
    if not pages:
        return flip(chance, data, other)
    at = chance.randrange(len(pages))
    page = bytearray(b"OggS" + pages[at])
    what = chance.randrange(4)
    if what == 0 and len(page) > 27:
        page[6:14] = chance.choice((-1, 0, 10**12, 2**62, -(2**63))).to_bytes(8, "little", signed=True)
    elif what == 1 and len(page) > 27:
        page[5] = chance.randrange(8)
    elif len(page) > 60:
        page[28:] = chance.choice((flip, extreme, noise))(chance, bytes(page[28:]), other)
    if len(page) > 27:
        page[22:26] = bytes(4)
        page[22:26] = ogg_sum(bytes(page)).to_bytes(4, "little")
    pages[at] = bytes(page[4:])
    return data.split(b"OggS")[0] + b"".join(b"OggS" + page for page in pages)


def ogg_sum(page: bytes) -> int:
    total = 0
    for byte in page:
        total ^= byte << 24
        for _ in range(8):
            total = (total << 1 ^ 0x04C11DB7 if total & 0x80000000 else total << 1) & 0xFFFFFFFF
    return total


Change = Callable[[Chance, bytes, bytes], bytes]
KNOWING: dict[str, Change] = {
    "json": json_text, "jsonl": json_text, "index": json_text, "csv": table_text, "tsv": table_text, "txt": table_text,
    "safetensors": safetensors_file, "tar": tar_file, "png": png_file, "gif": gif_file, "ogg": ogg_file,
    "opus": ogg_file,
}  # fmt: skip


def damage(chance: Chance, name: str, data: bytes, other: bytes) -> tuple[bytes, list[str]]:
    """(other bytes, the names of the changes that made them): none in 1 of 40 files, so that a seed itself is read."""
    if chance.random() < 0.025:
        return data, []
    knowing = KNOWING.get(name.rpartition(".")[2].lower())
    done = []
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        change = knowing if knowing is not None and chance.random() < 0.8 else chance.choice(PLAIN)
        if change is safetensors_file and chance.random() < 0.15:
            change = safetensors_head
        data = change(chance, data, other)
        done.append(change.__name__)
    return data, done
