"""What people ask of a small model that was offered tools: a third set, by somebody who knew nothing of its training.

Written without a look at the corpus, at the other cases or at what the model answers. By field: the tools that somebody
would offer together, then what is said to them. A call's arguments stand in the last thing said, and an optional one is
due only where it was said.
"""

from __future__ import annotations

from tests.demo.tool_cases import Call, Result, ToolCase, define, due, none, told

DUE: list[ToolCase] = []
NOT_DUE: list[ToolCase] = []
RESULTS: list[ToolCase] = []


# --- Garden -------------------------------------------------------------------------------------------------------------

water_bed = define(
    "water_bed",
    "Open the sprinkler of one garden bed for a while.",
    bed=("string", "Name of the bed"),
    minutes=("int", "How long the sprinkler runs"),
)
soil_moisture = define("soil_moisture", "Measure how moist the soil of a bed is.", bed=("string", "Name of the bed"))
plant_info = define("plant_info", "Look up how a plant is grown and cared for.", plant=("string", "Name of the plant"))
log_harvest = define(
    "log_harvest",
    "Write a harvested crop into the garden diary.",
    crop=("string", "What was harvested"),
    kilograms=("float", "Its weight"),
)
frost_warning = define("frost_warning", "Tell whether frost is expected in the garden tonight.")

DUE += [
    due(
        "Run the sprinkler in the herb bed for 15 minutes, please.",
        [soil_moisture, water_bed, plant_info],
        "water_bed",
        bed=("herb bed", "herb", "the herb bed"),
        minutes=15,
    ),
    due(
        "Are the roses' roots too dry? The bed is called Rosalind.",
        [water_bed, soil_moisture, frost_warning],
        "soil_moisture",
        bed="Rosalind",
    ),
    due(
        "somebody gave me an oleander, what does it need to be happy?",
        [log_harvest, frost_warning, plant_info],
        "plant_info",
        plant=("oleander", "an oleander"),
    ),
    due(
        "Just brought in 4.5 kilograms of plums. Put that on record!",
        [log_harvest, soil_moisture, water_bed, plant_info],
        "log_harvest",
        crop="plums",
        kilograms=4.5,
    ),
    due("Will it freeze out there while I'm asleep?", [plant_info, frost_warning, water_bed], "frost_warning"),
]
NOT_DUE += [
    none("Why do leaves turn yellow in autumn?", water_bed, frost_warning, log_harvest),
    none("My grandmother used to have the loveliest garden.", plant_info, soil_moisture, water_bed),
    none("Can you mow the lawn behind the house?", water_bed, soil_moisture, log_harvest, frost_warning),
]

# --- Kitchen ------------------------------------------------------------------------------------------------------------

find_recipe = define("find_recipe", "Find recipes that use an ingredient", ingredient=("string", "The main ingredient"))
add_to_shopping_list = define(
    "add_to_shopping_list", "Put an item on the shopping list", item=("string", "What is to be bought")
)
pantry_amount = define("pantry_amount", "How much of a food is left in the pantry", food=("string", "Which food"))
scale_recipe = define(
    "scale_recipe",
    "Work out a saved recipe's amounts for another number of servings",
    recipe=("string", "Name of the saved recipe"),
    servings=("int", "Number of servings"),
)
preheat_oven = define("preheat_oven", "Preheat the oven", degrees=("int", "Temperature in degrees Celsius"))

DUE += [
    due(
        "Any recipes with leeks?",
        [find_recipe, water_bed, add_to_shopping_list, soil_moisture],
        "find_recipe",
        ingredient=("leeks", "leek"),
    ),
    due(
        "Please put butter on the shopping list, we're out.",
        [add_to_shopping_list, preheat_oven, find_recipe],
        "add_to_shopping_list",
        item="butter",
    ),
    due(
        "How many lentils are left in the pantry?",
        [pantry_amount, find_recipe, preheat_oven, scale_recipe, add_to_shopping_list],
        "pantry_amount",
        food="lentils",
    ),
    due(
        "I need the recipe Sunday Stew for 12 servings",
        [find_recipe, scale_recipe],
        "scale_recipe",
        recipe="Sunday Stew",
        servings=12,
    ),
    due(
        "Pizza's nearly ready to go in: get it up to 220 degrees.",
        [add_to_shopping_list, pantry_amount, preheat_oven],
        "preheat_oven",
        degrees=220,
    ),
]
NOT_DUE += [
    none(
        "That soup was delicious, I could have eaten three bowls.",
        find_recipe,
        log_harvest,
        pantry_amount,
        preheat_oven,
    ),
    none("Why does bread dough rise?", preheat_oven, add_to_shopping_list, pantry_amount),
    none("Order two pizzas from the place around the corner.", preheat_oven, pantry_amount, scale_recipe),
]

# --- Library ------------------------------------------------------------------------------------------------------------

book_available = define(
    "book_available", "Check whether the library has a book on the shelf", title=("string", "The book's title")
)
books_by = define("books_by", "List the books that the library holds of an author", author=("string", "The author"))
renew_loan = define("renew_loan", "Extend the loan of a borrowed book", title=("string", "Title of the borrowed book"))
reserve_room = define(
    "reserve_room",
    "Reserve one of the library's study rooms",
    room=("string", "Name of the room"),
    day=("string", "Day of the reservation"),
)
library_fines = define("library_fines", "Show the fees that the reader owes the library")

DUE += [
    due(
        "Is Middlemarch in, or has somebody taken it?",
        [books_by, book_available, renew_loan],
        "book_available",
        title="Middlemarch",
    ),
    due(
        "Which books by the author Toni Morrison do you have?",
        [books_by, pantry_amount, library_fines],
        "books_by",
        author="Toni Morrison",
    ),
    due(
        "I haven't finished Dune yet, may I keep it a bit longer?",
        [book_available, books_by, renew_loan],
        "renew_loan",
        title="Dune",
    ),
    due(
        "Please reserve the Newton room for Thursday.",
        [library_fines, reserve_room, renew_loan],
        "reserve_room",
        room=("Newton", "Newton room", "the Newton room"),
        day="Thursday",
    ),
    due(
        "how much do I owe the library?",
        [frost_warning, library_fines, find_recipe],
        "library_fines",
    ),
]
NOT_DUE += [
    none("I never got past the first chapter of Ulysses.", book_available, renew_loan, books_by),
    none("May I eat a sandwich in the reading hall?", reserve_room, renew_loan, library_fines),
    none(
        "Good morning! Nice to be here again.",
        book_available,
        reserve_room,
        add_to_shopping_list,
        frost_warning,
        library_fines,
    ),
]

# --- Source code --------------------------------------------------------------------------------------------------------

list_branches = define(
    "list_branches",
    "Returns the branches of the repository.",
    remote=("boolean", "Whether to include remote ones", False),
)
switch_branch = define("switch_branch", "Checks out another branch.", branch=("string", "The branch to check out"))
show_diff = define("show_diff", "Shows the uncommitted changes of a file.", file=("string", "Path of the file"))
blame_line = define(
    "blame_line",
    "Says who last changed a line of a file.",
    file=("string", "Path of the file"),
    line=("int", "Number of the line"),
)
run_tests = define("run_tests", "Runs the tests of a folder.", folder=("string", "The folder with the tests"))

