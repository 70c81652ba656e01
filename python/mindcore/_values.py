"""The values that calls return, beside Message, which the extension makes (it calls functions of this module)."""

import html
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from . import _json
from ._json import time_of
from .errors import ArgumentTypeError, InvalidArgumentError, MindcoreError
from ._mindcore import Message

__all__ = ["time_of"]

object_of = _json.decode


class MessageMetadata(Mapping[str, Any]):
    """What was found out about a message (docs/metadata.md): fields as attributes, and as a mapping.

    A message that is not enriched yet has the defaults, and `enriched` is False.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Optional[Mapping[str, Any]] = None) -> None:
        self._values: Dict[str, Any] = dict(values or {})

    @property
    def enriched(self) -> bool:
        """Whether anything was found out yet."""
        return "method" in self._values

    @property
    def topics(self) -> List[str]:
        """Names of the vocabulary, at most 6; the most mentioned first."""
        return list(self._values.get("topics", []))

    @property
    def categories(self) -> List[str]:
        """Names of the vocabulary."""
        return list(self._values.get("categories", []))

    @property
    def importance(self) -> float:
        """0 to 1; 0.5 when not known yet."""
        return float(self._values.get("importance", 0.5))

    @property
    def sentiment(self) -> Dict[str, Any]:
        """{"overall": positive, negative, neutral or mixed, "score": -1 to 1}."""
        return dict(self._values.get("sentiment") or {"overall": "neutral", "score": 0.0})

    @property
    def intent(self) -> Optional[str]:
        """ask_question, request_action, provide_info ..., or None."""
        return self._values.get("intent")

    @property
    def tags(self) -> List[str]:
        """urgent, question, request, complaint, personal, preference, remember, deadline, amount, date."""
        return list(self._values.get("tags", []))

    @property
    def entities(self) -> List[Dict[str, str]]:
        """[{"type": order_id, amount, date ..., "value": as it stands in the text}], at most 32."""
        return [dict(entity) for entity in self._values.get("entities", [])]

    @property
    def key_phrases(self) -> List[str]:
        """At most 5."""
        return list(self._values.get("key_phrases", []))

    @property
    def method(self) -> Optional[str]:
        """Who found all this: trivial, builtin or llm; None when nobody has yet."""
        return self._values.get("method")

    @property
    def model(self) -> Optional[str]:
        """The name of the model, or None."""
        return self._values.get("model")

    @property
    def confidence(self) -> float:
        """0 to 1."""
        return float(self._values.get("confidence") or 0.0)

    @property
    def enrichment_failed(self) -> bool:
        """True when every attempt failed."""
        return bool(self._values.get("enrichment_failed", False))

    @property
    def enrichment_error(self) -> Optional[str]:
        """Why it failed, or None."""
        return self._values.get("enrichment_error")

    @property
    def extra(self) -> Dict[str, Any]:
        """What the application attached to the message, unchanged."""
        return dict(self._values.get("extra", {}))

    def to_dict(self) -> Dict[str, Any]:
        """The metadata as the dict that HTTP gives as JSON."""
        return dict(self._values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"MessageMetadata({self._values!r})"

    def __reduce__(self) -> Tuple[Any, ...]:
        return MessageMetadata, (self._values,)

    def _repr_html_(self) -> str:
        return _table(self._values.items())


class AssembledContext:
    """What the agent needs to know now; str() of it is the text for the prompt."""

    __slots__ = ("assembled_context", "key_points", "relevant_message_ids", "tokens", "confidence",
                 "_metadata_json", "_metadata")

    assembled_context: str
    key_points: List[str]
    relevant_message_ids: List[str]
    tokens: int
    confidence: float

    def __init__(self, assembled_context: str, key_points: Tuple[str, ...], relevant_message_ids: Tuple[str, ...],
                 tokens: int, confidence: float, metadata: str) -> None:
        self.assembled_context = assembled_context
        self.key_points = list(key_points)
        self.relevant_message_ids = list(relevant_message_ids)
        self.tokens = tokens
        self.confidence = confidence
        self._metadata_json = metadata
        self._metadata: Optional[Dict[str, Any]] = None

    @property
    def metadata(self) -> Dict[str, Any]:
        """Sources, confidence, tokens, method, time, and for each item why it is there (docs/context.md)."""
        if self._metadata is None:
            self._metadata = _json.decode(self._metadata_json)
        return self._metadata

    @property
    def text(self) -> str:
        """The same as assembled_context."""
        return self.assembled_context

    def to_dict(self) -> Dict[str, Any]:
        """The context as the dict that HTTP gives as JSON."""
        return {"assembled_context": self.assembled_context, "key_points": list(self.key_points),
                "relevant_message_ids": list(self.relevant_message_ids), "metadata": self.metadata}

    def __str__(self) -> str:
        return self.assembled_context

    def __repr__(self) -> str:
        return (f"AssembledContext({_short(self.assembled_context)!r}, tokens={self.tokens}, "
                f"messages={self.metadata['messages']}, confidence={self.confidence:.2f})")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AssembledContext) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> Tuple[Any, ...]:
        return AssembledContext, (self.assembled_context, self.key_points, self.relevant_message_ids, self.tokens,
                                  self.confidence, self._metadata_json)

    def _repr_html_(self) -> str:
        points = "".join(f"<li>{html.escape(point)}</li>" for point in self.key_points)
        return (f"<div><p>{self.tokens} tokens, {len(self.relevant_message_ids)} messages, "
                f"confidence {self.confidence:.2f}</p>"
                f"<pre style='white-space:pre-wrap'>{html.escape(self.assembled_context)}</pre><ul>{points}</ul></div>")


class SearchHit:
    """A message that was found, its score (greater is better, within one result only), and why it was found:
    (feature, share of the score), where `explain` was asked for."""

    __slots__ = ("message", "score", "why")

    def __init__(self, message: Message, score: float, why: Optional[List[Tuple[str, float]]]) -> None:
        self.message = message
        self.score = score
        self.why = why

    def to_dict(self) -> Dict[str, Any]:
        """The hit as the dict that HTTP gives as JSON."""
        result: Dict[str, Any] = {"message": self.message.to_dict(), "score": self.score}
        if self.why is not None:
            result["why"] = [{"feature": feature, "share": share} for feature, share in self.why]
        return result

    def __repr__(self) -> str:
        return f"SearchHit(score={self.score:.4f}, {self.message!r})"

    def _repr_html_(self) -> str:
        return f"<p>score {self.score:.4f}</p>{self.message._repr_html_()}"


class RefusedMessage:
    """A message of a batch that was not stored: its position in what was given, from 0, and why."""

    __slots__ = ("index", "error")

    def __init__(self, index: int, error: MindcoreError) -> None:
        self.index = index
        self.error = error

    def __repr__(self) -> str:
        return f"RefusedMessage({self.index}, {self.error!r})"


class IngestResult:
    """What became of a batch: a sequence of the stored messages, in order, and the refused ones."""

    __slots__ = ("messages", "refused")

    def __init__(self, messages: List[Message], refused: List[RefusedMessage]) -> None:
        self.messages = messages
        self.refused = refused

    def to_dict(self) -> Dict[str, Any]:
        """{"stored": their number, "refused": [{"index", "error"}]}."""
        return {"stored": len(self.messages),
                "refused": [{"index": item.index, "error": str(item.error)} for item in self.refused]}

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __len__(self) -> int:
        return len(self.messages)

    def __getitem__(self, index: int) -> Message:
        return self.messages[index]

    def __repr__(self) -> str:
        return f"IngestResult(stored={len(self.messages)}, refused={self.refused!r})"


class ThreadSummary:
    """What was said in a thread, in short (docs/tiers.md)."""

    __slots__ = ("user_id", "thread_id", "summary", "key_facts", "topics", "method", "message_count", "first_at",
                 "last_at")

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.user_id: str = values["user_id"]
        self.thread_id: str = values["thread_id"]
        self.summary: str = values["summary"]
        self.key_facts: List[Any] = list(values["key_facts"])
        self.topics: List[str] = list(values["topics"])
        self.method: str = values["method"]
        self.message_count: int = values["messages"]
        self.first_at = time_of(_json.time_parse(values["from"]))
        self.last_at = time_of(_json.time_parse(values["to"]))

    def to_dict(self) -> Dict[str, Any]:
        """The summary as in an export."""
        return {"user_id": self.user_id, "thread_id": self.thread_id, "summary": self.summary,
                "key_facts": list(self.key_facts), "topics": list(self.topics), "method": self.method,
                "messages": self.message_count, "from": _json.time_text(_json.microseconds(self.first_at, "from")),
                "to": _json.time_text(_json.microseconds(self.last_at, "to"))}

    def __repr__(self) -> str:
        return f"ThreadSummary({self.thread_id!r}, {_short(self.summary)!r}, messages={self.message_count})"

    def _repr_html_(self) -> str:
        return _table(self.to_dict().items())


class UserPreferences:
    """How a user wants to be served (docs/preferences.md)."""

    __slots__ = ("user_id", "language", "timezone", "communication_style", "preferred_name", "interests", "goals",
                 "custom")

    def __init__(self, user_id: str, language: Optional[str] = None, timezone: Optional[str] = None,
                 communication_style: Optional[str] = None, preferred_name: Optional[str] = None,
                 interests: Optional[List[str]] = None, goals: Optional[List[str]] = None,
                 custom: Optional[Dict[str, Any]] = None, **_later: Any) -> None:
        self.user_id = user_id
        self.language = language
        self.timezone = timezone
        self.communication_style = communication_style
        self.preferred_name = preferred_name
        self.interests = list(interests or [])
        self.goals = list(goals or [])
        self.custom = dict(custom or {})

    def to_dict(self) -> Dict[str, Any]:
        """All fields, with None, [] and {} for those that are not set."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UserPreferences) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.to_dict().items() if value)
        return f"UserPreferences({given})"

    def _repr_html_(self) -> str:
        return _table(self.to_dict().items())


