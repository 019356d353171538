"""Conversations about media: LLaVA-style lists, ShareGPT and OpenAI messages, ms-swift's shorter forms, the lists of
VideoChat, Video-ChatGPT and ShareGPT4Video, mixtures.

Each answer of a conversation is a row; a row's question is the turn before it, without the tags of media. A first
system message is left out, and so are turns that no answer follows.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .fields import Form, form
from .folders import PICTURE, SOUND
from .rows import Annotations, Row, split_of
from .tables import Table, brief, list_of, objects_of, read_table, require, text_of

TAG = re.compile(r"<(video|audio|image|speech|sound)>")
ASKS, ANSWERS = ("human", "user"), ("gpt", "assistant", "bot", "model")
MEDIA = {"video": ("video", "videos"), "audio": ("audio", "audios"), "image": ("image", "images")}
STRATEGY = re.compile(r"(all|(first|end|random):(\d+)(%?))")


READ = ("id, video, videos, audio, audios, image, images, start, end, use_audio, video_id, system, history, "
        "timestamp, chosen, rejected")  # fmt: skip
CONVERSATIONS = (
    *(form(name, READ) for name in ("conversations", "messages", "conversation", "QA")),
    form("query, response", READ),
    form("q, a, video_id", READ),
    form("video_path, captions", READ),
)


def is_conversation(table: Table) -> bool:
    return any(one.fits(table) for one in CONVERSATIONS)


def read_conversations(table: Table) -> Annotations:
    path, rows = table.path, []
    llava = "conversations" in table.fields
    for number, one in enumerate(map(_spelled_out, table.objects)):
        key = str(one.get("id", number))
        turns = _turns(one, path)
        media = _media(one, turns, path)
        name = media["video"] or media["image"] or media["audio"] or key
        silent = one.get("use_audio") is False
        spans = [one.get(name) for name in ("start", "end")] if "start" in one or "end" in one else [None, None]
        for turn, (question, answer) in enumerate(_pairs(turns)):
            picture = media["video"] or media["image"]
            rows.append(
                Row(f"{number}/{key}/{turn}", name, (picture,) if picture else (), question or None, (answer,),
                    split=split_of(path), start=_second(spans[0], path), end=_second(spans[1], path),
                    sound=None if silent else media["audio"], more={"use_audio": False} if silent else {})
            )  # fmt: skip
    return Annotations("llava" if llava else "messages", tuple(rows))


def _spelled_out(one: dict[str, Any]) -> dict[str, Any]:
    """Video-ChatGPT's `{"q", "a", "video_id"}` and ShareGPT4Video's captions, of which the one numbered -1 is about the
    whole film, as VideoChat's `QA`."""
    if {"q", "a", "video_id"} <= set(one):
        return {"id": one["video_id"], "video": one["video_id"], "QA": [{"q": one["q"], "a": one["a"]}]}
    if {"video_path", "captions"} <= set(one) and isinstance(one["captions"], list):
        captions = [part for part in one["captions"] if isinstance(part, dict) and str(part.get("idx")) == "-1"]
        return {"id": one.get("video_id"), "video": one["video_path"],
                "QA": [{"q": "", "a": part.get("content")} for part in captions]}  # fmt: skip
    return one


def _second(value: Any, where: Path) -> float | None:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise ValueError(f"expected 'start' and 'end' as seconds in {where.name}, found {value!r:.60}")


def _turns(one: Mapping[str, Any], where: Path) -> list[tuple[bool, str]]:
    """(whether it is an answer, text) of every turn but the system's."""
    if "QA" in one:  # an instruction, where there is one, goes before the question, which may be empty
        parts = objects_of(one["QA"], "QA", where)
        asked = [f"{part.get('i') or ''}\n{part.get('q') or ''}" for part in parts]
        return [turn for question, part in zip(asked, parts, strict=True)
                for turn in ((False, question), (True, text_of(part, "a", where)))]  # fmt: skip
    if "query" in one:
        require(("query", "response"), one, where)
        turns = [*list_of(one.get("history") or [], "history", where), [one["query"], one["response"]]]
        return [(bool(side), str(text)) for pair in turns for side, text in enumerate(pair)]
    if "conversation" in one:
        pairs = objects_of(one["conversation"], "conversation", where)
        sides = ("human", "assistant")
        return [(side == "assistant", str(pair[side])) for pair in pairs for side in sides if side in pair]
    turns = []
    for turn in objects_of(one.get("conversations", one.get("messages")), "conversations or messages", where):
        who = str(turn.get("from", turn.get("role", ""))).lower()
        text = turn.get("value", turn.get("content"))
        if isinstance(text, list):  # OpenAI's parts: text, and media that are named elsewhere
            parts = [part for part in objects_of(text, "content", where) if part.get("type") == "text"]
            text = "\n".join(str(part.get("text", part.get("value", ""))) for part in parts)
        if who in ("system", "tool", "observation", "function_call"):
            continue
        if who not in (*ASKS, *ANSWERS) or not isinstance(text, str):
            raise ValueError(f"expected turns of {ASKS} and {ANSWERS} with text in {where.name}, found {brief(turn)}")
        turns.append((who in ANSWERS, text))
    return turns


