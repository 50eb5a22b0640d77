"""What people ask of a small model that was offered tools: by hand, and kept out of whatever it is trained on.

Written without a look at the corpus. A call's arguments are words that the question holds: nothing is to be worked out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llama_nb.apis.messages import BuiltinTool, ToolDefinition, ToolParamDefinition

FORMATS = ("json", "function_tag")


@dataclass(frozen=True)
class Call:
    """A call, made or expected. Expected, a tuple of values means that each of them is right."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What a tool gave back."""

    name: str
    content: str


@dataclass(frozen=True)
class ToolCase:
    """One conversation, its last word the user's or a tool's.

    `said` begins with the user, then turn about; a `Call` is the assistant's, and its `Result` follows. `call` is what
    is due, None when nothing is; `answer` are words of which one must then stand in the answer.
    """

    said: tuple[str | Call | Result, ...]
    tools: tuple[ToolDefinition, ...]
    call: Call | None
    answer: tuple[str, ...] = ()
    formats: tuple[str, ...] = FORMATS


def define(name: str, description: str, /, **parameters: tuple[str, str] | tuple[str, str, bool]) -> ToolDefinition:
    """A tool; each parameter is its type, its description, and False if it may be left out."""
    return ToolDefinition(
        tool_name=name,
        description=description,
        parameters={
            parameter: ToolParamDefinition(param_type=said[0], description=said[1], required=said[2:] != (False,))
            for parameter, said in parameters.items()
        },
    )


# --- The tools ----------------------------------------------------------------------------------------------------------

