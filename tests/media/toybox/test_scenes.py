"""Scenes: true answers, balance, independence of picture and sound, held-out combinations, files."""

import json
import struct
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from mirasol.media import toybox
from mirasol.media.clip import MediaError
from mirasol.media.toybox.assets import AssetPack
from mirasol.media.toybox.blind import blind_figures, type_shares
from mirasol.media.toybox.families import make_scene
from mirasol.media.toybox.rendering import Stage
from mirasol.media.toybox.scene import (
    COLUMNS,
    FAMILIES,
    PLACES,
    QUESTION_TYPES,
    SPLITS,
    Scene,
    held_out_colours,
    held_out_partners,
)
from mirasol.media.toybox.things import COLOURS, KINDS

NUMBERS = ["one", "two", "three", "four"]
TIMES = ["once", "twice", "three times", "four times"]


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(seed, "train") for seed in range(4000)]


def named(text: str) -> list[str]:
    """Kinds that the question names, in order."""
    return [word for word in text.rstrip("?").replace(",", "").split() if word in KINDS]


def true_answers(scene: Scene, type: str, text: str) -> set[str]:
    """Every answer that the scene's own lists allow, computed without the generator's help."""
    words = text.rstrip("?").replace(",", "").split()
    kinds = named(text)
    about_sound = "hear" in words or "heard" in words or "sound" in words
    things = [thing for thing in scene.things if thing.kind in kinds]
    onsets = {event.kind: [e.onset for e in scene.sounds if e.kind == event.kind] for event in scene.sounds}
    enters = {thing.kind: thing.enter for thing in scene.things}
    if type == "seen":
        place = next((place for place in PLACES if place in text), "")
        column = next((column for column in COLUMNS if column in words), "")
        return {t.kind for t in scene.things if place in t.place and column in t.place}
    if type == "heard":
        return set(onsets)
    if type == "which":
        return {f"the {t.place.split()[1]} one" for t in scene.things if t.kind in onsets}
    if type in ("colour", "where", "way"):
        return {{"colour": t.colour, "where": t.place, "way": t.way}[type] for t in things}
    if type == "count":
        return {NUMBERS[sum(t.kind + "s" in words for t in scene.things) - 1]}
    if type == "often":
        return {TIMES[len(onsets[kinds[0]] if kinds else scene.sounds) - 1]}
    if type == "when":
        times = [t for onset in onsets.values() for t in onset] if about_sound and not kinds else None
        times = times or (onsets[kinds[0]] if about_sound else [enters[kinds[0]]])
        return {f"second {int(time)}" for time in times}
    if type == "order":
        first = {kind: min(onsets[kind]) if about_sound else enters[kind] for kind in kinds}
        return {min(first, key=lambda kind: first[kind])}
    if type == "memory":
        first = {kind: min(times) for kind, times in onsets.items()} if about_sound else enters
        last = {kind: max(times) for kind, times in onsets.items()} if about_sound else enters
        return {max(last, key=lambda kind: last[kind]) if "last" in words else min(first, key=lambda k: first[k])}
    assert type == "yesno"
    if about_sound:
        return {"yes" if kinds[0] in onsets else "no"}
    colour = next((word for word in words if word in COLOURS), "")
    return {"yes" if any(colour in t.colour for t in things) else "no"}


def test_same_seed_same_scene_and_render() -> None:
    for seed in range(12):
        one, two = make_scene(seed, "test"), make_scene(seed, "test")
        assert one == two
        first, second = toybox.render(one), toybox.render(two)
        assert np.array_equal(first.frames, second.frames)
        assert np.array_equal(first.waveform, second.waveform)
    assert len({make_scene(3, split).surroundings.seed for split in SPLITS}) == len(SPLITS)
    assert len({make_scene(seed).caption for seed in range(50)}) > 40


def test_scene_survives_json() -> None:
    for seed in range(40):
        scene = make_scene(seed, SPLITS[seed % 4])
        assert Scene.from_dict(json.loads(json.dumps(scene.to_dict()))) == scene


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_is_true_and_the_only_one(split: str) -> None:
    for seed in range(600):
        scene = make_scene(seed, split, seconds=None if seed % 3 else 1 + seed % 8)
        assert 1 <= len(scene.questions) <= 10
        assert len({question.text for question in scene.questions}) == len(scene.questions)
        for question in scene.questions:
            assert question.text.endswith("?")
            assert question.text == question.text.lower()
            assert true_answers(scene, question.type, question.text) == {question.answer}, (scene, question)


