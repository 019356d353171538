"""The scripts of tools/ that fetch: what they do with files that are here already."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import wave
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import REMEMBERING_SIZES, tool
from mirasol.data.toybox import scene_example
from mirasol.media import toybox

MAKE_PACK = tool("make_pack")
OTHERS = [f"thing {letter}" for letter in "abcdefghij"]  # a pack has at least 12 kinds


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("dog", "dog"), ("dog2-b", "dog"), ("SeaLion", "sea lion"), ("Cow", "cow"), ("calf", "cow"), ("eagle", "eagle"),
        ("eagle_owl", "owl"), ("fire_engine", "fire truck"), ("horse-left", "horse"), ("bird-flying", "bird"),
        ("western_concert_flute", "flute"), ("WolfHowl", "wolf"), ("BellToll", "bell"),
    ],
)  # fmt: skip
def test_kinds_of_files(name: str, kind: str) -> None:
    assert MAKE_PACK.kind_of(name) == kind


def save_sound(path: Path, loud: float) -> None:
    save_wave(path, loud * 0.6 * np.sin(np.arange(8_000) / 7))


def save_wave(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((values * 32_767).clip(-32_768, 32_767).astype("<i2").tobytes())


def save_picture(path: Path, colour: tuple[int, int, int], *, empty: bool = False, bars: int = 0) -> None:
    """On white; `bars` (up to 15) in binary is which of four bars it has, so that no two look alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((70, 50, 3), 255, np.uint8)
    if not empty:
        pixels[20:50, 10:41] = colour
        for bar in (bar for bar in range(4) if bars >> bar & 1):
            pixels[20 + 7 * bar : 27 + 7 * bar, 10:35] = (0, 255, 255)
    Image.fromarray(pixels).save(path)


