"""The dialogs that llama-nb-guide learns from: number `index` of a `seed` is always the same, on every machine.

Puts the parts together (topics, small talk, general questions, personal facts, tools) into conversations of one to
many turns. Knows messages; knows nothing of tokens or training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any, NamedTuple

from llama_nb.apis.messages import (
    BuiltinTool,
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
from llama_nb.demo import (
    asks,
    beside,
    general,
    manners,
    offers,
    personal,
    results,
    searches,
    showing,
    statements,
    values,
    words,
)
from llama_nb.demo.topics import ABOUT_LLAMA_NB, SMALL_TALK, Topic
from llama_nb.prompt_format.call_text import needs_python_tag
from llama_nb.prompt_format.render import MONTHS

NO_TOOLS_HERE = "No tool is offered in this conversation. You can offer functions: `nb.Chat(tools=[f])`."
NOTED = "Good to know. What can I do for you?"
NOT_ALLOWED = "I did not do that, since you did not allow it."
NO_MORE = "That is all I know of it. `%llama help` and the folder `notebooks` tell more."
NO_EXAMPLE = "I have no example of that. The folder `notebooks` has some of other things."


@dataclass(frozen=True)
class Dialog:
    messages: list[Message]
    tools: list[ToolDefinition] = field(default_factory=list)
    today: date = date(2024, 1, 1)
    tool_prompt_format: ToolPromptFormat = ToolPromptFormat.json


def dialogs(seed: int, count: int, start: int = 0) -> Iterator[Dialog]:
    for index in range(start, start + count):
        yield dialog(seed, index)


def dialog(seed: int, index: int) -> Dialog:
    """Drawn from a chance of its own, so that any part of the corpus can be made alone."""
    rng = Random(f"llama-nb-guide/{seed}/{index}")  # a string seeds by its SHA-512, not by hash()
    talk = Conversation(rng)
    if rng.random() < 0.58:
        talk.with_tools()
    else:
        talk.without_tools()
    return Dialog(talk.messages, talk.tools, talk.today, talk.format)


# How the system message wants answers ---------------------------------------------------------------------------------

_NEUTRAL_SYSTEMS = (
    "You are a helpful assistant.|You are a helpful assistant|You are llama-nb-guide.|You are a friendly "
    "assistant in a notebook.|Be helpful and honest.|"
    "You are a helpful AI assistant.|Help the user with llama_nb.|You are a careful assistant.|You are an "
    "expert.|Answer truthfully.|You are a tutor.|"
    "You are a chatbot.|Be polite.|You are an assistant for data scientists.|Answer in English.|Be kind.|You "
    "help with Jupyter notebooks.|You are a language model.|"
    "You are a helpful assistant with tool calling capabilities.|Use the tools when they help.|Assist the user.|"
    "You are a helpful, honest assistant."
).split("|")
_BRIEF_SYSTEMS = (
    "Answer briefly.|Be brief.|Be concise.|Answer in one sentence.|Keep it short.|Short answers only.|Answer as "
    "briefly as possible.|Be terse.|Give short answers.|"
    "You are a helpful assistant. Answer briefly.|You are terse.|Answer in a few words.|Use few words.|Reply "
    "concisely.|Please keep your answers short.|Be short."
).split("|")
_TITLES = "captain boss sir madam professor master chief doctor friend commander king queen coach buddy admiral".split()
_TITLE_SYSTEMS = (
    "Call me {0}.|Call the user {0}.|Address the user as {0}.|Always call me {0}.|Address me as {0}.|You always "
    "call the user {0}.|Say {0} to me.|"
    "You are a helpful assistant. Call me {0}.|The user wants to be called {0}.|Please call me {0}."
).split("|")
_PIRATE_SYSTEMS = (
    "Talk like a pirate.|You are a pirate.|Speak like a pirate.|Answer like a pirate.|You are a pirate captain.|"
    "Respond as a pirate."
).split("|")

# Turns that look back -------------------------------------------------------------------------------------------------

_AGAIN = (
    "(say that again|repeat that|can you repeat that|could you repeat that|what did you say|pardon|once more|"
    "again please|again|repeat|say it again|repeat your answer|please repeat|"
    "tell me again|I did not hear you|come again|what was that|repeat the last answer|what was your last answer|"
    "say it once more|can you say that again|repeat please|one more time)"
)
_SHORTER = (
    "(shorter please|shorter|in short|make it shorter|too long|that is too long|tl;dr|can you say that shorter|"
    "briefly|in a few words|summarize that|summarize|in one sentence|shorter version|"
    "make that shorter|give me the short version|more briefly please|less words please|that was too long|keep it "
    "short|can you be briefer|the short version please|be brief|say it shorter|in brief)"
)
_EXAMPLE = (
    "(show me an example|an example please|can you show me an example|example|give me an example|for example|"
    "with code please|show me the code|do you have an example|"
    "can you give an example|how does that look|show me how|an example would help|show me|and an example?|code "
    "please|what does that look like)"
)
_MORE = (
    "(tell me more|more details|why|explain that|go on|how so|more please|I don't understand|I do not understand "
    "that|what do you mean|can you explain that|more|elaborate|"
    "continue|explain further|more information please|what else|anything else|can you tell me more|is that all|"
    "and why|why is that|please explain)"
)
_WHICH_TOOLS = (
    "(which|what) (tools|functions) (do you have|are there|can you use|are offered|can you call|do you know|are "
    "available|have I given you|did I offer|are available here|can you call here)?|"
    "(list|show|name|tell me) (your tools|the tools|your functions|the tools you have|the offered tools|the tools here)"
)
_TODAY = (
    "(what day is it|what is the date|what's the date today|what is today's date|which date is it|what is the date "
    "today|today's date|what's today's date|tell me the date|do you know the date|what date do we have)?"
)


class Turn(NamedTuple):
    """What is asked and answered; `short` and `example` answer the follow-ups."""

    ask: str
    answer: str
    short: str = ""
    example: str = ""


class Conversation:
    """A dialog in the making: who said what so far, and what is known."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.messages: list[Message] = []
        self.tools: list[ToolDefinition] = []
        self.today = words.calendar_date(rng)
        self.told: dict[str, str] = {}
        self.last: Turn | None = None
        self.brief = False
        self.prefix = ""
        self.calls = 0
        self.offers: list[offers.Offer] = []
        self.searches: list[BuiltinTool] = []
        self.format = ToolPromptFormat.json

    # Whole conversations

    def without_tools(self) -> None:
        self._system()
        for _ in range(self._length()):
            self._plain_turn()

    def with_tools(self) -> None:
        """Custom tools, built-in ones, or both."""
        rng = self.rng
        if rng.random() < 0.12:
            self.searches = rng.choice(_SEARCHES)
            self.tools = [ToolDefinition(tool_name=tool) for tool in self.searches]
        if not self.searches or rng.random() < 0.4:
            self.format = rng.choices((ToolPromptFormat.json, ToolPromptFormat.function_tag), (57, 43))[0]
            self.offers = offers.offers(rng)
            if self.searches:
                self.offers = self.offers[:2]
            self.tools += [one.definition for one in self.offers]
        if rng.random() < 0.35:
            self._system()
        # Reading an offer costs much, a further request little: so there are several, though most people have one.
        for turn in range(rng.choices((1, 2, 3, 4, 5, 6, 7), (20, 18, 18, 16, 12, 9, 7))[0]):
            kind = rng.random()
            if kind < (0.62 if turn == 0 else 0.52):
                self._call()
            elif kind < 0.73:
                self._unfitting()
            elif kind < 0.81:
                self._state()
            elif kind < 0.90:
                self._say(_of_topic(rng, rng.choice(SMALL_TALK)))
            elif kind < 0.93:
                self._about_tools()
            else:
                self._plain_turn()
        if not self.messages or self.messages[-1].role != "assistant":
            self._call()  # there was nothing to say about these tools

    def _length(self) -> int:
        if self.rng.random() < 0.012:
            return self.rng.randint(8, 22)  # rarely, and to the end of the context
        return self.rng.choices((1, 2, 3, 4, 5, 6), (46, 20, 14, 10, 6, 4))[0]

    # System messages

    def _system(self) -> None:
        rng = self.rng
        kind = rng.random()
        if kind < 0.55:
            return
        if kind < 0.75:
            text = rng.choice(_NEUTRAL_SYSTEMS)
            if rng.random() < 0.1:
                text = f"You are {words.phrase(rng)}."
        elif kind < 0.83:
            text, self.brief = rng.choice(_BRIEF_SYSTEMS), True
        elif kind < 0.91:
            title = rng.choice(_TITLES) if rng.random() < 0.5 else words.name(rng)
            text, self.prefix = rng.choice(_TITLE_SYSTEMS).format(title), f"Well, {title}: "
            self.told["name"] = title
        elif kind < 0.93:
            text, self.prefix = rng.choice(_PIRATE_SYSTEMS), "Arr! "
        else:
            name = rng.choice([name for name, fact in personal.FACTS.items() if fact.system])
            self.told[name] = personal.FACTS[name].value(rng)
            text = words.say(rng, personal.FACTS[name].system).format(self.told[name])
            if rng.random() < 0.3:
                text = f"{rng.choice(_NEUTRAL_SYSTEMS)} {text}"
        self.messages.append(SystemMessage(content=text))

    # Single turns

    def _say(self, turn: Turn) -> None:
        answer = self.prefix + (turn.short if self.brief and turn.short else turn.answer)
        self.messages.append(UserMessage(content=turn.ask))
        self._answer(answer)
        self.last = turn._replace(answer=answer)

    def _answer(self, text: str) -> None:
        self.messages.append(CompletionMessage(content=text, stop_reason=StopReason.end_of_turn))

    def _plain_turn(self) -> None:
        rng = self.rng
        kind = rng.random()
        if kind < 0.42:
            self._say(_of_topic(rng, rng.choice(ABOUT_LLAMA_NB)))
        elif kind < 0.60:
            self._say(_of_topic(rng, rng.choice(SMALL_TALK)))
        elif kind < 0.71 and not self._may_be_served():
            self._say(Turn(*general.question(rng, self._is_beyond_tools())))
        elif kind < 0.80:
            self._say(Turn(*showing.something(rng)))
        elif kind < 0.92:
            self._personal()
        elif kind < 0.96 or self.last is None:
            self._unanswerable()
        else:
            self._look_back(self.last)

    def _personal(self) -> None:
        rng = self.rng
        asking = rng.random() < (0.65 if self.told else 0.2)
        if asking:
            name = rng.choice(list(self.told)) if self.told and rng.random() < 0.9 else rng.choice(list(personal.FACTS))
            fact = personal.FACTS[name]
            answer = fact.known.format(self.told[name]) if name in self.told else fact.unknown
            self._say(Turn(words.typed(rng, words.say(rng, fact.asks)), answer))
        elif rng.random() < 0.06:
            self.told["name"], self.told["city"] = words.name(rng), words.city(rng)
            self._say(Turn(*personal.two_at_once(rng, self.told["name"], self.told["city"])))
        else:
            name = "name" if rng.random() < 0.45 else rng.choice(list(personal.FACTS))
            fact = personal.FACTS[name]
            value = self.told[name] = fact.value(rng)
            ask = words.typed(rng, words.say(rng, fact.tells)).format(value)
            self._say(Turn(ask, fact.noted.format(value)))
            if rng.random() < 0.6:
                self._plain_or_asked(name)

    def _plain_or_asked(self, name: str) -> None:
        """Soon or at once the fact is asked for: what is told once must be worth remembering."""
        rng = self.rng
        for _ in range(rng.choices((0, 1, 2), (5, 3, 2))[0]):
            self._say(_of_topic(rng, rng.choice(rng.choice((ABOUT_LLAMA_NB, SMALL_TALK)))))
        fact = personal.FACTS[name]
        self._say(Turn(words.typed(rng, words.say(rng, fact.asks)), fact.known.format(self.told[name])))

    def _unanswerable(self) -> None:
        """Sums, and what only a tool could do; where tools are offered it would be unclear whether one fits."""
        rng = self.rng
        if self.tools:
            self._state()
        elif rng.random() < 0.1:
            self._say(Turn(words.typed(rng, words.say(rng, f"({_WHICH_TOOLS})")), NO_TOOLS_HERE))
        elif rng.random() < 0.3:
            self._say(Turn(*general.sum_(rng)))
        elif rng.random() < 0.6:
            self._say(Turn(*general.live(rng)))
        else:
            one = offers.some_offer(rng)
            self._say(Turn(asks.use(rng, one).ask, general.NO_TOOL, general.NO_TOOL_BRIEF))

    def _state(self) -> None:
        """Something is said, and nothing wanted."""
        rng = self.rng
        near = beside.statement(rng, rng.choice(self.offers).family.theme) if self.offers and rng.random() < 0.65 else None
        self._say(Turn(near or statements.statement(rng), NOTED))

    def _look_back(self, last: Turn) -> None:
        rng = self.rng
        kind = rng.random()
        if kind < 0.3:
            ask, answer = _AGAIN, last.answer.removeprefix(self.prefix)
        elif kind < 0.6:
            ask, answer = _SHORTER, last.short or last.answer.removeprefix(self.prefix)
        elif kind < 0.8:
            ask, answer = _EXAMPLE, last.example or NO_EXAMPLE
        else:
            ask, answer = _MORE, NO_MORE
        self._say(Turn(words.typed(rng, words.say(rng, ask)), answer))

    # Tools

    def _may_be_served(self) -> bool:
        return bool(self.searches) or any(one.family.serves_any for one in self.offers)

    def _is_beyond_tools(self) -> bool:
        """Whether any question of what and who is beyond what is offered."""
        return not any(one.family.results and one.family.theme for one in self.offers)

    def _unfitting(self) -> None:
        """A request that no tool here serves."""
        if self._may_be_served():
            self._plain_turn()
            return
        theme, *others = {one.family.theme for one in self.offers}
        if not others and self.rng.random() < 0.7 and (near := beside.request(self.rng, theme)):
            self._say(Turn(*near))
            return
        other = offers.other_than(self.rng, self.offers)
        self._say(Turn(asks.use(self.rng, other).ask, beside.NO_FITTING_TOOL, beside.NO_FITTING_TOOL_BRIEF))

    def _about_tools(self) -> None:
        rng = self.rng
        kind = rng.random()
        names = [f"`{tool_name_str(tool.tool_name)}`" for tool in self.tools]
        if kind < 0.25:
            self._say(Turn(words.typed(rng, words.say(rng, f"({_WHICH_TOOLS})")), f"I can call {', '.join(names)}."))
        elif kind < 0.5:
            if not any(mark in repr(self.tools).lower() for mark in ("date", "time", "day", "calendar", "search")):
                day = f"{self.today.day} {MONTHS[self.today.month - 1]} {self.today.year}"
                self._say(Turn(words.typed(rng, words.say(rng, _TODAY)), f"Today is {day}."))
        elif kind < 0.75:
            self._unanswerable()
        elif missing := [one.family.missing for one in self.offers if one.family.missing]:
            lacking, back = rng.choice(missing)
            self._say(Turn(words.typed(rng, rng.choice(lacking.split("|")), closers=(" please", "?")), back))

    def _call(self) -> None:
        rng = self.rng
        if self.searches and (not self.offers or rng.random() < 0.5):
            found = searches.search(rng, self.searches)
            self._ask(found.ask)
            self._write_call(found.tool, {"query": found.query})
            if rng.random() < 0.7:
                self._answer_to(found.result, f"I found: {found.result.rstrip('.')}.")
            return
        one = rng.choice(self.offers)
        kind = rng.random()
        if kind < 0.1 and self._call_twice(one):
            return
        use = asks.use(rng, one)
        self._ask(use.ask)
        self._write_call(one.name, use.arguments)
        if rng.random() < 0.5:
            self._answer_of(one, use)
        if rng.random() < 0.1 and (then := asks.again(rng, one, use)):
            self._ask(then.ask)
            self._write_call(one.name, then.arguments)
            if rng.random() < 0.7:
                self._answer_of(one, then)

    def _call_twice(self, one: offers.Offer) -> bool:
        """Two things in one request: the second call follows the first result."""
        rng = self.rng
        other = rng.choice(self.offers)
        both = asks.two_values(rng, one) if other is one else asks.two_at_once(rng, one, other)
        if both is None:
            return False
        first, second = both.uses
        self._ask(both.ask)
        self._write_call(one.name, first.arguments)
        came = self._come(one, first)
        self._respond(came[0])
        self._write_call(other.name, second.arguments)
        came_then = self._come(other, second)
        self._answer_to(came_then[0], f"{came[1]} {came_then[1]}")
        return True

    def _answer_of(self, one: offers.Offer, use: asks.Use) -> None:
        self._answer_to(*self._come(one, use))

    def _come(self, one: offers.Offer, use: asks.Use) -> tuple[str, str]:
        """What comes of a call, and what is said of it."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.09:
            text = values.fill(rng, rng.choice(manners.FAILURES))
            return text, f"I could not do that: {results.trouble(text)}."
        if kind < 0.14:
            text = values.fill(rng, rng.choice(manners.DENIALS))
            reason = text.removeprefix("denied").removeprefix(": ")
            plain = not reason or reason == "the user did not allow this call"
            return text, NOT_ALLOWED if plain else f"{NOT_ALLOWED[:-1]}: {reason}."
        came = results.result(rng, one)
        return came, results.told(one, use, came)

    def _ask(self, text: str) -> None:
        self.messages.append(UserMessage(content=text))

    def _write_call(self, name: str | BuiltinTool, arguments: dict[str, Any]) -> None:
        """Closed as the prompt's format has it: behind a tag the tool is to be run at once."""
        call = ToolCall(call_id=f"call-{self.calls}", tool_name=name, arguments=arguments)
        self.calls += 1
        tagged = needs_python_tag([call], self.format)
        reason = StopReason.end_of_message if tagged else StopReason.end_of_turn
        self.messages.append(CompletionMessage(content="", stop_reason=reason, tool_calls=[call]))
        self.last = None

    def _respond(self, text: str) -> None:
        last = self.messages[-1]
        assert isinstance(last, CompletionMessage)
        call = last.tool_calls[0]
        self.messages.append(ToolResponseMessage(call_id=call.call_id, tool_name=call.tool_name, content=text))

    def _answer_to(self, came: str, answer: str) -> None:
        self._respond(came)
        self._answer(self.prefix + answer)
        self.last = Turn("", self.prefix + answer)


_SEARCHES = (
    [BuiltinTool.brave_search],
    [BuiltinTool.brave_search],
    [BuiltinTool.wolfram_alpha],
    [BuiltinTool.brave_search, BuiltinTool.wolfram_alpha],
    [BuiltinTool.brave_search, BuiltinTool.wolfram_alpha],
)


def _of_topic(rng: Random, topic: Topic) -> Turn:
    ask = words.typed(rng, words.say(rng, rng.choice(topic.asks)))
    return Turn(ask, topic.answer, topic.short, topic.example)
