"""Readers of data: items of manifests, folders and shards, each reachable at random; what is wrong is one line."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from mirasol.data.items import Item, Member
from mirasol.data.opening import open_items
from mirasol.data.shards import INDEX, ShardItems, scan, shard_paths
from mirasol.media.toybox import make_scene
from mirasol.media.toybox.files import write_scenes


def write_shard(path: Path, files: dict[str, bytes], *, format: int = tarfile.PAX_FORMAT) -> None:
    with tarfile.open(path, "w", format=format) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def content(place: object) -> bytes:
    assert isinstance(place, Member)
    return Path(place.archive).read_bytes()[place.offset : place.offset + place.size]


FILES = {
    "deep/a.mp4": b"film a", "deep/a.json": json.dumps({"question": "who?", "answer": "a"}).encode(),
    "deep/b.left.webm": b"film b", "deep/b.txt": "ein Bär\n".encode(), "deep/b.wav": b"sound of b",
    "c.png": b"still c", "c.json": json.dumps([{"prompt": "p", "target": "t"}, {"caption": "k"}]).encode(),
    "d.mp3": b"sound d", "d.cls": b"7",
    "e" * 150 + ".mkv": b"film e",
}  # fmt: skip


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_shards_are_read_at_random(format: int, tmp_path: Path) -> None:
    names = list(FILES)
    write_shard(tmp_path / "s-00.tar", {name: FILES[name] for name in names[:5]}, format=format)
    write_shard(tmp_path / "s-01.tar", {name: FILES[name] for name in names[5:]}, format=format)
    items = open_items(tmp_path, prompt="say")
    assert isinstance(items, ShardItems)
    assert items.blocks == [2, 3]
    found = {at: items[at] for at in (4, 1, 3, 0, 2)}
    assert [content(found[at].media) for at in range(5)] == [b"film a", b"film b", b"still c", b"sound d", b"film e"]
    assert content(found[1].sound) == b"sound of b"
    assert [found[at].sound for at in (0, 2, 3, 4)] == [None] * 4
    assert [found[at].pairs for at in range(5)] == [
        (("who?", "a"),), (("say", "ein Bär"),), (("p", "t"), (None, "k")), (("say", "7"),), (),
    ]  # fmt: skip
    assert len({item.key for item in found.values()}) == 5


def test_an_index_beside_a_shard_is_used_while_it_fits(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    write_shard(path, FILES)
    places = scan(str(path))[0].tolist()
    (tmp_path / ("s.tar" + INDEX)).write_text(json.dumps({"bytes": path.stat().st_size, "places": places[:2]}))
    assert len(open_items(path)) == 2
    path.write_bytes(path.read_bytes() + bytes(10_240))
    assert len(open_items(path)) == 5
    (tmp_path / ("s.tar" + INDEX)).write_text('{"bytes": 3,')
    assert len(open_items(path)) == 5


@pytest.mark.parametrize("how", ["cut in a file", "cut in a header", "a header overwritten"])
def test_a_shard_that_is_broken_gives_what_is_before_that_and_says_so(how: str, tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    write_shard(path, {f"{at}.mp4": bytes(3_000 + at) for at in range(5)})
    data, each = path.read_bytes(), scan(str(path))[0][1, 0]
    if how == "a header overwritten":
        data = data[: 3 * each + 100] + b"broken" + data[3 * each + 106 :]
    path.write_bytes(data[: 3 * each + {"cut in a file": 900, "cut in a header": 200}.get(how, len(data))])
    items = open_items(path)
    assert isinstance(items, ShardItems)
    assert len(items) == (4 if how == "cut in a file" else 3)
    (broken,) = items.broken
    assert broken.key == str(path)
    assert "byte" in broken.reason


def test_a_text_that_cannot_be_read_does_not_end_a_folder(tmp_path: Path) -> None:
    for name, text in (("a", '{"fps": 3}'), ("b", '{"caption": "good"}'), ("c", "{")):
        (tmp_path / f"{name}.mp4").write_bytes(b"x")
        (tmp_path / f"{name}.json").write_text(text)
    items = {Path(item.key).stem: item for item in open_items(tmp_path)}
    assert items["b"].pairs == ((None, "good"),)
    assert "a.json: expected a text, or a mapping" in items["a"].fault
    assert "c.json is no JSON" in items["c"].fault


def test_patterns_of_shards(tmp_path: Path) -> None:
    for at in range(8, 12):
        write_shard(tmp_path / f"d-{at:03}.tar", {"a.mp4": b"x"})
    assert [Path(path).name for path in shard_paths(str(tmp_path / "d-{008..010}.tar"))] == [
        "d-008.tar", "d-009.tar", "d-010.tar",
    ]  # fmt: skip
    assert len(shard_paths(str(tmp_path / "d-*.tar"))) == 4
    assert len(shard_paths(str(tmp_path / "d-{008,011}.tar"))) == 2
    with pytest.raises(ValueError, match=r"no shard .*d-012\.tar.* \(1 of 2 are not there\)"):
        shard_paths(str(tmp_path / "d-{011..012}.tar"))


ROWS = [
    {"video": "x.mp4", "question": "one?", "answer": "1", "start": 2, "end": 4.5},
    {"video": "x.mp4", "question": "two, or more?", "answer": "2", "start": 2.0, "end": "4.5"},
    {"video": "x.mp4", "question": "", "answer": "all of it"},
    {"video": "y/z.webm", "question": "who?", "answer": "z", "sound": "z.wav"},
]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "csv crlf"])
def test_manifests(kind: str, tmp_path: Path) -> None:
    names = ["video", "start", "end", "question", "answer", "sound"]
    if kind == "jsonl":
        path = tmp_path / "m.jsonl"
        path.write_text("\n\n".join(map(json.dumps, ROWS)))
    else:
        path, end = tmp_path / "m.csv", "\r\n" if "crlf" in kind else "\n"
        lines = [",".join(f'"{row.get(name, "")}"' for name in names) for row in ROWS]
        path.write_bytes(("\ufeff" + end.join([",".join(names), *lines])).encode())
    items = open_items(path)
    x, z = str(tmp_path / "x.mp4"), str(tmp_path / "y/z.webm")
    assert list(items) == [
        Item(f"{x}[2, 4.5)", x, (("one?", "1"), ("two, or more?", "2")), 2.0, 4.5),
        Item(x, x, ((None, "all of it"),)),
        Item(z, z, (("who?", "z"),), sound=str(tmp_path / "z.wav")),
    ]


def test_text_alone_and_sound_alone(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"question": "q?", "answer": "a"}\n')
    (first,) = open_items(tmp_path / "texts.jsonl")
    assert (first.media, first.pairs) == (None, (("q?", "a"),))
    (tmp_path / "m.jsonl").write_text('{"audio": "s.mp3", "caption": ["loud", "very loud"]}\n')
    (second,) = open_items(tmp_path / "m.jsonl")
    assert (second.media, second.sound) == (str(tmp_path / "s.mp3"), None)
    assert second.pairs == ((None, "loud"), (None, "very loud"))


def test_folders(tmp_path: Path) -> None:
    """Texts beside media; without any, the folders are labels."""
    for name in ("a.mp4", "b.webm", "b.wav", "sub/c.png", "alone.mp4"):
        (tmp_path / "told" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "told" / name).write_bytes(b"x")
    (tmp_path / "told/a.txt").write_text("a dog\n")
    (tmp_path / "told/b.json").write_text('{"captions": ["b one", "b two"]}')
    (tmp_path / "told/sub/c.json").write_text('[{"question": "q?", "answer": "c"}]')
    told = {Path(item.media).name: item for item in open_items(tmp_path / "told")}
    assert {name: item.pairs for name, item in told.items()} == {
        "a.mp4": ((None, "a dog"),), "b.webm": ((None, "b one"), (None, "b two")), "c.png": (("q?", "c"),),
    }  # fmt: skip
    assert told["b.webm"].sound == str(tmp_path / "told/b.wav")
    for label in ("brushing_teeth", "singing"):
        (tmp_path / "labels" / label).mkdir(parents=True)
        (tmp_path / "labels" / label / "v.mp4").write_bytes(b"x")
    assert [item.pairs for item in open_items(tmp_path / "labels", prompt="what happens?")] == [
        (("what happens?", "brushing teeth"),), (("what happens?", "singing"),),
    ]  # fmt: skip


WRONG = {
    "m.jsonl": ('{"video": "a"}\n{"video": 3', "line 2; is the file complete?"),
    "l.jsonl": ('{"video": "a"}\n{"video": "b"}', "row 1: expected a text, or a mapping with one of target"),
    "n.jsonl": ('{"video": "a", "answer": "b"}\n{"video": 3', "line 2; is the file complete?"),
    "o.csv": ("video,answer\na.mp4,yes, and no\n", "expected 2 fields in row 2"),
    "p.jsonl": ('{"video": "a", "answer": "b", "start": 4, "end": 3}', "row 1: expected 0 <= start < end"),
    "q.jsonl": ('{"video": "a", "answer": "b", "start": "soon"}', "row 1: expected start in seconds, found 'soon'"),
    "r.csv": ("", "found an empty file"),
    "s.tar": ("no tar at all" * 99, "cannot read the shard"),
    "t.tar.gz": ("x", "expected uncompressed shards"),
    "u.txt": ("x", "expected a manifest"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line(name: str, tmp_path: Path) -> None:
    text, says = WRONG[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=r".") as error:
        open_items(tmp_path / name)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="expected media with texts"):
        open_items(tmp_path / "empty")


def test_the_files_that_toybox_writes_can_be_learned_from(tmp_path: Path) -> None:
    """`mirasol toybox` puts a scene's caption and questions beside its film."""
    (path,) = write_scenes(tmp_path, 1, 3, "train", ".mp4", False, 1)
    (item,) = open_items(tmp_path)
    scene = make_scene(3, "train", seconds=1)
    assert item.media == str(path)
    assert set(item.pairs) == {(None, scene.caption), *((q.text, q.answer) for q in scene.questions)}
