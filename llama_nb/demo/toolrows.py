"""The tools that are written by hand: each with several names and parameters, and the ways people ask for it.

To teach the model to serve another kind of tool well, add a row here and train again.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from llama_nb.demo import words

Value = Callable[[Random], str]


class Row(NamedTuple):
    """Names, descriptions, parameters (names joined by `|`, a value, descriptions), and requests with `{0}`, `{1}`."""

    names: str
    descriptions: str
    parameters: tuple[tuple[str, Value, str], ...]
    asks: str
    about: str = "The answer"
    results: Value = words.phrase


def die(rng: Random) -> str:
    return rng.choice(("4", "6", "6", "8", "10", "12", "20", "100", str(words.number(rng))))


def money(rng: Random) -> str:
    return rng.choice(
        (
            "USD",
            "EUR",
            "GBP",
            "JPY",
            "CHF",
            "euros",
            "dollars",
            "pounds",
            "yen",
            "SEK",
            "INR",
            "CNY",
            "AUD",
            "CAD",
            "NOK",
            "PLN",
        )
    )


def sentence(rng: Random) -> str:
    return (
        rng.choice(
            (
                "good morning",
                "thank you",
                "how are you",
                "where is the station",
                "I am hungry",
                "see you tomorrow",
                "hello",
                "the cat sleeps",
                "I love you",
                "good night",
            )
        )
        if rng.random() < 0.3
        else words.phrase(rng)
    )


def language(rng: Random) -> str:
    return rng.choice(words.LANGUAGES) if rng.random() < 0.7 else words.made_up(rng).capitalize()


def symbol(rng: Random) -> str:
    return (
        "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(rng.randint(2, 5)))
        if rng.random() < 0.5
        else words.made_up(rng).capitalize()
    )


def minutes(rng: Random) -> str:
    return str(rng.randint(1, 90))


def percent(rng: Random) -> str:
    return str(rng.randint(0, 100))


def file(rng: Random) -> str:
    return f"{words.made_up(rng)}.{rng.choice(('txt', 'csv', 'py', 'md', 'json', 'pdf', 'png'))}"


ROWS = (
    Row(
        "get_time|current_time|time_in|world_clock|get_current_time",
        "The time of day in a city|Get the current time in a place|What time it is somewhere|Local time of a "
        "city|Current time",
        (("city|timezone|place|location", words.city, "The city|Where|The place|"),),
        "(what time is it|what's the time|tell me the time|what is the time|do you know the time|current time|"
        "give me the time|what is the local time|how late is it|the time) (in|over in) {0}?",
        "The time in {0}",
        words.clock,
    ),
    Row(
        "convert_currency|currency_converter|exchange|convert_money",
        "Convert an amount between currencies|Converts money|Exchange rates|Currency conversion",
        (
            ("amount|value|sum", words.amount, "The amount|How much|"),
            ("from|source|from_currency|base", money, "The currency to convert from|From|"),
            ("to|target|to_currency|into", money, "The currency to convert to|To|"),
        ),
        "(convert|change|exchange|please convert|can you convert) {0} {1} (to|into|in) {2}|(how much is|how much "
        "are|what is|what are) {0} {1} in {2}?|{0} {1} (in|to) {2}",
        "{0} {1} in {2}",
        words.decimal,
    ),
    Row(
        "search_notes|find_notes|notes_search|search_my_notes",
        "Search the user's notes|Finds notes|Full-text search in my notes|Search notes",
        (("query|text|search|keyword|term", words.phrase, "What to look for|The search text|Search term|"),),
        "(search|search in|look through|go through|check) (my notes|the notes|notes) for {0}|(find|look for|find "
        "me) (notes about|my notes on|the note about|notes on|notes with) {0}|what do my notes say about {0}?|do "
        "I have notes (on|about) {0}?",
        "Your notes",
        words.phrase,
    ),
    Row(
        "send_message|message|text_someone|send_text|write_message",
        "Send a message to a person|Sends a text message|Message someone|Sends a short text",
        (
            ("recipient|to|person|contact", words.name, "Who gets it|The recipient|Name of the person|"),
            ("text|message|body|content", words.phrase, "What to say|The message|The text|"),
        ),
        "(send|write|text|send a message to|message|tell) {0}(:| the message| saying| the text|, that says|: |) "
        "{1}|(send a message to|write a message to|send a text to) {0} (saying|that says|with the text|:) {1}|"
        "(tell|let) {0} (know|know that|that) {1}",
        "The message to {0}",
        lambda rng: rng.choice(("sent", "ok", "delivered", "done", "failed")),
    ),
    Row(
        "roll_dice|roll_die|dice|throw_dice",
        "Roll a die|Rolls dice|Throws a die with so many sides|Roll a die with any number of sides",
        (("sides|faces|n", die, "How many sides|Number of sides|"),),
        "(roll|throw|please roll|can you roll|toss|roll me) (a|one|a die with|a dice with) {0}(-sided die| sides|"
        "-sided dice| sided die)|(roll a d|throw a d){0}",
        "The die shows",
        minutes,
    ),
    Row(
        "flip_coin|toss_coin|coin_flip",
        "Flip a coin|Toss a coin|Heads or tails",
        (),
        "(flip|toss|throw|please flip|can you flip|could you toss) a coin|(heads or tails|coin flip|flip it|a "
        "coin toss please)?",
        "The coin shows",
        lambda rng: rng.choice(("heads", "tails")),
    ),
    Row(
        "translate|translate_text|translator|translation",
        "Translate a text|Translates text into a language|Translation of text|Translate into another language",
        (
            ("text|phrase|sentence|source_text", sentence, "The text|What to translate|"),
            ("language|target_language|to|target|into", language, "The language|Target language|Into which language|"),
        ),
        '(translate|please translate|can you translate|could you translate) ("{0}"|\'{0}\'|{0}|"{0}") (to|into|'
        "in) {1}|(how do you say|how do I say|what is|what's|say) (\"{0}\"|{0}|'{0}') in {1}?",
        "In {1}",
        words.phrase,
    ),
    Row(
        "play_song|play_music|play|music_player|start_song",
        "Play a song|Plays music|Starts a song|Play a piece of music",
        (("title|song|name|track", words.title, "The song|Title|Name of the song|"),),
        "(play|please play|can you play|put on|start|I want to hear|listen to|let me hear|play the song|play me) "
        "(the song|the track|) {0}",
        "The player",
        lambda rng: rng.choice(("playing", "not found", "started", "ok")),
    ),
    Row(
        "set_timer|start_timer|timer|countdown",
        "Set a timer|Starts a timer|A timer that rings|Start a countdown",
        (("minutes|duration|length|mins", minutes, "How many minutes|Minutes|Duration in minutes|"),),
        "(set|start|please set|can you set|make|create) (a timer|a timer|the timer|a countdown) (for|of|to) {0} "
        "(minutes|minutes|min|mins)|(timer|a timer) (for|of|) {0} (minutes|min)|(remind me in|wake me in|ring in|"
        "count down) {0} minutes",
        "The timer",
        lambda rng: rng.choice(("started", "set", "running", "ok")),
    ),
    Row(
        "set_alarm|alarm|wake_me|create_alarm",
        "Set an alarm|Wakes the user|An alarm clock|Sets the alarm clock",
        (("time|at|when|hour", words.clock, "The time|When to ring|Time of day|"),),
        "(set|make|please set|create) (an alarm|the alarm|my alarm) (for|to|at) {0}|(wake me|wake me up|get me "
        "up|ring) at {0}",
        "The alarm",
        lambda rng: rng.choice(("set", "ok", "done")),
    ),
    Row(
        "get_stock_price|stock_price|stock_quote|share_price",
        "The price of a stock|Get a stock price|Current price of a share|Stock quotes",
        (("symbol|ticker|company|stock", symbol, "The ticker symbol|The company|Symbol of the stock|"),),
        "(what is|what's|tell me|get|check|show me|how high is|look up) (the price of|the stock price of|the "
        "share price of|the price for|the stock price for|the current price of) {0}?|(how much is|what does) (a "
        "share of|one share of|) {0} (cost|worth|trading at)?|{0} (stock price|share price|stock)",
        "The price of {0}",
        words.decimal,
    ),
    Row(
        "add_reminder|remind_me|create_reminder|reminder|set_reminder",
        "Add a reminder|Reminds the user of something|Create a reminder|Reminders",
        (
            ("text|task|what|reminder", words.phrase, "What to remember|The text|Of what to remind|"),
            ("when|day|date|time", words.day, "When|The day|"),
        ),
        "(remind me|please remind me|can you remind me|set a reminder) (to|of|about) {0} {1}|{1} I have to {0}, "
        "(remind me|please remind me|set a reminder)|(add|create|make) a reminder: {0}, {1}",
        "The reminder",
        lambda rng: rng.choice(("saved", "ok", "added")),
    ),
    Row(
        "add_todo|add_task|todo|new_task|add_to_list",
        "Add a task to the list|Adds a to-do|New task|Put something on the list",
        (("task|item|text|todo", words.phrase, "The task|What to do|Item|"),),
        "(add|put|write|note) {0} (to|on|onto) (my list|the list|my to-do list|the shopping list|my tasks|my "
        "todo list)|(new task|add a task|todo|task|create a task|add to my list): {0}",
        "The list",
        lambda rng: rng.choice(("added", "ok", "saved")),
    ),
    Row(
        "turn_on_light|light_on|switch_light_on|lamp_on",
        "Turn on a light|Switches a lamp on|Light in a room",
        (("room|where|place|lamp", words.word, "The room|Which room|Where|"),),
        "(turn on|switch on|please turn on|can you switch on|turn) (the light|the lights|the lamp|light) (in the|"
        "in) {0}|(light|lights|lamp) on in the {0}|I need light in the {0}|make it bright in the {0}",
        "The light",
        lambda rng: rng.choice(("on", "ok", "done")),
    ),
    Row(
        "set_volume|volume|change_volume|set_loudness",
        "Set the volume|Changes the volume|How loud the music is",
        (("level|volume|percent|value", percent, "From 0 to 100|The volume|Percent|"),),
        "(set|change|turn|put|make) the (volume|loudness|sound) (to|at) {0}( percent|%||)|volume {0}|make it {0} "
        "percent loud|(turn the music to|music at) {0}",
        "The volume",
        lambda rng: rng.choice(("ok", "set", "done")),
    ),
    Row(
        "set_temperature|set_thermostat|heating|thermostat",
        "Set the heating|Sets the thermostat|Heating of the house|Set the room temperature",
        (("degrees|temperature|value|target", percent, "Degrees|The temperature|Wanted degrees|"),),
        "(set|put|turn|change) the (heating|thermostat|room temperature|heater) to {0}( degrees||)|heat (the "
        "house|the room|up) to {0}( degrees|)|(make it|I want) {0} degrees (in here|here|inside)",
        "The heating",
        lambda rng: rng.choice(("ok", "set", "done")),
    ),
    Row(
        "define_word|dictionary|lookup_word|get_definition|define",
        "The meaning of a word|Looks a word up|A dictionary|Define a word",
        (("word|term|entry", words.word, "The word|Which word|"),),
        "(define|look up|what does the word|find the definition of|definition of|look up the word|define the "
        "word|what is the definition of|explain the word) {0}( mean|)?|(what does|what is the meaning of) {0}( "
        "mean|)?",
        "{0}",
        words.phrase,
    ),
    Row(
        "read_file|open_file|load_file|show_file",
        "Read a file|Returns the content of a file|Opens a file|Show what is in a file",
        (("path|file|filename|name", file, "The file|Path of the file|Name of the file|"),),
        "(read|open|show|show me|load|print|display|what is in|what's in|please open) (the file|file|) {0}",
        "The file {0}",
        words.phrase,
    ),
    Row(
        "send_email|email|mail|write_email",
        "Send an email|Sends a mail|Write an email to an address",
        (
            ("to|address|recipient|email", words.email, "The address|To whom|"),
            ("subject|title|about", words.phrase, "The subject|Subject line|"),
        ),
        "(send|write) (an email|a mail|an e-mail|mail) to {0} (about|with the subject|with subject|on) {1}|"
        "(email|mail) {0} about {1}",
        "The email",
        lambda rng: rng.choice(("sent", "ok", "failed")),
    ),
    Row(
        "book_table|reserve_table|reservation|restaurant_booking",
        "Book a table in a restaurant|Reserves a table|Restaurant reservations",
        (
            ("restaurant|place|name|where", words.title, "The restaurant|Name of the restaurant|"),
            ("people|guests|persons|party_size", minutes, "How many people|Number of guests|"),
        ),
        "(book|reserve|get|please book) (a table|us a table|me a table) (at|in) {0} for {1}( people| persons| "
        "guests|)|(a table|table) for {1} at {0}|I want to eat at {0} with {1} people",
        "The table",
        lambda rng: rng.choice(("booked", "ok", "full")),
    ),
    Row(
        "find_flights|search_flights|flights|flight_search",
        "Find flights|Searches flights between cities|Flights from one city to another",
        (
            ("origin|from|departure|from_city|start", words.city, "Where it starts|From|The city of departure|"),
            ("destination|to|arrival|to_city|end", words.city, "Where it ends|To|The city of arrival|"),
        ),
        "(find|search|show me|look for|are there|I need|book|get me|find me) (flights|a flight|cheap flights|a "
        "plane) from {0} to {1}|(how do I fly|fly|I want to fly|flight|flights) from {0} to {1}?|I want to go "
        "from {0} to {1} by plane",
        "Flights from {0} to {1}",
        words.clock,
    ),
    Row(
        "distance|get_distance|distance_between|measure_distance",
        "The distance between two cities|How far two places are apart|Measures distances",
        (
            ("from|start|a|first_city|origin", words.city, "The first city|From|"),
            ("to|end|b|second_city|destination", words.city, "The second city|To|"),
        ),
        "(how far is it|how far|what is the distance|what's the distance|distance|how many kilometers is it|the "
        "distance) from {0} to {1}?|(how far is|how far is it from) {0} (from|to) {1}?|(distance between|what is "
        "the distance between|how far apart are) {0} and {1}?",
        "From {0} to {1}",
        lambda rng: f"{words.number(rng)} km",
    ),
    Row(
        "convert_units|unit_converter|convert|convert_length",
        "Convert units|Converts lengths and weights|Unit conversion",
        (
            ("value|amount|number|quantity", words.amount, "The number|How much|"),
            (
                "from_unit|unit_from|source|from",
                lambda rng: rng.choice(
                    (
                        "km",
                        "miles",
                        "meters",
                        "feet",
                        "inches",
                        "kg",
                        "pounds",
                        "liters",
                        "gallons",
                        "cm",
                        "celsius",
                        "ounces",
                    )
                ),
                "From which unit|Unit|",
            ),
            (
                "to_unit|unit_to|target|to",
                lambda rng: rng.choice(
                    (
                        "km",
                        "miles",
                        "meters",
                        "feet",
                        "inches",
                        "kg",
                        "pounds",
                        "liters",
                        "gallons",
                        "cm",
                        "fahrenheit",
                        "ounces",
                    )
                ),
                "To which unit|Into|",
            ),
        ),
        "(convert|change|please convert|turn) {0} {1} (to|into|in) {2}|(how many {2} are|how much is|what is|"
        "what are) {0} {1}( in {2}|, in {2}| in {2})?",
        "{0} {1}",
        words.amount,
    ),
    Row(
        "random_number|get_random_number|pick_number|random_int",
        "A random number|Picks a number between two bounds|Random integer",
        (
            ("low|min|minimum|start|from", lambda rng: str(rng.randint(0, 50)), "The smallest|Lower bound|"),
            ("high|max|maximum|end|to", lambda rng: str(rng.randint(51, 1000)), "The largest|Upper bound|"),
        ),
        "(give me|pick|choose|draw|generate|I need|tell me) a (random number|number|random integer) (between|"
        "from) {0} (and|to) {1}",
        "The number",
        minutes,
    ),
    Row(
        "get_news|news|latest_news|headlines|search_news",
        "The latest news|News about a topic|Get headlines",
        (("topic|about|subject|query", words.word, "The topic|About what|"),),
        "(what's new|any news|news|latest news|what is the news|give me the news|show me news|what are the "
        "headlines|tell me the news|is there news|find news) (about|on) {0}?",
        "The news",
        words.phrase,
    ),
    Row(
        "create_event|add_event|calendar|new_event|schedule",
        "Create an event in the calendar|Adds an appointment|Put something in the calendar",
        (
            ("title|event|what|name", words.phrase, "What|The title|"),
            ("day|date|when", words.day, "The day|When|"),
            ("time|at|start|hour", words.clock, "The time|At what time|"),
        ),
        "(schedule|plan|add|put|create) {0} (on|for|) {1} at {2}|(add|create|make) an (event|appointment): {0}, "
        "{1}, {2}|{0} {1} at {2}, (put it in my calendar|please schedule it|add it)",
        "The event",
        lambda rng: rng.choice(("created", "ok", "saved")),
    ),
    Row(
        "count_words|word_count|count_letters|text_length",
        "Count the words of a text|How many words a text has|Counts words",
        (("text|input|sentence", words.phrase, "The text|What to count|"),),
        "(how many words|how many letters) (are in|has|does) (\"{0}\"|'{0}')( have|)?|count the (words|letters) "
        "(in|of) (\"{0}\"|'{0}')",
        "The count",
        minutes,
    ),
    Row(
        "reverse_text|reverse|reverse_string|flip_text",
        "Reverse a text|Turns a text around|Writes a text backwards",
        (("text|string|input|word", words.word, "The text|What to reverse|"),),
        "(reverse|turn around|flip|write backwards|spell backwards|please reverse) (the word|the text|) {0}|{0} "
        "(backwards|reversed)|what is {0} backwards?",
        "Backwards",
        words.made_up,
    ),
    Row(
        "get_population|population|city_population|inhabitants",
        "The population of a city|How many people live somewhere|Number of inhabitants",
        (("city|place|town|country", words.city, "The city|Where|"),),
        "(how many people live in|what is the population of|population of|how many inhabitants has|number of "
        "people in|what's the population of|how big is) {0}?",
        "The population of {0}",
        words.amount,
    ),
    Row(
        "lookup_customer|get_customer|find_customer|customer_info|get_user",
        "Find a customer|Looks up a customer|Information on a customer",
        (("name|customer|id|customer_id|user", words.name, "The name|Which customer|"),),
        "(look up|find|show|show me|get|who is|search for|open) (the customer|customer|our customer|the user) "
        "{0}|(information|info|data) on (customer|the customer) {0}",
        "The customer {0}",
        words.phrase,
    ),
    Row(
        "order_pizza|order_food|pizza|order",
        "Order a pizza|Orders food|Pizza delivery",
        (
            ("kind|dish|item|topping|what", words.word, "Which|What to order|"),
            ("count|quantity|number|how_many", minutes, "How many|Number|"),
        ),
        "(order|get me|I want|please order|bring me|I'd like) {1} {0} (pizzas|pizza|pizzas please)|(order|buy) "
        "{1} (pizzas|times pizza) with {0}",
        "The order",
        lambda rng: rng.choice(("ordered", "ok", "done")),
    ),
    Row(
        "run_query|query_database|sql|search_database|database",
        "Search the database|Asks the database|Looks into the table",
        (
            ("table|source|from", words.made_up, "The table|Which table|"),
            ("limit|rows|n|count", minutes, "How many rows|At most|"),
        ),
        "(show|get|show me|give me|fetch|list|read) {1} rows (from|of) (the table|table|) {0}|(show|get|list) "
        "(the first|the top) {1} (rows|entries|lines) (of|from|in) {0}",
        "The rows",
        words.phrase,
    ),
)
