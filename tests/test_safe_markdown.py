"""Model text as Markdown: nothing in it is live, in any parser that may show it, and ordinary text stays what it is."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from pathlib import Path

import mistune
import pytest
from markdown_it import MarkdownIt
from nbconvert.filters.markdown_mistune import InvalidNotebook, markdown2html_mistune

from llama_nb.safe_markdown import safe_markdown
from tests.counts import full
from tests.xss_corpus import EVIL, FRAGMENTS, HOSTILE

LAB = Path(sys.prefix) / "share" / "jupyter" / "lab" / "static"
Render = Callable[[str], str]

ALLOWED_TAGS = {
    *"p br hr h1 h2 h3 h4 h5 h6 em strong del s blockquote ul ol li dl dt dd a code pre".split(),
    *"table thead tbody tr th td input div span".split(),
}
ALLOWED_ATTRIBUTES = {
    *[("a", "href"), ("a", "title"), ("a", "class"), ("ol", "start"), ("code", "class"), ("span", "class")],
    *[("th", "style"), ("td", "style"), ("th", "align"), ("td", "align"), ("li", "class"), ("div", "class")],
    *[("input", name) for name in ("type", "class", "disabled", "checked")],
    *[(f"h{level}", "id") for level in range(1, 7)],
}


def _markdown_it() -> Render:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # as lax as a parser can be
    return lambda text: str(parser.render(text))


def _mistune() -> Render:
    renderer = mistune.HTMLRenderer(escape=False, allow_harmful_protocols=True)
    plugins = ["strikethrough", "table", "url", "task_lists", "def_list", "footnotes", "math"]
    parser = mistune.create_markdown(renderer=renderer, plugins=plugins)
    return lambda text: str(parser(text))


def _nbconvert(text: str) -> str:
    try:
        return markdown2html_mistune(text)
    except InvalidNotebook as error:  # an image that is attached nowhere
        return f"<img alt={error}>"


RENDERERS: dict[str, Render] = {
    "markdown-it": _markdown_it(),
    "mistune": _mistune(),
    "nbconvert": _nbconvert,
}


def in_jupyterlab(texts: list[str]) -> list[list[str]]:
    """The HTML of each text, from each Markdown parser in the installed JupyterLab, raw HTML allowed."""
    node = shutil.which("node")
    assert node is not None, "needs Node"
    assert LAB.is_dir(), f"needs JupyterLab in {LAB}"
    script = Path(__file__).with_name("lab_markdown.cjs")
    done = subprocess.run(
        [node, str(script), str(LAB)], input=json.dumps(texts), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    result: list[list[str]] = json.loads(done.stdout)
    return result


class Live(HTMLParser):
    """Collects what is more than text in a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in ALLOWED_TAGS:
            self.found.append(f"<{tag}>")
        for name, value in attributes:
            if (tag, name) not in ALLOWED_ATTRIBUTES:
                self.found.append(f"<{tag} {name}={value!r}>")
            if name == "href" and not self._leads_where_it_may(value or "", attributes):
                self.found.append(f"href={value!r}")
            if name == "class" and "mermaid" in (value or "").lower():
                self.found.append("mermaid")

    @staticmethod
    def _leads_where_it_may(href: str, attributes: list[tuple[str, str | None]]) -> bool:
        heading = href.startswith("#") and ("class", "anchor-link") in attributes  # nbconvert's own
        return heading or href.startswith(("http://", "https://", "mailto:"))

    def handle_comment(self, data: str) -> None:
        self.found.append(f"<!--{data}")

    def handle_decl(self, decl: str) -> None:
        self.found.append(f"<!{decl}")

    def unknown_decl(self, data: str) -> None:
        self.found.append(f"<![{data}")

    def handle_pi(self, data: str) -> None:
        self.found.append(f"<?{data}")


MACRO = re.compile(r"\\(?:href|style|class|cssId|require|url|htmlData|includegraphics|def|csname|let)(?![A-Za-z])")


