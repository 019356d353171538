"""Tables of any kind as data to learn from: one recogniser for `data check`, `--data` and `prepare`; nothing is read as
text alone, dropped or guessed without a word."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
from annotation_samples import samples

from mirasol.cli import main
from mirasol.data.annotations.check import check
from mirasol.data.opening import MANIFESTS, open_items, open_mixture
from mirasol.data.preparing import How, prepare
from mirasol.data.shards import INDEX, scan
from mirasol.media.toybox.files import write_scenes

SAMPLES = {kind: one for kind, one in samples().items() if one[0].endswith(MANIFESTS)}
NEXT = "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n"
EPIC = "annotation_id,participant_id,video_id,start_timestamp,stop_timestamp,start_sample,stop_sample,class,class_id\n"
ASKED = [{"role": "user", "content": "<video>Who?"}, {"role": "assistant", "content": "a girl"}]
TURNS = [{"from": "human", "value": "<video>\nWho?"}, {"from": "gpt", "value": "a girl"}]
# What it is -> (file, content, names of the media, what is learned).
END_TO_END = {
    "MSRVTT-QA": ("a.jsonl", '{"answer": "couch", "question": "on?", "video_id": "video6513", "answer_type": "what"}',
                  "video6513", ("on?", "couch")),
    "NExT-QA": ("val.csv", NEXT + "4010069381,9,6,4,how,2,6,CH,roll,tap,strum it,hit,pat\n", "0101/4010069381",
                ("how", "strum it")),
    "LLaVA": ("l.json", json.dumps([{"id": 1, "video": "clips/a.mp4", "conversations": TURNS}]), "clips/a",
              ("Who?", "a girl")),
    "ShareGPT": ("s.json", json.dumps([{"conversations": TURNS, "videos": ["b.mp4"]}]), "clips/b", ("Who?", "a girl")),
    "messages": ("m.json", json.dumps([{"messages": ASKED, "videos": ["b.mp4"]}]), "b", ("Who?", "a girl")),
    "VGGSound": ("v.csv", "---g-f_I2yQ,1,people marching,test\n", "---g-f_I2yQ_000001",
                 ("what do you hear?", "people marching")),
    "EPIC-SOUNDS": ("e.csv", EPIC + "P01_01_0,P01,P01_01,00:00:00.100,00:00:00.800,0,9,rustle,4\n", "P01/P01_01",
                    ("what do you hear?", "rustle")),
    "Hugging Face": ("metadata.csv", "file_name,text\nx/c.mp4,rain\n", "x/c", (None, "rain")),
    "other spellings": ("o.csv", "Video Path,Fold,Class-ID,Category\nx/c.mp4,1,7,a dog\n", "x/c", (None, "a dog")),
    "a column of files": ("g.csv", "thing,caption\nx/c.mp4,rain\n", "x/c", (None, "rain")),
    "numbers and words": ("n.csv", "filename,target,category\nx/c.mp4,7,a dog\n", "x/c", (None, "a dog")),
    "options": ("o.jsonl", '{"video": "c", "question": "q", "options": ["A. x", "B. y"], "answer": "B"}', "c",
                ("q", "y")),
}  # fmt: skip


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    (path,) = write_scenes(tmp_path_factory.mktemp("film"), 1, 3, "train", ".mp4", False, 1)
    return path.read_bytes()


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["mirasol", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    if ended.value.code:
        raise AssertionError(f"exit code {ended.value.code}")


@pytest.mark.parametrize("kind", END_TO_END)
def test_what_data_check_recognises_is_prepared_and_learned(kind: str, film: bytes, tmp_path: Path) -> None:
    """With --media, from a folder beside the table."""
    name, text, media, pair = END_TO_END[kind]
    path, folder = tmp_path / name, tmp_path / "videos"
    path.write_text(text)
    put(folder / f"{media}.mp4", film)
    put(folder / "other.mp4", film + b" ")
    assert check(path, folder).missing == ()
    (item,) = open_items(path, media=folder)
    assert (item.media, item.pairs) == (str(folder / f"{media}.mp4"), (pair,))
    report = prepare(path, tmp_path / "out", How(media=str(folder)))
    assert (report["examples"], report["left_out"], report["without_media"]) == (1, 0, 0)
    assert report["seconds"] > 0.5
    (again,) = open_items(tmp_path / "out")
    assert again.pairs == (pair,)


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_known_format_is_data(kind: str, film: bytes, tmp_path: Path) -> None:
    """What is recognised is learned from where its media are, and refused in one line where none are there."""
    name, text, _ = SAMPLES[kind]
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    found = check(path)
    if not found.rows or found.unanswered == found.rows:
        return
    put(tmp_path / "nothing" / "else.mp4", film)
    with pytest.raises(ValueError, match=r"none of the media that .* name"):
        open_items(path, media=tmp_path / "nothing")


def test_rows_that_cannot_be_used_are_named_and_the_others_kept(
    film: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "a.mp4", film)
    put(tmp_path / "b.mp4", film)
    rows = ["a.mp4,a dog,", "b.mp4,,", ",a cat,", "c.mp4,gone,", "a.mp4,late,soon", 'b.mp4,"last, of all",']
    (tmp_path / "m.csv").write_text("file,caption,start\n" + "\n".join(rows))
    with caplog.at_level(logging.WARNING):
        report = prepare(tmp_path / "m.csv", tmp_path / "out", How())
    assert report["examples"] == 1  # the same film twice, with both texts
    assert report["merged"] == 1
    reasons = " / ".join(f"{bad['key']} {bad['reason']}" for bad in report["bad"])
    for why in ("row 2: its caption is empty", "row 3 its media are missing: its file is empty", "no file", "c.mp4",
                "row 5: expected start in seconds, found 'soon'"):  # fmt: skip
        assert why in reasons
    assert "Errno" not in reasons
    assert (report["items"], report["without_media"]) == (6, 2)
    assert "2 of 6 items have no media" in caplog.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("wav_location,caption\nx,a dog\n", "although wav_location looks like it"),
        ("file,caption\n,a dog\n,a cat\n", "no row of t.csv has media: file is empty in every row"),
        ("file,caption\na.mp4," + "x" * 140_000 + "\n", "131,072 characters"),
        ("file,caption,start_frame\na.mp4,x,3\n", "start_frame"),
    ],
)
def test_a_table_that_would_be_read_wrongly_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=r".") as error:
        open_items(tmp_path / "t.csv")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["deep.json", "deep.jsonl"])
def test_deep_json_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text('{"file": "a.mp4", "caption": ' + "[" * 100_000)
    with pytest.raises(ValueError, match="nested too deep"):
        open_items(tmp_path / name)
    put(tmp_path / "f" / "a.mp4", b"x")
    (tmp_path / "f" / "a.json").write_text("[" * 100_000)
    (item,) = open_items(tmp_path / "f")
    assert "nested too deep" in item.fault


@pytest.mark.parametrize("places", [[[2**70, 512]], [[-512, 512]], [[0, 1 << 40]], "[" * 100_000])
def test_an_index_of_nonsense_is_not_used(places: object, film: bytes, tmp_path: Path) -> None:
    put(tmp_path / "d" / "a.mp4", film)
    (tmp_path / "d" / "a.txt").write_text("a dog")
    prepare(tmp_path / "d", tmp_path / "out", How())
    (path,) = (tmp_path / "out").glob("*.tar")
    text = places if isinstance(places, str) else json.dumps({"bytes": path.stat().st_size, "places": places})
    Path(str(path) + INDEX).write_text(text)
    (item,) = open_items(tmp_path / "out")
    assert item.pairs == ((None, "a dog"),)
    assert len(scan(str(path))[0]) == 1


ENDINGS = "flv 3gp m2ts wmv dv avi mpg heic avif tif aiff m4b amr caf wma MOV ogv mka"


@pytest.mark.parametrize("ending", ENDINGS.split(" "))
def test_a_folder_takes_what_the_reader_opens(ending: str, tmp_path: Path) -> None:
    put(tmp_path / f"a.{ending}", b"x")
    (tmp_path / "a.txt").write_text("a dog")
    (item,) = open_items(tmp_path)
    assert (item.media, item.pairs) == (str(tmp_path / f"a.{ending}"), ((None, "a dog"),))


def test_what_a_folder_skips_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.mp4", "a.webm", "alone.flv", "notes.xyz"):
        put(tmp_path / name, b"x")
    (tmp_path / "a.txt").write_text("a dog")
    with caplog.at_level(logging.WARNING):
        (item,) = items = open_items(tmp_path)
    assert Path(str(item.media)).stem == "a"
    assert {Path(bad.place).name for bad in items.broken} == {"a.webm", "alone.flv"}
    for word in ("alone.flv", "it has no text beside it", ".xyz (1)"):
        assert word in caplog.text


def test_a_folder_with_metadata_is_read_by_it(film: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("train/a.mp4", "train/b.mp4", "train/c.mp4"):
        put(tmp_path / name, film)
    rows = [{"file_name": "a.mp4", "caption": "a dog"}, {"file_name": "b.mp4", "caption": "a cat"}]
    (tmp_path / "train/metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    items = open_items(tmp_path)
    assert [(item.media, item.pairs) for item in items] == [
        (str(tmp_path / "train/a.mp4"), ((None, "a dog"),)), (str(tmp_path / "train/b.mp4"), ((None, "a cat"),)),
    ]  # fmt: skip
    assert "1 media files are not listed in metadata.jsonl and skipped: c.mp4" in caplog.text


def test_mixtures_and_paths_that_look_like_them(tmp_path: Path) -> None:
    for name in ("a", "b=2,c"):
        (tmp_path / f"{name}.jsonl").write_text('{"question": "q", "answer": "a"}')
    a, odd = tmp_path / "a.jsonl", tmp_path / "b=2,c.jsonl"
    assert open_mixture(f"{a}=0.7,{a}=0.3").counts == [700, 300]
    assert open_mixture(str(odd)).counts == open_mixture(str(a)).counts == [1000]
    for wrong in (f"{a}=0.7,{a}", f"{a}=0.7,{a}=-1", f"{a}=nan,{a}=1", f"{a}=1,"):
        with pytest.raises(ValueError, match="expected sources with weights above 0"):
            open_mixture(wrong)


def test_prepare_on_the_command_line(
    film: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "v" / "video6513.mp4", film)
    line = '{"answer": "a", "question": "q", "video_id": "video65%s", "answer_type": "what"}\n'
    (tmp_path / "t.jsonl").write_text(line % 13 + line % 14)
    command(monkeypatch, "prepare", tmp_path / "t.jsonl", tmp_path / "out", "--media", tmp_path / "v", "--workers", 1)
    said = capsys.readouterr().out
    assert "1 of 2 items have no media" in said
    assert "video6514" in said
