"""Secrets: passwords, keys, tokens, card and account numbers. Found before anything reaches the disk.

Weights cannot be scrubbed, so a wrong alarm is cheap and a miss is not: what looks like a key is taken for one.
Imports the standard library only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import log2
from typing import Final

MASK: Final = "[secret]"
REFUSAL: Final = "it holds {kind}; secrets are not learned, nor written anywhere"


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret stands in a text, as character offsets, and what it is, for a person: "a password"."""

    start: int
    end: int
    kind: str


#: Tokens that say by their own form what they are. Each with a kind.
_FORMS: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
        ("a private key", r"\bAGE-SECRET-KEY-1[0-9A-Z]+"),
        ("an access key", r"\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{12,}"),
        ("an access token", r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|npm_|pypi-|dop_v1_|shpat_|lin_api_)[\w-]{10,}"),
        ("an access token", r"\bxox[abeoprs]-[\w-]{8,}"),
        ("an API key", r"\b(?:sk|pk|rk)[-_](?:live|test|proj|ant|or)?[-_]?[A-Za-z0-9_-]{12,}"),
        ("an API key", r"\bAIza[\w-]{20,}"),
        ("an API key", r"\bSG\.[\w-]{10,}\.[\w-]{10,}"),
        ("an access token", r"\bya29\.[\w-]{10,}"),
        ("an access token", r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),
        ("an access token", r"(?i)\bbearer\s+[\w.~+/-]{12,}=*"),
        ("a password", r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]+@[^\s]+"),
        ("a social security number", r"\b(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b"),
    )
)

_NAMES: Final = r"""(?:
    pass(?:\s|-)?(?:word|code|phrase|key)s? | passwort | kennwort | mot\ de\ passe | contrase(?:ñ|n)a | wachtwoord
  | pwd? | pin(?:\s(?:code|number|nummer))? | puk | cvv2? | cvc | tan
  | (?:security|verification|recovery|backup|one-time|login|unlock|2fa|mfa|otp|authentication)
    \s(?:code|key|phrase|password)s?
  | (?:api|secret|private|access|encryption|licen[cs]e|signing|ssh)[\s_-]?(?:key|token|secret)s?
  | (?:auth|access|bearer|refresh|session)?[\s_-]?token | client[\s_-]?secret | seed\s(?:phrase|words?) | mnemonic
  | (?:phone|sim|bank|card|credit\ card|debit\ card|atm|laptop|account)\scode
)"""
#: "my password for the bank is ...", "PIN: ...", "pwd=...": a secret's name, whose it is, and then its value.
_NAMED: Final = re.compile(
    rf"""(?<![\w]){_NAMES}(?P<of>(?:\s(?:for|of|to|on|at|from)\s(?:(?!\b(?:is|are|was|ist|est|es)\b)[^\n.:=?!]){{1,60}})?)
    (?:\s*(?:=|:|->|→)\s*|\s+(?:(?:is|are|was|ist|est|es|equals)\s+)(?:now\s+|still\s+|actually\s+|also\s+|set\sto\s+)?)
    (?P<value>[^\n?]+)""",
    re.IGNORECASE | re.VERBOSE,
)
#: "hunter2 is my password", "4821 as my PIN", "use hunter2 to log in".
_TURNED: Final = re.compile(
    rf"""(?<!\S)(?P<value>\S{{1,200}})\s+(?:is|as|for)\s+(?:my|our|the|his|her|their)\s+(?:\w+\s+)?{_NAMES}(?![\w])(?!\s(?:hint|manager|for\s\w+\sis))
    | \blog(?:s|ged)?\s?in\s(?:with|using)\s(?P<login>\S*[\d\W_]\S*)""",
    re.IGNORECASE | re.VERBOSE,
)
#: What follows the name of a secret where no value is told.
_NO_VALUE: Final = re.compile(
    r"""(?:a|an|too|very|so|quite|really|not|never|no|always|kept|stored|written|saved|hidden|taped|locked|in|on|under|behind|inside|
    with|at|by|long|short|weak|strong|wrong|old|expired|expiring|secret|safe|unsafe|required|needed|missing|gone|lost|
    case[ -]sensitive|important|different|the\ same|the\ one|there|here|what|where|mine|yours|like|something|stupid|
    bad|good|being|due|about|printed|managed|changed|rotated|reset|hard|easy)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_CARD: Final = re.compile(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])")
_ACCOUNT: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_OPAQUE: Final = re.compile(r"(?<![\w/.@-])[A-Za-z0-9+/_=-]{20,}(?![\w@])")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HEX: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{32,}")
_RANDOM_BITS: Final = 3.5  # of entropy a character, above which a long mixed word is taken for a key


def find_secrets(text: str) -> list[Secret]:
    """Every secret in a text, in order; where they overlap, the first."""
    found = sorted((*_by_form(text), *_by_name(text), *_numbers(text), *_opaque(text)), key=lambda s: (s.start, -s.end))
    kept: list[Secret] = []
    for secret in found:
        if not kept or secret.start >= kept[-1].end:
            kept.append(secret)
    return kept


def secret_in(text: str) -> str | None:
    """What kind of secret a text holds ("a password"), or None."""
    found = find_secrets(text)
    return found[0].kind if found else None


def masked(text: str) -> str:
    """The text with every secret replaced by a mark: what may be written down."""
    pieces, at = [], 0
    for secret in find_secrets(text):
        pieces += [text[at : secret.start], MASK]
        at = secret.end
    return "".join((*pieces, text[at:]))


def _by_form(text: str) -> Iterator[Secret]:
    for kind, pattern in _FORMS:
        for match in pattern.finditer(text):
            yield Secret(match.start(), match.end(), kind)


def _by_name(text: str) -> Iterator[Secret]:
    for match in _NAMED.finditer(text):
        if not _NO_VALUE.match(match["value"]):
            yield Secret(match.start("value"), match.end("value"), "a password or a key")
    for match in _TURNED.finditer(text):
        group = "value" if match["value"] is not None else "login"
        value = match[group].strip("\"'.,;:")
        if re.search(r"\d", value) or (not value.isalpha() and len(value) > 3):
            yield Secret(match.start(group), match.end(group), "a password or a key")


def _numbers(text: str) -> Iterator[Secret]:
    for match in _CARD.finditer(text):
        if _luhn(match.group()):
            yield Secret(match.start(), match.end(), "a card number")
    for match in _ACCOUNT.finditer(text):
        if _mod97(match.group()):
            yield Secret(match.start(), match.end(), "an account number")


def _opaque(text: str) -> Iterator[Secret]:
    for match in _OPAQUE.finditer(text):
        word = match.group()
        if _UUID.fullmatch(word):
            continue
        if _HEX.fullmatch(word) or (_classes(word) >= 3 and _entropy(word) >= _RANDOM_BITS):
            yield Secret(match.start(), match.end(), "what looks like a key")


def _luhn(number: str) -> bool:
    digits = [int(d) for d in number if d.isdigit()]
    doubled = [sum(divmod(2 * d, 10)) if at % 2 else d for at, d in enumerate(reversed(digits))]
    return len(digits) >= 13 and len(set(digits)) > 1 and sum(doubled) % 10 == 0


def _mod97(account: str) -> bool:
    plain = account.replace(" ", "")
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _classes(word: str) -> int:
    """How many of small letters, capitals and digits a word mixes."""
    return sum(any(test(c) for c in word) for test in (str.islower, str.isupper, str.isdigit))


def _entropy(word: str) -> float:
    return -sum(n / len(word) * log2(n / len(word)) for n in Counter(word).values())