DUE += [
    due("Which branches are there?", [switch_branch, list_branches, run_tests], "list_branches"),
    due(
        "take me over to release-2.4",
        [list_branches, show_diff, run_tests, blame_line, switch_branch],
        "switch_branch",
        branch="release-2.4",
    ),
    due(
        "What have I altered in src/parser.py since my last commit?",
        [blame_line, show_diff],
        "show_diff",
        file="src/parser.py",
    ),
    due(
        "Who is to blame for line 88 of utils/io.py?",
        [blame_line, show_diff, run_tests],
        "blame_line",
        file="utils/io.py",
        line=88,
    ),
    due(
        "Run the tests in tests/api.",
        [run_tests, renew_loan, list_branches],
        "run_tests",
        folder="tests/api",
    ),
]
NOT_DUE += [
    none("What's the difference between a merge and a rebase?", switch_branch, list_branches, show_diff),
    none("I finally fixed that nasty bug!", run_tests, find_recipe),
    none("Push my commits to the server.", list_branches, switch_branch, show_diff, run_tests),
]

# --- Tables -------------------------------------------------------------------------------------------------------------

load_csv = define(
    "load_csv",
    "Load a CSV file into the table",
    path=("string", "Path of the file"),
    has_header=("boolean", "Whether the first line holds names", False),
)
column_mean = define("column_mean", "Compute the mean of a column", column=("string", "Name of the column"))
drop_column = define("drop_column", "Remove a column from the table", column=("string", "Name of the column"))
sort_rows = define(
    "sort_rows",
    "Sort the table's rows by a column",
    column=("string", "Column to sort by"),
    order=("string", "Either ascending or descending", False),
)
plot_histogram = define(
    "plot_histogram",
    "Draw a histogram of a column",
    column=("string", "Name of the column"),
    bins=("int", "Number of bars"),
)

DUE += [
    due(
        "Load data/rainfall_2019.csv into the table.",
        [load_csv, drop_column, sort_rows],
        "load_csv",
        path="data/rainfall_2019.csv",
    ),
    due(
        "what's the average of body_mass?",
        [show_diff, column_mean, run_tests, plot_histogram],
        "column_mean",
        column="body_mass",
    ),
    due(
        "We don't need passport_no any longer, throw it out.",
        [drop_column, column_mean, sort_rows, load_csv],
        "drop_column",
        column="passport_no",
    ),
    due("Sort by altitude, descending", [sort_rows, column_mean], "sort_rows", column="altitude", order="descending"),
    due(
        "A histogram of wing_length with 20 bars would be nice.",
        [sort_rows, plot_histogram, column_mean],
        "plot_histogram",
        column="wing_length",
        bins=20,
    ),
]
NOT_DUE += [
    none("Rename the column body_mass to mass.", column_mean, sort_rows, plot_histogram),
    none("These numbers look suspicious to me.", load_csv, column_mean, renew_loan),
    none("Train a classifier on this table.", load_csv, drop_column, sort_rows, plot_histogram),
]

# --- House --------------------------------------------------------------------------------------------------------------

set_thermostat = define(
    "set_thermostat",
    "Set the temperature of a room",
    room=("string", "The room"),
    degrees=("float", "Temperature in degrees"),
)
dim_lights = define(
    "dim_lights",
    "Dim the lamps of a room",
    room=("string", "The room"),
    percent=("int", "Brightness from 0 to 100"),
)
lock_door = define("lock_door", "Lock one of the doors", door=("string", "Which door"))
close_blinds = define("close_blinds", "Lower the blinds of a room", room=("string", "The room"))
start_vacuum = define("start_vacuum", "Send the robot vacuum on a round through the house")

DUE += [
    due(
        "I'd like it 21.5 degrees in the nursery.",
        [preheat_oven, set_thermostat, lock_door],
        "set_thermostat",
        room=("nursery", "the nursery"),
        degrees=21.5,
    ),
    due(
        "Lamps in the attic to 30 percent",
        [close_blinds, dim_lights, start_vacuum],
        "dim_lights",
        room=("attic", "the attic"),
        percent=30,
    ),
    due(
        "Did I leave the garage open for burglars? Bolt it, please!",
        [dim_lights, lock_door, set_thermostat],
        "lock_door",
        door=("garage", "the garage"),
    ),
    due(
        "The sun is blinding me here in the study, could you do something about it?",
        [lock_door, start_vacuum, set_thermostat, close_blinds],
        "close_blinds",
        room=("study", "the study"),
    ),
    due(
        "crumbs everywhere again, could someone clean the floors?",
        [start_vacuum, add_to_shopping_list, plant_info],
        "start_vacuum",
    ),
]
NOT_DUE += [
    none("Don't lock the front door, the kids are still outside.", lock_door, close_blinds, dim_lights),
    none(
        "We moved into this house eleven years ago.", set_thermostat, sort_rows, lock_door, start_vacuum, close_blinds
    ),
    none("Play the doorbell sound on the kitchen speaker.", dim_lights, close_blinds, start_vacuum),
]

# --- Trains -------------------------------------------------------------------------------------------------------------

next_train = define(
    "next_train",
    "Find the next train between two stations",
    origin=("string", "Station of departure"),
    destination=("string", "Station of arrival"),
)
platform_of = define("platform_of", "Tell the platform of a train", train=("string", "Number of the train"))
train_delay = define("train_delay", "Tell how late a train is", train=("string", "Number of the train"))
ticket_price = define(
    "ticket_price",
    "Get the price of a ticket",
    origin=("string", "Station of departure"),
    destination=("string", "Station of arrival"),
    travel_class=("string", "first or second", False),
)
free_lockers = define(
    "free_lockers", "Count the free luggage lockers of a station", station=("string", "Name of the station")
)

DUE += [
    due(
        "When does the next train from Utrecht to Breda leave?",
        [ticket_price, next_train, platform_of],
        "next_train",
        origin="Utrecht",
        destination="Breda",
    ),
    due(
        "Which platform does the RE 4471 go from?",
        [platform_of, train_delay, free_lockers],
        "platform_of",
        train=("RE 4471", "the RE 4471", "4471"),
    ),
    due(
        "How late is IC 605?",
        [train_delay, next_train, platform_of, ticket_price, free_lockers],
        "train_delay",
        train=("IC 605", "605"),
    ),
    due(
        "How much is it from Porto to Faro, first class?",
        [next_train, ticket_price],
        "ticket_price",
        origin="Porto",
        destination="Faro",
        travel_class=("first", "first class"),
    ),
    due(
        "We'd love to drop our suitcases in Antwerp for the afternoon",
        [lock_door, free_lockers, book_available],
        "free_lockers",
        station="Antwerp",
    ),
]
NOT_DUE += [
    none("I simply love travelling by night train.", next_train, ticket_price, train_delay),
    none("Who invented the steam locomotive?", next_train, water_bed, show_diff),
    none(
        "I left my umbrella on the train this morning, who can get it back for me?",
        next_train,
        train_delay,
        platform_of,
        ticket_price,
    ),
]

# --- Flights and hotels -------------------------------------------------------------------------------------------------

flight_status = define(
    "flight_status", "Return the status of a flight: on time, late, landed.", flight=("string", "Flight number")
)
find_hotel = define(
    "find_hotel",
    "Search free hotel rooms in a city.",
    city=("string", "The city"),
    nights=("int", "Number of nights"),
)
cancel_booking = define("cancel_booking", "Cancel a booking.", code=("string", "The booking code"))
baggage_rules = define("baggage_rules", "Return an airline's baggage limits.", airline=("string", "The airline"))
visa_needed = define(
    "visa_needed",
    "Tell whether a traveller needs a visa.",
    nationality=("string", "Country of the passport"),
    country=("string", "Country to be visited"),
)

