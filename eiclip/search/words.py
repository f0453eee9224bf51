"""Words of products and of queries, compared by BM25 (the library bm25s).

Words are folded as names are (`match_key`), stemmed (Snowball, English) and read by a small table of synonyms. Runs of
Chinese, Japanese or Thai letters, which are written without spaces, count as pairs of letters.

Shape suffix: N products.
"""

import csv
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import bm25s
import numpy as np
import Stemmer
from bm25s.stopwords import STOPWORDS_EN

from eiclip.errors import RawDataError
from eiclip.readers.texts import match_key
from eiclip.storage.cache import make_once
from eiclip.storage.code_version import installation
from eiclip.storage.files import digest, whole_folder, write_json
from eiclip.storage.home import Paths
from eiclip.storage.lock import exclusive

SYNONYMS = Path(__file__).with_name("synonyms.csv")
COVERAGE = "coverage"
MOST_WORDS = 3  # of an expression in the table of synonyms
_WORD = re.compile(r"[^\W_]+")
_NO_SPACES = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]{2,}")  # Thai, kana, Chinese characters


class Tokenizer:
    """Texts to tokens, the same for products and queries. Threads may share it."""

    def __init__(self, synonyms: Iterable[Sequence[str]] = ()) -> None:
        self._stem = Stemmer.Stemmer("english").stemWord
        self._stems: dict[str, str] = {}
        self._same: dict[tuple[str, ...], str] = {}
        for first, *others in synonyms:
            means = "".join(self._stemmed(first))
            for expression in (first, *others):
                if 0 < len(words := self._stemmed(expression)) <= MOST_WORDS:
                    self._same[tuple(words)] = means

    @property
    def synonyms(self) -> list[tuple[str, str]]:
        """What expressions are counted as, by their stems."""
        return [(" ".join(words), means) for words, means in self._same.items()]

    @classmethod
    def open(cls, synonyms: Path = SYNONYMS) -> Self:
        """Make one with a table of synonyms. Raises RawDataError where a line of the table cannot be used."""
        return cls(read_synonym_table(synonyms))

    def _stemmed(self, text: str) -> list[str]:
        plain = text if text.isascii() and "'" not in text else match_key(text)
        found = []
        for word in _WORD.findall(plain.lower()):
            if not word.isascii() and (runs := _NO_SPACES.findall(word)):
                found += [run[at : at + 2] for run in runs for at in range(len(run) - 1)]
                continue
            stem = self._stems.get(word)
            if stem is None:
                stem = self._stems[word] = self._stem(word)
            found.append(stem)
        return found

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of a text, in its order.

        >>> Tokenizer([("tshirt", "t shirt", "tee")]).tokens("Tees & T-Shirts for the beach")
        ['tshirt', 'tshirt', 'beach']
        """
        words, found, at = self._stemmed(text), [], 0
        while at < len(words):
            for last in range(min(at + MOST_WORDS, len(words)), at, -1):
                means = self._same.get(tuple(words[at:last]))
                if means is not None:
                    found.append(means)
                    at = last
                    break
            else:
                found.append(words[at])
                at += 1
        return [token for token in found if token not in _STOP] or found


logging.getLogger("bm25s").setLevel(logging.WARNING)  # it logs each index it builds

_AROUND = [
    "i", "im", "ive", "id", "me", "my", "we", "our", "you", "your", "do", "does", "have", "can", "could", "would",
    "want", "need", "please", "show", "some", "something", "any",
]  # fmt: skip
"""What people say around what they are looking for ("do you have ..."), beside the usual stop words."""
_PURPOSE = re.compile(r"\bfor\s+(?:(?:an?|the|my|your|his|her|our|their)\s+)*([^\W_]+)", re.IGNORECASE)
_STOP = frozenset(Stemmer.Stemmer("english").stemWords([*STOPWORDS_EN, *_AROUND]))


def without_purpose(text: str, known: Callable[[str], bool]) -> str:
    """Return a text without the words that say for whom or what it is, where no product has them.

    A product that answers the rest is an answer. Of other unknown words ("nike shoes") it is not.

    >>> without_purpose("shirt for my husband, for nike", {"shirt", "nike"}.__contains__)
    'shirt , for nike'
    """
    return _PURPOSE.sub(lambda match: match[0] if known(match[1]) else "", text)


def synonym_table(home: Paths) -> Path:
    """Return where the synonyms of a home are: its own table, or this package's where it has none."""
    own = home.root / "search" / SYNONYMS.name
    return own if own.is_file() else SYNONYMS


