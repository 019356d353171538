"""Tables for `fuzz_seeds`: name -> {file: a text, or a value that becomes JSON}. The first file is the one that is
read. Rows are made up, in the forms in which data sets are published; media are a.mp4, a.wav and a.jpg.
"""

from __future__ import annotations

from typing import Any

Files = dict[str, Any]

QA = {"answer": "couch", "category_id": 14, "id": 158581, "question": "what is it?", "video_id": 1}
TALK = [{"from": "human", "value": "<video>\nWhat is it?"}, {"from": "gpt", "value": "a dog"}]
SAID = [{"role": "user", "content": "<video>Who?"}, {"role": "assistant", "content": "A girl"}]
CHOICES = [{"choice_id": 0, "choice": "The blanket."}, {"choice_id": 1, "choice": "The table."}]
TASK = {"task_domain": "Understanding", "task_type": "Audio", "question": "who sings?", "answer": "B",
        "candidates": ["A. a man", "B. a bird", "C. both"]}  # fmt: skip
TIMED = {"task_type": "t", "question": "q?", "time_stamp": "00:00:01", "answer": "B", "options": ["A. x", "B. y"]}

MANIFESTS: dict[str, Files] = {
    "jsonl": {"data.jsonl": '{"file": "films/a.mp4", "start": 0.5, "end": 1.5, "prompt": "what?", "target": "a dog"}\n'
                            '{"video": "films/a.mp4", "audio": "films/a.wav", "caption": "a bell"}\n'
                            '{"image": "films/a.jpg", "pairs": [{"question": "who?", "answer": "a cat"}]}\n'
                            '{"prompt": "say it", "target": "text alone"}\n'},
    "csv": {"data.csv": "file,start,end,question,answer\nfilms/a.mp4,0,1,what is it?,a dog\n"
                        'films/a.wav,,,"who, then?",a bell\nfilms/a.jpg,,,,a cat\n'},
    "tsv": {"data.tsv": "video\tcaption\nfilms/a.mp4\ta dog barks\nfilms/a.wav\ta bell\n"},
    "hf csv": {"metadata.csv": "file_name,text\nfilms/a.mp4,a dog\nfilms/a.wav,rain\n"},
    "hf jsonl": {"metadata.jsonl": '{"file_name": "films/a.mp4", "text": "a dog"}\n'
                                   '{"file_name": "films/a.wav", "text": "rain"}\n'},
}  # fmt: skip

