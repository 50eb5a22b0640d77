r"""Text that a model wrote → Markdown that is safe wherever a notebook is shown.

JupyterLab runs scripts that stand in Markdown outputs, loads remote images (an address can carry secrets out), and
MathJax has macros for links and styles. Here every `<` outside of code becomes an entity, images become links, links
lead only to http(s) and mailto, and those macros lose their meaning. Knows text only.

Markdown parsers disagree about what is code and what is math (nbconvert lets `$$` reach into a code block, JupyterLab
lets `\begin` reach out of one). So blocks of code are written anew, in the one way that all read alike, delimiters of
math are kept only in pairs within a paragraph, and what is left is harmless whether it is taken for code or not.
"""

from __future__ import annotations

import html
import re

_FENCE = re.compile(r"([ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)(`{3,}|~{3,})(.*)")
# Languages that a notebook draws instead of showing.
_DRAWN = re.compile(r"mermaid.*|math|svg|vega.*|geojson|topojson|stl", re.IGNORECASE)

_TOKEN = re.compile(
    r"""
      (?P<ticks>`+) (?P<code>(?:[^`\n]|(?!(?P=ticks)(?!`))`+)+) (?P=ticks)(?!`)
    | (?<!\$)\$\$ (?P<display>(?:(?!\n\s*\n|~~~)[^$`])+) \$\$(?!\$)
    | \\\[ (?P<bracketed>(?:(?!\n\s*\n|~~~|\\[][])[^$`])+) \\\]
    | (?<!\$)\$ (?P<inline>(?=\S)(?:(?!~~~)[^$`\n])+(?<=\S)) \$(?![\d$])
    | \\\( (?P<parenthesized>(?:(?!~~~|\\[()])[^$`\n])+) \\\)
    | (?P<environment>\\begin\{([a-z]+\*?)\} (?:(?!\n\s*\n|~~~|\\begin\b)[^$`])* \\end\{\7\})
    | \\(?P<escaped>[!-/:-@\[-`{-~])
    | <(?P<address>https?://[^\s<>]+)>
    | (?P<special>``` `* | ~~~ ~* | [<$] | !(?=\[) | \\(?=begin\b))
    """,
    re.VERBOSE,
)
_ENTITY = re.compile(r"&(?:#\d+|#[xX][\da-fA-F]+|\w+);?")
_LINK_TARGET = re.compile(r"\](\(|:)(?!\s?(?:https?://|mailto:)[^\s<>\"']+)")
_LIVE_MACROS = re.compile(
    r"(\\|&\#92;)(?=(?:href|url|style|class|cssId|html\w*|data|unicode|require|mmlToken|includegraphics|bbox|csname"
    r"|[egx]?def|let|(?:re)?newcommand|(?:re)?newenvironment)(?![A-Za-z]))"
)
_SPECIAL = re.compile(r"[<>&*_[\]()!\\`#~|$:]")


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
        if mark and not (mark[2][0] == "`" and "`" in mark[3]):
            prose.append(mark[1].rstrip())
            blocks += [_safe_prose("\n".join(prose)), _code_block(mark, lines)]
            prose = []
        else:
            prose.append(line)
    blocks.append(_safe_prose("\n".join(prose)))
    # Behind and before an empty line all parsers agree that a fence is one, and no math reaches in or out.
    return "\n\n".join(block.strip("\n") for block in blocks if block.strip())


def _plain_newlines(text: str) -> str:
    return re.sub(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]", "\n", text).replace("\0", "\ufffd")


def _code_block(mark: re.Match[str], lines: Iterator[str]) -> str:
    """Takes the lines of a fenced block up to its end, and writes it at the margin with a fence of its own."""
    fence, indent = mark[2], len(mark[1].expandtabs(4))
    end = re.compile(rf" {{0,{indent + 3}}}{fence}{fence[0]}*\s*")
    code: list[str] = []
    for line in lines:
        if end.fullmatch(line.expandtabs(4)):
            break
        code.append(_without_indent(line, indent))
    language = re.match(r"[\w+#.-]*", mark[3].strip())[0]
    ticks = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", "\n".join(code)))]))
    return "\n".join([ticks + ("text" if _DRAWN.fullmatch(language) else language), *code, ticks])


def _without_indent(line: str, indent: int) -> str:
    code = line.lstrip(" \t")
    blank = line[: len(line) - len(code)]
    return blank.expandtabs(4)[indent:] + code if indent else line


def _safe_prose(text: str) -> str:
    text = _TOKEN.sub(_safe_token, text)
    text = _ENTITY.sub(_plain_entity, text)
    text = _LINK_TARGET.sub(lambda link: "]" + _entity(link[1]), text)
    return _LIVE_MACROS.sub("\\1\u200b", text)


def _safe_token(token: re.Match[str]) -> str:
    kind = token.lastgroup
    return token[0]