DUE += [
    due(
        "Has LX 1612 landed?",
        [platform_of, flight_status, cancel_booking],
        "flight_status",
        flight="LX 1612",
    ),
    due(
        "Somewhere to sleep in Seville for 3 nights",
        [find_hotel, visa_needed, flight_status],
        "find_hotel",
        city="Seville",
        nights=3,
    ),
    due(
        "Cancel QX7T2P please, I can't go after all.",
        [flight_status, find_hotel, baggage_rules, visa_needed, cancel_booking],
        "cancel_booking",
        code="QX7T2P",
    ),
    due(
        "What are the baggage limits of Icelandair?",
        [baggage_rules, flight_status],
        "baggage_rules",
        airline="Icelandair",
    ),
    due(
        "Passport's from Peru and I'm off to Japan. Any visa required?",
        [find_hotel, baggage_rules, visa_needed, flight_status],
        "visa_needed",
        nationality="Peru",
        country="Japan",
    ),
]
NOT_DUE += [
    none("Upgrade me to business class on LX 1612.", flight_status, baggage_rules, find_hotel),
    none("Please give me some ideas for a romantic honeymoon.", flight_status, visa_needed, baggage_rules),
    none("Call me a taxi to the airport.", flight_status, set_thermostat, book_available, next_train),
]

# --- Sport --------------------------------------------------------------------------------------------------------------

match_score = define("match_score", "Score of a team's latest match", team=("string", "The team"))
league_table = define("league_table", "Standings of a league", league=("string", "Name of the league"))
player_stats = define("player_stats", "Career statistics of a player", player=("string", "Name of the player"))
log_run = define(
    "log_run",
    "Enter a run into the training log",
    kilometres=("float", "Distance run"),
    minutes=("int", "Time taken"),
)
book_court = define(
    "book_court",
    "Book a tennis court of the club",
    court=("int", "Number of the court"),
    day=("string", "The day"),
    hour=("int", "Full hour at which to begin"),
)

DUE += [
    due(
        "What was the score of the latest Celtic match?",
        [match_score, flight_status, column_mean],
        "match_score",
        team="Celtic",
    ),
    due(
        "Who's on top of the Bundesliga?",
        [sort_rows, league_table, match_score, player_stats],
        "league_table",
        league=("Bundesliga", "the Bundesliga"),
    ),
    due(
        "Show me the career statistics of Megan Rapinoe",
        [match_score, player_stats, league_table],
        "player_stats",
        player="Megan Rapinoe",
    ),
    due(
        "Log this run: 8.2 kilometres in 47 minutes.",
        [match_score, log_run, book_court],
        "log_run",
        kilometres=8.2,
        minutes=47,
    ),
    due(
        "Tennis on Friday! Get us court 3, from 18 o'clock.",
        [book_court, reserve_room, log_run],
        "book_court",
        court=3,
        day="Friday",
        hour=18,
    ),
]
NOT_DUE += [
    none("Why is it called love in tennis when you have no points?", book_court, match_score, log_run),
    none("My knees hurt after yesterday's training.", log_run, ticket_price),
    none("Buy me a ticket for Saturday's derby.", match_score, league_table, player_stats),
]

# --- Music --------------------------------------------------------------------------------------------------------------

play_song = define("play_song", "Play a song", title=("string", "Title of the song"))
play_radio = define("play_radio", "Tune in to a radio station", station=("string", "Name of the station"))
set_volume = define("set_volume", "Set the loudness of the speakers", level=("int", "From 0 to 10"))
skip_track = define("skip_track", "Go on to the next track of the playlist")
song_lyrics = define(
    "song_lyrics",
    "Get the words of a song",
    title=("string", "Title of the song"),
    artist=("string", "Who sings it"),
)

DUE += [
    due("Play Bohemian Rhapsody!", [set_volume, play_song, play_radio], "play_song", title="Bohemian Rhapsody"),
    due("Tune in to Classic FM, will you", [play_radio, skip_track, set_volume], "play_radio", station="Classic FM"),
    due("Quieter please, 3 is enough.", [dim_lights, set_volume, play_song, skip_track], "set_volume", level=3),
    due("ugh, not this one again, move along", [set_thermostat, skip_track, drop_column], "skip_track"),
    due(
        "What does Björk actually sing in Hyperballad?",
        [play_song, song_lyrics, set_volume],
        "song_lyrics",
        title="Hyperballad",
        artist="Björk",
    ),
]
NOT_DUE += [
    none("I used to play the cello when I was little.", play_song, play_radio, song_lyrics),
    none("How many strings does a violin have?", play_song, match_score, lock_door),
    none("Write me a short poem about the moon.", play_song, play_radio, set_volume, skip_track),
]

# --- Chemistry ----------------------------------------------------------------------------------------------------------

molar_mass = define("molar_mass", "Compute the molar mass of a compound", formula=("string", "Chemical formula"))
boiling_point = define(
    "boiling_point", "Look up the temperature at which a substance boils", substance=("string", "The substance")
)
balance_equation = define(
    "balance_equation", "Balance a chemical equation", equation=("string", "The unbalanced equation")
)
safety_sheet = define(
    "safety_sheet", "Fetch the safety data sheet of a chemical", chemical=("string", "Name of the chemical")
)
dilute = define(
    "dilution_plan",
    "Plan the dilution of a stock solution",
    solution=("string", "Name of the stock solution"),
    factor=("int", "How many times it is thinned"),
    millilitres=("int", "Final volume"),
)

DUE += [
    due("molar mass of C8H10N4O2", [molar_mass, balance_equation, safety_sheet], "molar_mass", formula="C8H10N4O2"),
    due(
        "How hot must acetone get before it turns to vapour?",
        [safety_sheet, boiling_point, molar_mass],
        "boiling_point",
        substance="acetone",
    ),
    due(
        "Could you balance Fe + O2 -> Fe2O3 for me?",
        [balance_equation, play_song, find_recipe],
        "balance_equation",
        equation="Fe + O2 -> Fe2O3",
    ),
    due(
        "Is toluene dangerous to breathe? I need the official paper on it.",
        [boiling_point, safety_sheet, dilute],
        "safety_sheet",
        chemical="toluene",
    ),
    due(
        "Dilute Buffer A by a factor of 10, to a final volume of 500 millilitres.",
        [dilute, molar_mass, safety_sheet],
        "dilution_plan",
        solution="Buffer A",
        factor=10,
        millilitres=500,
    ),
]
NOT_DUE += [
    none("What is the job of a catalyst?", molar_mass, balance_equation, dilute),
    none("Chemistry was my worst subject at school.", molar_mass, play_radio, books_by),
    none("Order two litres of ethanol for the lab.", molar_mass, boiling_point, safety_sheet, dilute),
]

# --- Sky ----------------------------------------------------------------------------------------------------------------

moon_phase = define("moon_phase", "Phase of the moon on a date", date=("string", "The date"))
sunset_time = define("sunset_time", "When the sun sets at a place", place=("string", "The place"))
star_distance = define("star_distance", "How far away a star is, in light years", star=("string", "Name of the star"))
next_eclipse = define(
    "next_eclipse", "Find the next solar eclipse that a place will see", place=("string", "The place")
)
point_telescope = define("point_telescope", "Turn the telescope to an object", target=("string", "Object in the sky"))

