"""The controlled vocabulary of metadata: which topics and categories there are, and the words for them."""

from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from . import _json, _mindcore
from .errors import ArgumentTypeError


def _names(values: Iterable[str], field: str) -> List[str]:
    if isinstance(values, (str, bytes)):
        raise ArgumentTypeError(f"{field}: a sequence of str is expected, not {type(values).__name__}", field)
    names = list(values)
    for name in names:
        if not isinstance(name, str):
            raise ArgumentTypeError(f"{field}: a str is expected, not {type(name).__name__}", field)
    return names


class VocabularyManager:
    """The built-in vocabulary and what an application adds to it; given to a client, it is what that client's
    metadata may name. Names are lower case, 1 to 64 bytes of letters, digits, "_", "-" and single spaces.

    A client takes the vocabulary as it is when the client is made; later changes concern later clients.
    """

    def __init__(self, topics: Iterable[str] = (), categories: Iterable[str] = (),
                 synonyms: Optional[Mapping[str, str]] = None) -> None:
        self._added: Dict[str, Any] = {"topics": [], "categories": [], "synonyms": {}, "topic_categories": {}}
        self._all: Dict[str, Any] = {}
        self.register(topics, categories, synonyms)

    def register(self, topics: Iterable[str] = (), categories: Iterable[str] = (),
                 synonyms: Optional[Mapping[str, str]] = None,
                 topic_categories: Optional[Mapping[str, Iterable[str]]] = None) -> None:
        """Adds topics, categories, words that lead to a topic ({"parcel": "shipping"}), and the categories that a
        topic implies ({"warranty": ["support"]}); all or, with ConfigurationError, nothing."""
        added = {
            "topics": self._added["topics"] + [name for name in _names(topics, "topics")
                                               if name not in self._added["topics"]],
            "categories": self._added["categories"] + [name for name in _names(categories, "categories")
                                                       if name not in self._added["categories"]],
            "synonyms": {**self._added["synonyms"], **(synonyms or {})},
            "topic_categories": {**self._added["topic_categories"],
                                 **{topic: _names(names, "topic_categories")
                                    for topic, names in (topic_categories or {}).items()}},
        }
        everything = _json.decode(_mindcore.vocabulary(self._options_of(added)))
        everything["synonyms"].update(added["synonyms"])
        self._added, self._all = added, everything

    @property
    def topics(self) -> Tuple[str, ...]:
        """All of them, the built-in ones first."""
        return tuple(self._all["topics"])

    @property
    def categories(self) -> Tuple[str, ...]:
        return tuple(self._all["categories"])

    @property
    def synonyms(self) -> Dict[str, str]:
        """Word or words, and the topic that they lead to."""
        return dict(self._all["synonyms"])

    def is_topic(self, name: str) -> bool:
        return name in self._all["topics"]

    def resolve(self, word: str) -> Optional[str]:
        """The topic of that name or with that synonym, case ignored; None when there is none."""
        word = word.lower()
        return word if word in self._all["topics"] else self._all["synonyms"].get(word)

    @staticmethod
    def _options_of(added: Mapping[str, Any]) -> Dict[str, str]:
        return {f"vocabulary.{key}": _json.encode(value, key) for key, value in added.items() if value}

    def to_options(self) -> Dict[str, str]:
        """What was added, as options of the section vocabulary."""
        return self._options_of(self._added)

    def to_dict(self) -> Dict[str, Any]:
        """Everything: {topics, categories, synonyms}."""
        return {key: self._all[key] for key in ("topics", "categories", "synonyms")}

    def __repr__(self) -> str:
        return f"VocabularyManager({len(self.topics)} topics, {len(self.categories)} categories)"
