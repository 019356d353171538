"""Starting from what others have trained: pretrained language models and vision Transformers inside Mirasol.

    from mirasol.warm import join
    joined = join("small", vit="folder/of/dinov2", text="folder/of/smollm2")
    print(joined.report.summary())
    joined.save("start")          # asks, loads and trains like any other model

`mirasol init` does the same. docs/warm_start.md says which families fit and what each part becomes.
"""

from .joining import Joined, Report, join, loaded_names

__all__ = ["Joined", "Report", "join", "loaded_names"]
