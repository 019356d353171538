"""The whole model in plain PyTorch: encoder, text decoder, output layer, reconstruction heads.

    model(inputs, ids, labels=...) -> Output: logits or losses, and the state

The Hugging Face skin (`modeling_mirasol.py`) holds the same parts under the same names and adds what its users expect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from .decoder import Decoder
from .encoder import Encoder
from .initialising import fills_itself
from .inputs import Fused, Inputs, Tokenized
from .limits import read_config
from .priority import PriorityCombiner
from .reconstruction import Reconstruction, compared
from .sizes import Sizes
from .state import MirasolState
from .text import Text
from .weights import read_weights

IGNORE = -100  # a label that counts for nothing
CHUNK = 1_024  # targets whose logits exist at a time: 256 MiB in float32 at a vocabulary of 65 536


@dataclass(frozen=True)
class Output:
    """`loss` is the weighted sum; each named loss is a number of its own. `spread` is the deviation of the combined
    tokens over the batch: near zero, the latent loss has collapsed."""

    logits: Tensor | None = None
    loss: Tensor | None = None
    text: Tensor | None = None
    latent: Tensor | None = None
    video: Tensor | None = None
    audio: Tensor | None = None
    effort: Tensor | None = None
    spread: Tensor | None = None
    state: MirasolState | None = None


def target_places(labels: Tensor) -> Tensor:
    """Which of the positions (B * (T - 1)) that predict the next id have a target in `labels` (B, T): (n,) int64.

    Reads the labels, so call it where they are made, on the host; `text_loss` then makes no logits beside those.
    """
    return (labels[:, 1:] != IGNORE).flatten().nonzero()[:, 0]


def text_loss(
    lm_head: nn.Module,
    hidden: Tensor,
    labels: Tensor,
    count: Tensor | None = None,
    *,
    places: Tensor | None = None,
    chunk: int = CHUNK,
) -> Tensor:
    """Cross-entropy of the next id. labels (B, T), IGNORE = no target; `places`: see `target_places` (None: logits are
    made everywhere, as nothing is read back from the device to find out where they count).

    `count`: divide by this number of targets instead of the batch's own (gradient accumulation). More than `chunk`
    targets are looked at so many at a time, and their logits made again in the backward: at no time are there more.
    """
    targets = labels[:, 1:]
    asked, wanted = hidden[:, :-1].flatten(0, 1), targets.flatten()
    if places is not None:
        asked, wanted = asked[places], wanted[places]
    total = 0 * hidden.float().sum()
    # Without a target there is one empty chunk: the output layer takes part in every step.
    for first in range(0, max(1, len(wanted)), chunk):
        part = slice(first, first + chunk)
        if len(wanted) > chunk and torch.is_grad_enabled():
            total = total + checkpoint(summed_loss, lm_head, asked[part], wanted[part], use_reentrant=False)
        else:
            total = total + summed_loss(lm_head, asked[part], wanted[part])
    count = (targets != IGNORE).sum() if count is None else count
    return total / torch.where(count > 0, count, 1)


def summed_loss(lm_head: nn.Module, hidden: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in float32 of hidden (n, D) against targets (n), summed."""
    return F.cross_entropy(lm_head(hidden).float(), targets, ignore_index=IGNORE, reduction="sum")


def loss_counts(inputs: Inputs | Tokenized | Fused, labels: Tensor) -> Tensor:
    """What each named loss of a batch is a mean over, (5): targets of text, snippets compared by latent, video
    and audio, clips. `inputs` are complete.

    A step may be spread over several batches, one after the other or on several processes. Given the mean of their
    counts to `Mirasol.forward`, the mean of their losses and gradients is that of one batch that holds them all.
    """
    counts = [(labels[:, 1:] != IGNORE).sum(), *(mask.sum() for mask in compared(inputs))]
    clips = labels.new_full((), len(inputs.snippet_mask))  # type: ignore[arg-type]
    return torch.stack([*counts, clips]).float()


@torch.no_grad()
def spread_of(combined: Tensor, real: Tensor) -> Tensor:
    """Deviation of the combined tokens (B, S, K, D) over the real snippets (B, S), mean over tokens and values."""
    share = (real / real.sum().clamp(min=1))[..., None, None]
    mean = (combined * share).sum(dim=(0, 1))
    return ((combined - mean).square() * share).sum(dim=(0, 1)).sqrt().mean()