class Typeset(HTMLParser):
    """Collects the text that MathJax may read: all outside of code."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.depth += tag in ("code", "pre")
        self.text += "\0"

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag in ("code", "pre")

    def handle_data(self, data: str) -> None:
        self.text += "" if self.depth else data


def live_in(html: str) -> list[str]:
    parser = Live()
    parser.feed(html)
    parser.close()
    reader = Typeset()
    reader.feed(html)
    reader.close()
    return parser.found + MACRO.findall(reader.text)


def complaints(texts: Iterable[str], write: Callable[[str], str] = safe_markdown) -> list[str]:
    """What is live of `texts`, and in which parser."""
    found: list[str] = []
    texts = list(texts)
    for text in texts:
        safe = write(text)
        for name, render in RENDERERS.items():
            if live := live_in(render(safe)):
                found.append(f"{name}: {live} of {text!r}, written as {safe!r}")
    return found


def complaints_of_jupyterlab(texts: list[str], write: Callable[[str], str] = safe_markdown) -> list[str]:
    safe = [write(text) for text in texts]
    return [
        f"JupyterLab {number}: {live} of {text!r}, written as {written!r}"
        for text, written, pages in zip(texts, safe, in_jupyterlab(safe), strict=True)
        for number, page in enumerate(pages)
        if (live := live_in(page))
    ]


def mutations(count: int) -> list[str]:
    """Hostile texts in pieces, glued anew with what parsers stumble over."""
    chance = random.Random(20241004)
    return [_mutation(chance) for _ in range(count)]


def _mutation(chance: random.Random) -> str:
    parts: list[str] = []
    for _ in range(chance.randint(1, 4)):
        kind = chance.random()
        if kind < 0.5:
            parts.append(chance.choice(HOSTILE))
        elif kind < 0.7:
            text = chance.choice(HOSTILE)
            parts.append(text[: chance.randrange(len(text))])
        else:
            parts.append("".join(chance.choice([*FRAGMENTS, EVIL]) for _ in range(chance.randint(1, 12))))
        parts.append(chance.choice(["", "\n", "\n\n", " ", *FRAGMENTS]))
    text = "".join(parts)
    for _ in range(chance.randint(0, 3)):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(["", *FRAGMENTS]) + text[at + chance.randint(0, 2) :]
    return text


# --- Nothing is live --------------------------------------------------------------------------------------------------


def test_the_corpus_is_large() -> None:
    assert len(HOSTILE) >= 100
    assert len(set(HOSTILE)) == len(HOSTILE)


def test_nothing_hostile_is_live_in_python_parsers() -> None:
    assert complaints(HOSTILE) == []


def test_nothing_hostile_is_live_in_jupyterlab() -> None:
    assert complaints_of_jupyterlab(HOSTILE) == []


def test_untreated_the_same_corpus_is_live_everywhere() -> None:
    """The negative control: a renderer or a check that sees nothing would prove nothing."""

    def unchanged(text: str) -> str:
        return text

    found = complaints(HOSTILE, unchanged)
    for name in RENDERERS:
        assert sum(complaint.startswith(name) for complaint in found) > len(HOSTILE) / 2, name
    assert len(complaints_of_jupyterlab(HOSTILE, unchanged)) > len(HOSTILE) / 2


def test_no_mutation_is_live_in_python_parsers() -> None:
    assert complaints(mutations(full(2_000, 100_000)))[:5] == []


def test_no_mutation_is_live_in_jupyterlab() -> None:
    assert complaints_of_jupyterlab(mutations(full(10_000, 100_000)))[:5] == []


def test_what_stands_before_and_behind_stays_apart() -> None:
    """The panel's mirror joins many answers: none may reach into the next."""
    chance = random.Random(7)
    pages = ["\n\n".join(safe_markdown(text) for text in chance.sample(HOSTILE, 6)) for _ in range(full(300, 5_000))]
    assert complaints(pages, str) == []
    assert complaints_of_jupyterlab(pages, str) == []


def test_no_beginning_of_a_streamed_answer_is_live() -> None:
    texts = [text[:end] for text in HOSTILE[:: full(6, 1)] for end in range(1, len(text))]
    assert complaints_of_jupyterlab(texts) == []


# --- Ordinary text stays what it is -----------------------------------------------------------------------------------

ORDINARY = """\
# Heading

Some **bold**, *italic*, ~~struck~~ and `code`, with [a link](https://jupyter.org/a?b=1&c=2).

- one
- two
  1. nested

> a quote

| a | b |
| --- | :-: |
| 1 | 2 |

```python
if a < b and "`" != '$':  # [x](y) & \\href
    print(f"<b>{a}</b>")

	tab = r"\\begin{x}"
```

The end: 3 > 2, a_b_c, 5 * 4 * 3, AT&T."""


def test_ordinary_text_is_not_touched() -> None:
    assert safe_markdown(ORDINARY) == ORDINARY


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a < b && c > d", "<p>a &lt; b &amp;&amp; c &gt; d</p>"),
        ("<b>bold?</b>", "<p>&lt;b&gt;bold?&lt;/b&gt;</p>"),
        ("List<int> and Vec<T>", "<p>List&lt;int&gt; and Vec&lt;T&gt;</p>"),
        ("use `a < b` here", "<p>use <code>a &lt; b</code> here</p>"),
        ("use ``a ` b`` here", "<p>use <code>a ` b</code> here</p>"),
        ("the tag `<br>` and `x[i](y)` and `C:\\new`", None),
        ("`$HOME` and `a!`", "<p>the <code>$HOME</code> and <code>a!</code></p>".replace("the ", "")),
        ("[docs](https://a.example/x) and https://b.example.", None),
        ("write to [me](mailto:a@b.example)", '<p>write to <a href="mailto:a@b.example">me</a></p>'),
        ("see <https://a.example/x>", None),
        ("\\*not italic\\*", "<p>*not italic*</p>"),
        ("5 &lt; 6 &amp; &copy;", "<p>5 &lt; 6 &amp; ©</p>"),
        ("Wow![1] and wow!", "<p>Wow![1] and wow!</p>"),
        ("costs $5 and $6", "<p>costs $5 and $6</p>"),
        ("a[i](x) and {x}: [y]: z", "<p>a[i](x) and {x}: [y]: z</p>"),
        ("[0, 1) and\n[x] or [", "<p>[0, 1) and\n[x] or [</p>"),
        ("ünïcödé 日本語 🦙 \u200d", "<p>ünïcödé 日本語 🦙 \u200d</p>"),
    ],
)
def test_text_reads_as_it_was_written(text: str, shown: str | None) -> None:
    html = RENDERERS["markdown-it"](safe_markdown(text)).strip()
    if shown is not None:
        assert html == shown
    else:
        assert "&amp;#" not in html
        assert "&#" not in html


