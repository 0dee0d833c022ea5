"""A page's bytes as text, whatever it is written in. Pure, and bounded: by the charsets that it knows."""

from __future__ import annotations

import codecs
from typing import Final

MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
CHARSETS: Final = frozenset(
    [
        *("ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be"),
        *(f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
        *(f"cp{page}" for page in (866, 874, 932, 949, 950, *range(1250, 1259))),
        *("koi8-r", "koi8-u", "mac-roman", "mac-cyrillic", "shift_jis", "euc_jp", "iso2022_jp", "euc_kr", "johab"),
        *("gb2312", "gbk", "gb18030", "hz", "big5", "big5hkscs", "tis-620"),
    ]
)
"""By the names that Python gives them: what pages are written in. Python knows others, which cost what they like."""


def decoded(body: bytes, charset: str | None) -> str:
    """The text. As browsers do: a byte order mark comes first, then the server's word, then the page's own."""
    from bs4.dammit import EncodingDetector

    for mark, name in MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    for said in (charset, EncodingDetector.find_declared_encoding(body, is_html=True)):
        if said and (known := _known(said)):
            return body.decode(known, "replace")
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _known(charset: str) -> str | None:
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        return None
    return name if name in CHARSETS else None