DUE += [
    due("Will the moon be full on 14 March?", [sunset_time, moon_phase, star_distance], "moon_phase", date="14 March"),
    due(
        "When does the sun set in Tromsø?",
        [next_train, sunset_time, moon_phase],
        "sunset_time",
        place="Tromsø",
    ),
    due(
        "How many light years is it to Betelgeuse?",
        [point_telescope, moon_phase, star_distance],
        "star_distance",
        star="Betelgeuse",
    ),
    due(
        "When is the next eclipse in Nairobi?",
        [sunset_time, next_eclipse, moon_phase, point_telescope],
        "next_eclipse",
        place="Nairobi",
    ),
    due(
        "Point the telescope at Saturn.",
        [point_telescope, close_blinds, star_distance, switch_branch],
        "point_telescope",
        target="Saturn",
    ),
]
NOT_DUE += [
    none("What is a black hole, in simple words?", point_telescope, moon_phase, sunset_time),
    none("The stars were so bright last night, I couldn't stop looking.", star_distance, point_telescope, moon_phase),
    none("Who was the first woman in space?", moon_phase, flight_status, league_table, set_volume),
]

# --- Birds and other wildlife -------------------------------------------------------------------------------------------

bird_sightings = define(
    "bird_sightings",
    "Recent sightings of a bird in a county",
    species=("string", "Kind of bird"),
    county=("string", "The county"),
)
bird_song = define("bird_song", "Play a recording of a bird's song", species=("string", "Kind of bird"))
record_sighting = define(
    "record_sighting",
    "Record animals that the user saw",
    animal=("string", "Kind of animal"),
    count=("int", "How many there were"),
)
tide_times = define("tide_times", "High and low water of a harbour today", harbour=("string", "Name of the harbour"))
trail_status = define("trail_status", "Whether a hiking trail is open", trail=("string", "Name of the trail"))

DUE += [
    due(
        "Has anybody seen a hoopoe in Kent lately?",
        [bird_song, record_sighting, bird_sightings],
        "bird_sightings",
        species=("hoopoe", "a hoopoe"),
        county="Kent",
    ),
    due(
        "What does a nightjar sound like?",
        [bird_song, plant_info, play_radio, bird_sightings],
        "bird_song",
        species=("nightjar", "a nightjar"),
    ),
    due(
        "I just counted 7 otters by the weir, write that down.",
        [trail_status, record_sighting, tide_times],
        "record_sighting",
        animal=("otters", "otter"),
        count=7,
    ),
    due("when's high water at Whitby?", [bird_sightings, trail_status, tide_times], "tide_times", harbour="Whitby"),
    due(
        "Can we walk the Heron Loop or is it closed after the storm?",
        [trail_status, lock_door, log_run],
        "trail_status",
        trail=("Heron Loop", "the Heron Loop"),
    ),
]
NOT_DUE += [
    none("Why do flamingos stand on one leg?", bird_sightings, bird_song, record_sighting),
    none("It's so peaceful out here in the woods.", trail_status, bird_song, dim_lights, next_train, point_telescope),
    none("Draw a picture of a puffin.", bird_song, record_sighting, trail_status, tide_times),
]

# --- Shop and stock -----------------------------------------------------------------------------------------------------

stock_level = define(
    "stock_level", "How many pieces of an article are in the warehouse", sku=("string", "Article code")
)
reorder = define(
    "reorder",
    "Order more of an article from its supplier",
    sku=("string", "Article code"),
    quantity=("int", "Number of pieces"),
)
set_price = define(
    "set_price",
    "Change the selling price of a product",
    product=("string", "Name of the product"),
    price=("number", "The new price"),
)
refund_order = define("refund_order", "Pay a customer's money back for an order", order=("string", "Order number"))
daily_sales = define("daily_sales", "Total of what the shop took in today")

DUE += [
    due(
        "How many pieces of BX-209 are there in the warehouse?",
        [stock_level, molar_mass, train_delay],
        "stock_level",
        sku="BX-209",
    ),
    due(
        "Get 40 more KT-17 from the supplier.",
        [reorder, stock_level, refund_order],
        "reorder",
        sku="KT-17",
        quantity=40,
    ),
    due(
        "New price for the Oslo lamp: 89.95",
        [refund_order, daily_sales, set_price],
        "set_price",
        product=("Oslo lamp", "the Oslo lamp"),
        price=89.95,
    ),
    due(
        "The lady with order 55120 isn't happy and wants her money back. Let's do it.",
        [stock_level, refund_order, reorder],
        "refund_order",
        order="55120",
    ),
    due(
        "so, did we earn anything since we opened this morning?",
        [library_fines, daily_sales, stock_level, set_price, refund_order],
        "daily_sales",
    ),
]
NOT_DUE += [
    none("Our customers are really friendly today.", daily_sales, refund_order, stock_level),
    none("Design a new logo for the shop.", set_price, safety_sheet, daily_sales),
    none("What does SKU stand for?", stock_level, reorder, set_price),
]

# --- Invoices and other paper -------------------------------------------------------------------------------------------

create_invoice = define(
    "create_invoice",
    "Issue an invoice to a client.",
    client=("string", "Name of the client"),
    amount=("float", "Amount due"),
)
overdue_invoices = define("overdue_invoices", "List the invoices that nobody has paid in time.")
mark_paid = define("mark_paid", "Mark an invoice as paid.", invoice=("string", "Number of the invoice"))
print_document = define(
    "print_document",
    "Print a document.",
    document=("string", "Name of the document"),
    copies=("int", "Number of copies", False),
)
shred = define("shred_document", "Destroy a document for good.", document=("string", "Name of the document"))

DUE += [
    due(
        "Issue an invoice of 1250 to Hartmann Ltd, please.",
        [overdue_invoices, create_invoice, mark_paid],
        "create_invoice",
        client="Hartmann Ltd",
        amount=1250,
    ),
    due(
        "Who still owes us although the deadline is over?",
        [library_fines, overdue_invoices, create_invoice],
        "overdue_invoices",
    ),
    due(
        "The money for R-2031 has arrived, tick it off.",
        [mark_paid, print_document, shred, create_invoice, overdue_invoices],
        "mark_paid",
        invoice="R-2031",
    ),
    due(
        "I need agenda.pdf on paper, 6 copies",
        [shred, print_document],
        "print_document",
        document="agenda.pdf",
        copies=6,
    ),
    due(
        "Nobody must ever read old_contract.docx again. Get rid of it.",
        [print_document, mark_paid, shred],
        "shred_document",
        document="old_contract.docx",
    ),
]
NOT_DUE += [
    none("Paperwork is the dullest part of my week.", print_document, tide_times),
    none("What is the difference between gross and net?", create_invoice, mark_paid, overdue_invoices),
    none("The printer has run out of toner again.", print_document, shred, create_invoice),
]

# --- Staff --------------------------------------------------------------------------------------------------------------

vacation_left = define(
    "vacation_left", "Number of vacation days an employee has left", employee=("string", "Name of the employee")
)
phone_extension = define("phone_extension", "Internal phone number of a colleague", person=("string", "The colleague"))
team_members = define("team_members", "Who works in a department", department=("string", "The department"))
book_meeting_room = define(
    "book_meeting_room",
    "Book a meeting room of the office",
    room=("string", "Name of the room"),
    day=("string", "The day"),
    people=("int", "Number of people expected"),
)
clock_in = define("clock_in", "Start recording the user's working time")

