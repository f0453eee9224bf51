import asyncio
import socket

import pytest

from eiclip.readers.download import public_network
from eiclip.readers.download.photos import download_photos
from eiclip.readers.download.public_network import PrivateAddressError, addresses_of, is_public
from eiclip.settings.load import DownloadSettings

from ..bad_server import BadServer, photo, redirect
from .test_photos import JPEG

PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
PRIVATE = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254"),
    *("224.0.1.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fd00::1", "fec0::1", "ff0e::1", "2001:db8::1", "::127.0.0.1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_inside_a_network_are_not(address):
    assert not is_public(address)


def answers(monkeypatch, *replies):
    """Have names under .example resolve to each reply in turn, the last for ever; return the names asked for."""
    asked = []
    real = socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        if not str(host).endswith(".example"):
            return real(host, port, *args, **kwargs)
        reply = replies[min(len(asked), len(replies) - 1)]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in reply]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def test_of_a_name_with_both_only_the_public_addresses_are_used(monkeypatch):
    answers(monkeypatch, ["10.0.0.1", "8.8.8.8", "127.0.0.1", "8.8.8.8"])
    assert asyncio.run(addresses_of("mixed.example", allow_private=False)) == ["8.8.8.8"]
    assert asyncio.run(addresses_of("mixed.example", allow_private=True)) == ["10.0.0.1", "8.8.8.8", "127.0.0.1"]


def test_a_name_with_private_addresses_alone_is_refused(monkeypatch):
    answers(monkeypatch, ["10.0.0.1", "127.0.0.1"])
    with pytest.raises(PrivateAddressError, match=r"inside.example has no public address \(10.0.0.1, 127.0.0.1\)"):
        asyncio.run(addresses_of("inside.example", allow_private=False))


def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked(monkeypatch, tmp_path, server):
    url = server.on("/x", photo(JPEG)).replace("127.0.0.1", "rebinding.example")
    asked = answers(monkeypatch, ["127.0.0.1"], ["192.0.2.1"])
    assert download_photos([("a", (url,))], tmp_path, DownloadSettings(allow_private=True)) == {}
    assert asked == ["rebinding.example"]
    assert [headers["Host"] for headers in server.headers] == [f"rebinding.example:{server.port}"]


def test_a_public_server_cannot_redirect_into_the_network(monkeypatch, tmp_path, server):
    monkeypatch.setattr(public_network, "is_public", lambda address: address == "127.0.0.1")
    inside = BadServer("127.0.0.2")
    inside.on("/secret", photo(JPEG))
    answers(monkeypatch, ["127.0.0.2"])
    wanted = [
        ("address", (server.on("/1", redirect(inside.url("/secret", "127.0.0.2"))),)),
        ("name", (server.on("/2", redirect(inside.url("/secret", "inside.example"))),)),
        ("photo", (server.on("/3", photo(JPEG)),)),
    ]
    try:
        reasons = download_photos(wanted, tmp_path, DownloadSettings())
    finally:
        inside.stop()
    assert {stem: reason.partition(" has ")[0] for stem, reason in reasons.items()} == {
        "address": "photo not downloaded: private address: 127.0.0.2",
        "name": "photo not downloaded: private address: inside.example",
    }
    assert inside.requests == []
    assert server.count() == {"/1": 1, "/2": 1, "/3": 1}
