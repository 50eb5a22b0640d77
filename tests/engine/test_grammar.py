"""Answers that are held to a grammar: what is finished fits, what is forced costs no forward pass, nothing else changes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llama_nb.apis.inference import (
    ChoiceResponseFormat,
    GrammarResponseFormat,
    JsonSchemaResponseFormat,
    RegexResponseFormat,
)
from llama_nb.apis.messages import StopReason, ToolDefinition, ToolParamDefinition, ToolPromptFormat
from llama_nb.demo import CHECKPOINT
from llama_nb.engine import grammar as grammar_module
from llama_nb.engine.grammar import Opening, Vocabulary
from llama_nb.engine.protocol import Done, Event, Failed, Piece, Sampling, Submit
from llama_nb.engine.sampling import Mask, Sampler
from llama_nb.errors import AnswerInvalid
from llama_nb.prompt_format.answer import AnswerReader
from llama_nb.prompt_format.constrain import ResponseFormat, call_grammar, call_guide, response_grammar
from llama_nb.prompt_format.family import Family
from llama_nb.prompt_format.grammar import Grammar
from llama_nb.prompt_format.schemas import validate
from llama_nb.prompt_format.tokenizer import load_tokenizer
from tests.counts import full
from tests.engine import live, tiny
from tests.engine.schemas import random_schema
from tests.engine.test_generator import Stepwise, finals

CPU = torch.device("cpu")
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["name", "age"],
}
FORCED = 'start: "all of this was clear before it was ever said" ("!" | "?")'


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def random_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says anything at all."""
    folder = tmp_path_factory.mktemp("random")
    tiny.write_meta_checkpoint(folder)
    return folder


@pytest.fixture(scope="module")
def anything(random_folder: Path) -> Stepwise:
    return Stepwise(random_folder)


@pytest.fixture(scope="module")
def guide() -> Stepwise:
    return Stepwise(CHECKPOINT)


@pytest.fixture(params=["guide", "anything"])
def either(request: pytest.FixtureRequest) -> Stepwise:
    """The embedded model, and a random one."""
    model: Stepwise = request.getfixturevalue(request.param)
    return model


def schema_grammar(schema: dict[str, Any]) -> Grammar:
    return response_grammar(JsonSchemaResponseFormat(json_schema=schema))


def held(response_format: ResponseFormat, *, seed: int = 0, **wishes: Any) -> Submit:
    wishes = {"sampling": live.sampled(seed), "max_tokens": 150} | wishes
    return live.request("Say it.", grammar=response_grammar(response_format), **wishes)


def ended(stepwise: Stepwise, request: Submit) -> tuple[str, str]:
    """The text of an answer and why it ended."""
    _, text, reason = stepwise.answer(request)
    return text, reason


def refused(stepwise: Stepwise, request: Submit) -> Failed:
    number = stepwise.submit(request)
    stepwise.finish()
    (final,) = finals(stepwise.events[number])
    assert isinstance(final, Failed)
    return final


# --- What is finished fits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(full(10, 125)))
def test_every_finished_answer_validates(number: int, either: Stepwise) -> None:
    """Four schemas each: forty in every run, five hundred in a long one, for each of two models."""
    for seed in range(4 * number, 4 * number + 4):
        schema = random_schema(seed)
        text, reason = ended(either, held(JsonSchemaResponseFormat(json_schema=schema), seed=seed))
        if reason == "out_of_tokens":
            continue
        try:
            validate(schema, text)
        except AnswerInvalid as error:
            pytest.fail(f"schema {seed}: {error} {text!r} {json.dumps(schema)}")


def test_most_answers_are_finished_and_the_schemas_hold_every_keyword(anything: Stepwise) -> None:
    reasons = Counter(
        ended(anything, held(JsonSchemaResponseFormat(json_schema=random_schema(seed)), seed=seed))[1]
        for seed in range(40)
    )
    assert reasons["end_of_turn"] > 25
    written = json.dumps([random_schema(seed) for seed in range(500)])
    keywords = """
        enum const required minProperties maxProperties minItems maxItems minLength maxLength pattern format minimum
        maximum exclusiveMinimum exclusiveMaximum multipleOf $ref $defs anyOf oneOf allOf items prefixItems
        additionalProperties properties title description examples
    """.split()
    assert [keyword for keyword in keywords if f'"{keyword}"' not in written] == []


