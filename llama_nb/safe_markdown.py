r"""Text that a model wrote → Markdown that is safe wherever a notebook is shown.

JupyterLab runs scripts that stand in Markdown outputs, loads remote images (an address can carry secrets out), and
MathJax has macros for links and styles. Here every `<` outside of code becomes an entity, images become links, links
lead only to http(s) and mailto, and those macros lose their meaning. Knows text only.

Parsers disagree about what is code and what is math: nbconvert lets `$$` reach into a block of code, JupyterLab lets
`\begin` reach out of one. So each block of code is written anew, in the one way that all read alike; math is kept only
where it is complete, and on one line; definitions of links, which can reach as far, are text; and the rest is harmless
whether it is taken for code or not.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_FENCE = re.compile(r"([ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)(`{3,}+|~{3,}+)(.*)")
# Languages that a notebook draws instead of showing.
_DRAWN = re.compile(r".*mermaid.*|math|svg|vega.*|geojson|topojson|stl", re.IGNORECASE)

# What stands in a paragraph besides words. A run of backticks is taken whole, and math never holds `$` or a backtick.
_TOKEN = re.compile(
    r"""
      (?<!`)(?P<ticks>`++) (?P<code>(?:[^`\n]|(?!(?P=ticks)(?!`))`++)++) (?P=ticks)(?!`)
    | (?<!\$)\$\$ (?P<display>(?:(?!\n\s*\n|~~~)[^$`])+) (?<!\\)\$\$(?!\$)
    | (?<!\$)\\\[ (?P<bracketed>(?:(?!\n\s*\n|~~~|\\[][])[^$`])+) (?<!\\)\\\](?![\\$])
    | (?<!\$)\$ (?P<inline>(?=\S)(?:(?!~~~)[^$`\n])+(?<=\S)) (?<!\\)\$(?![\d$])
    | (?<!\$)\\\( (?P<parenthesized>(?:(?!~~~|\\[()])[^$`\n])+) (?<!\\)\\\)(?![\\$])
    | (?P<environment>\\begin\{(?P<name>[a-z]+\*?)\} (?:(?!\n\s*\n|~~~|\\begin\b)[^$`])*? \\end\{(?P=name)\})
    | \\(?P<escaped>[!-/:-@\[-`{-~])
    | <(?P<address>https?://[^\s<>"'`$\\()[\]*_]+)>
    | (?P<special>`{3,} | ~{3,} | \$+ | < | !(?=\[) | \\(?=begin\b))
    """,
    re.VERBOSE,
)
_OPEN_ENVIRONMENT = re.compile(r"\\(?=begin(?!\{([a-z]+\*?)\}(?:(?!\\begin).)*\\end\{\1\}))")
_ENTITY = re.compile(r"&(?:#\d+|#[xX][\da-fA-F]+|\w+);?")
_LINK_TARGET = re.compile(r"\]\((?!\s?(?:https?://|mailto:)[^\s<>\"']+)")
# What may begin the label of a definition, which for some parsers can go on through all that follows: no bracket comes
# next in its line, or only behind math, which JupyterLab takes out before it looks.
_OPEN_LABEL = re.compile(r"^([ \t>*+-]*(?:\d+[.)][ \t>*+-]*)*)\[(?![^\[\]$\\\n]*[\[\]])", re.MULTILINE)
_OTHER_ADDRESS = re.compile(r"(?<!http)(?<!https):(?=//)", re.IGNORECASE)  # ftp: becomes a link as it stands
_LIVE_MACRO = re.compile(
    r"(\\|&\#92;)(?=(?:href|url|style|class|cssId|html\w*|data|unicode|require|mmlToken|includegraphics|bbox|csname"
    r"|[egx]?def|let|(?:re)?newcommand|(?:re)?newenvironment)(?=https?:|[^A-Za-z]|$))"
)
_NOT_PLAIN_CODE = re.compile(r"[<!\\$&`]|\]\(|\]:")
_ANY_SPECIAL = re.compile(r"[<>&*_[\]()!\\`#~|$:]")
_NOTHING = "\u200b"  # a space without width


def safe_markdown(text: str) -> str:
    """`text` as Markdown in which nothing is live but links that a reader clicks.

    >>> safe_markdown("<b>hi</b> ![x](http://e.org/?q=1) [y](javascript:a)")
    '&lt;b>hi&lt;/b> &#33;[x](http://e.org/?q=1) [y]&#40;javascript:a)'
    """
    blocks: list[str] = []
    prose: list[str] = []
    lines = iter(_plain_newlines(text).split("\n"))
    for line in lines:
        mark = _FENCE.fullmatch(line)
        if mark and not ("`" in mark[2] and "`" in mark[3]):
            prose.append(mark[1].rstrip())  # the bullet of an item that begins with code
            blocks += [_safe_prose("\n".join(prose)), _code_block(mark, lines)]
            prose = []
        else:
            prose.append(line)
    blocks.append(_safe_prose("\n".join(prose)))
    # Between empty lines every parser takes a fence for one, and no math reaches across.
    return "\n\n".join(block.strip("\n") for block in blocks if block.strip())


def _plain_newlines(text: str) -> str:
    return re.sub(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]", "\n", text).replace("\0", "\ufffd")


def _code_block(mark: re.Match[str], lines: Iterator[str]) -> str:
    """Takes the lines of a block of code up to its end, and writes it at the margin with a fence of its own."""
    indent, fence, info = len(mark[1].expandtabs(4)), mark[2], mark[3].split()
    end = re.compile(rf" {{0,{indent + 3}}}{fence}{fence[0]}*\s*")
    code: list[str] = []
    for line in lines:
        if end.fullmatch(line.expandtabs(4)):
            break
        code.append(_without_indent(line, indent))
    language = re.sub(r"[^\w+#.-].*", "", info[0]) if info else ""
    ticks = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", "\n".join(code)))]))
    return "\n".join([ticks + ("text" if _DRAWN.fullmatch(language) else language), *code, ticks])


def _without_indent(line: str, indent: int) -> str:
    code = line.lstrip(" \t")
    return line[: len(line) - len(code)].expandtabs(4)[indent:] + code if indent else line


def _safe_prose(text: str) -> str:
    parts: list[str] = []
    end = 0
    for token in _TOKEN.finditer(text):
        parts += [_safe_words(text[end : token.start()]), _safe_token(token)]
        end = token.end()
    prose = "".join(parts) + _safe_words(text[end:])
    return _OPEN_LABEL.sub(rf"\1{_entity('[')}", prose)


def _safe_token(token: re.Match[str]) -> str:
    kind = str(token.lastgroup)
    content = token[kind]
    match kind:
        case "code":
            return _safe_code(content)
        case "display" | "bracketed":
            return f"$${_safe_math(content)}$$"
        case "inline" | "parenthesized":
            # Without what nbconvert would seek the end of, in all that follows.
            tex = _OPEN_ENVIRONMENT.sub("\\\\" + _NOTHING, _safe_math(content)).replace(r"\\[", r"\\ [")
            return f"${tex}$"
        case "environment":
            return _safe_math(content)
        case "escaped":  # `\\` is kept from becoming the beginning of a macro
            return _entity(content) + (_NOTHING if content == "\\" else "")
        case "address":
            return _safe_words(content)
    return {"<": "&lt;", "\\": "\\" + _NOTHING}.get(content) or "".join(map(_entity, content))


def _safe_words(text: str) -> str:
    text = _ENTITY.sub(_plain_entity, text)
    text = _LINK_TARGET.sub("]" + _entity("("), text).replace("]:", "]" + _entity(":"))
    text = _OTHER_ADDRESS.sub(_entity(":"), text)
    return _LIVE_MACRO.sub(rf"\1{_NOTHING}", text)


def _safe_math(tex: str) -> str:
    """On one line, so that no list or heading can part it; and harmless where it is not taken for math.

    Without `"`: JupyterLab puts math back as it was, even into the address of a link.
    """
    tex = " ".join(re.sub(r"(?<!\\)%.*", "", line).strip() for line in tex.split("\n"))
    tex = _LIVE_MACRO.sub(rf"\1{_NOTHING}", _ENTITY.sub(_plain_entity, tex)).replace("<", r"\lt ").replace('"', "''")
    tex = re.sub(r"(?<=!)(?=\[)|(?<=\])(?=[(:])", " ", tex)
    return tex + " " if not tex or tex.endswith("\\") else tex  # which would hide the delimiter behind it


def _safe_code(code: str) -> str:
    """Harmless code stays as it is; other code is written without a character that Markdown knows."""
    if not _NOT_PLAIN_CODE.search(code):
        return f"`{code}`"
    return f"<code>{_ANY_SPECIAL.sub(lambda special: _entity(special[0]), code.strip(' '))}</code>"


def _plain_entity(entity: re.Match[str]) -> str:
    """Letters as themselves and a backslash in one spelling, so that no macro is spelled in entities."""
    character = html.unescape(entity[0])
    return "&#92;" if character == "\\" else character if character.isalnum() else entity[0]


def _entity(character: str) -> str:
    return f"&#{ord(character)};"
