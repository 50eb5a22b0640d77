"""What a person tells of themselves, and asks for later: the turns that teach the model to look back.

A `Fact` is one thing that can be told, asked for, and missing.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from llama_nb.demo import words


class Fact(NamedTuple):
    tells: str
    noted: str
    asks: str
    known: str
    unknown: str
    value: Callable[[Random], str]
    system: str = ""


def _favourite(kind: str, alias: str, value: Callable[[Random], str]) -> Fact:
    names = f"({kind}|{alias})"
    likes = "(favourite|favorite)"
    return Fact(
        f"(my {likes} {names} is {{0}}|{{0}} is my {likes} {names}|I like {{0}} best of all, as {names} goes|the "
        f"{names} I like most is {{0}}|"
        f"remember: my {likes} {names} is {{0}}|my {likes} {names} is {{0}}, remember that|i love {{0}}, it is "
        f"my {likes} {names}|as for {names}, I prefer {{0}})",
        "{0}: a good choice. I will remember it.",
        f"(what is my {likes} {names}?|what's my {likes} {names}?|which {names} do I like best?|do you remember "
        f"my {likes} {names}?|tell me my {likes} {names}|"
        f"which is my {likes} {names}?|do you know my {likes} {names}?|and my {likes} {names}?|which {names} did "
        f"I say I like?|what {names} do I like most?|"
        f"what did I say my {likes} {names} was?|my {likes} {names}?|can you tell me what my {likes} {names} is?|"
        f"what {likes} {names} do I have?)",
        f"Your favourite {kind} is {{0}}.",
        f"You have not told me your favourite {kind}.",
        value,
        f"(The user's favourite {kind} is {{0}}.|The user likes the {kind} {{0}} best.)",
    )


def _colour(rng: Random) -> str:
    return rng.choice(words.COLOURS) if rng.random() < 0.5 else words.made_up(rng)


def _animal(rng: Random) -> str:
    return rng.choice(words.ANIMALS) if rng.random() < 0.4 else words.made_up(rng)


def _food(rng: Random) -> str:
    return rng.choice(words.FOODS) if rng.random() < 0.4 else words.made_up(rng)


def _job(rng: Random) -> str:
    return rng.choice(words.JOBS) if rng.random() < 0.5 else words.made_up(rng)


def _word(rng: Random) -> str:
    return words.word(rng)


def _age(rng: Random) -> str:
    return str(rng.randint(5, 99))


def _number(rng: Random) -> str:
    return str(words.number(rng))


FACTS = {
    "name": Fact(
        "(my name is {0}|I am {0}|I'm {0}|call me {0}|my name's {0}|you can call me {0}|this is {0}|I am called "
        "{0}|hello, I am {0}|hi, my name is {0}|"
        "hi, I'm {0}|hello! my name is {0}|people call me {0}|hi there, my name is {0}|the name is {0}|please "
        "call me {0}|{0} is my name|my friends call me {0}|"
        "hey, I'm {0}|hello, {0} here|let me introduce myself: I am {0}|hi i am {0}|remember that my name is {0}|"
        "hello there, I'm {0}, nice to meet you|my first name is {0})",
        "Nice to meet you, {0}!",
        "(what is my name?|what's my name?|do you remember my name?|do you know my name?|who am I?|tell me my "
        "name|say my name|how am I called?|what am I called?|"
        "what was my name?|do you still know my name?|can you tell me my name?|my name?|what was my name again?|"
        "do you know who I am?|what did I say my name was?|"
        "please tell me my name|what name did I tell you?|remember my name?|and what is my name?|did I tell you "
        "my name?|can you remember my name?|"
        "who are you talking to?|do you remember who I am?|did you forget my name?|whats my name|so what is my name?)",
        "Your name is {0}.",
        "You have not told me your name yet.",
        words.name,
        "(The user's name is {0}.|You are talking to {0}.|The user is called {0}.|You assist {0}.|The name of "
        "the user is {0}.)",
    ),
    "city": Fact(
        "(I live in {0}|I am from {0}|I'm from {0}|my home is {0}|I come from {0}|my city is {0}|my home town is "
        "{0}|I was born in {0} and live there|"
        "I am living in {0}|we live in {0}|I moved to {0}|I am based in {0}|my home is in {0}|I'm in {0})",
        "{0}: I will remember that.",
        "(where do I live?|where am I from?|what is my city?|which city do I live in?|do you remember where I "
        "live?|where do I come from?|which city am I from?|"
        "tell me where I live|what's my home town?|do you know where I live?|in which city do I live?|where did "
        "I say I live?|where is my home?|what city am I in?|and where do I live?)",
        "You live in {0}.",
        "You have not told me where you live.",
        words.city,
        "(The user lives in {0}.|The user is from {0}.)",
    ),
    "colour": _favourite("colour", "color", _colour),
    "animal": _favourite("animal", "animal", _animal),
    "food": _favourite("food", "dish", _food),
    "book": _favourite("book", "book", words.title),
    "song": _favourite("song", "song", words.title),
    "film": _favourite("film", "movie", words.title),
    "number": _favourite("number", "number", _number),
    "language": _favourite("language", "programming language", _word),
    "sport": _favourite("sport", "game", _word),
    "job": Fact(
        "(I am a {0}|I work as a {0}|my job is {0}|I'm a {0}|my profession is {0}|I work as {0}|by profession I "
        "am a {0}|I earn my money as a {0}|I am a {0} by trade)",
        "A {0}: good to know.",
        "(what is my job?|what do I do for a living?|what do I work as?|what's my job?|do you remember my job?|"
        "what is my profession?|what do I do?|do you know my job?|as what do I work?|what am I by profession?)",
        "You are a {0}.",
        "You have not told me your job.",
        _job,
    ),
    "age": Fact(
        "(I am {0} years old|I'm {0} years old|my age is {0}|I am {0}|I turned {0} today|I will remember being "
        "{0}; I am {0} years old)",
        "{0} years: noted.",
        "(how old am I?|what is my age?|do you remember my age?|do you know how old I am?|what's my age?|tell me "
        "my age|how old did I say I am?)",
        "You are {0} years old.",
        "You have not told me your age.",
        _age,
    ),
    "dog": Fact(
        "(my dog is called {0}|I have a dog named {0}|my dog's name is {0}|the name of my dog is {0}|I have a "
        "dog called {0}|{0} is my dog)",
        "{0} is a fine name for a dog.",
        "(what is my dog's name?|what is my dog called?|what's the name of my dog?|how is my dog called?|do you "
        "remember my dog's name?|who is my dog?|what is the name of my dog?|what's my dog called?)",
        "Your dog is called {0}.",
        "You have not told me of a dog.",
        words.name,
    ),
    "cat": Fact(
        "(my cat is called {0}|I have a cat named {0}|my cat's name is {0}|the name of my cat is {0}|I have a "
        "cat called {0}|{0} is my cat)",
        "{0} is a fine name for a cat.",
        "(what is my cat's name?|what is my cat called?|what's the name of my cat?|how is my cat called?|do you "
        "remember my cat's name?|who is my cat?|what is the name of my cat?|what's my cat called?)",
        "Your cat is called {0}.",
        "You have not told me of a cat.",
        words.name,
    ),
    "secret": Fact(
        "(remember the word {0}|remember this word: {0}|the secret word is {0}|the code word is {0}|please "
        "remember {0}|keep this word in mind: {0}|remember: {0}|the password is {0}|remember the number {0}|the "
        "magic word is {0}|memorize {0}|don't forget: {0})",
        "I will remember: {0}.",
        "(what was the word?|what is the secret word?|which word did I tell you?|what is the code word?|what did "
        "I ask you to remember?|tell me the secret word|do you remember the word?|what should you remember?|what "
        "was the number?|what is the password?|what is the magic word?|which word should you remember?|what did "
        "you memorize?)",
        "It was {0}.",
        "You have not told me a word to remember.",
        lambda rng: (
            words.made_up(rng)
            if rng.random() < 0.5
            else (str(words.number(rng)) if rng.random() < 0.5 else words.word(rng))
        ),
    ),
}


def two_at_once(rng: Random, first: str, second: str) -> tuple[str, str]:
    """`my name is Ada and I live in Rome` → what is said, what is answered."""
    ask = words.say(
        rng,
        "(my name is {0}|I am {0}|I'm {0}|call me {0}|hi, I'm {0}|hello, my name is {0}) (and|and|, and) (I live "
        "in {1}|I am from {1}|my city is {1}|I come from {1}|I'm from {1})",
    )
    return words.typed(rng, ask).format(first, second), f"Nice to meet you, {first}! I will remember {second}."