weather = define("get_weather", "Get the current weather of a city", city=("string", "The name of the city"))
forecast = define(
    "weather_forecast",
    "Forecast the weather of a town for some days",
    town=("string", "Name of the town"),
    days=("int", "How many days to look ahead"),
)
calculate = define("calculate", "Evaluate an arithmetic expression", expression=("string", "What to evaluate"))
convert_units = define(
    "convert_units",
    "Convert a quantity from one unit to another",
    value=("float", "The quantity"),
    from_unit=("string", "Unit of the quantity"),
    to_unit=("string", "Unit wanted"),
)
convert_currency = define(
    "convert_currency",
    "Convert an amount of money between currencies",
    amount=("float", "Amount of money"),
    source=("string", "Currency to convert from"),
    target=("string", "Currency to convert to"),
)
list_files = define("list_files", "List the files in a folder", folder=("string", "Path of the folder"))
read_file = define("read_file", "Read a text file", path=("string", "Path of the file"))
delete_file = define("delete_file", "Delete a file", path=("string", "Path of the file"))
rename_file = define(
    "rename_file", "Rename a file", old_name=("string", "Present name"), new_name=("string", "Name it shall have")
)
search_notes = define("search_notes", "Search the user's notes for a phrase", phrase=("string", "What to look for"))
add_event = define(
    "add_event", "Put an event into the calendar", title=("string", "Title of the event"), day=("string", "The day")
)
list_events = define("list_events", "List the calendar's events of a day", day=("string", "The day"))
set_reminder = define(
    "set_reminder",
    "Remind the user of something",
    text=("string", "What to be reminded of"),
    time=("string", "When to remind"),
)
send_email = define(
    "send_email", "Send an e-mail", to=("string", "Address of the recipient"), subject=("string", "Subject line")
)
translate = define(
    "translate_text",
    "Translate text into another language",
    text=("string", "The text"),
    language=("string", "The language to translate into"),
)
start_timer = define("start_timer", "Start a countdown", minutes=("int", "Length in minutes"))
stop_timer = define("stop_timer", "Stop the countdown that is running")
plot_column = define(
    "plot_column", "Draw a chart of a column", table=("string", "Name of the table"), column=("string", "The column")
)
column_mean = define(
    "column_mean", "Average of a column", column=("string", "Name of the column"), table=("string", "Name of the table")
)
load_dataset = define("load_dataset", "Load a dataset by name", name=("string", "Name of the dataset"))
count_rows = define("count_rows", "Count the rows of a table", table=("string", "Name of the table"))
run_query = define("run_query", "Run an SQL query on the database", sql=("string", "The query"))
stock_price = define("stock_price", "Latest price of a stock", symbol=("string", "Ticker symbol"))
read_sensor = define("read_sensor", "Read the value of a sensor", sensor_id=("string", "Identifier of the sensor"))
light_on = define("turn_on_light", "Switch on the light in a room", room=("string", "Which room"))
light_off = define("turn_off_light", "Switch off the light in a room", room=("string", "Which room"))
brightness = define(
    "set_brightness", "Dim a lamp", lamp=("string", "Which lamp"), percent=("int", "Brightness from 0 to 100")
)
thermostat = define("set_thermostat", "Set the heating's temperature", degrees=("float", "Degrees Celsius"))
lock_door = define("lock_door", "Lock a door", door=("string", "Which door"))
play_song = define(
    "play_song", "Play a song", title=("string", "Title of the song"), artist=("string", "Who sings it", False)
)
pause_music = define("pause_music", "Pause the music")
book_table = define(
    "book_table",
    "Reserve a table in a restaurant",
    restaurant=("string", "Name of the restaurant"),
    people=("int", "Number of guests"),
)
book_flight = define(
    "book_flight",
    "Book a flight",
    origin=("string", "City of departure"),
    destination=("string", "City of arrival"),
    date=("string", "Day of departure"),
)
get_customer = define("get_customer", "Look up a customer in the database", customer_id=("int", "Id of the customer"))
order_status = define("order_status", "Status of an order", order_number=("string", "Number of the order"))
track_parcel = define("track_parcel", "Say where a parcel is", tracking_code=("string", "Code on the parcel"))
roll_dice = define("roll_dice", "Roll a die", sides=("int", "How many sides the die has"))
flip_coin = define("flip_coin", "Flip a coin")
random_number = define(
    "random_number", "Draw a random number", low=("int", "Smallest number"), high=("int", "Largest number")
)
define_word = define("define_word", "Look up a word in the dictionary", word=("string", "The word"))
synonyms = define("find_synonyms", "Find words of the same meaning", word=("string", "The word"))
spell_check = define("spell_check", "Check how a word is spelled", word=("string", "The word"))
geocode = define("geocode", "Find latitude and longitude of a place", place=("string", "Name or address of the place"))
sunrise = define("sunrise_time", "Time at which the sun rises", city=("string", "The city"))
time_in = define("time_in", "Local time of a place", place=("string", "City or country"))
population = define("get_population", "Number of inhabitants of a country", country=("string", "The country"))
capital = define("capital_of", "Name the capital of a country", country=("string", "The country"))
distance = define(
    "distance_between", "Distance between two cities", start=("string", "First city"), end=("string", "Second city")
)
movie_info = define("movie_info", "Facts about a movie", title=("string", "Title of the movie"))
book_author = define("book_author", "Who wrote a book", book=("string", "Title of the book"))
find_recipe = define("find_recipe", "Find a recipe for a dish", dish=("string", "Name of the dish"))
nutrition = define("nutrition_facts", "Calories and nutrients of a food", food=("string", "The food"))
add_todo = define("add_todo", "Add a task to the todo list", task=("string", "What is to be done"))
list_todos = define("list_todos", "Show the todo list")
finish_todo = define("finish_todo", "Mark a task of the todo list as done", number=("int", "Number of the task"))
add_contact = define(
    "add_contact", "Save a contact", name=("string", "Name of the person"), phone=("string", "Phone number")
)
find_contact = define("find_contact", "Find somebody's phone number", name=("string", "Name of the person"))
count_words = define("count_words", "Count the words of a text", text=("string", "The text"))
reverse_text = define("reverse_text", "Write a text backwards", text=("string", "The text"))
square_root = define("square_root", "Square root of a number", number=("float", "The number"))
is_prime = define("is_prime", "Whether a number is prime", number=("int", "The number"))
factorial = define("factorial", "Factorial of a number", n=("int", "The number"))
add_numbers = define("add_numbers", "Add two numbers", a=("float", "First number"), b=("float", "Second number"))
multiply = define("multiply", "Multiply two numbers", x=("float", "First factor"), y=("float", "Second factor"))
train_status = define("train_status", "Delays on a train line", line=("string", "Name of the line"))
air_quality = define("air_quality", "Air quality of a city", city=("string", "The city"))
element_info = define("element_info", "Facts about a chemical element", element=("string", "Name of the element"))
set_alarm = define("set_alarm", "Set an alarm clock", time=("string", "Time of the alarm"))
water_plant = define("water_plant", "Water a plant of the greenhouse", plant=("string", "Which plant"))
open_website = define("open_website", "Open a website", url=("string", "Address of the site"))
make_password = define("make_password", "Make a random password", length=("int", "Number of characters"))
team_score = define("team_score", "Latest score of a sports team", team=("string", "Name of the team"))
battery = define("battery_level", "Charge of this computer's battery")
joke = define("tell_joke", "Fetch a joke about a topic", topic=("string", "The topic"))
resize_image = define(
    "resize_image",
    "Change the size of a picture",
    path=("string", "The picture's file"),
    width=("int", "Width in pixels"),
    height=("int", "Height in pixels"),
)
search_web = ToolDefinition(tool_name=BuiltinTool.brave_search)
wolfram = ToolDefinition(tool_name=BuiltinTool.wolfram_alpha)


# --- How a case is written ------------------------------------------------------------------------------------------------

Said = str | Sequence[str | Call | Result]


