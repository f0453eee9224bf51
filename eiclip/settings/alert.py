"""Settings of who is told of failures. Their values are secret: no error shows them."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError, model_validator

from eiclip.settings.section import Section


class AlertSettings(Section):
    """Where failed runs and failed checks are told; nowhere unless set. Needs the daemon (`make ui`)."""

    webhook: SecretStr | None = None
    """An http or https address that takes JSON with a `text`, as those of Slack, Mattermost and Teams do."""
    smtp: SecretStr | None = None
    """The mail server: `smtps://user:password@mail.shop.example`, or `smtp://...`, encrypted by STARTTLS."""
    to: str | None = None
    """Addresses, a comma between them."""
    sender: str | None = None  # None: the first of `to`

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name, schemes in {"webhook": ("http", "https"), "smtp": ("smtp", "smtps")}.items():
            place: SecretStr | None = getattr(self, name)
            parts = place and urlsplit(place.get_secret_value())
            if parts and not (parts.scheme in schemes and parts.hostname):
                raise ValueError(f"alert.{name} is no {' or '.join(schemes)} address (its value is not shown)")
        if bool(self.smtp) != bool(self.to):
            raise ValueError("alert.smtp and alert.to go together: set both or neither")
        return self


def without_alert(error: ValueError) -> tuple[str, ValueError | None]:
    """What an error says, and its cause, which a stack trace shows: without the values of `alert`, which are secret."""
    found = error.errors(include_input=False) if isinstance(error, ValidationError) else []
    if not any("alert" in (one["loc"] or ("alert",)) for one in found):  # an error of the whole quotes all of it
        return str(error), error
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found), None
