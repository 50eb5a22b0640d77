"""How people word an order, a question, a request: `@` stands for what they want."""

from __future__ import annotations

ORDERS = (
    "please @|can you @?|could you @?|could you please @|can you please @?|would you @?|will you @?|I'd like you to @|"
    "I want you to @|I need you to @|I'd like to @|I want to @|I need to @|help me @|go ahead and @|@ for me|"
    "@ for me please|@ please|@, please|would you be so kind as to @|is it possible to @?|do me a favour and @|"
    "I was hoping you could @|I was wondering if you could @|any chance you could @?|just @|quickly @|you can @ now|"
    "we need to @|we should @|it would be great if you could @|it's time to @|make sure to @|kindly @|try to @|"
    "are you able to @?|I would appreciate it if you could @|my boss wants me to @|now @|then @|next, @|first @|"
    "please go and @|hey, can you @|hi, could you @?|would you mind to @?|I have to @|let us @|let's @|I must @|"
    "my wife wants me to @|can I ask you to @?|can we @?|may I ask you to @|use a tool to @|use the tool to @|"
    "I'm trying to @|how about you @|you should @|someone needs to @|please just @|if you can, @|if possible, @|"
    "as soon as possible, @|today I have to @|would it be possible to @?|ok so @|alright, @|the next step is to @|"
    "@ and tell me when it is done|all I want is to @|your job: @|before I forget it once more, somebody would have to @|since nobody else is going to, I suppose it is on you to @|"
    "if it is not too much trouble, I would be glad if you could @|the thing is that I still have to @|it would save me "
    "a lot of work if you were able to @|what I have been meaning to ask is whether you could @|task: @|@ right away|@ now|@ if you can|"
    "Hello! Can you @?|please help me @|dear assistant, @|what I need is to @|@, will you?|@, would you?|can u @|pls @"
).split("|")
# What follows the text in free words would seem to belong to it.
WHATS = (
    "(what's|what is|what are|whats|do you know|can you tell me|could you tell me|tell me|I'd like to know|"
    "I want to know|I need to know|give me|any idea what is|find out|let me know|I need|I want|I'd like|show me|"
    "could you give me|can you give me|please tell me|please give me|what about|I am interested in|I'm looking for|"
    "can I get|can I have|may I see|could I get|I wonder about|help me find|please find|would you tell me|"
    "do you have|have you got|is there any information on|get me|curious about|I'd love to know|say|I'm curious about) @"
)
SHOW = (
    "(show me|tell me|get|get me|give me|look up|find|fetch|check|pull up|find out|retrieve|report|bring up|search for|"
    "display|see|read out|list|determine|look for|grab|pull|obtain|request) @"
)
QUESTIONS = (
    "quick question: @|tell me, @|so, @|hey, @|please tell me: @|I wonder: @|@ I need to know|one question: @|"
    "my friend asks: @|just wondering, @|excuse me, @|can you tell me: @|do you happen to know: @|hi! @|@ Please check.|"
    "@ Can you check?|@ Could you look that up?|@ Please look it up.|could you check: @|say, @|@ just curious"
).split("|")
CLOSERS = tuple(
    " please| please?| thanks| thank you|, please|, thanks|?|??|!| :)|. Thanks!| thx| pls|, ok?|.|.|.".split("|")
)
HURRIES = (
    "Thanks in advance!|It's urgent.|I'm in a hurry.|Thank you!|That would be great.|No rush.|I appreciate it.|Cheers.|"
    "As soon as possible.|You're the best.|Thanks a lot.|Please be quick."
).split("|")
FACTS = (
    "I'm in a hurry.|I have a question.|Hope you are well.|It's been a long day.|I am new here.|My friend told me "
    "about you.|I just came home.|We have guests.|I'm back from {city}.|{person} asked me about this.|I have {small} "
    "kids.|I'm getting ready.|I can't do it myself.|Here is what I need.|One more thing.|Let me try this.|My {device} "
    "is broken.|I live in {city}.|I'm planning ahead.|This is important."
).split("|")
MENTIONS = (
    "use @ with #|call @ with #|use @: #|run @ with #|please call @ with #|@(#)|use the tool @ with #|call @(#)|"
    "invoke @ with #|try @ with #|use @ for #|call the function @ with #|can you use @ with #|please use @ for #|@ #|"
    "use @ on #|execute @ with #|I want to call @ with #"
).split("|")
SIBLINGS = (
    "and {0}?|what about {0}?|how about {0}?|and what about {0}?|and how about {0}?|now {0}|then {0}|the same for {0}|"
    "now the same for {0}|and for {0}|do the same for {0}|also for {0}|and {0}, please|now {0}, please|what about {0}, please|and now {0}?|"
    "same question for {0}|and also {0}|again for {0}|{0}?|next {0}|okay, and {0}?"
).split("|")
FAILURES = (
    "error: {message}|Error: {message}|error: not found|error: timeout|ValueError: {message}|KeyError: '{word}'|"
    "error: {word} not found|TimeoutError: no answer after {count} seconds|ConnectionError: {message}|"
    '{"error": "{message}"}|{"error": "not found"}|failed: {message}|Error: permission denied|Error: invalid {word}|'
    "RuntimeError: the {word} is {adjective}|error: no {word} given|error 404|Error {count}: {message}|"
    '{"error": "unknown {word}"}|FileNotFoundError: {file}|ZeroDivisionError: division by zero|error: service not '
    "available|TypeError: {word} must be a number|error: access denied|PermissionError: {file}|not found: {word}|"
    "LookupError: no such {word}|error: too many requests|Exception: {message}|HTTP error {count}|"
    "OSError: the {device} is offline|error: unknown {word} {city}"
).split("|")
DENIALS = (
    "denied: the user did not allow this call|denied: {message}|denied: not now|denied: too expensive|denied|"
    "denied: wrong {word}|denied: I changed my mind|denied: no|denied: the {word} is {adjective}|denied: not {weekday}|"
    "denied: please ask {person} first|denied: don't do that"
).split("|")