DUE += [
    due(
        "How many vacation days does Priya have left?",
        [vacation_left, find_hotel, player_stats],
        "vacation_left",
        employee="Priya",
    ),
    due(
        "How do I reach Mr Okafor by phone?",
        [phone_extension, book_meeting_room, clock_in],
        "phone_extension",
        person=("Mr Okafor", "Okafor"),
    ),
    due("Who is in accounting?", [vacation_left, clock_in, team_members], "team_members", department="accounting"),
    due(
        "Book the meeting room Lisbon for Wednesday, we'll be 9 people.",
        [book_meeting_room, team_members],
        "book_meeting_room",
        room=("Lisbon", "room Lisbon", "meeting room Lisbon", "the meeting room Lisbon"),
        day="Wednesday",
        people=9,
    ),
    due(
        "I'm at my desk now, start recording my working time.",
        [print_document, clock_in, switch_branch, phone_extension],
        "clock_in",
    ),
]
NOT_DUE += [
    none("How do I politely ask my boss for more money?", vacation_left, team_members, phone_extension),
    none("Our new colleague brought cake today.", team_members, clock_in, book_meeting_room),
    none("Could you order lunch for the whole office?", book_meeting_room, refund_order, moon_phase, team_members),
]

# --- Health -------------------------------------------------------------------------------------------------------------

log_weight = define("log_weight", "Store today's body weight", kilograms=("float", "Body weight"))
log_blood_pressure = define(
    "log_blood_pressure",
    "Store a blood pressure reading",
    systolic=("int", "The upper value"),
    diastolic=("int", "The lower value"),
)
medicine_times = define("medicine_times", "When a medicine is to be taken", medicine=("string", "Name of the medicine"))
see_doctor = define(
    "doctor_appointment",
    "Make an appointment with a doctor",
    doctor=("string", "Name of the doctor"),
    day=("string", "The day wanted"),
)
calories = define("food_calories", "Calories of a food", food=("string", "The food"))

DUE += [
    due(
        "72.4 kilograms on the scales this morning, note it.",
        [log_blood_pressure, log_weight, calories],
        "log_weight",
        kilograms=72.4,
    ),
    due(
        "Blood pressure: upper value 128, lower value 83",
        [log_blood_pressure, medicine_times, log_weight],
        "log_blood_pressure",
        systolic=128,
        diastolic=83,
    ),
    due(
        "do I swallow the Zentavil before breakfast or at night?",
        [medicine_times, tide_times, see_doctor],
        "medicine_times",
        medicine=("Zentavil", "the Zentavil"),
    ),
    due(
        "I'd like to see Dr Lindqvist on Monday.",
        [medicine_times, see_doctor],
        "doctor_appointment",
        doctor=("Dr Lindqvist", "Lindqvist"),
        day="Monday",
    ),
    due(
        "How many calories does marzipan have?",
        [log_weight, find_recipe, add_to_shopping_list, see_doctor, calories],
        "food_calories",
        food="marzipan",
    ),
]
NOT_DUE += [
    none(
        ("Good morning.", "Good morning, how are you?", "I slept badly and feel a bit under the weather."),
        log_weight,
        medicine_times,
        calories,
    ),
    none("Why do we yawn?", log_blood_pressure, trail_status, clock_in),
    none("My aunt is a dentist in Graz.", see_doctor, medicine_times, log_weight),
]

# --- School -------------------------------------------------------------------------------------------------------------

grade_of = define(
    "grade_of",
    "A pupil's grade in a subject",
    pupil=("string", "Name of the pupil"),
    subject=("string", "The subject"),
)
homework = define("homework_for", "What homework was set in a subject", subject=("string", "The subject"))
absent_today = define("absent_today", "Which pupils are absent today")
quiz_me = define(
    "start_quiz",
    "Start a quiz about a topic",
    topic=("string", "The topic"),
    questions=("int", "Number of questions"),
)
enter_grade = define(
    "enter_grade",
    "Enter a grade for a pupil",
    pupil=("string", "Name of the pupil"),
    subject=("string", "The subject"),
    grade=("string", "The grade, A to F"),
)

DUE += [
    due(
        "Which grade did Tobias get in geography?",
        [enter_grade, grade_of, homework],
        "grade_of",
        pupil="Tobias",
        subject="geography",
    ),
    due(
        "What's the homework for biology?",
        [homework, quiz_me, absent_today],
        "homework_for",
        subject="biology",
    ),
    due("who's missing from class?", [absent_today, overdue_invoices, team_members], "absent_today"),
    due(
        (
            "I have an exam tomorrow.",
            "Good luck! Would you like to practise?",
            "Test me on the Vikings with 10 questions",
        ),
        [homework, quiz_me, grade_of],
        "start_quiz",
        topic=("Vikings", "the Vikings"),
        questions=10,
    ),
    due(
        "Enter a B in history for Leila.",
        [enter_grade, grade_of, absent_today, homework],
        "enter_grade",
        pupil="Leila",
        subject="history",
        grade="B",
    ),
]
NOT_DUE += [
    none("My son doesn't like going to school.", absent_today, grade_of, homework),
    none("Please explain photosynthesis to a ten-year-old.", homework, grade_of, enter_grade),
    none("Are you a teacher?", quiz_me, log_weight, create_invoice),
]

# --- Words --------------------------------------------------------------------------------------------------------------

define_word = define("define_word", "Look a word up in the dictionary", word=("string", "The word"))
synonyms = define("synonyms", "Words of the same meaning", word=("string", "The word"))
rhymes = define("rhymes", "Words that rhyme with a word", word=("string", "The word"))
conjugate = define(
    "conjugate",
    "Conjugate a verb",
    verb=("string", "The verb"),
    tense=("string", "One of: present, past, future"),
)
pronounce = define(
    "pronounce",
    "Say a word aloud in a language",
    word=("string", "The word"),
    language=("string", "The language"),
)

DUE += [
    due(
        "What does obstreperous mean?",
        [synonyms, plant_info, define_word, pronounce, rhymes],
        "define_word",
        word="obstreperous",
    ),
    due(
        "I keep writing tired, what else could I say instead?", [synonyms, rhymes, pronounce], "synonyms", word="tired"
    ),
    due("I need something that rhymes with candle.", [rhymes, song_lyrics, synonyms], "rhymes", word="candle"),
    due(
        "Conjugate the French verb venir in the future.",
        [conjugate, pronounce],
        "conjugate",
        verb="venir",
        tense=("future", "the future"),
    ),
    due(
        "How would one read out gezellig in Dutch?",
        [define_word, pronounce, synonyms, conjugate],
        "pronounce",
        word="gezellig",
        language="Dutch",
    ),
]
NOT_DUE += [
    none("Who made you?", conjugate, synonyms, define_word),
    none("How many languages do you speak?", pronounce, find_hotel, conjugate, rhymes, define_word),
    none("Finish my crossword for me while I make tea.", rhymes, conjugate, pronounce),
]

# --- Town hall ----------------------------------------------------------------------------------------------------------

bin_day = define("bin_day", "Next collection of household waste in a street", street=("string", "The street"))
report_damage = define(
    "report_damage",
    "Report something broken in public space to the town",
    what=("string", "What is broken"),
    street=("string", "The street where it is"),
)
parking_permit = define(
    "parking_permit", "Apply for a resident's parking permit", plate=("string", "Registration plate of the car")
)
polling_station = define("polling_station", "Where a voter has to vote", postcode=("string", "The voter's postcode"))
council_agenda = define(
    "council_agenda", "What the town council will discuss at a sitting", date=("string", "Date of the sitting")
)

