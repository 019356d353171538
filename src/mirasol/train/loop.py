"""One plain training loop, read from top to bottom; alone, or as one of the processes that `torchrun` starts.

Everything random is seeded by the step and by the clip (data, masking), so a resumed run goes on exactly where it was,
and it is the same run however many processes share its batches: each divides its losses by what all of them have.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from mirasol.data.examples import Batch
from mirasol.model.mirasol import Mirasol, count_parameters, loss_counts, target_places, with_weights
from mirasol.model.sizes import Sizes
from mirasol.model.state import MirasolState

from . import checkpoint
from .card import About, Part, read_log, write_card
from .checkpoint import Learner, progress_of
from .config import Run
from .distributed import World, separate_blocks, shard, whole, world
from .holding import cut_back, held
from .lora import add_lora, freeze, merge_lora, save_adapter
from .meter import Meter, Record
from .optimizer import Optimizers
from .words import Words, words_beside

MOST_NAMED = 16  # files of a batch that an error names

Evaluate = Callable[[Mirasol, Any], dict[str, float]]


def train(
    run: Run,
    out: Path,
    *,
    evaluate: Evaluate | None = None,
    report: Callable[[str], None] = print,
    tick: Callable[[int, int], None] = lambda done, steps: None,
) -> Path | None:
    """Runs (or resumes) `run` in the folder `out`; returns the folder of the finished model, None where the run was
    ended before its last step (by the `max_hours` of this call, or by SIGTERM; Ctrl-C raises `KeyboardInterrupt` when
    the checkpoint is written). `report` gets lines of text, `tick` the
    steps done and the steps in all after every step.

    out/step-*/   checkpoints      out/log.jsonl   a line per `log_every` steps      out/model/   the result
    out/left_out.jsonl   what could not be read      out/noted.jsonl   files that are used although something is odd
    """
    with world() as here, holding(out, here):
        if run.threads:
            torch.set_num_threads(run.threads)
        say = report if here.first else lambda line: None
        tokenizer = run.tokenizer()
        last = checkpoint.latest(out)
        progress: dict[str, Any] = {"step": 0, "hours": 0.0, "used": None} if last is None else progress_of(last)
        steps, first = run.optimisation.steps, progress["step"]
        source = run.batches(first * run.accumulate, steps * run.accumulate)
        identity = identity_of(run, tokenizer, source)
        check_identity(identity, progress, out)
        learner = begin(run, here, say)
        carried: MirasolState | None = None  # from step to step, where a batch goes on with the last one's clips
        if last is not None:
            checkpoint.restore(last, learner)
            carried = checkpoint.restore_state(last, learner.model, here)
            say(f"resuming from {last} (step {first})")
        if here.first:
            say_what_is_lost(out, first, last is not None, say)
        words = Words(tokenizer, words_beside(run.start_from), progress.get("words", ()))
        learning = [parameter for parameter in learner.model.parameters() if parameter.requires_grad]
        batches = source.feed(workers=run.workers, rank=here.rank, ranks=here.ranks, state=progress["used"])
        record = Record(out, run, here, say, done=first, hours=progress["hours"])
        done, stopping = first, False
        with Ending() as ending, record.telling(source):
            while done < steps and not stopping:
                meter = record.meter
                drawn = [draw(batches, here, run, meter, words) for _ in range(run.accumulate)]
                counts, asked_to_stop, due = agree(
                    drawn, here, ending.asked or record.over(run.max_hours), record.unsaved(run.save_minutes)
                )
                torch.manual_seed((run.seed * 1_000_003 + done) * here.ranks + here.rank)  # of dropout, if there is any
                for batch in drawn:
                    state = None if batch.first else carried
                    output = forward(run, learner.model, batch, state, counts, done, here)
                    loss = output.loss - (1 - effort_share(run, done)) * run.sizes.effort_weight * output.effort
                    (loss / run.accumulate).backward()
                    carried = output.state.detach() if run.through_time else None
                    meter.add(output)
                norm = whole(clip_grad_norm_(learning, run.optimisation.clip))
                if not torch.isfinite(norm):
                    names = [name for told in here.gather(suspects(drawn)) for name in told]
                    raise ValueError(not_a_number(done, names, out))
                factor = learner.optimizers.step(done)
                learner.follow(run.optimisation.average)
                meter.count(norm)
                done += 1
                tick(done, steps)
                stopping = asked_to_stop
                if done % run.log_every == 0 or done == steps or stopping:
                    record.line(done, factor)
                if evaluate is not None and (done % run.evaluate_every == 0 or done == steps):
                    scores = evaluate_whole(run, learner, here, lambda model: evaluate(model, tokenizer))
                    record.scores(done, scores)
                if done % run.save_every == 0 or done == steps or stopping or due:
                    record.left_out(here.gather(source.report()))
                    used = source.merge(here.gather(source.state()))
                    words.found.update(*here.gather(sorted(words.found)))
                    going = {"hours": record.hours(), "used": used, "run": identity, "words": sorted(words.found)}
                    checkpoint.save(out, done, learner, tokenizer, going, keep=run.keep, state=carried, world=here)
                    record.saved()
        if done < steps:
            say(f"ended after step {done} of {steps}; the same command resumes there")
            if ending.interrupted:
                raise KeyboardInterrupt
            return None
        weights = learner.best_weights(keep=here.first)
        if here.first:
            finish(run, out, weights, learner, tokenizer, words, here, say)
        here.wait()
        return out / "model"


@contextmanager
def holding(out: Path, here: World) -> Iterator[None]:
    """The folder of the run, made where there is none, for the processes of this run alone."""
    out.mkdir(parents=True, exist_ok=True)
    with held(out) if here.first else nullcontext():
        yield


def say_what_is_lost(out: Path, step: int, resumed: bool, say: Callable[[str], None]) -> None:
    """Cuts the log back to the step that the run resumes from; says so, and where a run begins again from nothing."""
    cut = cut_back(out / "log.jsonl", step)
    if not resumed and (cut or list(out.glob(".making-*"))):
        say(
            f"{out} holds a run that ended before its first checkpoint: it begins again at step 0 (save more often by "
            "--save-minutes or --save-every)"
        )
    elif cut:
        say(f"cut {cut} lines after step {step} off {out / 'log.jsonl'}: these steps are done again")


def finish(
    run: Run,
    out: Path,
    weights: dict[str, Tensor],
    learner: Learner,
    tokenizer: Any,
    words: Words,
    here: World,
    say: Callable[[str], None],
) -> None:
    """Writes the finished model, with its card and the words of its questions."""
    model = usable(run, weights, adapter=out / "adapter")
    model.sources = learner.model.sources
    checkpoint.save_model(model, tokenizer, out / "model", run=run.name)
    words.save(out / "model")
    parts = tuple(Part(part["part"], part["name"], part["licence"]) for part in model.sources)
    hardware = str(here.device) if here.ranks == 1 else f"{here.ranks} processes, each on {here.device.type}"
    try:
        about = About(data=run.data, hardware=hardware, limits=run.limits, parts=parts)
        write_card(out / "model", run, read_log(out), about)
    except ValueError as error:  # a log that somebody cut or mended
        say(f"no card was written: {error}")


def suspects(drawn: list[Batch]) -> list[str]:
    """The names of the clips of a step: those with a number in them that is none, where there are such; else all."""
    every, bad = [], []
    for batch in drawn:
        inputs = [value for value in vars(batch.inputs).values() if isinstance(value, Tensor)]
        for row, name in enumerate(batch.names):
            every.append(name)
            if not all(bool(torch.isfinite(value[row]).all()) for value in inputs):
                bad.append(name)
    return bad or every


def not_a_number(step: int, names: list[str], out: Path) -> str:
    """What to look at where a loss is not finite."""
    names = list(dict.fromkeys(names))
    shown = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    files = f" in the batch with {shown}: look at these files, or" if names else ":"
    return f"the loss is not a number at step {step}{files} lower the learning rate and resume from {out}"


def identity_of(run: Run, tokenizer: Any, source: Any) -> dict[str, Any]:
    """What a run must have in common with its checkpoint to be gone on with."""
    how = run.optimisation
    return {
        "sizes": run.sizes.to_dict(),
        "optimizers": [how.muon, bool(how.average)],
        "learning": [list(run.frozen), None if run.lora is None else vars(run.lora)],
        "through time": run.through_time,
        "seed": run.seed,
        "vocabulary": checkpoint.digest(tokenizer.to_str().encode()),
        "batches": {"accumulate": run.accumulate, **source.identity()},
    }


def check_identity(identity: dict[str, Any], progress: dict[str, Any], out: Path) -> None:
    """`ValueError` where the folder holds another run."""
    before = progress.get("run")
    now = json.loads(json.dumps(identity))
    if before is not None and (other := [name for name in now if before.get(name) != now[name]]):
        raise ValueError(
            f"{out} holds a run of {progress['step']} steps with other {' and '.join(other)}: cannot resume "
            "from it; choose another --out or delete that folder"
        )


def begin(run: Run, here: World, say: Callable[[str], None]) -> Learner:
    """The model as it is before the first step, on its device and sharded, with its optimizers."""
    torch.manual_seed(run.seed)
    model = run.build(run.sizes)
    if run.start_from:
        say(checkpoint.begin_with(Path(run.start_from), model))
    if run.frozen:
        freeze(model, run.frozen)
    if run.lora is not None:
        add_lora(model, run.lora)
    say(
        f"{run.name}: {count_parameters(model) / 1e6:.2f} M parameters on {here.device}"
        + (f" and {here.ranks - 1} more" if here.ranks > 1 else "")
    )
    model.train().to(here.device)
    if run.recompute:
        from mirasol.model.recompute import recompute_blocks

        recompute_blocks(model)
    if run.compile:
        for block in separate_blocks(model):
            block.compile()
    if here.ranks > 1:
        shard(model, run.bfloat16)
    average = {}
    if run.optimisation.average:
        average = {f"{name}|average": value.detach().clone() for name, value in model.named_parameters()}
    return Learner(model, Optimizers(model, run.optimisation, bfloat16=run.bfloat16), average)


def draw(batches: Iterator[Batch], here: World, run: Run, meter: Meter, words: Words) -> Batch:
    """The next batch, complete, on the host until it is used; waiting for it is counted."""
    before = time.monotonic()
    batch = next(batches)
    meter.waited += time.monotonic() - before
    meter.take(batch)
    words.take(batch)
    return replace(batch, inputs=batch.inputs.complete(run.sizes, torch.empty(0)))


def agree(drawn: list[Batch], here: World, stop: bool, due: bool) -> tuple[Tensor, bool, bool]:
    """What the losses of a step are divided by (see `loss_counts`), the mean over its batches and over all processes;
    whether one of them wants to stop after it, and whether one wants a checkpoint."""
    counts = torch.stack([loss_counts(batch.inputs, batch.labels) for batch in drawn]).mean(dim=0).to(here.device)
    agreed = here.mean(torch.cat([counts, counts.new_tensor([float(stop), float(due)])]))
    return agreed[:-2], bool(agreed[-2] > 0), bool(agreed[-1] > 0)


def forward(
    run: Run, model: Mirasol, batch: Batch, state: MirasolState | None, counts: Tensor, step: int, here: World
) -> Any:
    """One pass of a batch; what is masked depends on the clip and the step alone."""
    assert batch.inputs.snippet_mask is not None
    seeds = batch.seeds
    if seeds is None:
        seeds = torch.arange(len(batch.inputs.snippet_mask)) * here.ranks + here.rank
    hidden = hidden_tokens(seeds, step, batch.inputs.snippet_mask.shape[1], run.sizes)
    texts = (batch.ids, batch.labels, batch.text_mask, batch.rows, hidden, target_places(batch.labels))
    ids, labels, mask, rows, hidden, places = (carried_to(here.device, value) for value in texts)
    signals = {field.name: getattr(batch.inputs, field.name) for field in fields(batch.inputs)}
    on_host = {name: pinned(here.device, value) for name, value in signals.items() if isinstance(value, Tensor)}
    inputs = replace(batch.inputs, **on_host).complete(run.sizes, torch.empty(0, device=here.device))
    with torch.autocast(here.device.type, torch.bfloat16, enabled=run.bfloat16):
        return model(inputs, ids, labels, mask, rows, state, counts, hidden, places)


def pinned(device: torch.device, value: Tensor) -> Tensor:
    """In memory from which a GPU copies while it computes."""
    return value.pin_memory() if device.type == "cuda" and value.device.type == "cpu" else value


def carried_to(device: torch.device, value: Tensor) -> Tensor:
    """A tensor on its way to the device; nothing waits for it."""
    return pinned(device, value).to(device, non_blocking=True)


def hidden_tokens(seeds: Tensor, step: int, snippets: int, sizes: Sizes) -> Tensor:
    """Which combined tokens are masked, (B, snippets, K): by the seed of each clip and the step, so that neither the
    other clips of a batch nor its padding change it."""
    rows = []
    for seed in seeds.tolist():
        chance = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
        rows.append(torch.rand(snippets, sizes.combined, generator=chance) < sizes.mask_rate)
    return torch.stack(rows)


def effort_share(run: Run, step: int) -> float:
    """How much of the loss of effort counts at a step: first a memory must be of use, then it may be thrifty."""
    begin, full = run.effort_ramp
    return 1.0 if step >= full else max(0.0, (step - begin) / (full - begin))


def evaluate_whole(
    run: Run, learner: Learner, here: World, evaluate: Callable[[Mirasol], dict[str, float]]
) -> dict[str, float]:
    """Scores of the model as a user would get it, made by the first process while the others wait."""
    weights = learner.best_weights(keep=here.first)
    scores: dict[str, float] = {}
    if here.first:
        scores = evaluate(usable(run, weights).to(here.device))
    here.wait()
    return scores


def usable(run: Run, weights: dict[str, Tensor], adapter: Path | None = None) -> Mirasol:
    """The model of these weights, whole and by their names in training, as users load it: adapters merged, and saved in
    the folder `adapter` before that, if there are any."""
    if run.lora is None and run.build is Mirasol:
        return with_weights(run.sizes, weights)
    model = run.build(run.sizes)
    if run.lora is not None:
        add_lora(model, run.lora)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
    if run.lora is not None:
        if adapter is not None:
            save_adapter(model, adapter)
        merge_lora(model)
    return model.eval()


class Ending:
    """While it is open, SIGTERM and Ctrl-C ask for an end after the current step instead of killing the process. A
    second Ctrl-C ends it at once."""

    def __init__(self) -> None:
        self.asked = self.interrupted = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Ending:
        with suppress(ValueError):  # not in the main thread: signals go elsewhere
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: Any) -> None:
        if number == signal.SIGINT and self.interrupted:
            raise KeyboardInterrupt
        self.asked = True
        self.interrupted |= number == signal.SIGINT

    def __exit__(self, *rest: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
