"""Show a model films of real things and let it name what it sees and hears, from a source it was not trained on:

    python examples/ask_real_things.py MODEL [PACK]

MODEL is what `mirasol train warm_start` has trained, PACK what tools/make_pack.py made (pack); see docs/warm_start.md.
The films last one to three seconds, as those that it learned from.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

import mirasol
from mirasol.cli.errors import run_script
from mirasol.data.scenes import PackScenes
from mirasol.media import toybox

FILMS = 20


def main(folder: str, pack: Annotated[str, typer.Argument()] = "pack") -> None:
    model = mirasol.load(folder)
    known, held_out = (PackScenes(str(Path(pack) / part)) for part in ("train", "held_out"))
    both = tuple(kind for kind in held_out.assets.world.kinds if kind in known.assets.world.kinds)
    shown = PackScenes(str(Path(pack) / "held_out"), both, split="test", seconds=(1, 2, 3))
    right = asked = 0
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(FILMS):
            film = Path(temporary) / f"{number}.mp4"
            scene = shown.scene(number)
            toybox.write_file(scene, film, pack=shown.assets)
            wanted = {question.text: question.answer for question in shown.questions(number)}
            for answer in mirasol.ask(film, list(wanted), model):
                hit = answer.answer == wanted[answer.question]
                right, asked = right + hit, asked + 1
                print(
                    f"{'right' if hit else 'wrong'}: {answer.question} {answer.answer} ({answer.confidence:.0%} sure; "
                    f"it is {wanted[answer.question]})"
                )
    print(f"{right} of {asked} right")


if __name__ == "__main__":
    run_script(main, __doc__)