def test_the_check_sees_an_answer_that_is_held_to_nothing(anything: Stepwise) -> None:
    text, _ = ended(anything, live.request("Say it.", max_tokens=50, sampling=live.sampled(0)))
    with pytest.raises(AnswerInvalid):
        validate(PERSON, text)


@pytest.mark.parametrize("seed", range(full(3, 30)))
def test_a_regular_expression_a_choice_and_a_grammar_are_kept_to(seed: int, either: Stepwise) -> None:
    text, reason = ended(either, held(RegexResponseFormat(regex=r"\d{3}-[a-f]{2,4}"), seed=seed))
    assert re.fullmatch(r"\d{3}-[a-f]{2,4}", text) and reason == "end_of_turn"
    choices = ["yes", "no, never", 'a "quoted" one', "zwölf\nZeilen"]
    text, reason = ended(either, held(ChoiceResponseFormat(choices=choices), seed=seed))
    assert text in choices and reason == "end_of_turn"
    numbers = 'start: "[" number ("," number){2} "]"\nnumber: /[1-9]/'
    text, reason = ended(either, held(GrammarResponseFormat(grammar=numbers), seed=seed))
    assert re.fullmatch(r"\[[1-9],[1-9],[1-9]\]", text) and reason == "end_of_turn"


def test_the_greedy_answer_is_the_likeliest_that_is_allowed(either: Stepwise) -> None:
    wanted = held(RegexResponseFormat(regex="[a-z]{6}"), sampling=Sampling())
    assert ended(either, wanted) == ended(either, wanted)
    tokens, text, _ = either.answer(wanted)
    prompt = either.generator._encoder.encode(wanted.dialog)
    with torch.inference_mode():
        logits = either.runner._model(torch.tensor([prompt]))[0, -1]
    names = [either.generator._encoder.tokenizer.model.decode_single_token_bytes(one) for one in range(len(logits))]
    control = either.generator._encoder.tokenizer.bos_id
    allowed = [one for one in range(control) if re.fullmatch(rb"[a-z]{1,6}", names[one])]
    assert tokens[0] == max(allowed, key=lambda one: float(logits[one]))
    assert re.fullmatch("[a-z]{6}", text)


def test_control_tokens_never_pass_a_grammar_of_text(anything: Stepwise) -> None:
    for seed in range(full(5, 50)):
        tokens, text, reason = anything.answer(held(RegexResponseFormat(regex="(?s:.{30})"), seed=seed))
        control = anything.generator._encoder.tokenizer.bos_id
        assert [token for token in tokens if token >= control] in ([], [tokens[-1]])
        assert len(text) == 30 and reason == "end_of_turn"


def test_an_answer_that_is_cut_off_says_so(either: Stepwise) -> None:
    text, reason = ended(either, held(JsonSchemaResponseFormat(json_schema=PERSON), max_tokens=6))
    assert reason == "out_of_tokens"
    with pytest.raises(AnswerInvalid, match="not JSON"):
        validate(PERSON, text)
    endless = {"type": "array", "items": {"type": "integer"}, "minItems": 2000}
    assert ended(either, held(JsonSchemaResponseFormat(json_schema=endless), max_tokens=0))[1] == "out_of_tokens"


def test_the_answer_goes_on_from_its_prefill_and_both_together_fit(either: Stepwise) -> None:
    text, reason = ended(either, held(JsonSchemaResponseFormat(json_schema=PERSON), prefill='{"name": "Ad'))
    assert reason == "end_of_turn"
    assert validate(PERSON, '{"name": "Ad' + text)["name"].startswith("Ad")
    failed = refused(either, held(JsonSchemaResponseFormat(json_schema=PERSON), prefill='{"title'))
    assert failed.kind == "BadRequest" and "prefill does not fit" in failed.message


def test_what_llguidance_refuses_is_a_bad_request_with_its_reason(anything: Stepwise) -> None:
    failed = refused(anything, live.request("x", grammar=Grammar("lark", "start: nobody")))
    assert failed.kind == "BadRequest" and "nobody" in failed.message
    failed = refused(anything, live.request("x", grammar=Grammar("json_schema", "{")))
    assert failed.kind == "BadRequest"


