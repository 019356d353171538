"""`Clip`: decoded picture and sound with the seconds they belong to: all that the rest of the package sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


class MediaError(ValueError):
    """A file that cannot be read as picture or sound. The message is one line that a user can act upon."""


@dataclass(frozen=True)
class Clip:
    """Decoded media that covers the seconds [start, end) of its source.

    All times are float seconds of the source, where 0 is the first instant of the file. Picture and sound each may be
    absent (`None`) and each may begin later or end earlier than the clip: nothing is invented to fill it up.
    """

    frames: np.ndarray | None  # (n, H, W, 3) uint8 RGB; None: the source has no picture
    frame_times: np.ndarray | None  # (n,) float64: when each frame goes on screen, its true timestamp
    waveform: np.ndarray | None  # (samples,) float32 mono in [-1, 1]; None: the source has no sound
    sample_rate: int = 16000  # samples per second of `waveform`
    waveform_start: float = 0.0  # seconds of waveform[0]
    start: float = 0.0  # seconds, inclusive
    end: float = 0.0  # seconds, exclusive
    frame_instants: np.ndarray | None = None  # (n,) float64: the asked instant that each frame serves; None: not asked

    @property
    def has_picture(self) -> bool:
        """Whether the source has a picture stream (there may still be no frame in this clip)."""
        return self.frames is not None

    @property
    def has_sound(self) -> bool:
        """Whether the source has a sound stream (there may still be no sample in this clip)."""
        return self.waveform is not None

    @property
    def duration(self) -> float:
        """Seconds of the source that this clip covers."""
        return self.end - self.start

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the frames, or None without picture."""
        return None if self.frames is None else (int(self.frames.shape[1]), int(self.frames.shape[2]))

    @property
    def waveform_end(self) -> float:
        """Seconds of the source just after the last sample; equals `waveform_start` without sound."""
        samples = 0 if self.waveform is None else len(self.waveform)
        return self.waveform_start + samples / self.sample_rate

    @property
    def sound_seconds(self) -> float:
        """Seconds of sound held."""
        return 0.0 if self.waveform is None else len(self.waveform) / self.sample_rate
