"""Every error of a command is one line: of the system, of a library, and the faults of the program."""

from __future__ import annotations

import csv
import errno
import sys
from typing import Any

import pytest

from mirasol import cli
from mirasol.cli import errors


class Strange(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (ValueError("expected a,\n found b"), 2, "expected a, found b"),
        (OSError(errno.ENOSPC, "No space left on device", "out/x"), 2, "the disk is full"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.mp4"), 2, "no file or folder a.mp4"),
        (PermissionError(errno.EACCES, "Permission denied", "a.mp4"), 2, "Permission denied: a.mp4"),
        (MemoryError(), 2, "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"), 2, "not enough memory"),
        (RecursionError("maximum recursion depth exceeded"), 2, "nested too deeply"),
        (OverflowError("int too big to convert"), 2, "too large (int too big to convert)"),
        (csv.Error("field larger than field limit (131072)"), 2, "field larger"),
        (ModuleNotFoundError("No module named 'gguf'", name="gguf"), 2, "pip install gguf"),
        (Strange("what\nis this"), 70, "unexpected Strange: what is this"),
        (AssertionError(), 70, "unexpected AssertionError"),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_one_line_and_an_exit_code(
    error: Exception, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> Any:
        raise error

    monkeypatch.setattr(cli, "app", fails)
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back afterwards
    monkeypatch.delenv(errors.TRACEBACK, raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") <= 1
    assert (errors.TRACEBACK in said) or code != 70
    if code != 1:
        monkeypatch.setenv(errors.TRACEBACK, "1")
        with pytest.raises(type(error)):
            cli.main()
