"""Find e-mail addresses in texts, also those written so that no machine should read them.

Texts are in the plain form of `redaction`. Each sign or word that stands for @ is found first; the name is
then read backwards from it and the domain forwards, at most to the next one: the work grows with the length
of the text alone.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

Span = tuple[int, int]

_LETTER: Final = r"[^\W\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
"""Sign of a script with spaces between words. In other scripts an address has no visible beginning."""
_AT_WORDS: Final = "AROBASE|AROBAS|ARROBASE|ARROBA|CHIOCCIOLA|KLAMMERAFFE|艾特"
_DOT_WORDS: Final = "DOT|PUNKT|POINT|PUNTO"
_AT: Final = re.compile(
    rf"(?:@|%40|&(?:\#0*64|\#X0*40|COMMAT);|\\U0040|_AT_|艾特|(?:{_AT_WORDS})(?!\w)) ?"
    rf"|[(\[{{<] ?(?:@|AT|ÄT|{_AT_WORDS}) ?[)\]}}>] ?"
    r"| AT (?=[\w-]{1,63}(?: DOT [\w-]{1,63})*"
    rf" (?:(?:{_DOT_WORDS}) (?:COM|NET|ORG|INFO|EU|FR|UK|CN)|(?:DOT|PUNKT) DE)\b)"
)
"""Signs and words for @. A bare "at" is one only before a domain that is spelled out."""
_AT_SIGNS: Final = ("@", "%40", "&", "\\U0040", "(", "[", "{", "<", "_AT_", *_AT_WORDS.split("|"))
_DOT_SIGNS: Final = tuple(f" {word} " for word in _DOT_WORDS.split("|"))
_DOT: Final = rf"(?:[.。]| ?[(\[{{<] ?(?:{_DOT_WORDS}|[.]) ?[)\]}}>] ?| (?:{_DOT_WORDS}) | ?点 ?|_DOT_)"
_LABEL: Final = rf"{_LETTER}(?:{_LETTER}|-){{0,62}}"
_COMMON_ENDING: Final = "COM|ORG|NET|INFO|EDU|GOV|BIZ"
_COUNTRY_ENDING: Final = "FR|DE|CN|UK|CH|NL|EU|PT|BR|MX|CL|JP|KR|RU|PL|CA|AU|LU|IE|SE|DK|FI|IO"
_WORD_ENDING: Final = "IT|IN|AT|NO|BE|ES|CO|ME|US|AR"
"""Top-level domains that are words too: behind blanks they count at the end of a sentence alone."""
_AT_SENTENCE_END: Final = r'(?= ?(?:$|[,;:!?)\]"]))'
_ENDING: Final = (
    rf"(?:(?:{_COMMON_ENDING}|{_COUNTRY_ENDING})(?!\w)|(?:{_WORD_ENDING})(?!\w){_AT_SENTENCE_END})"
)
_SPACED_ENDING: Final = (
    rf"(?:(?:{_COMMON_ENDING})(?!\w)|(?:{_COUNTRY_ENDING}|{_WORD_ENDING})(?!\w){_AT_SENTENCE_END})"
)
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:{_DOT}{_LABEL}){{1,8}}")
_ANY_DOMAIN: Final = re.compile(rf"\w[\w-]{{0,62}}(?:{_DOT}\w[\w-]{{0,62}}){{1,8}}")
_HOST: Final = re.compile(rf"[^\W\d]{_LETTER}{{2,62}}")
_SPACED_DOMAIN: Final = re.compile(
    rf"{_LABEL}(?:\.{_LABEL}){{0,8}}\.{_ENDING}"
    rf"|(?![0-9]+ ){_LABEL}(?: ?\. ?{_LABEL}){{0,8}} ?\. ?{_SPACED_ENDING}"
)
# Backwards, from the @ on:
_NAME: Final = re.compile(rf"(?:{_LETTER}|[.+%'-]){{0,63}}{_LETTER}")
_ANY_NAME: Final = re.compile(r"[\w.+-]{1,64}")
_QUOTED_NAME: Final = re.compile('"[^"]{1,64}"')
_SPACED_NAME: Final = re.compile(rf"{_NAME.pattern}(?: \. {_NAME.pattern}){{0,3}}")

_MOST_ADDRESSES: Final = 40
"""With more signs for @ in one text, the words around each of them go."""
_DOMAIN_ROOM: Final = 32
"""Characters that then go behind a sign at least, other addresses among them."""


def may_hold_address(text: str) -> bool:
    return any(sign in text for sign in _AT_SIGNS) or (
        " AT " in text and any(sign in text for sign in _DOT_SIGNS)
    )


def email_spans(text: str) -> Iterator[Span]:
    """Yield the spans of e-mail addresses, from left to right.

    >>> text = 'WRITE TO ANN@EXAMPLE.ORG OR "ANN SMITH" (AT) EXAMPLE [DOT] ORG'
    >>> [text[start:end] for start, end in email_spans(text)]
    ['ANN@EXAMPLE.ORG', '"ANN SMITH" (AT) EXAMPLE [DOT] ORG']
    """
    if not may_hold_address(text):
        return
    matches = list(islice(_AT.finditer(text), _MOST_ADDRESSES + 1))
    if len(matches) > _MOST_ADDRESSES:
        yield from _words_around_signs(text)
        return
    signs = [_with_blank_before(text, match) for match in matches]
    backwards = text[::-1]
    begins = [0, *(end for _, end in signs)]
    ends = [*(start for start, _ in signs[1:]), len(text)]
    for (start, end), begin, limit in zip(signs, begins, ends, strict=False):
        name_length = _name_length(backwards, len(text) - start, len(text) - begin, text[start:end])
        domain_end = _domain_end(text, (start, end), limit) if name_length else 0
        if domain_end:
            yield start - name_length, domain_end


def _with_blank_before(text: str, sign: re.Match[str]) -> Span:
    start, end = sign.span()
    return start - (start > 0 and text[start - 1] == " "), end


def _words_around_signs(text: str) -> Iterator[Span]:
    covered_to = 0
    while match := _AT.search(text, covered_to):
        start, end = _with_blank_before(text, match)
        word_start, word_end = (
            max(text.rfind(" ", 0, start) + 1, covered_to),
            text.find(" ", end + _DOMAIN_ROOM),
        )
        covered_to = word_end if word_end >= 0 else len(text)
        yield word_start, covered_to


def _is_spaced(sign: str) -> bool:
    return sign.strip(" ") in ("@", "%40") and sign != sign.strip(" ")


def _name_length(backwards: str, position: int, limit: int, sign: str) -> int:
    patterns = (_QUOTED_NAME, _SPACED_NAME if _is_spaced(sign) else _NAME, _ANY_NAME)
    for pattern in patterns:
        if match := pattern.match(backwards, position, limit):
            return len(match[0])
    return 0


def _domain_end(text: str, sign: Span, limit: int) -> int:
    """Return the end of the domain behind this sign, or 0 if none is there."""
    start, end = sign
    if _is_spaced(text[start:end]):
        match = _SPACED_DOMAIN.match(text, end, limit)
    else:
        match = _DOMAIN.match(text, end, limit) or _ANY_DOMAIN.match(text, end, limit)
        spaced = _SPACED_DOMAIN.match(text, end, limit)
        if spaced and (match is None or spaced.end() > match.end()):
            match = spaced
        if match is None and text[start:end] == "@":
            match = _HOST.match(text, end, limit)
    return match.end() if match else 0
