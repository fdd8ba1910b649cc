from __future__ import annotations

from ._library import OK, lib


class Error(Exception):
    """Why something could not be done: a line that names the file and the way out. ``code`` is such as ``"unusable_index"``."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code

    def __reduce__(self):
        return type(self), (self.code, str(self))


class InputError(Error, ValueError):
    """A filter, level, option or other input that says nothing."""


def error(status: int, message: bytes) -> Error:
    code = lib.ftf_status_name(status).decode()
    kind = InputError if code in ("bad_input", "unknown_attribute") else Error
    return kind(code, message.decode(errors="replace"))


def check(status: int) -> None:
    """Raises what the last call of this thread failed by."""
    if status != OK:
        raise error(status, lib.ftf_error())
