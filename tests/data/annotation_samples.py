"""A small file of each format, as its authors publish it: name of the file, content, the format that it is."""

from __future__ import annotations

import json
from typing import Any

TALK = [{"from": "human", "value": "<video>\nWhat is it?"}, {"from": "gpt", "value": "a dog"}]
MESSAGES = [{"role": "user", "content": "<video>Who?"}, {"role": "assistant", "content": "A girl"}]
NEXT = "video,frame_count,width,height,question,answer,qid,type"
EPIC = "annotation_id,participant_id,video_id,start_timestamp,stop_timestamp,start_sample,stop_sample"
EGO = {"q_uid": "01-ab", "google_drive_id": "x", "question": "what does c do?", "option 0": "sings", "option 1": "eats"}
TASK = {"task_domain": "U", "task_type": "Audio", "question": "who?", "answer": "B", "candidates": ["A. x", "B. y"]}
STAR = {
    "question_id": "Interaction_T1_13", "question": "Which object was tidied up?", "video_id": "6H78U", "start": 11.1,
    "end": 19.6, "answer": "The closet.", "question_program": [], "situations": {},
    "choices": [{"choice_id": n, "choice": text, "choice_program": []} for n, text in
                enumerate(("The blanket.", "The table.", "The closet."))],
}  # fmt: skip
LONG = {
    "video_id": "86CxyhFV9MI", "question": "who walks?", "question_wo_referring_query": "who?",
    "candidates": ["x", "y"], "correct_choice": 1, "position": [3, 9], "topic_category": "t",
    "question_category": "S2E", "level": "L1", "id": "86CxyhFV9MI_0", "video_path": "86CxyhFV9MI.mp4",
    "subtitle_path": "86CxyhFV9MI_en.json",
    "duration_group": 60, "starting_timestamp_for_subtitles": 0, "duration": 30.0,
    "view_count": 7,
}  # fmt: skip
AUDIOSET = (
    "# Segments csv created Sun Mar  5 10:54:31 2017\n# num_ytids=2, num_segs=2\n"
    "# YTID, start_seconds, end_seconds, positive_labels\n"
    '--4gqARaEJE, 0.000, 10.000, "/m/068hy,/m/07q6cd_"\n--BfvyPmVMo, 20.000, 30.000, "/m/03l9g"\n'
)
TGIF_CHOICE = (
    "gif_name\tquestion\ta1\ta2\ta3\ta4\ta5\tanswer\tvid_id\tkey\n"
    "tumblr_nk1_250\tWhat does \"he, it\" do 2 times ?\tsit\tfall, over\tflap\ttalk\twalk\t3\tACTION4\t26\n"
)  # fmt: skip