def due(said: Said, tools: Sequence[ToolDefinition], name: str, /, **arguments: Any) -> ToolCase:
    return ToolCase(_said(said), tuple(tools), Call(name, arguments))


def none(said: Said, *tools: ToolDefinition) -> ToolCase:
    return ToolCase(_said(said), tools, None)


def told(said: Sequence[str | Call | Result], tools: Sequence[ToolDefinition], *answer: str) -> ToolCase:
    return ToolCase(_said(said), tuple(tools), None, answer)


def _said(said: Said) -> tuple[str | Call | Result, ...]:
    return (said,) if isinstance(said, str) else tuple(said)


# --- A call is due: one argument ------------------------------------------------------------------------------------------

ONE_ARGUMENT = [
    due("What is the weather in Lisbon right now?", [weather], "get_weather", city="Lisbon"),
    due("weather in oslo", [roll_dice, weather], "get_weather", city="oslo"),
    due("Is it raining in Buenos Aires?", [weather, stock_price, define_word], "get_weather", city="Buenos Aires"),
    due("How's the weather over in Kuala Lumpur today?", [weather, time_in], "get_weather", city="Kuala Lumpur"),
    due("Please evaluate 17 * (4 + 9)", [calculate], "calculate", expression="17 * (4 + 9)"),
    due("What is 88 / 16?", [weather, calculate], "calculate", expression="88 / 16"),
    due("compute 3.5 + 12.25", [list_files, calculate, joke], "calculate", expression="3.5 + 12.25"),
    due("Which files are in /tmp/results?", [list_files, read_file], "list_files", folder="/tmp/results"),
    due("list the files in data/raw please", [count_rows, list_files], "list_files", folder="data/raw"),
    due("Show me what's in the file notes.txt", [read_file, list_files], "read_file", path="notes.txt"),
    due("could you read config/settings.yaml for me", [weather, read_file], "read_file", path="config/settings.yaml"),
    due("Delete old_model.bin", [read_file, delete_file], "delete_file", path="old_model.bin"),
    due('Search my notes for "gradient clipping"', [search_notes], "search_notes", phrase="gradient clipping"),
    due("look for Vienna trip in my notes", [add_todo, search_notes], "search_notes", phrase="Vienna trip"),
    due("What's on my calendar on Friday?", [list_events, weather], "list_events", day="Friday"),
    due("which events do I have on 12 May", [add_event, list_events], "list_events", day=("12 May", "on 12 May")),
    due("Start a timer for 25 minutes", [start_timer, stop_timer], "start_timer", minutes=25),
    due("timer 7 minutes please", [set_alarm, start_timer], "start_timer", minutes=7),
    due("Load the penguins dataset", [load_dataset, count_rows], "load_dataset", name="penguins"),
    due("load the dataset called wine_quality", [joke, load_dataset], "load_dataset", name="wine_quality"),
    due("How many rows does the table orders have?", [run_query, count_rows], "count_rows", table="orders"),
    due("count the rows in customers_2024", [count_rows], "count_rows", table="customers_2024"),
    due("What does NVDA trade at?", [stock_price, weather], "stock_price", symbol="NVDA"),
    due("price of TSLA", [capital, stock_price, roll_dice], "stock_price", symbol="TSLA"),
    due("Read sensor T-104", [read_sensor], "read_sensor", sensor_id="T-104"),
    due("What is the value of sensor greenhouse_3?", [water_plant, read_sensor], "read_sensor", sensor_id="greenhouse_3"),
    due("Turn on the light in the kitchen", [light_on, light_off], "turn_on_light", room=("kitchen", "the kitchen")),
    due("Switch off the bedroom light, please.", [light_on, light_off], "turn_off_light", room="bedroom"),
    due("lights off in the garage", [light_off, lock_door], "turn_off_light", room=("garage", "the garage")),
    due("It's dark in the living room, turn on the light there", [thermostat, light_on], "turn_on_light", room=("living room", "the living room")),
    due("Set the heating to 21.5 degrees", [thermostat, light_on], "set_thermostat", degrees=21.5),
    due("heating to 19 please", [weather, thermostat], "set_thermostat", degrees=19),
    due("Lock the front door.", [lock_door, light_off, thermostat], "lock_door", door=("front door", "the front door", "front")),
    due("Play the song Yesterday", [play_song, pause_music], "play_song", title="Yesterday"),
    due("Look up customer 40817", [get_customer, order_status], "get_customer", customer_id=40817),
    due("who is customer number 12?", [weather, get_customer], "get_customer", customer_id=12),
    due("Where is order A-5521?", [order_status, get_customer], "order_status", order_number="A-5521"),
    due("status of order 990013", [track_parcel, order_status], "order_status", order_number="990013"),
    due("Where's my parcel? The code is XK77201", [track_parcel, weather], "track_parcel", tracking_code="XK77201"),
    due("Roll a die with 20 sides", [flip_coin, roll_dice], "roll_dice", sides=20),
    due("roll a 12 sided die", [roll_dice, random_number], "roll_dice", sides=12),
    due("What does ephemeral mean?", [define_word, synonyms], "define_word", word="ephemeral"),
    due("define entropy", [calculate, define_word], "define_word", word="entropy"),
    due("Find me synonyms of happy", [define_word, synonyms], "find_synonyms", word="happy"),
    due("another word for quick?", [synonyms, weather], "find_synonyms", word="quick"),
    due("Is 'accomodate' spelled right?", [spell_check, translate], "spell_check", word="accomodate"),
    due("What are the coordinates of Mount Fuji?", [geocode, weather], "geocode", place="Mount Fuji"),
    due("latitude and longitude of 10 Downing Street", [distance, geocode], "geocode", place="10 Downing Street"),
    due("When does the sun rise in Reykjavik?", [weather, sunrise], "sunrise_time", city="Reykjavik"),
    due("sunrise in Cape Town?", [sunrise, time_in], "sunrise_time", city="Cape Town"),
    due("What time is it in Tokyo?", [time_in, weather], "time_in", place="Tokyo"),
    due("local time in Peru pls", [population, time_in], "time_in", place="Peru"),
    due("How many people live in Kenya?", [population, capital], "get_population", country="Kenya"),
    due("population of South Korea", [weather, capital, population], "get_population", country="South Korea"),
    due("What's the capital of Mongolia?", [capital, population], "capital_of", country="Mongolia"),
    due("tell me the capital of new zealand", [time_in, capital], "capital_of", country="new zealand"),
    due("Tell me about the movie Spirited Away", [movie_info, book_author], "movie_info", title="Spirited Away"),
    due("what do you know about the film Alien", [find_recipe, movie_info], "movie_info", title="Alien"),
    due("Who wrote Middlemarch?", [movie_info, book_author], "book_author", book="Middlemarch"),
    due("author of The Trial?", [book_author, define_word], "book_author", book="The Trial"),
    due("Find a recipe for mushroom risotto", [find_recipe, nutrition], "find_recipe", dish="mushroom risotto"),
    due("I want to cook goulash. Is there a recipe?", [weather, find_recipe], "find_recipe", dish="goulash"),
    due("How many calories are in an avocado?", [nutrition, find_recipe], "nutrition_facts", food=("avocado", "an avocado")),
    due("nutrition of brown rice", [joke, nutrition], "nutrition_facts", food="brown rice"),
    due("Add buy stamps to my todo list", [add_todo, list_todos], "add_todo", task="buy stamps"),
    due("put call the dentist on the todo list", [finish_todo, add_todo], "add_todo", task="call the dentist"),
    due("I am done with task 4", [finish_todo, add_todo], "finish_todo", number=4),
    due("What's Maria Keller's phone number?", [find_contact, add_contact], "find_contact", name="Maria Keller"),
    due("find the number of Tom", [send_email, find_contact], "find_contact", name="Tom"),
    due('Count the words in "the quick brown fox"', [count_words, reverse_text], "count_words", text="the quick brown fox"),
    due('Write "stressed" backwards', [count_words, reverse_text], "reverse_text", text="stressed"),
    due("What is the square root of 1764?", [square_root, is_prime], "square_root", number=1764),
    due("sqrt of 2.25", [square_root], "square_root", number=2.25),
    due("Is 7919 a prime number?", [factorial, is_prime], "is_prime", number=7919),
    due("factorial of 9", [factorial, square_root], "factorial", n=9),
    due("Are there delays on the Northern line?", [train_status, weather], "train_status", line=("Northern", "Northern line", "the Northern line")),
    due("How good is the air in Delhi?", [air_quality, weather], "air_quality", city="Delhi"),
    due("Give me facts about the element osmium", [define_word, element_info], "element_info", element="osmium"),
    due("Wake me at 6:45", [set_alarm, start_timer], "set_alarm", time="6:45"),
    due("set an alarm for 22:10", [weather, set_alarm], "set_alarm", time="22:10"),
    due("Water the basil", [water_plant, read_sensor], "water_plant", plant=("basil", "the basil")),
    due("Open https://example.org/docs", [open_website, read_file], "open_website", url="https://example.org/docs"),
    due("I need a password with 16 characters", [make_password, random_number], "make_password", length=16),
    due("How did Ajax play? Latest score please", [team_score, weather], "team_score", team="Ajax"),
    due("Tell me a joke about penguins", [load_dataset, joke], "tell_joke", topic="penguins"),
    due("run this query: SELECT name FROM users", [run_query, count_rows], "run_query", sql="SELECT name FROM users"),
]  # fmt: skip

