"""A vocabulary gives exactly Llama 3's token ids, from either kind of file, or is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from llama_models.llama3.tokenizer import Tokenizer

from llama_nb.errors import CheckpointError
from llama_nb.prompt_format.tokenizer import load_tokenizer
from tests.engine import tiny

BASE = 288  # the tokens of the tiny vocabulary, without control tokens
TEXTS = [
    "",
    " ",
    "Hello, world!",
    "  leading and trailing  ",
    "it's we'LL they'Re I'd",
    "1234567 3.14159 1,000,000 ²³ ½ ٣٤",
    "def f(x):\n\treturn x ** 2\n\n\n# end\r\n",
    "naïve café déjà vu Ünïcödé",
    "日本語のテキストと中文和한국어",
    "привет мир שלום مرحبا नमस्ते",
    "👩‍👩‍👧‍👦🏳️‍🌈 emoji 👍🏽",
    "zero​width\u00a0space\u3000wide",
    "\x00\x01\x7f control\u0085",
    "<|eot_id|><|begin_of_text|> spelled out <|python_tag|>",
    "antidisestablishmentarianism supercalifragilisticexpialidocious",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "http://example.com/?q=a%20b&c=d#e",
    '{"key": [1, 2, {"nested": null}]}',
    "\ud7ff\ue000\U0010ffff",
    "...!!!???---===  \n \n  \n",
    "İstanbul ſ K Å ﬁ",
]


# No characters that Unicode took in lately: `regex` may know them as letters, and tiktoken not yet.
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cn")), max_size=60)


@pytest.fixture(scope="module")
def real() -> Tokenizer:
    return Tokenizer(tiny.llama3_tokenizer_path())


@pytest.fixture(scope="module")
def real_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Llama 3's vocabulary as a Hugging Face `tokenizer.json`."""
    folder = tmp_path_factory.mktemp("real")
    tiny.write_tokenizer_json(folder, "llama3")
    return folder


@pytest.fixture(scope="module")
def converted(real_json: Path) -> Tokenizer:
    return load_tokenizer(real_json)


@pytest.fixture(scope="module")
def reading(real_json: Path) -> HuggingFaceReading:
    return HuggingFaceReading(real_json / "tokenizer.json")


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, bos=False, eos=False)


class HuggingFaceReading:
    """How Hugging Face's `tokenizers` reads the file: merges by their place in the list, in plain Python."""

    def __init__(self, path: Path) -> None:
        content = json.loads(path.read_text("utf-8"))
        split, _ = content["pre_tokenizer"]["pretokenizers"]
        self.pattern = regex.compile(split["pattern"]["Regex"])
        self.vocabulary = content["model"]["vocab"]
        self.order = {tuple(merge.split(" ")): place for place, merge in enumerate(content["model"]["merges"])}
        self.letters = tiny.byte_letters()

    def ids(self, text: str) -> list[int]:
        return [token for word in self.pattern.findall(text) for token in self.word(word)]

    def word(self, word: str) -> list[int]:
        letters = "".join(self.letters[byte] for byte in word.encode())
        if letters in self.vocabulary:  # `ignore_merges`
            return [self.vocabulary[letters]]
        pieces = list(letters)
        while True:
            known = [(self.order[pair], at) for at, pair in enumerate(pairwise(pieces)) if pair in self.order]
            if not known:
                return [self.vocabulary[piece] for piece in pieces]
            _, at = min(known)
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]