DUE += [
    due(
        "When do they empty the dustbins in Acacia Road?",
        [report_damage, bin_day, parking_permit],
        "bin_day",
        street="Acacia Road",
    ),
    due(
        "There's a smashed streetlight in Mill Lane, please report it",
        [dim_lights, report_damage, bin_day],
        "report_damage",
        what=("streetlight", "smashed streetlight", "a smashed streetlight"),
        street="Mill Lane",
    ),
    due(
        "I'd like to leave my car outside my flat without a fine. Its number is HX 21 KLM.",
        [polling_station, bin_day, parking_permit],
        "parking_permit",
        plate="HX 21 KLM",
    ),
    due(
        "Election Sunday! I live in 4051, where do I go?",
        [trail_status, bin_day, polling_station, council_agenda],
        "polling_station",
        postcode="4051",
    ),
    due("What's on the council's table on 9 May?", [polling_station, council_agenda], "council_agenda", date="9 May"),
]
NOT_DUE += [
    none("Politicians are all the same, if you ask me.", polling_station, synonyms),
    none("How does proportional representation work?", council_agenda, bin_day, polling_station),
    none("I want to register our new dog with the town.", bin_day, parking_permit, polling_station, council_agenda),
]

# --- Going out ----------------------------------------------------------------------------------------------------------

showtimes = define(
    "showtimes",
    "When a film is shown in a cinema",
    film=("string", "Title of the film"),
    cinema=("string", "Name of the cinema"),
)
exhibition_info = define(
    "exhibition_info", "What a museum is exhibiting at present", museum=("string", "Name of the museum")
)
concert_dates = define("concert_dates", "Upcoming concerts of a band", band=("string", "Name of the band"))
reserve_table = define(
    "reserve_table",
    "Reserve a table in a restaurant",
    restaurant=("string", "The restaurant"),
    guests=("int", "Number of guests"),
    time=("string", "When they come"),
)
film_rating = define("film_rating", "How critics rated a film", film=("string", "Title of the film"))

DUE += [
    due(
        "At what times does the Odeon show Paddington?",
        [film_rating, showtimes, concert_dates],
        "showtimes",
        film="Paddington",
        cinema=("Odeon", "the Odeon"),
    ),
    due(
        "Anything worth seeing at the Prado just now?",
        [books_by, exhibition_info, film_rating, reserve_table],
        "exhibition_info",
        museum=("Prado", "the Prado"),
    ),
    due(
        "Are there any upcoming concerts of Sigur Rós?",
        [play_radio, song_lyrics, reserve_table, showtimes, concert_dates],
        "concert_dates",
        band="Sigur Rós",
    ),
    due(
        "A table at Chez Amélie, 4 guests, 19:30",
        [exhibition_info, reserve_table],
        "reserve_table",
        restaurant="Chez Amélie",
        guests=4,
        time="19:30",
    ),
    due(
        (
            "When is Amadeus on at the Rex?",
            Call("showtimes", {"film": "Amadeus", "cinema": "Rex"}),
            Result("showtimes", "17:00, 20:15"),
            "At 17:00 and at 20:15.",
            "Did reviewers like Parasite?",
        ),
        [film_rating, showtimes, exhibition_info, reserve_table],
        "film_rating",
        film="Parasite",
    ),
]
NOT_DUE += [
    none(
        (
            "What did critics think of Coco?",
            Call("film_rating", {"film": "Coco"}),
            Result("film_rating", "97 %"),
            "They gave it 97 %.",
            "I cried my eyes out at the end of it.",
        ),
        film_rating,
        showtimes,
        concert_dates,
    ),
    none("Who painted the Mona Lisa?", reserve_table, showtimes, concert_dates),
    none("What should I wear to the opera?", concert_dates, set_thermostat, reserve_table, preheat_oven),
]

# --- Car ----------------------------------------------------------------------------------------------------------------

fuel_level = define("fuel_level", "How much fuel is in the tank")
tyre_pressure = define(
    "tyre_pressure",
    "Pressure of one of the tyres",
    wheel=("string", "One of: front-left, front-right, rear-left, rear-right"),
)
find_charger = define("find_charger", "Charging points for electric cars in a town", town=("string", "The town"))
navigate_to = define(
    "navigate_to",
    "Guide the driver to an address",
    address=("string", "The address"),
    avoid_tolls=("bool", "Whether to stay clear of toll roads", False),
)
set_cruise = define("set_cruise_control", "Hold a speed", speed=("int", "Kilometres per hour"))

DUE += [
    due("How much fuel do we have?", [fuel_level, pantry_amount, next_train], "fuel_level"),
    due(
        "Check the pressure of the rear-left tyre",
        [tyre_pressure, find_charger, fuel_level],
        "tyre_pressure",
        wheel="rear-left",
    ),
    due(
        "The battery is almost flat, where can I plug in around Delft?",
        [find_charger, find_hotel, set_cruise],
        "find_charger",
        town="Delft",
    ),
    due(
        ("Are you awake?", "Always.", "Good. Bring me to 12 Harbour Street."),
        [find_charger, navigate_to],
        "navigate_to",
        address="12 Harbour Street",
    ),
    due(
        "Hold 110 kilometres per hour",
        [fuel_level, tyre_pressure, navigate_to, set_cruise],
        "set_cruise_control",
        speed=110,
    ),
]
NOT_DUE += [
    none("I passed my driving test on the third attempt.", navigate_to, set_cruise, fuel_level),
    none("Open the sunroof a little.", set_cruise, fuel_level, tyre_pressure, navigate_to),
    none("Why are tyres black?", tyre_pressure, enter_grade, showtimes),
]

# --- Servers ------------------------------------------------------------------------------------------------------------

ping_host = define("ping_host", "Tests whether a host answers.", host=("string", "Name or address of the host"))
disk_usage = define("disk_usage", "Reports how full the disks of a server are.", server=("string", "The server"))
restart_service = define(
    "restart_service",
    "Restarts a service on a server.",
    service=("string", "Name of the service"),
    server=("string", "The server it runs on"),
)
tail_log = define(
    "tail_log",
    "Returns the last lines of a service's log.",
    service=("string", "Name of the service"),
    lines=("integer", "How many lines"),
)
block_ip = define("block_ip", "Shuts an IP address out at the firewall.", address=("string", "The IP address"))

DUE += [
    due(
        "is db2.intern.example alive?", [disk_usage, ping_host, restart_service], "ping_host", host="db2.intern.example"
    ),
    due("How full are the disks of atlas?", [pantry_amount, disk_usage, free_lockers], "disk_usage", server="atlas"),
    due(
        "nginx on web-03 hangs, restart it.",
        [tail_log, ping_host, restart_service],
        "restart_service",
        service="nginx",
        server="web-03",
    ),
    due(
        "last 50 lines of the postfix log",
        [show_diff, tail_log, disk_usage, load_csv, restart_service],
        "tail_log",
        service="postfix",
        lines=50,
    ),
    due(
        "Somebody at 203.0.113.77 keeps trying passwords, keep him off!",
        [ping_host, block_ip],
        "block_ip",
        address="203.0.113.77",
    ),
]
NOT_DUE += [
    none("What does DNS stand for?", ping_host, block_ip, disk_usage),
    none("The new server is much quieter than the old one.", restart_service, set_volume, disk_usage),
    none("Install Python 3.12 on atlas.", disk_usage, restart_service, tail_log, ping_host),
]