# --- Two arguments, three, none -------------------------------------------------------------------------------------------

TWO_ARGUMENTS = [
    due("Give me the forecast of Bergen for 5 days", [forecast, sunrise], "weather_forecast", town="Bergen", days=5),
    due("weather forecast for 3 days in San Sebastian", [forecast], "weather_forecast", town="San Sebastian", days=3),
    due("How will the weather be in Izmir during the next 10 days?", [weather, forecast], "weather_forecast", town="Izmir", days=10),
    due("Rename draft.md to final.md", [rename_file, delete_file], "rename_file", old_name="draft.md", new_name="final.md"),
    due("please rename plot1.png into figure.png", [read_file, rename_file], "rename_file", old_name="plot1.png", new_name="figure.png"),
    due('Put "team lunch" into my calendar on Thursday', [list_events, add_event], "add_event", title="team lunch", day="Thursday"),
    due("Add the event yoga class on 3 June", [add_event, add_todo], "add_event", title="yoga class", day="3 June"),
    due("Remind me to call grandma at 18:00", [set_reminder, set_alarm], "set_reminder", text="call grandma", time=("18:00", "at 18:00")),
    due("remind me at 9 am to water the roses", [water_plant, set_reminder], "set_reminder", text="water the roses", time=("9 am", "at 9 am")),
    due("Send an email to kim@example.com with the subject Meeting moved", [send_email], "send_email", to="kim@example.com", subject="Meeting moved"),
    due('e-mail jo@lab.org, subject "results are in"', [find_contact, send_email], "send_email", to="jo@lab.org", subject="results are in"),
    due('Translate "good morning" into Italian', [translate, define_word], "translate_text", text="good morning", language="Italian"),
    due("how do you say 'thank you' in Japanese?", [weather, translate], "translate_text", text="thank you", language="Japanese"),
    due("translate where is the station to french", [distance, translate], "translate_text", text="where is the station", language="french"),
    due("Plot the column price of the table houses", [plot_column, column_mean], "plot_column", table="houses", column="price"),
    due("draw a chart of temperature from the table stations", [count_rows, plot_column], "plot_column", table="stations", column="temperature"),
    due("What is the average of age in the table passengers?", [column_mean, count_rows], "column_mean", column="age", table="passengers"),
    due("mean of the column salary in staff", [plot_column, column_mean], "column_mean", column="salary", table="staff"),
    due("Dim the desk lamp to 30 percent", [brightness, light_off], "set_brightness", lamp=("desk lamp", "the desk lamp", "desk"), percent=30),
    due("set the floor lamp to 75%", [light_on, brightness], "set_brightness", lamp=("floor lamp", "the floor lamp", "floor"), percent=75),
    due("Play Hurt by Johnny Cash", [play_song, pause_music], "play_song", title="Hurt", artist="Johnny Cash"),
    due("I'd like to hear Jolene by Dolly Parton", [movie_info, play_song], "play_song", title="Jolene", artist="Dolly Parton"),
    due("Book a table for 4 people at Trattoria Roma", [book_table, find_recipe], "book_table", restaurant="Trattoria Roma", people=4),
    due("reserve a table for 6 at the Golden Lion", [book_flight, book_table], "book_table", restaurant=("Golden Lion", "the Golden Lion"), people=6),
    due("Give me a random number between 10 and 99", [random_number, roll_dice], "random_number", low=10, high=99),
    due("random number from 1 to 500", [flip_coin, random_number], "random_number", low=1, high=500),
    due("How far is it from Berlin to Prague?", [distance, weather], "distance_between", start="Berlin", end="Prague"),
    due("distance between Los Angeles and Salt Lake City", [geocode, distance], "distance_between", start="Los Angeles", end="Salt Lake City"),
    due("what's the distance from lyon to nice", [distance, time_in, capital], "distance_between", start="lyon", end="nice"),
    due("Save the contact Ana Lima, phone 555-0199", [find_contact, add_contact], "add_contact", name="Ana Lima", phone="555-0199"),
    due("new contact: Peter, 0171 443322", [add_contact, add_todo], "add_contact", name="Peter", phone="0171 443322"),
    due("Add 12.5 and 40", [add_numbers, multiply], "add_numbers", a=12.5, b=40),
    due("what is 311 plus 89?", [add_numbers], "add_numbers", a=311, b=89),
    due("Multiply 23 by 19", [add_numbers, multiply], "multiply", x=23, y=19),
    due("could you multiply 0.5 and 18 for me?", [weather, multiply, is_prime], "multiply", x=0.5, y=18),
    due("Please remind me to submit the report on Monday", [add_todo, set_reminder], "set_reminder", text="submit the report", time=("Monday", "on Monday")),
    due("Put dentist in the calendar for Tuesday", [add_event, set_alarm], "add_event", title="dentist", day="Tuesday"),
    due("Spanish translation of 'the bill, please'", [translate, count_words], "translate_text", text="the bill, please", language="Spanish"),
    due("Please turn the hall lamp down to 15 percent", [thermostat, brightness], "set_brightness", lamp=("hall lamp", "the hall lamp", "hall"), percent=15),
    due("I want a table at Chez Marie for 2 people", [book_table, weather], "book_table", restaurant="Chez Marie", people=2),
]  # fmt: skip

