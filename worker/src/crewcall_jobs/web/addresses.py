"""Which addresses may be reached on a customer's behalf: those that everybody may reach. Pure.

A customer's URL must not open what only we can reach: this machine, its network, its cloud's metadata. Names do not
count, for they may mean another address a moment later, and there are many ways to write one: what counts is the
address that a connection is about to be made to. The registries are IANA's for special purposes, as Python's
`ipaddress` has them (RFC 6890); an IPv4 address inside an IPv6 one (mapped, 6to4, Teredo, NAT64) is judged as itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from crewcall_worker.variables import Network

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
CLOSED: tuple[Network, ...] = (
    # Azure's own services for each machine: a public address that never leaves the host.
    ip_network("168.63.129.16/32"),
    ip_network("192.0.0.0/24"),  # IETF protocol assignments (RFC 6890); global to some versions of Python
    ip_network("192.88.99.0/24"),  # relays of 6to4, given up by RFC 7526
    ip_network("64:ff9b:1::/48"),  # NAT64 of a network of one's own (RFC 8215)
    ip_network("2001::/23"),
    ip_network("fec0::/10"),  # site-local, given up by RFC 3879, routed all the same by some
)


def may_reach(address: str, allowed: Sequence[Network]) -> bool:
    """Whether a connection may be made to this address (a literal, as the socket has it)."""
    found = ip_address(address.partition("%")[0])
    inner = _inner(found)
    if any(found in network or inner in network for network in allowed):
        return True
    return _is_public(inner) and (inner is found or _is_public_carrier(found))


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_unspecified)
        and not any(address in network for network in CLOSED)
    )


def _is_public_carrier(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address that only carries another one is of a kind that is routed at all: 6to4 and NAT64 are."""
    return isinstance(address, IPv6Address) and (address.sixtofour is not None or address in NAT64)


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
