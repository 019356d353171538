"""Which public Git repositories tools/clone_media.py takes photographs and recordings from, and how they name kinds.

Labels are those of the repositories: of each a sheet of pictures was looked at, and YAMNet asked what it hears (folders
of spoken words are not taken). Many state no licence: to learn from and to compare, not to hand on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# The kinds that pack/train and pack/held_out of tools/make_pack.py both have.
NAMES = (
    "bear,cat,cello,chimpanzee,cow,crow,cymbals,deer,dog,dolphin,donkey,drums,duck,elephant,ferret,fire truck,frog,"
    "goose,grasshopper,hammer,hen,heron,horse,koala,lion,mouse,owl,pig,quetzal,rooster,saw,sheep,spider,squirrel,"
    "tiger,violin,vulture,whale,zebra"
)
KINDS = frozenset(NAMES.split(","))


@dataclass(frozen=True)
class Clone:
    """`commit`: what was looked at. `pictures`, `sounds`: folders, or "" for all of it. `name`: what of a file's name
    says the kind; where that says none, its folder does. `names`: words that mean a kind here. `last`: the last word
    names the kind. `licence`: as the repository states it."""

    commit: str
    pictures: tuple[str, ...] = ()
    sounds: tuple[str, ...] = ()
    name: str = "(.+)"
    names: dict[str, str] = field(default_factory=dict)
    last: bool = False
    licence: str = "none stated"


CLONES = {
    "EliSchwartz/imagenet-sample-images": Clone(  # one photograph of each class of ImageNet
        "bc69043e2862758a1906c6a24a792bb28c6bb2ff", ("",), name=r"n\d+_(.+)", names={
            "african elephant": "elephant", "indian elephant": "elephant", "tusker": "elephant",
            "brown bear": "bear", "american black bear": "bear", "ice bear": "bear", "sloth bear": "bear",
            "tabby": "cat", "tiger cat": "cat", "persian cat": "cat", "siamese cat": "cat", "egyptian cat": "cat",
            "drake": "duck", "red breasted merganser": "duck", "black footed ferret": "ferret", "polecat": "ferret",
            "bullfrog": "frog", "tree frog": "frog", "tailed frog": "frog", "little blue heron": "heron",
            "american egret": "heron", "sorrel": "horse", "great grey owl": "owl", "hog": "pig", "ram": "sheep",
            "black and gold garden spider": "spider", "barn spider": "spider", "garden spider": "spider",
            "wolf spider": "spider", "black widow": "spider", "tarantula": "spider", "fox squirrel": "squirrel",
            "grey whale": "whale", "killer whale": "whale", "ox": "cow", "mouse": "",  # that of a computer
        },
    ),
    "ajschumacher/imagen": Clone(  # five of each of 200 classes
        "2e8718956e3bb046db9a8e488c2254fd9846b6c5", ("imagen",), name=r"n\d+_\d+_(.+)",
        names={"domestic cat": "cat", "koala bear": "koala", "swine": "pig"},
    ),
    "InputBlackBoxOutput/popular-animals-dataset": Clone(
        "0b73f02386d05f0126b0f33759bc7c795396768a", ("",), licence="MIT",
    ),
    "MachineLearning2020/Homework2-Caltech101": Clone(
        "836044dd000296b2bb74d0aa4b4e462e459b01d7", ("101_ObjectCategories",), licence="Caltech-101: CC-BY-4.0",
    ),
    "MachineLearning2020/Homework3-PACS": Clone("d586a6cf3db84896fb6cc465c7bf51bdaf6d65d8", ("PACS/photo",)),
    "aizadaaskar/dl-homework": Clone("e1f4d1754dd7503f5ccf911da8d22ee8f987ef36", ("train",)),  # instruments
    "Sparcraps/Gob-Game-of-Bird": Clone(
        "b57177b4f7db9f4ef5df8c13c2a425d49e732610", ("valid",), last=True, names={"tasmanian hen": "", "tit mouse": ""},
    ),
    "abhi1991/toddleranimals": Clone(
        "be328b1e4c17d74b5d6d032d9034e977852948be", ("images/animals",), ("audio/sounds",), licence="MIT",
    ),
    "ecarrupt/AnimalSounds": Clone(
        "39bd4c4decdb01cc583be2f3f58d13f4d1e8c345", ("animalsounds/public/photos",), ("animalsounds/public/sounds",),
        licence="MIT",
    ),
    "ibellae/zwierzaki": Clone("94af0dcad42915ec8ecc8ad7290c9b68cf47c5b9", ("images",), ("sounds",)),
    "hmagdyadel/ZOO": Clone("a0e6b7c254ee06149482bc61e9cf0d93b38f422f", ("assets/icons",), ("assets/sounds",)),
    "nirmalkumargcp-ux/spell-quest": Clone(
        "5808a11d3b27f13e0424eb1883067a8f568ce1df", ("images",), names={"cello": ""},  # the photograph of tuxpaint
    ),
    "prosenjit-manna/kids-learning": Clone("d7a0c9894300d1903926f145377dbbdca881b1e6", ("images/animals",)),
    "takisparas486/Giannis": Clone("e915cd9e0c9b1e7705123ad9e15ceb7a29a72511", ("images/animals",)),
    "vik20000in/Guess-The-Picture-Game": Clone(
        "6444195f54c4ace5e61d7da1974ada87896847f3", ("images",), names={"mouse": "", "ram": ""}, licence="MIT",
    ),
    "vinitrai/learn-alphabets": Clone("3500e502e2efd4b3a8a94016f46042030cec4e5b", ("images/animals", "images/birds")),
    "vuanhtuanvn85/app-hoc-tu": Clone("673d8c4b60484a2f8ce81ee9194e51e25a2291cc", ("images/animals",)),
    "RamiNoodle733/animal-stats": Clone(
        "ae26b7263f7d69f8a96cdbed0472c6acfb792f72", ("images/animals",), licence="MIT",
        names={"barn owl": "owl", "snowy owl": "owl"},
    ),
    "Willie-Huang/Animal-sound-recognition": Clone(
        "03b16ccf5f664c949dfdfebe4404b259a167413d", (), ("Dataset/Training", "Dataset/Test"), licence="MIT",
    ),
    "cuongphamduc/Animal-Sound-Recognition": Clone(  # of ESC-50, CC-BY-NC-3.0
        "412cc7e5ca342dc259849300be6a0bd4d8acc06c", (), ("data",),
    ),
    "YashNita/Animal-Sound-Dataset": Clone(
        "574b5e2d9b071f142b464bb7b43d6a736ebb0dac", (), ("",), names={
            "aslan": "lion", "esek": "donkey", "inek": "cow", "koyun": "sheep", "kurbaga": "frog", "tavuk": "hen",
            "kedi part": "cat", "kopek part": "dog",
        },
    ),
    "gitdevqiang/AnimalSound": Clone(
        "13ef64a46026af414ddbc1a7f41ae0a5dc1d05af", (), ("Birds", "Marine"), names={
            "bottlenose dolphin": "dolphin", "common dolphin": "dolphin", "spinner dolphin": "dolphin",
            "humpback whale": "whale", "bowhead whale": "whale", "killer whale": "whale",
        }, licence="Apache-2.0",
    ),
    "seth814/Audio-Classification": Clone(
        "2aca6936241ce4273e9acc02d738e029433aa9ec", (), ("wavfiles",),
        names={"violin or fiddle": "violin", "hi hat": "cymbals", "snare drum": "drums", "bass drum": "drums"},
        licence="MIT",
    ),
    "skratchdot/philharmonia-samples": Clone(
        "717b7de2bcae05e44aa8a3dde143c8d093b8f6c8", (), ("audio/cello", "audio/percussion"),
        names={"clash cymbals": "cymbals", "suspended cymbal": "cymbals", "sizzle cymbal": "cymbals"},
    ),
    "kzahel/Funsounds": Clone("0df381fcd6ea3a3cc518eee4240396c1cba6b812", (), ("public/sounds",)),
    "CelebrityPunks/TheSoundOfEverything": Clone("5cd89b6eb5dc31e0ae45c67aa67a0100f9084569", (), ("",)),
    "keyhr/zoo-board": Clone("dbbaffe5f1fda9701d5629f6ed73b67f6b03d3b8", (), ("",), licence="MIT"),
    "LinnetDev/animal-soundboard": Clone("17d52d448b371b020cb016339feab49241b8007d", (), ("",)),
    "elausere/sound-board": Clone("b38ab719e20d03d43a5f8cf25965ad0709f9c719", (), ("",)),
    "fatihbe25/animalbingo": Clone("02537ee8b7c53921b2c2cce48f4210260f703a12", (), ("sounds",)),
    "jessicaandreoli/app-sons-animais": Clone("a3202cade9bf13ada09829756fbe51c2cd481430", (), ("",)),
    "Zahid275/Animals-App": Clone("f59b6269b1e5a06676e7e615544d29e634d0d81d", (), ("",)),
    "tomdiinur/animals": Clone("20e59871c7d15344494f1c54664c27805c1bc9d6", (), ("",)),
}  # fmt: skip
