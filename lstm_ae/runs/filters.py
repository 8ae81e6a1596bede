"""Choose runs with a text such as `model.hidden_size >= 32 and val/accuracy > 0.98`; pandas evaluates it.

pandas wants backticks around names like these, quotes around texts and no `null`; here a name is known by itself, and a
word that is no name is a text behind `==`, `!=` and in a list: `status == completed`, `optimizer in [adam, sgd]`.
Anything else, as an attribute or a call, is refused before pandas sees it.
"""

import re
from collections.abc import Collection
from difflib import get_close_matches

import pandas as pd

from lstm_ae.errors import UserError

TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w./]))
    | (?P<text>'[^']*'|"[^"]*")
    | (?P<operator>==|!=|<=|>=|<|>|[-+*/()\[\],])
    | (?P<word>[A-Za-z_][\w./@-]*)
    )""",
    re.VERBOSE,
)
WORDS = {"and": "and", "or": "or", "not": "not", "in": "in", "true": "True", "false": "False", "inf": "1e999"}
NULLS = ("null", "none")
MAX_LENGTH = 1000  # characters; Python's own parser gives up on what nests too deeply
EXAMPLE = "write, for example, 'model.hidden_size >= 32 and val/accuracy > 0.98'"


def choose(runs: pd.DataFrame, text: str) -> pd.DataFrame:
    """The runs that pass the filter `text`. What a run lacks is null: neither above, below nor equal to anything.

    Raises:
        UserError: the text is no filter, names something that no run has, or compares what has no order.
    """

    def refuse(problem: str) -> UserError:
        return UserError(f"--filter '{text[:MAX_LENGTH]}': {problem}; {EXAMPLE}")

    try:
        passes = runs.eval(expression(text, runs.columns), engine="python")
    except ValueError as error:
        raise refuse(str(error)) from error
    except TypeError as error:
        raise refuse(f"numbers and texts have no order among each other ({error})") from error
    except Exception as error:  # Python's and pandas' parsers have many words for what is no expression
        raise refuse(f"not a comparison of values ({str(error).splitlines()[0]})") from error
    if not isinstance(passes, pd.Series) or passes.dtype != bool:
        raise refuse("it compares nothing: expected one of == != < <= > >= in it")
    return runs[passes]


def expression(text: str, names: Collection[str]) -> str:
    """The filter `text` as pandas reads it.

    Raises:
        ValueError: something in it is neither a name, a value nor an operator.
    """
    if not text.strip() or len(text) > MAX_LENGTH:
        raise ValueError(f"expected 1 to {MAX_LENGTH} characters")
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True) if name)  # "" is found everywhere
    name_here = re.compile(rf"\s*(?P<tick>`?)(?P<name>{known})(?P=tick)(?![\w./])")
    parts: list[str] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        named = name_here.match(text, position)
        match = named or TOKEN.match(text, position)
        if match is None:
            rest = text[position:].strip()
            raise ValueError(f"cannot read '{rest}'" + (" (write == for 'equals')" if rest.startswith("=") else ""))
        position = match.end()
        token = match[0].strip()
        if named:
            parts.append(f"`{match['name']}`")
        elif not match["word"]:
            parts.append(token)
        elif token.lower() in NULLS and parts[-1:] in (["=="], ["!="]) and parts[-2:][0].startswith("`"):
            parts.append(".isna()" if parts.pop() == "==" else ".notna()")
        elif token.lower() in WORDS:
            parts.append(WORDS[token.lower()])
        elif parts[-1:] in (["=="], ["!="], ["["], [","]):
            parts.append(repr(token))
        else:
            raise ValueError(unknown(token, names))
    return " ".join(parts).replace(" .", ".")


def unknown(key: str, known: Collection[str]) -> str:
    """Says that no run has `key`, and what it may have meant."""
    close = get_close_matches(key, known, n=3) or [name for name in known if name.endswith(f".{key}")][:3]
    return f"no run has '{key}'" + (f"; did you mean {' or '.join(close)}?" if close else "")