def test_timing_rules(scenes: list[Scene]) -> None:
    for scene in scenes[:1500]:
        for onsets in ([e.onset for e in scene.sounds], [t.enter for t in scene.things if t.enter > 0]):
            assert all(0.0995 <= onset % 1.0 <= 0.6005 for onset in onsets)
            assert all(after - before > 0.79 for before, after in pairwise(onsets))
        if scene.family in ("parade", "revue"):
            assert scene.things[0].leave < scene.seconds
            leaves = [thing.leave for thing in scene.things]
            assert leaves == sorted(leaves)


def test_every_type_is_common_and_balanced(scenes: list[Scene]) -> None:
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for scene in scenes:
        for question in scene.questions:
            answers[question.type][question.answer] += 1
    number = sum(counter.total() for counter in answers.values())
    assert set(answers) == set(QUESTION_TYPES)
    for type, counter in answers.items():
        least = 0.065 if type in ("which", "memory", "order", "when") else 0.042
        assert counter.total() / number > least, type
    sizes = {"which": 3, "where": 6, "way": 4, "count": 4, "often": 4, "yesno": 2, "colour": 7, "heard": 24, "seen": 24}
    for type, size in sizes.items():
        assert len(answers[type]) == size
        most = max(answers[type].values()) / answers[type].total()
        assert most < 1 / size + 0.05, type


@pytest.mark.parametrize("split", ["test", "compositional"])
def test_blind_guess_stays_low(split: str) -> None:
    figures = blind_figures(split, 500)
    highest = {"seen": 9, "heard": 9, "memory": 9, "which": 40, "colour": 26, "where": 25, "way": 34, "count": 34}
    highest |= {"often": 33, "order": 57, "when": 25, "yesno": 57, "overall": 28}
    assert set(figures) == set(highest)
    assert all(figures[type] <= highest[type] for type in highest), figures
    assert figures["order"] > 40  # the guesser may name one of the two: it must not be too weak
    assert abs(sum(type_shares(split, 200).values()) - 100) < 1e-6


def test_visible_things_tell_nothing_of_what_is_heard(scenes: list[Scene]) -> None:
    """A perfect eye that names a visible kind, or an allowed kind, is right no more often than chance."""
    hits, chances, yes = [], [], []
    for scene in scenes:
        seen = {thing.kind for thing in scene.things}
        banned = {KINDS[j] for kind in seen for j in held_out_partners(KINDS.index(kind), len(KINDS))}
        for question in scene.questions:
            if question.needs != "sound":
                continue
            assert scene.family not in ("band", "revue") or not named(question.text)
            if question.type in ("heard", "memory"):
                hits.append(len({question.answer} & seen) / len(seen))
                chances.append(1 / (len(KINDS) - len(banned)))
            if question.type == "yesno":
                assert named(question.text)[0] not in banned
                yes.append((named(question.text)[0] in seen) == (question.answer == "yes"))
    assert np.mean(hits) < 0.07
    assert np.mean(chances) < 0.07
    assert 0.44 < np.mean(yes) < 0.56


def test_sound_tells_nothing_of_what_is_seen(scenes: list[Scene]) -> None:
    """Where a visible thing sounds, nothing is asked about that thing but its colour and place."""
    for scene in scenes:
        if scene.family not in ("band", "revue"):
            continue
        kinds = {event.kind for event in scene.sounds}
        assert len(kinds) == 1
        assert kinds < {thing.kind for thing in scene.things}
        assert [thing.place.split()[1] for thing in sorted(scene.things, key=lambda t: t.x)] == list(COLUMNS)
        for question in scene.questions:
            assert question.type not in ("heard", "count", "way")
            coloured = any(colour in question.text for colour in COLOURS)
            if question.type not in ("colour", "where") and not coloured:
                assert not kinds & set(named(question.text))
            assert question.answer not in kinds