THREE_OR_NONE = [
    due("Convert 12 miles to kilometers", [convert_units, convert_currency], "convert_units", value=12, from_unit="miles", to_unit="kilometers"),
    due("how much is 2.5 pounds in grams", [calculate, convert_units], "convert_units", value=2.5, from_unit="pounds", to_unit="grams"),
    due("Convert 150 euros to dollars", [convert_currency, stock_price], "convert_currency", amount=150, source="euros", target="dollars"),
    due("change 80 CHF into JPY", [convert_units, convert_currency], "convert_currency", amount=80, source="CHF", target="JPY"),
    due("Book a flight from Madrid to Dublin on 4 July", [book_flight, distance], "book_flight", origin="Madrid", destination="Dublin", date=("4 July", "on 4 July")),
    due("I need a flight from Hong Kong to Sydney on Sunday", [book_table, book_flight], "book_flight", origin="Hong Kong", destination="Sydney", date=("Sunday", "on Sunday")),
    due("Resize cat.jpg to 640 by 480", [resize_image, read_file], "resize_image", path="cat.jpg", width=640, height=480),
    due("Flip a coin!", [flip_coin, roll_dice], "flip_coin"),
    due("heads or tails? flip a coin for me", [random_number, flip_coin], "flip_coin"),
    due("Please pause the music.", [play_song, pause_music], "pause_music"),
    due("show my todo list", [add_todo, list_todos], "list_todos"),
    due("Stop the countdown", [start_timer, stop_timer], "stop_timer"),
    due("How full is the battery?", [battery, thermostat], "battery_level"),
]  # fmt: skip

