"""The sounds of the 24 kinds, made from sines, wavetables and filtered noise.

Each function returns a waveform that starts at once; `make_sound` cuts it to 0.45-0.75 s, fades its end and scales its
peak to 1. All lengths are in seconds and all pitches in hertz.
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

TABLE = 2048  # samples of one period in a wavetable
SHORTEST, LONGEST = 0.45, 0.75


class Voice:
    """Random numbers and building blocks for one sound at one sample rate."""

    def __init__(self, rng: np.random.Generator, rate: int) -> None:
        self.rng = rng
        self.rate = rate

    def vary(self, value: float, amount: float = 0.12) -> float:
        """The value, up to `amount` (a fraction of it) larger or smaller."""
        return value * (1.0 + amount * (2.0 * self.rng.random() - 1.0))

    def length(self) -> float:
        return SHORTEST + (LONGEST - SHORTEST) * self.rng.random()

    def time(self, seconds: float) -> np.ndarray:
        """(n,) float32: the second of each sample."""
        return _time(round(seconds * self.rate), self.rate)

    def noise(self, seconds: float) -> np.ndarray:
        return self.rng.standard_normal(round(seconds * self.rate), dtype=np.float32)

    def phase(self, pitch: np.ndarray | float, seconds: float) -> np.ndarray:
        """(n,) periods gone by, modulo 1."""
        n = round(seconds * self.rate)
        step = np.asarray(pitch, dtype=np.float64) / self.rate
        turns = np.cumsum(step) if step.ndim else np.arange(n) * step
        return (turns - np.floor(turns)).astype(np.float32)

    def sine(self, pitch: np.ndarray | float, seconds: float) -> np.ndarray:
        return np.sin(self.phase(pitch, seconds) * np.float32(2 * math.pi))

    def wave(self, weights: Sequence[float] | np.ndarray, pitch: np.ndarray | float, seconds: float) -> np.ndarray:
        """A tone whose k-th harmonic has the k-th weight; harmonics above half the sample rate are left out."""
        top = float(np.max(pitch))
        weights = np.asarray(weights, dtype=np.float32)[: max(1, int(0.48 * self.rate / top))]
        return table_of(weights)[
            (self.phase(pitch, seconds) * TABLE).astype(np.int32) % TABLE
        ]  # a phase may round up to 1

    def formed(self, pitch: float, formants: Sequence[tuple[float, float, float]], tilt: float = 1.0) -> np.ndarray:
        """Weights of the harmonics of a voice: formants as (hertz, width in hertz, strength) over a fall by `tilt`."""
        k = np.arange(1, max(2, int(0.48 * self.rate / pitch)))
        gain = sum(a / (1.0 + ((k * pitch - f) / w) ** 2) for f, w, a in formants)
        return (np.asarray(gain) + 0.02) / k**tilt

    def band(self, wave: np.ndarray, low: float, high: float) -> np.ndarray:
        """Keeps what lies between two pitches, with slopes of a third of an octave."""
        n = len(wave)
        size = _good_size(n)
        spectrum = np.fft.rfft(wave, size)
        spectrum *= _band_gain(size, self.rate, round(low), round(high))
        return np.fft.irfft(spectrum, size)[:n].astype(np.float32)

    def place(self, pieces: Sequence[tuple[float, np.ndarray]]) -> np.ndarray:
        """The sum of waveforms, each put at its second."""
        starts = [round(at * self.rate) for at, _ in pieces]
        out = np.zeros(max(s + len(p) for s, (_, p) in zip(starts, pieces, strict=True)), dtype=np.float32)
        for s, (_, p) in zip(starts, pieces, strict=True):
            out[s : s + len(p)] += p
        return out

    def decay(self, seconds: float, half: float) -> np.ndarray:
        """(n,) falling from 1, halved every `half` seconds."""
        return np.exp(self.time(seconds) * np.float32(-math.log(2) / half))

    def hump(self, seconds: float, attack: float = 0.02, release: float = 0.05) -> np.ndarray:
        """(n,) rising from 0 to 1 within `attack` and back within `release`."""
        t = self.time(seconds)
        return np.minimum(
            np.minimum(t / np.float32(attack), (np.float32(seconds) - t) / np.float32(release)), np.float32(1)
        )


@functools.lru_cache(maxsize=64)
def _time(n: int, rate: int) -> np.ndarray:
    t = np.arange(n, dtype=np.float32) / np.float32(rate)
    t.flags.writeable = False
    return t


@functools.lru_cache(maxsize=64)
def _good_size(n: int) -> int:
    """The next size made of the factors 2, 3 and 5: quick to transform."""
    while True:
        rest = n
        for p in (2, 3, 5):
            while rest % p == 0:
                rest //= p
        if rest == 1 and n % 2 == 0:
            return n
        n += 1


def _band_gain(size: int, rate: int, low: int, high: int) -> np.ndarray:
    f = np.fft.rfftfreq(size, 1.0 / rate).astype(np.float32) + np.float32(1)
    return 1.0 / ((1.0 + (low / f) ** 6) * (1.0 + (f / high) ** 6))


def table_of(weights: np.ndarray) -> np.ndarray:
    """(TABLE,) one period of a tone with these harmonic weights, sine phase."""
    spectrum = np.zeros(TABLE // 2 + 1, dtype=np.complex64)
    n = min(len(weights), TABLE // 2)
    spectrum[1 : n + 1] = -0.5j * TABLE * weights[:n]
    table = np.fft.irfft(spectrum, TABLE).astype(np.float32)
    return table / max(float(np.abs(table).max()), 1e-6)


def dog(v: Voice) -> np.ndarray:
    pitch, every = v.vary(420, 0.15), v.vary(0.3)
    pieces = []
    for k in range(2):
        d = v.vary(0.17)
        glide = pitch * (1.25 - 0.7 * v.time(d) / np.float32(d))
        bark = v.wave(v.formed(pitch, [(v.vary(900), 250, 1.0), (v.vary(1700), 300, 0.6)], 0.4), glide, d)
        bark = bark + v.vary(0.25, 0.4) * v.band(v.noise(d), 500, 2500)
        pieces.append((k * every, bark * v.hump(d, 0.008, 0.1)))
    return v.place(pieces)


def cat(v: Voice) -> np.ndarray:
    d, pitch = v.length(), v.vary(620, 0.15)
    u = v.time(d) / np.float32(d)
    glide = pitch * (0.75 + 0.45 * np.sin(np.float32(math.pi) * u ** np.float32(v.vary(0.7, 0.2))))
    closed = v.wave(v.formed(pitch, [(700, 250, 1.0)], 1.0), glide, d)
    wide = v.wave(v.formed(pitch, [(v.vary(1500), 400, 1.0), (v.vary(3000), 400, 0.7)], 0.3), glide, d)
    opening = np.sin(np.float32(math.pi) * u) ** 2
    return (closed * (1 - opening) + wide * opening) * v.hump(d, 0.04, 0.15)


def bird(v: Voice) -> np.ndarray:
    pitch, every, up = v.vary(4000, 0.15), v.vary(0.13), 1 if v.rng.random() < 0.5 else -1
    pieces = []
    for k in range(int(v.rng.integers(4, 6))):
        d = v.vary(0.075)
        u = v.time(d) / np.float32(d)
        pieces.append(
            (k * every, v.sine(pitch * (1.0 + up * 0.5 * (u - 0.5)) * v.vary(1, 0.06), d) * v.hump(d, 0.01, 0.02))
        )
    return v.place(pieces)


def cow(v: Voice) -> np.ndarray:
    d, pitch = v.length(), v.vary(165, 0.15)
    u = v.time(d) / np.float32(d)
    glide = pitch * (0.85 + 0.25 * np.sin(np.float32(math.pi) * u ** np.float32(0.6)))
    closed = v.wave(v.formed(pitch, [(250, 120, 1.0)], 1.0), glide, d)
    wide = v.wave(v.formed(pitch, [(v.vary(600), 150, 1.0), (v.vary(1000), 150, 0.6)], 0.4), glide, d)
    opening = np.minimum(u * np.float32(3), 1) ** 2
    return (closed * (1 - opening) + wide * opening) * v.hump(d, 0.03, 0.15)


def duck(v: Voice) -> np.ndarray:
    pitch, every = v.vary(240, 0.15), v.vary(0.19)
    formants = [(v.vary(1250), 200, 1.0), (v.vary(2400), 250, 0.9)]
    pieces = []
    for k in range(3):
        d = v.vary(0.13)
        glide = pitch * (1.1 - 0.2 * v.time(d) / np.float32(d))
        pieces.append((k * every, v.wave(v.formed(pitch, formants, 0.1), glide, d) * v.hump(d, 0.01, 0.04)))
    return v.place(pieces)


def frog(v: Voice) -> np.ndarray:
    tone, beat, d = v.vary(620, 0.15), v.vary(32), v.vary(0.22)
    pieces = []
    for k in range(2):
        u = v.time(d) / np.float32(d)
        gate = np.maximum(v.sine(beat, d), 0) ** 2
        croak = v.wave([1, 0.5, 0.35, 0.2], tone * (0.85 + 0.35 * u) * (1 + 0.12 * k), d)
        pieces.append((k * v.vary(0.33), croak * gate * v.hump(d, 0.01, 0.03)))
    return v.place(pieces)


def bee(v: Voice) -> np.ndarray:
    d, pitch = v.length(), v.vary(215, 0.15)
    sway = 1 + v.vary(0.05) * v.sine(v.vary(5.5), d) + 0.03 * v.sine(v.vary(11), d)
    weights = 1.0 / np.arange(1, 30) ** v.vary(0.45, 0.2)
    weights[0] = 0.5
    return v.wave(weights, pitch * sway, d) * (0.8 + 0.2 * v.sine(v.vary(7), d)) * v.hump(d, 0.02, 0.06)


def owl(v: Voice) -> np.ndarray:
    pitch = v.vary(390, 0.15)
    pieces = []
    for at, d in ((0.0, 0.14), (0.22, v.vary(0.38))):
        glide = pitch * (1.03 - 0.1 * v.time(d) / np.float32(d))
        pieces.append((at, (v.wave([1, 0.06, 0.03], glide, d) + 0.02 * v.noise(d)) * v.hump(d, 0.035, 0.09)))
    return v.place(pieces)


def horse(v: Voice) -> np.ndarray:
    every = v.vary(0.085)
    pieces = []
    low = v.vary(850, 0.15)
    for k in range(2):
        for j, scale in enumerate((1.0, 1.5, 1.2)):
            d = 0.06
            knock = v.sine(low * scale, d) * v.decay(d, 0.008) + 0.5 * v.noise(d) * v.decay(d, 0.004)
            pieces.append(((4 * k + j) * every, knock * v.vary(0.9)))
    return v.place(pieces)


def snake(v: Voice) -> np.ndarray:
    d = v.length()
    return v.band(v.noise(d), v.vary(4600), 9000) * v.hump(d, 0.08, 0.2)


def bell(v: Voice) -> np.ndarray:
    d, pitch = v.length(), v.vary(1050, 0.15)
    half = v.vary(0.16)
    out = np.zeros(round(d * v.rate), dtype=np.float32)
    for ratio, gain, speed in ((1.0, 1.0, 1.0), (2.0, 0.35, 0.8), (2.76, 0.8, 0.6), (4.07, 0.4, 0.4), (5.4, 0.5, 0.25)):
        if ratio * pitch < 0.48 * v.rate:
            out += v.vary(gain, 0.3) * v.sine(ratio * pitch, d) * v.decay(d, half * speed)
    return out


def drum(v: Voice) -> np.ndarray:
    every, pitch = v.vary(0.1), v.vary(95, 0.15)
    pieces = []
    for k in range(6):
        d = 0.12
        thump = v.sine(pitch * (1 + 0.8 * v.decay(d, 0.012)), d) * v.decay(d, 0.03)
        pieces.append((k * every, (thump + 0.15 * v.noise(d) * v.decay(d, 0.006)) * v.vary(0.9, 0.15)))
    return v.place(pieces)


def strings(v: Voice, notes: list[float], every: float, bright: float, half: float, seconds: float) -> np.ndarray:
    """Plucked or struck strings, one note after another: bright at first, then the high harmonics die out."""
    k = np.arange(1, max(2, min(16, int(0.48 * v.rate / max(notes)))))
    early, late = table_of(1.0 / k**bright), table_of(1.0 / k ** (bright + 1.2))
    start = v.hump(seconds, 0.003, 0.03)
    early_fall, late_fall = start * v.decay(seconds, half * 0.3), start * v.decay(seconds, half)
    pieces = []
    for n, pitch in enumerate(notes):
        at = (v.phase(pitch, seconds) * TABLE).astype(np.int32) % TABLE
        pieces.append((n * every, early[at] * early_fall + late[at] * late_fall))
    return v.place(pieces)


def guitar(v: Voice) -> np.ndarray:
    pitch = v.vary(165, 0.15)
    steps = (1.0, 1.26, 1.5) if v.rng.random() < 0.5 else (1.5, 1.26, 1.0)
    return strings(v, [pitch * s for s in steps], v.vary(0.21), v.vary(0.5), 0.09, 0.3)


def trumpet(v: Voice) -> np.ndarray:
    pitch, every = v.vary(470, 0.15), v.vary(0.13)
    pieces = []
    for k, (step, d) in enumerate(((1.0, 0.11), (1.0, 0.11), (1.335, 0.11), (1.5, 0.28))):
        d = v.vary(d, 0.08)
        weights = v.formed(pitch, [(v.vary(1400), 700, 1.0), (2600, 700, 0.5)], 0.15)
        pieces.append((k * every, v.wave(weights, pitch * step, d) * v.hump(d, 0.012, 0.02)))
    return v.place(pieces)


def piano(v: Voice) -> np.ndarray:
    pitch = v.vary(560, 0.15)
    steps = (1.0, 1.26, 1.5, 2.0, 2.52) if v.rng.random() < 0.7 else (2.52, 2.0, 1.5, 1.26, 1.0)
    return strings(v, [pitch * s for s in steps], v.vary(0.1), v.vary(1.6), 0.1, 0.25)


def whistle(v: Voice) -> np.ndarray:
    d, pitch = v.length(), v.vary(2500, 0.12)
    trill = v.sine(v.vary(28), d)
    return (v.sine(pitch * (1 + 0.09 * trill), d) * (0.7 + 0.3 * trill) + 0.04 * v.noise(d)) * v.hump(d, 0.015, 0.05)


def clock(v: Voice) -> np.ndarray:
    every, tick = v.vary(0.18), v.vary(2900, 0.15)
    pieces = []
    for k in range(4):
        d, pitch = 0.035, tick * (1.0 if k % 2 == 0 else 0.62)
        click = v.sine(pitch, d) * v.decay(d, 0.0035) + 0.4 * v.noise(d) * v.decay(d, 0.0012)
        pieces.append((k * every, click))
    return v.place([*pieces, (SHORTEST, np.zeros(2, dtype=np.float32))])


def phone(v: Voice) -> np.ndarray:
    pitch, beat = v.vary(1500, 0.15), v.vary(21)
    pieces = []
    for k in range(2):
        d = v.vary(0.24, 0.08)
        strike = v.phase(beat, d)
        ring = v.sine(pitch, d) + 0.8 * v.sine(pitch * 1.31, d) + 0.5 * v.sine(pitch * 2.43, d)
        pieces.append((k * 0.34, ring * np.exp(strike * np.float32(-2.5)) * v.hump(d, 0.003, 0.02)))
    return v.place(pieces)


def car(v: Voice) -> np.ndarray:
    pitch = v.vary(400, 0.15)
    pieces = []
    for at, d in ((0.0, v.vary(0.15)), (0.24, v.vary(0.36))):
        weights = 1.0 / np.arange(1, 12) ** 0.8
        horn = v.wave(weights, pitch, d) + v.wave(weights, pitch * 1.26, d)
        pieces.append((at, horn * v.hump(d, 0.01, 0.02)))
    return v.place(pieces)


def train(v: Voice) -> np.ndarray:
    every, low = v.vary(0.17), v.vary(700, 0.15)
    pieces = []
    for k in range(4):
        d = v.vary(0.12)
        puff = v.band(v.noise(d), low, low * 3.5) * v.hump(d, 0.012, 0.08)
        pieces.append((k * every, puff * (1.0 if k % 2 == 0 else 0.7)))
    return v.place(pieces)


def helicopter(v: Voice) -> np.ndarray:
    d, beat = v.length(), v.vary(16)
    chop = np.exp(v.phase(beat, d) * np.float32(-5))
    hum = v.wave([1, 0.6, 0.5, 0.3], v.vary(110, 0.15), d)
    return (v.band(v.noise(d), 60, v.vary(500)) * 1.5 + 0.4 * hum) * chop + 0.06 * hum


def boat(v: Voice) -> np.ndarray:
    d, pitch = v.length(), v.vary(82, 0.12)
    weights = [1.0, 0.9, 0.7, 0.45, 0.25, 0.12, 0.05]
    return (v.wave(weights, pitch, d) + 0.5 * v.wave(weights, pitch * 1.006, d)) * v.hump(d, 0.05, 0.12)


def robot(v: Voice) -> np.ndarray:
    every = v.vary(0.085)
    odd = np.array([1 / k if k % 2 else 0 for k in range(1, 24)])
    pieces = []
    for k in range(7):
        d = every * v.vary(0.85)
        pieces.append((k * every, v.wave(odd, float(300 * 2 ** (2.4 * v.rng.random())), d) * v.hump(d, 0.003, 0.003)))
    return v.place(pieces)


def rocket(v: Voice) -> np.ndarray:
    d = v.length()
    u = v.time(d) / np.float32(d)
    noise = v.noise(d)
    deep, high = v.band(noise, 40, v.vary(350)), v.band(noise, 300, v.vary(3500))
    return deep * (1.5 - 0.5 * u) + high * (np.float32(0.15) + u**2 * np.float32(1.8))


SOUNDS: dict[str, Callable[[Voice], np.ndarray]] = {
    f.__name__: f
    for f in (
        dog, cat, bird, cow, duck, frog, bee, owl, horse, snake, bell, drum, guitar, trumpet, piano, whistle, clock,
        phone, car, train, helicopter, boat, robot, rocket,
    )
}  # fmt: skip


def make_sound(kind: str, rng: np.random.Generator, sample_rate: int = 16000) -> np.ndarray:
    """One sound of a kind, (n,) float32 with peak 1, 0.45-0.75 s long; it begins at once and ends with a short fade."""
    if kind not in SOUNDS:
        raise ValueError(f"kind must be one of {', '.join(SOUNDS)}; found {kind!r}")
    if sample_rate < 8000:
        raise ValueError(f"sample_rate must be at least 8000 for these sounds; found {sample_rate}")
    wave = SOUNDS[kind](Voice(rng, sample_rate))
    shortest, longest = math.ceil(SHORTEST * sample_rate), int(LONGEST * sample_rate)
    out = np.zeros(max(shortest, min(len(wave), longest)), dtype=np.float32)
    out[: len(wave)] = wave[: len(out)]
    fade = round(0.03 * sample_rate)
    out[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return out / max(float(np.abs(out).max()), 1e-6)
