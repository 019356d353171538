"""Formats of which no real file is at hand, by rows as their authors publish them, and files that are not in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mirasol.data.annotations import Annotations, MediaFolder, Row, read_annotations, to_items
from mirasol.data.annotations.check import check


@pytest.fixture
def read(tmp_path: Path):
    def write(name: str, content: Any, **beside: Any) -> Annotations:
        for other, value in {name: content, **beside}.items():
            other = other.replace("__", ".")
            data = value if isinstance(value, (str, bytes)) else json.dumps(value)
            (tmp_path / other).write_bytes(data.encode() if isinstance(data, str) else data)
        return read_annotations(tmp_path / name)

    return write


def only(annotations: Annotations) -> Row:
    (row,) = annotations.rows
    return row


MSRVTT = {
    "answer": "couch",
    "category_id": 14,
    "id": 158581,
    "question": "what are three people sitting on?",
    "video_id": 6513,
}


def test_msrvtt_four_forms_give_one_row(read) -> None:
    rows = [
        only(read("val_qa.json", [MSRVTT])),
        only(read("val.jsonl", '{"answer":"couch","question":"what are three people sitting on?",'
                  '"video_id":"video6513","answer_type":"what"}\n')),
        only(read("val.csv", "question,answer,category_id,video_id,id,type\r\n"
                  "what are three people sitting on?,couch,14,6513,158581,0\r\n")),
        only(read("hqga.csv", "video,question,answer,qid,type\n"
                  "6513,what are three people sitting on?,couch,158581,3\n")),
    ]  # fmt: skip
    for row in rows:
        assert (row.question, row.answers, row.type, row.split) == (MSRVTT["question"], ("couch",), "what", "val")
        assert row.files[0] == "video6513"


def test_msvd_names_of_youtube(read) -> None:
    found = read(
        "test_qa.json", [{"answer": "nut", "id": 0, "question": "what is it?", "video_id": 2}],
        youtube_mapping__txt="-4wsuPCjDBc_5_15 vid1\n-7KMZQEsJW4_205_208 vid2\n",
    )  # fmt: skip
    assert (found.format, only(found).files[:2]) == ("msvd-qa", ("vid2", "-7KMZQEsJW4_205_208"))
    head = "video,width,height,question,answer,qid\n"
    found = read("hqga.csv", head + "2,480,360,what is it,nut,17\n1451,480,360,who is it,man,18\n")
    assert (found.format, found.splits()) == ("msvd-qa", {"train": 1, "test": 1})
    assert (found.rows[0].key, found.rows[0].files[:2]) == ("17", ("vid2", "-7KMZQEsJW4_205_208"))
    found = read("hqga.csv", head + "27138,245,185,what is it,nut,FRAMEQA1159\n")  # TGIF-QA has the same columns
    assert (found.format, only(found).files) == ("manifest", ("27138",))


def test_vggsound_whole_list(read) -> None:
    text = '\ufeff---g-f_I2yQ,1,people marching,test\r\n--0PQM4-hqg,30,"bird chirping, tweeting",train\r\n'
    found = read("vggsound.csv", text)
    assert [row.key for row in found.rows] == ["---g-f_I2yQ_000001", "--0PQM4-hqg_000030"]
    assert found.rows[1].answers == ("bird chirping, tweeting",)
    assert found.splits() == {"test": 1, "train": 1}


def test_vggsounder_joins_the_labels_of_a_film(read) -> None:
    head = "video_id,label,modality,background_music,static_image,voice_over\n"
    lines = "--i_000000,child singing,AV,False,False,True\n--i_000000,piano,A,False,False,True\n-x_000007,dog,V,True,"
    found = read("vggsounder.csv", head + lines + "False,False\n")
    assert [row.answers for row in found.rows] == [("child singing", "piano"), ("dog",)]
    assert found.rows[0].more == {
        "modality": {"child singing": "AV", "piano": "A"}, "background_music": False, "static_image": False,
        "voice_over": True,
    }  # fmt: skip
    assert found.rows[1].target == "dog"


def test_kinetics_forms(read) -> None:
    old = read("k4.csv", 'label,youtube_id,time_start,time_end,split,is_cc\n"air drumming",_dbcJuKJQNs,40,50,val,0\n')
    new = read("k7.csv", "label,youtube_id,time_start,time_end,split\ntestifying,---QUuC4vJs,84,94,validate\n")
    test = read("kt_test.csv", "youtube_id,time_start,time_end,split\n---QUuC4vJs,84,94,test\n")
    assert (old.format, only(old).files, only(old).split) == ("kinetics-400", ("_dbcJuKJQNs_000040_000050",), "val")
    assert (new.format, only(new).films, only(new).split) == ("kinetics-700", ("---QUuC4vJs",), "val")
    assert (only(test).answers, only(test).split) == ((), "test")
    lines = "youtube_id,time_start,time_end,split\n---QUuC4vJs,84,94,test\n"
    for name, format in (("kinetics-400_test.csv", "kinetics-400"), ("k600_val.csv", "kinetics-600"),
                         ("x4001.csv", "kinetics-700")):  # fmt: skip
        assert read(name, lines).format == format
    many = "".join(f"label {n},---QUuC4vJs,{n},{n + 10},val\n" for n in range(600))
    assert read("val.csv", "label,youtube_id,time_start,time_end,split\n" + many).format == "kinetics-600"


def test_kinetics_sounds_numbers(read) -> None:
    found = read("my_train.txt", "--4-0ihtnBU_000058_000068,10,4\n-3Mwkq-7TV4_2,10,23\n")
    assert [row.answers[0] for row in found.rows] == ["dribbling basketball", "shoveling snow"]
    assert [row.files for row in found.rows] == [
        ("--4-0ihtnBU_000058_000068",), ("-3Mwkq-7TV4_2", "-3Mwkq-7TV4_000002_000012")
    ]  # fmt: skip
    assert [(row.films, row.start, row.end) for row in found.rows][1] == (("-3Mwkq-7TV4",), 2.0, 12.0)
    other = read("other.txt", "abcdefghi-k_1,10,33\n")
    assert len(other.labels) == 34
    assert "do not fit" in other.notes[0]


def test_audioset_json_with_and_without_names(read) -> None:
    data = {"data": [{"video_id": "--4g", "wav": "/x/--4g.flac", "video_path": "/x/frames/", "labels": "/m/0,/m/1"}]}
    assert only(read("data.json", data)).answers == ("/m/0", "/m/1")
    names = 'index,mid,display_name\n0,/m/0,"Male speech, man speaking"\n1,/m/1,Dog\n'
    row = only(read("data.json", data, class_labels_indices__csv=names))
    assert (row.answers, row.many, row.sound) == (("Male speech, man speaking", "Dog"), True, "/x/--4g.flac")
    assert row.files[0] == "/x/frames/frame_5/--4g.jpg"
    assert only(read("ast.json", {"data": [{"wav": "/y/b.wav", "labels": "/m/1"}]})).media == "b"
    commented = '# a sample, some entries are not necessary\n {"data": [{"wav": "/y/b.wav", "labels": "/m/1"}]}'
    assert only(read("ast.json", commented)).answers == ("Dog",)


TALK = [{"from": "human", "value": "<video>\nWhat is it?"}, {"from": "gpt", "value": "a dog"}]


@pytest.mark.parametrize(
    ("media", "files", "sound"),
    [
        ({"video": "videos/x.mp4"}, ("videos/x.mp4",), None),
        ({"image": "i/x.jpg"}, ("i/x.jpg",), None),
        ({"audio": "audio/x.wav"}, (), "audio/x.wav"),
        ({"video": "x.mp4", "audio": "x.wav"}, ("x.mp4",), "x.wav"),
        ({"video": ["i/x.jpg"]}, ("i/x.jpg",), None),
        ({"video": "x.mp4", "use_audio": True}, ("x.mp4",), None),
    ],
)
def test_llava_variants(read, media: dict[str, Any], files: tuple[str, ...], sound: str | None) -> None:
    for tag in ("<video>", "<image>", "<audio>"):
        talk = [{**TALK[0], "value": f"{tag}\nWhat is it?"}, TALK[1], *TALK]
        found = read("llava.json", [{"id": 1, **media, "conversations": talk}, {"conversations": TALK}])
        first, again, text = found.rows
        assert (first.files, first.sound, first.question, first.answers) == (files, sound, "What is it?", ("a dog",))
        assert again.files == files
        assert (text.names, text.sound) == ((), None)


def test_shorter_lists_of_questions_and_captions(read) -> None:
    chat = [{"video": "a/1.mp4", "QA": [{"i": "Look well.", "q": "who?", "a": "a dog"}, {"q": "where?", "a": "here"}]},
            {"image": "2.jpg", "QA": [{"i": "Describe it.", "q": "", "a": "a cat"}]}]  # fmt: skip
    found = read("videochat.json", chat)
    assert [(row.question, row.target) for row in found.rows] == [
        ("Look well. who?", "a dog"), ("where?", "here"), ("Describe it.", "a cat")
    ]  # fmt: skip
    assert [row.files for row in found.rows] == [("a/1.mp4",), ("a/1.mp4",), ("2.jpg",)]
    row = only(read("videochatgpt.json", [{"q": "who runs?", "a": "a dog", "video_id": "v_x1"}]))
    assert (row.files, row.question, row.answers) == (("v_x1",), "who runs?", ("a dog",))
    shared = {"video_id": "x1", "video_path": "panda/x1.mp4", "timestamp": ["0"], "zip_folder": "panda_1.zip",
              "captions": [{"idx": "1", "content": "a part"}, {"idx": "-1", "content": "all of it"}]}  # fmt: skip
    row = only(read("sharegpt4video.jsonl", json.dumps(shared) + "\n" + json.dumps({**shared, "captions": []}) + "\n"))
    assert (row.files, row.question, row.answers) == (("panda/x1.mp4",), None, ("all of it",))


@pytest.mark.parametrize(
    ("word", "media"), [("text", {"image_url": {"url": "d/1.jpg"}}), ("value", {"value": "d/1.jpg"})]
)
def test_parts_of_a_message(read, word: str, media: dict[str, Any]) -> None:
    asked = {"role": "user", "content": [{"type": "image_url", **media}, {"type": "text", word: "Who?"}]}
    said = {"role": "assistant", "content": [{"type": "text", word: "A girl"}]}
    row = only(read("m.jsonl", json.dumps({"messages": [asked, said]}) + "\n"))
    assert (row.files, row.question, row.answers) == (("d/1.jpg",), "Who?", ("A girl",))


def test_what_has_no_answers_is_no_list_of_classes(read, tmp_path: Path) -> None:
    preferences = {"conversations": [{"from": "human", "value": "who?"}], "chosen": {"from": "gpt", "value": "a dog"}}
    assert read("dpo.json", [preferences]).rows == ()
    assert "nothing in it has an answer" in check(tmp_path / "dpo.json").advice[0]
    read("labels.csv", "index,mid,display_name\n0,/m/0,Dog\n")
    assert "list of classes" in check(tmp_path / "labels.csv").advice[0]


@pytest.mark.parametrize("name", ["m.json", "m.jsonl"])
def test_messages_and_shorter_forms(read, name: str) -> None:
    talk = [{"role": "system", "content": "x"}, {"role": "user", "content": "<video><audio>Who?"},
            {"role": "assistant", "content": "A girl"}]  # fmt: skip
    rows = [
        {"messages": talk, "videos": ["d/4.mp4"], "audios": ["d/4.mp3"]},
        {"query": "<video>Who?", "response": "A girl", "videos": ["d/4.mp4"], "history": [["a?", "b"]]},
        {"system": "x", "conversation": [{"human": "Who?", "assistant": "A girl"}]},
        {"query": "Who?", "response": "A girl", "history": None},
    ]
    for row in rows:
        text = json.dumps([row, row]) if name == "m.json" else json.dumps(row) + "\n" + json.dumps(row) + "\n"
        found = read(name, text)
        assert (found.rows[-1].question, found.rows[-1].answers) == ("Who?", ("A girl",))
        assert len({one.key for one in found.rows}) == len(found.rows)
    with pytest.raises(ValueError, match="as many <video> as files"):
        read("m.json", [{"messages": talk, "videos": ["a.mp4", "b.mp4"]}])


def test_mixture_shares(read) -> None:
    talk = [{"id": n, "video": f"{n}.mp4", "conversations": TALK} for n in range(7)]
    text = "datasets:\n" + "".join(
        f"  - json_path: elsewhere/talk.json\n    sampling_strategy: '{share}'\n"
        for share in ("all", "first:50%", "end:3", "random:2")
    )
    found = read("mixture.yaml", text, talk__json=talk)
    assert len(found.rows) == 7 + 4 + 3 + 2
    assert [row.files[0] for row in found.rows[11:14]] == ["4.mp4", "5.mp4", "6.mp4"]
    assert found == read("mixture.yaml", text)


def test_choices_however_the_answer_is_given(read) -> None:
    avqa = {"id": 183, "video_name": "-HG3_000030", "video_id": 341, "question_text": "What happened?",
            "multi_choice": ["boat", "1", "sail"], "answer": 1, "question_relation": "View",
            "question_type": "Happening"}  # fmt: skip
    daily = {"Question": "Which?", "Choice": ["A. dog", "B. cat", "C. cow"], "Answer": "B", "video_id": "x",
             "Type": "Event"}  # fmt: skip
    omni = {"question": "Who?", "options": ["dog", "cat", "cow"], "answer": "cat", "image_path": "a.png",
            "audio_path": "a.wav", "task type": "t", "index": 0}  # fmt: skip
    for one, options in ((avqa, ("boat", "1", "sail")), (daily, ("dog", "cat", "cow")), (omni, ("dog", "cat", "cow"))):
        row = only(read("test.json", [one]))
        assert (row.options, row.correct, row.answers) == (options, 1, (options[1],))
    with pytest.raises(ValueError, match="answer among the 3 options"):
        read("test.json", [{**daily, "Answer": "D"}])


@pytest.mark.parametrize(
    ("options", "answer", "read_as", "text"),
    [
        (["A. dog", "", "B. cat", "C. cow", " "], "C", ("dog", "cat", "cow"), "cow"),
        (["A. dog", "B. cat that", "sat.", "C. cow"], "C", ("dog", "cat that sat.", "cow"), "cow"),
        (["A. dog", "C. cow", "B. cat"], "B", ("dog", "cow", "cat"), "cat"),
        (["A. dog", "B. cat", "B. cow", "D. hen"], "B", ("dog", "cat", "cow", "hen"), "cat"),
        (["A.dog", "cat", "cow"], "B", ("A.dog", "cat", "cow"), "cat"),
        (["J. Doe", "A. Roe"], "B", ("J. Doe", "A. Roe"), "A. Roe"),
    ],
)
def test_lettered_options_that_are_not_in_order(read, options, answer, read_as, text) -> None:
    one = {"task_type": "t", "question": "q?", "time_stamp": "00:00:50", "answer": answer, "options": options}
    row = only(read("questions_omni.json", [{"video_path": "./v.mp4", "questions": [one]}]))
    assert (row.options, row.answers) == (read_as, (text,))


EGO = [
    {"q_uid": uid, "google_drive_id": "x", "question": "what does c do?", "option 0": "sings", "option 1": "walks",
     "option 2": "eats"}
    for uid in ("01-ab", "02-cd", "03-ef")
]  # fmt: skip


def test_egoschema_questions_and_the_answers_beside_them(read, tmp_path: Path) -> None:
    alone = read("questions.json", EGO)
    assert (alone.format, len(alone.rows), alone.rows[0].answers) == ("egoschema", 3, ())
    assert "does not lie beside" in alone.notes[0]
    both = read("questions.json", EGO, subset_answers__json={"02-cd": 2, "03-ef": 0})
    assert both.splits() == {"test": 1, "subset": 2}
    assert [row.answers for row in both.rows] == [(), ("eats",), ("sings",)]
    assert (both.rows[1].key, both.rows[1].files, both.rows[1].correct) == ("02-cd", ("02-cd",), 2)
    assert read_annotations(tmp_path / "subset_answers.json") == both
    by_uid = read("fullset.json", {"01-ab": {**EGO[0], "truth": 1}})
    assert (by_uid.format, only(by_uid).answers) == ("egoschema", ("walks",))
    listed = {"video_idx": "v", "question_idx": "1", "question": "q?", "option": ["A. x", "B. y"], "answer": "1"}
    assert only(read("test.json", [listed])).answers == ("y",)
    (tmp_path / "questions.json").unlink()
    with pytest.raises(ValueError, match=r"holds the answers alone; put the questions"):
        read_annotations(tmp_path / "subset_answers.json")


def test_worldsense_by_film_and_as_a_list(read) -> None:
    tasks = [{"task_domain": "Understanding", "task_type": kind, "question": "who sings?", "answer": "B",
              "candidates": ["A. a man", "B. a bird", "C. both"]} for kind in ("Audio", "Scene")]  # fmt: skip
    film = {"video_id": "AbC", "domain": "Music", "video_duration": "60s", "task0": tasks[0], "task1": tasks[1]}
    found = read("worldsense_qa.json", {"AbC": film, "xY-": {**film, "task1": None}})
    assert (found.format, [row.key for row in found.rows]) == ("worldsense", ["AbC/task0", "AbC/task1", "xY-/task0"])
    assert found.types() == {"Audio": 2, "Scene": 1}
    assert (found.rows[2].files, found.rows[2].answers) == (("videos/xY-.mp4",), ("a bird",))
    row = only(read("list.json", [{**tasks[0], "index": 7, "video_path": "videos/AbC.mp4"}]))
    assert (row.key, row.answers) == ("7", ("a bird",))


def test_streams_state_when_they_ask(read) -> None:
    choice = {"id": 1, "task": "EPM", "video": "a.mp4", "realtime": 30.5, "question": "q?", "options": ["x", "y"],
              "gt": 1}  # fmt: skip
    count = {"id": 2, "task": "REC", "video": "a.mp4", "activity": "jump",
             "test_info": [{"realtime": 3, "count": 0}, {"realtime": 9, "count": 2}]}  # fmt: skip
    clue = {"id": 3, "task": "CRR", "video": "b.mp4", "question": "who?", "ask_time": 5, "clue_time": 8,
            "test_info": [{"realtime": 6, "type": 0}]}  # fmt: skip
    found = read("ovo_bench_new.json", [choice, count, clue])
    mixed = {**choice, "options": ["A. x", "C. z", "B. y"]}  # `gt` is a place, whatever the letters
    assert only(read("ovo_bench_new.json", [mixed])).target == "z"
    assert [(row.at, row.target) for row in found.rows] == [(30.5, "y"), (3.0, "0"), (9.0, "2"), (6.0, "no")]
    film = {"video_path": "./videos/s_2.mp4", "questions": [
        {"task_type": "t", "question": "q?", "time_stamp": "00:00:50", "answer": "B", "options": ["A. x", "B. y"]}
    ]}  # fmt: skip
    proactive = {"video_path": "./v.mp4", "questions": [{
        "task_type": "p", "question": "when?", "time_stamp": "0:01", "ground_truth_time_stamp": "00:01:10",
        "ground_truth_output": "goal"}]}  # fmt: skip
    for value in ([film], [[film]]):
        row = only(read("questions_real.json", value))
        assert (row.at, row.target, row.correct) == (50.0, "y", 1)
    assert only(read("questions_proactive.json", [proactive])).more == {"due": 70.0}
    film["questions"][0]["audio_path"] = "./audio/real/sample_2_00_00_50.wav"  # the question, spoken
    row = only(read("questions_real_stream.json", [film]))
    assert (row.sound, row.more) == (None, {"spoken": "./audio/real/sample_2_00_00_50.wav"})


def test_next_qa_with_the_answer_as_text(read) -> None:
    head = "video_id,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n"
    found = read(
        "val.csv", head + "057,9,3,2,who runs,a cat,6,CH,1,a dog,a cat,two,0\n058,9,3,2,how many,1,7,CH,0,2,4,3,1\n"
    )
    assert [(row.media, row.key, row.correct) for row in found.rows] == [("057", "057_6", 2), ("058", "058_7", 4)]
    assert (found.format, found.rows[0].answers) == ("next-qa", ("a cat",))


def test_second_references(read) -> None:
    text = (
        "video,frame_count,width,height,question,answer,qid,type\n057,1,2,3,where,house,2,DL\n058,1,2,3,who,man,2,DO\n"
    )
    found = read("test.csv", text, add_reference_answer_test__json={"057": {"2": "home"}})
    assert [row.answers for row in found.rows] == [("house", "home"), ("man",)]
    assert found.rows[0].media == "057"
    found = read("test.csv", text, add_reference_answer_test__json={"057": {"2": " home \n", "1": " "}})
    assert [row.answers for row in found.rows] == [("house", "home"), ("man",)]
    for wrong in ("[1]", '{"057": '):
        with pytest.raises(ValueError, match="add_reference_answer_test"):
            read("test.csv", text, add_reference_answer_test__json=wrong)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", "x,y\n1\n", "expected 2 fields in row 2"),
        ("a.json", '[{"a": 1}', "no whole JSON"),
        ("a.jsonl", '{"query": "a", "response": "b"}\n{"query"\n', "line 2"),
        ("a.json", [{"what": 1}], "no known format"),
        ("a.json", "version https://git-lfs\noid\n", "is no JSON: expected a list or an object, found 'version"),
        ("a.csv", "# nothing but this\n", "comments alone"),
        ("a.json", [MSRVTT, None], "expected objects in 'every row'"),
        ("k.csv", "youtube_id,time_start,time_end,split\n---QUuC4vJs,84,1e400,test\n", "'time_end' as a number"),
        ("a.json", [{"video_path": "a.mp4", "questions": None}], "expected a list for 'questions'"),
        ("a.json", [{"id": 1, "task": "REC", "video": "a.mp4", "test_info": [3]}], "expected objects in 'test_info'"),
        ("a.json", [{"question": "who?", "options": ["a", "b"], "answer": "b", "image_path": "a.png"}],
         "expected the field 'audio_path'"),
        ("a.json", [{"conversations": ["hello", "you"]}], "expected objects in 'conversations or messages'"),
        ("a.json", [{"query": "a", "response": "b"}, {"query": "a"}], "'response'"),
        ("a.yaml", "datasets:\n  - json_path: /x/gone.json\n    sampling_strategy: all\n", "neither there nor beside"),
        ("a.json", b"\xff\xfe", "UTF-8"),
        ("a.json", "  \n", "empty"),
        ("a.json", [MSRVTT, {**MSRVTT, "answer": None}], "'answer'"),
        ("avqa-val.json", [{"video_id": "1", "question_id": 1, "type": "__import__('os').system('x')",
                            "question_content": "?", "templ_values": "[]", "anser": "yes"}], "expected a list"),
        ("v.csv", "id,5,\"a\"b,test\n", "no CSV"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(read, name: str, content: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line) as error:
        read(name, content)
    assert "\n" not in str(error.value)


def test_doubled_ids_are_numbered(read) -> None:
    found = read("val_qa.json", [MSRVTT, MSRVTT])
    assert [row.key for row in found.rows] == ["158581", "158581#2"]
    assert "more than once" in found.notes[0]


def test_media_are_found_inside_their_folder_alone(read, tmp_path: Path) -> None:
    films = tmp_path / "films"
    for name in ("sub/video6513.webm", "---QUuC4vJs_000084_000094.mp4", "---full.mp4", "tracks/x.wav"):
        (films / name).parent.mkdir(parents=True, exist_ok=True)
        (films / name).touch()
    (tmp_path / "secret.mp4").touch()
    folder = MediaFolder(films)
    (item,) = to_items(read("val_qa.json", [MSRVTT]), folder)
    assert (item.media, item.pairs) == (str(films / "sub/video6513.webm"), ((MSRVTT["question"], "couch"),))
    kinetics = "label,youtube_id,time_start,time_end,split\nc,---QUuC4vJs,84,94,val\nd,---full,3,13,val\n"
    cut, whole = to_items(read("k.csv", kinetics), folder)
    assert (cut.start, cut.end, whole.start, whole.end) == (None, None, 3.0, 13.0)
    for name in ("../secret.mp4", "/etc/../secret", str(tmp_path / "secret.mp4")):
        assert folder.find(Row("1", name, (name,), None, ("x",))) is None
    asked = tuple(Row(str(at), "f", ("---full",), "q", ("a",), at=at) for at in (2.0, 5.0, 2.0))
    items = to_items(Annotations("ovo-bench", asked), folder)
    assert [(item.end, len(item.pairs)) for item in items] == [(2.0, 2), (5.0, 1)]
    sound = folder.find(Row("1", "x", ("gone.mp4",), None, ("x",), sound="/a/b/tracks/x.flac"))
    assert sound is not None
    assert sound.media == str(films / "tracks/x.wav")
    assert folder.find(Row("1", "x", (), "why?", ("x",))).media is None  # type: ignore[union-attr]
