"""Parquet files as rows, with pyarrow (`pip install "mirasol[parquet]"`). Media inside them are not read: of a column
of media (`{"bytes", "path"}`) the path stays, and bytes alone are skipped and named."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

MOST_ROWS = 20_000_000
MOST_BYTES = 1 << 30  # of a file's texts and numbers, unpacked
BATCH = 4096  # rows


def read_parquet(path: Path) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """(rows, notes); `ValueError` with one line for a file that is none, or not whole, and without pyarrow."""
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise ValueError(
            f'{path.name} is a parquet file, which pyarrow reads: pip install "mirasol[parquet]"'
        ) from None
    try:
        with parquet.ParquetFile(path) as file:
            names, skipped = _columns(file.schema_arrow, arrow)
            wanted = {f"{name}.{part}" if part else name for name, part in names.items()}
            if file.metadata.num_rows > MOST_ROWS:
                raise ValueError(f"expected at most {MOST_ROWS:,} rows in {path}, found {file.metadata.num_rows:,}")
            rows, size = [], 0
            for batch in file.iter_batches(batch_size=BATCH, columns=sorted(wanted)):
                size += batch.nbytes
                if size > MOST_BYTES:
                    raise ValueError(f"expected at most {MOST_BYTES >> 20:,} MiB of texts and numbers in {path}")
                rows += batch.to_pylist()
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no whole parquet file: {' '.join(str(error).split())[:200]}") from None
    order = [name for name in file.schema_arrow.names if name in names]
    rows = [{name: _plain(row.get(name), names[name]) for name in order} for row in rows]
    note = f"media inside {path.name} are not read (columns {', '.join(skipped)}): save them as files"
    return rows, (note,) if skipped else ()


def _columns(schema: Any, arrow: Any) -> tuple[dict[str, str], list[str]]:
    """Column -> the part of it that is read ("" for all); and the columns whose bytes are not."""

    def is_bytes(kind: Any) -> bool:
        return bool(arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind))

    names, skipped = {}, []
    for field in schema:
        kind = field.type
        if is_bytes(kind):
            skipped.append(field.name)
        elif arrow.types.is_struct(kind) and any(is_bytes(kind.field(at).type) for at in range(kind.num_fields)):
            skipped.append(field.name)
            if kind.get_field_index("path") >= 0:
                names[field.name] = "path"
        else:
            names[field.name] = ""
    return names, skipped


def _plain(value: Any, part: str) -> Any:
    """A missing number is a NaN where pandas wrote the file."""
    value = value.get(part) if part and isinstance(value, dict) else value
    return None if isinstance(value, float) and math.isnan(value) else value
