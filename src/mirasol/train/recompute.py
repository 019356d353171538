"""Recomputation of blocks for training; it lives beside the blocks, as the Hugging Face skin offers it too."""

from mirasol.model.recompute import recompute_blocks

__all__ = ["recompute_blocks"]
