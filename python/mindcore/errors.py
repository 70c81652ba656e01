"""Exceptions: one for each status of the library, all of them a MindcoreError.

An exception's text says what was wrong, where, and what to do. `field` names the argument, option or
column at fault ("" when there is none), `status` is the library's name of the outcome ("NOT_FOUND"), and
`http_status` what the HTTP interface answers in this case.
"""

import builtins
from typing import ClassVar, Tuple, Type


class MindcoreError(Exception):
    """Any failure of Mindcore."""

    status: ClassVar[str] = "INTERNAL"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> Tuple[Type["MindcoreError"], Tuple[str, str]]:
        return type(self), (self.message, self.field)


class InvalidArgumentError(MindcoreError, ValueError):
    """An argument is wrong; `field` names it."""

    status = "INVALID"
    http_status = 400


class ArgumentTypeError(InvalidArgumentError, TypeError):
    """An argument is of a wrong type."""


class AuthenticationError(MindcoreError):
    """A service refused the key that it was given."""

    status = "UNAUTHENTICATED"
    http_status = 401


class PermissionDeniedError(MindcoreError):
    """The agent may not do this."""

    status = "FORBIDDEN"
    http_status = 403


class NotFoundError(MindcoreError, LookupError):
    """There is no such thing, or the reading agent may not see it."""

    status = "NOT_FOUND"
    http_status = 404


class ConflictError(MindcoreError):
    """The id or name is taken by something else."""

    status = "CONFLICT"
    http_status = 409


class TooLargeError(MindcoreError, ValueError):
    """A value is above its limit."""

    status = "TOO_LARGE"
    http_status = 413


class RateLimitedError(MindcoreError):
    """Too many requests in a short time."""

    status = "RATE_LIMITED"
    http_status = 429


class CancelledError(MindcoreError):
    """The work was stopped before its end."""

    status = "CANCELLED"
    http_status = 499


class InternalError(MindcoreError):
    """A mistake of Mindcore itself; please report it."""

    status = "INTERNAL"
    http_status = 500


class OutOfMemoryError(MindcoreError, MemoryError):
    """There was not enough memory; nothing was changed."""

    status = "NO_MEMORY"
    http_status = 503


class ConfigurationError(MindcoreError, ValueError):
    """An option, of the configuration or given to a client, is wrong; `field` names it."""

    status = "CONFIG"
    http_status = 500


class CorruptError(MindcoreError):
    """The database or a file of it is damaged, or is none of Mindcore's."""

    status = "CORRUPT"
    http_status = 500


class VersionError(MindcoreError):
    """The database was written by a newer version."""

    status = "VERSION"
    http_status = 500


class StorageError(MindcoreError):
    """Reading or writing failed."""

    status = "IO"
    http_status = 500


class UnsupportedError(MindcoreError):
    """This build, or this database, cannot do it."""

    status = "UNSUPPORTED"
    http_status = 501


class BusyError(MindcoreError):
    """Too much is going on, or the database is locked; try again later."""

    status = "BUSY"
    http_status = 503


class UnavailableError(MindcoreError):
    """The database or a service cannot be reached."""

    status = "UNAVAILABLE"
    http_status = 503


class TimeoutError(MindcoreError, builtins.TimeoutError):
    """It took longer than it may."""

    status = "TIMEOUT"
    http_status = 504


class DiskFullError(MindcoreError):
    """There is no space left; nothing was lost."""

    status = "DISK_FULL"
    http_status = 507


class ClientClosedError(MindcoreError, RuntimeError):
    """The client is closed."""


class ForkedClientError(MindcoreError, RuntimeError):
    """The client was opened before a fork and is used in the child; or the child of a process that had a client open
    opens one. Fork first, or start processes with multiprocessing's spawn or forkserver."""