def code_blocks(markdown: str) -> list[tuple[str, str]]:
    """Language and content of each block of code, as CommonMark reads them."""
    return [(token.info, token.content) for token in MarkdownIt().parse(markdown) if token.type == "fence"]


@pytest.mark.parametrize(
    ("text", "language", "code"),
    [
        ("```python\nx < 1\n```", "python", "x < 1\n"),
        ("``` c++\nx<1>\n```", "c++", "x<1>\n"),
        ("~~~sh\necho $$ `date`\n~~~", "sh", "echo $$ `date`\n"),
        ("```html\n<b onclick=x>\n```", "html", "<b onclick=x>\n"),
        ("```python title='a.py' {1,3}\nx\n```", "python", "x\n"),
        ("```{r}\nx\n```", "", "x\n"),
        ("```makefile\nall:\n\techo\n```", "makefile", "all:\n\techo\n"),
        ("```python\nx", "python", "x\n"),
        ("1. first\n\n   ```python\n   if x:\n       y\n   ```\n2. second", "python", "if x:\n    y\n"),
        ("- ```sh\n  pip install x\n  ```\n- next", "sh", "pip install x\n"),
        ("````md\n```python\nx\n```\n````", "md", "```python\nx\n```\n"),
        ("```\na\n\n\nb\n```", "", "a\n\n\nb\n"),
        ("```latex\n\\begin{a}\n$$ x $$\n\\end{a}\n```", "latex", "\\begin{a}\n$$ x $$\n\\end{a}\n"),
        ("```mermaid\ngraph TD\n```", "text", "graph TD\n"),
    ],
)
def test_code_keeps_its_language_and_every_character(text: str, language: str, code: str) -> None:
    assert code_blocks(safe_markdown(text)) == [(language, code)]


def test_the_text_behind_a_code_block_is_text_again() -> None:
    for text in (
        "```python title='x'\ncode\n```\n**after**",
        "- ```\n  code\n  ```\n**after**",
        "\t```\n\tcode\n\t```\n**after**",
        "```\ncode\n```\n**after**",
        "```inline``` and\n**after**",
    ):
        assert "<strong>after</strong>" in RENDERERS["markdown-it"](safe_markdown(text)), text


@pytest.mark.parametrize(
    ("text", "math"),
    [
        ("so $a < b$ holds", r"so $a \lt  b$ holds"),
        ("$$\n\\frac{a}{b} % half\n< c\n$$", r"$$ \frac{a}{b} \lt  c $$"),
        ("\\(x^2\\) and \\[ y_1 \\]", "$x^2$ and $$y_1$$"),
        ("\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}", r"\begin{align} a &= b \\ c &= d \end{align}"),
        ("$f'(x) = \\{y \\mid y \\in \\mathbb{R}\\}$", "$f'(x) = \\{y \\mid y \\in \\mathbb{R}\\}$"),
        (
            "$$\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}$$",
            "$$\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}$$",
        ),
    ],
)
def test_math_stays_math(text: str, math: str) -> None:
    assert " ".join(safe_markdown(text).split()) == " ".join(math.split())


def test_math_reaches_jupyterlab_without_entities() -> None:
    assert in_jupyterlab([safe_markdown("$a < b$ and $$x & y$$")])[0][0].strip() == (
        r"<p>$a \lt  b$ and $$x &amp; y$$</p>"
    )


def test_what_is_safe_is_safe_twice() -> None:
    assert complaints(HOSTILE, lambda text: safe_markdown(safe_markdown(text))) == []


@pytest.mark.parametrize(
    "piece",
    [
        *[
            "`",
            "` `` ",
            "`a``",
            "$",
            "$$",
            "$a ",
            "$a\\[",
            "\\(",
            "\\[",
            "\\begin{a}",
            "\\begin{a} \\end{b} ",
            "[",
            "](",
        ],
        *[
            "![",
            "<",
            "<https://",
            "&",
            "&#1",
            "~~~",
            "~~~\n",
            "```\n",
            "\\",
            "- ",
            "> ",
            "\n",
            "\u2028",
            "$\\begin{a}b$",
        ],
    ],
)
def test_a_long_answer_of_one_piece_takes_no_longer_than_its_length_allows(piece: str) -> None:
    """Four times the text: linear is 4 times as long, quadratic 16."""

    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        times = []
        for _ in range(3):
            start = time.thread_time()
            safe_markdown(text)
            times.append(time.thread_time() - start)
        return min(times)

    assert seconds(20_000) < 9 * seconds(5_000) + 0.03
