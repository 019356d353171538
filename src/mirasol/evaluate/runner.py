"""One benchmark from annotations and a folder of media to a result that anyone can check again.

run(plan, loaded, out)   answers everything and writes out/result.json; a second call goes on after a kill
verify(path)             the figures once more from the predictions alone; `answer_again` the predictions of a sample
"""

from __future__ import annotations

import hashlib
import json
import platform
import resource
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mirasol.data.annotations import Annotations, MediaFolder, Row, by_media
from mirasol.inference.answer import Loaded
from mirasol.inference.saved import fingerprint

from .answering import PROMPT, answer, too_long
from .films import Film, Seen, watch_together
from .ledger import Outcome, open_ledger
from .online import watch_online
from .tasks import Task, score

Tick = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """`vocabulary`: a closed list of answers to choose from, instead of saying them freely. `batch` films are watched
    side by side. `limit`: the first so many questions alone; their figures are no figures of the benchmark."""

    task: Task
    annotations: Annotations
    source: Path
    media: MediaFolder
    split: str | None = None
    rows: tuple[str, ...] = ("both",)
    rule: str = "mean"
    vocabulary: tuple[str, ...] = ()
    batch: int = 8
    least_coverage: float = 0.95
    limit: int | None = None

    def listed(self) -> list[Row]:
        """The questions to be asked: those of the split."""
        rows = [row for row in self.annotations.rows if self.split in (None, row.split)]
        return rows[: self.limit]

    def options(self, row: Row) -> tuple[str, ...]:
        return row.options if self.task.answers == "choose" else self.vocabulary


def configuration(plan: Plan, loaded: Loaded) -> dict[str, Any]:
    """All that the answers depend on; it opens the file of predictions and stands in the result."""
    sizes = loaded.model.sizes
    text = "\n".join(plan.vocabulary)
    return {
        "task": plan.task.name,
        "annotations": plan.source.name,
        "annotations_sha256": hashlib.sha256(plan.source.read_bytes()).hexdigest(),
        "split": plan.split or "all of the file",
        "rows": list(plan.rows),
        "model": loaded.name,
        "model_fingerprint": fingerprint(loaded.model),
        "frames": f"every instant at {sizes.frame_rate:g} per second of the whole film or span, {sizes.height} x "
        f"{sizes.width}",
        "sound": f"all of it at {sizes.sample_rate} Hz",
        "prompt": PROMPT,
        "answers": "likelihood of options" if plan.task.answers == "choose" or plan.vocabulary else "greedy",
        "rule": plan.rule,
        "vocabulary": len(plan.vocabulary),
        "vocabulary_sha256": hashlib.sha256(text.encode()).hexdigest() if plan.vocabulary else None,
        "limit": plan.limit,
    }