def _pairs(turns: list[tuple[bool, str]]) -> list[tuple[str, str]]:
    """Questions without tags, with their answers. Several turns of one side in a row are joined."""
    pairs, asked = [], []  # type: ignore[var-annotated]
    for answers, text in turns:
        if answers:
            pairs.append(("\n".join(asked), text.strip()))
            asked = []
        else:
            asked.append(" ".join(TAG.sub(" ", text).split()))
    return pairs


def _media(one: Mapping[str, Any], turns: list[tuple[bool, str]], where: Path) -> dict[str, str | None]:
    """The first file of each kind. As many tags as files of a kind, where there are tags at all; an `<image>` tag may
    stand for a video."""
    files: dict[str, list[str]] = {}
    for kind, names in MEDIA.items():
        value: Any = next((one[name] for name in names if one.get(name)), [])
        files[kind] = [_path(part) for part in (value if isinstance(value, list) else [value])]
    contents = [turn.get("content") for turn in one.get("messages", [])]
    for part in (part for content in contents if isinstance(content, list) for part in content):
        for kind in MEDIA:
            stated = part.get("value") if part.get("type") in (kind, f"{kind}_url") else None  # LLaMA-Factory's v1
            url = part.get(kind, part.get(f"{kind}_url", stated))
            if url:
                files[kind].append(_path(url.get("url", "") if isinstance(url, dict) else url))
    if files["video"] and all(name.lower().endswith(PICTURE) for name in files["video"]):
        files["image"], files["video"] = files["video"] + files["image"], []
    if files["video"] and not files["audio"] and all(name.lower().endswith(SOUND) for name in files["video"]):
        files["audio"], files["video"] = files["video"], []
    tags = [tag for _, text in turns for tag in TAG.findall(text)]
    if "messages" in one or "videos" in one or "images" in one:  # these formats join tags and files by their order
        for kind in MEDIA:
            if files[kind] and kind in tags and tags.count(kind) != len(files[kind]):
                raise ValueError(
                    f"expected as many <{kind}> as files in {where.name}, found {tags.count(kind)} and "
                    f"{len(files[kind])} in {brief(one)}"
                )
    several = {kind: names for kind, names in files.items() if len(names) > 1}
    if several.get("video") or several.get("audio"):
        raise ValueError(f"expected one video and one sound at most in a row of {where.name}, found {brief(several)}")
    return {kind: names[0] if names else None for kind, names in files.items()}


def _path(part: Any) -> str:
    if isinstance(part, dict):
        part = part.get("path") or part.get("url") or ""
    if not isinstance(part, str) or not part:
        raise ValueError(f"expected media as paths, found {part!r:.60}")
    return part.removeprefix("file://")


# -- mixtures ----------------------------------------------------------------------------------------------------------


def is_mixture(table: Table) -> bool:
    parts = table.value.get("datasets") if isinstance(table.value, dict) else None
    return isinstance(parts, list) and all(isinstance(part, dict) and "json_path" in part for part in parts)


MIXTURE = (Form(when=is_mixture),)


def read_mixture(table: Table) -> Annotations:
    """LLaVA's YAML: `datasets: [{json_path, sampling_strategy}]`, the share of each file's conversations; `random`
    draws with a fixed seed. Paths that are not there are looked for beside the file."""
    rows, notes = [], []
    for part in table.value["datasets"]:
        strategy = str(part.get("sampling_strategy", "all"))
        path = Path(str(part["json_path"]))
        if not path.is_file() and not (path := table.path.parent / path.name).is_file():
            raise ValueError(f"found {part['json_path']} of {table.path.name} neither there nor beside that file")
        other = read_table(path)
        if not is_conversation(other):
            raise ValueError(f"expected conversations in {other.path}, listed in {table.path.name}")
        chosen = _share(list(other.objects), strategy, table.path)
        found = read_conversations(Table(other.path, chosen))
        rows += [_renamed(row, other.path.stem) for row in found.rows]
        notes.append(f"{other.path.name}: {len(chosen)} of {len(other.objects)} conversations ({strategy})")
    return Annotations("llava-mixture", tuple(rows), notes=tuple(notes))


def _renamed(row: Row, stem: str) -> Row:
    return replace(row, key=f"{stem}/{row.key}")


def _share(objects: list[dict[str, Any]], strategy: str, where: Path) -> list[dict[str, Any]]:
    """`all`, `first:50%`, `end:3000`, `random:999`; a share of an uneven number is rounded up."""
    if (match := STRATEGY.fullmatch(strategy)) is None:
        raise ValueError(f"expected all, first:N, end:N or random:N (or N%) in {where.name}, found {strategy!r}")
    if strategy == "all":
        return objects
    kind, number = match[2], int(match[3])
    count = min(len(objects), -(-number * len(objects) // 100) if match[4] else number)
    if kind == "random":
        return random.Random(42).sample(objects, count)
    return objects[:count] if kind == "first" else objects[len(objects) - count :]