def test_a_pack_holds_what_can_be_seen_and_heard(tmp_path: Path) -> None:
    """White around a picture goes; silence, empty pictures and second copies are left out, and so is a kind that has no
    picture or no sound then."""
    kinds: dict[str, dict[str, list[tuple[str, Path]]]] = {}
    for at, kind in enumerate(["dog", "sea lion", "silent", "unseen", "copy", *OTHERS]):
        picture, sound = tmp_path / f"from/{kind}.png", tmp_path / f"from/{kind}.wav"
        save_picture(picture, (200, 10, 10 * at), empty=kind == "unseen", bars=(at - 1) % 15)
        save_sound(sound, 0.0 if kind == "silent" else 1.0 / (1 + at))
        kinds[kind] = {"pictures": [("a-data", picture)], "sounds": [("b", sound)]}
    kinds["copy"]["sounds"] = kinds["dog"]["sounds"]  # "copy" comes first in the alphabet, so it is dog that has none
    about = MAKE_PACK.write_pack(kinds, tmp_path / "pack")
    pack = toybox.AssetPack(tmp_path / "pack")
    assert list(pack.world.kinds) == sorted(["copy", "sea lion", *OTHERS])
    assert about["pack/pictures/sea_lion/a_00.png"] == "a-data: sea lion.png"
    assert {Path(name).name for name in about} == {"a_00.png", "b_00.wav"}
    assert len(about) == 2 * (2 + len(OTHERS))
    assert not (tmp_path / "pack" / "sounds" / "silent").exists()
    sprite = pack.draw("sea lion", 30, np.random.default_rng(0))
    assert sprite.shape == (30, 31, 4)  # cropped to the coloured part
    assert (sprite == [200, 10, 10, 255]).all()
    # Training scenes are made of it where a stage says so.
    example, drawn = (
        scene_example(3, "train", REMEMBERING_SIZES, drop=0.0, pack=folder) for folder in (str(tmp_path / "pack"), "")
    )
    captions = [answer for question, answer in example.pairs if question is None]
    assert any(kind in captions[0] for kind in pack.world.kinds)
    assert not torch.equal(example.inputs.pixel_values_videos, drawn.inputs.pixel_values_videos)


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("A brown hen.", "hen"), ("A drum kit.", "drums"), ("A sea lion.", "sea lion"),
        ("A computer mouse. Squeak!", "computer mouse"),
        ("A fire truck.", "fire truck"), ("A great blue heron.", "heron"), ("A happy lion!", ""),
        ("Excited!", ""),
    ],
)  # fmt: skip
def test_a_sentence_names_its_whole_noun(sentence: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text(f"{sentence}\nde.utf8=Etwas.\n", encoding="utf-8")
    assert MAKE_PACK.noun_of(tmp_path / "x.png") == kind


def test_clip_art_is_named_by_its_longest_run_of_words() -> None:
    kinds = {"guitar", "electric guitar", "tiger", "grasshopper"}
    names = {"electric_guitar_andrea__01r": "electric guitar", "tigre04_architetto_franc_01": "tiger"}
    names |= {"grass_hopper_02": "grasshopper", "guitarist_02": ""}
    assert {name: MAKE_PACK.named_in(name, kinds) for name in names} == names


def test_emoji_are_taken_where_their_name_is_a_kind(tmp_path: Path) -> None:
    """Of both tables: the exact name, or that of a face; not the rest of a table, nor a picture that is missing."""
    rows = [
        ("cat face", "1F431", "animals"),
        ("cat", "1F408", "animals"),
        ("cat", "X1", "extras-openmoji"),
        ("cats", "X2", "animals"),
    ]
    table = [{"annotation": name, "hexcode": code, "group": group} for name, code, group in rows]
    (tmp_path / "package/data").mkdir(parents=True)
    (tmp_path / "package/data/openmoji.json").write_text(json.dumps(table), encoding="utf-8")
    for code in ("1F431", "X1", "X2"):
        picture = tmp_path / f"package/color/svg/{code}.svg"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.touch()
    found = list(MAKE_PACK.files_of("openmoji", tmp_path, {"cat"}))
    assert [(kind, role, path.name) for kind, role, path in found] == [("cat", "pictures", "1F431.svg")]
    twitter = [
        {"name": "DOG FACE", "image": "1f436.png", "has_img_twitter": True},
        {"name": "DOG", "has_img_twitter": False},
    ]
    (tmp_path / "package/emoji.json").write_text(json.dumps(twitter), encoding="utf-8")
    save_picture(tmp_path / "package/img/twitter/64/1f436.png", (1, 2, 3))
    assert [row[0] for row in MAKE_PACK.files_of("emoji-datasource-twitter", tmp_path, {"dog"})] == ["dog"]


def test_nothing_held_out_is_in_train(tmp_path: Path) -> None:
    """A picture that both sources have goes to `held_out` only, in another size, too; a kind that only the held-out
    source lets hear goes to `more`, with the pictures of both."""
    train: dict[str, dict[str, list[tuple[str, Path]]]] = {}
    held: dict[str, dict[str, list[tuple[str, Path]]]] = {}
    for source, (name, kinds) in enumerate([("a", train), ("t", held)]):
        for at, kind in enumerate(["dog", "fox", *OTHERS, "thing k", "thing l"]):
            picture, sound = tmp_path / f"{name}/{kind}.png", tmp_path / f"{name}/{kind}.wav"
            save_picture(picture, (200, 10, 220) if source else (200, 200, 10), bars=at)
            save_sound(sound, 1.0 / (1 + at + 20 * source))
            heard = [] if (kind, name) == ("fox", "a") else [(name, sound)]
            kinds[kind] = {"pictures": [(name, picture)], "sounds": heard}
    twin = tmp_path / "a/twin.png"
    with Image.open(held["dog"]["pictures"][0][1]) as copied:
        copied.resize((100, 140), Image.Resampling.NEAREST).save(twin)
    train["dog"]["pictures"].append(("a", twin))
    MAKE_PACK.write_packs(train, held, tmp_path / "out")
    about = json.loads((tmp_path / "out/about.json").read_text(encoding="utf-8"))
    assert {name for name in about if "/dog/" in name} == {
        "held_out/pictures/dog/t_00.png", "held_out/sounds/dog/t_00.wav", "train/pictures/dog/a_00.png",
        "train/sounds/dog/a_00.wav",
    }  # fmt: skip
    assert {name for name in about if "/fox/" in name} == {
        "more/pictures/fox/t_00.png", "more/pictures/fox/a_01.png", "more/sounds/fox/t_00.wav",
    }  # fmt: skip


def test_media_of_ones_own_are_trained_with(tmp_path: Path) -> None:
    """--also: of kinds that there are; nothing that is held out, in another size or late in a longer sound."""
    chance = np.random.default_rng(4)
    train: dict[str, dict[str, list[tuple[str, Path]]]] = {}
    held: dict[str, dict[str, list[tuple[str, Path]]]] = {}
    for source, (name, kinds) in enumerate([("a", train), ("t", held)]):
        for at, kind in enumerate(["dog", "fire truck", *OTHERS]):
            picture, sound = tmp_path / f"{name}/{kind}.png", tmp_path / f"{name}/{kind}.wav"
            save_picture(picture, (200, 10, 220) if source else (200, 200, 10), bars=at)
            save_wave(sound, chance.standard_normal(9_000) / 5)
            kinds[kind] = {"pictures": [(name, picture)], "sounds": [(name, sound)]}
    media = tmp_path / "media"
    for kind, colour in (("fire_truck", (9, 9, 200)), ("unknown", (9, 200, 9))):
        save_picture(media / f"pictures/{kind}/mine.png", colour, bars=13)
        save_wave(media / f"sounds/{kind}/mine.wav", chance.standard_normal(9_000) / 5)
    with Image.open(held["dog"]["pictures"][0][1]) as copied:
        (media / "pictures/dog").mkdir()
        copied.resize((100, 140), Image.Resampling.NEAREST).save(media / "pictures/dog/twin.png")
    (media / "pictures/dog/notes.txt").write_text("no picture", encoding="utf-8")
    with wave.open(str(held["dog"]["sounds"][0][1])) as file:
        call = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32_768
    save_wave(media / "sounds/dog/inside.wav", np.concatenate([chance.standard_normal(104_000) / 50, call]))
    MAKE_PACK.add_media(train, media)
    MAKE_PACK.write_packs(train, held, tmp_path / "out")
    about = json.loads((tmp_path / "out/about.json").read_text(encoding="utf-8"))
    assert {name: source for name, source in about.items() if "also" in source} == {
        "train/pictures/fire_truck/also_01.png": "also: mine.png",
        "train/sounds/fire_truck/also_01.wav": "also: mine.wav",
    }


def test_kinds_are_read_from_names_in_clones() -> None:
    media = tool("clone_media")
    paths = {
        "EliSchwartz/imagenet-sample-images": {
            "n02504013_Indian_elephant.JPEG": "elephant",
            "n03793489_mouse.JPEG": "",
        },
        "YashNita/Animal-Sound-Dataset": {"Kopek-Part2/dog_162.WAV": "dog", "Inek/inek_3.wav": "cow", "README.md": ""},
        "cuongphamduc/Animal-Sound-Recognition": {"data/hen/1-100-A.wav": "hen", "data/insects/2-3-B.wav": ""},
        "Sparcraps/Gob-Game-of-Bird": {"valid/BARN OWL/1.jpg": "owl", "valid/TIT MOUSE/1.jpg": "", "1.jpg": ""},
        "ibellae/zwierzaki": {"images/sea lion.jpg": "", "sounds/lion.mp3": "lion"},
        "Kevin3781/birdle": {"audio/resplendent-quetzal.mp3": "quetzal", "audio/common-moorhen.mp3": ""},
        "harsh-android/Animal-Sounds": {"raw/geese.mp3": "goose", "raw/deer.mp3": ""},
    }
    for name, said in paths.items():
        assert {path: media.kind_said(path, media.CLONES[name]) for path in said} == said


def test_media_come_out_of_a_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a commit, not of what lies in the folder; no more of a kind than MOST; each file once."""
    media = tool("clone_media")
    home = tmp_path / "clones/someone+things"
    home.mkdir(parents=True)

    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(["git", "-C", str(home), *who, *words], check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    for at in range(4):
        save_picture(home / f"photos/cow_{at}.png", (200, 10, 60 * at))
    save_picture(home / "photos/again/Fire Truck.png", (9, 9, 9))
    save_picture(home / "elsewhere/dog.png", (9, 9, 9))
    save_wave(home / "sounds/a b/lion.wav", np.sin(np.arange(4_000) / 9))
    (home / "photos/owl.png").write_bytes(b"no picture")
    git("add", ".")
    git("commit", "-q", "-m", "all")
    clone = media.Clone(git("rev-parse", "HEAD").strip(), ("photos",), ("sounds",), licence="CC0")
    git("rm", "-q", "-r", "sounds")
    git("commit", "-q", "-m", "less")
    monkeypatch.setattr(media, "CLONES", {"someone/things": clone, "someone/twice.again": clone})
    (tmp_path / "clones/someone+twice.again").symlink_to(home)
    monkeypatch.setattr(media, "MOST", 3)
    words = ["clone_media.py", str(tmp_path / "media"), "--clones", str(tmp_path / "clones"), "--whole"]
    monkeypatch.setattr(sys, "argv", words)
    media.main()
    about = json.loads((tmp_path / "media/about.json").read_text(encoding="utf-8"))
    assert len([name for name in about if name.startswith("pictures/cow/someone-things-")]) == 3
    assert len([name for name in about if name.startswith("pictures/cow/someone-twice.again-")]) == 1
    others = {path: source for path, source in about.items() if "/cow/" not in path}
    assert sorted((source["path"], source["licence"]) for source in others.values()) == [
        ("photos/again/Fire Truck.png", "CC0"), ("sounds/a b/lion.wav", "CC0"),
    ]  # fmt: skip
    assert {path.split("/")[1] for path in others} == {"fire_truck", "lion"}
    assert all((tmp_path / "media" / name).is_file() for name in about)
    with pytest.raises(SystemExit, match="is there already"):
        media.main()


def test_what_stands_out_is_cut_out() -> None:
    """Left as they are: nothing or all stands out, what is partly clear already, and what lies on white."""
    media = tool("clone_media")
    pixels = np.full((30, 40, 4), 90, np.uint8)
    pixels[..., 3] = 255
    photo, found = Image.fromarray(pixels), np.zeros((15, 20))
    found[4:11, 5:15] = 1
    cut = media.cut_out(photo.copy(), lambda _: found)
    assert 14 <= cut.height <= 18
    assert 20 <= cut.width <= 24
    assert cut.getpixel((cut.width // 2, cut.height // 2)) == (90, 90, 90, 255)
    clear, white = pixels.copy(), pixels.copy()
    clear[:3, :3, 3] = 0
    white[[0, -1]] = 255
    for left in (np.zeros((15, 20)), np.ones((15, 20))):
        assert media.cut_out(photo.copy(), lambda _, left=left: left) == photo
    for whole in (Image.fromarray(clear), Image.fromarray(white)):
        assert media.cut_out(whole.copy(), lambda _: found) == whole


def test_resources_of_qt_are_unpacked(tmp_path: Path) -> None:
    """A tree of two folders with a file as it is, one compressed, and two that are not wanted."""
    names = ["sounds", "cow.ogg", "..", "dog.ogg", "board.qml"]
    table, places = b"", []
    for name in names:
        places.append(len(table))
        table += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    squeezed = struct.pack(">I", 5) + zlib.compress(b"moooo")
    contents, starts = b"", []
    for piece in (squeezed, b"woof", b"import"):
        starts.append(len(contents))
        contents += struct.pack(">I", len(piece)) + piece
    folder, file = struct.Struct(">IHII"), struct.Struct(">IHHHI")
    nodes = [
        folder.pack(0, 2, 2, 1), folder.pack(places[0], 2, 2, 3), folder.pack(places[2], 2, 1, 5),
        file.pack(places[1], 1, 0, 0, starts[0]), file.pack(places[4], 0, 0, 0, starts[2]),
        file.pack(places[3], 0, 0, 0, starts[1]),
    ]  # fmt: skip
    tree = b"".join(nodes)
    at = 20
    header = b"qres" + struct.pack(">4I", 1, at, at + len(tree), at + len(tree) + len(contents))
    (tmp_path / "x.rcc").write_bytes(header + tree + contents + table)
    pytest.importorskip("zstandard")
    MAKE_PACK.unpack_resources(tmp_path / "x.rcc", tmp_path / "out")
    found = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {name: data for name, data in found.items() if name != "x.rcc"} == {"out/sounds/cow.ogg": b"moooo"}


def test_a_file_with_other_bytes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "llama2.data"
    file.write_bytes(b"other")
    with pytest.raises(SystemExit, match="expected a SHA-256"):
        tool("fetch_models").checked(file)


def test_a_model_that_cannot_be_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without onnx one line and no folder; where making ends early, what was there before stays as it was."""
    fetch = tool("fetch_models")
    monkeypatch.setattr(sys, "argv", ["fetch_models.py", str(tmp_path / "models")])
    monkeypatch.setattr(fetch, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"needs the package onnx: pip install -r tools/requirements.txt"):
        fetch.main()
    assert not (tmp_path / "models").exists()

    def whole(out: Path, cache: Path) -> None:
        (out / "config.json").write_text("whole", encoding="utf-8")

    def broken(out: Path, cache: Path) -> None:
        (out / "config.json").write_text("half", encoding="utf-8")
        raise SystemExit("no network")

    monkeypatch.setattr(fetch, "MODELS", {"a": whole})
    fetch.main()
    monkeypatch.setattr(fetch, "MODELS", {"a": broken})
    with pytest.raises(SystemExit, match="no network"):
        fetch.main()
    assert (tmp_path / "models/a/config.json").read_text(encoding="utf-8") == "whole"
