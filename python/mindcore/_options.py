"""What a client is opened with, as options of the configuration (docs/options.md)."""

import enum
import os
from typing import Any, Dict, List, Mapping, Optional, Union, cast

from . import _json
from .errors import ArgumentTypeError, InvalidArgumentError
from .vocabulary import VocabularyManager

Path = Union[str, "os.PathLike[str]"]


class MemorySharingMode(str, enum.Enum):
    """Which messages of other agents an agent may read (docs/agents.md)."""

    DISABLED = "disabled"
    ISOLATED = "isolated"
    SHARED = "shared"
    PUBLIC = "public"

    def __str__(self) -> str:
        return self.value


class AgentVisibility(str, enum.Enum):
    """Who may read an agent's message: itself, the members of its groups, every agent."""

    PRIVATE = "private"
    SHARED = "shared"
    PUBLIC = "public"

    def __str__(self) -> str:
        return self.value


class MultiAgentConfig:
    """Several agents over one memory; without a mode, enabled means MemorySharingMode.SHARED."""

    __slots__ = ("enabled", "mode", "require_agent_id", "default_visibility", "default_sharing_groups")

    def __init__(self, enabled: bool = False, mode: Union[MemorySharingMode, str, None] = None,
                 require_agent_id: bool = False, default_visibility: Union[AgentVisibility, str] = "private",
                 default_sharing_groups: Optional[List[str]] = None) -> None:
        self.enabled = _boolean(enabled, "enabled")
        if mode is None:
            mode = MemorySharingMode.SHARED if enabled else MemorySharingMode.DISABLED
        self.mode = _member(MemorySharingMode, mode, "mode")
        self.require_agent_id = _boolean(require_agent_id, "require_agent_id")
        self.default_visibility = _member(AgentVisibility, default_visibility, "default_visibility")
        self.default_sharing_groups = list(default_sharing_groups or [])

    def to_dict(self) -> Dict[str, Any]:
        return {"enabled": self.enabled, "mode": self.mode.value, "require_agent_id": self.require_agent_id,
                "default_visibility": self.default_visibility.value,
                "default_sharing_groups": list(self.default_sharing_groups)}

    def to_options(self) -> Dict[str, str]:
        """The options of the section multi_agent."""
        options = {f"multi_agent.{key}": _text(value) for key, value in self.to_dict().items()}
        if self.mode is MemorySharingMode.DISABLED:
            options["multi_agent.enabled"] = "false"
        return options

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MultiAgentConfig) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "MultiAgentConfig(" + ", ".join(f"{key}={value!r}" for key, value in self.to_dict().items()) + ")"


def _boolean(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"{field}: True or False is expected, not {type(value).__name__}", field)
    return value


def _member(kind: Any, value: Any, field: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        names = ", ".join(member.value for member in kind)
        raise InvalidArgumentError(f"{field}: {value!r} is none of {names}", field) from None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else _json.encode(value, "options")


class _DefaultTrue(int):
    """True that nobody asked for: what the configuration says goes before it."""

    def __repr__(self) -> str:
        return "True"


class _DefaultText(str):
    """A text that nobody asked for."""


DEFAULT_TRUE = cast(bool, _DefaultTrue(1))
DEFAULT_PATH: str = _DefaultText("mindcore.db")


def path_text(path: Path, field: str) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise ArgumentTypeError(f"{field}: a path is expected, not {type(path).__name__}", field) from None


def _database(use_sqlite: Optional[bool], sqlite_path: Path) -> Dict[str, str]:
    if use_sqlite is not None:
        _boolean(use_sqlite, "use_sqlite")
    options = {}
    if use_sqlite is not None:
        options["database.backend"] = "sqlite" if use_sqlite else "postgresql"
    if use_sqlite or not isinstance(sqlite_path, _DefaultText):
        options["database.path"] = path_text(sqlite_path, "sqlite_path")
    return options


def client_options(use_sqlite: Optional[bool], sqlite_path: Path, llm_provider: Optional[str], persistent_cache: bool,
                   cache_dir: Optional[Path], vocabulary: Optional[VocabularyManager],
                   multi_agent_config: Optional[MultiAgentConfig], enrichment_workers: Optional[int],
                   options: Optional[Mapping[str, Any]]) -> Dict[str, str]:
    """The options that the arguments of a client set, above those of the environment and the file."""
    result = _database(use_sqlite, sqlite_path)
    if llm_provider is not None:
        if not isinstance(llm_provider, str):
            raise ArgumentTypeError(f"llm_provider: a str is expected, not {type(llm_provider).__name__}",
                                    "llm_provider")
        result["llm.provider"] = llm_provider
    if not isinstance(persistent_cache, _DefaultTrue):
        result["cache.persistent"] = _text(_boolean(persistent_cache, "persistent_cache"))
    if cache_dir is not None:
        result["cache.dir"] = path_text(cache_dir, "cache_dir")
    if enrichment_workers is not None:
        if isinstance(enrichment_workers, bool) or not isinstance(enrichment_workers, int):
            raise ArgumentTypeError(f"enrichment_workers: an int is expected, not {type(enrichment_workers).__name__}",
                                    "enrichment_workers")
        result["enrichment.workers"] = str(enrichment_workers)
    if vocabulary is not None:
        if not isinstance(vocabulary, VocabularyManager):
            raise ArgumentTypeError(f"vocabulary: a VocabularyManager is expected, not {type(vocabulary).__name__}",
                                    "vocabulary")
        result.update(vocabulary.to_options())
    if multi_agent_config is not None:
        if not isinstance(multi_agent_config, MultiAgentConfig):
            raise ArgumentTypeError("multi_agent_config: a MultiAgentConfig is expected, not "
                                    f"{type(multi_agent_config).__name__}", "multi_agent_config")
        result.update(multi_agent_config.to_options())
    for key, value in (options or {}).items():
        result[key] = _text(value)
    return result