def samples() -> dict[str, tuple[str, str, str]]:
    """What it is -> (file name, content, format)."""
    found: dict[str, tuple[str, Any, str]] = {
        "NExT-QA": ("val.csv", f"{NEXT},a0,a1,a2,a3,a4\n057,9,3,2,who runs,1,6,CH,1,a cat,two,0,x\n", "next-qa"),
        "NExT-OE": ("val.csv", f"{NEXT}\n3233088823,462,640,480,how is it,from the cabin,3,CH\n", "next-oe"),
        "MSRVTT-QA": ("val_qa.json", [{"answer": "couch", "category_id": 14, "id": 1, "question": "what is it?",
                                       "video_id": 6513}], "msrvtt-qa"),
        "MSRVTT-QA lines": ("t.jsonl", '{"answer":"couch","question":"what?","video_id":"video6513",'
                            '"answer_type":"what"}\n', "msrvtt-qa"),
        "MSRVTT-QA just-ask": ("t.csv", "question,answer,category_id,video_id,id,type\nwhat?,couch,14,6513,1,0\n",
                               "msrvtt-qa"),
        "MSVD-QA": ("t.json", [{"answer": "nut", "id": 0, "question": "what?", "video_id": 2}], "msvd-qa"),
        "MSVD-QA HQGA": ("t.csv", "video,width,height,question,answer,qid\n2,480,360,what is it,nut,17\n", "msvd-qa"),
        "questions": ("t.csv", "video_id,question,answer\nmy film,what is it,nut\n", "questions"),
        "ActivityNet-QA": ("x.json", [{"video_name": "1QI", "question": "is it", "question_id": "v_1QI_3"}],
                           "activitynet-qa"),
        "ActivityNet-QA in one": ("x.json", [{"video_name": "1QI", "question": "is it", "question_id": "v_1QI_3",
                                              "answer": "no", "type": 3}], "activitynet-qa"),
        "MUSIC-AVQA": ("avqa-val.json", [{
            "video_id": "00000108", "question_id": 10, "type": '["Audio", "Comparative"]', "question_deleted": 0,
            "question_content": "Is the <Object> loud?", "templ_values": '["guzheng"]', "anser": "yes"}], "music-avqa"),
        "AVQA": ("test.json", [{"id": 183, "video_name": "-HG3_000030", "video_id": 341, "question_text": "What?",
                                "multi_choice": ["boat", "sail"], "answer": 1, "question_relation": "View",
                                "question_type": "Happening"}], "avqa"),
        "Daily-Omni": ("qa.json", [{
            "Question": "Which?", "Choice": ["A. dog", "B. cat"], "Answer": "B", "video_id": "x", "Type": "Event",
            "content_parent_category": "a", "content_fine_category": "b", "video_category": "c",
            "video_duration": "30s"}], "daily-omni"),
        "WorldSense": ("w.json", {"AbC": {"video_id": "AbC", "domain": "Music", "task0": TASK}}, "worldsense"),
        "WorldSense list": ("w.json", [{**TASK, "index": 7, "video_path": "v/AbC.mp4", "subtitle_path": "s/AbC.srt",
                                        "duration": "60s", "audio_class": ["Speech"]}], "worldsense"),
        "Video-MME": ("v.json", [{
            "video_id": "001", "duration": "short", "domain": "K", "sub_category": "H", "url": "u", "videoID": "fFj",
            "question_id": "001-1", "task_type": "C", "question": "when?", "options": ["A. x", "B. y"],
            "answer": "B"}], "video-mme"),
        "EgoSchema": ("questions.json", [EGO], "egoschema"),
        "EgoSchema by uid": ("fullset.json", {"01-ab": {**EGO, "truth": 1}}, "egoschema"),
        "OmniBench": ("o.jsonl", json.dumps({
            "index": 0, "task type": "t", "audio type": "a", "question": "Who?", "options": ["dog", "cat"],
            "answer": "cat", "audio_path": "a.wav", "image_path": "a.png", "audio content": "c", "image content": "d",
        }) + "\n", "omnibench"),
        "STAR": ("STAR_val.json", [STAR], "star"),
        "LongVideoBench": ("lvb_val.json", [LONG], "longvideobench"),
        "LongVideoBench spread": ("lvb.json", [{
            **{name: LONG[name] for name in LONG if name != "candidates"}, "option0": "x", "option1": "y",
            "option2": "N/A"}], "longvideobench"),
        "TGIF-QA action": ("Test_action_question.csv", TGIF_CHOICE, "tgif-qa"),
        "TGIF-QA FrameQA": ("Test_frameqa_question.csv", "gif_name\tquestion\tanswer\ttype\tvid_id\tkey\tdescription\n"
                            "tumblr_no7_250\twhat is in \"it ?\tcookie\t0\tFRAMEQA1159\t27138\ta cookie, white .\n",
                            "tgif-qa"),
        "TGIF-QA count": ("Test_count_question.csv", "gif_name\tquestion\tanswer\tvid_id\tkey\n"
                          "tumblr_nez_250\tHow many times ?\t3\tCOUNT12\t52\n", "tgif-qa"),
        "MVBench": ("action.json", [{"video": "1.mp4", "question": "q?", "candidates": ["x", "y"], "answer": "y",
                                     "start": 1.5, "end": 9.0}], "video-choices"),
        "StreamingBench": ("q.json", [{"time": "[0:00:00 - 0:01:00]", "video_categories": "L", "video_path": "./v.mp4",
                                       "questions": [{
            "task_type": "t", "question": "q?", "time_stamp": "00:00:50", "answer": "B", "options": ["A. x", "B. y"],
            "required_ability": "r"}]}], "streamingbench"),
        "OVO-Bench": ("o.json", [{"id": 1, "task": "EPM", "video": "a.mp4", "realtime": 30.5, "question": "q?",
                                  "options": ["x", "y"], "answer": "y", "gt": 1}], "ovo-bench"),
        "LLaVA": ("l.json", [{"id": 1, "video": "x.mp4", "conversations": TALK}], "llava"),
        "messages": ("m.jsonl", json.dumps({"messages": MESSAGES, "videos": ["4.mp4"]}) + "\n", "messages"),
        "ms-swift": ("m.jsonl", '{"query": "<video>Who?", "response": "A girl", "videos": ["4.mp4"]}\n', "messages"),
        "VideoChat": ("c.json", [{"video": "a/1.mp4", "QA": [{"q": "who?", "a": "a dog"}]}], "messages"),
        "Video-ChatGPT": ("c.json", [{"q": "who runs?", "a": "a dog", "video_id": "v_x1"}], "messages"),
        "VGGSound": ("vggsound.csv", '---g-f_I2yQ,1,"people, marching",test\n', "vggsound"),
        "VGGSound test": ("test.csv", "glLQrEijrKg_000300.mp4,playing hammond organ\r\n", "vggsound"),
        "VGGSounder": ("v.csv", "video_id,label,modality,background_music,static_image,voice_over\n"
                       "--i_000000,singing,AV,False,False,True\n", "vggsounder"),
        "class list": ("stat.csv", '"bird chirping, tweeting",1050,animals\n', "class-list"),
        "class list, AudioSet": ("class_labels_indices.csv", 'index,mid,display_name\n0,/m/09x0r,"Speech, man"\n',
                                 "class-list"),
        "Kinetics-400": ("k.csv", 'label,youtube_id,time_start,time_end,split,is_cc\n"air drumming",_db,40,50,val,0\n',
                         "kinetics-400"),
        "Kinetics-Sounds": ("my_train.txt", "--4-0ihtnBU_000058_000068,10,4\n-3Mwkq-7TV4_2,10,23\n", "kinetics-sounds"),
        "EPIC-SOUNDS": ("EPIC_Sounds_train.csv", f"{EPIC},description,class,class_id\nP01_11_0,P01,P01_11,00:00:02.069,"
                        "00:00:02.993,49656,71832,clang,ceramic collision,34\n", "epic-sounds"),
        "EPIC-SOUNDS test": ("e.csv", f"{EPIC}\nP02_0,P02,P02_106,00:00:03.855,00:00:04.142,9,9\n", "epic-sounds"),
        "AudioSet": ("eval_segments.csv", AUDIOSET, "audioset"),
        "AudioSet JSON": ("a.json", {"data": [{"video_id": "--4", "wav": "/x/--4.flac", "labels": "/m/0"}]},
                          "audioset-json"),
        "ESC-50": ("esc50.csv", "filename,fold,target,category,esc10,src_file,take\n"
                   "1-100032-A-0.wav,1,0,dog,True,100032,A\n", "esc-50"),
        "UrbanSound8K": ("UrbanSound8K.csv", "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
                         "100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark\n", "urbansound8k"),
        "AudioCaps": ("val.csv", "audiocap_id,youtube_id,start_time,caption\n"
                      '97151,vfY_TJq7n_U,130,"Rustling occurs, ducks quack"\n', "audiocaps"),
        "Clotho": ("clotho_captions_evaluation.csv", "file_name,caption_1,caption_2,caption_3,caption_4,caption_5\n"
                   "Santa Motor.wav,A machine,Someone whines,A person,An engine,A motor\n", "clotho"),
        "UCF101": ("trainlist01.txt", "Archery/v_Archery_g08_c01.avi 1\nTaiChi/v_TaiChi_g08_c02.avi 2\n", "ucf101"),
        "UCF101 test": ("testlist01.txt", "Archery/v_Archery_g01_c01.avi\n", "ucf101"),
        "UCF101 frames": ("x.csv", "v_Archery_g01_c01,120,2\n", "ucf101"),
        "HMDB51": ("brush_hair_test_split1.txt", "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1 \nbrush_2.avi 2 \n"
                   "Aussie_Brunette_2.avi 0 \n", "hmdb51"),
        "VideoMAE": ("val.csv", "clips/video_0001.mp4,3\nclips/video_0002.mp4,5\n", "clip-list"),
        "VideoMAE, blanks": ("val.csv", "my clips/video 1.mp4 3\nmy clips/video 2.mp4 5\n", "clip-list"),
        "VideoMAE, frames": ("val.csv", "ssv2/frames/74225 120 3\nssv2/frames/116154 88 5\n", "clip-list"),
        "clips and words": ("mine.csv", 'clips/1.mp4,"a dog, barking"\nclips/2.mp4,rain\n', "clip-list"),
    }  # fmt: skip
    return {
        kind: (name, content if isinstance(content, str) else json.dumps(content), format)
        for kind, (name, content, format) in found.items()
    }