class TestLlama3:
    def test_the_merges_are_as_many_as_in_metas_file(self, real_json: Path) -> None:
        """280,147 is what llama.cpp prints for every Llama 3: our `tokenizer.json` is made as the real one is."""
        assert len(json.loads((real_json / "tokenizer.json").read_text("utf-8"))["model"]["merges"]) == 280_147

    def test_a_converted_vocabulary_is_the_same(self, real: Tokenizer, converted: Tokenizer) -> None:
        assert converted.model._mergeable_ranks == real.model._mergeable_ranks
        assert converted.special_tokens == real.special_tokens
        assert converted.n_words == real.n_words == 128_256
        assert converted.stop_tokens == real.stop_tokens

    @pytest.mark.parametrize("text", TEXTS)
    def test_a_converted_vocabulary_gives_the_same_ids(
        self, real: Tokenizer, converted: Tokenizer, reading: HuggingFaceReading, text: str
    ) -> None:
        assert ids(converted, text) == ids(real, text) == reading.ids(text)
        assert converted.decode(ids(converted, text)) == text

    @given(text=ANY_TEXT)
    def test_any_text_gives_the_same_ids(
        self, real: Tokenizer, converted: Tokenizer, reading: HuggingFaceReading, text: str
    ) -> None:
        assert ids(converted, text) == ids(real, text) == reading.ids(text)

    @given(words=st.lists(st.integers(0, 127_999), max_size=12))
    def test_text_of_real_tokens_gives_the_same_ids(
        self, real: Tokenizer, converted: Tokenizer, reading: HuggingFaceReading, words: list[int]
    ) -> None:
        text = real.decode(words).replace("\ufffd", "")
        assert ids(converted, text) == ids(real, text) == reading.ids(text)

    def test_tokenizer_model_itself(self, tmp_path: Path, real: Tokenizer) -> None:
        tiny.write_tokenizer_model(tmp_path, "llama3")
        assert load_tokenizer(tmp_path).model._mergeable_ranks == real.model._mergeable_ranks

    def test_the_names_of_llama_3_0_and_of_later_ones(self, tmp_path: Path) -> None:
        """3.0 has reserved tokens where 3.1 has <|eom_id|>, <|python_tag|> and the pad; reserved numbers shift."""
        tiny.write_tokenizer_json(tmp_path)
        assert load_tokenizer(tmp_path).special_tokens["<|eom_id|>"] == BASE + 8
        edit(tmp_path, rename_control_tokens("<|eom_id|>", "<|python_tag|>", "<|finetune_right_pad_id|>"))
        assert load_tokenizer(tmp_path).special_tokens["<|eom_id|>"] == BASE + 8

    def test_merges_as_pairs(self, tmp_path: Path) -> None:
        """transformers 5 writes merges as lists of two."""
        tiny.write_tokenizer_json(tmp_path)
        before = load_tokenizer(tmp_path).model._mergeable_ranks
        edit(tmp_path, lambda file: file["model"].update(merges=[m.split(" ") for m in file["model"]["merges"]]))
        assert load_tokenizer(tmp_path).model._mergeable_ranks == before

    def test_control_tokens_in_the_vocabulary_too(self, tmp_path: Path) -> None:
        tiny.write_tokenizer_json(tmp_path)
        before = load_tokenizer(tmp_path).model._mergeable_ranks
        edit(tmp_path, lambda file: file["model"]["vocab"].update({"<|eot_id|>": BASE + 9}))
        assert load_tokenizer(tmp_path).model._mergeable_ranks == before


@pytest.fixture(scope="module")
def tiny_vocabularies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Tokenizer, HuggingFaceReading]:
    """One vocabulary: from tiktoken's file, from Hugging Face's, and as Hugging Face reads that."""
    tiktoken, hugging_face = tmp_path_factory.mktemp("tiktoken"), tmp_path_factory.mktemp("json")
    tiny.write_tokenizer_model(tiktoken)
    tiny.write_tokenizer_json(hugging_face)
    return (
        load_tokenizer(tiktoken),
        load_tokenizer(hugging_face),
        HuggingFaceReading(hugging_face / "tokenizer.json"),
    )


@given(text=ANY_TEXT | st.text(alphabet="aeinrst ", max_size=40))
def test_a_tiny_vocabulary_gives_the_same_ids_from_both_files(
    tiny_vocabularies: tuple[Tokenizer, Tokenizer, HuggingFaceReading], text: str
) -> None:
    one, other, reading = tiny_vocabularies
    assert ids(one, text) == ids(other, text) == reading.ids(text)


