"""Questions that are too large for a very small model, drawn from a wide grammar; and what it honestly says to them.

The width is the point: whatever is neither about llama_nb nor small talk must look like these.
"""

from __future__ import annotations

from functools import cache
from random import Random

from llama_nb.demo import values, words
from llama_nb.demo.topics import lines_of

TOO_SMALL = (
    "I am too small to know that: I know llama_nb and little else. For general questions use your own Llama "
    "checkpoint: "
    '`%llama -m NAME question`, or `nb.Chat("path/to/folder")`.'
)
TOO_SMALL_BRIEF = "I am too small to know that. A larger Llama may: `%llama -m NAME question`."
CANNOT_WRITE = (
    "I am too small to write that well. A larger Llama can: `%llama -m NAME your request`, or in code "
    '`nb.Chat("path/to/folder")`.'
)
NO_TOOL = (
    "I cannot know that by myself, and no tool for it is offered here. You can offer a function: "
    "`nb.Chat(tools=[f])`; then I call it."
)
NO_TOOL_BRIEF = "No tool for that is offered here."

_SUBJECTS = (
    """
entropy|gravity|photosynthesis|quantum mechanics|relativity|black holes|the big bang|evolution|DNA|inflation|
capitalism|democracy|
the French Revolution|the Roman Empire|World War II|the Cold War|philosophy|stoicism|Buddhism|music theory|jazz|
the stock market|
blockchain|bitcoin|machine learning|deep learning|a neural network|gradient descent|linear algebra|calculus|
statistics|a derivative|
an integral|a prime number|the Pythagorean theorem|thermodynamics|electricity|magnetism|an atom|a molecule|a virus|
bacteria|
the immune system|the human heart|the brain|cancer|diabetes|vitamin C|protein|yoga|meditation|chess|football|
baseball|the Olympics|
the Renaissance|Shakespeare|Hamlet|Picasso|the Mona Lisa|Einstein|Newton|Darwin|Mozart|Beethoven|Napoleon|Cleopatra|
Lincoln|
the moon|Mars|Jupiter|the sun|a comet|the solar system|climate change|global warming|a volcano|an earthquake|
the ocean|a tsunami|
Europe|Africa|Asia|Brazil|Japan|Germany|France|Italy|Spain|Egypt|India|China|Canada|Mexico|Kenya|Australia|Norway|
Peru|Poland|
Python|Java|Rust|C++|JavaScript|SQL|HTML|Linux|Docker|Kubernetes|git|numpy|pandas|matplotlib|a database|
an operating system|
a compiler|recursion|an algorithm|quicksort|a hash table|a binary tree|object-oriented programming|
functional programming|
the internet|the World Wide Web|a CPU|a transistor|encryption|a black hole|love|happiness|the meaning of life|
justice|time|
consciousness|free will|economics|marketing|accounting|law|a contract|insurance|the weather|clouds|rain|wind|snow|
lightning|
a rainbow|coffee|tea|bread|pizza|pasta|wine|beer|chocolate|cheese|sugar|salt|a dog|a cat|elephants|whales|dinosaurs|
bees|birds|
trees|flowers|a cactus|the heart|blood|sleep|dreams|memory|language|grammar|poetry|a haiku|a sonnet|a novel|opera|
ballet|film|
attention|a transformer|backpropagation|overfitting|a language model|artificial intelligence|reinforcement learning|
a GPU|
""".replace("\n", "")
    .strip("|")
    .split("|")
)

_PEOPLE = (
    """
the president of France|the president|the king of England|Albert Einstein|Isaac Newton|Marie Curie|
Leonardo da Vinci|Shakespeare|
the pope|Ada Lovelace|Alan Turing|Julius Caesar|Napoleon|the chancellor of Germany|the first man on the moon|
Charles Darwin|
Nelson Mandela|Gandhi|the author of Hamlet|the inventor of the telephone|the prime minister|the richest man|
Aristotle|Plato|Socrates
""".replace("\n", "")
    .strip("|")
    .split("|")
)

_PLACES = (
    "France Germany Italy Spain Japan China India Brazil Canada Norway Kenya Egypt Peru Poland Texas Australia "
    "Turkey Greece Sweden"
).split()

