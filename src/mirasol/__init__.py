"""Mirasol watches and listens to video of any length and answers in text.

The names below are the public API. Each is imported from its module when it is first used (PEP 562), so that
`import mirasol` costs nothing: no torch, no transformers, no numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirasol.inference.answer import Answer, Loaded, Receipt, load
    from mirasol.inference.engine import Options
    from mirasol.inference.files import ask, describe
    from mirasol.inference.many import Asked, ask_many
    from mirasol.inference.session import Session
    from mirasol.media.clip import Clip, MediaError
    from mirasol.media.reader import open_media, read
    from mirasol.model.configuration_mirasol import MirasolConfig
    from mirasol.model.mirasol import Mirasol
    from mirasol.model.modeling_mirasol import MirasolForConditionalGeneration
    from mirasol.model.processing_mirasol import MirasolProcessor
    from mirasol.model.sizes import PRESETS, Sizes

    __version__: str

_MODULE_OF = {
    "Answer": "mirasol.inference.answer",
    "Receipt": "mirasol.inference.answer",
    "Loaded": "mirasol.inference.answer",
    "Options": "mirasol.inference.engine",
    "Asked": "mirasol.inference.many",
    "ask_many": "mirasol.inference.many",
    "ask": "mirasol.inference.files",
    "describe": "mirasol.inference.files",
    "load": "mirasol.inference.answer",
    "Session": "mirasol.inference.session",
    "Clip": "mirasol.media.clip",
    "MediaError": "mirasol.media.clip",
    "open_media": "mirasol.media.reader",
    "read": "mirasol.media.reader",
    "Mirasol": "mirasol.model.mirasol",
    "MirasolConfig": "mirasol.model.configuration_mirasol",
    "MirasolForConditionalGeneration": "mirasol.model.modeling_mirasol",
    "MirasolProcessor": "mirasol.model.processing_mirasol",
    "PRESETS": "mirasol.model.sizes",
    "Sizes": "mirasol.model.sizes",
}

__all__ = [  # noqa: RUF022 (in the order of the table above)
    "Answer",
    "Receipt",
    "Loaded",
    "Options",
    "Asked",
    "ask_many",
    "ask",
    "describe",
    "load",
    "Session",
    "Clip",
    "MediaError",
    "open_media",
    "read",
    "Mirasol",
    "MirasolConfig",
    "MirasolForConditionalGeneration",
    "MirasolProcessor",
    "PRESETS",
    "Sizes",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value = version("mirasol")
    elif name in _MODULE_OF:
        value = getattr(import_module(_MODULE_OF[name]), name)
    else:
        raise AttributeError(f"module 'mirasol' has no attribute {name!r}")
    globals()[name] = value  # next time Python finds it without asking here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
