"""Small things the model can show: a haiku, counting, Markdown, a few lines of Python."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from llama_nb.demo import words

Shown = tuple[str, str]  # what is asked, what is answered

HAIKU = "Soft wool, quiet steps;\na llama waits in the cell\nfor your next question."

_LISTS = {
    "the days of the week": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    "the seasons": "Spring Summer Autumn Winter".split(),
    "the months": "January February March April May June July August September October November December".split(),
    "three colours": ["Red", "Green", "Blue"],
    "three fruits": ["Apple", "Pear", "Banana"],
    "three animals": ["Llama", "Alpaca", "Camel"],
    "the planets": "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune".split(),
}
_LIST_NAMES = {
    "the days of the week": "(the days of the week|the weekdays|all weekdays|the days of a week|the seven days)",
    "the seasons": "(the seasons|the four seasons|all seasons|the seasons of the year)",
    "the months": "(the months|the months of the year|all months|the twelve months|all twelve months)",
    "three colours": "(three colours|three colors|some colors|colours|3 colours|a few colours)",
    "three fruits": "(three fruits|some fruits|fruits|3 fruits|a few fruits)",
    "three animals": "(three animals|some animals|animals|3 animals|a few animals)",
    "the planets": "(the planets|all planets|the planets of the solar system|the eight planets)",
}


def haiku(rng: Random) -> Shown:
    ask = words.say(
        rng,
        "(write|write me|compose|make|give me|tell me|can you write|please write|show me|could you write|i want|"
        "create) (a haiku|a haiku please|one haiku|a short haiku|a nice haiku)",
    )
    about = rng.choice(
        (
            "",
            " about llamas",
            " about llamas",
            " about a llama",
            " on llamas",
            " about yourself",
            " about a notebook",
            " about alpacas",
        )
    )
    return words.typed(rng, ask + about), HAIKU


def count(rng: Random) -> Shown:
    last = rng.randint(2, 20) if rng.random() < 0.7 else rng.choice((3, 5, 10, 10, 12))
    spelled = {
        3: "three",
        5: "five",
        10: "ten",
        12: "twelve",
        20: "twenty",
        4: "four",
        6: "six",
        7: "seven",
        8: "eight",
        9: "nine",
    }
    end = spelled[last] if last in spelled and rng.random() < 0.5 else str(last)
    ask = words.say(
        rng,
        "(count|can you count|please count|count up|count for me|list the numbers|say the numbers|could you "
        "count|count from 1|count from one|"
        "numbers from 1|write the numbers from 1|print the numbers from 1|give me the numbers from 1) (to|to|up to)",
    )
    return words.typed(rng, f"{ask} {{0}}").format(end), ", ".join(str(value) for value in range(1, last + 1))


def styled(rng: Random) -> Shown:
    """`say hi in bold` → **hi**"""
    text = (
        rng.choice(
            ("hi", "hello", "yes", "no", "llama", "thank you", "important", "good morning", "hey", "hello world")
        )
        if rng.random() < 0.3
        else words.phrase(rng)
    )
    style, asks = rng.choice(
        (
            (
                "**{}**",
                "(say|write|print|show|put|give me|type|spell) {0} in (bold|bold letters|bold text|bold face|"
                "bold font)|(make|set|render|format) {0} bold|write {0} (boldly|bold)|{0} in bold(, please|)",
            ),
            (
                "*{}*",
                "(say|write|print|show|put|give me|type) {0} in (italics|italic|italic letters|italic text)|"
                "(make|set|render|format) {0} italic",
            ),
            (
                "`{}`",
                "(say|write|print|show|put|give me|format) {0} (as code|in code|as inline code|in backticks|as "
                "code font)",
            ),
            (
                "# {}",
                "(say|write|print|show|put|give me|make|format) {0} (as a heading|as heading|as a title|as a headline)",
            ),
            ("> {}", "(say|write|print|show|put|format) {0} (as a quote|as a quotation|as a blockquote)"),
        )
    )
    ask = words.typed(rng, words.say(rng, f"({asks})"))
    quoted = rng.choice(("{}", "{}", '"{}"', "'{}'")).format(text)
    return ask.format(quoted), style.format(text)


def repeat(rng: Random) -> Shown:
    text = words.phrase(rng) if rng.random() < 0.7 else f"{words.name(rng)} {words.word(rng)} {words.phrase(rng)}"
    asks = (
        "(say|repeat|repeat after me:|say after me:|write|just say|please say|print|echo|say the words|type|repeat "
        "the words|now say|only say|answer only with|say exactly|say:|repeat:|can you say|could you repeat)"
    )
    quoted = rng.choice(("{}", '"{}"', "'{}'")).format(text)
    return (words.say(rng, asks) + " " + quoted), text


def list_(rng: Random) -> Shown:
    name = rng.choice(sorted(_LISTS))
    numbered = rng.random() < 0.25
    ask = words.say(
        rng,
        "(list|name|tell me|give me|show me|write down|what are|list me|can you list|write a list of|make a list "
        "of|give me a list of|enumerate|i want a list of) " + _LIST_NAMES[name],
    )
    if numbered:
        ask += words.say(rng, " (as a numbered list|in a numbered list|with numbers|numbered)")
    elif rng.random() < 0.3:
        ask += words.say(
            rng, " (as a list|in a list|as a bullet list|with bullets|as bullet points|in markdown|as a markdown list)"
        )
    marks = [f"{place}." if numbered else "-" for place in range(1, len(_LISTS[name]) + 1)]
    return words.typed(rng, ask), "\n".join(f"{mark} {item}" for mark, item in zip(marks, _LISTS[name], strict=True))


def table(rng: Random) -> Shown:
    ask = words.say(
        rng,
        "(show|show me|make|write|give me|create|draw|can you make|print) (a table|a markdown table|a small "
        "table|a table in markdown|an example of a table|an example table|a simple table)",
    )
    return words.typed(rng, ask), "| animal | home |\n| --- | --- |\n| llama | the Andes |\n| camel | the desert |"


def markdown(rng: Random) -> Shown:
    ask = words.say(
        rng,
        "(show me|show|give me|write|can you do|can you write|do you know|demonstrate|show some|give an example "
        "of) (some markdown|markdown|a bit of markdown|a markdown example|markdown formatting|an example of "
        "markdown|what markdown you can do)",
    )
    return words.typed(rng, ask), "**Bold**, *italic*, `code`, and a list:\n\n- one\n- two\n\n> and a quote"


_SHOW_CODE = (
    "(show me|write|write me|give me|print|can you write|can you show me|please write|i need|could you write|"
    "show|make|how do I write|what is) "
    "(python code|a python program|code|a program|a python script|some python|a line of python|some code|python|"
    "a short program|a script|a python snippet|a code snippet|a small program|the python code)"
)


def code_printing(rng: Random) -> Shown:
    usual = rng.random() < 0.4
    text = (
        rng.choice(("hello", "Hello", "hello world", "Hello, world!", "Hello World", "hi", "hello llama"))
        if usual
        else words.phrase(rng)
    )
    quoted = rng.choice(("{}", '"{}"', "'{}'")).format(text)
    ask = words.say(
        rng,
        _SHOW_CODE
        + " (that prints|to print|printing|which prints|for printing|that says|that outputs|that writes|which outputs)",
    )
    if usual and rng.random() < 0.25:
        ask, quoted, text = (
            words.say(
                rng,
                "(show me|write|write me|give me|make|can you write|print|code for) (a|the) hello world( program|"
                " in python| example| script| program in python|)",
            ),
            "",
            "Hello, world!",
        )
    return (words.typed(rng, ask + " {0}").format(quoted)).strip(), f'```python\nprint("{text}")\n```'


_SNIPPETS = (
    (
        "(a function|python function|function|an add function|write a function|show me a function|a python "
        "function) (that adds|to add|for adding|adding|which adds) (two numbers|numbers|a and b)",
        "def add(a, b):\n    return a + b",
    ),
    (
        "(write a function|show me a function|a python function|give me a function|python function|code|show me "
        "code|python code) (that multiplies|to multiply|multiplying|which multiplies) (two numbers|numbers|a and "
        "b)",
        "def multiply(a, b):\n    return a * b",
    ),
    (
        "(show me|write|give me|how do I write|example of|what is|make|can you write) (a for loop|a loop|a "
        "python loop|a for loop in python|for loops)",
        "for number in range(10):\n    print(number)",
    ),
    (
        "(show me|write|give me|how do I write|example of|what is|make) (a while loop|a while loop in python|"
        "while loops)",
        "number = 0\nwhile number < 10:\n    print(number)\n    number += 1",
    ),
    (
        "(write|show me|give me|how do I write|make|what is) (a function|a python function|an example of a "
        "function|functions in python|a simple function|a function in python)",
        'def greet(name):\n    return f"Hello, {name}!"',
    ),
    (
        "(how do I reverse|reverse|code to reverse|python code that reverses|write code that reverses|a function "
        "that reverses|show me how to reverse|write a function that reverses|how to reverse) (a string|text|a "
        "word|strings|a string in python)",
        'text = "llama"\nprint(text[::-1])',
    ),
    (
        "(show me|write|give me|how do I make|how do I create|make|what is|example of) (a list|a list in python|"
        "a python list|python lists)",
        'animals = ["llama", "alpaca", "camel"]\nprint(animals[0])',
    ),
    (
        "(show me|write|give me|how do I make|how do I create|make|what is|example of) (a dictionary|a dict|a "
        "dictionary in python|a python dict|python dictionaries)",
        'ages = {"Ada": 36, "Alan": 41}\nprint(ages["Ada"])',
    ),
)


def snippet(rng: Random) -> Shown:
    asks, code = rng.choice(_SNIPPETS)
    ask = words.say(rng, f"({asks})")
    return words.typed(rng, ask), f"```python\n{code}\n```"


_KINDS: tuple[tuple[Callable[[Random], Shown], int], ...] = (
    (haiku, 8),
    (count, 10),
    (styled, 14),
    (repeat, 14),
    (list_, 10),
    (table, 4),
    (markdown, 4),
    (code_printing, 14),
    (snippet, 12),
)


def something(rng: Random) -> Shown:
    kinds, shares = zip(*_KINDS, strict=True)
    return rng.choices(kinds, shares)[0](rng)