class AgentProfile:
    """A registered agent (docs/agents.md)."""

    __slots__ = ("agent_id", "name", "description", "sharing_groups", "default_visibility", "can_read_public",
                 "can_write_public", "metadata", "created_at")

    def __init__(self, agent_id: str, name: str, description: Optional[str] = None,
                 sharing_groups: Optional[List[str]] = None, default_visibility: str = "private",
                 can_read_public: bool = True, can_write_public: bool = False,
                 metadata: Optional[Dict[str, Any]] = None, created_at: Optional[str] = None, **_later: Any) -> None:
        self.agent_id = agent_id
        self.name = name
        self.description = description
        self.sharing_groups = list(sharing_groups or [])
        self.default_visibility = default_visibility
        self.can_read_public = can_read_public
        self.can_write_public = can_write_public
        self.metadata = dict(metadata or {})
        self.created_at = created_at

    def to_dict(self) -> Dict[str, Any]:
        """All fields."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AgentProfile) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"AgentProfile({self.agent_id!r}, {self.name!r}, sharing_groups={self.sharing_groups!r})"

    def _repr_html_(self) -> str:
        return _table(self.to_dict().items())


# What the extension calls


def metadata_of(text: str) -> MessageMetadata:
    return MessageMetadata(_json.decode(text) if text else None)


def _short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[:limit - 3] + "..."


def _table(rows: Any) -> str:
    cells = "".join(f"<tr><th style='text-align:left'>{html.escape(str(name))}</th>"
                    f"<td style='text-align:left'>{html.escape(str(value))}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def message_repr(message: Message) -> str:
    return (f"Message({message.message_id!r}, {message.role}, {_short(message.raw_text)!r}, "
            f"user_id={message.user_id!r}, thread_id={message.thread_id!r})")


def message_html(message: Message) -> str:
    metadata = message.metadata
    rows = [("id", message.message_id), ("user, thread", f"{message.user_id}, {message.thread_id}"),
            ("time", message.created_at.isoformat()), ("tier", message.tier), ("state", message.enrichment_state)]
    if message.agent_id:
        rows.append(("agent", f"{message.agent_id} ({message.visibility})"))
    if metadata.enriched:
        rows += [("topics", ", ".join(metadata.topics)), ("importance", f"{metadata.importance:.2f}"),
                 ("sentiment", str(metadata.sentiment["overall"])), ("intent", metadata.intent or "")]
    return f"<div><b>{html.escape(message.role)}</b>: {html.escape(message.raw_text)}{_table(rows)}</div>"


def message_fields(values: Any) -> Tuple[Any, ...]:
    """The fields of a dict of Message.to_dict, in the order in which the extension takes them."""
    if not isinstance(values, Mapping):
        raise ArgumentTypeError(f"values: a dict is expected, not {type(values).__name__}", "values")
    for name in ("message_id", "user_id", "thread_id", "session_id", "role", "raw_text", "created_at"):
        if name not in values:
            raise InvalidArgumentError(f"{name}: is missing", name)
    metadata = values.get("metadata") or {}
    created_at = values["created_at"]
    try:
        time = _json.time_parse(created_at) if isinstance(created_at, str) else _json.microseconds(created_at,
                                                                                                   "created_at")
    except InvalidArgumentError:
        raise
    except ValueError:
        raise InvalidArgumentError("created_at: not a time in RFC 3339", "created_at") from None
    return (values["message_id"], values["user_id"], values["thread_id"], values["session_id"],
            values.get("agent_id"), values["raw_text"], _json.encode(metadata, "metadata"),
            values.get("sharing_groups") or (), time, metadata.get("importance", 0.5), values["role"],
            values.get("visibility"), values.get("tier"), values.get("enrichment_state"))
