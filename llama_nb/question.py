"""What is asked with one question: its options, understood once, before anything is done.

Knows requests and schemas; knows nothing of conversations.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from llama_nb.apis.inference import JsonSchemaResponseFormat, LogProbConfig, ResponseFormat
from llama_nb.apis.messages import SamplingParams, StopReason, ToolChoice, ToolPromptFormat, UserMessage
from llama_nb.errors import AnswerInvalid, BadRequest, did_you_mean
from llama_nb.prompt_format.constrain import response_format_of
from llama_nb.prompt_format.schemas import check, validate
from llama_nb.tools.typed_dicts import readable

SAMPLING = ("temperature", "top_p", "top_k", "max_tokens", "seed", "stop", "repetition_penalty")
OPTIONS = (*SAMPLING, "logprobs", "schema", "response_format", "tool_choice", "prefill", "n")


class Form:
    """The shape of an answer: a Pydantic model, dataclass, TypedDict or other type, or a JSON schema as a dict.

    >>> Form(list[int]).read("[1, 2]", StopReason.end_of_turn, None)
    [1, 2]
    """

    def __init__(self, schema: Any) -> None:
        self._adapter: TypeAdapter[Any] | None = None
        if isinstance(schema, dict):
            self.json_schema: dict[str, Any] = schema
        else:
            self._adapter = _adapter_of(schema)
            self.json_schema = self._adapter.json_schema()
        check(self.json_schema)

    def read(self, text: str, stop_reason: StopReason, tokens: int | None) -> Any:
        """The value of a whole answer: an instance of the type, or plain JSON where a dict was given.

        Raises:
            AnswerInvalid: it was cut off (at so many `tokens`), or is not what the schema asks for.
        """
        if stop_reason is StopReason.out_of_tokens and not _is_json(text):
            at = "" if tokens is None else f" at {tokens} tokens"
            raise AnswerInvalid(
                f"The answer was cut off{at}, before its JSON was complete. Give a higher max_tokens or a smaller "
                "schema; what came is in reply.text."
            )
        value = validate(self.json_schema, text)
        if self._adapter is None:
            return value
        try:
            return self._adapter.validate_json(text)
        except ValidationError as error:
            raise AnswerInvalid(f"The answer cannot become what was asked for: {error}") from error


def _adapter_of(schema: Any) -> TypeAdapter[Any]:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(readable(schema))
        adapter.json_schema()
    except Exception as error:  # pydantic has many ways to say that this is no type
        raise BadRequest(
            f"schema is {schema!r}, of which no JSON schema can be made ({error}). Give a Pydantic model, a "
            "dataclass, a TypedDict or another type, or a JSON schema as a dict."
        ) from error
    return adapter


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


@dataclass(frozen=True)
class Question:
    """One question, and how it is to be answered."""

    message: UserMessage
    params: SamplingParams
    logprobs: LogProbConfig | None = None
    response_format: ResponseFormat | None = None
    form: Form | None = None
    tool_choice: ToolChoice | str = ToolChoice.auto
    prefill: str = ""
    n: int = 1
    instead_of: UserMessage | None = None  # the question whose place it takes, with all that came after that


def message_of(prompt: Any) -> UserMessage:
    """A question as a message of its own, which nobody else holds."""
    if isinstance(prompt, UserMessage):
        return prompt.model_copy(deep=True)
    return UserMessage(content=_text("The question", prompt))


def understood(
    message: UserMessage,
    options: dict[str, Any],
    defaults: SamplingParams,
    tools: Collection[str],
    tool_choice: ToolChoice | str,
    instead_of: UserMessage | None = None,
) -> Question:
    """The question that `options` make of `message`. `tools` are the names of those that are offered.

    Raises:
        BadRequest: an option is unknown, or cannot be meant so.
    """
    for name in options:
        if name not in OPTIONS:
            raise BadRequest(f"There is no option `{name}`. {did_you_mean(name, OPTIONS)}")
    given = {name: value for name, value in options.items() if value is not None}
    sampling = {name: given.pop(name) for name in SAMPLING if name in given}
    if isinstance(sampling.get("stop"), str):
        sampling["stop"] = [sampling["stop"]]
    logprobs = given.get("logprobs", False)
    try:
        params = SamplingParams.model_validate(defaults.model_dump() | sampling)
        config = None if logprobs is False else LogProbConfig(top_k=0 if logprobs is True else logprobs)
    except ValueError as error:
        raise BadRequest(f"These options cannot be used: {error}") from error
    form = Form(given["schema"]) if "schema" in given else None
    answer_in = _response_format(given.get("response_format"), form)
    choice = tool_choice_of(given.get("tool_choice", tool_choice), tools)
    if answer_in is not None and "tool_choice" in given and choice not in (ToolChoice.auto, ToolChoice.none):
        raise BadRequest("An answer in a form calls no tool: give `tool_choice`, or `schema` or `response_format`.")
    return Question(
        message=message,
        params=params,
        logprobs=config,
        response_format=answer_in,
        form=form,
        tool_choice=choice,
        prefill=_text("prefill", given.get("prefill", "")),
        n=count_of("n", given.get("n", 1)),
        instead_of=instead_of,
    )


def tool_choice_of(given: ToolChoice | str, tools: Collection[str]) -> ToolChoice | str:
    """ "auto", "none" and "required", or the name of an offered tool."""
    if isinstance(given, ToolChoice):
        choice: ToolChoice | str = given
    elif isinstance(given, str) and given in ToolChoice.__members__:
        choice = ToolChoice(given)
    elif isinstance(given, str) and given in tools:
        return given
    else:
        raise BadRequest(f"tool_choice is {given!r}. {did_you_mean(str(given), [*ToolChoice.__members__, *tools])}")
    if choice is ToolChoice.required and not tools:
        raise BadRequest("tool_choice is `required`, but no tool is offered: give the chat its `tools`.")
    return choice


def _response_format(given: Any, form: Form | None) -> ResponseFormat | None:
    if form is not None and given is not None:
        raise BadRequest("Give `schema` or `response_format`, not both.")
    if form is not None:
        return JsonSchemaResponseFormat(json_schema=form.json_schema)
    return None if given is None else response_format_of(given)


def tool_format_of(given: ToolPromptFormat | str | None) -> ToolPromptFormat | None:
    """One of the three formats, by itself or by name; None for the default of the model's family."""
    if given is None or isinstance(given, ToolPromptFormat):
        return given
    return ToolPromptFormat(one_of("tool_prompt_format", given, [known.value for known in ToolPromptFormat]))


def one_of(what: str, given: Any, known: Collection[str]) -> Any:
    """`given`, when it is known."""
    if given not in known:
        raise BadRequest(f"{what} is {given!r}. {did_you_mean(str(given), known)}")
    return given


def _text(name: str, given: Any) -> str:
    if not isinstance(given, str):
        raise BadRequest(f"{name} is {given!r}; give a text.")
    return given


def count_of(name: str, given: Any, least: int = 1) -> int:
    """`given`, when it is a number of things."""
    if not isinstance(given, int) or isinstance(given, bool) or given < least:
        raise BadRequest(f"{name} is {given!r}; give a whole number, {least} or more.")
    return given