# {0} is a subject, {1} a second one, {2} a person, {3} a country or city, {4} a number
_QUESTIONS = (
    """
what is {0}?|what is {0}?|what's {0}?|what are {0}?|explain {0}|explain {0} to me|explain {0} to a child|
explain {0} in simple words|
how does {0} work?|how do {0} work?|tell me about {0}|tell me something about {0}|tell me everything about {0}|
why is {0} important?|
what do you know about {0}?|describe {0}|define {0}|what does {0} mean?|what is the meaning of {0}?|who invented {0}?|
who discovered {0}?|when was {0} invented?|why does {0} exist?|why do people like {0}?|what causes {0}?|
how is {0} made?|
what is the difference between {0} and {1}?|compare {0} and {1}|is {0} better than {1}?|what is the history of {0}?|
how old is {0}?|how big is {0}?|where does {0} come from?|what are the advantages of {0}?|
give me an introduction to {0}|
teach me {0}|how do I learn {0}?|what is the best book about {0}?|can you explain {0}?|do you know {0}?|
do you know what {0} is?|
what is {0} used for?|is {0} dangerous?|is {0} healthy?|how can I understand {0}?|why is {0} so difficult?|
what colour is {0}?|
who was {2}?|who is {2}?|when was {2} born?|when did {2} die?|what did {2} do?|where was {2} born?|tell me about {2}|
how old is {2}?|why is {2} famous?|do you know {2}?|
what is the capital of {3}?|which is the capital of {3}?|capital of {3}?|what's the capital of {3}?|
name the capital of {3}|
tell me the capital of {3}|how many people live in {3}?|what is the population of {3}?|where is {3}?|
what language do they speak in {3}?|
what is the largest city in {3}?|what currency is used in {3}?|tell me about {3}|what should I see in {3}?|
who is the president of {3}?|
what is the highest mountain in {3}?|what is the longest river in {3}?|is {3} a country?|how far is it to {3}?|
how do I get to {3}?|
recommend a restaurant in {3}|what can I do in {3}?|plan a trip to {3}|
what happened in {4}?|who won the world cup in {4}?|how many days are in a year?|how far is the moon?|
what is the speed of light?|
how tall is Mount Everest?|how many planets are there?|who painted the Mona Lisa?|who wrote Hamlet?|
what is the boiling point of water?|
how do I cook {0}?|how do I bake a cake?|give me a recipe for {0}|what should I eat today?|
what should I cook for dinner?|
how do I lose weight?|how can I sleep better?|how do I find a job?|how do I get rich?|should I buy {0}?|
what should I do today?|
give me advice|recommend a book|recommend a film|what is the best {0}?|who will win the election?|
what is the meaning of life?|
why do birds fly?|why is grass green?|why is the sea salty?|why do we sleep?|why do cats purr?|how do planes fly?|
why is water wet?|
why is the sun hot?|why is snow white?|why is blood red?|why do leaves fall?|is there life on Mars?|does God exist?|
what came first, the chicken or the egg?|how do I center a div?|how do I sort a list in python?|
what is a decorator in python?|
how do I read a csv file?|how do I install {0}?|how do I use {0}?|how do I plot with {0}?|what is a good password?|
I have a headache, what should I do?|am I sick?|what is wrong with my car?|is it safe to eat {0}?|
solve this equation: x + {4} = {0}|
prove that {0} is true|what is the square root of {4}?|is {4} a prime number?|how many {0} are there?|
what is {4} percent of {0}?
""".replace("\n", "")
    .strip("|")
    .split("|")
)

_WRITING = (
    """
write an essay about {0}|write a story about {0}|write a poem about {0}|write me an essay about {0}|
write me a poem about {0}|
write a letter to {2}|write a letter to my boss|write an email to my teacher|write an article about {0}|
write a song about {0}|
write a speech about {0}|tell me a story about {0}|tell me a story|write a story|write a poem|summarize {0}|
summarize this text|
write a summary of {0}|write a blog post about {0}|write a report on {0}|compose a poem about {0}|
invent a story about {0}|
write a python program that sorts {0}|write code for {0}|write a program for {0}|implement {0} in python|
write a function for {0}|
write a class for {0}|write a game in python|program a calculator|write a web server|write a review of {0}|
write a novel|
draft an email about {0}|write my homework about {0}|help me write an essay about {0}|can you write a text about {0}?|
could you write something about {0}?|write a dialogue between {2} and {2}|write {4} words about {0}|translate this text|
rewrite this paragraph|correct my grammar|proofread my essay|create a presentation about {0}|make a plan for {0}|
make a list of {0}|give me ideas for {0}|write a tweet about {0}|write a limerick|write a limerick about {0}|
write a sonnet
""".replace("\n", "")
    .strip("|")
    .split("|")
)

