"""Numbered scenes of an asset pack, rendered, or as tokens that a frozen ViT made of them once.

Where tubes, patches and ViT do not learn, what they make of a scene is the same in every step. A `TokenStore` holds it
in half precision: training what comes after them then costs neither rendering nor the ViT. `SceneBatches` draws the
same scenes and questions in the same order from either, so that runs with and without a frozen ViT can be compared.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mirasol.media import toybox
from mirasol.media.toybox.questions import WORDINGS, in_column
from mirasol.model.inputs import Complete, Inputs, Tokenized, join_inputs
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text

from .examples import Batch, clip_inputs, collate_pairs
from .stepped import SteppedBatches
from .toybox import is_wanted, opened_pack

SPACE = 1_000  # seeds between two scenes: so many are tried until one is as it should be


@dataclass(frozen=True)
class PackScenes:
    """The scenes number 0, 1, 2, ... of a pack.

    kinds    those of the pack that are used; empty: all
    seconds  how long scenes are: those of one round of the plan as long as the first entry says, of the next round ...
    types    of the questions that are asked
    plan     of scene `n` the entry n modulo its length: how many things it shows at most, and a type that it asks
    close    a thing that is alone fills the picture, and what sounds begins at once and is heard to the end of its
             second
    each     where there are several things, ask of each that stays in its place what is there, and what is heard
    vary, often  see `AssetPack`
    """

    pack: str
    kinds: tuple[str, ...] = ()
    split: str = "train"
    seconds: tuple[int, ...] = (1,)
    types: tuple[str, ...] = ("seen", "heard", "which")
    plan: tuple[tuple[int, str], ...] = ((1, "seen"), (1, "heard"), (1, "seen"), (1, "heard"), (3, "which"))
    close: bool = True
    each: bool = False
    vary: bool = False
    often: tuple[tuple[str, int], ...] = ()

    @property
    def assets(self) -> toybox.AssetPack:
        longest = {"longest": 1.0} if self.close else {}
        found = opened_pack(self.pack, self.kinds, vary=self.vary, often=self.often, **longest)
        assert found is not None
        return found

    def scene(self, number: int) -> toybox.Scene:
        """The first scene from seed `number` * SPACE on that is as the plan says."""
        return found_scene(self, number)

    def questions(self, number: int) -> list[toybox.Question]:
        """Its questions of these types."""
        scene = self.scene(number)
        asked = scene.questions
        if self.each and len(scene.things) > 1:
            asked += of_each(scene)
        return [question for question in asked if question.type in self.types]

    def inputs(self, number: int, sizes: Sizes) -> Inputs:
        """Rendered, with a batch axis of 1."""
        clip = toybox.render(
            self.scene(number), sizes.height, sizes.width, sizes.frame_rate, sizes.sample_rate, pack=self.assets
        )
        return clip_inputs(clip, sizes)


@dataclass(frozen=True)
class TokenStore:
    """Tubes (T, Nv, D) and patches (T, Na, D) of all snippets of the scenes 0 to n - 1; how many each scene has (n)."""

    tubes: Tensor
    patches: Tensor
    snippets: Tensor

    def inputs(self, numbers: list[int]) -> Tokenized:
        """The tokens of these scenes, padded at the end under false masks to the length of the longest."""
        counts = self.snippets[numbers]
        places = torch.arange(int(counts.max()))
        real = places < counts[:, None]
        firsts = self.snippets.cumsum(dim=0)[numbers] - counts
        at = torch.where(real, firsts[:, None] + places, 0)
        tubes, patches = (part[at].float() * real[..., None, None] for part in (self.tubes, self.patches))
        masks = [real[..., None].expand(part.shape[:3]) for part in (tubes, patches)]
        return Tokenized(tubes, masks[0], patches, masks[1], real)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        making = path.with_suffix(".part")
        save_file({field.name: getattr(self, field.name) for field in fields(self)}, making)
        making.replace(path)

    @classmethod
    def load(cls, path: Path) -> TokenStore:
        return cls(**load_file(path))


@torch.inference_mode()
def make_tokens(
    model: Mirasol,
    scenes: PackScenes,
    count: int,
    *,
    batch: int = 8,
    bfloat16: bool = False,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> TokenStore:
    """Renders the first `count` scenes and shows them to the ViT, which computes in bfloat16 if asked to."""
    tubes, patches, snippets = [], [], []
    for first in range(0, count, batch):
        numbers = range(first, min(first + batch, count))
        shown = [scenes.inputs(number, model.sizes) for number in numbers]
        # The ViT sees no further than a snippet: each is a clip of its own, and none is padding.
        signals = Inputs.__dataclass_fields__
        alone = Complete(*(torch.cat([getattr(one, name)[0] for one in shown])[:, None] for name in signals))
        with torch.autocast(model.encoder.mask_tokens.device.type, torch.bfloat16, enabled=bfloat16):
            seen = model.encoder.view(alone.complete(model.sizes, model.encoder.mask_tokens))
        tubes.append(seen.tubes[:, 0].half())
        patches.append(seen.patches[:, 0].half())
        snippets.append(torch.tensor([one.snippet_mask.shape[1] for one in shown]))  # type: ignore[union-attr]
        progress(numbers[-1] + 1, count)
    return TokenStore(torch.cat(tubes), torch.cat(patches), torch.cat(snippets))


@lru_cache(maxsize=4)
def shuffled(seed: int, time: int, count: int) -> tuple[int, ...]:
    """The numbers below `count` in the order in which they come the `time`-th time."""
    return tuple(random.Random(f"scenes {seed} {time}").sample(range(count), count))


@lru_cache(maxsize=20_000)
def found_scene(scenes: PackScenes, number: int) -> toybox.Scene:
    """See `PackScenes.scene`."""
    things, wanted = scenes.plan[number % len(scenes.plan)]
    seconds = scenes.seconds[number // len(scenes.plan) % len(scenes.seconds)]
    for seed in range(number * SPACE, (number + 1) * SPACE):
        scene = toybox.make_scene(seed, scenes.split, seconds=seconds, world=scenes.assets.world)
        if len(scene.things) <= things and any(is_wanted(q, wanted) for q in scene.questions):
            return from_near(scene) if scenes.close else scene
    raise ValueError(f"no scene of {seconds} s with at most {things} things asks for {wanted!r}")


def from_near(scene: toybox.Scene) -> toybox.Scene:
    """The scene with its only thing in the middle and large, nothing in front of it, and its sounds from the beginning
    of their seconds on. What is seen is asked without a place; where and when things are must not be asked of it."""
    chance = random.Random(f"near {scene.split} {scene.seed}")
    sounds = tuple(replace(one, onset=int(one.onset) + round(chance.uniform(0.0, 0.1), 3)) for one in scene.sounds)
    if len(scene.things) != 1:
        return replace(scene, sounds=sounds)
    x, y = (round(0.5 + chance.uniform(-0.08, 0.08), 4) for _ in range(2))
    thing = replace(
        scene.things[0], size=round(chance.uniform(0.7, 0.98), 4), x=x, y=y, to_x=x, to_y=y, way="", place=""
    )
    around = replace(scene.surroundings, occluders=())
    asked = tuple(
        replace(one, text=chance.choice(WORDINGS["seen alone"])) if one.type == "seen" else one
        for one in scene.questions
    )
    return replace(scene, things=(thing,), sounds=sounds, surroundings=around, questions=asked)


def of_each(scene: toybox.Scene) -> tuple[toybox.Question, ...]:
    """What is in its place, of each thing that stays there and is not seen twice, and what is heard. To learn from, not
    to score by: a scene's own questions never tell which of its things sounds, these do. As there, half of the things
    that have a column to themselves are asked for by that."""
    chance = random.Random(f"each {scene.split} {scene.seed}")
    found = []
    for thing in scene.things:
        if thing.place and sum(other.kind == thing.kind for other in scene.things) == 1:
            column = thing.place.split()[1]
            own = sum(not other.place or other.place.endswith(column) for other in scene.things) == 1
            at = f"at the {thing.place}"
            if own and chance.random() < 0.5:
                at = in_column(column)
            text = chance.choice(WORDINGS["seen"]).format(at=at)
            found.append(toybox.Question("seen", text, thing.kind, "picture"))
    if len(kinds := {sound.kind for sound in scene.sounds}) == 1:
        found.append(toybox.Question("heard", chance.choice(WORDINGS["heard"]), kinds.pop(), "sound"))
    return tuple(found)


class SceneBatches(SteppedBatches):
    """Batches for the steps [first, last): `clips` of the first `count` scenes each, with one question of each type and
    each answer.

    `store()` loads the tokens of these scenes, once per worker; without it they are rendered. Each of the stored tubes
    and patches is masked with the probability `hide`, anew every time; summaries are not.
    """

    def __init__(
        self, scenes: PackScenes, sizes: Sizes, text: Text, first: int, last: int, *, count: int, clips: int,
        store: Callable[[], TokenStore] | None = None, hide: float = 0.0, seed: int = 0,
    ) -> None:  # fmt: skip
        self.scenes, self.sizes, self.text, self.first, self.last = scenes, sizes, text, first, last
        self.count, self.clips, self.hide, self.seed = count, clips, hide, seed
        if hide and store is None:
            raise ValueError(f"hide={hide} hides stored tokens: give a store, or hide=0")
        self._store = store
        self._loaded: TokenStore | None = None

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be gone on with: the scenes, and how they are dealt out."""
        return {"scenes": [str(self.scenes), self.count], "clips": self.clips, "hide": self.hide}

    def numbers(self, step: int) -> list[int]:
        """The scenes of a step: all of them come once before any comes again."""
        places = range(step * self.clips, (step + 1) * self.clips)
        return [shuffled(self.seed, at // self.count, self.count)[at % self.count] for at in places]

    def inputs(self, numbers: list[int]) -> Inputs | Tokenized:
        if self._store is None:
            return join_inputs([self.scenes.inputs(number, self.sizes) for number in numbers])
        if self._loaded is None:
            self._loaded = self._store()
        return self._loaded.inputs(numbers)

    def hidden(self, seen: Tokenized, numbers: list[int], step: int) -> Tokenized:
        """With a share of tubes and patches masked; which of them depends on seed, scene and step alone."""
        masks = {}
        for name in ("tube_mask", "patch_mask"):
            masks[name] = getattr(seen, name).clone()
            for mask, number in zip(masks[name], numbers, strict=True):
                chance = random.Random(f"hide {self.seed} {step} {number} {name}").getrandbits(63)
                shown = torch.rand(mask.shape, generator=torch.Generator().manual_seed(chance)) >= self.hide
                mask[:, self.sizes.summary_tokens :] &= shown[:, self.sizes.summary_tokens :]
        return replace(seen, **masks)

    def batch(self, step: int) -> Batch:
        numbers = [self.numbers(step)[row] for row in self.rows(self.clips)]
        pairs = []
        for number in numbers:
            chance = random.Random(f"scene questions {self.seed} {step} {number}")
            same = defaultdict(list)
            for question in self.scenes.questions(number):
                same[question.type, question.answer].append((question.text, question.answer))
            pairs.append([chance.choice(wordings) for wordings in same.values()])
        inputs = self.inputs(numbers)
        if self.hide and isinstance(inputs, Tokenized):
            inputs = self.hidden(inputs, numbers, step)
        batch = collate_pairs(inputs, pairs, self.text, first=True, spare="what?")
        seeds = torch.tensor(numbers)
        return Batch(batch.inputs, batch.ids, batch.labels, batch.text_mask, batch.rows, True, seeds)