def read_synonym_table(path: Path) -> list[list[str]]:
    """Return the lines of a table of synonyms: expressions that mean the same, the first what they are counted as.

    Lines that begin with # are comments. Raises RawDataError for a line of a single expression.
    """
    rows = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            cells = [cell.strip() for cell in row if cell.strip()]
            if not cells or cells[0].startswith("#"):
                continue
            if len(cells) < 2:
                raise RawDataError(f"{path}: line {number}: {cells[0]!r} has no synonym; write `{cells[0]},another`")
            rows.append(cells)
    return rows


class WordIndex:
    """BM25 by field over products' texts (N of each field). Threads may share it."""

    def __init__(self, fields: Mapping[str, Sequence[str | None]], tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._numbers: dict[str, int] = {}
        ids = {name: [self._ids(text or "") for text in texts] for name, texts in fields.items()}
        self._products = len(next(iter(ids.values())))
        everything = [sorted(set().union(*own)) for own in zip(*ids.values(), strict=True)]
        # With k1 = 0 the BM25 of a text is the sum of the rarities (idf) of the words that it has.
        self._all = self._index(everything, k1=0.0)
        self._fields = {f"{name} words": self._index(own, k1=1.5) for name, own in ids.items()}

    @classmethod
    def kept(cls, folder: Path, fields: Mapping[str, Sequence[str | None]], tokenizer: Tokenizer) -> Self:
        """Return the index of these texts that lies in a folder, made first where there is none of them."""
        texts = [list(fields.items()), tokenizer.synonyms, sorted(_STOP)]
        of = {"texts": digest(texts), "installation": installation()}
        found = cls.__new__(cls)
        found._tokenizer = tokenizer
        lock = folder.with_name(f"{folder.name}.lock")
        with exclusive(lock):  # of several processes one makes it, the others read it
            make_once(folder, of, lambda: cls(fields, tokenizer)._save(folder))
            about = json.loads((folder / "words.json").read_text(encoding="utf-8"))
            found._all, *indexes = [
                bm25s.BM25.load(folder / str(n), load_vocab=False, show_progress=False) if there else None
                for n, there in enumerate(about["indexes"])
            ]
        found._products, found._numbers = about["products"], {word: n for n, word in enumerate(about["words"])}
        found._fields = dict(zip(about["fields"], indexes, strict=True))
        return found

    def _save(self, folder: Path) -> dict[str, int]:
        indexes = [self._all, *self._fields.values()]
        about = {"products": self._products, "words": list(self._numbers), "fields": list(self._fields)}
        with whole_folder(folder) as part:
            for number, index in enumerate(indexes):
                if index is not None:
                    index.save(part / str(number), show_progress=False)
            write_json(part / "words.json", about | {"indexes": [index is not None for index in indexes]})
        return {"words": len(self._numbers)}

    def _ids(self, text: str) -> list[int]:
        return [self._numbers.setdefault(token, len(self._numbers)) for token in self._tokenizer.tokens(text)]

    def _index(self, ids: list[list[int]], k1: float) -> Any:
        if not any(ids):
            return None
        index = bm25s.BM25(k1=k1)
        index.index((ids, self._numbers), create_empty_token=False, show_progress=False)
        return index

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of a query, each once, in its order."""
        return list(dict.fromkeys(self._tokenizer.tokens(text)))

    def knows(self, word: str) -> bool:
        """Tell whether a product has a word; words of no meaning of their own ("the") are always known."""
        return all(token in self._numbers or token in _STOP for token in self._tokenizer.tokens(word))

    def scores(self, tokens: Sequence[str]) -> dict[str, np.ndarray]:
        """Return how products' words answer the tokens of a query: each (N,) float32, 0 for not at all.

        `coverage` is the share of the tokens that a product has in any field, by their rarity. `<field> words` is the
        BM25 of a field, as a multiple of the tokens' rarities.
        """
        known = [self._numbers[token] for token in tokens if token in self._numbers]
        if not known:
            return {name: np.zeros(self._products, dtype=np.float32) for name in (COVERAGE, *self._fields)}
        rarest = np.log(1 + (self._products + 0.5) / 0.5)  # of a token that no product has
        whole = rarest * (len(tokens) - len(known)) + sum(map(self._rarity, known))
        found = {}
        for name, index in {COVERAGE: self._all, **self._fields}.items():
            if index is not None:
                found[name] = index.get_scores_from_ids(known) / np.float32(whole)
        return found

    def having_all(self, tokens: Sequence[str]) -> np.ndarray:
        """Return which products (N,) have all of some tokens, in any field; none where there are no tokens."""
        known = [self._numbers[token] for token in tokens if token in self._numbers]
        if not known or len(known) < len(tokens):
            return np.zeros(self._products, dtype=bool)
        has_N: np.ndarray = self._all.get_scores_from_ids(known) > sum(map(self._rarity, known)) * (1 - 1e-4)
        return has_N

    def _rarity(self, number: int) -> float:
        scores = self._all.scores
        return float(scores["data"][scores["indptr"][number]])