@pytest.mark.parametrize("family", FAMILIES)
def test_numbers_of_things_and_sounds_are_independent(family: str) -> None:
    """The count of one says nothing of the count of the other."""
    pairs = [(len(s.things), len(s.sounds)) for s in (make_scene(i, family=family, seconds=6) for i in range(1200))]
    things, sounds = np.array(pairs).T
    if len(set(things)) > 1:
        assert abs(np.corrcoef(things, sounds)[0, 1]) < 0.1


def test_held_out_combinations(scenes: list[Scene]) -> None:
    colours = {kind: held_out_colours(i, tuple(COLOURS)) for i, kind in enumerate(KINDS)}
    partners = {kind: {KINDS[j] for j in held_out_partners(i, len(KINDS))} for i, kind in enumerate(KINDS)}
    assert {len(names) for names in colours.values()} == {1, 2}
    assert min(Counter(name for names in colours.values() for name in names).values()) >= 4
    for scene in scenes[:1500]:
        for thing in scene.things:
            assert thing.colour not in colours[thing.kind]
            assert not partners[thing.kind] & {event.kind for event in scene.sounds}
    for seed in range(500):
        scene = make_scene(seed, "compositional")
        assert all(thing.colour in colours[thing.kind] for thing in scene.things)
        heard = {event.kind for event in scene.sounds}
        assert not heard or any(partners[thing.kind] & heard for thing in scene.things)


def test_sound_never_changes_the_picture_nor_the_other_way_round() -> None:
    scene = make_scene(4, family="band", seconds=3)
    values = scene.to_dict()
    silent, empty = Scene.from_dict(values | {"sounds": []}), Scene.from_dict(values | {"things": []})
    assert np.array_equal(toybox.render(scene).frames, toybox.render(silent).frames)
    assert np.array_equal(toybox.render(scene).waveform, toybox.render(empty).waveform)
    assert not np.array_equal(toybox.render(scene).frames, toybox.render(empty).frames)


def test_render_sizes_and_instants() -> None:
    scene = make_scene(8, seconds=3)
    clip = toybox.render(scene, height=50, width=64, frame_rate=7, sample_rate=8000)
    assert clip.frames is not None
    assert clip.frames.shape == (21, 50, 64, 3)
    assert clip.waveform is not None
    assert clip.waveform.shape == (24000,)
    assert np.array_equal(clip.frames[5], Stage(scene, 50, 64).frames(np.array([5.5 / 7]))[0])
    quiet = toybox.render(scene, with_sound=False)
    assert quiet.waveform is None
    assert toybox.render(scene, with_picture=False).frames is None


def test_things_and_sounds_appear_when_the_scene_says() -> None:
    scene = make_scene(5, family="parade", seconds=6)
    for i, thing in enumerate(scene.things):
        if thing.way:
            continue
        values = scene.to_dict()
        values["things"][i]["leave"] = thing.enter  # never seen
        instants = np.array([thing.enter - 0.05, thing.enter + 0.1])
        with_it, without = (Stage(s, 48, 72).frames(instants).astype(int) for s in (scene, Scene.from_dict(values)))
        changed = np.abs(with_it - without).max(axis=(1, 2, 3))
        assert changed[0] < 10 < 60 < changed[1]
    scene = make_scene(1, family="band", seconds=5)
    wave = toybox.render(scene).waveform
    for event in scene.sounds:
        before, after = (np.abs(wave[round(t * 16000) :][:800]).max() for t in (event.onset - 0.05, event.onset))
        assert after > 2 * before


@pytest.mark.parametrize("ending", [".mp4", ".webm"])
def test_written_file_has_both_streams_and_the_right_length(ending: str, tmp_path) -> None:
    scene = make_scene(2, "test", seconds=2)
    path = toybox.write_file(scene, tmp_path / f"scene{ending}", height=96, width=130, frame_rate=12)
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0)) / container.streams.audio[0].rate
        assert abs(container.duration / 1e6 - 2) < 0.15
    assert len(pictures) == 24
    assert pictures[0].shape == (96, 130, 3)
    assert abs(samples - 2) < 0.15
    wanted = toybox.render(scene, 96, 130, 12).frames
    assert np.abs(wanted[7].astype(int) - pictures[7]).mean() < 12
    with pytest.raises(MediaError, match=r"\.avi"):
        toybox.write_file(scene, tmp_path / "scene.avi")


