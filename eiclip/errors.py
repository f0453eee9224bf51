"""The errors this project raises on purpose: each names the bad value, where it came from and the way out."""


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


class LockedError(EiclipError):
    """Another process is writing the same output."""
