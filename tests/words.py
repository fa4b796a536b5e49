"""Measure how well names and docstrings follow docs/words.md: `python -m tests.words` prints the figures.

A class is two words unless one is the field's; no public class or function name stands twice; a local
variable is a noun; a docstring begins with a verb or a noun.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import streamer

PRODUCT: Final = Path(streamer.__file__).parent
NOT_NOUNS: Final = frozenset(
    (  # noqa: SIM905
        "one found known told place part given asked kept around said made seen "
        "taken named sent gone left due own both done held meant wanted shown"
    ).split()
)
"""Words without a noun that were once the names of one local variable in eight."""
MID_SENTENCE: Final = re.compile(
    r"(Of|What|Whether|Where|Who|Whom|How|When|Here is|Here are|By|To whom|With|From|In|As)\b"
)
WORD: Final = re.compile(r"[A-Z][a-z0-9]*")
Function = ast.FunctionDef | ast.AsyncFunctionDef


class WordFigures(NamedTuple):
    """Shares of 1, but for `examples`, a count, and `twice`, the public names that stand in two modules."""

    one_word_classes: float
    nounless_locals: float
    mid_sentence_docstrings: float
    examples: int
    twice: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"one-word classes {self.one_word_classes:.1%}, "
            f"public names defined twice {len(self.twice)}, "
            f"noun-less locals {self.nounless_locals:.1%}, "
            f"docstrings that begin mid-sentence {self.mid_sentence_docstrings:.1%}, "
            f"docstrings with an example {self.examples}"
        )


def _trees() -> Iterator[ast.Module]:
    for path in sorted(PRODUCT.rglob("*.py")):
        yield ast.parse(path.read_text(encoding="utf-8"))


def measure_words() -> WordFigures:
    classes, public, variables, docstrings = [], Counter[str](), [], []
    for tree in _trees():
        public.update(_public_names(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                classes.append(node.name)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                variables.append(node.id)
            if isinstance(node, Function | ast.ClassDef | ast.Module) and (text := ast.get_docstring(node)):
                docstrings.append(text)
    return WordFigures(
        sum(len(WORD.findall(name)) <= 1 for name in classes) / len(classes),
        sum(name in NOT_NOUNS for name in variables) / len(variables),
        sum(MID_SENTENCE.match(text) is not None for text in docstrings) / len(docstrings),
        sum(">>>" in text for text in docstrings),
        tuple(sorted(name for name, count in public.items() if count > 1)),
    )


def _public_names(tree: ast.Module) -> set[str]:
    """Return the classes and functions of a module; overloads count once, commands by their module."""
    return {
        node.name
        for node in tree.body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    }


if __name__ == "__main__":
    print(measure_words())