# --- More tools to choose from, and longer conversations --------------------------------------------------------------------

MANY_TOOLS = [
    due("What's the weather in Porto?", [stock_price, roll_dice, define_word, weather], "get_weather", city="Porto"),
    due("roll a die with 8 sides", [weather, translate, roll_dice, light_on], "roll_dice", sides=8),
    due("Define the word serendipity", [define_word, weather, list_files, population], "define_word", word="serendipity"),
    due("I'd like to know the price of AMZN", [play_song, weather, stock_price, capital], "stock_price", symbol="AMZN"),
    due("Add feed the cat to my todo list please", [weather, set_alarm, translate, add_todo], "add_todo", task="feed the cat"),
    due("Turn on the light in the office", [thermostat, lock_door, light_off, light_on], "turn_on_light", room=("office", "the office")),
    due("what time is it in Nairobi", [weather, air_quality, sunrise, time_in], "time_in", place="Nairobi"),
    due("How clean is the air in Mexico City?", [weather, population, time_in, air_quality], "air_quality", city="Mexico City"),
]  # fmt: skip

LISBON = (Call("get_weather", {"city": "Lisbon"}), Result("get_weather", '{"temperature": 24, "sky": "clear"}'))

CONVERSATIONS = [
    due(["Hello!", "Hello! How can I help you?", "What's the weather in Dakar?"], [weather], "get_weather", city="Dakar"),
    due(["hi, who are you?", "I am a small model in your notebook.", "ok. price of IBM?"], [weather, stock_price], "stock_price", symbol="IBM"),
    due(["Thanks for being here.", "You are welcome!", "Roll a die with 6 sides"], [roll_dice], "roll_dice", sides=6),
    due(["My name is Eva.", "Nice to meet you, Eva.", "Define the word lagoon"], [define_word, weather], "define_word", word="lagoon"),
    due(["What's the weather in Lisbon?", *LISBON, "It is 24 degrees and clear in Lisbon.", "And in Athens?"], [weather], "get_weather", city="Athens"),
    due(["What's the weather in Lisbon?", *LISBON, "It is 24 degrees and clear in Lisbon.", "What time is it in Lisbon?"], [weather, time_in], "time_in", place="Lisbon"),
    due(["What's the weather in Lisbon?", *LISBON, "It is 24 degrees and clear in Lisbon.", "Thanks. Add 5 and 9"], [weather, add_numbers], "add_numbers", a=5, b=9),
    due(["Flip a coin", Call("flip_coin"), Result("flip_coin", "heads"), "It came up heads.", "again, flip a coin"], [flip_coin], "flip_coin"),
    due(["capital of Chile", Call("capital_of", {"country": "Chile"}), Result("capital_of", "Santiago"), "The capital of Chile is Santiago.", "capital of Norway"], [capital, population], "capital_of", country="Norway"),
    due(["load the dataset iris", Call("load_dataset", {"name": "iris"}), Result("load_dataset", "loaded"), "iris is loaded.", "how many rows does the table iris have?"], [load_dataset, count_rows], "count_rows", table="iris"),
]  # fmt: skip