@pytest.mark.parametrize(
    "grammar",
    [
        Grammar("json_schema", '{"$ref": "#"}'),
        Grammar("lark", "start: a\na: start"),
        Grammar("lark", 'start: "so " /[^\\s\\S]/'),
    ],
    ids=lambda grammar: grammar.text,
)
def test_a_grammar_without_a_way_to_an_end_is_a_bad_request(grammar: Grammar, anything: Stepwise) -> None:
    failed = refused(anything, live.request("x", grammar=grammar))
    assert failed.kind == "BadRequest" and "Give it a way to an end" in failed.message


# --- What is forced costs no forward pass -------------------------------------------------------------------------------


def passes_of(stepwise: Stepwise, request: Submit, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """How many forward passes an answer took, and how many tokens it has."""
    passes = 0
    forward: Callable[..., torch.Tensor] = stepwise.runner._model.forward

    def counted(*args: Any, **kwargs: Any) -> torch.Tensor:
        nonlocal passes
        passes += 1
        return forward(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(stepwise.runner._model, "forward", counted)
        tokens, _, reason = stepwise.answer(request)
    assert reason == "end_of_turn"
    return passes, len(tokens)


def test_tokens_without_a_choice_are_read_together(either: Stepwise, monkeypatch: pytest.MonkeyPatch) -> None:
    request = live.request("Say it.", grammar=Grammar("lark", FORCED))
    either.answer(request)  # so that only the last token of the prompt is still to be read
    passes, tokens = passes_of(either, request, monkeypatch)
    assert tokens >= 12
    assert passes <= 4, "the prompt, the forced words (in chunks of 16), and one choice"


def test_the_count_sees_forced_tokens_that_are_read_one_by_one(
    anything: Stepwise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anything.runner, "_prompt_lookup", False)
    monkeypatch.setattr(grammar_module.Constraint, "forced", lambda self: [])
    # Without them the end is not forced either, and a token of the mask is chosen at each place.
    passes, tokens = passes_of(anything, live.request("Say it.", grammar=Grammar("lark", FORCED)), monkeypatch)
    assert passes >= tokens


def test_the_answer_is_the_same_with_and_without_forced_tokens(
    guide: Stepwise, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = held(JsonSchemaResponseFormat(json_schema=PERSON), sampling=Sampling())
    text, _ = ended(guide, request)
    with monkeypatch.context() as patch:
        patch.setattr(grammar_module.Constraint, "forced", lambda self: [])
        assert validate(PERSON, ended(guide, request)[0])
    assert validate(PERSON, text)


def test_forced_tokens_have_the_log_probabilities_that_the_model_gives_them(anything: Stepwise) -> None:
    request = live.request("Say it.", grammar=Grammar("lark", FORCED), logprobs=0)
    number = anything.submit(request)
    anything.finish()
    pieces = [event for event in anything.events[number] if isinstance(event, Piece)]
    tokens = [token for piece in pieces for token in piece.tokens]
    told = [next(iter(entry.values())) for piece in pieces for entry in piece.logprobs or []]
    prompt = anything.generator._encoder.encode(request.dialog)
    with torch.inference_mode():
        rows = anything.runner._model(torch.tensor([prompt + tokens]))[0, len(prompt) - 1 : -1].log_softmax(-1)
    exact = [float(row[token]) for row, token in zip(rows, tokens, strict=True)]
    assert told == pytest.approx(exact, abs=1e-4)


def test_forced_tokens_stop_at_max_tokens_and_at_a_stop_string(anything: Stepwise) -> None:
    request = live.request("Say it.", grammar=Grammar("lark", FORCED), max_tokens=3)
    tokens, _, reason = anything.answer(request)
    assert (len(tokens), reason) == (3, "out_of_tokens")
    request = live.request("Say it.", grammar=Grammar("lark", FORCED), stop=["clear"])
    assert anything.answer(request)[1:] == ("all of this was ", "end_of_turn")


# --- Nothing else changes -----------------------------------------------------------------------------------------------


def test_answers_without_a_grammar_compute_no_mask_and_build_no_vocabulary(
    talker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("no grammar was asked for")

    stepwise = Stepwise(talker)
    for name in ("mask", "forced", "take"):
        monkeypatch.setattr(grammar_module.Constraint, name, never)
    monkeypatch.setattr(Mask, "apply", never)
    monkeypatch.setattr(Vocabulary, "constraint", never)
    assert stepwise.answer(live.request("hello", max_tokens=12))[0]
    assert "_tokens" not in vars(stepwise.generator._vocabulary)


def test_after_an_answer_with_a_grammar_the_next_is_what_it_would_have_been(talker: Path) -> None:
    plain = live.request("hello", max_tokens=12, sampling=live.sampled(1))
    expected = Stepwise(talker).answer(plain)
    stepwise = Stepwise(talker)
    for response_format in (JsonSchemaResponseFormat(json_schema=PERSON), ChoiceResponseFormat(choices=["a", "b"])):
        stepwise.answer(held(response_format))
        assert stepwise.answer(plain) == expected


def test_a_cancel_in_any_step_of_an_answer_with_a_grammar_leaves_nothing_behind(talker: Path) -> None:
    plain = live.request("hello", max_tokens=6, sampling=live.sampled(1))
    expected = Stepwise(talker).answer(plain)
    stepwise = Stepwise(talker)
    victim = held(JsonSchemaResponseFormat(json_schema=PERSON))
    for steps in count():
        number = stepwise.submit(victim)
        ran = sum(stepwise.step() for _ in range(steps))
        stepwise.cancel(number)
        stepwise.cancel(number)
        (final,) = finals(stepwise.events[number])
        assert isinstance(final, Done)
        assert stepwise.answer(plain) == expected
        if ran < steps:
            break
    assert steps > 5


def test_a_grammar_that_breaks_ends_its_request_alone(talker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stepwise = Stepwise(talker)
    expected = stepwise.answer(live.request("hello", max_tokens=6))
    with monkeypatch.context() as patch:
        patch.setattr(grammar_module.Constraint, "take", lambda self, token: self._consume([0]))
        failed = refused(stepwise, held(RegexResponseFormat(regex="[a-c]{9}"), sampling=Sampling()))
    assert failed.kind == "EngineError" and "grammar" in failed.message
    assert stepwise.answer(live.request("hello", max_tokens=6)) == expected


# --- Calls in the form of each family ---------------------------------------------------------------------------------


TOOLS = [
    ToolDefinition(
        tool_name="get_weather",
        parameters={
            "city": ToolParamDefinition(param_type="str"),
            "days": ToolParamDefinition(param_type="int", required=False),
            "exact": ToolParamDefinition(param_type="bool", required=False),
        },
    ),
    ToolDefinition(tool_name="now", parameters={}),
    ToolDefinition(tool_name="average", parameters={"numbers": ToolParamDefinition(param_type="list[int]")}),
]
BUILTIN = [ToolDefinition(tool_name=name) for name in ("brave_search", "wolfram_alpha", "code_interpreter")]
FORMS = [
    (Family.llama3_1, ToolPromptFormat.json),
    (Family.llama3_1, ToolPromptFormat.function_tag),
    (Family.llama3_2, ToolPromptFormat.python_list),
    (Family.llama3_3, ToolPromptFormat.json),
]
PYTHON_TYPES = {"city": str, "days": int, "exact": bool, "numbers": list}


def read_back(stepwise: Stepwise, events: list[Event], tools: list[ToolDefinition], *form: Any) -> AnswerReader:
    family, tool_format = form
    control = stepwise.generator._encoder.tokenizer.special_tokens
    reader = AnswerReader(control, tools, family=family, tool_prompt_format=tool_format)
    for event in events:
        if isinstance(event, Piece):
            reader.feed(event.tokens, event.text)
        elif isinstance(event, Done):
            reader.end(StopReason(event.stop_reason))
    return reader


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form[0].value}-{form[1].value}")
def test_a_call_that_is_required_is_understood(form: tuple[Family, ToolPromptFormat], either: Stepwise) -> None:
    understood = 0
    offered = TOOLS + BUILTIN[:2]
    for seed in range(full(12, 100)):
        required = offered if seed % 2 else [offered[seed // 2 % len(offered)]]
        grammar = call_grammar(required, *form)
        request = live.request("Say it.", grammar=grammar, sampling=live.sampled(seed), max_tokens=120)
        number = either.submit(request)
        either.finish()
        final = either.events[number][-1]
        assert isinstance(final, Done)
        if final.stop_reason == "out_of_tokens":
            continue
        message = read_back(either, either.events[number], offered, *form).message
        assert message is not None
        assert message.tool_calls and message.content == "" and message.malformed_call is None, message
        understood += 1
        for call in message.tool_calls:
            assert call.tool_name in [tool.tool_name for tool in required]
            types = {name: type(value) for name, value in call.arguments.items() if name != "query"}
            assert types == {name: PYTHON_TYPES[name] for name in types}
    assert understood >= full(3, 30)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Stepwise:
    """A model that says `<|python_tag|>`, and nothing else of its own will."""
    folder = tmp_path_factory.mktemp("tagger")
    return Stepwise(live.write_talker(folder, tokens=[live.PYTHON_TAG], ends=False))


@pytest.mark.parametrize("guided", [True, False])
def test_a_call_that_is_begun_is_held_to_what_was_offered(guided: bool, tagger: Stepwise) -> None:
    form = (Family.llama3_1, ToolPromptFormat.json)
    offered = TOOLS + BUILTIN[:2]
    understood = 0
    for seed in range(full(10, 60)):
        wishes: dict[str, Any] = {"guide": call_guide(offered, *form)} if guided else {}
        number = tagger.submit(live.request("Say it.", sampling=live.sampled(seed), max_tokens=160, **wishes))
        tagger.finish()
        message = read_back(tagger, tagger.events[number], offered, *form).message
        assert message is not None
        understood += bool(message.tool_calls)
        assert message.tool_calls or message.stop_reason is StopReason.out_of_tokens
    assert understood >= full(3, 20) if guided else understood == 0


@pytest.mark.parametrize(
    ("begun", "held"),
    [("<function=", True), ("<function=get_w", True), ("<function=put", False), ("A <function=", False)],
)
def test_a_call_in_letters_is_seen_where_it_begins(begun: str, held: bool) -> None:
    tokenizer = load_tokenizer(CHECKPOINT)
    guide = call_guide(TOOLS, Family.llama3_1, ToolPromptFormat.function_tag)
    assert guide is not None
    opening = Opening(guide, Vocabulary(tokenizer), tokenizer)
    assert (opening.constraint(tokenizer.encode(begun, bos=False, eos=False)) is not None) == held


def test_nothing_guides_where_any_text_may_be_a_call() -> None:
    assert call_guide(TOOLS + BUILTIN, Family.llama3_1) is None


def test_code_is_what_stands_behind_the_tag_once_it_is_whole(anything: Stepwise) -> None:
    grammar = call_grammar(BUILTIN[2:], Family.llama3_1)
    reasons = set()
    for seed in range(20):
        number = anything.submit(live.request("Compute.", grammar=grammar, sampling=live.sampled(seed)))
        anything.finish()
        message = read_back(anything, anything.events[number], BUILTIN[2:], Family.llama3_1, None).message
        assert message is not None
        reasons.add(message.stop_reason)
        if message.stop_reason is StopReason.end_of_message:
            [call] = message.tool_calls
            assert call.arguments["code"]
        else:
            assert message.tool_calls == [] and message.malformed_call
        if len(reasons) == 2:
            return
    pytest.fail(f"always {reasons}")


# --- The mask and the sampler -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vocabulary(random_folder: Path) -> Vocabulary:
    return Vocabulary(load_tokenizer(random_folder))


def allowed(mask: Mask, size: int) -> set[int]:
    left, ids = mask.apply(torch.zeros(size))
    return {int(one) for one in ids} if ids is not None else set(torch.nonzero(left == 0).flatten().tolist())


@pytest.mark.parametrize("few", [0, 256], ids=["as bits", "as ids"])
@pytest.mark.parametrize("regex", ["a", "[a-z]", "(?s:.)", "the"])
def test_the_mask_allows_what_the_grammar_does(
    few: int, regex: str, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grammar_module, "FEW_WORDS", few)
    mask = vocabulary.constraint(Grammar("regex", regex)).mask()
    names = [vocabulary._tokenizer.model.decode_single_token_bytes(token) for token in range(vocabulary.size)]
    # What is forced is written as the tokenizer would write it.
    beginnings = {"a": {b"a"}, "the": {b"the"}}.get(regex)
    expected = {
        token
        for token, name in enumerate(names[: vocabulary._tokenizer.bos_id])
        if (name in beginnings if beginnings else re.match(regex.encode(), name) or name[0] >= 128)
    }
    found = allowed(mask, vocabulary.size)
    if regex == "(?s:.)":  # single bytes of longer characters, and one letter alone
        expected = {token for token in expected if len(names[token]) == 1 or not names[token].isascii()}
        found = {token for token in found if names[token][0] < 128} | {
            token for token in expected if names[token][0] > 127
        }
    elif regex == "[a-z]":
        expected = {token for token in expected if re.fullmatch(rb"[a-z]", names[token])}
    assert found == expected


@pytest.mark.parametrize("few", [0, 256], ids=["as bits", "as ids"])
@pytest.mark.parametrize(
    "sampling", [Sampling(1.0, seed=1), Sampling(0.7, 0.8, 0, 1), Sampling(1.0, 1.0, 3, 1)], ids=str
)
def test_masked_draws_follow_the_distribution_of_what_is_left(
    few: int, sampling: Sampling, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grammar_module, "FEW_WORDS", few)
    constraint = vocabulary.constraint(Grammar("regex", "[a-f]"))
    logits = torch.randn(vocabulary.size, generator=torch.Generator().manual_seed(3)) * 2
    letters = list(b"abcdef")
    sampler = Sampler(sampling, CPU)
    draws = full(3_000, 20_000)
    counts = np.bincount([sampler(logits, constraint.mask()) for _ in range(draws)], minlength=vocabulary.size)
    assert counts.sum() == counts[letters].sum()
    alone = Sampler(sampling, CPU)
    others = np.bincount([alone(logits[letters]) for _ in range(draws)], minlength=6)
    assert np.abs(counts[letters] - others).max() < 6 * np.sqrt(draws / 2)


def test_a_repetition_penalty_divides_positive_logits_and_multiplies_negative_ones() -> None:
    logits = torch.tensor([2.0, 1.5, -1.0, -1.2])
    sampler = Sampler(Sampling(repetition_penalty=2.0), CPU)
    assert sampler(logits) == 0
    sampler.see([0])
    assert sampler(logits) == 1, "2.0 / 2 is less than 1.5"
    sampler.see([1])
    assert sampler(logits) == 0, "2.0 / 2 is more than 1.5 / 2"
    sampler = Sampler(Sampling(repetition_penalty=2.0), CPU)
    sampler.see([2])
    mask = Mask(ids=np.array([2, 3]))
    assert sampler(logits, mask) == 3, "-1.0 * 2 is less than -1.2"
    assert logits.tolist() == pytest.approx([2.0, 1.5, -1.0, -1.2]), "the model's own logits stay"


@pytest.mark.parametrize("penalty", [1e-300, 1e-40, 1e39, 1e300])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_however_strong_a_penalty_is_a_token_is_chosen(penalty: float, temperature: float) -> None:
    for logits in (torch.tensor([2.0, 0.0, -1.0]), torch.tensor([-1.0, -2.0, -3.0])):
        sampler = Sampler(Sampling(temperature, 0.9, seed=1, repetition_penalty=penalty), CPU)
        for seen in range(3):
            sampler.see([seen])
            assert sampler(logits) in range(3)


def test_with_a_penalty_an_answer_repeats_itself_less_and_without_nothing_is_noted(guide: Stepwise) -> None:
    def repeated(penalty: float) -> float:
        request = Submit(0, [], Sampling(repetition_penalty=penalty), 60, prompt="the llama")
        tokens, _, _ = guide.answer(request)
        return 1 - len(set(tokens)) / len(tokens)

    assert repeated(1.0) > repeated(3.0) + 0.2
    sampler = Sampler(Sampling(), CPU)
    sampler.see([1, 2, 3])
    assert sampler._unmarked == [] and sampler._seen is None
