"""JSON as the library takes it, and times as it writes them."""

import datetime
import json
from typing import Any, Mapping

from .errors import InvalidArgumentError

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)


def microseconds(time: datetime.datetime, field: str) -> int:
    """Since the epoch. A time without a zone is an error: it would be another one elsewhere."""
    if not isinstance(time, datetime.datetime):
        raise InvalidArgumentError(f"{field}: a datetime with a time zone is expected, not {type(time).__name__}", field)
    if time.tzinfo is None:
        raise InvalidArgumentError(f"{field}: has no time zone; datetime.now(timezone.utc) has one", field)
    return (time - _EPOCH) // _MICROSECOND


def time_of(us: int) -> datetime.datetime:
    """The time of so many microseconds since the epoch, in UTC."""
    return _EPOCH + datetime.timedelta(microseconds=us)


def time_text(us: int) -> str:
    """RFC 3339 in UTC with microseconds."""
    return time_of(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def time_parse(text: str) -> int:
    """The microseconds since the epoch of RFC 3339."""
    return microseconds(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")), "created_at")


def _default(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return time_text(microseconds(value, "created_at"))
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def encode(value: Any, field: str) -> str:
    """Compact JSON of a value; InvalidArgumentError when it is none."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_default)
    except InvalidArgumentError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{field}: {error}", field) from None


def decode(text: str) -> Any:
    return json.loads(text)