# --- Databases ----------------------------------------------------------------------------------------------------------

list_tables = define("list_tables", "Names of all tables of the database")
describe_table = define("describe_table", "Columns of a table and their types", table=("string", "Name of the table"))
count_rows = define("count_rows", "Number of rows in a table", table=("string", "Name of the table"))
export_table = define(
    "export_table",
    "Write a table to a file",
    table=("string", "Name of the table"),
    format=("string", "One of: csv, json, parquet"),
)
backup_database = define("backup_database", "Save a copy of a database", database=("string", "Name of the database"))

DUE += [
    due(
        ("Hi!", "Hello, what can I do for you?", "Which tables exist?"),
        [describe_table, list_tables, backup_database],
        "list_tables",
    ),
    due(
        "What columns does customers_v2 have?",
        [describe_table, reserve_table, column_mean],
        "describe_table",
        table="customers_v2",
    ),
    due(
        "What's the number of rows in audit_trail?",
        [count_rows, list_tables, export_table, describe_table, backup_database],
        "count_rows",
        table="audit_trail",
    ),
    due(
        "Give me shipments as parquet please",
        [count_rows, export_table, describe_table, backup_database],
        "export_table",
        table="shipments",
        format="parquet",
    ),
    due(
        "Before I break anything: secure payroll first.",
        [export_table, list_tables, backup_database],
        "backup_database",
        database="payroll",
    ),
]
NOT_DUE += [
    none("Rename the table customers_v2 to clients.", describe_table, count_rows, export_table),
    none("I once deleted a whole production database by accident.", backup_database, list_tables, count_rows),
    none("What's the weather like?", list_tables, concert_dates, describe_table),
]

# --- Text ---------------------------------------------------------------------------------------------------------------

count_words = define("count_words", "Count the words of a document", document=("string", "Name of the document"))
reverse_text = define("reverse_text", "Write a text backwards", text=("string", "The text"))
replace_word = define(
    "replace_word",
    "Replace a word throughout the open document",
    old=("string", "Word to be replaced"),
    new=("string", "Word to put in its place"),
)
hash_text = define(
    "hash_text",
    "Compute a checksum of a text",
    text=("string", "The text"),
    algorithm=("string", "One of: md5, sha1, sha256"),
)
summarise = define("summarise_document", "Sum a document up", document=("string", "Name of the document"))

DUE += [
    due(
        "How long is thesis_draft.txt, in words?",
        [summarise, count_words, replace_word],
        "count_words",
        document="thesis_draft.txt",
    ),
    due("Write palindrome backwards", [reverse_text, hash_text, count_words], "reverse_text", text="palindrome"),
    due(
        "Wherever it says Bombay, make it Mumbai.",
        [replace_word, navigate_to, count_words],
        "replace_word",
        old="Bombay",
        new="Mumbai",
    ),
    due("sha256 checksum of tangerine", [reverse_text, hash_text], "hash_text", text="tangerine", algorithm="sha256"),
    due(
        "I haven't got the time to read minutes_june.docx, what's the gist?",
        [count_words, hash_text, replace_word, summarise],
        "summarise_document",
        document="minutes_june.docx",
    ),
]
NOT_DUE += [
    none("I have been staring at this blank page for an hour.", count_words, summarise, reverse_text),
    none("Should I write a novel or a collection of stories?", count_words, books_by, summarise),
    none("Turn report.docx into an audio book.", count_words, summarise, hash_text, replace_word),
]

# --- Pictures -----------------------------------------------------------------------------------------------------------

resize_image = define(
    "resize_image",
    "Bring a picture to another size",
    file=("string", "File of the picture"),
    width=("int", "Width in pixels"),
    height=("int", "Height in pixels"),
)
rotate_image = define(
    "rotate_image",
    "Turn a picture round",
    file=("string", "File of the picture"),
    degrees=("int", "By how many degrees"),
)
photo_place = define("photo_place", "Tell where a photo was taken", file=("string", "File of the photo"))
find_faces = define("find_faces", "Find the photos that show a person", person=("string", "Name of the person"))
to_grey = define("to_greyscale", "Take the colours out of a picture", file=("string", "File of the picture"))

DUE += [
    due(
        "Make banner.png 1200 pixels wide and 400 high.",
        [rotate_image, resize_image, to_grey],
        "resize_image",
        file="banner.png",
        width=1200,
        height=400,
    ),
    due(
        "scan_07.jpg lies on its side. Turn it by 90 degrees.",
        [rotate_image, resize_image, photo_place],
        "rotate_image",
        file="scan_07.jpg",
        degrees=90,
    ),
    due(
        "Where was IMG_3318.jpg taken?",
        [visa_needed, photo_place, print_document],
        "photo_place",
        file="IMG_3318.jpg",
    ),
    due(
        "All pictures with Grandpa Willi in them",
        [find_faces, phone_extension, books_by],
        "find_faces",
        person="Grandpa Willi",
    ),
    due(
        "portrait.tif would look better in black and white",
        [find_faces, resize_image, photo_place, to_grey],
        "to_greyscale",
        file="portrait.tif",
    ),
]
NOT_DUE += [
    none("I'm not very photogenic.", find_faces, resize_image),
    none("Which camera would you recommend to a beginner?", photo_place, resize_image, to_grey),
    none("Remove the tourist in the background of beach.jpg.", rotate_image, resize_image, photo_place, find_faces),
]

# --- Phone --------------------------------------------------------------------------------------------------------------

send_text = define(
    "send_text",
    "Send a text message to a contact",
    contact=("string", "Who receives it"),
    message=("string", "What it says"),
)
call_contact = define("call_contact", "Ring up a contact", contact=("string", "Name of the contact"))
unread_messages = define("unread_messages", "Show the messages that were not read yet")
mute_chat = define(
    "mute_chat",
    "Silence a chat for some hours",
    chat=("string", "Name of the chat"),
    hours=("int", "For how many hours"),
)
battery = define("battery_level", "How full the phone's battery is")

DUE += [
    due(
        "Text Yusuf: running late, start without me",
        [call_contact, send_text, mute_chat],
        "send_text",
        contact="Yusuf",
        message="running late, start without me",
    ),
    due(
        "I want to talk to Aunt Greta",
        [find_faces, call_contact, unread_messages],
        "call_contact",
        contact="Aunt Greta",
    ),
    due("Has anybody written to me in the meantime?", [send_text, battery, unread_messages], "unread_messages"),
    due(
        "Silence Book Club for 8 hours",
        [unread_messages, mute_chat, call_contact, send_text],
        "mute_chat",
        chat="Book Club",
        hours=8,
    ),
    due("Will my phone last until tonight or is it nearly dead?", [call_contact, clock_in, battery], "battery_level"),
]
NOT_DUE += [
    none("Yusuf never answers his phone.", call_contact, send_text, mute_chat),
    none("Take a photo of the whiteboard.", call_contact, battery, unread_messages, send_text),
    none("Do you get tired of answering questions?", unread_messages, battery, medicine_times, log_weight, to_grey),
]

# --- Money --------------------------------------------------------------------------------------------------------------

share_price = define("share_price", "Current price of a share", symbol=("string", "Ticker symbol"))
account_balance = define("account_balance", "Money in one of the user's accounts", account=("string", "The account"))
transfer_money = define(
    "transfer_money",
    "Send money to somebody",
    recipient=("string", "Who gets it"),
    amount=("float", "How much"),
)
spending = define(
    "spending_on",
    "What was spent on a category in a month",
    category=("string", "Such as rent or groceries"),
    month=("string", "The month"),
)
block_card = define("block_card", "Block a bank card", card=("string", "Last four digits of the card"))

