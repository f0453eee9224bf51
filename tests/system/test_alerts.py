"""Messages to a webhook and a mail server on loopback, and what is said where they cannot be delivered."""

import email
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from eiclip.errors import AlertError, SettingsError
from eiclip.settings.load import load_settings
from eiclip.system import alerts
from eiclip.system.alerts import send

MESSAGE = {"text": "eiclip: full_eval: failed\nrun 1", "job": "full_eval"}


@pytest.fixture
def serve():
    """Return a function that starts a server on loopback and gives its port."""
    started = []

    def start(server_class, handler):
        server = server_class(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return server.server_address[1]

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def webhook(serve):
    """An address that takes JSON, what it was sent, and the statuses that it answers with (then 200)."""
    got, statuses = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_):
            pass

    return f"http://127.0.0.1:{serve(HTTPServer, Handler)}/hooks/secret-token", got, statuses


@pytest.fixture
def mail_server(serve):
    """A mail server without encryption, and the mails it was given."""
    mails = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 here\r\n")
            for line in self.rfile:
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    mails.append(b"".join(iter(self.rfile.readline, b".\r\n")))
                self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")

    return f"127.0.0.1:{serve(socketserver.ThreadingTCPServer, Handler)}", mails


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(alerts, "WAIT", 0.0)


def alert(**given):
    return load_settings(alert=given).alert


def test_a_webhook_gets_the_message_as_json(webhook):
    place, got, _ = webhook
    send(alert(webhook=place), MESSAGE)
    assert got == [("/hooks/secret-token", "application/json", MESSAGE)]


def test_a_server_that_fails_once_is_tried_again(webhook):
    place, got, statuses = webhook
    statuses.append(503)
    send(alert(webhook=place), MESSAGE)
    assert len(got) == 2


@pytest.mark.parametrize("status", [404, 302])
def test_what_is_refused_is_an_error_that_names_the_setting_and_no_secret(webhook, status):
    place, got, statuses = webhook
    statuses += [status] * 9
    with pytest.raises(AlertError) as error:
        send(alert(webhook=place), MESSAGE)
    assert str(error.value).startswith(f"EICLIP_ALERT__WEBHOOK: not sent in 3 tries (HTTP status {status})")
    assert "secret" not in f"{error.value} {error.value.__cause__} {error.value.__context__}"
    assert {path for path, *_ in got} == {"/hooks/secret-token"}, (
        "a redirect is not followed: it would lose the message"
    )


def test_mail_goes_to_everyone_with_the_first_line_as_its_subject(mail_server):
    place, mails = mail_server
    send(alert(smtp=f"smtp://{place}", to="a@shop.example, b@shop.example"), MESSAGE)
    mail = email.message_from_bytes(mails[0])
    assert (mail["Subject"], mail["To"]) == ("eiclip: full_eval: failed", "a@shop.example, b@shop.example")
    assert mail["From"] == "a@shop.example"
    assert mail.get_payload().split() == MESSAGE["text"].split()


def test_a_password_is_not_sent_unencrypted(mail_server):
    place, mails = mail_server
    with pytest.raises(AlertError, match="EICLIP_ALERT__SMTP: not sent") as error:
        send(alert(smtp=f"smtp://me:secret@{place}", to="a@shop.example"), MESSAGE)
    assert mails == []
    assert "secret" not in str(error.value)


def test_where_one_way_is_closed_the_other_is_used(webhook, mail_server):
    place, mails = mail_server
    with pytest.raises(AlertError, match="WEBHOOK: not sent in 3 tries") as error:
        send(alert(webhook="http://127.0.0.1:9/secret", smtp=f"smtp://{place}", to="a@shop.example"), MESSAGE)
    assert len(mails) == 1
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"webhook": "ftp://secret"}, "alert.webhook is no http or https address"),
        ({"webhook": "https:secret"}, "alert.webhook is no http or https address"),
        ({"smtp": "secret"}, "alert.smtp is no smtp or smtps address"),
        ({"smtp": "smtp://secret@mail.example"}, "alert.smtp and alert.to go together"),
        ({"webhok": "https://secret"}, "alert.webhok: Extra inputs are not permitted"),
    ],
)
def test_settings_that_make_no_sense_are_named_without_their_values(given, told):
    with pytest.raises(SettingsError) as error:
        load_settings(alert=given)
    assert told in str(error.value)
    assert "secret" not in f"{error.value}{error.value.__cause__}"


def test_an_error_in_other_settings_does_not_show_them(monkeypatch):
    monkeypatch.setenv("EICLIP_ALERT__WEBHOOK", "https://hooks.example/secret")
    with pytest.raises(SettingsError, match="set both or neither") as error:
        load_settings(amazon_meta="meta.json")
    assert "secret" not in f"{error.value}{error.value.__cause__}"


def test_settings_are_shown_and_written_without_them(monkeypatch):
    monkeypatch.setenv("EICLIP_ALERT__WEBHOOK", "https://hooks.example/secret")
    settings = load_settings()
    assert settings.alert.webhook.get_secret_value() == "https://hooks.example/secret"
    assert "secret" not in f"{settings!r} {settings.model_dump_json()}"
