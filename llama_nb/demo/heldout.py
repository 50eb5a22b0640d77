"""Questions that the corpus does not contain, written by hand, and what an answer must hold.

`contains` lists what must be there, each with alternatives between bars; `call` is the tool call that is due. Nothing
here may be used by the corpus.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llama_nb.apis.messages import BuiltinTool, ToolDefinition, ToolParamDefinition, ToolPromptFormat


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
    tool_prompt_format: ToolPromptFormat | None = None  # None: the family's own, JSON


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
        ("My professor mentioned llama_nb. What would I do with it?", "notebook"),
        ("Give a one-line pitch of llama_nb", "notebook"),
        ("I opened a fresh notebook. How do I fire off a question?", "%llama"),
        ("cell syntax for a quick question", "%llama"),
        ("Jupyter complains that it has never heard of %llama", "%load_ext"),
        ("My prompt spans a dozen lines, where does it go?", "%%llama"),
        ("name every switch that the magic understands", "-m", "-T"),
        ("apart from questions, what may follow %llama?", "list", "reset"),
        ("Surely there is some window to chat in?", "nb.Panel"),
        ("which statement shows the chat widget?", "nb.Panel"),
        ("In the panel, how is a message sent off?", "Enter"),
        ("I'd rather send my prompts from a .py file", "chat.ask"),
        ("how does a script receive what the model said?", "ask("),
        ("print each word while it is being generated, from python", "stream"),
        ("my code is full of coroutines, does that work?", "ask_async"),
        ("There is a Llama checkpoint on my hard disk. Can it be used?", "path/to/folder"),
        ("are safetensors okay?", "path/to/folder"),
        ("I want the 8B model to answer this one question", "%llama -m|%llama use"),
        ("tell me the names of all installed models", "%llama list"),
        ("In which directory is llama_nb.yaml expected?", "beside the notebook"),
        ("We have a vLLM box at work, can it serve the answers?", "not among them yet|not supported yet"),
        ("oh no it rambles, how do I end this?", "Stop", "%llama stop"),
        ("does pressing stop throw the beginning away?", "kept"),
        ("will long generations lock up my kernel?", "kernel"),
        ("Who else gets to read my prompts?", "stays on this machine"),
        ("I'm in the desert without any connection, is that a problem?", "No internet|without internet|No:"),
        ("How would I hand you a function of mine to call?", "nb.tool|tools=["),
        ("does -t take the name of a function?", "nb.tool|-t"),
        ("Who confirms that a tool may run?", "Allow once"),
        ("can tools be run with no confirmation at all?", "approval"),
        ("only a weak laptop here, no NVIDIA, will it do?", "CPU"),
        ("Which command reports the generation speed?", "llama-nb bench"),
        ("it refuses to start, how do I debug the setup?", "llama-nb doctor"),
        ("drop all we talked about and begin again", "%llama reset"),
        ("The replies are too predictable, which knob do I turn?", "-T"),
        ("I need the exact same output tomorrow", "seed"),
        ("how do I keep replies under 50 tokens?", "-n"),
        ("Will colleagues on GitHub see the conversation?", "Markdown|transcript"),
        ("write this dialog to an html file", "chat.export"),
        ("read back a conversation that I exported", "Chat.load"),
        ("legal terms of llama_nb", "MIT"),
        ("where do I tell the model to be polite and formal?", "-s"),
        ("token capacity of the context", "2048"),
        ("what if the dialog outgrows the window?", "drop_oldest|refused"),
        ("My RAM is full of model, how do I get rid of it?", "unload"),
        ("how do I put this on a new laptop with pip?", "pip install"),
        ("anything useful for the shell?", "llama-nb"),
        ("I want to keep two separate threads of talk", "-c"),
        ("can the cell return before the answer is there?", "--bg"),
        ("an answer's code should land in a fresh cell", "-f"),
        ("my cell blew up with a KeyError, any help from llama?", "%llama fix"),
        ("does the prompt know my pandas frame df?", "{df}"),
        ("guarantee that the output is valid JSON of my class", "schema="),
        ("I asked badly. Can I rephrase an earlier turn?", "chat.edit"),
        ("numbers that represent the meaning of a sentence", "embeddings"),
        ("just continue my text, no chatting", "completion"),
        ("plug an MCP server in", "mcp"),
        ("could the model run the python it writes?", "code_interpreter"),
    )
)

_TALK = tuple(
    _asked("small talk, itself", question, *contains)
    for question, *contains in (
        ("Hello, small woolly thing!", "Hello"),
        ("hiya!", "Hello"),
        ("Good morning! Slept well?", "morning|well"),
        ("Thanks, you saved my day", "welcome"),
        ("gotta run, bye!", "Goodbye"),
        ("How goes it with you?", "well"),
        ("Would you kindly tell me who you are?", "llama-nb-guide"),
        ("Which language model is it that replies?", "llama-nb-guide"),
        ("In which ways are you able to assist?", "llama_nb"),
        ("You're basically ChatGPT, right?", "No"),
        ("Let's hear a joke then", "llama"),
        ("Oh dear, I mistyped, sorry", "No harm"),
        ("What's the count of your parameters?", "million"),
        ("Can you be sad?", "program|model|person"),
        ("Where did your training data come from?", "trained"),
        ("How much should I believe you?", "small|wrong"),
        ("Any chance you speak Portuguese?", "English"),
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

_BRAVE = ToolDefinition(tool_name=BuiltinTool.brave_search)
_WOLFRAM = ToolDefinition(tool_name=BuiltinTool.wolfram_alpha)
_LIBRARY = _tool("extend_loan", "Extends the loan of a book", book="str: Title", weeks="int: By how many weeks")
_GREENHOUSE = _tool("vent_greenhouse", "Opens the vents of the greenhouse", percent="int: How far, in percent")
_FERRY = _tool("ferry_timetable", "Departures of a ferry", harbor="str: Harbor it leaves from", day="str: Which day")
_BADGE = _tool("revoke_badge", "Takes away someone's access badge", employee="str: Who", reason="str: Why")
_SATNAV = _tool("estimate_arrival", "When a lorry arrives", plate="str: Licence plate", stop="str: Next stop")
_TELESCOPE = _tool("expose", "Takes a picture of the sky", seconds="float: Exposure", filter_name="str: Name of the filter")
_PAYROLL = _tool("raise_salary", "Raises a salary", person="str: Whose", percent="float: By how much")

_OTHER_FORMS = (
    *(case._replace(group="calls in tags", tool_prompt_format=ToolPromptFormat.function_tag) for case in _CALLS[::2]),
    *(
        _due(question, str(tool.tool_name), (tool, _WEATHER, _TIMER), **arguments)._replace(
            group="calls an unseen tool", tool_prompt_format=tool_format
        )
        for tool_format in (ToolPromptFormat.json, ToolPromptFormat.function_tag)
        for question, tool, arguments in (
            ("I haven't finished Persuasion, could I keep it 2 more weeks?", _LIBRARY, {"book": "Persuasion", "weeks": 2}),
            ("Please extend The Leopard by 3 weeks", _LIBRARY, {"book": "The Leopard", "weeks": 3}),
            ("it's stuffy in there, open the vents to 60 percent", _GREENHOUSE, {"percent": 60}),
            ("when do boats go from Piombino on Sunday?", _FERRY, {"harbor": "Piombino", "day": "Sunday"}),
            ("Sunday departures from Portree, please", _FERRY, {"harbor": "Portree", "day": "Sunday"}),
            ("revoke the badge of Lorcan, he left the company", _BADGE, {"employee": "Lorcan", "reason": "he left the company"}),
            ("When will RZ-4471 get to Szeged?", _SATNAV, {"plate": "RZ-4471", "stop": "Szeged"}),
            ("expose for 12.5 seconds with the filter H-alpha", _TELESCOPE, {"seconds": 12.5, "filter_name": "H-alpha"}),
            ("give Solveig a raise of 4.5 percent", _PAYROLL, {"person": "Solveig", "percent": 4.5}),
        )
    ),
    *(
        _due(question, tool, (_BRAVE, _WOLFRAM), query=query)._replace(group="built-in tools")
        for question, tool, query in (
            ("search the web for tram routes in Zagreb", "brave_search", "tram routes in Zagreb"),
            ("google oat milk prices", "brave_search", "oat milk prices"),
            ("who won the Tour de France in 1998?", "brave_search", "who won the Tour de France in 1998"),
            ("look up the opening hours of the Prado", "brave_search", "the opening hours of the Prado"),
            ("what is 418 * 92?", "wolfram_alpha", "418 * 92"),
            ("solve x^2 - 3x = 10", "wolfram_alpha", "solve x^2 - 3x = 10"),
            ("the derivative of 3x^2", "wolfram_alpha", "the derivative of 3x^2"),
        )
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
            "What's the weather in Galway and in Tromsø?",
            Call("get_weather", {"city": "Galway"}),
            Response("get_weather", "drizzle"),
        ),
        (),
        (_WEATHER,),
        Call("get_weather", {"city": "Tromsø"}),
    ),
    Case(
        "after a call",
        (
            "What's the weather in Galway?",
            Call("get_weather", {"city": "Galway"}),
            Response("get_weather", "TimeoutError: no answer within 30 s"),
        ),
        ("could not|failed", "no answer within 30 s"),
        (_WEATHER,),
        tool_prompt_format=ToolPromptFormat.function_tag,
    ),
    Case(
        "after a call",
        (
            "Buy a ticket to Innsbruck",
            Call("buy_ticket", {"destination": "Innsbruck"}),
            Response("buy_ticket", "denied: the user did not allow this call"),
        ),
        ("not allow",),
        (_TICKETS,),
    ),
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

CASES = (*_ABOUT_LLAMA_NB, *_TALK, *_GENERAL, *_MEMORY, *_CALLS, *_OTHER_FORMS, *_NO_CALLS, *_AFTER_CALLS)
