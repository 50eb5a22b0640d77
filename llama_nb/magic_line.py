"""The words of a `%llama` line: options at its beginning, the rest verbatim; and how a line reaches the magic at all.

Knows text only.
"""

from __future__ import annotations

import re
from typing import Any

from llama_nb.errors import did_you_mean

HELP = """\
**%llama** *question* asks, and **%%llama** asks with the whole cell. Options stand before the question:

| option | |
| --- | --- |
| `-m NAME` | the model, or a checkpoint folder, from now on |
| `-s "TEXT"` | the system message, from now on |
| `-t NAME` | offers a tool, from now on (see below) |
| `-c NAME` | goes to the conversation of that name, or begins it; `-c default` goes back to the first one |
| `-f FORMAT`, `--format` | `md`; `text`: plain; `code`: also into a new cell below; `json`: also as `reply.parsed` |
| `-T 0.7` | temperature; 0, the default, is greedy |
| `-n 100` | at most so many tokens |
| `--seed 1` | makes a temperature above 0 repeatable |
| `--bg` | in the background: the cell ends at once, its output grows on (see below) |
| `--raw` | `%%llama` puts nothing in for `{name}` |
| `--` | ends the options |

`%llama fix` asks about the last error. `%llama list` · `status` · `context` · `chats` · `use NAME` · `export FILE` ·
`reset` · `stop` · `unload` · `help` stand alone on their line.

**Names.** In `%%llama`, `{name}` stands for what the notebook knows by it: `{df}` describes a table; `{df.a}`,
`{xs[0]}` and `{d['key']}` look inside; `{In[3]}`, `{Out[3]}` and `{Err[3]}` are the code, the result and the error of
cell 3. What was put in is told above the answer. Other braces stay as they are, and `{{name}}` is a literal `{name}`.

**Tools.** `-t` takes the name of a function, or `brave_search`, `wolfram_alpha`, `code_interpreter` (it runs in this
notebook) or `code_interpreter:process` (in a process of its own); several as `-t a,b` or `-t a -t b`. `-t none` takes
all back. You are asked before one runs.

**Background.** `--bg` returns a reply that is still on its way: `reply.wait()` waits for it, and asks about its tools;
`%llama stop` stops it. Where a notebook is run as a whole, nothing else waits, and the saved answer may be cut short.
"""

OPTIONS = {
    "-m": "model",
    "-s": "system",
    "-t": "tools",
    "-c": "chat",
    "-f": "format",
    "--format": "format",
    "-T": "temperature",
    "-n": "max_tokens",
    "--seed": "seed",
}
FLAGS = {"--bg": "background", "--raw": "raw"}
NUMBERS: dict[str, type] = {"temperature": float, "max_tokens": int, "seed": int}
FORMATS = {"md": "md", "markdown": "md", "text": "text", "code": "code", "json": "json"}
NO_FORMATS = {
    "html": "a page that a model wrote could run scripts here. `-f text` shows its source",
    "math": "Markdown shows formulas as it is. Leave `-f` out",
    "image": "the models write text only",
}

_OPTION = re.compile(r"""\s*(--?[A-Za-z][\w-]*)(?:[ \t=]+("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\S+))?""")
# `%llama?` itself asks IPython for help, and a backslash at the end goes on in the next line.
_MAGIC_LINE = re.compile(r"(\s*)((?:[A-Za-z_]\w*\s*=\s*)?)%llama(?:[ \t](.*)|)(?<!\\)")
# Comments and complete strings, so that what is left of a `"""` is open.
_STRING = re.compile(
    r"""
      \#[^\n]*
    | (?P<quotes>"{3}|'{3}) (?:[^\\]|\\.)*? (?P=quotes)
    | (?P<open>"{3}|'{3})
    | (?P<quote>["']) (?:(?!(?P=quote))[^\\\n]|\\.)* (?P=quote)
    """,
    re.VERBOSE | re.DOTALL,
)


class WrongOption(Exception):
    """An option that cannot be meant; its text says why."""


def parse_options(text: str) -> tuple[dict[str, Any], str]:
    """The options at the beginning of `text`, and the rest, verbatim.

    >>> parse_options('-T 0.5 -t a,b -s "Be brief." --bg what\\'s {this}?')
    ({'temperature': 0.5, 'tools': ['a', 'b'], 'system': 'Be brief.', 'background': True}, "what's {this}?")

    Raises:
        WrongOption: there is no such option, or its value is none.
    """
    options: dict[str, Any] = {}
    while found := _OPTION.match(text):
        name, value, end = found[1], found[2], found.end()
        if name in FLAGS:
            options[FLAGS[name]], end = True, found.end(1)
        elif name not in OPTIONS:
            raise WrongOption(
                f"There is no option {name}. {did_you_mean(name, [*OPTIONS, *FLAGS])} "
                "A question that begins with a dash stands behind ` -- `."
            )
        elif value is None:
            raise WrongOption(f"The option {name} needs a value.")
        elif name == "-t":
            options["tools"] = options.get("tools", []) + _names(value)
        else:
            options[OPTIONS[name]] = _value(name, value)
        text = text[end:].removeprefix(" ")
    return options, re.sub(r"^\s*--(?:\s|$)", "", text)


def _value(name: str, value: str) -> Any:
    value = _unquoted(value)
    if OPTIONS[name] == "format":
        return _format(value)
    kind = NUMBERS.get(OPTIONS[name], str)
    try:
        return kind(value)
    except ValueError:
        raise WrongOption(f"The option {name} takes a number, not `{value}`.") from None


def _unquoted(value: str) -> str:
    if value[0] in "\"'" and value[-1] == value[0] and len(value) > 1:
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


def _names(value: str) -> list[str]:
    return [name for part in _unquoted(value).split(",") if (name := part.strip())]


def _format(name: str) -> str:
    if name in NO_FORMATS:
        raise WrongOption(f"The format `{name}` is not to be had: {NO_FORMATS[name]}.")
    if name not in FORMATS:
        raise WrongOption(f"There is no format `{name}`. {did_you_mean(name, FORMATS)}")
    return FORMATS[name]


def rewrite_llama_lines(lines: list[str]) -> list[str]:
    """Turns `%llama …` into a call before IPython sees it.

    IPython would take a trailing `?` for a request for help, and stumble over an open quote or bracket.
    """
    if lines and lines[0].startswith("%%"):
        return lines
    rewritten: list[str] = []
    for line in lines:
        found = _MAGIC_LINE.fullmatch(line.rstrip("\n"))
        if found and not _inside_string(rewritten):
            indent, assignment, prompt = found.groups("")
            line = f"{indent}{assignment}get_ipython().run_line_magic('llama', {prompt!r})\n"
        rewritten.append(line)
    return rewritten


def _inside_string(lines: list[str]) -> bool:
    return any(found["open"] for found in _STRING.finditer("".join(lines)))
