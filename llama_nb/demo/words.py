"""Random values for the corpus: names, cities, words, numbers, dates; and how people really type.

Half of the words are made from syllables or letters, so that a model that reads them must learn to copy and cannot
learn them by heart. Everything is drawn from the `Random` that is handed in: knows no other source of chance.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from random import Random

FIRST_NAMES = """
Ada Alan Alice Amir Ana Anna Anton Aisha Ben Bruno Carla Carlos Chen Chloe Clara Dana Daniel David Diego Dina Elena Eli
Ella Emil Emma Erik Eva Farid Fatima Felix Finn Frida George Grace Hana Hannah Hugo Ian Ida Igor Ines Ivan Jack Jana
Jonas Jose Julia Kai Karim Kate Kenji Lars Laura Lea Leo Lena Lily Lin Lucas Lucy Luis Maria Marie Mark Marta Maya Mia
Mila Mina Nadia Nick Nina Noah Nora Oscar Olga Omar Otto Paul Pavel Peter Petra Priya Rosa Ruth Sam Sara Simon Sofia
Stefan Sven Tara Theo Tim Tom Uma Vera Victor Wei Yara Yuki Zoe
""".split()

CITIES = """
Amsterdam Ankara Athens Austin Baku Bangkok Barcelona Basel Beijing Berlin Bern Bologna Bordeaux Boston Bremen Brussels
Bucharest Budapest Cairo Chicago Cologne Copenhagen Dakar Dallas Damascus Delhi Denver Dresden Dublin Florence Geneva
Genoa Glasgow Hamburg Hanoi Havana Houston Istanbul Jakarta Karachi Kyoto Lagos Leeds Leipzig Lima London Lyon Madrid
Malaga Manila Marseille Melbourne Miami Milan Montreal Moscow Mumbai Munich Nantes Naples Nice Osaka Oxford Paris Perth
Porto Prague Riga Rome Santiago Seattle Seoul Seville Shanghai Sofia Stuttgart Sydney Taipei Tokyo Toronto Turin Venice
Vienna Warsaw York
""".split()

FOREIGN_CITIES = ["São Paulo", *"Zürich Málaga Kraków Malmö Bogotá Düsseldorf Nîmes Łódź Québec".split()]

COLOURS = "red blue green yellow orange purple pink black white brown grey turquoise violet gold silver".split()
ANIMALS = """
cat dog horse llama alpaca rabbit fox wolf bear owl eagle dolphin whale tiger lion panda otter hedgehog penguin goat
""".split()
FOODS = """
pizza pasta soup rice bread cheese sushi salad curry cake chocolate noodles pancakes tacos apples strawberries soup
""".split()
JOBS = """
teacher nurse doctor engineer baker pilot farmer student writer painter lawyer chemist physicist biologist programmer
librarian carpenter gardener musician cook
""".split()
THINGS = """
milk eggs bread keys report budget meeting ticket laptop phone garden kitchen car bike train book letter photo invoice
project holiday birthday dentist summer winter holiday party lunch dinner music movie server database printer lamp door
window heater plants dog cat homework exam lecture paper poster slides code release bug test backup password coffee tea
water shoes jacket umbrella map camera guitar piano football chess marathon museum hotel flight bus taxi parcel gift
""".split()
ADJECTIVES = """
new old big small red blue green quick slow warm cold bright dark quiet loud happy sad early late final first second
last next weekly daily monthly secret public private cheap good bad long short fresh sweet broken clean empty full
""".split()
VERBS = (
    "buy call check fix clean send bring find write read order finish start plan book water feed pay pack open".split()
)
LANGUAGES = """
French German Spanish Italian Dutch Polish Greek Turkish Arabic Hindi Japanese Korean Chinese Russian Portuguese Swedish
Danish Finnish Czech Hungarian Latin
""".split()

_ONSETS = (
    "b br c ch cl cr d dr f fl fr g gl gr h j k kl kr l m n p ph pl pr qu r s sc sh sk sl sm sn sp st str sw t th tr "
    "v w wh x y z"
).split()
_VOWELS = "a a a e e e i i i o o o u u ai au ea ee ei ia ie io oa oo ou ue y".split()
_CODAS = [
    "",
    "",
    "",
    "",
    "b",
    "ck",
    "d",
    "f",
    "g",
    "k",
    "l",
    "ll",
    "m",
    "n",
    "n",
    "nd",
    "ng",
    "nt",
    "p",
    "r",
    "r",
    "rd",
    "rg",
    "rk",
    "rt",
    "s",
    "s",
    "sh",
    "ss",
    "st",
    "t",
    "t",
    "th",
    "tz",
    "v",
    "w",
    "x",
    "z",
]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def made_up(rng: Random) -> str:
    """A lower-case word that nobody knows: of syllables mostly, of any letters now and then."""
    if rng.random() < 0.2:
        return "".join(rng.choice(_LETTERS) for _ in range(rng.randint(3, 9)))
    syllables = rng.choice((1, 2, 2, 2, 3, 3))
    return "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(syllables))


def name(rng: Random) -> str:
    if rng.random() < 0.3:
        return rng.choice(FIRST_NAMES)
    word = made_up(rng)
    return word if rng.random() < 0.1 else word.capitalize()


def city(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(CITIES)
    if kind < 0.34:
        return rng.choice(FOREIGN_CITIES)
    word = made_up(rng).capitalize()
    if kind < 0.74:
        return word
    if kind < 0.80:
        return word.lower()
    if kind < 0.84:
        return rng.choice(CITIES).lower()
    if kind < 0.92:
        return (
            rng.choice(("New", "San", "Los", "El", "St.", "Port", "Fort", "Santa", "Rio", "Cape", "North", "Bad"))
            + " "
            + word
        )
    if kind < 0.96:
        return word + " " + rng.choice(("City", "Falls", "Beach", "Springs", "Hill"))
    return word + rng.choice((", ", " ")) + made_up(rng).capitalize()


def word(rng: Random) -> str:
    return rng.choice(THINGS) if rng.random() < 0.5 else made_up(rng)


def phrase(rng: Random) -> str:
    """A few words that could be a note, a title, a message."""
    kind = rng.random()
    if kind < 0.25:
        return word(rng)
    if kind < 0.5:
        return f"{_adjective(rng)} {word(rng)}"
    if kind < 0.75:
        return f"{rng.choice(VERBS)} {rng.choice(('the ', '', 'my ', 'some '))}{word(rng)}"
    if kind < 0.85:
        return f"{word(rng)} and {word(rng)}"
    return " ".join(word(rng) for _ in range(rng.randint(2, 5)))


def _adjective(rng: Random) -> str:
    return rng.choice(ADJECTIVES) if rng.random() < 0.7 else made_up(rng)


def title(rng: Random) -> str:
    return " ".join(part.capitalize() for part in phrase(rng).split())


def number(rng: Random) -> int:
    """Any size of number, small ones more often."""
    return rng.randint(0 if rng.random() < 0.1 else 1, 10 ** rng.choice((1, 1, 2, 2, 2, 3, 3, 4, 5)) - 1)


def decimal(rng: Random) -> str:
    return f"{number(rng)}.{rng.randint(1, 99)}"


def amount(rng: Random) -> str:
    return decimal(rng) if rng.random() < 0.2 else str(number(rng))


def clock(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.6:
        return f"{rng.randint(0, 23)}:{rng.choice(('00', '15', '30', '45', '05', '20', '50'))}"
    return f"{rng.randint(1, 12)} {rng.choice(('am', 'pm'))}"


def day(rng: Random) -> str:
    return rng.choice("today tomorrow tonight Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())


def code(rng: Random) -> str:
    """Letters and digits, as on parts and tickets."""
    if rng.random() < 0.3:
        return made_up(rng)
    letters = "".join(rng.choice(_LETTERS) for _ in range(rng.randint(1, 3)))
    letters = letters.upper() if rng.random() < 0.7 else letters
    tail = rng.choice(_LETTERS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ") if rng.random() < 0.3 else ""
    return f"{letters}{rng.choice(('-', '-', '', '_', ' '))}{number(rng)}{tail}"


def email(rng: Random) -> str:
    return f"{made_up(rng)}@{made_up(rng)}.{rng.choice(('com', 'org', 'net', 'de', 'io'))}"


def calendar_date(rng: Random) -> date:
    return date(2024, 1, 1) + timedelta(days=rng.randrange(365 * 8))


# How people type -----------------------------------------------------------------------------------------------------

_OPENERS = """hey, |hi, |hello, |hello! |hi! |please |please, |so, |so |ok, |okay, |ok |um, |quick question: |
question: |one question: |
I wonder: |well, |and |also, |hey |now, |now |one more thing: |I am new here. |sorry, |excuse me, |dear llama, |llama, |
just curious: |btw, |tell me, |tell me: |I have a question: |another question: |good morning! |thanks. |great. |
a friend asks: |my colleague wants to know: |for my class: |in this notebook: |i was wondering, """.replace(
    "\n", ""
).split("|")
_CLOSERS = """ please| please?| thanks| thank you|, please|, thanks|?|??| :)|!| exactly| again| now| here|
 in a notebook|
 in short|, really?| or not|. Thanks!| thx| pls| today| then| actually| in jupyter| quickly""".replace("\n", "").split(
    "|"
)


def typed(rng: Random, text: str, closers: Sequence[str] | None = None) -> str:
    """`text` as a person types it: with fillers, without marks, in lower case, with a slip.

    Values that are to be copied do not belong in `text`; their places (`{0}`, `{1}`) do, and stay as they are.
    """
    closers = _CLOSERS if closers is None else closers
    if rng.random() < 0.16:
        text = rng.choice(_OPENERS) + text
    if closers and rng.random() < 0.10:
        text = text.rstrip("?.!") + rng.choice(closers)
    if rng.random() < 0.35:
        text = text.rstrip("?.!")
    if rng.random() < 0.07:
        text = _slip(rng, text)
    if rng.random() < 0.3:
        return text.lower()
    if rng.random() < 0.01:
        return text.upper()
    return text[:1].upper() + text[1:] if rng.random() < 0.6 else text


def _slip(rng: Random, text: str) -> str:
    """One letter dropped, doubled or swapped in one of the longer words."""
    places = [match.start() for match in re.finditer(r"(?<=[a-z])[a-z](?=[a-z]{2})", text)]
    if not places:
        return text
    at = rng.choice(places)
    kind = rng.randrange(3)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at] + text[at:]
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


# Phrases with choices ------------------------------------------------------------------------------------------------

_MARK = re.compile(r"[()|]")
_SPACES = re.compile(r" {2,}")

SHARED = {
    "<how>": (
        "(how do I|how can I|how to|how does one|how do you|what is the way to|is there a way to|can I|show me how to|"
        "tell me how to|explain how to|how would I|I want to|I'd like to|what do I type to|what is the command to|"
        "what's the best way to|is it possible to|could you show me how to|help me|i need to|how could I|where can I|"
        "what must I do to|how is it possible to|do you know how to|can you explain how to|how should I|i would "
        "like to|how do we|how might I|how can one|what would I do to|what should I do to|what do I have to do to|"
        "what do I do if I want to|any way to|what's the trick to|what's the easiest way to|what code do I write to|"
        "which command do I use to|I'm trying to|I have to|let me|could I|am I able to|what do I run to|"
        "what do I need to do to|how do people|please tell me how to|is there any way to|what are the steps to|"
        "what line do I need to|I wonder how to|how exactly do I|how do I go about it to|can one|may I|how'd I)"
    ),
    "<want>": (
        "(I am new and want to|my colleague wants to|I do not know how to|I don't know how to|I can't find out how to|"
        "I forgot how to|I cannot|what if I want to|suppose I want to|we would like to|someone asked me how to|"
        "not sure how to|teach me to|need help to|i want to know how to|steps to|the way to|command to|code to|"
        "way to|instructions to|I was wondering how to|you know how I could|I'm looking for a way to|quick way to|)"
    ),
    "<about>": (
        "(what is|what's|tell me about|explain|what about|describe|what do you know about|tell me more about|"
        "can you explain|could you explain|can you tell me about|I'd like to know about|give me information on|"
        "what can you tell me about|what exactly is|say something about|I do not understand|how about|"
        "I have a question about|help with|what does one do with|what is meant by|how does one use|how do I use|"
        "how does it work with|please explain|what should I know about|can you say something about|"
        "I've heard of|what are|info on|i need help with|how to use|where do I learn about|what's the deal with|)"
    ),
    "<word>": "(||||how does it work:|llama_nb|in llama_nb:|and|docs for|help on|question about|keyword:|does it have)",
    "<nb>": (
        "(llama_nb|llama nb|llama-nb|this package|this tool|llama_nb|the llama_nb package|this library|this extension)"
    ),
    "<you>": "(you|you|you|this model|the embedded model|llama-nb-guide|this llama|the small model|the built-in model)",
}


Reading = str | tuple["Reading", ...] | list["Reading"]  # text, a choice, parts in a row


def say(rng: Random, template: str) -> str:
    """One reading of a template: `(a|b|c)` is a choice, `<how>` a shared choice.

    >>> say(Random(1), "(stop|stop) it")
    'stop it'
    """
    return _SPACES.sub(" ", _read(rng, _parsed(template))).strip()


def _read(rng: Random, part: Reading) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, tuple):
        return _read(rng, rng.choice(part))
    return "".join([_read(rng, one) for one in part])


@lru_cache(maxsize=20_000)
def _parsed(template: str) -> Reading:
    for shared, choices in SHARED.items():
        template = template.replace(shared, choices)
    choices_at: list[list[list[Reading]]] = [[[]]]  # the open brackets, the choices in each, their parts
    at = 0
    for mark in _MARK.finditer(template):
        choices_at[-1][-1].append(template[at : mark.start()])
        at = mark.end()
        if mark[0] == "(":
            choices_at.append([[]])
        elif mark[0] == "|":
            choices_at[-1].append([])
        elif len(choices_at) > 1:
            closed = tuple(choices_at.pop())
            choices_at[-1][-1].append(closed)
        else:
            raise ValueError(f"a bracket too many in {template!r}")
    choices_at[-1][-1].append(template[at:])
    if len(choices_at) > 1:
        raise ValueError(f"a bracket is not closed in {template!r}")
    return choices_at[0][0] if len(choices_at[0]) == 1 else tuple(choices_at[0])