def run(plan: Plan, loaded: Loaded, out: Path, tick: Tick = lambda done, total: None) -> dict[str, Any]:
    """Answers what is still open, then writes and gives the result."""
    out.mkdir(parents=True, exist_ok=True)
    settings = configuration(plan, loaded)
    ledger = open_ledger(out / "predictions.jsonl", settings)
    listed = plan.listed()
    if not listed:
        raise ValueError(f"expected questions of the split {plan.split!r} in {plan.source}, found none")
    films = placed(plan, by_media(listed))
    # Missing films are not written down: a later call takes up those that have come meanwhile.
    missing = [row for group in by_media(listed) if group[0].key not in films for row in group]
    groups = [group for group in by_media(listed)
              if group[0].key in films and any(row.key not in ledger.keys for row in group)]  # fmt: skip
    for first in range(0, len(groups), plan.batch):
        tick(len(ledger.keys), len(listed) - len(missing))
        part = groups[first : first + plan.batch]
        for outcome in outcomes(plan, loaded, part, [films[group[0].key] for group in part]):
            ledger.add(outcome)
    tick(len(ledger.keys), len(listed) - len(missing))
    ledger.outcome.unused[:0] = [unused(row, "missing", "no such file") for row in missing]
    result = report(plan, settings, ledger.outcome, listed, device(loaded))
    write_whole(out / "result.json", json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return result


def placed(plan: Plan, groups: Iterator[list[Row]]) -> dict[str, Film]:
    """The films that are there, by the key of their first question; each with the next one's sound for `swapped`."""
    films: list[Film] = []
    for group in groups:
        place = plan.media.find(group[0])
        if place is not None and place.media is not None:
            films.append(Film(group[0].key, place.media, place.sound, place.start, place.end))
    if "swapped" in plan.rows and len(films) > 1:
        with_sound = [has_sound(film) for film in films]
        films = [replace(film, other=_next(films, with_sound, at)) for at, film in enumerate(films)]
    return {film.key: film for film in films}


def has_sound(film: Film) -> bool:
    from mirasol.media.reader import open_media

    try:
        with open_media(film.sound or film.media) as media:
            return media.has_sound
    except (ValueError, OSError):
        return False


def _next(films: Sequence[Film], good: Sequence[bool], at: int) -> Film | None:
    """The next film that has sound and is another file, round the end of the list."""
    order = [(at + step) % len(films) for step in range(1, len(films))]
    return next((films[n] for n in order if good[n] and films[n].media != films[at].media), None)


def outcomes(plan: Plan, loaded: Loaded, groups: Sequence[Sequence[Row]], films: Sequence[Film]) -> Iterator[Outcome]:
    """What comes of the questions (groups) about films: all films at once, or one by one where they run online."""
    if not plan.task.online:
        if films:
            yield answer_batch(plan, loaded, groups, films)
        return
    for group, film in zip(groups, films, strict=True):
        yield watch_online(film, group, plan.rows, loaded, plan.rule)


def answer_batch(plan: Plan, loaded: Loaded, groups: Sequence[Sequence[Row]], films: Sequence[Film]) -> Outcome:
    """Watches films side by side and puts all their questions, for each way of showing them."""
    pairs = list(zip(watch_together(films, loaded, plan.rows), groups, strict=True))
    bad = [unused(row, "damaged", one.error) for one, group in pairs if one.error is not None for row in group]
    good = [(one, group) for one, group in pairs if one.error is None]
    asked = []
    for at, (_, group) in enumerate(good):
        for row in group:
            if (why := too_long(row, plan.options(row), loaded)) is not None:
                bad.append(unused(row, "too long", why))
            else:
                asked.append((at, row, plan.options(row)))
    began, records = time.perf_counter(), []
    for shown in plan.rows:
        records += answer([one.rows[shown] for one, _ in good], asked, shown, loaded, plan.rule)
    answering = (time.perf_counter() - began) / max(1, len(asked))
    counts = Counter(at for at, _, _ in asked)
    return Outcome(records, bad, [timing(one, counts[at], answering * counts[at]) for at, (one, _) in enumerate(good)])


def unused(row: Row, kind: str, why: str) -> dict[str, str]:
    return {"key": row.key, "media": row.names[0] if row.names else row.media, "kind": kind, "why": why}


def timing(seen: Seen, questions: int, answering: float) -> dict[str, Any]:
    return {
        "key": seen.film.key, "seconds": round(seen.seconds, 3), "taken": round(seen.taken, 4),
        "questions": questions, "answering": round(answering, 4), "silent": seen.silent,
        "warnings": list(seen.warnings),
    }  # fmt: skip


def report(plan: Plan, settings: dict[str, Any], outcome: Outcome, listed: Sequence[Row], where: str) -> dict[str, Any]:
    """Everything about one run as plain values; `headline` is None where too little was covered."""
    answered = {one.key for one in outcome.records}
    coverage = len(answered) / len(listed)
    scores = score(plan.task, outcome.records, plan.rule)
    covered = coverage >= plan.least_coverage and plan.limit is None
    return {
        "configuration": settings,
        "coverage": {
            "listed": len(listed), "answered": len(answered), "share": coverage,
            "least": plan.least_coverage, "without_answer": sum(not row.answers for row in listed),
            **Counter(one["kind"] for one in outcome.unused),
        },
        "headline": headline(scores) if covered else None,
        "scores": scores,
        "silent": sum(one["silent"] for one in outcome.films),
        "speed": speed(outcome),
        "peak_memory_mib": peak_memory(),
        "machine": {"python": platform.python_version(), "system": platform.platform(), "device": where},
        "versions": versions(),
        "unused": outcome.unused,
        "warned": [{"key": one["key"], "warnings": one["warnings"]} for one in outcome.films if one["warnings"]],
        "predictions": [one.to_dict() for one in outcome.records],
    }  # fmt: skip


def headline(scores: dict[str, dict[str, float]]) -> dict[str, float]:
    """The first figure of each row."""
    return {f"{row} {next(iter(figures))}": next(iter(figures.values())) for row, figures in scores.items() if figures}


def speed(outcome: Outcome) -> dict[str, float]:
    """Seconds of this machine: watching a film, answering a question, and how much faster than the film it was."""
    watching = sorted(one["taken"] for one in outcome.films)
    answers = [one["answering"] / one["questions"] for one in outcome.films if one["questions"]]
    delays = sorted(one.more["delay"] for one in outcome.records if "delay" in one.more)
    found: dict[str, float] = {}
    if watching and sum(watching):
        found["watching_mean_s"] = round(statistics.mean(watching), 4)
        found["watching_p95_s"] = watching[int(0.95 * (len(watching) - 1))]
        found["times_real_time"] = round(sum(one["seconds"] for one in outcome.films) / sum(watching), 2)
    if answers:
        found["answering_mean_s"] = round(statistics.mean(answers), 4)
    if delays:
        found["delay_mean_s"] = round(statistics.mean(delays), 4)
        found["delay_p95_s"] = delays[int(0.95 * (len(delays) - 1))]
    return found


def peak_memory() -> float:
    """MiB that this process held at most (of its last call, where it was cut off)."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def device(loaded: Loaded) -> str:
    return str(loaded.model.encoder.mask_tokens.device)


def versions() -> dict[str, str]:
    found = {}
    for name in ("mirasol", "torch", "av", "numpy", "tokenizers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def write_whole(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
