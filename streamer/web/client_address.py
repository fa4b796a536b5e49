"""The part of a client's address that one customer of an Internet provider owns."""

from ipaddress import IPv6Address, ip_address


def address_block(address: str) -> str:
    """Return the part of an address that one customer owns: IPv4 whole, of IPv6 the /64 network.

    >>> address_block("203.0.113.7"), address_block("2001:db8:1:2::5") == address_block("2001:db8:1:2:9::1")
    ('203.0.113.7', True)
    >>> address_block("::ffff:203.0.113.7")
    '203.0.113.7'
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(int(parsed) >> 64)
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
