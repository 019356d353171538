"""The scripts of tools/ that fetch: what they do with files that are here already."""

from __future__ import annotations

import json
import struct
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
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = (loud * 20_000 * np.sin(np.arange(8_000) / 7)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(tone.tobytes())


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
