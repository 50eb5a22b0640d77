"""Text that a model wrote → Markdown that is safe wherever a notebook is shown.

JupyterLab runs scripts that stand in Markdown outputs, loads remote images (an address can carry secrets out), and
MathJax has macros for links and styles. Here every `<` outside of code becomes an entity, images become links, links
lead only to http(s) and mailto, and those macros lose their meaning. Knows text only: where Markdown parsers might
disagree about what is code, it takes the side that is safe for all of them.
"""

from __future__ import annotations

import re

_FENCE = re.compile(r"( *)(`{3,}|~{3,})[ ]?([\w+#.-]*)\s*")
_FENCE_LIKE = re.compile(r"`{3,}|~{3,}")
_CODE_SPAN = re.compile(r"(?<![`\\])(`)(?!`)([^`]+)`(?!`)")
_LINK_TARGET = re.compile(r"\](\(|:)(?!\s?(?:https?://|mailto:)[^\s<>\"']+)")
_LIVE_MACROS = re.compile(r"\\(?=(?:href|style|class|cssId|require|unicode|data|mmlToken|includegraphics|bbox|html)\b)")
# Languages that a notebook draws instead of showing.
_DRAWN = {"mermaid", "math", "svg", "html", "vega", "geojson", "topojson", "stl"}
_ENTITIES = {character: f"&#{ord(character)};" for character in "<>&*_[]()!\\`#~|$:"}


def safe_markdown(text: str) -> str:
    """`text` as Markdown in which nothing is live but links that a reader clicks.

    >>> safe_markdown("<b>hi</b> ![x](http://e.org/?q=1) [y](javascript:a)")
    '&lt;b>hi&lt;/b> &#33;[x](http://e.org/?q=1) [y]&#40;javascript:a)'
    """
    lines: list[str] = []
    fence, indent = "", 0
    for line in _plain_newlines(text).split("\n"):
        mark = _FENCE.fullmatch(line)
        if not fence and mark:
            fence, indent = mark[2], len(mark[1])
            # At the margin, behind an empty line, with a plain word: so read, all parsers agree that it is a fence.
            lines += [*([""] if lines and lines[-1] else []), fence + ("text" if mark[3] in _DRAWN else mark[3])]
        elif fence and mark and not mark[3] and mark[2].startswith(fence):
            lines.append(fence)
            fence = ""
        elif fence:
            lines.append(_code_line(line, indent))
        else:
            lines.append(_safe_line(line))
    return "\n".join([*lines, fence] if fence else lines)


def _code_line(line: str, indent: int) -> str:
    """Without the fence's own indent, and with nothing that some parser takes for its end."""
    code = line[min(indent, len(line) - len(line.lstrip(" "))) :]
    return "\u200b" + code if _FENCE_LIKE.match(code.lstrip()) else code


def _plain_newlines(text: str) -> str:
    return re.sub(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]", "\n", text).replace("\0", "\ufffd")


def _safe_line(line: str) -> str:
    parts: list[str] = []
    end = 0
    for span in _CODE_SPAN.finditer(line):
        parts += [_safe_prose(line[end : span.start()]), _safe_code(span[2], span[0])]
        end = span.end()
    return "".join(parts) + _safe_prose(line[end:])


def _safe_prose(text: str) -> str:
    text = text.replace("<", "&lt;").replace("![", "&#33;[")
    text = _FENCE_LIKE.sub(lambda run: "".join(_ENTITIES[character] for character in run[0]), text)
    text = _LINK_TARGET.sub(lambda link: "]" + _ENTITIES[link[1]], text)
    return _LIVE_MACROS.sub("\\\\\u200b", text)


def _safe_code(code: str, span: str) -> str:
    """Harmless code stays as it is; other code is written without a character that Markdown knows."""
    if not re.search(r"[<!\\$]|\]\(|\]:", code):
        return span
    return "<code>" + "".join(_ENTITIES.get(character, character) for character in code) + "</code>"
