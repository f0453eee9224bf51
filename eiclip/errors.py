"""The errors this project raises on purpose: each names the bad value, where it came from and the way out."""

from collections.abc import Iterable

ALIKE = 0.6
"""Least similarity of a name to one that may have been meant: two letters in five may be wrong."""


class EiclipError(Exception):
    """Base of every error raised on purpose; anything else is a defect of ours."""


class SettingsError(EiclipError):
    """A setting is missing, contradictory or out of range."""


class RawDataError(EiclipError):
    """A raw file is useless as a whole (missing, unreadable, a needed key absent, a wrong type)."""


class CorruptOutputError(EiclipError):
    """A file this project wrote is no longer what its manifest says."""


class WeightsError(EiclipError):
    """Weights cannot be loaded: not found, not downloadable, or of another shape."""


class NonFiniteError(EiclipError):
    """A loss, an embedding or a score is NaN or infinite."""


class AlertError(EiclipError):
    """Nobody could be told of what went wrong."""


class LockedError(EiclipError):
    """Another process is writing the same output."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return the end of an error's sentence that names what is nearest to a name that is not known, or ''.

    >>> did_you_mean("fashion-gen", ["amazon", "fashiongen"])
    "; did you mean 'fashiongen'?"
    """
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    found = process.extract(
        given, list(known), scorer=OSA.normalized_similarity, processor=str.lower, limit=3, score_cutoff=ALIKE
    )
    near = [name for name, score, _ in found if score >= found[0][1] - 0.1]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
