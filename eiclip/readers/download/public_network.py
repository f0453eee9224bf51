"""HTTP connections to public addresses only.

A URL from the web could point into the network that we run in. Checked is the address that a connection is about to be
made to, at the moment it is made: a name that answers with another address the next time, a redirect and an odd
spelling of an address all come past here.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

import httpcore
import httpx

CONNECT_SECONDS = 5.0  # given to one of a host's addresses before the next is tried
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class PrivateAddressError(Exception):
    """A host has no public address."""


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the public Internet; an IPv6 one that holds an IPv4 one counts as that.

    >>> is_public("8.8.8.8"), is_public("127.0.0.1"), is_public("::ffff:127.0.0.1")
    (True, False, False)
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        within = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            within = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if within is not None:
            ip = within
        elif ip.is_site_local:  # the forerunner of private IPv6 addresses, which is_global does not know
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


async def addresses_of(host: str, allow_private: bool) -> list[str]:
    """Return a host's addresses that may be connected to, best first. Raises OSError, PrivateAddressError for none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # such as an empty label, or one over 63 letters
        raise OSError("not a host name") from error
    resolved = list(dict.fromkeys(str(address[0]) for *_, address in found))
    allowed = [address for address in resolved if allow_private or is_public(address)]
    if not allowed:
        raise PrivateAddressError(f"{host} has no public address ({', '.join(resolved[:3])})")
    return allowed


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves a name once, checks what it gave, and connects to just that."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        """Connect to the first allowed address that answers. Raises PrivateAddressError, OSError, httpcore's errors."""
        seconds = min(CONNECT_SECONDS, timeout or CONNECT_SECONDS)
        failure: Exception = OSError(f"{host} has no address")
        for address in await addresses_of(host, self._allow_private):
            try:
                return await self._network.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._network.sleep(seconds)


class CheckedTransport(httpx.AsyncHTTPTransport):
    """Sends requests to allowed addresses, through no proxy. Raises httpx's errors, OSError, PrivateAddressError."""

    def __init__(self, allow_private: bool, keep_open: int) -> None:
        super().__init__(trust_env=False)
        assert isinstance(self._pool, httpcore.AsyncConnectionPool)  # httpx has no option for how it connects
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=None,  # whoever asks bounds how much is asked at once
            max_keepalive_connections=keep_open,
            keepalive_expiry=5.0,
            network_backend=CheckedNetwork(allow_private),
        )