# What a tool could answer; {0} is a city or another value
_LIVE = (
    """
what's the weather in {0}?|what is the weather like in {0}?|weather in {0}|how is the weather in {0}?|
will it rain in {0} tomorrow?|
is it cold in {0}?|what is the temperature in {0}?|forecast for {0}|what is the weather today?|how's the weather?|
is it raining?|
do I need an umbrella in {0}?|will it snow tomorrow?|what time is it?|what time is it in {0}?|tell me the time|
what day is it?|
what is today's date?|what's the date today?|what is the time in {0}?|what's in the news?|what are the latest news?|
any news from {0}?|
what is the price of bitcoin?|what is the stock price of {0}?|how is the stock market today?|send an email to {0}|
set a timer|
set an alarm for 7|play some music|call {0}|book a flight to {0}|book a table in {0}|order a pizza|
remind me to call {0}|
turn on the light|what's on my calendar?|when is the next train to {0}?|how is the traffic in {0}?|
who won the game yesterday?|
what is the exchange rate of the euro?|set a timer for {1} minutes|roll a die|flip a coin|search my notes for {0}|
translate hello to {0}|convert {1} euros to dollars|send a message to {0}|what is the current temperature in {0}?|
find flights to {0}|
show me the weather in {0}|tell me the weather in {0}|play a song by {0}|open the door|switch off the lamp|
what is the humidity in {0}?
""".replace("\n", "")
    .strip("|")
    .split("|")
)

_SUMS = (
    """
what is {0}?|what's {0}?|{0}|{0} = ?|calculate {0}|compute {0}|how much is {0}?|can you calculate {0}?|solve {0}|
{0}=|evaluate {0}|
please compute {0}|what does {0} make?|tell me what {0} is|the result of {0}?|what is the result of {0}?
""".replace("\n", "")
    .strip("|")
    .split("|")
)


def _subject(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(_SUBJECTS)
    if kind < 0.8:
        return rng.choice(("", "", "a ", "the ", "an ")) + words.made_up(rng)
    return words.phrase(rng) if kind < 0.93 else words.title(rng)


def _person(rng: Random) -> str:
    if rng.random() < 0.4:
        return rng.choice(_PEOPLE)
    return words.name(rng) + (" " + words.made_up(rng).capitalize() if rng.random() < 0.6 else "")


def _place(rng: Random) -> str:
    return rng.choice(_PLACES) if rng.random() < 0.4 else words.city(rng)


@cache
def _written() -> tuple[str, ...]:
    return lines_of("unserved*.txt")


def question(rng: Random, of_anything: bool = True) -> tuple[str, str, str]:
    """A general question, the answer, and a shorter answer; `of_anything`: also such as a tool might serve."""
    kind = rng.random()
    if kind < 0.40 or not of_anything:
        ask = values.fill(rng, words.say(rng, rng.choice(_written())))
        return words.typed(rng, ask), TOO_SMALL, TOO_SMALL_BRIEF
    if kind < 0.82:
        return _ask(rng, _QUESTIONS), TOO_SMALL, TOO_SMALL_BRIEF
    return _ask(rng, _WRITING), CANNOT_WRITE, TOO_SMALL_BRIEF


def _ask(rng: Random, templates: list[str]) -> str:
    values = (_subject(rng), _subject(rng), _person(rng), _place(rng), words.number(rng))
    return words.typed(rng, rng.choice(templates)).format(*values)


def live(rng: Random) -> tuple[str, str, str]:
    """What only a tool could know or do, asked where there is none."""
    value = words.city(rng) if rng.random() < 0.7 else words.name(rng)
    return words.typed(rng, rng.choice(_LIVE)).format(value, words.number(rng)), NO_TOOL, NO_TOOL_BRIEF


def sum_(rng: Random) -> tuple[str, str, str]:
    """A sum, asked where there is no calculator: the expression is handed back as Python."""
    expression = words.amount(rng)
    for _ in range(rng.choice((1, 1, 1, 2))):
        expression += f" {rng.choice('+-*/')} {words.amount(rng)}"
    if rng.random() < 0.25:
        expression = expression.replace(" ", "")
    answer = f"I cannot calculate; a Python cell can:\n\n```python\n{expression}\n```"
    return words.typed(rng, rng.choice(_SUMS)).format(expression), answer, f"`{expression}` in a Python cell."
