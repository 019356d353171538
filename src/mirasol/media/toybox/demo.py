"""One fixed scene worth showing, with five questions: what needs sound, sight, both, order and memory."""

from __future__ import annotations

from dataclasses import replace

from mirasol.media.toybox.families import make_scene
from mirasol.media.toybox.scene import Scene

SEED, SPLIT, SECONDS, FAMILY = 1875, "test", 8, "revue"
TYPES = ("often", "colour", "which", "order", "memory")


def demo_scene() -> Scene:
    """Three things come into view one after another; one of them sounds, also when it has long gone."""
    scene = make_scene(SEED, SPLIT, seconds=SECONDS, family=FAMILY)
    chosen = tuple(next(q for q in scene.questions if q.type == type) for type in TYPES)
    return replace(scene, questions=chosen)
