"""Which addresses a customer may have us reach."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewcall_jobs.web.addresses import may_reach

PUBLIC = ["8.8.8.8", "93.184.216.34", "2001:4860:4860::8888", "64:ff9b::808:808", "2002:808:808::"]
CLOSED = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.1.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.1.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_may_reach_what_everybody_may_reach(address: str) -> None:
    assert may_reach(address, ())


@pytest.mark.parametrize("address", CLOSED)
def test_may_not_reach_what_only_we_can_reach(address: str) -> None:
    assert not may_reach(address, ())


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_never_more_open_than_by_itself(inner: IPv4Address) -> None:
    number = int(inner)
    carriers = (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80, number)

    reached = [IPv6Address(carrier) for carrier in carriers if may_reach(str(IPv6Address(carrier)), ())]

    assert not reached or may_reach(str(inner), ())


def test_reaches_a_network_that_was_allowed_and_no_other() -> None:
    allowed = (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))

    reached = [a for a in ("10.1.2.3", "::ffff:10.1.2.3", "10.2.0.1", "fd12::1", "127.0.0.1") if may_reach(a, allowed)]

    assert reached == ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1"]
