"""What llama-nb-guide knows about llama_nb: for each topic the ways to ask, and the answer.

A way to ask is a template of `words.say`: `(a|b)` is a choice. A topic may have a shorter answer and an example. To
teach the model something new, add a topic here and train again.
"""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    name: str
    asks: tuple[str, ...]
    answer: str
    short: str = ""
    example: str = ""


def _python(code: str) -> str:
    return f"```python\n{code}\n```"


ABOUT_LLAMA_NB = (
    Topic(
        "what it is",
        (
            "<about> (llama_nb|llama nb|llama-nb|llama_nb|LLAMA_NB)?",
            "what does <nb> do?",
            "what is <nb> (good for|for|about|all about|used for)?",
            "(why would I use|why should I use|what can I do with|what do I get from|what is the point of) <nb>?",
            "(what is|explain) this (package|extension|library|project|thing) (here|I just installed|that I loaded|)?",
            "(give me a|a) (summary|short overview|overview|description) of <nb>",
            "what kind of (package|software|tool|project) is <nb>?",
            "(introduce|present) <nb> (to me|in one sentence|in a few words|)",
            "what (are the|) features (does <nb> have|of <nb>)?",
        ),
        "llama_nb is a Llama that lives in your notebook. After `%load_ext llama_nb` you ask with `%llama`, open "
        "a chat "
        'panel with `nb.Panel(chat)`, or call `chat.ask("…")` from code. The model runs in a process of its own, so '
        "the kernel never blocks.",
        "llama_nb puts a Llama into your notebook: `%llama`, a chat panel, and Python calls.",
        _python("%load_ext llama_nb\n%llama hello"),
    ),
    Topic(
        "asking",
        (
            "<how> (ask|ask you|ask a question|ask something|start|begin|talk to you|chat with you|send a prompt|"
            "use you|use it|"
            "use <nb>|use llama|use the magic|get started|work with <nb>|write to you|query the model|prompt the "
            "model) "
            "(in a notebook|in a cell|from a cell|in jupyter|with the magic|)?",
            "<about> (%llama|the %llama magic|the llama magic|the line magic|%llama magic|magics|the magic commands)?",
            "(getting started|first steps|quickstart|usage|quick start|basic usage|tutorial|how does this work|"
            "where do I start)?",
            "how does (%llama|the magic|<nb>) work?",
            "(which|what) (command|magic) (asks a question|do I use to ask|starts a chat|is there)?",
            "show me (the basic usage|how this works|how it works|the basics)",
            "what do I (type|write|enter) in a cell (to ask you something|to get an answer|)?",
            "how (are|do) (questions|prompts) (asked|work|sent)?",
        ),
        "Load the extension once, then ask in any cell:\n\n```python\n%load_ext llama_nb\n%llama why is the sky "
        "blue?\n```\n\n"
        "`%%llama` takes the whole cell as the prompt. The answer streams below the cell.",
        "`%load_ext llama_nb`, then `%llama your question`.",
        _python("%load_ext llama_nb\n%llama hello"),
    ),
    Topic(
        "loading the extension",
        (
            "<how> (load|activate|enable|import|switch on) (the extension|the ipython extension|<nb>|llama_nb|"
            "the magics|the package)?",
            "(%llama|the magic|the line magic|%%llama) (is not found|does not exist|is unknown|not found|is missing)",
            "(UsageError: Line magic function `%llama` not found|magic function not found|why is the magic not found)",
            "what does %load_ext (llama_nb|) do?",
            "(what do I need to|must I) (run|load|import) first?",
            "<about> %load_ext llama_nb?",
        ),
        "Run `%load_ext llama_nb` once in each notebook. After that `%llama` and `%%llama` are there. In code, "
        "`import llama_nb as nb`.",
        "`%load_ext llama_nb`, once in each notebook.",
        _python("%load_ext llama_nb"),
    ),
    Topic(
        "whole cell",
        (
            "<about> (%%llama|the cell magic|%%llama cells|the %%llama magic|the double percent magic)?",
            "<how> (ask|write|send|use|enter) (a long question|a long prompt|several lines|multiple lines|a "
            "multi-line prompt|"
            "a whole cell|more than one line|an entire cell|a paragraph|a prompt with many lines)?",
            "(what is the difference between|difference between) (%llama and %%llama|one and two percent signs|"
            "line and cell magic)?",
            "can a (prompt|question) (have|span|take) (several|many|multiple) lines?",
            "my (prompt|question) is (long|several lines long), (what now|how do I send it)?",
        ),
        "Put `%%llama` in the first line of a cell: everything below it is the prompt. `%llama` takes the rest "
        "of its line.\n\n"
        "```python\n%%llama\nFirst line of the prompt,\nand a second one.\n```",
        "`%%llama` as first line makes the whole cell the prompt.",
    ),
    Topic(
        "options",
        (
            "(which|what) (options|flags|switches|arguments|parameters|settings) (does %llama take|does the magic have|"
            "does %llama have|are there|can I pass|exist for the magic|can I use with %llama|can %llama take|do "
            "you know)?",
            "<about> (the options|the options of %llama|the flags|the options of the magic|-m and -s|magic options)?",
            "<how> (set options|pass options|change the settings|configure %llama|give options to the magic)?",
            "(list|show) (all|the|all the) (options|flags|arguments) (of %llama|for %llama|of the magic|)",
            "what (does|do) (-m|-s|-T|-n|--seed|-T and -n|the flag -s|the flag -m|option -n) (mean|do)?",
        ),
        "`%llama` takes these options before the question:\n\n- `-m NAME`: the model\n- `-s TEXT`: a system message\n"
        "- `-T NUMBER`: the temperature\n- `-n NUMBER`: at most so many tokens\n- `--seed NUMBER`: a fixed seed",
        "`-m` model, `-s` system message, `-T` temperature, `-n` most tokens, `--seed` seed.",
        _python("%llama -T 0.7 -n 100 --seed 1 tell me a story"),
    ),
    Topic(
        "sub-commands",
        (
            "(which|what) (commands|sub-commands|subcommands|magic commands) (are there|does %llama have|do you "
            "know|does %llama know|exist|"
            "does <nb> have|can I use)?",
            "<about> (the commands|the sub-commands|the subcommands of %llama|%llama help|%llama commands)?",
            "(list|show|print) (all|the|all the|me the) (commands|sub-commands|subcommands|magic commands)",
            "(what can I type after %llama|what else can %llama do|besides questions, what does %llama take)?",
            "is there (a help command|a list of commands|a command overview|an overview of commands)?",
            "<how> (see|get|show|find) (the help|help on %llama|help|the manual|the documentation|all commands)?",
            "(help|%llama help|i need help|help me|can you help me|help please|can you help)?",
        ),
        "Besides a question `%llama` takes a command:\n\n- `%llama list`: the models\n- `%llama status`: what runs\n"
        "- `%llama reset`: a new conversation\n- `%llama stop`: stop the answer\n- `%llama unload`: free the memory\n"
        "- `%llama help`: all of this",
        "`%llama list`, `status`, `reset`, `stop`, `unload`, `help`.",
    ),
    Topic(
        "panel",
        (
            "<how> (open|show|display|get|start|see|use|launch|create) (the|a|the) (chat panel|panel|chat window|"
            "widget|chat widget|"
            "chat interface|chat box|graphical interface|GUI|user interface|chat UI)?",
            "<about> (the panel|the chat panel|nb.Panel|the widget|Panel|the chat widget)?",
            "is there (a|some) (chat panel|panel|GUI|widget|graphical chat|user interface|chat window|nicer "
            "interface|UI)?",
            "where is the (chat panel|panel|widget|chat window|GUI)?",
            "(can I chat without typing magics|I would rather click than type|I want a chat like on a website)",
            "(I want|I'd like|give me|show me|open|i need) (a|the) (chat panel|panel|chat window|widget|chat box)",
        ),
        "The chat panel is a widget on a conversation:\n\n```python\nimport llama_nb as nb\nchat = "
        "nb.Chat()\nnb.Panel(chat)\n```\n\n"
        "Enter sends, Shift+Enter makes a new line, Stop ends an answer.",
        "`nb.Panel(nb.Chat())` shows it. Enter sends.",
        _python("import llama_nb as nb\nnb.Panel(nb.Chat())"),
    ),
    Topic(
        "panel keys",
        (
            "<how> (make|insert|type|write|add|get) (a new line|a line break|a second line|a newline) (in the "
            "panel|in the chat|in the chat box|)?",
            "(which|what) (keys|keyboard shortcuts|shortcuts|hotkeys) (are there|does the panel have|work in the "
            "panel|can I use|does the panel know)?",
            "what does (Enter|Shift+Enter|the Enter key|shift enter) do (in the panel|)?",
            "(keyboard shortcuts|shortcuts|which key sends|how do I send a message in the panel|how do I send in "
            "the panel)?",
            "<how> send (the|a|my) message (in the panel|in the chat panel|with the keyboard)?",
        ),
        "In the chat panel Enter sends, Shift+Enter makes a new line, and the Stop button ends an answer.",
        "Enter sends, Shift+Enter makes a new line.",
    ),
    Topic(
        "from code",
        (
            "<how> (use|call|ask|run|control|reach|query|access|program) (you|it|<nb>|the model|llama|the chat) "
            "(from code|from python|in python|with python code|programmatically|in a script|in my own code|from "
            "a function|in a program)?",
            "<about> (nb.Chat|the Chat class|Chat|the python API|chat.ask|the API|the ask method)?",
            "(is there|does it have|do you have) (a python API|an API|a programming interface|a python interface)?",
            "(show me|give me) (python code|code|an example|a code example|a snippet) (that asks a question|for "
            "asking you|for using llama_nb|using the API|"
            "to ask the model|that uses llama_nb|for nb.Chat)",
            "(call|use|ask) (the model|you|llama) (from|in) (python|code|a loop|a function)",
            "can I (call|ask|use) (you|the model|llama) (in a loop|from a for loop|in my functions|in a script|"
            "for many questions)?",
            "how do I get (the answer|a reply|the response) (as a string|into a variable|in a variable|as text)?",
            "python api",
        ),
        'From code:\n\n```python\nimport llama_nb as nb\nchat = nb.Chat()\nreply = chat.ask("Who are '
        'you?")\nprint(reply)\n```\n\n'
        '`str(reply)` is the answer. `chat.stream("…")` gives events, `await chat.ask_async("…")` waits without '
        "blocking.",
        '`nb.Chat().ask("…")` returns a reply; `str(reply)` is its text.',
        _python('import llama_nb as nb\nprint(nb.Chat().ask("Who are you?"))'),
    ),
    Topic(
        "streaming",
        (
            "<how> (stream|stream an answer|stream tokens|get tokens one by one|get the answer piece by piece|"
            "receive events|"
            "read the answer as it is written|show tokens as they come) (from code|in python|)?",
            "<about> (streaming|chat.stream|token streaming|the stream method|events)?",
            "(does it|can it|do you|does the answer|can you) stream (answers|tokens|)?",
            "(is|are) (streaming|streamed answers) (possible|supported|available)?",
            "can I (process|get|see|handle) (each|every) (token|word|piece) (as it comes|one by one|when it arrives)?",
        ),
        "`%llama` and the panel stream by themselves. From code, `chat.stream` yields an event for each piece:\n\n"
        '```python\nfor event in chat.stream("Tell me a joke"):\n    print(event)\n```',
        '`for event in chat.stream("…")`; magics and panel stream anyway.',
        _python('for event in chat.stream("Tell me a joke"):\n    print(event)'),
    ),
    Topic(
        "async",
        (
            "<how> (use async|await an answer|ask asynchronously|use await|call it asynchronously|use asyncio|"
            "ask without blocking|run several questions at once)?",
            "<about> (async|ask_async|stream_async|asyncio|the async API|asynchronous calls)?",
            "(does it|is there|can I use|do you) (support|an|) (async|async API|async support|asyncio|await)?",
            "is there an (async|asynchronous) (version|method|api|call)?",
        ),
        'Yes: `reply = await chat.ask_async("…")` waits without blocking, and `async for event in '
        'chat.stream_async("…")` '
        "streams.",
        '`await chat.ask_async("…")`.',
        _python('reply = await chat.ask_async("Who are you?")'),
    ),
    Topic(
        "own checkpoint",
        (
            "<how> (use|load|run|open|add|try|plug in) (my own model|another checkpoint|a bigger model|my own "
            "checkpoint|a real llama|a larger llama|"
            "Llama 3|Llama3.2-3B-Instruct|a Llama 3.1 8B|a hugging face model|a downloaded model|my own weights|"
            "my checkpoint|a better model|"
            "a model from hugging face|custom weights|local weights|a checkpoint folder|my finetuned model|a "
            "checkpoint from Meta|my llama weights)?",
            "(which|what) (checkpoints|formats|checkpoint formats|file formats|weights|models) (can it load|are "
            "supported|does it read|do you support|work|can I use|can be loaded)?",
            "(can it|does it|do you|can llama_nb) (load|read|support|run|open) (hugging face checkpoints|"
            "safetensors|Meta's weights|huggingface models|other models|"
            "bigger models|Llama 3.2|my model|larger models|consolidated.00.pth|.pth files)?",
            "<about> (checkpoints|own checkpoints|checkpoint folders|loading weights|bringing my own model)?",
            "where do I put my (weights|checkpoint|model)?",
            "(I have|I downloaded|I've got) (a checkpoint|Llama 3|the weights|a model) (on disk|in a folder|here|"
            "), (how do I use it|what now|now what)?",
        ),
        "Give the folder of the checkpoint, in Meta's layout or Hugging Face's:\n\n```python\nchat = "
        'nb.Chat("path/to/folder")\n```\n\n'
        "Models that are on this machine or in the run config go by name: `%llama -m NAME question`.",
        '`nb.Chat("path/to/folder")`, or `%llama -m NAME question`.',
        _python('chat = nb.Chat("path/to/folder")\nchat.ask("hello")'),
    ),
    Topic(
        "choosing the model",
        (
            "<how> (switch|change|choose|select|pick|set) (the model|models|to another model|the default model|"
            "between models|a different model|which model answers)?",
            "<about> (LLAMA_NB_MODEL|the default model|%llama use|the -m option|switching models)?",
            "(which|what) model (is the default|is used by default|answers by default|do I get)?",
            "can I (use|have) (two|several|different|other) models?",
            "(make|set) (another|a different) model (the default|as default)",
            "what does (LLAMA_NB_MODEL|-m|%llama use NAME|the option -m) (do|mean)?",
        ),
        "For one question: `%llama -m NAME question`. From then on: `%llama use NAME`. For every notebook: set "
        "the variable "
        "`LLAMA_NB_MODEL`. Until you choose, the small embedded model `llama-nb-guide` answers.",
        "`%llama -m NAME question` once, `%llama use NAME` for good.",
    ),
    Topic(
        "listing models",
        (
            "(which|what) models (are there|can I use|are available|do you have|are installed|does it find|are "
            "on this machine|can I choose|do I have)?",
            "<how> (list|see|show|find) (the models|all models|available models|my models|the installed models)?",
            "(list|show|print) (the|all|all the|my|available) models",
            "<about> (%llama list|the list of models)?",
            "what does %llama list (do|show)?",
        ),
        "`%llama list` shows the models: the embedded `llama-nb-guide`, the checkpoints found on this machine, "
        "and those of "
        "your run config. In a terminal: `llama-nb models`.",
        "`%llama list` shows them.",
    ),
    Topic(
        "run config",
        (
            "<how> (configure|set up|write|make|create|use|edit|change) (llama_nb|the config|a run config|the "
            "configuration|a config file|the run config|providers|llama_nb.yaml)?",
            "<about> (llama_nb.yaml|the run config|the config|the configuration|LLAMA_NB_CONFIG|the config file|"
            "the yaml file|configuration|run configs)?",
            "where (is|goes|do I put|does it look for|must I put) (the config|the config file|the configuration|"
            "llama_nb.yaml|the run config|the yaml)?",
            "(is there|does it have|do I need) a (config|configuration|settings) (file|)?",
            "what does (LLAMA_NB_CONFIG|the yaml|llama_nb.yaml|the config file) (do|contain|mean)?",
            "which file (holds|has|contains) the (configuration|settings|config)?",
        ),
        "Put a `llama_nb.yaml` beside the notebook, or name a file in the variable `LLAMA_NB_CONFIG`. It lists "
        "the providers: "
        'what answers, and with which checkpoint or server. From code: `nb.Stack.from_config("run.yaml")`.',
        "`llama_nb.yaml` beside the notebook, or `LLAMA_NB_CONFIG`; it lists providers.",
    ),
    Topic(
        "providers",
        (
            "<about> (providers|a provider|provider types|the providers|remote models|the openai_compatible provider)?",
            "<how> (use|connect to|connect|talk to|reach|add) (ollama|vllm|a server|a remote model|a cluster|"
            "llama.cpp|TGI|a remote server|my ollama server|"
            "an inference server|a model on a server|a provider|another provider)?",
            "(can it|does it|do you|can llama_nb) (talk to|use|support|work with|connect to) (ollama|vllm|"
            "llama.cpp|a server|TGI|remote models|a cluster|an OpenAI compatible server)?",
            "(which|what) providers (are there|exist|do you support|does llama_nb know|can I use)?",
            "can the model run on (another machine|a server|a cluster|a remote GPU)?",
        ),
        "A provider answers for models. `meta-reference` runs a checkpoint on this machine; `openai_compatible` "
        "talks to a "
        "server such as vLLM, Ollama or llama.cpp. They are listed in the run config, `llama_nb.yaml`.",
        "List an `openai_compatible` provider in `llama_nb.yaml` for a server; `meta-reference` runs on this machine.",
    ),
    Topic(
        "stopping",
        (
            "<how> (stop|cancel|interrupt|abort|end|halt|break off|kill|break|pause) (an answer|a running answer|"
            "the answer|the generation|generation|you|it|the model|"
            "a reply|the output|a long answer|the response|writing|while it is writing|it while it writes|this)?",
            "(it|the answer|the model|%llama) (does not stop|keeps going|never ends|is too long|runs on and on|"
            "goes on forever), (what can I do|how do I stop it|help)?",
            "<about> (%llama stop|the stop button|stopping|cancelling|interrupting)?",
            "what happens (when I stop|if I stop|when I press stop|if I interrupt|when I cancel) (an answer|the "
            "answer|it|you|)?",
            "is the (partial|unfinished|half) answer (kept|lost|saved)?",
            "where is the stop button?",
            "(does|will) (the kernel interrupt button|interrupting the kernel|ctrl-c|the stop square) (work|stop "
            "you|stop the answer)?",
        ),
        "Press Stop in the panel, ■ (interrupt the kernel) in a cell, or run `%llama stop`. The part that is "
        "already written is "
        "kept, and the model stays loaded.",
        "Stop in the panel, ■ in a cell, or `%llama stop`.",
    ),
    Topic(
        "background process",
        (
            "why (a|is there a|does it use a|does it need a|do you run in a|use a) (background process|separate "
            "process|second process|process of its own|worker process|subprocess|different process)?",
            "(does it|do you|will it|does the model|will %llama) (block|freeze|slow down|hang|crash) (the kernel|"
            "my kernel|my notebook|jupyter|the notebook)?",
            "<about> (the background process|the worker|the worker process|the engine process|the architecture|"
            "how it runs)?",
            "(where|how) does the model run?",
            "can I (run|execute|use) (other cells|code|cells|the notebook) (while you answer|while you are "
            "writing|during an answer|while the model is writing|meanwhile)?",
            "what (happens to the kernel|is running in the background|process is that)?",
            "is torch (loaded|imported) in (the|my) kernel?",
            "what happens if the (model|worker) (crashes|dies|runs out of memory)?",
        ),
        "The model runs in a process of its own, so the kernel never blocks: torch stays out of the kernel, your "
        "variables are "
        "safe when the model runs out of memory, and the process ends when the kernel ends.",
        "So the kernel never blocks, and torch stays out of it.",
    ),
    Topic(
        "privacy",
        (
            "(where does|where do|what happens to|who sees|who can see|who reads|do you store|do you save|do you "
            "keep|do you send|is) (my data|my data go|my prompts|my questions|my text|"
            "my notebook|what I type|my messages) (go|sent|private|anywhere|to|)?",
            "(is it|is this|are you|is llama_nb) (private|safe|secure|confidential|local|safe for secret data)?",
            "<about> (privacy|data protection|my privacy|security|telemetry)?",
            "(does|do) (my data|anything|my prompts|any data|it|you) (leave|leave my machine|leave this computer|"
            "get sent to a server|send data|phone home|collect data|go to the cloud|go to Meta)?",
            "(do you|does it|does llama_nb) (track me|spy on me|collect telemetry|upload anything|send anything "
            "over the network|share my data|use the cloud)?",
            "can (Meta|anyone|someone|other people) (see|read) (my prompts|my data|what I write|this chat)?",
            "is my data (safe|private|sent anywhere|uploaded|shared|secure)?",
        ),
        "Everything stays on this machine: the model runs locally, and nothing is sent anywhere. Only if you "
        "list a remote "
        "server in your run config do prompts go there.",
        "Everything stays on this machine.",
    ),
    Topic(
        "internet",
        (
            "(do I need|does it need|do you need|does llama_nb need|is it necessary to have|does this require) "
            "(internet|the internet|a network|an internet connection|to be online|a connection|wifi|an API key|"
            "an account|a key|a login)?",
            "(does it|do you|can it|can I use it|does this|can I use this) (work|run|) (offline|without internet|"
            "on a plane|without a network|without wifi|without an API key)?",
            "(can you|do you|are you able to) (search the web|browse the web|go online|access the internet|look "
            "something up|use google|search the internet|open a website|open web pages)?",
            "are you (online|offline|connected to the internet)?",
            "(must|do) I (sign up|register|log in|have an account)?",
        ),
        "No internet is needed, and no account or key: I ship inside the package and run on this machine. I "
        "cannot look "
        "anything up online.",
        "No: I run on this machine, without internet.",
    ),
    Topic(
        "tools",
        (
            "<how> (give you|use|offer|add|define|pass|provide|make|write|register) (a tool|tools|functions|my "
            "own tool|a function|tool calling|function calling|a tool to the model)?",
            "<about> (tools|tool calls|tool calling|function calling|ToolDefinition|the tools argument)?",
            "(can you|do you|can it|does it) (call|use|support|call|run) (tools|functions|function calling|tool "
            "calls|my functions|python functions)?",
            "(is|are) (tool calling|function calling|tools) (supported|possible|available)?",
            "(show me|give me) (an example|code|an example of|a snippet) (of a tool|for tools|with a tool|that "
            "offers a tool|for tool calling)",
            "what is a tool?",
        ),
        "Offer tools to a chat:\n\n```python\nfrom llama_nb.apis.messages import ToolDefinition\n"
        'clock = ToolDefinition(tool_name="get_time", description="The time of day")\n'
        "chat = nb.Chat(tools=[clock])\n```\n\n"
        "A call unfolds as a collapsible cell. Calls are shown, not yet run.",
        "`nb.Chat(tools=[ToolDefinition(...)])`; calls unfold as cells.",
    ),
    Topic(
        "running tools",
        (
            "(do|are|will|does) (tool calls|the calls|tools|the tool|my function|calls|my tool) (run|executed|"
            "get executed|be run|actually run|get called|run by themselves|run automatically)?",
            "(who|what) (runs|executes|calls) (the tools|a tool|the tool|my function|the tool call)?",
            "what happens (when you call a tool|after a tool call|with a tool call|to a call)?",
            "(why|how come) (did the tool not run|is the tool not run|is there no result|was my function not "
            "called|does nothing happen after the call)?",
            "(is it dangerous|is it safe) (to offer tools|to give you tools|when you call tools)?",
            "where do I see (the tool calls|a tool call|the call|the arguments)?",
        ),
        "A tool call is shown as a collapsible cell with its name and arguments. Calls are shown, not yet run: "
        "nothing is "
        "executed on your machine.",
        "Calls are shown, not yet run.",
    ),
    Topic(
        "gpu",
        (
            "(do I need|does it need|do you need|does it use|do you use|do you run on|does it run on|can it use|"
            "can you use|is there support for|does llama_nb use) (a GPU|the GPU|my GPU|CUDA|an NVIDIA card|a "
            "graphics card|the CPU|special hardware)?",
            "(does it|can it|do you|can you) (run|work) (on CPU|without a GPU|on my laptop|on a CPU only|on a "
            "mac|on an old computer|with CUDA|on the GPU|on several GPUs)?",
            "<how> (use|choose|select|set|run on|switch to|force) (the GPU|CUDA|the CPU|a device|my GPU|the device)?",
            "<about> (GPU support|the device|hardware requirements|the hardware|system requirements|GPU or CPU)?",
            "(what|which) hardware (do I need|is needed|does it need|do you need)?",
            "(GPU or CPU|cpu or gpu|are you on the GPU|which device do you use|where do you compute)?",
        ),
        "I am so small that the CPU is enough. A GPU is used by itself when there is one; the config's `device` "
        "chooses: `auto`, "
        "`cpu` or `cuda`. Larger checkpoints want a GPU.",
        "CPU is enough for me; a GPU is used when there is one.",
    ),
    Topic(
        "bench",
        (
            "<how> (measure the speed|benchmark it|run a benchmark|benchmark the model|measure tokens per second|"
            "test the speed|see how fast it is|benchmark llama_nb|time it)?",
            "<about> (llama-nb bench|the benchmark|benchmarks|benchmarking)?",
            "is there a (benchmark|speed test|performance test)?",
            "how many tokens (per second|a second) (do you make|does it make|do I get|are there)?",
            "how fast (are you|is it|is llama_nb|is this model|is the model)?",
            "(benchmark|speed test|performance|tokens per second)?",
        ),
        "Run `llama-nb bench` in a terminal: its last line is one JSON object with the time to the first token "
        "and tokens per "
        "second. Each reply has its own in `reply.metrics`.",
        "`llama-nb bench` in a terminal.",
    ),
    Topic(
        "slow",
        (
            "why (are you|is it|is the model|is this) (so slow|slow|taking so long|not faster)?",
            "<how> (make it faster|speed it up|make you faster|get faster answers|improve the speed)?",
            "(it|the model|my model|the answer) (is|takes) (so slow|too slow|very slow|forever|very long)",
            "can (you|it) be (faster|quicker)?",
        ),
        "A larger model on a CPU is slow. Use a GPU, a smaller checkpoint, or fewer tokens with `-n`. `llama-nb "
        "bench` measures, "
        "and `llama-nb doctor` looks for what is wrong.",
        "Use a GPU, a smaller model, or `-n` for fewer tokens.",
    ),
    Topic(
        "doctor",
        (
            "<about> (llama-nb doctor|the doctor|the doctor command)?",
            "(it|something|llama_nb|the panel|this|the model) (does not work|is broken|doesn't work|fails|is not "
            "working|won't start|does not start|does not load|crashes)",
            "<how> (find out what is wrong|debug it|check my installation|test my setup|diagnose a problem|solve "
            "problems|fix it|check that everything works|troubleshoot)?",
            "(I get|there is|I see|i have) (an error|a problem|an exception|an error message|trouble|problems)",
            "(troubleshooting|debugging|diagnosis|what is wrong|what's wrong|nothing happens)?",
            "is (my installation|everything|my setup) (ok|fine|correct|all right)?",
        ),
        "Run `llama-nb doctor` in a terminal: it checks the installation, the devices and the checkpoints, and "
        "says what to do. "
        "`%llama status` shows what runs now.",
        "Run `llama-nb doctor` in a terminal.",
    ),
    Topic(
        "reset",
        (
            "<how> (reset|clear|forget|start a new|restart|begin a new|delete|erase|wipe) (the conversation|"
            "conversation|the chat|chat|the history|everything|the context|your memory)?",
            "(forget everything|start over|clear the chat|new conversation|forget what I said|let's start again|"
            "let us start from the beginning|new chat|start fresh|reset)",
            "<about> (%llama reset|resetting|a new conversation)?",
            "can you forget (this conversation|what I told you|everything|my name)?",
            "what does %llama reset do?",
        ),
        "`%llama reset` begins a new conversation; in code, make a new `nb.Chat()`. Until then I remember what "
        "we said.",
        "`%llama reset` begins anew.",
    ),
    Topic(
        "status",
        (
            "<about> (%llama status|the status|the state)?",
            "<how> (see|check|find out|know) (the status|what is running|what runs|which model is loaded|the "
            "state|if the model is loaded|whether the model is loaded)?",
            "(which|what) model is (loaded|running|active|answering) (now|right now|at the moment|)?",
            "what does %llama status (do|show|tell me)?",
            "is the model (loaded|running|ready|up)?",
        ),
        "`%llama status` shows which model is loaded, on which device, and what it is doing.",
        "`%llama status` shows it.",
    ),
    Topic(
        "unload",
        (
            "<how> (unload|free|release|get rid of|remove|shut down|close|end|quit|turn off) (the model|the "
            "memory|memory|the worker|the process|GPU memory|a model from memory|RAM|the GPU memory)?",
            "<about> (%llama unload|unloading|freeing memory)?",
            "(the model takes too much memory|I need my memory back|my GPU is full|it uses too much RAM)",
            "what does %llama unload do?",
            "how much memory (do you need|do you use|does it take|does it need|does the model use)?",
        ),
        "`%llama unload` ends the model's process and frees its memory. The next question loads it again. I "
        "myself need only a "
        "few megabytes for my weights.",
        "`%llama unload` frees the memory.",
    ),
    Topic(
        "temperature",
        (
            "<how> (set|change|raise|lower|use|choose) (the temperature|temperature|the sampling|a higher "
            "temperature|another temperature)?",
            "<about> (temperature|the temperature|-T|sampling|the temperature option|top_p|greedy decoding)?",
            "what does (temperature|-T|the temperature) (mean|do)?",
            "<how> (get|make) (more creative answers|different answers|answers more random|more random answers|"
            "you more creative|more variety)?",
            "why do you (always say the same|always answer the same|give the same answer each time|repeat the "
            "same answer)?",
        ),
        "The temperature says how freely the next token is chosen: 0 always takes the likeliest. Set it with "
        "`%llama -T 0.7 question` "
        'or `chat.ask("…", temperature=0.7)`.',
        "`%llama -T 0.7 question`; 0 is greedy.",
        _python('chat.ask("Tell me a joke", temperature=0.7, seed=1)'),
    ),
    Topic(
        "seed",
        (
            "<how> (set|fix|use|choose) (the seed|a seed|the random seed|a fixed seed)?",
            "<about> (the seed|seeds|--seed|reproducibility|the seed option)?",
            "<how> (get reproducible answers|make answers reproducible|get the same answer twice|repeat an "
            "answer exactly|get the same result each time)?",
            "are (the answers|answers|results) (reproducible|deterministic|repeatable)?",
            "what does (--seed|the seed) (do|mean)?",
        ),
        "With a seed the same question gives the same answer, also above temperature 0: `%llama -T 0.7 --seed 1 "
        "question` or "
        '`chat.ask("…", temperature=0.7, seed=1)`.',
        '`--seed 1`, or `chat.ask("…", seed=1)`.',
    ),
    Topic(
        "max tokens",
        (
            "<how> (limit|shorten|set|restrict|bound) (the length|the answer|the number of tokens|the length of "
            "answers|max_tokens|the answer's length|the maximum length)?",
            "<about> (max_tokens|-n|the token limit|the -n option|maximum tokens)?",
            "what does (-n|max_tokens) (do|mean)?",
            "how long can (an answer|a reply|your answers) be?",
            "can I (limit|cap) (the answer|your answers|the tokens|the output)?",
        ),
        '`%llama -n 100 question` allows at most 100 tokens; in code, `chat.ask("…", max_tokens=100)`.',
        "`-n 100`, or `max_tokens=100`.",
    ),
    Topic(
        "system message",
        (
            "<how> (set|give|use|write|change|add|pass) (a system message|the system prompt|a system prompt|the "
            "system message|you instructions|you a role|a persona)?",
            "<about> (system messages|the system prompt|-s|a system message|system prompts|the -s option)?",
            "what does (-s|the system message|a system prompt) (do|mean)?",
            "is there a system (prompt|message)?",
        ),
        '`%llama -s "Answer briefly." question` sets a system message; in code, `nb.Chat(system="Answer briefly.")`.',
        '`-s "…"`, or `nb.Chat(system="…")`.',
    ),
    Topic(
        "context length",
        (
            "(how long|how big|how large|what) is (your|the) (context|context window|context length|context size|"
            "maximum context)?",
            "how (much text|many tokens|many words|long a prompt) can (you|it) (read|take|handle|remember|see|accept)?",
            "<about> (the context length|context length|the context window|max_seq_len)?",
            "what happens when the (context is full|prompt is too long|conversation gets too long|chat gets long)?",
            "(my prompt is too long|is there a limit to the prompt|prompt length limit|maximum prompt length)?",
        ),
        "I read at most 2048 tokens, conversation and answer together. A prompt that does not fit is refused "
        "with both numbers; "
        "nothing is cut silently. `%llama reset` begins anew.",
        "At most 2048 tokens.",
    ),
    Topic(
        "saving",
        (
            "(is|are|will|does|do) (the conversation|the chat|answers|the answers|my chat|the transcript|the "
            "panel|the output) (saved|stored|kept|kept in the notebook|be saved|saved with the notebook|stay) "
            "(when I close the notebook|in the notebook|)?",
            "<how> (save|keep|export|share|store) (the conversation|a chat|the chat|the transcript|the answers|"
            "this conversation|my notebook with the answers)?",
            "(can I see|do I see|are) (the answers|the conversation|old answers|the transcript) (later|visible "
            "on GitHub|without a kernel|after a restart|visible when I reopen the notebook)?",
            "<about> (saving|saved notebooks|the transcript|transcripts|exporting)?",
            "what (happens to|is left of) the (conversation|chat|transcript) (when I save|when I close the "
            "notebook|after a restart)?",
        ),
        "A saved notebook keeps the transcript as plain Markdown: it shows without a kernel, on GitHub and in "
        "nbconvert too. In "
        "code the conversation is `chat.messages`.",
        "The saved notebook keeps the transcript.",
    ),
    Topic(
        "licence",
        (
            "(what|which) (licence|license) (is it|does it have|are you under|do you have|is llama_nb under|"
            "applies|is this)?",
            "(is it|is llama_nb|are you|is this) (free|open source|free of charge|free software|open|gratis|free "
            "to use|for free|really free)?",
            "(how much|what) does (it|llama_nb|this) cost?",
            "<about> (the licence|the license|licensing|the price|pricing|costs)?",
            "(do I have to|must I|do I need to) (pay|buy anything|pay for it|buy a licence|subscribe)?",
            "(can I|may I) use (it|llama_nb|this) (commercially|at work|in my company|for business|in a product)?",
            "(licence|license|price|cost)?",
        ),
        "llama_nb is free and open source, under the MIT licence; so am I. Other checkpoints have licences of "
        "their own.",
        "Free, under the MIT licence.",
    ),
    Topic(
        "installing",
        (
            "<how> (install|get|download|update|upgrade|set up) (<nb>|it|llama_nb|the package)?",
            "<about> (installation|installing|the installation|setup)?",
            "(which|what) (pip command|command) installs (it|llama_nb|this)?",
            "(where can I|where do I) (get|download|find) (it|llama_nb|this package)?",
            "(do I need|must I) (to download|download) (anything|a model|weights|something else)?",
            "what (do I need|is needed) to (run|use|install) <nb>?",
        ),
        "`pip install llama_nb`, then `%load_ext llama_nb` in a notebook. Nothing else is to be downloaded: I am "
        "inside the "
        "package.",
        "`pip install llama_nb`.",
    ),
    Topic(
        "command line",
        (
            "(is there|does it have|do you have) (a command line|a CLI|a terminal command|a shell command|"
            "command line tools)?",
            "<about> (the llama-nb command|the command line|the CLI|llama-nb|llama-nb lab|the terminal commands)?",
            "<how> use (it|llama_nb|you) (in a terminal|from the shell|from the command line|without a notebook)?",
            "(which|what) (terminal|shell|command line) commands (are there|exist|does llama_nb have)?",
        ),
        "In a terminal: `llama-nb lab` opens JupyterLab, `llama-nb models` lists the models, `llama-nb bench` "
        "measures the speed, "
        "and `llama-nb doctor` checks the installation.",
        "`llama-nb lab`, `models`, `bench`, `doctor`.",
    ),
    Topic(
        "reply",
        (
            "<about> (the reply|the Reply object|reply.usage|reply.metrics|reply objects|what ask returns)?",
            "what does (chat.ask|ask|%llama) return?",
            "<how> (see|get|count|find) (the number of tokens|token counts|the usage|how many tokens were used|"
            "the stop reason|logprobs|the metrics)?",
            "how many tokens (did I use|did that take|were used|was that)?",
            "(what is in|what does) a reply (contain|have|)?",
        ),
        "`chat.ask` and `%llama` return a reply: `str(reply)` is the text, `reply.usage` counts the tokens, "
        "`reply.metrics` has the "
        "speed, and `reply.stop_reason` says why it ended.",
        "A reply: `str(reply)`, `reply.usage`, `reply.metrics`.",
    ),
    Topic(
        "examples",
        (
            "(are there|do you have|is there|where are|where do I find) (example notebooks|examples|any examples|"
            "demo notebooks|demos|tutorials|documentation|docs|a manual|a tutorial|sample notebooks)?",
            "(show me|give me) (example notebooks|the demos|some examples|the documentation|the notebooks)",
            "<about> (the example notebooks|the notebooks|the demos|the documentation)?",
            "where can I (learn more|read more|find the docs|see examples|find documentation)?",
        ),
        "The folder `notebooks` has the tour, `01_hello.ipynb`, and `%llama help` shows the commands.",
        "See the folder `notebooks`, and `%llama help`.",
    ),
    Topic(
        "background answers",
        (
            "<how> (ask in the background|run a cell in the background|not wait for the answer|continue while it "
            "answers|return at once)?",
            "(does %llama wait|does the cell wait|does a cell block) (for the answer|until the answer is "
            "complete|until it is done|)?",
        ),
        "A `%llama` cell waits until its answer is complete, so that Run All means what it says. The panel never "
        "blocks, and `chat.start(\"…\")` returns at once.",
        "The cell waits for the whole answer; the panel does not, nor does `chat.start(\"…\")`.",
    ),
)
