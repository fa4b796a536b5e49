"""The words of reports: those of the pages, in their three languages."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from streamer.settings import ReportLanguage

_FOLDER: Final = Path(__file__).parents[1] / "web" / "static" / "words"
_LAST_COMMA: Final = re.compile(r",(\s*[}\]])")
_DECIMAL_COMMA: Final = str.maketrans(",.", ".,")


@lru_cache
def page_words(language: ReportLanguage) -> dict[str, Any]:
    """Return the words of the pages in a language.

    >>> page_words("es")["states"]["met"]
    'Cumple'
    """
    module = (_FOLDER / f"{language}.js").read_text(encoding="utf-8")
    table = module[module.index("{") : module.rindex("}") + 1]
    words: dict[str, Any] = msgspec.json.decode(_LAST_COMMA.sub(r"\1", table))
    return words


def localized_number(text: str, language: ReportLanguage) -> str:
    """Return a value as the language writes it.

    >>> localized_number("1,234.5 %", "es")
    '1.234,5 %'
    """
    return text.translate(_DECIMAL_COMMA) if language == "es" else text
