"""Toybox streams as training batches: long streams in chunks, for training through time.

Step after step brings the next chunk of the same streams; the loop carries the state from one to the next (without
its gradient: truncated backpropagation). Questions about everything so far are asked at the end of each chunk, so
what they ask about may lie many chunks back. After `chunks` steps new streams begin.
"""

from __future__ import annotations

import random

import numpy as np

from mirasol.media.toybox import render
from mirasol.media.toybox.streams import WORDINGS, Stream
from mirasol.model.inputs import Inputs, silence_before, snippet_inputs
from mirasol.model.sizes import Sizes, exact
from mirasol.model.snippets import cut
from mirasol.model.text import Text

from .examples import Batch, Example, collate
from .stepped import SteppedBatches


def stream_inputs(stream: Stream, start: int, end: int, sizes: Sizes) -> Inputs:
    """The seconds [start, end) of a stream as the model's inputs (1, S, ...), with the sound just before them."""
    clips = [
        render(stream.moment(second), sizes.height, sizes.width, sizes.frame_rate, sizes.sample_rate)
        for second in range(start, end)
    ]
    before = silence_before(sizes)
    if start and len(before):
        last = render(stream.moment(start - 1), sample_rate=sizes.sample_rate, with_picture=False).waveform
        before = last[len(last) - len(before) :]
    frames = np.concatenate([clip.frames for clip in clips])
    pieces = cut(
        sizes, origin=float(start), first=0, count=exact(end - start, sizes.snippet_seconds, "snippets per chunk"),
        frame_times=start + np.arange(len(frames)) / sizes.frame_rate, picture_end=float(end),
        waveform=np.concatenate([clip.waveform for clip in clips]), waveform_start=float(start),
    )  # fmt: skip
    return snippet_inputs(frames, pieces, before, sizes)


class StreamBatches(SteppedBatches):
    """Batches for the steps [first, last): chunk `step % chunks` of the streams of number `step // chunks`."""

    def __init__(
        self, sizes: Sizes, text: Text, first: int, last: int, *, streams: int = 8, chunk: int = 16, chunks: int = 4,
        visits: int = 6, questions: int = 6, split: str = "train", seed: int = 0,
    ) -> None:  # fmt: skip
        """`chunk`: seconds in one batch; `visits` things come by in all of a stream's `chunk * chunks` seconds."""
        self.sizes, self.text, self.first, self.last = sizes, text, first, last
        self.streams, self.chunk, self.chunks = streams, chunk, chunks
        self.visits, self.questions, self.split, self.seed = visits, questions, split, seed
        self._made: dict[int, Stream] = {}  # the last ones

    def _stream(self, number: int) -> Stream:
        if number not in self._made:
            self._made = dict(list(self._made.items())[1 - 2 * self.streams :])
            self._made[number] = self._make(number)
        return self._made[number]

    def _make(self, number: int) -> Stream:
        return Stream(self.seed * 1_000_000_000 + number, self.split, self.chunk * self.chunks, visits=self.visits)

    def batch(self, step: int) -> Batch:
        group, part = divmod(step, self.chunks)
        examples = []
        for row in self.rows(self.streams):
            stream, start = self._stream(group * self.streams + row), part * self.chunk
            chance = random.Random(f"streams {self.seed} {step} {row}")
            asked = stream.questions(start + self.chunk)
            chosen = chance.sample(asked, min(self.questions, len(asked)))
            inputs = stream_inputs(stream, start, start + self.chunk, self.sizes)
            pairs = tuple((question.text, question.answer) for question in chosen)
            examples.append(Example(inputs, pairs, stream.seed))
        return collate(examples, self.text, first=part == 0, spare=WORDINGS["last"][0])
