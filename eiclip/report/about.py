"""What a run was, as only whoever starts it knows: configuration, versions, seed, hardware."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

SECRET = re.compile(r"(?<=://)[^/@\s\"]+@")
"""What may stand between a URL's scheme and its host: names and passwords, which are nobody's business here."""


@dataclass(frozen=True)
class About:
    """What the page says of the run beside what its tables hold."""

    facts: Mapping[str, str] = field(default_factory=dict)
    """Seed, device, processor, memory and the like."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of Python and of every package that matters."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Where each dataset's data is from: drawn by this project, or which files."""
    settings: str = ""
    """All settings, as text that can be read and compared."""


def without_secrets(text: str) -> str:
    """Text whose URLs name no user and no password.

    >>> without_secrets('"s3://key:secret@bucket/a"')
    '"s3://bucket/a"'
    """
    return SECRET.sub("", text)
