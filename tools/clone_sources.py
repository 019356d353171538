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
    "Kevin3781/birdle": Clone("53f25cb14857314abf53a87105597bd58c82273e", ("photos",), ("audio",), last=True),
    "vishnu-u/Siren-Sound-Dataset": Clone("c49b76d3171823bfd857bffc5a93ffe811cfb7eb", (), ("firetruck",)),
}  # fmt: skip

# Toys that let animals and things be heard, a few recordings of each kind: name, commit, folder, and a kind that is
# left out because its name is spoken there, or another thing heard.
BOARDS = """
afatihyilmaz/Animals-App bcaf953500c459d7d18e16ad5f53d1a714e2ec4b app/src/main/res/raw
Al-Mostapha/Ceasery 722eeca690b095a7e1df5d4920c860aef2befebf sounds
alexanderbazo/U13-SoundMachine-Live e109402f3d79c523c60b42b93efd618fc21cc808 app/src/main/res/raw
aliemreayz/animalfindergame2 6a12690c012212a4fb8194daf677fc60e93b242b app/src/main/res/raw donkey
andanylo/AnimalSoundboard ddf7814ec2bb9068d94c27ad7e4470f0aad7175a Files
AndroPlus/animal-sounds-android c2d023461d79b9ee128b102b1d8f5fb4a56ae3fc AnimalBeats/src/main/assets
AnMishkin/Animal2 94c83a28fcfac63d96d7f6e61112d3c318f95c5d app/src/main/res/raw
AnMishkin/AnimalSounds 660c66b1f143f1959c07c5074b432c4c72ab3159 app/src/main/res/raw
Antmagnum/Animal-Soundboard 829808c87c32b8f499a9e4ef6a59f83f105d045c audio
BarBoochiTN/First-Project a014f1062fc5bc5868d8eeba47e8240efc2c8ad8 sounds
BrVenturaU/AnimalZoo 0bf3fc633fc64737f9388d0dfeff0204895ed616 app/src/main/res/raw
chrisardo/AnimApp 3505999d82ddf53d62d53c0bba6b6e17126c2836 app/src/main/res/raw
CustomizableAlarmClock/CustomizableAlarmClock b62cba7ee22ef06a96f75a9d6bc15b0e82785b39 app/src/main/res/raw
damz93/suara-hewan-interaktif-2025 4c601f1bed0d9fdc07ef4ddc766f27f96480da91 sounds
dev-you-need/AnimalSounds 16db71aef3e16e30e9a01dab2c9b5a9a8a99b518 app/src/main/res/raw
dev-you-need/vehicleSounds 44d02190d6b1806639ad10523c8bd2fb46e0042d app/src/main/res/raw
Dominik-Sabo/RMA-Soundboard e2234a978a6fb87d5e5a140d3cfba472c1a2678f app/src/main/res/raw
doux100/Animals-Sound fef00db4056fe58ed2eba74a596c7bcd62c79c64 app/src/main/res/raw
eitguide/AniKids bd311c84756ba4d77015146225b5d875c1cb88b6 app/src/main/res/raw cat
Fazilasr/x 0c7274a0c3cdaaf2d5029d5259f0548f671c8f58 sounds
fernandohcab/qual-o-som dc098f41c35934efa92e9ce2d5ac8c408d54cf7f app/src/main/res/raw
GroveDG/emojisound df95b7c290578174020d893fc763daee2937f574 sounds
gs0ciety/tierruf-android c9894ad506ee0ebbbee5e4c414858a12a3d3d037 app/src/main/res/raw
halilsecer/AnimalFinder 1524b2c9c32244e553f083c0b0b4daeced9e95b8 app/src/main/res/raw
harsh-android/Animal-Sounds 854fffcc033d12119b1ab03bbc9cd03a51ccf7c2 app/src/main/res/raw deer
igadmile/chooseAnAnimal de47c745375872d556d135b23f2c20b6a5db301b audio
jeffmcgwn/safari 247712226ad8d2869af4b71162b42890e1569261 sounds
jettdesign/Chinese-Zodiac 3ca6390804adc624e1c400fab404c407816244e5 sounds
jose-lp/InstrumentsApp 6a46a1c712501a7fa4fa1a32acccb4fd9a101505 app/src/main/res/raw
jtljrdn/Teaching-Animal-Sounds 517666e41a71d59945919baaae24c6517285579e sounds
kaziim/AnimalFinder 363bf427cfabe6530a610be4a4acec56ef0fc08f app/src/main/res/raw
kingmclol/EcosystemSimulator 311437c279ae4809a758c65c5e313e401eb67e6a sounds
knezm/guessAnimal 07f1aee8040e9bd4159c49a3ff8322e787e1a0f0 app/src/main/res/raw
Licia27/Pine-city-zoo-Fnb 6cb40ad1df008f196428195ce5d9c7c3a9c85e39 sounds koala
LidiaSan/juego_parejas 1370b8909af651b01219cae52c489160c9cbbbb3 audio
ltrinity/animalsoundquiz 2dd3e038bb9cc5e2512993708c8731315c0ffa04 sounds
megaladon/Animal-Sounds a56f8bdc2f28e23d7b086823c066aa92cf8190a8 . sheep
MrPatoCode/instrumentos-musicales b3e3075cdf895c686e0d7235fdb400bf3578feb2 app/src/main/res/raw
nanchacha/SoundBoard 03388989a0bfa04e94b164f8f4046043732b8e9e sounds
NitinMa2/AnimalSounds 17b24945a5239c21cae9810287e68e37ea5a317b app/src/main/res/raw
nurill0/Uy-hayvonlari f82bee7724979f0f1ff12d2550794a0e9261bfcd sounds
pamepeixinho/AnimalSounds_IOSApp 335fd839a8aa0d5c83c1e90badf632584bf4f622 collectionView/soundEffectsAnimals
pavlov150/Animals e94a68c5f68ee0543e471d90e5dd45654d1ce811 app/src/main/res/raw
prakashkumar1/CyberZoo 03961c0ec4ed7f8708040a4f474c5ba082360833 app/src/main/res/raw
robertobarrosx/baby-keyboard 153da5f055e26092259f7b118664e721c6517017 sounds
sabrinaprinz/tiermemoryar f69def9c0b83ee07ee79fc950238378c9dbb67d1 audio
saddi3taylor/Amazon-Rainforest 2ec166a48c599927b89d7a04d7d810ac45a711e3 sounds
sezeragri/AirHornCrazySiren 21a79b4039f401405c48a5724bcae7971e7e4125 app/src/main/res/raw
shashanknaikdev/Android-App-Animals-Bird-SoundBoard c458df5e0f4ca76f28d2ff893d10dd690a1f475b res/raw
shruthikookie/Animal_and_Bird_Sounds 608a615847520ba00692c46742bb5ddc705a5c08 app/src/main/res/raw
ssevgitellioglu/SleepSound 3c1256818d8594c7f3ca2b8a885e7bfb2f8539c9 app/src/main/res/raw
SuchitaTewari/Fun-Sound-For-KIds 101ed4fe2146c6250cd2e4cb1d9a0af771078660 app/src/main/res/raw
thasneem9/birdSounds 3e13481d444729b97c42ca9f08aded77954247ef sounds
tranthuc97/tranthuc97.animalsound 7aad3cff80ac7148bc26ad405d02233c6a7f71ea app/src/main/res/raw
verrellrizky/Soundboard ba5c195872b263cd0fc9103ba1275d329870a6fc app/src/main/res/raw
vinoddirishala/animal_sounds_kids_android b6f86f669854f491a46d579cdf998d9c26e6249a app/src/main/res/raw
wbyan2021/animal-sounds-playground b8b9eedb3768c7483232876ff324317e5d37055b data/sounds dog
wchtommy20013/Slammer-board-game-sound-player 9f7c7762a1eaa53b3bbf801a25a1cf190465c647 sounds owl
yuxiaohui78/animalSounds fd615725c06b7bfff193e6d2a43a97a673eefabf sounds
zahiruddinzainal/virtual-hammer-android 27a0cc63a0e8c3de8a99d0daf544716065715a65 app/src/main/res/raw
"""
CLONES |= {
    name: Clone(commit, (), ("" if folder == "." else f"{folder}/",), names={without: ""})
    for name, commit, folder, without in ((*line.split(), "")[:4] for line in BOARDS.strip().splitlines())
}
