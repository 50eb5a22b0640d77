"""Asks a checkpoint the questions of `heldout.py`, greedily, and says how many answers are right.

The rendering and encoding are those of inference; the token loop is the simplest that can be right, so that it needs
no other process.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from llama_nb.apis.messages import (
    CompletionMessage,
    Message,
    StopReason,
    SystemMessage,
    ToolCall,
    ToolDefinition,
    ToolPromptFormat,
    ToolResponseMessage,
    UserMessage,
    tool_name_str,
)
from llama_nb.demo.heldout import CASES, Call, Case
from llama_nb.engine.kv_cache import KVCache
from llama_nb.engine.model import ModelArgs, Transformer
from llama_nb.prompt_format.answer import AnswerReader
from llama_nb.prompt_format.call_text import needs_python_tag
from llama_nb.prompt_format.encode import DialogEncoder
from llama_nb.prompt_format.render import render
from llama_nb.prompt_format.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llama_models.llama3.tokenizer import Tokenizer

TODAY = date(2025, 3, 14)
LONGEST_ANSWER = 200


@dataclass(frozen=True)
class Result:
    group: str
    case: Case
    answer: str
    right: bool


class Checkpoint:
    """A checkpoint in Meta's layout, on the CPU in float32, that answers greedily."""

    def __init__(self, folder: Path) -> None:
        params = json.loads((folder / "params.json").read_text("utf-8"))
        state = torch.load(folder / "consolidated.00.pth", map_location="cpu", weights_only=True, mmap=True)
        self.tokenizer: Tokenizer = load_tokenizer(folder)
        self.model = Transformer(
            ModelArgs(
                dim=params["dim"],
                n_layers=params["n_layers"],
                n_heads=params["n_heads"],
                n_kv_heads=params["n_kv_heads"],
                hidden_dim=state["layers.0.feed_forward.w1.weight"].shape[0],
                vocab_size=params["vocab_size"],
                max_seq_len=params["max_seq_len"],
                norm_eps=params["norm_eps"],
                rope_theta=params["rope_theta"],
                tied_head=True,
            )
        )
        self.model.load_state_dict({**state, "output.weight": state["tok_embeddings.weight"]})
        self.model.float().eval()

    @torch.inference_mode()
    def answer(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolDefinition] = (),
        tool_prompt_format: ToolPromptFormat | None = None,
    ) -> CompletionMessage:
        """The answer as it would reach a chat: its calls read, or its text. One that does not end ends in `…`."""
        turns = render(messages, tools, today=TODAY, tool_prompt_format=tool_prompt_format)
        prompt = DialogEncoder(self.tokenizer).encode(turns)
        args = self.model.args
        cache = KVCache(args.n_layers, args.n_kv_heads, args.head_dim, len(prompt) + LONGEST_ANSWER)
        reader = AnswerReader(self.tokenizer.special_tokens, tools, tool_prompt_format=tool_prompt_format)
        reasons = {
            self.tokenizer.eot_id: StopReason.end_of_turn,
            self.tokenizer.eom_id: StopReason.end_of_message,
        }
        new, answer = prompt, list[int]()
        for _ in range(LONGEST_ANSWER):
            token = int(self.model(torch.tensor([new]), cache, last_only=True)[0, -1].argmax())
            if token in reasons:
                break
            answer.append(token)
            new = [token]
        tagged = answer[:1] == [self.tokenizer.python_tag_id]
        reader.feed(answer[:tagged], "")
        reader.feed(answer[tagged:], self.tokenizer.decode(answer[tagged:]))
        reader.end(reasons.get(token, StopReason.out_of_tokens))
        assert reader.message is not None
        if token in reasons:
            return reader.message
        return reader.message.model_copy(update={"content": f"{reader.message.content}…"})


def evaluate(folder: Path, cases: Sequence[Case] = CASES) -> list[Result]:
    checkpoint = Checkpoint(folder)
    return [_result(checkpoint, case) for case in cases]


def _result(checkpoint: Checkpoint, case: Case) -> Result:
    message = checkpoint.answer(_messages(case), case.tools, case.tool_prompt_format)
    told = [str(message.content)] if message.content else []
    called = [f"{tool_name_str(call.tool_name)}({json.dumps(call.arguments)})" for call in message.tool_calls]
    return Result(case.group, case, " ".join(told + called), _is_right(case, message))


def _messages(case: Case) -> list[Message]:
    messages: list[Message] = [SystemMessage(content=case.system)] if case.system else []
    for said in case.said:
        if isinstance(said, str):
            asked = len(messages) > 0 and isinstance(messages[-1], UserMessage)
            answer = CompletionMessage(content=said, stop_reason=StopReason.end_of_turn)
            messages.append(answer if asked else UserMessage(content=said))
        elif isinstance(said, Call):
            call = ToolCall(call_id="call", tool_name=said.name, arguments=said.arguments)
            tagged = needs_python_tag([call], case.tool_prompt_format or ToolPromptFormat.json)
            reason = StopReason.end_of_message if tagged else StopReason.end_of_turn
            messages.append(CompletionMessage(content="", stop_reason=reason, tool_calls=[call]))
        else:
            messages.append(ToolResponseMessage(call_id="call", tool_name=said.tool_name, content=said.content))
    return messages


def _is_right(case: Case, message: CompletionMessage) -> bool:
    if case.call is not None:
        calls = [Call(tool_name_str(call.tool_name), call.arguments) for call in message.tool_calls]
        return calls == [case.call]
    answer = str(message.content).lower()
    contains = all(any(word.lower() in answer for word in words.split("|")) for words in case.contains)
    return not message.tool_calls and not answer.endswith("…") and contains


def shares(results: Sequence[Result]) -> dict[str, str]:
    """`right of asked` by group, and for all."""
    groups = [*sorted({result.group for result in results}), "all"]
    counted = {}
    for group in groups:
        rights = [result.right for result in results if group in (result.group, "all")]
        counted[group] = f"{sum(rights)} of {len(rights)}"
    return counted


def table(results: Sequence[Result]) -> str:
    """Right and asked by group, then what went wrong."""
    lines = [f"{group:<24}{share:>12}" for group, share in shares(results).items()]
    wrong = (result for result in results if not result.right)
    lines += [f"wrong: {result.case.said[-1]!r}\n  got: {result.answer[:160]!r}" for result in wrong]
    return "\n".join(lines)
