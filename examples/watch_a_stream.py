"""Watch a stream piece by piece, save, go on, ask about the long past: `python examples/watch_a_stream.py`.

The stream is one of Toybox; any source that gives frames and samples with their seconds takes its place.
"""

import tempfile
from pathlib import Path

import mirasol
from mirasol.cli.errors import run_script
from mirasol.media.toybox import render
from mirasol.media.toybox.streams import Stream

SECONDS = 120


def main() -> None:
    model, stream = mirasol.load("tiny-stream"), Stream(21, "test", 240, visits=8)
    session = mirasol.Session(model, start=0.0)
    for second in range(SECONDS // 2):
        clip = render(stream.moment(second))  # a second of frames and sound
        session.watch(clip.frames, clip.waveform, at=second, times=second + clip.frame_times)
    with tempfile.TemporaryDirectory() as folder:
        size = session.save(Path(folder) / "state.safetensors")
        session = mirasol.Session.load(Path(folder) / "state.safetensors", model)
    print(f"after {session.seconds:.0f} s: {session.state.bytes()} bytes of state, {size} in a file")
    for second in range(SECONDS // 2, SECONDS):
        clip = render(stream.moment(second))
        session.watch(clip.frames, clip.waveform, at=second, times=second + clip.frame_times)
    session.flush()
    for question in stream.questions(SECONDS)[:4]:
        answer = session.ask(question.text)
        words = f"{answer.answer} ({answer.confidence:.0%} sure; it is: {question.answer}, {question.distance} s ago)"
        print(question.text, words)
    print(answer.receipt.sentence())


if __name__ == "__main__":
    run_script(main, __doc__)