SEARCHES = [
    due("Search the web for the tallest building in Asia", [search_web], "brave_search", query=("the tallest building in Asia", "tallest building in Asia")),
    due("search the web for cheap flights to Malta", [search_web], "brave_search", query="cheap flights to Malta"),
    due('Please search for "llama shearing"', [search_web], "brave_search", query="llama shearing"),
    due("Look up the latest Python release on the web", [search_web], "brave_search", query=("the latest Python release", "latest Python release")),
    due("Can you search the internet for news about volcanoes?", [search_web, weather], "brave_search", query="news about volcanoes"),
    due("web search: best hiking boots", [wolfram, search_web], "brave_search", query="best hiking boots"),
    due("Ask Wolfram Alpha for the mass of Jupiter", [wolfram], "wolfram_alpha", query=("the mass of Jupiter", "mass of Jupiter")),
    due("use wolfram alpha to solve x^2 = 49", [search_web, wolfram], "wolfram_alpha", query=("x^2 = 49", "solve x^2 = 49")),
    due("Please do a web search for electric bikes", [weather, search_web], "brave_search", query="electric bikes"),
    due("Ask wolfram alpha: integrate sin(x)", [wolfram], "wolfram_alpha", query="integrate sin(x)"),
]  # fmt: skip

# --- No call is due ---------------------------------------------------------------------------------------------------------

GREETINGS = [
    none("Hello!", weather),
    none("hi", stock_price, roll_dice),
    none("Good morning, how are you?", weather, calculate),
    none("hey there", light_on, light_off),
    none("Good evening.", list_files),
    none("What's up?", define_word, translate),
    none("Thank you very much!", weather),
    none("thanks, that helped a lot", calculate, count_rows),
    none("Great, thanks!", stock_price),
    none("Bye, see you tomorrow", set_reminder, add_todo),
    none("Good night!", light_off, set_alarm),
    none("You are very kind.", find_contact),
    none("ok", random_number, flip_coin),
    none("Cool.", play_song),
    none("lol that's funny", joke),
    none("Nice to meet you!", add_contact),
    none("Hello again", search_web, weather),
    none("thank you, goodbye", wolfram),
    none("Well done!", team_score, finish_todo),
    none("Sorry!", stop_timer),
]

ABOUT_ITSELF = [
    none("Who are you?", weather),
    none("What can you do?", stock_price, weather),
    none("what is your name", find_contact, define_word),
    none("Are you a human?", is_prime),
    none("How many parameters do you have?", count_rows, population),
    none("Can you speak German?", translate),
    none("Do you like music?", play_song, pause_music),
    none("Where do you live?", geocode, capital),
    none("How old are you?", calculate),
    none("Do you ever sleep?", set_alarm, start_timer),
    none("Who made you?", book_author, movie_info),
    none("Are you smart?", square_root, calculate),
    none("What is llama_nb?", define_word, list_files),
    none("How do I stop an answer in llama_nb?", stop_timer, pause_music),
    none("How do I ask a question with %llama?", run_query),
    none("How do I open the chat panel?", open_website, lock_door),
    none("Which model am I talking to?", get_customer),
    none("How can I use another model in llama_nb?", load_dataset),
    none("Can you help me?", battery, weather),
    none("Who are you?", search_web),
    none("Do you have feelings?", joke, define_word),
]

NOT_SERVED = [
    none("Write a poem about the sea", weather, stock_price),
    none("Play a song by Queen", weather, calculate),
    none("What's the weather in Rome?", stock_price, roll_dice),
    none("Translate 'good night' into Polish", weather),
    none("Book a flight to Tokyo", light_on, light_off),
    none("What is the capital of Peru?", roll_dice, start_timer),
    none("Tell me a joke", stock_price),
    none("Send an email to my boss", weather, list_files),
    none("What's the price of AAPL?", capital, sunrise),
    none("Who won the world cup in 1998?", add_todo, list_todos),
    none("Delete my account", weather, define_word),
    none("Explain quantum mechanics to me", light_on, thermostat),
    none("How do I bake bread?", stock_price, count_rows),
    none("Draw me a picture of a horse", translate),
    none("Order a pizza", weather, start_timer),
    none("What should I wear tomorrow?", roll_dice, square_root),
    none("Set an alarm for 7:00", weather, capital),
    none("How many people live in Spain?", find_recipe, play_song),
    none("Open the window", stock_price, define_word),
    none("Why is the sky blue?", calculate, list_files),
    none("Search the web for pasta recipes", roll_dice, light_on),
    none("Give me a random number", weather, lock_door),
    none("Turn on the radio in the kitchen", weather, define_word),
    none("What's 15 times 12?", play_song, capital),
    none("Remind me to buy milk at 5 pm", stock_price, sunrise),
    none("Find a recipe for pancakes", count_rows, load_dataset),
    none("Is 97 prime?", weather, book_table),
    none("Show my todo list", thermostat, element_info),
    none("What does melancholy mean?", weather, light_on, roll_dice),
    none("How far is it from Rome to Naples?", define_word, joke),
    none("Plot the column age of the table staff", weather, lock_door),
]

