"""A small language to choose runs with: `model.hidden_size >= 32 and val/accuracy > 0.98`. Parsed, never evaluated.

    expression = term {"or" term}
    term       = factor {"and" factor}
    factor     = "not" factor | "(" expression ")" | operand operator operand
    operator   = "==" | "!=" | "<" | "<=" | ">" | ">="
    operand    = key | number | 'text' | "text" | true | false | null

A word that names no key is text on the right of == and !=, so that `status == completed` needs no quotes.
"""

import operator
import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any

from lstm_ae.errors import UserError
from lstm_ae.runs.records import is_number

Predicate = Callable[[Mapping[str, Any]], bool]

TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w./]))
    | (?P<text>'[^']*'|"[^"]*")
    | (?P<operator>==|!=|<=|>=|<|>)
    | (?P<bracket>[()])
    | (?P<word>[A-Za-z_][\w./@-]*)
    )""",
    re.VERBOSE,
)
ORDERING = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
LITERALS = {"true": True, "false": False, "null": None, "none": None, "inf": float("inf")}
MAX_DEPTH = 50  # brackets and `not`s within each other
EXAMPLE = "write, for example, 'model.hidden_size >= 32 and val/accuracy > 0.98'"


def parse(text: str, known: Collection[str]) -> Predicate:
    """A function that says whether a run's values pass the filter `text`.

    A value that a run lacks is null: equal to null alone, and neither above nor below anything.

    Args:
        text: the filter.
        known: the keys that any run has a value for.

    Raises:
        UserError: the text is no filter or names an unknown key; also from the function, where it has to order text.
    """
    return Parser(text, known).parse()


class Parser:
    """Recursive descent over the tokens of `text`; a method for each rule of the grammar above."""

    def __init__(self, text: str, known: Collection[str]) -> None:
        self.text, self.known = text, known
        self.tokens: list[tuple[str, str]] = []
        self.next = 0
        self.depth = 0
        position, end = 0, len(text.rstrip())
        while position < end:
            match = TOKEN.match(text, position)
            if match is None:
                raise self.error(f"cannot read '{text[position:].strip()}'" + equals_hint(text[position:]))
            self.tokens.append((match.lastgroup or "", match[match.lastgroup or 0]))
            position = match.end()

    def error(self, problem: str) -> UserError:
        """What to tell the user."""
        return UserError(f"--filter '{self.text}': {problem}; {EXAMPLE}")

    def where(self) -> str:
        """The next token's place, for a message."""
        return f"before '{self.peek()[1]}'" if self.peek()[1] else "at the end"

    def peek(self) -> tuple[str, str]:
        """The next token's kind and text; two empty strings at the end."""
        return self.tokens[self.next] if self.next < len(self.tokens) else ("", "")

    def take(self, *accepted: str) -> bool:
        """Step over the next token if it is one of these words or signs."""
        found = self.peek()[0] != "text" and self.peek()[1] in accepted
        self.next += found
        return found

    def parse(self) -> Predicate:
        """The whole text."""
        predicate = self.expression()
        if self.next < len(self.tokens):
            raise self.error(f"expected 'and', 'or' or the end before '{self.peek()[1]}'")
        return predicate

    def expression(self) -> Predicate:
        """term {"or" term}."""
        parts = [self.term()]
        while self.take("or"):
            parts.append(self.term())
        return lambda values: any(part(values) for part in parts)

    def term(self) -> Predicate:
        """factor {"and" factor}."""
        parts = [self.factor()]
        while self.take("and"):
            parts.append(self.factor())
        return lambda values: all(part(values) for part in parts)

    def factor(self) -> Predicate:
        """A negation, a bracket or a comparison."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"more than {MAX_DEPTH} brackets within each other")
        if self.take("not"):
            negated = self.factor()
            predicate: Predicate = lambda values: not negated(values)  # noqa: E731
        elif self.take("("):
            predicate = self.expression()
            if not self.take(")"):
                raise self.error("a ')' is missing")
        else:
            predicate = self.comparison()
        self.depth -= 1
        return predicate

    def comparison(self) -> Predicate:
        """operand operator operand."""
        left, _ = self.operand(text_allowed=False)
        kind, sign = self.peek()
        if kind != "operator":
            raise self.error(f"expected one of == != < <= > >= {self.where()}")
        self.next += 1
        right, written = self.operand(text_allowed=sign in ("==", "!="))
        if sign in ORDERING:
            return self.ordering(left, sign, right, written)
        return lambda values: equal(left(values), right(values)) == (sign == "==")

    def ordering(self, left: Callable, sign: str, right: Callable, written: str) -> Predicate:
        """`left sign right`, false where either is missing."""

        def ordered(values: Mapping[str, Any]) -> bool:
            a, b = left(values), right(values)
            if a is None or b is None:
                return False
            if not (is_number(a) and is_number(b)):
                raise self.error(f"{sign} orders numbers, and here it got {a!r} and {b!r}")
            return ORDERING[sign](a, b)

        return ordered

    def operand(self, text_allowed: bool) -> tuple[Callable[[Mapping[str, Any]], Any], str]:
        """A key's value or a literal; and how it was written."""
        kind, token = self.peek()
        where = self.where()
        self.next += 1
        if kind == "word" and token in self.known:
            return lambda values: values.get(token), token
        if kind == "number":
            literal: Any = float(token)
        elif kind == "text":
            literal = token[1:-1]
        elif kind == "word" and token.lower() in LITERALS:
            literal = LITERALS[token.lower()]
        elif kind == "word" and text_allowed and token not in ("and", "or", "not"):
            literal = token
        elif kind == "word" and token not in ("and", "or", "not"):
            raise self.error(unknown(token, self.known))
        else:
            raise self.error(f"expected a key or a value {where}")
        return lambda values: literal, token


def equal(a: Any, b: Any) -> bool:
    """Equality as in YAML: 1 == 1.0, but true is no number; a list equals the text that it is written as."""
    if isinstance(a, list | dict) or isinstance(b, list | dict):
        return str(a) == str(b)
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def equals_hint(rest: str) -> str:
    """Mends the commonest slip."""
    return " (write == for 'equals')" if rest.lstrip().startswith("=") else ""


def unknown(key: str, known: Collection[str]) -> str:
    """Says that no run has `key`, and what it may have meant."""
    close = get_close_matches(key, known, n=3) or [name for name in known if name.endswith(f".{key}")][:3]
    return f"no run has '{key}'" + (f"; did you mean {' or '.join(close)}?" if close else "")
