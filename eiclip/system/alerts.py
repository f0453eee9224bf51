"""Tells people what went wrong: JSON to a webhook, e-mail, or both. Addresses are secrets, and in no error."""

import json
import smtplib
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

from eiclip.errors import AlertError
from eiclip.settings.alert import AlertSettings

TRIES, WAIT, TIMEOUT = 3, 2.0, 10.0
"""How often a message is sent, and seconds: between two tries, and that each may take."""


def send(alert: AlertSettings, message: Mapping[str, Any]) -> None:
    """Send a message, whose `text` people read and whose first line is the subject, to everywhere that is set.

    Raises:
        AlertError: it could not be handed over; names the setting, and not its value.
    """
    problems = [
        problem
        for name, to in (("webhook", _post), ("smtp", _mail))
        if getattr(alert, name) is not None and (problem := _tried(to, alert, message, name))
    ]
    if problems:
        raise AlertError("; ".join(problems))


def _tried(to: Callable[..., None], alert: AlertSettings, message: Mapping[str, Any], name: str) -> str:
    for left in reversed(range(TRIES)):
        try:
            to(alert, message)
        except urllib.error.HTTPError as error:
            told = f"HTTP status {error.code}"
        except (OSError, smtplib.SMTPException) as error:
            told = type(getattr(error, "reason", error)).__name__  # what it says may quote the address
        else:
            return ""
        if left:
            time.sleep(WAIT)
    return f"EICLIP_ALERT__{name.upper()}: not sent in {TRIES} tries ({told}): is the address right, and reachable?"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST becomes a GET without the message: an error is better."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(alert: AlertSettings, message: Mapping[str, Any]) -> None:
    assert alert.webhook is not None
    body, headers = json.dumps(message).encode(), {"Content-Type": "application/json", "User-Agent": "eiclip"}
    request = urllib.request.Request(alert.webhook.get_secret_value(), body, headers)  # noqa: S310 - http(s): checked
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT):
        pass


def _mail(alert: AlertSettings, message: Mapping[str, Any]) -> None:
    assert alert.smtp is not None
    place, context = urlsplit(alert.smtp.get_secret_value()), ssl.create_default_context()
    mail = EmailMessage()
    to = alert.to or ""
    mail["From"], mail["To"] = alert.sender or to.partition(",")[0], to
    mail["Subject"] = message["text"].splitlines()[0]
    mail.set_content(message["text"])
    if place.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            place.hostname or "", place.port or 465, timeout=TIMEOUT, context=context
        )
    else:
        server = smtplib.SMTP(place.hostname or "", place.port or 587, timeout=TIMEOUT)
    with server:
        server.ehlo()
        if place.scheme == "smtp" and (place.username or server.has_extn("starttls")):
            server.starttls(context=context)
        if place.username:
            server.login(unquote(place.username), unquote(place.password or ""))
        server.send_message(mail)
