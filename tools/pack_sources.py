"""What tools/make_pack.py takes from which package: places, names that mean the same, and what is left out.

The tables were made by looking at the pictures and names; a wrong label is worse than one picture fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

QABCS = "usr/share/qabcs/abcs/all"
GCOMPRIS = "unpacked/gcompris/src/activities"
CLIP_ART = "usr/share/openclipart/png"
SCRATCH = "usr/share/scratch/Media"
SCRATCH_PICTURES = ("Animals", "Things", "Fantasy", "Transportation")
WIDELANDS = "usr/share/games/widelands/data/sound"
HELD_OUT = "tuxpaint-stamps-default"


@dataclass(frozen=True)
class Package:
    """`places`: folders inside it and what their files are: "pictures", "sounds" or "both", named by the kind;
    "clip-art", where the longest run of words that names a kind with a sound decides; "emoji", named by a table; "by
    hand" as in BY_HAND. `version`: of a package of npm or PyPI; one of Debian otherwise. `big`: left out by --light."""

    sha256: str
    megabytes: float
    places: tuple[tuple[str, str], ...]
    version: str = ""
    big: bool = False


PACKAGES = {
    "qabcs-data": Package(
        "3484da4cf258e6f3a39a1fc99bbfcaddfd679cff96a8fa792f261ab0a2bf9d86", 34, (
            *((f"{QABCS}/pics/{part}", "pictures") for part in ("animals", "instrument", "toys", "misc")),
            (f"{QABCS}/noises", "sounds"),
        ),
    ),
    "gcompris-qt-data": Package(
        "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f", 44, (
            (f"{GCOMPRIS}/explore_farm_animals/resource", "both"),
            (f"{GCOMPRIS}/instruments/resource", "both"),
            (f"{GCOMPRIS}/lang/resource/words_sample", "pictures"),
        ),
    ),
    "scratch": Package(
        "36c582eb93110f64f06c4e685c41e933ccba2fa68db12f79b10bfe840b21fc10", 26, (
            *((f"{SCRATCH}/Costumes/{part}", "pictures") for part in SCRATCH_PICTURES),
            *((f"{SCRATCH}/Sounds/{part}", "sounds") for part in ("Animal", "Instruments", "Percussion", "Effects")),
        ),
    ),
    "pysiogame": Package(
        "6b22766dfd8ef3a046c2665fe2598ac8a1ecee3d331bda38accf53de65bc59bf", 16,
        (("usr/share/games/pysiogame/res/images/art4apps", "pictures"),),
    ),
    "openclipart-png": Package(
        "f07f1545a2970c2cf3fa339bc2405da1a95cf2b1827bfa05bf73eb1c20291c02", 131,
        tuple((f"{CLIP_ART}/{part}", "clip-art") for part in (
            "animals", "recreation/music", "recreation/toys", "transportation/vehicles", "tools",
        )),
    ),
    "openmoji": Package(
        "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68", 4,
        (("package/data/openmoji.json", "emoji"), ("package/color/svg", "")), "17.0.0",
    ),
    "emoji-datasource-twitter": Package(
        "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877", 62,
        (("package/emoji.json", "emoji"), ("package/img/twitter/64", "")), "16.0.0",
    ),
    "widelands-data": Package(
        "0e23d645b15bcfb9e3bcae0de9bc1bdfa75a6ecb36b2e449759d6eb0b4bbd8fb", 381,
        tuple((f"{WIDELANDS}/{part}", "sounds") for part in ("animals", "farm", "hammering", "atlanteans/saw")),
        big=True,
    ),
    "anything2image": Package(
        "959f367977888eece3fa3660236d31f316a10901c45f52004b545af25d3ea3d2", 13,
        (("anything2image/assets/wav", "by hand"),), "1.1.4",
    ),
    "lincity-ng-data": Package(
        "8f5e85bd42879abdc7099b035d7a3d7468eceb6b93b52a12270c28f3f3c792f9", 45,
        (("usr/share/games/lincity-ng/sounds", "by hand"),),
    ),
    "micropolis-data": Package(
        "8d30b1cd0eb340f42ae71ea596a28bbdd57111afa1f381755d8c445a5e8e7b5c", 2.5,
        (("usr/share/games/micropolis/res/sounds", "by hand"),),
    ),
    "sonic-pi-samples": Package(
        "25f2312d2fae005e6ad0f4726b8ed3084e776006a5a132083506e960224ac79d", 22,
        (("usr/share/sonic-pi/samples", "by hand"),),
    ),
    "sound-icons": Package(
        "cbb7defa9cab0c86c9151e72c6c8a99a0ed21d244bc4c7cffdde7a0e4d9fa5b3", 0.5,
        (("usr/share/sounds/sound-icons", "by hand"),),
    ),
    HELD_OUT: Package(
        "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34", 161,
        tuple((f"usr/share/tuxpaint/stamps/{part}", "both") for part in (
            "animals", "hobbies", "household", "people", "plants", "sports", "town", "vehicles", "space", "food",
            "naturalforces", "clothes", "medical", "military", "seasonal/halloween",
        )),
    ),
}  # fmt: skip
# More sounds, without kinds, that tools/make_lessons.py lets a teacher hear: all that lie in these.
LESSONS = {
    "megaglest-data": Package("ed4783d9fc78e201a548b266f7c30325eb16cfd58a20bf4597dd6e622f84a07e", 242, ()),
    "scorched3d-data": Package("b0be0a6d561966a62b1f135e0e6f5681c85f12e34ecad5777cb1af9fbcb7f1da", 32, ()),
    "lugaru-data": Package("6a25e8d2d7c2d94b7873669d1f52137b2ba56e86ba5c2f08fefeacd65e526023", 34, ()),
    "pekka-kana-2-data": Package("41dce7c9c204f2ee2517e338239a8c7a4097aa4c4e4473941ce199edf4da7a06", 5, ()),
    "lmms-common": Package("7d9aa55dd05f11edc57104203ee1c350e3e41f8936ab3741da2bb1158fd46c37", 8, ()),
}
RESOURCES = ("explore_farm_animals", "instruments", "lang")  # files of gcompris to unpack
# Files whose name misleads, or that are drawn in a way that does not show the kind.
WRONG = {
    "qabcs-data": "cymbals horn",  # a dulcimer; a bulb horn among French horns
    "scratch": "button Horse SeaLion",  # no coat button; Horse.wav is also in widelands; a man groans
    "widelands-data": "crickets2_00",  # crickets1_00 again
    "openclipart-png": (
        "toy_paper_plane_01 sleeping_bear_under_sta_01 sleeping_bear_under_sta_02 sleeping_bear_under_sta_03 "
        "simple_teddy_bear_gerald_01 simple_teddy_bear_with__01 stylized_teddy_bear_gera_01 stylized_teddy_bear_wit_01 "
        "stylized_teddy_bear_wit_02 cani_e_gatti_cat_and_do_01 cat_scrathing_post_benji_01 clown_loach_01 dolphin_01 "
        "nodding_donkey_kevin_cow_01 duck_yellow_ii_kurt_cagl_ giraffe_cichlid_01 bass_guitar_a.j._ashton_ "
        "pollo_architetto_frances_01 unit_blocks_lion_kimbro_01 piano_keys_jonathan_diet_01 piano_theory__ganson "
        "piano_theory_ganson1 spider_sword_celso_junio_01 ragno_figo_architetto_fr_01 butterfly_from_star_thom_01 "
        "trumpet_harmon_mute__ganson trumpet_straight_mute_ganson trumpet_herald__ganson turkey_on_platter_01 "
        "rubber_duck1_ganson rubber_duck2_ganson rubber_ducks_ganson paint_brush_costea_bogda_01 "
        "paint_brush_linda_kim_01 paint_roller_banner_gera_01 paint_roller_border_gera_01 paint_roller_gerald_g._01 "
        "paint_roller_wall_gerald_01 shelby_cobra_blueprint_i_01 shelby_cobra_car_bluepr_"
    ),
    HELD_OUT: "cats/cartoon/lion electronics/mouse",
}
# package -> kind -> names of its sounds
BY_HAND = {
    "anything2image": {
        "bird": "bird_audio", "car": "car_audio", "cat": "cat", "cow": "cattle", "dog": "dog_audio",
        "fire truck": "fire_engine", "motorcycle": "motorcycle", "airplane": "plane",
    },
    "lincity-ng-data": {"train": "RailTrain1 RailTrain2 RailTrain3", "rocket": "RocketTakeoff1"},
    "micropolis-data": {"duck": "quack"},
    "sonic-pi-samples": {
        "crow": "misc_crow", "piano": "ambi_piano", "bass drum": "drum_bass_hard",
        "cymbals": "drum_cymbal_hard drum_cymbal_open drum_splash_soft",
        "snare drum": "drum_snare_hard drum_snare_soft", "electric guitar": "guit_e_fifths guit_e_slide guit_em9",
        "drums": "loop_amen loop_amen_full loop_breakbeat", "bell": "perc_bell",
    },
    "sound-icons": {
        "trumpet": "trumpet-12", "piano": "piano-3", "cello": "violoncello-7",
        "xylophone": "xylofon", "bird": "canary-long",
    },
}  # fmt: skip
DROPPED = {
    "badger", "camel", "mountaingoat", "dreidel", "christmas tree", "umbrella", "ear", "apollo lander", "bathyscape",
    "checkered flag", "final roll call", "ghost", "no uturn", "xanthia", "xing ped", "xing school", "apple",
}  # wrong, double, or jokes  # fmt: skip
POSES = "left right up down flying sitting standing lying front back side small big open closed photo cartoon"
SYNONYMS = {
    "rooster": "cock gallo", "hen": "chicken chickens chick pollo", "duck": "drake quack", "goose": "gander geese",
    "cow": "cows calf cattle vacca", "sheep": "lamb ram ewe baa pecora",
    "cat": "kitten meow blackcat kitty gatto gattina",
    "dog": "puppy pug bulldog beagle", "horse": "pony foal cavallo", "chimpanzee": "chimp", "hippopotamus": "hippo",
    "cricket": "crickets", "owl": "gufo", "bear": "orso ours", "mouse": "topo", "frog": "rana",
    "spider": "ragno ragnetto",
    "toucan": "tucan",  # codespell:ignore tucan
    "rhea": "nandou", "wild boar": "boar", "deer": "doe stag fawn", "reindeer": "caribou", "tiger": "tigre",
    "lion": "lioness leone", "drums": "drum drumkit", "cymbals": "cymbal", "cello": "violoncello", "airplane": "plane",
    "fire truck": "firetruck", "bicycle": "bike bicicletta", "wolf": "wolfhowl", "elephant": "elefante",
    "grasshopper": "cavalletta", "turkey": "tacchino", "snail": "lumaca", "ladybug": "coccinella",
    "tractor": "trattore",
    "magnet": "calamita", "saw": "sega benchsaw sawing", "hammer": "hammering",
}  # fmt: skip
LONG_SYNONYMS = {
    "lion cub": "lion", "little monkey": "monkey", "drum set": "drums", "drum kit": "drums", "grand piano": "piano",
    "flute traversiere": "flute", "western concert flute": "flute", "cymbal crash": "cymbals", "ride cymbal": "cymbals",
    "drum tomtom floor": "tom drum", "floor tom drum": "tom drum", "fire engine": "fire truck", "wolf howl": "wolf",
    "mallet metal": "mallet", "metal mallet": "mallet", "eagle owl": "owl", "heron greatblue": "heron",
    "sheep lamb": "sheep", "pair of scissors": "scissors", "guitar strum": "guitar", "bell toll": "bell",
    "geologist hammer": "hammer", "steam locomotive": "train", "grass hopper": "grasshopper",
    "motorcycle passing": "motorcycle", "car passing": "car",
}  # fmt: skip
SAME = {other: kind for kind, others in SYNONYMS.items() for other in others.split()} | LONG_SYNONYMS
# What the sentences of tuxpaint put before a noun.
ADJECTIVES = "brown colorful black white tamworth sumatran european red blue green great crash large electric pink"