def test_metas_file_goes_before_hugging_faces(tmp_path: Path) -> None:
    tiny.write_tokenizer_json(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"junk\n")
    assert "tokenizer.model" in refusal(tmp_path)


def test_the_folder_original_is_looked_into(tmp_path: Path) -> None:
    tiny.write_tokenizer_model(tmp_path / "original")
    assert load_tokenizer(tmp_path).n_words == BASE + 256


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_tokenizer(folder)
    line = str(caught.value)
    assert "\n" not in line
    assert str(folder) in line
    return line


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def rename_control_tokens(*names: str, to: str = "<|reserved_special_token_9{}|>") -> Callable[[dict[str, Any]], None]:
    def change(file: dict[str, Any]) -> None:
        for number, token in enumerate(token for token in file["added_tokens"] if token["content"] in names):
            token["content"] = to.format(number)

    return change


class TestRefusals:
    def test_nothing_there(self, tmp_path: Path) -> None:
        assert "no `tokenizer.model` and no `tokenizer.json`" in refusal(tmp_path)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "0 tokens"),
            (b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02\n\x0c\n\x03<s>" * 20, "SentencePiece"),
            (b"IQ== 0\nIg==\n", "line 2 should be a token in base64 and its rank"),
            (b"IQ== 0\nIg== one\n", "line 2"),
            (b"IQ== 0\nI!!g== 1\n", "line 2"),
            (b"IQ== 0\nIg== 2\n", "ranks 0 to 1"),
            (b"IQ== 0\nIg== 0\n", "ranks 0 to 1"),
            (b"IQ== 0\nIQ== 1\n", "ranks 0 to 1"),
            (b"IQ== 0\nIg== 1\n", "254 of the 256 single bytes are missing"),
            (b"version https://git-lfs.github.com/spec/v1\n", "line 1"),
        ],
        ids=str,
    )
    def test_files_that_are_not_tiktokens(self, tmp_path: Path, content: bytes, said: str) -> None:
        (tmp_path / "tokenizer.model").write_bytes(content)
        assert said in refusal(tmp_path)

    def test_a_damaged_line_is_never_passed_over(self, tmp_path: Path) -> None:
        """llama-models' own reader logs it and goes on, and every later control token is off by one."""
        tiny.write_tokenizer_model(tmp_path)
        path = tmp_path / "tokenizer.model"
        path.write_bytes(path.read_bytes() + b"IQ= 288\n")
        assert Tokenizer(path).n_words == BASE + 256
        assert "line 289" in refusal(tmp_path)

    @pytest.mark.parametrize("content", ["{", "[]", "{}", "null", '{"added_tokens": 3}', '{"added_tokens": [{}]}'])
    def test_files_that_are_not_tokenizer_json(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "tokenizer.json").write_text(content)
        refusal(tmp_path)

    def test_a_file_that_is_not_json_is_named_with_its_line(self, tmp_path: Path) -> None:
        (tmp_path / "tokenizer.json").write_text('{\n"a"\n')
        assert "tokenizer.json, line 3: not JSON" in refusal(tmp_path)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda f: f["model"].update(type="WordPiece"), "it is of the type WordPiece, not BPE"),
            (lambda f: f["model"].update(type="Unigram", vocab=[["a", 0.0]]), "it is of the type Unigram"),
            (lambda f: f["model"].update(byte_fallback=True), "it falls back to bytes"),
            (lambda f: f["model"]["vocab"].update({"▁the": BASE}), "no merge makes token 288"),
            (lambda f: f["model"]["vocab"].update({"▁": BASE}), "not a byte-level BPE vocabulary"),
            (lambda f: f["model"]["vocab"].update({"th": 5000}), "5000"),
            (lambda f: f["model"]["vocab"].pop("!"), "ranks 0 to 286"),
            (lambda f: f["model"]["merges"].reverse(), "not in the order of the ids"),
            (lambda f: f["model"]["merges"].insert(0, f["model"]["merges"].pop()), "not in the order of the ids"),
            (lambda f: f["model"]["merges"].pop(), "no merge makes token 287"),
            (lambda f: f["model"].update(merges=[]), "no merge makes token 256"),
            (lambda f: f["model"]["merges"].append("q q"), "is 'q q', which does not make a token"),
            (lambda f: f["model"]["merges"].append("qq"), "is 'qq', which does not make a token"),
            (lambda f: f["model"]["merges"].append([1, 2]), "not a byte-level BPE vocabulary"),
            (lambda f: f["model"]["merges"].append(["t", "h", "e"]), "which does not make a token"),
            (lambda f: f.update(normalizer={"type": "NFC"}), "its normalizer NFC changes the text"),
            (lambda f: f.update(pre_tokenizer=None), "cuts text by none"),
            (lambda f: f.update(pre_tokenizer={"type": "Whitespace"}), "cuts text by Whitespace"),
            (lambda f: f["pre_tokenizer"]["pretokenizers"].pop(), "pre_tokenizer cuts text by"),
            (lambda f: split(f).update(pattern={"Regex": "\\s+"}), "cuts text by '\\\\s+'"),
            (lambda f: split(f).update(pattern={"String": " "}), "cuts text by {'String': ' '}"),
            (lambda f: f["pre_tokenizer"]["pretokenizers"][1].update(use_regex=True), "cuts text once more"),
            (lambda f: f["pre_tokenizer"]["pretokenizers"][1].update(add_prefix_space=True), "adds a space"),
            (lambda f: f.pop("added_tokens"), "added_tokens"),
            (lambda f: f.update(added_tokens=[]), "control token <|begin_of_text|> is missing (288 is nothing)"),
            (rename_control_tokens("<|eot_id|>", to="<|im_end|>"), "(297 is <|im_end|>), Llama 3 has it at 297"),
            (rename_control_tokens("<|eot_id|>"), "control token <|eot_id|> is missing"),
            (rename_control_tokens("<|eom_id|>", to="<tool>"), "control token <|eom_id|> is missing (296 is <tool>)"),
            (lambda f: f["added_tokens"][10].update(id=999), "<|python_tag|> is at 999, Llama 3 has it at 298"),
        ],
    )
    def test_a_tokenizer_json_of_another_kind(self, tmp_path: Path, change: Any, said: str) -> None:
        tiny.write_tokenizer_json(tmp_path)
        edit(tmp_path, change)
        assert said in refusal(tmp_path)

    def test_a_file_without_a_pre_tokenizer_is_taken_at_its_word(self, tmp_path: Path) -> None:
        tiny.write_tokenizer_json(tmp_path)
        edit(tmp_path, lambda file: file.pop("pre_tokenizer"))
        assert load_tokenizer(tmp_path).n_words == BASE + 256


def split(file: dict[str, Any]) -> dict[str, Any]:
    return file["pre_tokenizer"]["pretokenizers"][0]


def test_the_order_of_merges_matters(tmp_path: Path) -> None:
    """The negative control: with merges in another order Hugging Face gives other ids than tiktoken."""
    tiny.write_tokenizer_json(tmp_path)
    path = tmp_path / "tokenizer.json"
    text = " ".join(["hither rethink another"])
    before = HuggingFaceReading(path).ids(text)
    edit(tmp_path, lambda file: file["model"]["merges"].reverse())
    assert HuggingFaceReading(path).ids(text) != before


def test_bytes_are_all_there(tmp_path: Path) -> None:
    tiny.write_tokenizer_model(tmp_path)
    ranks = {base64.b64decode(line.split()[0]) for line in (tmp_path / "tokenizer.model").read_bytes().splitlines()}
    tokenizer = load_tokenizer(tmp_path)
    assert {bytes([byte]) for byte in range(256)} <= ranks
    assert tokenizer.decode(ids(tokenizer, "".join(map(chr, range(0x300))))) == "".join(map(chr, range(0x300)))