DUE += [
    due("What's the price of an NVDA share?", [share_price, stock_level, set_price], "share_price", symbol="NVDA"),
    due(
        "how much have I got in savings?",
        [account_balance, spending, share_price],
        "account_balance",
        account="savings",
    ),
    due(
        "I owe Marek 35.50. Pay him, will you?",
        [send_text, spending, account_balance, block_card, transfer_money],
        "transfer_money",
        recipient="Marek",
        amount=35.5,
    ),
    due(
        "What did we spend on groceries in August?",
        [account_balance, spending],
        "spending_on",
        category="groceries",
        month="August",
    ),
    due(
        "My wallet got stolen on the tram!! The card ends in 6609, nobody must use it.",
        [transfer_money, share_price, account_balance, block_card],
        "block_card",
        card="6609",
    ),
]
NOT_DUE += [
    none("What can you help me with?", account_balance, transfer_money, share_price),
    none("What causes inflation?", share_price, tyre_pressure, spending),
    none("I'd like to apply for a mortgage.", account_balance, transfer_money, block_card, spending),
]

# --- Animals on the farm and at home ------------------------------------------------------------------------------------

feed_pet = define(
    "feed_pet",
    "Let the feeder give a pet its food",
    pet=("string", "Name of the pet"),
    grams=("int", "How much food"),
)
vet_visit = define(
    "book_vet",
    "Book a visit at the vet's",
    pet=("string", "Name of the pet"),
    day=("string", "The day"),
)
egg_count = define("egg_count", "Number of eggs laid today")
milk_yield = define("milk_yield", "Litres of milk a cow gave", cow=("string", "Name of the cow"))
find_pet = define("find_pet", "Locate a pet by the transmitter in its collar", pet=("string", "Name of the pet"))

DUE += [
    due("Give Mittens 60 grams of her food.", [vet_visit, feed_pet, find_pet], "feed_pet", pet="Mittens", grams=60),
    due(
        "Rex limps a bit. Can he be seen by someone on Tuesday?",
        [vet_visit, find_pet, feed_pet],
        "book_vet",
        pet="Rex",
        day="Tuesday",
    ),
    due("How many eggs did the hens lay today?", [absent_today, egg_count, clock_in], "egg_count"),
    due("How many litres did Clarabelle give?", [fuel_level, milk_yield, reorder], "milk_yield", cow="Clarabelle"),
    due(
        "Where on earth has Pumpkin run off to?", [egg_count, vet_visit, feed_pet, find_pet], "find_pet", pet="Pumpkin"
    ),
]
NOT_DUE += [
    none(
        (
            "Where is Luna?",
            Call("find_pet", {"pet": "Luna"}),
            Result("find_pet", "in the shed"),
            "Luna is in the shed.",
            "Ha, I thought so. That cat is impossible!",
        ),
        feed_pet,
        find_pet,
        vet_visit,
    ),
    none("How long do hamsters live?", vet_visit, feed_pet, egg_count),
    none("The tractor won't start.", milk_yield, restart_service, egg_count),
]

# --- Games and post -----------------------------------------------------------------------------------------------------

roll = define("throw_dice", "Throw some dice", dice=("int", "How many dice"))
chess_move = define("chess_move", "Make a move in the running chess game", move=("string", "The move, such as e4"))
high_score = define("high_score", "Best result ever reached in a game", game=("string", "Name of the game"))
track_parcel = define("track_parcel", "Say where a parcel is", number=("string", "Tracking number"))
postage = define(
    "postage",
    "What a letter to a country costs",
    country=("string", "Where it goes"),
    grams=("int", "Its weight"),
)

DUE += [
    due("Throw 5 dice for me", [roll, shred, set_volume], "throw_dice", dice=5),
    due("My move is Nf3.", [chess_move, roll, postage], "chess_move", move="Nf3"),
    due("What's the record in Tetris?", [track_parcel, roll, high_score], "high_score", game="Tetris"),
    due(
        "Where is my parcel 00340434161094?",
        [track_parcel, unread_messages, train_delay],
        "track_parcel",
        number="00340434161094",
    ),
    due(
        "How many stamps' worth is a letter of 45 grams to Chile?",
        [track_parcel, high_score, chess_move, postage],
        "postage",
        country="Chile",
        grams=45,
    ),
]
NOT_DUE += [
    none("You cheated, didn't you?", roll, chess_move, mute_chat),
    none("How does the knight move?", roll, high_score, track_parcel),
    none(
        (
            "Where is 8817203?",
            Call("track_parcel", {"number": "8817203"}),
            Result("track_parcel", "Leipzig depot"),
            "It is at the depot in Leipzig.",
            "Great, thank you very much!",
        ),
        track_parcel,
        postage,
        roll,
    ),
]


# --- After a result -----------------------------------------------------------------------------------------------------

RESULTS += [
    told(
        (
            "How dry is the soil in the bed Oakside?",
            Call("soil_moisture", {"bed": "Oakside"}),
            Result("soil_moisture", "18 percent"),
        ),
        [soil_moisture, water_bed],
        "18",
    ),
    told(
        ("Do we have any rice left?", Call("pantry_amount", {"food": "rice"}), Result("pantry_amount", "750 grams")),
        [find_recipe, pantry_amount, preheat_oven],
        "750",
    ),
    told(
        ("Where does the ICE 79 leave from?", Call("platform_of", {"train": "ICE 79"}), Result("platform_of", "14")),
        [platform_of, train_delay],
        "14",
    ),
    told(
        (
            "What's the mean of petal_length?",
            Call("column_mean", {"column": "petal_length"}),
            Result("column_mean", "3.758"),
        ),
        [load_csv, column_mean, drop_column],
        "3.758",
    ),
    told(
        ("How did Ajax play?", Call("match_score", {"team": "Ajax"}), Result("match_score", "Ajax 2 : 2 Twente")),
        [match_score, league_table],
        "2 : 2",
        "2:2",
        "2-2",
        "Twente",
    ),
    told(
        (
            "Who last touched line 12 of setup.cfg?",
            Call("blame_line", {"file": "setup.cfg", "line": 12}),
            Result("blame_line", "Ingrid Solheim"),
        ),
        [show_diff, blame_line, run_tests],
        "Ingrid",
        "Solheim",
    ),
    told(
        (
            "What is Ms Duval's extension?",
            Call("phone_extension", {"person": "Ms Duval"}),
            Result("phone_extension", "4427"),
        ),
        [phone_extension, team_members],
        "4427",
    ),
    told(
        (
            "When do they collect the rubbish in Elm Row?",
            Call("bin_day", {"street": "Elm Row"}),
            Result("bin_day", "Friday"),
        ),
        [bin_day, report_damage, parking_permit],
        "Friday",
    ),
    told(
        (
            "How hot does ethanol have to be to boil?",
            Call("boiling_point", {"substance": "ethanol"}),
            Result("boiling_point", "78.4 degrees Celsius"),
        ),
        [molar_mass, boiling_point],
        "78.4",
    ),
    told(
        (
            "Where's my parcel 551-900?",
            Call("track_parcel", {"number": "551-900"}),
            Result("track_parcel", "Out for delivery"),
        ),
        [track_parcel, postage, roll],
        "delivery",
    ),
]

CASES = [*DUE, *NOT_DUE, *RESULTS]