@fills_itself
class Mirasol(nn.Module):
    """Encoder, text decoder, output layer and reconstruction heads, of the given sizes; newly made, all random."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.sources: list[dict[str, Any]] = []  # where pretrained parts came from, with their licences
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes)
        self.lm_head = nn.Linear(sizes.text_width, sizes.vocabulary, bias=False)
        self.reconstruction = Reconstruction(sizes)
        if sizes.tied:
            self.lm_head.weight = self.decoder.embed.weight

    def forward(
        self,
        inputs: Inputs | Tokenized | Fused,
        ids: Tensor,
        labels: Tensor | None = None,
        text_mask: Tensor | None = None,
        rows: Tensor | None = None,
        state: MirasolState | None = None,
        counts: Tensor | None = None,
        hidden: Tensor | None = None,
        places: Tensor | None = None,
    ) -> Output:
        """ids (B or more, T); `rows` says which clip of the batch each row of text belongs to (default: one each).

        `counts`: what the losses are divided by, where a step has more than this batch; see `loss_counts`.
        `hidden` (B, S, K): which combined tokens are masked in training; None: a random share. `places`: see
        `target_places`.
        """
        inputs = inputs.complete(self.sizes, self.encoder.mask_tokens)
        most = inputs.snippet_mask.shape[1] if state is None else None  # type: ignore[union-attr]
        latents, combined, state = self.encoder(inputs, state, hidden)
        context, mask = self.encoder.context(state, most)
        if rows is not None:
            context, mask = context[rows], mask[rows]
        decoded, _ = self.decoder(ids, context, mask, text_mask=text_mask)
        if labels is None:
            return Output(logits=self.lm_head(decoded), state=state)
        text = text_loss(self.lm_head, decoded, labels, None if counts is None else counts[0], places=places)
        return self.losses(text, latents, combined, inputs, state, counts)

    def losses(
        self,
        text: Tensor,
        latents: Tensor,
        combined: Tensor,
        inputs: Inputs | Tokenized | Fused,
        state: MirasolState,
        counts: Tensor | None = None,
    ) -> Output:
        """The named losses and their sum from what the forward gave; `inputs` are complete (see `Inputs.complete`)."""
        latent, video, audio = self.reconstruction.losses(
            latents, combined, inputs, self.encoder.patches, None if counts is None else list(counts[1:4])
        )
        sizes = self.sizes
        loss = text + sizes.latent_weight * latent + sizes.video_weight * video + sizes.audio_weight * audio
        effort = torch.zeros_like(text)
        if isinstance(self.encoder.combiner, PriorityCombiner):
            rows = None if counts is None else counts[4]
            effort = self.encoder.combiner.effort(latents, inputs.snippet_mask, rows)
            loss = loss + sizes.effort_weight * effort
        return Output(None, loss, text, latent, video, audio, effort, spread_of(combined, inputs.snippet_mask), state)

    # Files: `config.json` and `model.safetensors`, the same that the Hugging Face skin writes and reads.
    @classmethod
    def load(
        cls, folder: str | Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> Mirasol:
        """From a folder with `config.json` and `model.safetensors`, or its shards: ready to answer, weights straight on
        the device in their final precision. `ValueError` before any is read where the files do not fit each other."""
        folder, values = Path(folder), read_config(folder)
        sizes = Sizes.from_dict(values["sizes"])
        model = with_weights(sizes, read_weights(folder, shapes_of(sizes), sizes.tied, device, dtype))
        model.sources = values.get("sources") or []
        return model

    def save(self, folder: str | Path, tokenizer: Tokenizer, weights: Mapping[str, Tensor] | None = None) -> None:
        """The files that `load` and `from_pretrained` read, `tokenizer.json` among them; `weights` (by name) instead of
        the model's own."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        found = dict(self.named_parameters()) if weights is None else weights  # tied ones once
        tensors = {name: value.detach().cpu().contiguous() for name, value in found.items()}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        self.save_words(folder, tokenizer)

    def save_words(self, folder: Path, tokenizer: Tokenizer) -> None:
        """The configuration and the tokenizer alone."""
        text = Text(tokenizer)
        config: dict[str, Any] = {
            "model_type": "mirasol",
            "architectures": ["MirasolForConditionalGeneration"],
            "sizes": self.sizes.to_dict(),
        }
        if not text.is_ours:
            start = text.layout.before[0]
            config |= {"pad_token_id": text.pad, "eos_token_id": text.end}
            config |= {"bos_token_id": start, "decoder_start_token_id": start}
        if self.sources:
            config["sources"] = self.sources
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        tokenizer.save(str(folder / "tokenizer.json"))


class _Unfilled(TorchFunctionMode):
    """Leaves out the functions of `torch.nn.init`: on the meta device they import PyTorch's compiler, seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def on_meta(sizes: Sizes) -> Mirasol:
    """A model of shapes alone: no memory, no values; for counting, and to be filled with weights from a file."""
    with torch.device("meta"), _Unfilled():
        return Mirasol(sizes)


def shapes_of(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all weights, both of tied ones."""
    return {name: tuple(value.shape) for name, value in on_meta(sizes).state_dict().items()}


def with_weights(sizes: Sizes, weights: dict[str, Tensor]) -> Mirasol:
    """A model that holds these tensors, all of its parameters by name (tied ones once), ready to answer."""
    model = on_meta(sizes)
    if sizes.tied:
        weights = {"lm_head.weight": weights["decoder.embed.weight"], **weights}
    model.load_state_dict(weights, assign=True)
    if sizes.tied:
        model.lm_head.weight = model.decoder.embed.weight
    return model.eval()


def count_parameters(model: nn.Module) -> int:
    """Every parameter once, tied ones too."""
    return sum(parameter.numel() for parameter in set(model.parameters()))