STATEMENTS = [
    none("I live in Hamburg.", stock_price, roll_dice),
    none("My favourite colour is green.", light_on),
    none("I had a long day.", list_events, set_reminder),
    none("My dog is called Bruno.", find_contact, add_contact),
    none("I am learning Python.", read_file, list_files),
    none("That was not what I meant.", calculate),
    none("I think you are right.", is_prime),
    none("It is my birthday today!", add_event, list_events),
    none("I don't like spinach.", find_recipe, nutrition),
    none("Nothing, I was just looking.", search_notes),
    none("I feel a bit tired.", set_alarm, pause_music),
    none("Maybe later.", book_table, book_flight),
    none("The meeting went well.", list_events, add_event),
    none("My flight was late.", book_flight, distance),
    none("I bought new shoes yesterday.", convert_currency, stock_price),
    none("This notebook is a mess.", list_files, delete_file),
    none("I am from Portugal.", translate, weather),
    none("You made a mistake.", spell_check, calculate),
    none("I can't find my keys.", search_notes, lock_door),
]

AFTER_A_CALL = [
    none(["What's the weather in Lisbon?", *LISBON, "It is 24 degrees and clear in Lisbon.", "Thank you!"], weather),
    none(["What's the weather in Lisbon?", *LISBON, "It is 24 degrees and clear in Lisbon.", "Great, bye."], weather, time_in),
    none(["What's the weather in Lisbon?", *LISBON, "It is 24 degrees and clear in Lisbon.", "Who are you?"], weather, stock_price),
    none(["Hello!", "Hello! How can I help you?", "My name is Omar."], find_contact, weather),
    none(["Roll a die with 6 sides", Call("roll_dice", {"sides": 6}), Result("roll_dice", "4"), "You rolled a 4.", "nice, thanks"], roll_dice),
    none(["Flip a coin", Call("flip_coin"), Result("flip_coin", "heads"), "It came up heads.", "haha, lucky me"], flip_coin, roll_dice),
    none(["Hi!", "Hello! How can I help you?", "I don't know yet."], weather, capital, joke),
]  # fmt: skip

RESULTS = [
    told(["What's the weather in Lisbon?", *LISBON], [weather], "24"),
    told(["price of IBM", Call("stock_price", {"symbol": "IBM"}), Result("stock_price", "231.40")], [stock_price], "231.40", "231.4"),
    told(["What's the capital of Ghana?", Call("capital_of", {"country": "Ghana"}), Result("capital_of", "Accra")], [capital, population], "Accra"),
    told(["roll a 20 sided die", Call("roll_dice", {"sides": 20}), Result("roll_dice", "17")], [flip_coin, roll_dice], "17"),
    told(["Flip a coin", Call("flip_coin"), Result("flip_coin", "tails")], [flip_coin], "tails"),
    told(["what time is it in Lima?", Call("time_in", {"place": "Lima"}), Result("time_in", "14:35")], [time_in], "14:35"),
    told(["How many rows does orders have?", Call("count_rows", {"table": "orders"}), Result("count_rows", "58213")], [count_rows, run_query], "58213", "58,213"),
    told(["Multiply 23 by 19", Call("multiply", {"x": 23, "y": 19}), Result("multiply", "437")], [add_numbers, multiply], "437"),
    told(["Who wrote Dracula?", Call("book_author", {"book": "Dracula"}), Result("book_author", '{"author": "Bram Stoker"}')], [book_author], "Bram Stoker"),
    told(["Find Tom's number", Call("find_contact", {"name": "Tom"}), Result("find_contact", "555-0142")], [find_contact], "555-0142"),
    told(["When does the sun rise in Oslo?", Call("sunrise_time", {"city": "Oslo"}), Result("sunrise_time", '{"sunrise": "04:12"}')], [weather, sunrise], "04:12", "4:12"),
    told(["Read sensor T-7", Call("read_sensor", {"sensor_id": "T-7"}), Result("read_sensor", "Error: sensor T-7 is offline")], [read_sensor], "offline"),
]  # fmt: skip

DUE = [*ONE_ARGUMENT, *TWO_ARGUMENTS, *THREE_OR_NONE, *MANY_TOOLS, *CONVERSATIONS, *SEARCHES]
NOT_DUE = [*GREETINGS, *ABOUT_ITSELF, *NOT_SERVED, *STATEMENTS, *AFTER_A_CALL]
CASES = [*DUE, *NOT_DUE, *RESULTS]