ANNOTATIONS: dict[str, Files] = {
    "next-qa": {"val.csv": "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n"
                           "a,9,3,2,who runs,2,6,CH,one,a dog,a cat,two,none\na,9,3,2,how many,4,7,CH,0,2,4,3,1\n"},
    "next-oe": {"test.csv": "video,frame_count,width,height,question,answer,qid,type\na,1,2,3,where,house,2,DL\n",
                "add_reference_answer_test.json": {"a": {"2": "home"}}},
    "music-avqa": {"avqa-val.json": [{"video_id": "a", "question_id": 7, "type": '["Audio-Visual", "Existential"]',
                                      "question_content": "Is the <Object> playing?", "templ_values": '["ukulele"]',
                                      "question_deleted": 0, "anser": "yes"}]},
    "activitynet-qa": {"val_q.json": [{"video_name": "a", "question": "is it indoor", "question_id": "v_a_2"}],
                       "val_a.json": [{"answer": "yes", "type": 3, "question_id": "v_a_2"}]},
    "msrvtt-qa": {"val_qa.json": [QA, {**QA, "id": 2}]},
    "msrvtt-qa lines": {"val.jsonl": '{"answer":"couch","question":"what is it?","video_id":"video1"}\n' * 3},
    "msvd-qa": {"test_qa.json": [{"answer": "nut", "id": 0, "question": "what is it?", "video_id": 2}],
                "youtube_mapping.txt": "-4wsuPCjDBc_5_15 vid1\na vid2\n"},
    "vggsound": {"vggsound.csv": '---g-f_I2yQ,1,people marching,test\na,0,"bird, tweeting",train\n',
                 "stat.csv": '"bird, tweeting",3,4\npeople marching,3,4\n'},
    "vggsounder": {"vggsounder.csv": "video_id,label,modality,background_music,static_image,voice_over\n"
                                     "a,child singing,AV,False,False,True\n--i_000000,piano,A,False,False,True\n"},
    "kinetics": {"k4.csv": "label,youtube_id,time_start,time_end,split,is_cc\nair drumming,a,0,1,val,0\n"},
    "kinetics-sounds": {"train.txt": "--4-0ihtnBU_000058_000068,10,4\n-3Mwkq-7TV4_2,10,23\n"},
    "epic-sounds": {"EPIC_Sounds_validation.csv":
                    "annotation_id,participant_id,video_id,start_timestamp,stop_timestamp,start_sample,stop_sample,"
                    "description,class,class_id\nP01_11_0,P01,a,00:00:00.069,00:00:01.993,1656,47832,clang,ceramic,34\n"},
    "audioset json": {"data.json": {"data": [{"video_id": "a", "wav": "/x/a.flac", "video_path": "/x/frames/",
                                              "labels": "/m/0,/m/1"}]},
                      "class_labels_indices.csv": 'index,mid,display_name\n0,/m/0,"Speech, man"\n1,/m/1,Dog\n'},
    "audioset csv": {"eval_segments.csv": "# Segments csv created Sun Mar  5 10:54:25 2017\n# num_ytids=2\n"
                                          "# YTID, start_seconds, end_seconds, positive_labels\n"
                                          'a, 0.000, 2.000, "/m/02qldy,/m/02zsn"\n--4g, 0.000, 10.000, "/m/0"\n'},
    "llava": {"llava.json": [{"id": 1, "video": "a.mp4", "conversations": TALK}, {"id": 2, "conversations": TALK}]},
    "messages": {"m.jsonl": '{"messages": [{"role": "user", "content": "<video>Who?"}, {"role": "assistant", '
                            '"content": "A girl"}], "videos": ["a.mp4"]}\n' * 2},
    "messages list": {"m.json": [{"messages": SAID, "videos": ["a.mp4"], "audios": ["a.wav"]}]},
    "swift": {"s.json": [{"query": "<video>Who?", "response": "A girl", "videos": ["a.mp4"],
                          "history": [["a?", "b"]]}]},
    "videochat": {"v.json": [{"video": "a.mp4", "QA": [{"i": "Look.", "q": "who?", "a": "a dog"}]}]},
    "sharegpt4video": {"s.jsonl": '{"video_id": "a", "video_path": "a.mp4", "timestamp": ["0"], "captions": '
                                  '[{"idx": "1", "content": "a part"}, {"idx": "-1", "content": "all of it"}]}\n'},
    "mixture": {"mixture.yaml": "datasets:\n  - json_path: x/talk.json\n    sampling_strategy: 'first:50%'\n",
                "talk.json": [{"id": n, "video": "a.mp4", "conversations": TALK} for n in range(4)]},
    "avqa": {"test.json": [{"id": 183, "video_name": "a", "video_id": 341, "question_text": "What?", "answer": 1,
                            "multi_choice": ["boat", "1", "sail"], "question_relation": "View", "question_type": "H"}]},
    "daily-omni": {"test.json": [{"Question": "Which?", "Choice": ["A. dog", "B. cat"], "Answer": "B", "video_id": "a",
                                  "Type": "Event"}]},
    "omnibench": {"test.json": [{"question": "Who?", "options": ["dog", "cat"], "answer": "cat", "image_path": "a.jpg",
                                 "audio_path": "a.wav", "task type": "t", "index": 0}]},
    "egoschema": {"questions.json": [{"q_uid": "a", "google_drive_id": "x", "question": "what does c do?",
                                      "option 0": "sings", "option 1": "walks", "option 2": "eats"}],
                  "subset_answers.json": {"a": 2}},
    "worldsense": {"worldsense_qa.json": {"a": {"video_id": "a", "domain": "Music", "task0": TASK, "task1": TASK}}},
    "ovo-bench": {"ovo.json": [{"id": 1, "task": "EPM", "video": "a.mp4", "realtime": 1.5, "question": "q?",
                                "options": ["x", "y"], "gt": 1},
                               {"id": 2, "task": "REC", "video": "a.mp4", "activity": "jump",
                                "test_info": [{"realtime": 1, "count": 0}, {"realtime": 2, "count": 2}]},
                               {"id": 3, "task": "CRR", "video": "a.mp4", "question": "who?", "ask_time": 1,
                                "clue_time": 2, "test_info": [{"realtime": 1, "type": 0}]}]},
    "streamingbench": {"questions_real.json": [{"video_path": "./a.mp4", "questions": [TIMED]}]},
    "star": {"STAR_val.json": [{"question_id": "Interaction_T1_13", "question": "Which object was tidied up?",
                                "video_id": "a", "start": 0.1, "end": 1.6, "answer": "The table.", "situations": {},
                                "question_program": [], "choices": CHOICES}]},
    "longvideobench": {"lvb_val.json": [{"video_id": "a", "id": "a_0", "video_path": "a.mp4", "question": "what?",
                                         "candidates": ["one", "two"], "correct_choice": 1, "duration": 2.0,
                                         "question_category": "T2E", "position": [1, 2], "duration_group": 15,
                                         "starting_timestamp_for_subtitles": 0}]},
    "ucf101": {"trainlist01.txt": "Archery/a.avi 1\nArchery/v_Archery_g01_c01.avi 1\n",
               "classInd.txt": "1 Archery\n2 Bowling\n"},
    "hmdb51": {"a_test_split1.txt": "a.avi 1\nb.avi 2 \n"},
    "videomae": {"train.csv": "a.mp4 3\nb.mp4 5\n"}, "videomae commas": {"train.csv": "clips/a.mp4,3\nclips/b.mp4,5\n"},
    "tgif-qa": {"Test_frameqa_question.csv": "gif_name\tquestion\tanswer\ttype\tvid_id\tdescription\n"
                                             "a\twhat does it hold ?\tball\t0\tFRAMEQA1\ta man with a ball\n"},
    "audiocaps": {"val.csv": "audiocap_id,youtube_id,start_time,caption\n97151,a,0,A dog barks\n"
                             "97152,b,30,Rain falls\n"},
    "clotho": {"clotho_captions_evaluation.csv": "file_name,caption_1,caption_2,caption_3,caption_4,caption_5\n"
                                                 "a.wav,rain,it rains,wet,water falls,drops\n"},
    "esc-50": {"esc50.csv": "filename,fold,target,category,esc10,src_file,take\na.wav,1,0,dog,True,100032,A\n"},
    "urbansound8k": {"UrbanSound8K.csv": "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
                                         "a.wav,100032,0.0,0.317551,1,5,3,dog_bark\n"},
}  # fmt: skip

PREDICTIONS: dict[str, Files] = {
    "next-oe": {"predictions.json": {"a": {"2": "home"}}, **ANNOTATIONS["next-oe"]},
    "next-qa": {"predictions.json": {"a_6": {"prediction": 2, "answer": 2}}, **ANNOTATIONS["next-qa"]},
    "activitynet-qa": {
        "predictions.json": [{"question_id": "v_a_2", "answer": "yes"}],
        **ANNOTATIONS["activitynet-qa"],
    },
    "avqa": {"predictions.json": {"183": "sail"}, **ANNOTATIONS["avqa"]},
}
