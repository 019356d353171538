"""What the rows of sound and clip lists, of STAR, LongVideoBench and TGIF-QA mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from annotation_samples import LONG, STAR, samples

from mirasol.data.annotations import Annotations, MediaFolder, read_annotations, to_items


@pytest.fixture
def read(tmp_path: Path):
    def of(kind: str, text: str = "", **beside: str) -> Annotations:
        name, sample, _ = samples()[kind]
        for other, content in beside.items():
            (tmp_path / other.replace("__", ".")).write_text(content)
        (tmp_path / name).write_text(text or sample)
        return read_annotations(tmp_path / name)

    return of


def test_star_keeps_its_span_and_choices(read, tmp_path: Path) -> None:
    bare = {**STAR, "question_id": "Sequence_T1_2", "choices": [], "answer": " The food. "}
    found = read("STAR", json.dumps([STAR, bare]))
    row, open_row = found.rows
    assert (row.options, row.correct) == (("The blanket.", "The table.", "The closet."), 2)
    assert (row.start, row.end, row.films, row.files) == (11.1, 19.6, ("6H78U",), ())
    assert (row.type, row.split) == ("Interaction", "val")
    assert (open_row.options, open_row.answers, open_row.type) == ((), ("The food.",), "Sequence")
    assert "1 of 2 questions have no options" in found.notes[0]
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "6H78U.mp4").touch()
    (item,) = to_items(found, MediaFolder(tmp_path / "films"))
    assert (item.start, item.end) == (11.1, 19.6)
    assert item.pairs == ((STAR["question"], "The closet."), (STAR["question"], "The food."))
    with pytest.raises(ValueError, match="answer among the 3 options"):
        read("STAR", json.dumps([{**STAR, "answer": "The dog."}]))


def test_longvideobench_reads_its_correct_choice(read) -> None:
    for kind in ("LongVideoBench", "LongVideoBench spread"):
        (row,) = read(kind).rows
        assert (row.options, row.correct, row.answers) == (("x", "y"), 1, ("y",))
        assert (row.files, row.key, row.type) == (("86CxyhFV9MI.mp4",), "86CxyhFV9MI_0", "S2E")
    (row,) = read("LongVideoBench", json.dumps([{k: v for k, v in LONG.items() if k != "correct_choice"}])).rows
    assert (row.correct, row.answers) == (None, ())


def test_tgif_with_its_tabs_and_quotes(read) -> None:
    (row,) = read("TGIF-QA action").rows
    assert (row.question, row.options[1]) == ('What does "he, it" do 2 times ?', "fall, over")
    assert (row.correct, row.answers, row.type, row.key) == (3, ("talk",), "action", "ACTION4")
    assert (row.files, row.split) == (("tumblr_nk1_250",), "test")
    (row,) = read("TGIF-QA FrameQA").rows
    assert (row.question, row.answers, row.type) == ('what is in "it ?', ("cookie",), "object")
    (row,) = read("TGIF-QA count").rows
    assert (row.answers, row.type) == (("3",), "count")


def test_audioset_with_and_without_names(read) -> None:
    found = read("AudioSet")
    first, second = found.rows
    assert (first.answers, first.many, first.split) == (("/m/068hy", "/m/07q6cd_"), True, "test")
    assert (second.start, second.end, second.films) == (20.0, 30.0, ("--BfvyPmVMo",))
    assert {"--BfvyPmVMo_000020", "--BfvyPmVMo_20000_30000", "Y--BfvyPmVMo"} <= set(second.files)
    names = 'index,mid,display_name\n0,/m/03l9g,Hammer\n1,/m/068hy,"Domestic animals, pets"\n2,/m/07q6cd_,Squeak\n'
    named = read("AudioSet", class_labels_indices__csv=names)
    assert named.rows[0].target == "Domestic animals, pets, Squeak"
    assert named.labels == ("Hammer", "Domestic animals, pets", "Squeak")
    with pytest.raises(ValueError, match="'mid'"):
        read("AudioSet", class_labels_indices__csv="index,code,display_name\n0,/m/03l9g,Hammer\n")


def test_sounds_and_their_labels(read) -> None:
    (row,) = read("ESC-50").rows
    assert (row.files, row.answers, row.more) == (("1-100032-A-0.wav",), ("dog",), {"fold": "1"})
    (row,) = read("UrbanSound8K").rows
    assert row.files == ("fold5/100032-3-0-0.wav", "100032-3-0-0.wav")  # a slice, before the recording it is from
    assert (row.films, row.start, row.end, row.answers) == (("100032",), 0.0, 0.317551, ("dog_bark",))
    head = "filename,fold,target,category,esc10,src_file,take\n"
    found = read("ESC-50", head + "a.wav,1,7,cow,True,1,A\nb.wav,2,3,dog,True,1,A\n")
    assert found.labels == ("dog", "cow")  # by their numbers
    with pytest.raises(ValueError, match="one number for the class"):
        read("ESC-50", head + "a.wav,1,7,cow,True,1,A\nb.wav,2,7,dog,True,1,A\n")


def test_captions_are_a_row_each(read) -> None:
    (row,) = read("AudioCaps").rows
    assert (row.question, row.answers, row.key) == (None, ("Rustling occurs, ducks quack",), "97151")
    assert (row.start, row.end, row.films, row.split) == (130.0, 140.0, ("vfY_TJq7n_U",), "val")
    assert "vfY_TJq7n_U_130" in row.files
    found = read("Clotho")
    assert [row.answers[0] for row in found.rows] == ["A machine", "Someone whines", "A person", "An engine", "A motor"]
    assert {row.files for row in found.rows} == {("Santa Motor.wav",)}
    assert found.splits() == {"test": 5}


def test_classes_of_clips_by_path_list_or_number(read) -> None:
    found = read("UCF101", classInd__txt="1 Archery\n2 TaiChi\n")
    assert [row.answers[0] for row in found.rows] == ["Archery", "TaiChi"]
    assert found.rows[0].files == ("Archery/v_Archery_g08_c01.avi",)
    assert (found.splits(), read("UCF101 test").rows[0].answers) == ({"train": 2}, ("Archery",))
    assert read("UCF101 frames").rows[0].answers == ("Archery",)
    found = read("HMDB51")
    assert [(row.answers, row.split) for row in found.rows] == [(("brush_hair",), "train"), (("brush_hair",), "test")]
    assert "skipped 1 clips marked 0" in found.notes[0]


def test_videomae_lists_with_names_beside_them(read, tmp_path: Path) -> None:
    plain = read("VideoMAE")
    assert [row.answers[0] for row in plain.rows] == ["3", "5"]
    assert "no names of the classes" in plain.notes[0]
    assert [row.files[0] for row in read("VideoMAE, blanks").rows] == ["my clips/video 1.mp4", "my clips/video 2.mp4"]
    assert "number of frames" in read("VideoMAE, frames").notes[-1]
    folders = read("VideoMAE", "dog/1.mp4 0\ncat/2.mp4 1\ndog/3.mp4 0\n")
    assert [row.answers[0] for row in folders.rows] == ["dog", "cat", "dog"]
    names = "id,name\n3,tai chi\n5,air drumming\n"
    assert [row.answers[0] for row in read("VideoMAE", labels__csv=names).rows] == ["tai chi", "air drumming"]
    assert read("clips and words").rows[0].answers == ("a dog, barking",)
    (tmp_path / "labels.csv").unlink()
    lines = "".join(f"{name}\n" for name in ("a", "b", "c", "d", "e", "f"))
    assert [row.answers[0] for row in read("VideoMAE", label_map__txt=lines).rows] == ["d", "f"]
    with pytest.raises(ValueError, match="class numbers of the list"):
        read("VideoMAE", label_map__txt="a\nb\n")


def test_numbers_of_classes_have_a_limit(read) -> None:
    with pytest.raises(ValueError, match="class number below 100,000"):
        read("Kinetics-Sounds", f"-3Mwkq-7TV4_2,10,{10**12}\n")
