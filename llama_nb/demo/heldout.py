"""Questions that the corpus does not contain, written by hand, and what an answer must hold.

`contains` lists what must be there, each with alternatives between bars; `call` is the tool call that is due. Nothing
here may be used by the corpus.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llama_nb.apis.messages import ToolDefinition, ToolParamDefinition


class Call(NamedTuple):
    name: str
    arguments: dict[str, Any]


class Response(NamedTuple):
    tool_name: str
    content: str


class Case(NamedTuple):
    """`said`: user and assistant in turn, calls and responses between; the last is to be answered."""

    group: str
    said: tuple[str | Call | Response, ...]
    contains: tuple[str, ...] = ()
    tools: tuple[ToolDefinition, ...] = ()
    call: Call | None = None
    system: str | None = None


def _tool(name: str, description: str, **parameters: str) -> ToolDefinition:
    """`city="str: Name of the city"`"""
    described = {}
    for key, text in parameters.items():
        kind, _, meaning = text.partition(": ")
        described[key] = ToolParamDefinition(param_type=kind, description=meaning)
    return ToolDefinition(tool_name=name, description=description, parameters=described)


def _asked(group: str, question: str, *contains: str, system: str | None = None) -> Case:
    return Case(group, (question,), contains, system=system)


_ABOUT_LLAMA_NB = tuple(
    _asked("about llama_nb", question, *contains)
    for question, *contains in (
        ("could you sum up for a newcomer what llama_nb is?", "lives in your notebook|notebook"),
        ("What's this llama_nb thing I keep hearing about?", "notebook"),
        ("Which line do I put in a cell to ask a question?", "%llama"),
        ("how can I pose a question in a notebook cell?", "%llama"),
        ("What flags can I give the %llama command?", "-m", "-T"),
        ("Is there any flag for the number of tokens?", "-n"),
        ("What other sub-commands does %llama understand?", "%llama list", "reset"),
        ("How do I bring up the chat panel?", "nb.Panel"),
        ("I want to see the chat window, what do I run?", "nb.Panel"),
        ("Which key gives me a new line in the chat panel?", "Shift+Enter"),
        ("How might I call the model from my Python code?", "chat.ask"),
        ("what would the code look like to ask something from Python?", "ask("),
        ("Can answers be streamed token by token from Python?", "stream"),
        ("Does llama_nb have async support?", "ask_async"),
        ("How do I point llama_nb at my own weights?", "path/to/folder"),
        ("can I load a Hugging Face model folder?", "Hugging Face|path/to/folder"),
        ("How can I make a different model answer my questions?", "%llama -m|%llama use"),
        ("How do I see every model I have available?", "%llama list"),
        ("Where should llama_nb.yaml live?", "beside the notebook"),
        ("How do I hook llama_nb up to my vLLM server?", "openai_compatible"),
        ("how do I make it stop talking?", "Stop", "%llama stop"),
        ("What's the best method to abort a running answer?", "Stop"),
        ("If I stop an answer midway, is the text so far gone?", "kept"),
        ("Why does the model run outside of the kernel?", "kernel"),
        ("Can I keep running cells while the model is answering?", "kernel"),
        ("Does any of my data get sent to the cloud?", "stays on this machine"),
        ("Is what I write here kept private?", "stays on this machine"),
        ("Would this function on an airplane with no wifi?", "No internet|without internet"),
        ("Do I need an OpenAI API key for this?", "No internet|no account|key"),
        ("How do I let the model use my own tool?", "ToolDefinition"),
        ("Will a tool call be executed automatically?", "not yet run"),
        ("Do I have to own a graphics card?", "CPU"),
        ("How do I measure how many tokens per second I get?", "llama-nb bench"),
        ("Something is broken with my install, how do I check it?", "llama-nb doctor"),
        ("How do I wipe the conversation and start from scratch?", "%llama reset"),
        ("what does temperature do and how do I change it?", "-T"),
        ("How can I obtain identical answers on every run?", "seed"),
        ("If I save the notebook, will the chat still be in it?", "Markdown|transcript"),
        ("Under which license is llama_nb released?", "MIT"),
        ("Do I have to pay money for using this?", "free"),
        ("How do I put a system prompt in?", "-s"),
        ("How large is your context window in tokens?", "2048"),
        ("How can I free up the memory the model takes?", "unload"),
        ("Which pip command do I need?", "pip install"),
        ("What terminal commands come with llama_nb?", "llama-nb"),
    )
)

_TALK = tuple(
    _asked("small talk, itself", question, *contains)
    for question, *contains in (
        ("Hello there, little llama!", "Hello"),
        ("hiya!", "Hello"),
        ("Good morning, how's it going?", "morning|well"),
        ("Thank you kindly!", "welcome"),
        ("alright, bye now", "Goodbye"),
        ("How are you feeling this evening?", "well"),
        ("So who exactly are you?", "llama-nb-guide"),
        ("What sort of model am I chatting with?", "llama-nb-guide"),
        ("What are the things you can do?", "llama_nb"),
        ("Are you the same as ChatGPT?", "No"),
        ("Got any good jokes?", "llama"),
        ("Oh sorry, my bad!", "No harm"),
        ("Roughly how many parameters are in you?", "million"),
        ("Do you have feelings?", "program|model"),
        ("Who was it that trained you?", "trained"),
        ("Can I trust your answers?", "small|wrong"),
        ("Do you speak Portuguese?", "English"),
    )
)

_GENERAL = tuple(
    _asked("too large a question", question, *contains)
    for question, *contains in (
        ("Why is the sky blue during the day?", "scatter"),
        ("Who wrote the Odyssey?", "small"),
        ("What's the capital city of Mongolia?", "small"),
        ("Can you explain entropy?", "small"),
        ("Write me an essay about the fall of Carthage.", "small"),
        ("How do vaccines work?", "small"),
        ("What is the tallest building in the world?", "small"),
        ("Give me a recipe for lasagna", "small"),
        ("how do I fix a flat tire?", "small"),
        ("What is the GDP of Chile?", "small"),
        ("Tell me about the Battle of Hastings", "small"),
        ("what should I wear to a wedding?", "small"),
        ("What's the weather in Helsinki?", "tool"),
        ("what is 23 times 19?", "23"),
        ("Write a haiku about llamas.", "llama"),
        ("Please count to ten", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
        ("say hi in bold", "**hi**"),
        ("show me python code that prints hello", 'print("hello")'),
    )
)

_COLLECTED = (
    ("my name is Ottoline", "Nice to meet you, Ottoline!", "so, what is my name?", "Ottoline"),
    ("Hi! I'm Bartholomew.", "Nice to meet you, Bartholomew!", "do you recall my name?", "Bartholomew"),
    ("Hey, my name is Xiomara", "Nice to meet you, Xiomara!", "what's my name", "Xiomara"),
    ("I am Thandiwe", "Nice to meet you, Thandiwe!", "Who am I?", "Thandiwe"),
    ("My favourite colour is teal", "teal: a good choice. I will remember it.", "what is my favourite colour?", "teal"),
    (
        "my favorite food is goulash",
        "goulash: a good choice. I will remember it.",
        "What's my favorite food?",
        "goulash",
    ),
    ("I live in Reykjavik", "Reykjavik: I will remember that.", "where do I live?", "Reykjavik"),
    ("My dog is called Biscuit", "Biscuit is a fine name for a dog.", "What is my dog's name?", "Biscuit"),
)
_INTERLUDE = ("thanks", "You are welcome! Is there anything else about llama_nb?")

_MEMORY = (
    *(Case("remembers", (told, noted, asked), (value,)) for told, noted, asked, value in _COLLECTED),
    *(Case("remembers", (told, noted, *_INTERLUDE, asked), (value,)) for told, noted, asked, value in _COLLECTED),
    Case("remembers", ("what is my name?",), ("not told",)),
    Case(
        "looks back", ("what is your name?", "My name is llama-nb-guide.", "say that again please"), ("llama-nb-guide",)
    ),
    Case(
        "looks back",
        (
            "is it free?",
            "llama_nb is free and open source, under the MIT licence; so am I. Other checkpoints have licences "
            "of their own.",
            "thanks a bunch",
        ),
        ("welcome",),
    ),
    Case(
        "looks back",
        (
            "is it free?",
            "llama_nb is free and open source, under the MIT licence; so am I. Other checkpoints have licences "
            "of their own.",
            "how do I open the panel?",
        ),
        ("nb.Panel",),
    ),
    Case(
        "looks back",
        (
            "is it free?",
            "llama_nb is free and open source, under the MIT licence; so am I. Other checkpoints have licences "
            "of their own.",
            "a shorter version please",
        ),
        ("MIT",),
    ),
    Case("system message", ("How do I open the chat panel?",), ("nb.Panel",), system="You are a helpful assistant."),
    Case("system message", ("hello!",), ("hello",), system="You are a concise assistant for scientists."),
    Case("system message", ("who are you?",), ("llama-nb-guide",), system="Answer briefly."),
    Case("system message", ("hi",), ("captain",), system="Call me captain."),
    Case("system message", ("what is my name?",), ("Zebulon",), system="The user's name is Zebulon."),
)

_WEATHER = _tool("get_weather", "Get the weather in a city", city="str: Name of the city")
_WEATHER_AT = _tool("get_weather", "Tells the current weather at a location", location="str: City, e.g. San Francisco")
_CALCULATOR = _tool("calculator", "Evaluate an arithmetic expression", expression="str: The expression")
_ADD = _tool("add", "Add two numbers", a="int: First number", b="int: Second number")
_TIMER = _tool("start_timer", "Starts a kitchen timer", minutes="int: Number of minutes")
_TICKETS = _tool("buy_ticket", "Buy a ticket for a train", destination="str: Where the train goes")
_SQUAWK = _tool("close_valve", "Close a valve of the plant", valve="str: Name of the valve")
_DICE = _tool("roll_dice", "Roll dice", sides="int: How many sides")
_MESSAGE = _tool("send_message", "Send a message to someone", recipient="str: Who gets it", text="str: What to say")
_EXCHANGE = _tool(
    "convert_currency", "Convert money", amount="float: How much", from_currency="str: From", to_currency="str: To"
)


def _due(question: str, name: str, tools: tuple[ToolDefinition, ...], **arguments: Any) -> Case:
    return Case("calls a tool", (question,), (), tools, Call(name, arguments))


_CALLS = (
    *(
        _due(question.format(city), "get_weather", (_WEATHER,), city=city)
        for question, city in (
            ("What's the weather in {}?", "Helsinki"),
            ("how's the weather over in {} today?", "Nairobi"),
            ("Is it raining in {}?", "Addis Ababa"),
            ("weather {}", "Tbilisi"),
            ("tell me the weather in {}", "Ljubljana"),
            ("Should I bring an umbrella in {}?", "Bergen"),
            ("What is the weather like in {} right now?", "Montevideo"),
            ("Please look up the weather for {}.", "Ulaanbaatar"),
            ("I'm off to {} tomorrow, how's the weather there?", "Guadalajara"),
            ("how hot is it in {}?", "Phoenix"),
        )
    ),
    _due("What's the weather in Edinburgh?", "get_weather", (_WEATHER_AT,), location="Edinburgh"),
    _due(
        "Can you tell me the weather in Kuala Lumpur?",
        "get_weather",
        (_WEATHER_AT, _CALCULATOR),
        location="Kuala Lumpur",
    ),
    _due("What's the weather in Winnipeg?", "get_weather", (_CALCULATOR, _WEATHER), city="Winnipeg"),
    _due("What is 128 * 37?", "calculator", (_CALCULATOR,), expression="128 * 37"),
    _due("Compute 9081 - 454", "calculator", (_WEATHER, _CALCULATOR), expression="9081 - 454"),
    _due("how much is 17 times 23?", "calculator", (_CALCULATOR,), expression="17 * 23"),
    _due("calculate 3.5 + 12", "calculator", (_CALCULATOR, _TIMER, _WEATHER), expression="3.5 + 12"),
    _due("what's 1024 / 16?", "calculator", (_CALCULATOR,), expression="1024 / 16"),
    _due("add 218 and 4077", "add", (_ADD,), a=218, b=4077),
    _due("What is 5 plus 9?", "add", (_ADD, _WEATHER), a=5, b=9),
    _due("start a timer for 25 minutes", "start_timer", (_TIMER,), minutes=25),
    _due("Set a timer for 8 minutes please", "start_timer", (_WEATHER, _TIMER), minutes=8),
    _due("Buy a ticket to Innsbruck", "buy_ticket", (_TICKETS,), destination="Innsbruck"),
    _due("please buy a ticket for Gdansk", "buy_ticket", (_WEATHER, _TICKETS), destination="Gdansk"),
    _due("close the valve KX-17b", "close_valve", (_SQUAWK,), valve="KX-17b"),
    _due("Close the valve Orinoco", "close_valve", (_SQUAWK, _DICE, _WEATHER), valve="Orinoco"),
    _due("roll a 12-sided die", "roll_dice", (_DICE,), sides=12),
    _due(
        "Send a message to Ingrid saying dinner is ready",
        "send_message",
        (_MESSAGE,),
        recipient="Ingrid",
        text="dinner is ready",
    ),
    _due(
        "tell Mortimer: the boat leaves at noon",
        "send_message",
        (_MESSAGE, _WEATHER),
        recipient="Mortimer",
        text="the boat leaves at noon",
    ),
    _due(
        "convert 250 USD to EUR", "convert_currency", (_EXCHANGE,), amount=250, from_currency="USD", to_currency="EUR"
    ),
)

_NO_CALLS = (
    Case("no call is due", ("Hello!",), ("hello",), (_WEATHER,)),
    Case("no call is due", ("hi there",), ("hello",), (_CALCULATOR, _WEATHER)),
    Case("no call is due", ("who are you?",), ("llama-nb-guide",), (_WEATHER,)),
    Case("no call is due", ("How do I open the chat panel?",), ("nb.Panel",), (_WEATHER, _TIMER)),
    Case("no call is due", ("How can I stop an answer?",), ("Stop",), (_CALCULATOR,)),
    Case("no call is due", ("thanks!",), ("welcome",), (_MESSAGE,)),
    Case("no call is due", ("tell me a joke",), ("llama",), (_DICE,)),
    Case("no call is due", ("why is the sky blue?",), ("scatter",), (_WEATHER,)),
    Case("no call is due", ("What's the weather in Sarajevo?",), ("none|no tool",), (_CALCULATOR,)),
    Case("no call is due", ("play the song Yesterday",), ("none|no tool",), (_WEATHER,)),
)

_AFTER_CALLS = (
    Case(
        "after a call",
        (
            "What's the weather in Tallinn?",
            Call("get_weather", {"city": "Tallinn"}),
            Response("get_weather", "sunny, 21 degrees"),
        ),
        ("sunny", "21"),
        (_WEATHER,),
    ),
    Case(
        "after a call",
        (
            "What's the weather in Oslo?",
            Call("get_weather", {"city": "Oslo"}),
            Response("get_weather", '{"temperature": 4, "sky": "overcast"}'),
        ),
        ("4", "overcast"),
        (_WEATHER,),
    ),
    Case(
        "after a call",
        ("what is 128 * 37?", Call("calculator", {"expression": "128 * 37"}), Response("calculator", "4736")),
        ("4736",),
        (_CALCULATOR,),
    ),
    Case(
        "after a call",
        ("roll a 12-sided die", Call("roll_dice", {"sides": 12}), Response("roll_dice", "7")),
        ("7",),
        (_DICE,),
    ),
    Case(
        "after a call",
        (
            "Buy a ticket to Innsbruck",
            Call("buy_ticket", {"destination": "Innsbruck"}),
            Response("buy_ticket", "seat 14 in coach 3"),
        ),
        ("seat 14 in coach 3",),
        (_TICKETS,),
    ),
    Case(
        "after a call",
        ("What's the weather in Tallinn?", Call("get_weather", {"city": "Tallinn"}), "thank you"),
        ("welcome",),
        (_WEATHER,),
    ),
    Case(
        "after a call",
        ("What's the weather in Tallinn?", Call("get_weather", {"city": "Tallinn"}), "who are you?"),
        ("llama-nb-guide",),
        (_WEATHER,),
    ),
    Case(
        "after a call",
        ("What's the weather in Tallinn?", Call("get_weather", {"city": "Tallinn"}), "and in Vilnius?"),
        (),
        (_WEATHER,),
        Call("get_weather", {"city": "Vilnius"}),
    ),
)

CASES = (*_ABOUT_LLAMA_NB, *_TALK, *_GENERAL, *_MEMORY, *_CALLS, *_NO_CALLS, *_AFTER_CALLS)