def test_contact_sheet_and_demo() -> None:
    scene = toybox.demo_scene()
    assert [question.type for question in scene.questions] == ["often", "colour", "which", "order", "memory"]
    assert {question.needs for question in scene.questions} == {"sound", "picture", "both"}
    assert scene.split == "test"
    assert scene.seconds == 8
    sheet = toybox.contact_sheet(scene, columns=5, width=500)
    assert sheet.size[0] >= 500
    assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 500


def save_damaged(path: Path) -> None:
    """Two seconds of noise as MP3, a tenth of it bytes that mean nothing."""
    rng = np.random.default_rng(0)
    frame = av.AudioFrame.from_ndarray(rng.uniform(-0.5, 0.5, (1, 32_000)).astype("f"), format="fltp", layout="mono")
    frame.sample_rate = 16_000
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame", rate=16_000, layout="mono")
        cut = av.AudioResampler(format="fltp", layout="mono", rate=16_000, frame_size=576)
        for part in [*cut.resample(frame), *cut.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    half, tenth = len(data) // 2, len(data) // 10
    data[half : half + tenth] = rng.integers(0, 256, tenth, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    with av.open(str(path)) as container, pytest.raises(av.FFmpegError):
        list(container.decode(audio=0))


def test_asset_pack_takes_the_place_of_drawn_things(tmp_path) -> None:
    rng = np.random.default_rng(0)
    for i in range(12):
        for folder in ("pictures", "sounds"):
            (tmp_path / folder / f"kind{i}").mkdir(parents=True)
        picture = np.full((30, 20 + i, 4), 255, np.uint8)
        picture[..., :3] = rng.integers(0, 255, 3)
        Image.fromarray(picture).save(tmp_path / "pictures" / f"kind{i}" / "a.png")
        wave = (np.sin(np.arange(9000) * 0.02 * (i + 1)) * 20000).astype(np.int16)
        with av.open(str(tmp_path / "sounds" / f"kind{i}" / "a.wav"), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=22050, layout="mono")
            frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            frame.sample_rate = 22050
            container.mux(stream.encode(frame))
    tagged = tmp_path / "sounds" / "kind0" / "a.wav"  # by an artist whose name is not UTF-8
    tag = b"INFOIART" + struct.pack("<I", 4) + b"Jos\xe9"
    data = tagged.read_bytes()
    at = data.index(b"data")
    data = data[:at] + b"LIST" + struct.pack("<I", len(tag)) + tag + data[at:]
    tagged.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    assert np.abs(AssetPack(tmp_path).sound("kind0", rng)).max() == 1
    save_damaged(tmp_path / "sounds" / "kind1" / "a.mp3")
    (tmp_path / "sounds" / "kind1" / "a.wav").unlink()
    assert 14_000 < len(AssetPack(tmp_path, longest=2.0).sound("kind1", rng)) < 31_000, "the damaged part is left out"
    (tmp_path / "captions").mkdir()
    (tmp_path / "captions" / "kind3.txt").write_text("something third\n")
    pack = AssetPack(tmp_path)
    assert len(pack.world.kinds) == 12
    captions = ""
    for seed in range(30):
        scene = make_scene(seed, world=pack.world, seconds=2)
        captions += scene.caption
        assert not {question.type for question in scene.questions} & {"colour"}
        clip = toybox.render(scene, pack=pack)
        assert clip.frames.shape == (8, 48, 72, 3)
        assert not scene.sounds or np.abs(clip.waveform).max() > 0.1
    assert "something third" in captions
    with pytest.raises(MediaError, match="asset pack"):
        AssetPack(tmp_path / "nowhere")


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="found 'trian'"):
        make_scene(0, "trian")
    with pytest.raises(ValueError, match="found 9"):
        make_scene(0, seconds=9)
    with pytest.raises(ValueError, match="found 'zoo'"):
        make_scene(0, family="zoo")
