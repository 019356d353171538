"""Toybox: short scenes with known answers, drawn and voiced by code, deterministic by seed.

`make_scene(seed, split)` gives a `Scene` (plain values), `render(scene)` its picture and sound as a `Clip`,
`write_file(scene, path)` a real video file. Names are loaded on first use.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "KINDS": "things",
    "COLOURS": "things",
    "draw_thing": "things",
    "make_sound": "sounds",
    "FAMILIES": "scene",
    "QUESTION_TYPES": "scene",
    "SPLITS": "scene",
    "Question": "scene",
    "Scene": "scene",
    "SoundEvent": "scene",
    "Thing": "scene",
    "make_scene": "families",
    "render": "rendering",
    "write_file": "files",
    "write_scenes": "files",
    "demo_scene": "demo",
    "contact_sheet": "preview",
    "blind_figures": "blind",
    "type_shares": "blind",
    "Stream": "streams",
    "AssetPack": "assets",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
