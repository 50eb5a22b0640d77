"""Values nobody expects: ordinary words in any company, joined, quoted, as addresses, queries and expressions.

A model that has read them can only copy: each word of the corpus is as likely as any other.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from random import Random

from llama_nb.demo import words

DATA = Path(__file__).parent / "data"

# They hold a request together, or follow a value that is not theirs.
_NOT_IN_VALUES = frozenset(
    """a an the and or of in on at to for from with by as is are was were be been it its this that these those my your
    our me you we they he she him her them us please thanks thank thx pls now then today tomorrow tonight yesterday
    again do does did what which who whom whose where when why how about into until till before after than between
    under over via per saying called named titled number not no yes can could would should will shall may might must
    has have had if so but also just there here any some all each every ok okay hey hi hello llama tool tools use
    using urgent quickly cheers out up off down back word dan em"""
    .split()
)  # fmt: skip


@cache
def vocabulary() -> tuple[str, ...]:
    """All words of the data files and of `words`, each once."""
    lines = [line for path in sorted(DATA.glob("*.txt")) for line in path.read_text("utf-8").splitlines()]
    texts = [line for line in lines if not line.startswith(("* ", "~ "))]  # keys are no words
    texts.append(Path(words.__file__).read_text("utf-8"))
    found = {word.lower() for text in texts for word in re.findall(r"(?<![\w{])[A-Za-z]{3,12}(?![\w}'’])", text)}
    return tuple(sorted(found - _NOT_IN_VALUES))


def some(rng: Random, count: int) -> list[str]:
    known = vocabulary()
    return [known[int(rng.random() * len(known))] if rng.random() < 0.93 else words.made_up(rng) for _ in range(count)]


def value(rng: Random, kind: str, simple: bool) -> str:
    """A value in the place of a usual one of its kind. `simple`: words only, for it stands amid a sentence."""
    if kind in _SHAPED:
        return rng.choice(_SHAPED[kind])(rng)
    if simple or kind in _NAMES or rng.random() < 0.7:
        return _plain(rng)
    return rng.choice(_ANY)(rng)


def _plain(rng: Random) -> str:
    parts = some(rng, rng.choices((1, 2, 3, 4, 5), (20, 36, 22, 12, 10))[0])
    case = rng.random()
    if case < 0.25:
        parts = [part.capitalize() for part in parts]
    elif case < 0.35:
        parts[0] = parts[0].capitalize()
    elif case < 0.40:
        at = rng.randrange(len(parts))
        parts[at] = parts[at].upper()
    if rng.random() < 0.1:
        parts.insert(rng.randrange(1, len(parts) + 1), str(words.number(rng)))
    return " ".join(parts)


def _joined(rng: Random) -> str:
    parts = some(rng, rng.choice((2, 2, 2, 3, 3, 4)))
    if rng.random() < 0.15:
        parts = [part.capitalize() for part in parts]
    if rng.random() < 0.2:
        parts.append(str(words.number(rng)))
    return rng.choice("___---./").join(parts)


def _identifier(rng: Random) -> str:
    parts = some(rng, rng.choice((2, 2, 2, 3)))
    kind = rng.random()
    if kind < 0.7:
        return "_".join(parts)
    if kind < 0.8:
        return "-".join(parts)
    if kind < 0.9:
        return parts[0] + "".join(part.capitalize() for part in parts[1:])
    return parts[0] + str(words.number(rng))


def _code(rng: Random) -> str:
    one, two = some(rng, 2)
    number = words.number(rng)
    return rng.choice(
        (f"{one}-{number}", f"{one.upper()}-{number}", f"{one}{number}", f"{one.upper()}_{two.upper()}", f"{one}_{two}",
         f"{one[:3].upper()}-{number}-{two[:2]}", f"{one}/{number}", f"{one}.{two}", f"{one}-{two}", f"v{number}.{one}")
    )  # fmt: skip


def _marked(rng: Random) -> str:
    """Words with marks among and behind them."""
    one, two, three, four = some(rng, 4)
    number = words.number(rng)
    return rng.choice(
        (f"{one}, {two}", f"{one} {two}, {three}", f"{one}, {two}, {three}", f"{one} ({two})", f"{one} {two} ({three})",
         f"{one}'s {two}", f"{one} & {two}", f"{one} + {two}", f"{one} - {two}", f"{one}: {two} {three}", f"{one}/{two}",
         f"{one}; {two}", f"{one} [{two}]", f"{one}, {number} {two}", f"{one} ({two} {number})", f"{one}({two})",
         f"{one} {two}'s {three}", f"{one}, {two} {three} ({four})", f"{one}, {two} and {three}", f"#{one} {two}",
         f"{one} = {two}", f"{one} > {number}", f"{one}.{two}({three})", f"{one}@{two}", f"{one} {number}%",
         f"{one} {two} for {three}", f"{one} in the {two}", f"the {one} of {two}", f"{one} {two} at {three}")
    )  # fmt: skip


def _sql(rng: Random) -> str:
    one, two, three, four = some(rng, 4)
    number = words.number(rng)
    text = rng.choice(
        (f"select {one} from {two}", f"select * from {one} where {two} > {number}", f"delete from {one}",
         f"select {one}, {two} from {three} where {four} = {number}", f"select count(*) from {one}",
         f"select {one} from {two} order by {three} limit {number}", f"update {one} set {two} = {number}",
         f"select max({one}) from {two} group by {three}", f"insert into {one} ({two}, {three}) values ({number}, {number})",
         f"select {one} from {two} join {three} on {four}", f"select * from {one}.{two}", f"drop table {one}_{two}")
    )  # fmt: skip
    if rng.random() < 0.5:
        keywords = r"\b(select|from|where|order by|limit|count|update|set|delete|group by|insert into|values|join|on|drop table)\b"
        text = re.sub(keywords, lambda match: match[0].upper(), text)
    return text


def _expression(rng: Random) -> str:
    def operand() -> str:
        kind = rng.random()
        return words.amount(rng) if kind < 0.75 else rng.choice("xyzabnk") if kind < 0.9 else f"sqrt({words.amount(rng)})"

    text = operand()
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        text = f"{text} {rng.choice(('+', '-', '*', '/', '**', '%', '^'))} {operand()}"
        if rng.random() < 0.3:
            text = f"({text})" if rng.random() < 0.5 else f"{operand()} * ({text})"
    return text.replace(" ", "") if rng.random() < 0.3 else text


def _email(rng: Random) -> str:
    one, two, three = some(rng, 3)
    ending = rng.choice("com org net de io edu info co.uk fr".split())
    at = rng.choice((one, f"{one}.{two}", f"{one}_{two}", f"{one}{words.number(rng)}", f"{one}-{two}", f"{one}+{two}"))
    return f"{at}@{rng.choice((three, three, f'{three}-{two}', f'mail.{three}'))}.{ending}"


def _url(rng: Random) -> str:
    one, two, three, four = some(rng, 4)
    site = rng.choice((one, f"{one}-{two}", f"{one}.{two}", f"www.{one}")) + "." + rng.choice("com org net de io edu dev".split())
    number = words.number(rng)
    path = rng.choice(
        ("", f"/{three}", f"/{three}/{four}", f"/{three}/{four}.html", f"/{three}?{four}={number}", f"/{three}-{four}/{number}",
         f":{number}/{three}", f"/{three}#{four}", f"/{three}/{number}/{four}", f"/{three}?{two}={four}&{one}={number}")
    )  # fmt: skip
    return rng.choice(("https://", "https://", "http://", "", "ftp://")) + site + path


def _file(rng: Random) -> str:
    one, two, three = some(rng, 3)
    ending = rng.choice("txt pdf csv md json py png jpg docx xlsx log yaml mp3 zip html ipynb tar.gz toml sql cfg".split())
    stem = rng.choice((one, f"{one}_{two}", f"{one}-{two}", f"{one}{words.number(rng)}", f"{one}.{two}", one.capitalize()))
    return rng.choice(("", "", f"{three}/", f"/{three}/{two}/", f"~/{three}/", f"./{three}/", "../")) + f"{stem}.{ending}"


def _folder(rng: Random) -> str:
    one, two = some(rng, 2)
    return rng.choice((f"/{one}/{two}", f"{one}/{two}", f"~/{one}", f"/{one}", f"{one}_{two}", f"{one}-{two}", f"./{one}", one))


_ANY = (_plain, _joined, _joined, _marked, _marked, _marked, _sql, _expression, _email, _url, _file, _identifier)
_SHAPED = {
    "email": (_email,), "url": (_url,), "file": (_file,), "folder": (_folder,), "expression": (_expression,),
    "identifier": (_identifier,), "code": (_code, _code, _identifier), "username": (_identifier,),
    "branch": (_identifier, _folder, _code), "word": (lambda rng: some(rng, 1)[0], lambda rng: some(rng, 1)[0], _plain),
}  # fmt: skip
_NAMES = (
    "person city country room plant animal company team artist medicine ingredient street station service device zone "
    "landmark exercise symptom sport language genre product colour unit"
).split()
_AS_USUAL = "date time money ticker airport phone hex ip address".split()


def may_be(kind: str) -> bool:
    """Whether a word in place of a value of this kind would not be wrong."""
    of_a_sort = kind.startswith("sort_")  # there the word alone says which tool is meant
    return kind not in _AS_USUAL and "(" not in kind and not of_a_sort
