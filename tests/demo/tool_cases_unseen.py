"""Cases like those of `tool_cases`, written by somebody else, who saw neither the recipe nor any checkpoint's mistakes.

Looked at only when a checkpoint is to be judged: nothing is to be learned, chosen or tuned by them.
"""

from __future__ import annotations

from tests.demo.tool_cases import Call, Result, ToolCase, define, due, none, told

# --- The tools: sky and science -------------------------------------------------------------------------------------------

star_info = define("star_info", "Distance, type and magnitude of a star", star=("string", "Name of the star"))
planet_moons = define("planet_moons", "List the moons of a planet", planet=("string", "Name of the planet"))
planet_mass = define("planet_mass", "Mass of a planet in kilograms", planet=("string", "Name of the planet"))
next_eclipse = define("next_eclipse", "Date of the next solar eclipse", region=("string", "Where it is watched from"))
moon_phase = define("moon_phase", "Phase of the moon on a date", date=("string", "The date"))
iss_position = define("iss_position", "Point of the Earth that the space station is above now")
launches = define("launch_schedule", "Rockets about to be launched", site=("string", "Name of the launch site"))
mission_crew = define("mission_crew", "Who flew on a space mission", mission=("string", "Name of the mission"))
gene_lookup = define("gene_lookup", "Describe what a gene does", symbol=("string", "Symbol of the gene"))
protein_seq = define(
    "fetch_protein", "Fetch the amino acid sequence of a protein", accession=("string", "UniProt accession")
)
rev_comp = define(
    "reverse_complement", "Reverse complement of a DNA strand", sequence=("string", "Bases of the strand")
)
gc_content = define("gc_content", "Share of G and C in a DNA strand", sequence=("string", "Bases of the strand"))
molar_mass = define("molar_mass", "Molar mass of a compound in g/mol", formula=("string", "Chemical formula"))
boiling_point = define("boiling_point", "Temperature at which a substance boils", substance=("string", "The substance"))
melting_point = define("melting_point", "Temperature at which a substance melts", substance=("string", "The substance"))
sample_ph = define("sample_ph", "pH that was measured in a sample", sample=("string", "Label of the sample"))
dilute = define(
    "dilution_volume",
    "Volume of stock solution needed for a dilution",
    stock=("float", "Concentration of the stock, in mol/l"),
    target=("float", "Concentration wanted, in mol/l"),
    volume=("float", "Final volume in ml"),
)
earthquakes = define(
    "recent_earthquakes",
    "Earthquakes of the last week",
    region=("string", "Region to search"),
    min_magnitude=("float", "Leave out weaker ones", False),
)
tide_table = define("getTideTable", "Times of high and low water", harbour=("string", "Name of the harbour"))
latin_name = define("latin_name", "Scientific name of an animal or plant", common_name=("string", "Its everyday name"))
conservation = define("conservation_status", "How endangered a species is", species=("string", "Name of the species"))
resistance = define(
    "resistance",
    "Resistance by Ohm's law",
    volts=("float", "Voltage across the resistor"),
    amps=("float", "Current through it"),
)
snow_depth = define("snow_depth", "Centimetres of snow on the slopes", resort=("string", "Ski resort"))
avalanche = define("avalanche_risk", "Avalanche danger level of a mountain area", area=("string", "The area"))
mountain_height = define("mountain_height", "Height of a mountain in metres", mountain=("string", "The mountain"))
river_length = define("river_length", "Length of a river in kilometres", river=("string", "The river"))

# --- The household --------------------------------------------------------------------------------------------------------

start_vacuum = define("start_vacuum", "Let the robot vacuum clean a room", room=("string", "Room to be cleaned"))
dock_vacuum = define("dock_vacuum", "Send the robot vacuum back to its dock")
open_blinds = define("open_blinds", "Raise the blinds of a room", room=("string", "The room"))
close_blinds = define("close_blinds", "Lower the blinds of a room", room=("string", "The room"))
start_washer = define("start_washer", "Start the washing machine", program=("string", "Washing programme"))
washer_status = define("washer_status", "Whether the washing machine has finished")
preheat_oven = define("preheat_oven", "Heat up the oven", celsius=("int", "Temperature in degrees Celsius"))
feed_pet = define(
    "feed_pet", "Dispense food to a pet", pet=("string", "Which pet"), grams=("int", "Amount of food in grams")
)
shopping_add = define(
    "shopping_add",
    "Put an item on the shopping list",
    item=("string", "What to buy"),
    quantity=("int", "How many pieces", False),
)
shopping_remove = define("shopping_remove", "Take an item off the shopping list", item=("string", "The item"))
expiring_food = define("expiring_food", "Food in the fridge that expires soon", days=("int", "Within how many days"))
power_usage = define(
    "power_usage", "Electricity an appliance used today", appliance=("string", "Name of the appliance")
)
tv_channel = define("tv_channel", "Switch the television to a channel", channel=("int", "Number of the channel"))
mute_tv = define("mute_tv", "Turn off the sound of the television")
tune_radio = define("tune_radio", "Listen to a radio station", station=("string", "Name of the station"))
podcast_episodes = define("podcast_episodes", "Newest episodes of a podcast", podcast=("string", "Name of the podcast"))
wine_pairing = define("wine_pairing", "Suggest a wine to go with a dish", dish=("string", "The dish"))
mix_drink = define("mix_drink", "Have the bar machine mix a cocktail", cocktail=("string", "Name of the cocktail"))
fault_code = define("fault_code", "Explain an error code of the car", code=("string", "Code that the car shows"))
tyre_pressure = define("tyre_pressure", "Measure the pressure of a tyre", tyre=("string", "Position of the tyre"))

# --- Office and money -----------------------------------------------------------------------------------------------------

book_room = define(
    "book_room", "Reserve a meeting room", room=("string", "Name of the room"), hour=("string", "When it begins")
)
room_free = define("room_free", "Whether a meeting room is free now", room=("string", "Name of the room"))
vacation_days = define("vacation_days", "Days of leave somebody has left", employee=("string", "Name of the employee"))
request_leave = define(
    "request_leave", "Ask for leave", first_day=("string", "First day off"), last_day=("string", "Last day off")
)
reports_to = define("reports_to", "Name the manager of an employee", employee=("string", "Name of the employee"))
print_document = define(
    "print_document",
    "Send a document to the printer",
    file=("string", "Name of the document"),
    copies=("int", "Number of copies", False),
)
merge_pdfs = define(
    "merge_pdfs",
    "Join two PDF files",
    first=("string", "File that comes first"),
    second=("string", "File appended to it"),
)
extract_pages = define(
    "extract_pages",
    "Copy pages of a PDF into a new one",
    file=("string", "The PDF"),
    first=("int", "First page"),
    last=("int", "Last page"),
)
invoice_total = define("invoice_total", "Amount of an invoice", invoice=("string", "Number of the invoice"))
mark_paid = define("mark_paid", "Note that an invoice was paid", invoice=("string", "Number of the invoice"))
create_invoice = define(
    "create_invoice",
    "Write an invoice",
    client=("string", "Who has to pay"),
    amount=("float", "Amount in euros"),
    due_date=("string", "Payable until"),
)
vat = define("vat", "Value added tax on a net amount", net=("float", "Net amount"), rate=("float", "Rate in percent"))
loan_payment = define(
    "loan_payment",
    "Monthly payment of a loan",
    principal=("float", "Amount borrowed"),
    interest=("float", "Yearly interest in percent"),
    years=("int", "Years to pay it back"),
)
log_hours = define(
    "log_hours", "Book working hours on a project", project=("string", "Name of the project"), hours=("float", "Hours")
)
clock_in = define("clock_in", "Record that the user begins work")
clock_out = define("clock_out", "Record that the user ends work")
create_poll = define("create_poll", "Start a poll in the team chat", question=("string", "Question of the poll"))
split_bill = define(
    "split_bill", "Share of each guest in a bill", total=("float", "The bill"), people=("int", "Number of guests")
)
tip_amount = define(
    "tip_amount", "Tip on a restaurant bill", bill=("float", "The bill"), percent=("float", "Tip in percent")
)
send_sms = define(
    "send_sms", "Send a text message", number=("string", "Phone number"), message=("string", "Text of the message")
)

# --- Software and data ----------------------------------------------------------------------------------------------------

last_commit = define("last_commit", "Latest commit on a git branch", branch=("string", "Name of the branch"))
create_branch = define("create_branch", "Create a git branch", name=("string", "Name of the new branch"))
delete_branch = define("delete_branch", "Delete a git branch", name=("string", "Name of the branch"))
run_tests = define("run_tests", "Run the unit tests of a module", module=("string", "The module"))
coverage = define("coverage_report", "Share of a module's lines under test", module=("string", "The module"))
restart_service = define(
    "restart_service", "Restart a service on the server", service=("string", "Name of the service")
)
service_log = define(
    "tail_log", "Last lines of a service's log", service=("string", "The service"), lines=("int", "How many lines")
)
package_version = define(
    "package_version", "Version of an installed package", package=("string", "Name of the package")
)
install_package = define("install_package", "Install a Python package", package=("string", "Name of the package"))
ping_host = define("pingHost", "Check whether a host answers", host=("string", "Name of the host"))
dns_lookup = define("dnsLookup", "IP address of a domain", domain=("string", "The domain"))
http_status = define("http_status", "What an HTTP status code means", code=("int", "The status code"))
disk_free = define("disk_free", "Free space of a drive", drive=("string", "The drive"))
gpu_memory = define("gpu_memory", "Free memory of the graphics card")
kill_process = define("kill_process", "End a process", pid=("int", "Process id"))
list_containers = define("list_containers", "Docker containers that are running")
hash_text = define(
    "hash_text", "Hash of a text", text=("string", "Text to be hashed"), algorithm=("string", "Which hash function")
)
b64_encode = define("base64_encode", "Encode text as base64", text=("string", "Plain text"))
b64_decode = define("base64_decode", "Decode base64 into text", data=("string", "Encoded data"))
to_hex = define("to_hex", "Write a number in hexadecimal", number=("int", "Decimal number"))
to_binary = define("to_binary", "Write a number in binary", number=("int", "Decimal number"))
roman = define("roman_numeral", "Write a number as a Roman numeral", number=("int", "The number"))
close_issue = define("close_issue", "Close an issue of the tracker", issue=("int", "Number of the issue"))
assign_issue = define(
    "assign_issue", "Make somebody responsible for an issue", issue=("int", "Its number"), person=("string", "Who")
)
train_model = define("train_model", "Train a model", model=("string", "Name of the model"), epochs=("int", "Epochs"))
model_accuracy = define("model_accuracy", "Accuracy of a model on the test set", model=("string", "Name of the model"))
correlation = define(
    "correlation", "Correlation of two variables", x=("string", "First variable"), y=("string", "Second variable")
)
fill_missing = define(
    "fill_missing", "Replace missing values of a variable", variable=("string", "Which"), value=("float", "Replacement")
)
rgb_to_hex = define(
    "rgb_to_hex",
    "Hex code of an RGB colour",
    red=("int", "0 to 255"),
    green=("int", "0 to 255"),
    blue=("int", "0 to 255"),
)
draw_circle = define(
    "draw_circle", "Draw a circle", x=("float", "Centre, across"), y=("float", "Centre, up"), radius=("float", "Radius")
)
rotate_photo = define(
    "rotate_photo", "Turn a photo clockwise", file=("string", "The photo"), degrees=("int", "Angle in degrees")
)
blur_faces = define("blur_faces", "Make the faces in a photo unrecognisable", file=("string", "The photo"))

# --- Games and sport ------------------------------------------------------------------------------------------------------

chess_opening = define("chess_opening", "Moves of a chess opening", opening=("string", "Name of the opening"))
best_move = define("best_move", "Best move in a chess position", fen=("string", "Position in FEN"))
undo_move = define("undo_move", "Take back the last move of the game")
deal_cards = define("deal_cards", "Deal cards from the deck", count=("int", "How many cards"))
shuffle_deck = define("shuffle_deck", "Shuffle the deck of cards")
spawn_monster = define(
    "spawn_monster", "Put a monster on the map", kind=("string", "Kind of monster"), level=("int", "Its level")
)
inventory = define("inventory", "What a player carries", player=("string", "Name of the player"))
give_item = define(
    "give_item", "Give an item to a player", item=("string", "The item"), player=("string", "Who gets it")
)
save_game = define("save_game", "Save the game that is being played")
who_is_online = define("who_is_online", "Players who are online")
scrabble_score = define("scrabble_score", "Points of a word in Scrabble", word=("string", "The word"))
league_table = define("league_table", "Standings of a football league", league=("string", "Name of the league"))
player_stats = define("player_stats", "Career statistics of an athlete", athlete=("string", "Name of the athlete"))
world_record = define("world_record", "World record of a discipline", discipline=("string", "Discipline in athletics"))
race_results = define(
    "race_results", "Results of a motor race", race=("string", "Name of the race"), year=("int", "Year it was held")
)
running_pace = define(
    "running_pace", "Pace of a run", kilometres=("float", "Length of the run"), minutes=("float", "Time it took")
)
log_workout = define(
    "log_workout", "Note a workout in the diary", exercise=("string", "Kind of sport"), minutes=("int", "Duration")
)
schedule_match = define(
    "schedule_match",
    "Enter a match into the season plan",
    home=("string", "Home team"),
    away=("string", "Visiting team"),
    date=("string", "Day of the match"),
)
tarot_card = define("tarot_card", "Meaning of a tarot card", card=("string", "Name of the card"))

# --- Medicine and farming -------------------------------------------------------------------------------------------------

drug_interactions = define(
    "drug_interactions", "Whether two drugs get on", drug_a=("string", "One drug"), drug_b=("string", "The other drug")
)
drug_dosage = define("drug_dosage", "Usual dose of a drug for adults", drug=("string", "Name of the drug"))
bmi = define("bmi", "Body mass index", weight=("float", "Weight in kg"), height=("float", "Height in m"))
allergies = define("patient_allergies", "Known allergies of a patient", patient_id=("string", "Id of the patient"))
next_visit = define("next_visit", "Next appointment of a patient", patient_id=("string", "Id of the patient"))
lab_result = define(
    "lab_result",
    "Result of a blood test",
    patient_id=("string", "Id of the patient"),
    test=("string", "What was tested"),
)
prescribe = define(
    "add_prescription",
    "Prescribe a drug to a patient",
    patient_id=("string", "Id of the patient"),
    drug=("string", "The drug"),
    dose_mg=("int", "Dose in milligrams"),
)
icd_code = define("icd_code", "ICD-10 code of a diagnosis", diagnosis=("string", "The diagnosis"))
blood_match = define(
    "blood_match",
    "Whether blood may be transfused",
    donor=("string", "Donor's type"),
    recipient=("string", "Recipient's"),
)
soil_moisture = define("soil_moisture", "Moisture of the soil in a field", field=("string", "Name of the field"))
irrigate = define(
    "irrigate", "Run the sprinklers of a field", field=("string", "Name of the field"), minutes=("int", "For how long")
)
milk_yield = define("milk_yield", "Litres of milk a cow gave yesterday", cow=("string", "Name of the cow"))
crop_price = define("crop_price", "Market price of a crop per tonne", crop=("string", "The crop"))
sowing_time = define("sowing_time", "Months in which a vegetable is sown", vegetable=("string", "The vegetable"))
open_gate = define("open_gate", "Open the gate of a pasture", pasture=("string", "Which pasture"))
close_gate = define("close_gate", "Close the gate of a pasture", pasture=("string", "Which pasture"))
count_sheep = define("count_sheep", "Number of sheep in the barn, by camera")
hive_weight = define("hive_weight", "Weight of a beehive", hive=("string", "Label of the hive"))
plant_rows = define(
    "plant_rows",
    "Plan what grows in a bed",
    vegetable=("string", "The vegetable"),
    rows=("int", "Number of rows"),
    bed=("int", "Number of the bed"),
)

# --- Industry, travel, law ------------------------------------------------------------------------------------------------

conveyor_speed = define(
    "conveyor_speed", "Set the speed of a conveyor", belt=("string", "Which belt"), speed=("float", "Metres per second")
)
stop_conveyor = define("stop_conveyor", "Halt a conveyor", belt=("string", "Which belt"))
emergency_stop = define("emergency_stop", "Cut the power of the whole line at once")
machine_hours = define("machine_hours", "Operating hours of a machine", machine=("string", "Which machine"))
robot_home = define("robot_home", "Drive the robot arm to its home position")
move_axis = define(
    "move_axis", "Move an axis of the mill", axis=("string", "Name of the axis"), millimetres=("float", "How far")
)
stock_level = define("stock_level", "Pieces of a part in the warehouse", part=("string", "Number of the part"))
reorder_part = define(
    "reorder_part", "Order more of a part", part=("string", "Number of the part"), quantity=("int", "How many pieces")
)
open_valve = define("open_valve", "Open a valve of the plant", valve=("string", "Which valve"))
close_valve = define("close_valve", "Close a valve of the plant", valve=("string", "Which valve"))
tank_level = define("tank_level", "Filling level of a tank", tank=("string", "Which tank"))
ferry_times = define("ferry_times", "Departures of ferries today", port=("string", "Port of departure"))
flight_gate = define("flight_gate", "Gate of a flight", flight=("string", "Flight number"))
visa_required = define(
    "visa_required",
    "Whether a visa is needed",
    nationality=("string", "Traveller's"),
    destination=("string", "Country"),
)
find_hotel = define("find_hotel", "Hotels with free rooms", city=("string", "The city"), nights=("int", "Nights"))
rent_car = define(
    "rent_car",
    "Rent a car",
    place=("string", "Where it is picked up"),
    car_class=("string", "Kind of car"),
    days=("int", "For how many days"),
)
parking_spots = define("parking_spots", "Free spaces of a car park", garage=("string", "Name of the car park"))
charging = define("charging_stations", "Charging points for electric cars", town=("string", "Town to look in"))
statute_text = define(
    "statute_text",
    "Wording of a section of a law",
    law=("string", "The law"),
    section=("string", "Number of the section"),
)
case_summary = define("case_summary", "Summary of a court case", case=("string", "Name of the case"))
trademark_check = define("trademark_check", "Whether a trademark is registered", mark=("string", "The name"))
find_lawyer = define(
    "find_lawyer", "Lawyers of a town", specialty=("string", "Field of law"), town=("string", "The town")
)
election_result = define(
    "election_result", "Outcome of a general election", country=("string", "The country"), year=("int", "The year")
)

# --- Art, words, learning -------------------------------------------------------------------------------------------------

painting_info = define(
    "painting_info", "Painter, year and place of a painting", title=("string", "Title of the painting")
)
artist_works = define("artist_works", "Known works of an artist", artist=("string", "Name of the artist"))
museum_hours = define(
    "museum_hours",
    "Opening hours of a museum",
    museum=("string", "Name of the museum"),
    day=("string", "Day of the week, today if left out", False),
)
color_hex = define("color_hex", "Hex code of a named colour", color=("string", "Name of the colour"))
mix_colors = define(
    "mix_colors", "Colour that two paints give", first=("string", "One paint"), second=("string", "The other paint")
)
chord_notes = define("chord_notes", "Notes of a chord", chord=("string", "Symbol of the chord"))
transpose = define(
    "transpose_chord", "Move a chord up", chord=("string", "Symbol of the chord"), semitones=("int", "By how many")
)
note_frequency = define("note_frequency", "Frequency of a note in hertz", note=("string", "Note with its octave"))
metronome = define(
    "metronome", "Start the metronome", bpm=("int", "Beats per minute"), beats=("int", "Beats of a bar", False)
)
rhymes = define("rhymes", "Words that rhyme with a word", word=("string", "The word"))
syllables = define("count_syllables", "Number of syllables of a word", word=("string", "The word"))
morse_code = define("morse_code", "Write a text in Morse code", text=("string", "The text"))
isbn_lookup = define("isbn_lookup", "Find a book by its ISBN", isbn=("string", "The ISBN"))
renew_loan = define("renew_loan", "Extend the loan of a library book", title=("string", "Title of the book"))
quiz_me = define("quiz_me", "Ask the user a quiz question", topic=("string", "Topic of the question"))
flashcard = define(
    "add_flashcard", "Make a flashcard", front=("string", "Text on the front"), back=("string", "Text on the back")
)
events_of_year = define("events_of_year", "What happened in a year of history", year=("int", "The year"))
days_until = define("days_until", "Days from today to a date", date=("string", "The date"))
weekday_of = define("weekday_of", "Day of the week of a date", date=("string", "The date"))
holidays = define("public_holidays", "Public holidays", country=("string", "The country"), year=("int", "The year"))

# --- A call is due: one argument ------------------------------------------------------------------------------------------

ONE_ARGUMENT = [
    due("How far away is Betelgeuse and how bright?", [star_info, planet_moons], "star_info", star="Betelgeuse"),
    due("tell me something about the star Proxima Centauri", [star_info, planet_mass], "star_info", star="Proxima Centauri"),
    due("Which moons does Neptune have?", [milk_yield, planet_mass, planet_moons], "planet_moons", planet="Neptune"),
    due("mass of Venus", [roman, star_info, planet_moons, planet_mass], "planet_mass", planet="Venus"),
    due("When is the next eclipse that I can see from Argentina?", [moon_phase, next_eclipse], "next_eclipse", region=("Argentina", "from Argentina")),
    due("What's going to launch from Kourou?", [mission_crew, launches], "launch_schedule", site="Kourou"),
    due("Who was on board of Apollo 13", [mission_crew, launches, iss_position], "mission_crew", mission="Apollo 13"),
    due("What will the moon look like on 14 February?", [merge_pdfs, moon_phase, iss_position, next_eclipse], "moon_phase", date=("14 February", "on 14 February")),
    due("what does the gene BRCA2 do", [gene_lookup, protein_seq], "gene_lookup", symbol="BRCA2"),
    due("I need the amino acids of P69905", [protein_seq, gene_lookup, rev_comp], "fetch_protein", accession="P69905"),
    due("reverse complement of ATGCCGTTA", [gc_content, rev_comp], "reverse_complement", sequence="ATGCCGTTA"),
    due("How much of GGCATTACGC is G or C?", [gc_content], "gc_content", sequence="GGCATTACGC"),
    due("molar mass C6H12O6", [boiling_point, morse_code, molar_mass], "molar_mass", formula="C6H12O6"),
    due("At what temperature does ethanol boil?", [boiling_point, melting_point], "boiling_point", substance="ethanol"),
    due("how hot must it be for gallium to melt", [molar_mass, boiling_point, melting_point], "melting_point", substance="gallium"),
    due("pH of sample B-17 please", [molar_mass, sample_ph], "sample_ph", sample=("B-17", "sample B-17")),
    due("Did the earth shake in Crete lately?", [mountain_height, tide_table, earthquakes], "recent_earthquakes", region=("Crete", "in Crete")),
    due("low tide and high tide at Saint-Malo", [earthquakes, ferry_times, tide_table, kill_process], "getTideTable", harbour="Saint-Malo"),
    due("What is the hedgehog called in Latin?", [conservation, latin_name], "latin_name", common_name=("hedgehog", "the hedgehog")),
    due("Is the snow leopard threatened with extinction?", [latin_name, conservation, gc_content, icd_code], "conservation_status", species=("snow leopard", "the snow leopard")),
    due("how deep is the snow in Zermatt", [snow_depth, avalanche], "snow_depth", resort="Zermatt"),
    due("We want to ski off piste around Davos, how dangerous are the avalanches?", [snow_depth, avalanche], "avalanche_risk", area=("Davos", "around Davos")),
    due("How high is Aconcagua?", [mountain_height, river_length], "mountain_height", mountain="Aconcagua"),
    due("how long is the Mekong", [mountain_height, river_length], "river_length", river=("Mekong", "the Mekong")),
    due("Vacuum the hallway", [dock_vacuum, start_vacuum], "start_vacuum", room=("hallway", "the hallway")),
    due("there are crumbs all over the dining room, let the robot clean there", [start_vacuum, isbn_lookup, open_blinds], "start_vacuum", room=("dining room", "the dining room")),
    due("Raise the blinds in the study, would you?", [open_blinds, icd_code, close_blinds], "open_blinds", room=("study", "the study")),
    due("blinds down in the nursery pls", [close_blinds, start_vacuum, open_blinds], "close_blinds", room=("nursery", "the nursery")),
    due("Run the washing machine with the programme delicates", [start_washer, washer_status], "start_washer", program="delicates"),
    due("preheat oven to 180", [preheat_oven, scrabble_score, start_washer], "preheat_oven", celsius=180),
    due("I'm going to bake, get the oven to 225 degrees please", [power_usage, visa_required, kill_process, preheat_oven], "preheat_oven", celsius=225),
    due("we're out of oat milk, put it on the shopping list", [shopping_add, shopping_remove], "shopping_add", item="oat milk"),
    due("Take batteries off the shopping list, I have some", [wine_pairing, shopping_remove, shopping_add], "shopping_remove", item="batteries"),
    due("What in my fridge goes off within 3 days?", [expiring_food, color_hex, shopping_add, mountain_height], "expiring_food", days=3),
    due("how much power did the dishwasher use today", [power_usage, molar_mass, washer_status], "power_usage", appliance=("dishwasher", "the dishwasher")),
    due("switch to channel 4", [tv_channel], "tv_channel", channel=4),
    due("Put on Radio Swiss Jazz", [podcast_episodes, tune_radio], "tune_radio", station="Radio Swiss Jazz"),
    due("anything new from the podcast Planet Money?", [visa_required, tune_radio, podcast_episodes], "podcast_episodes", podcast="Planet Money"),
    due("Which wine shall I serve with duck confit?", [mix_drink, wine_pairing], "wine_pairing", dish="duck confit"),
    due("I could do with a Negroni", [shopping_add, wine_pairing, mix_drink], "mix_drink", cocktail=("Negroni", "a Negroni")),
    due("My car says P0301. What's wrong with it?", [fault_code, tyre_pressure], "fault_code", code="P0301"),
    due("check the pressure of the rear left tyre", [tyre_pressure, fault_code], "tyre_pressure", tyre=("rear left", "rear left tyre", "the rear left tyre")),
    due("Is the Aquarium free right now?", [room_free, book_room], "room_free", room=("Aquarium", "the Aquarium")),
    due("how many days off does Priya Nair have left", [vacation_days, reports_to], "vacation_days", employee="Priya Nair"),
    due("Who is Jonas Weber's boss?", [reports_to, vacation_days], "reports_to", employee="Jonas Weber"),
    due("Print contract_final.pdf", [extract_pages, print_document, merge_pdfs], "print_document", file="contract_final.pdf"),
    due("could you put slides.odp on paper for me", [print_document], "print_document", file="slides.odp"),
    due("What does invoice 2024-118 come to?", [create_invoice, invoice_total, mark_paid], "invoice_total", invoice=("2024-118", "invoice 2024-118")),
    due("INV-3307 has been paid, please record that", [mark_paid, invoice_total, icd_code, color_hex], "mark_paid", invoice="INV-3307"),
    due('Ask the team in a poll: "Where shall we have lunch?"', [create_poll, book_room], "create_poll", question=("Where shall we have lunch?", "Where shall we have lunch")),
    due("latest commit on develop", [delete_branch, icd_code, create_branch, last_commit], "last_commit", branch="develop"),
    due("make a branch feature/login", [create_branch, delete_branch], "create_branch", name="feature/login"),
    due("nobody needs the branch hotfix-12 any more, get rid of it", [delete_branch, last_commit, create_branch], "delete_branch", name="hotfix-12"),
    due("Do the tests of billing.rounding pass?", [run_tests, coverage], "run_tests", module="billing.rounding"),
    due("run unit tests for auth", [run_tests, fault_code, restart_service], "run_tests", module="auth"),
    due("How much of parser_utils is covered by tests?", [coverage, run_tests], "coverage_report", module="parser_utils"),
    due("nginx hangs again, restart it", [kill_process, restart_service, service_log, wine_pairing], "restart_service", service="nginx"),
    due("Which version of numpy have I got?", [package_version, install_package], "package_version", package="numpy"),
    due("install seaborn", [package_version, install_package], "install_package", package="seaborn"),
    due("is db01.internal up?", [ping_host, dns_lookup], "pingHost", host="db01.internal"),
    due("What's the IP of wikipedia.org?", [dns_lookup, metronome, http_status, ping_host], "dnsLookup", domain="wikipedia.org"),
    due("The server answers 418, what does that mean?", [http_status, ping_host], "http_status", code=418),
    due("how much room is left on /dev/sda1", [molar_mass, disk_free, gpu_memory], "disk_free", drive="/dev/sda1"),
    due("Kill process 20417", [kill_process, restart_service], "kill_process", pid=20417),
    due("Encode 'open sesame' as base64", [b64_encode, b64_decode], "base64_encode", text="open sesame"),
    due("what does aGVsbG8= say? it's base64", [b64_encode, b64_decode], "base64_decode", data="aGVsbG8="),
    due("3054 in hex", [to_binary, to_hex, roman], "to_hex", number=3054),
    due("How is 37 written in zeros and ones?", [to_hex, roman, to_binary], "to_binary", number=37),
    due("1987 in roman numerals?", [roman, to_hex], "roman_numeral", number=1987),
    due("Issue 482 is fixed, you can close it", [assign_issue, close_issue], "close_issue", issue=482),
    due("how often is resnet_small right on the test set", [model_accuracy, train_model], "model_accuracy", model="resnet_small"),
    due("Nobody may be recognised in demo_day.jpg, hide the faces", [blur_faces, rotate_photo], "blur_faces", file="demo_day.jpg"),
    due("How does the Caro-Kann begin?", [best_move, feed_pet, chess_opening], "chess_opening", opening=("Caro-Kann", "the Caro-Kann")),
    due("what would you play here: 8/8/8/4k3/8/8/4P3/4K3 w - - 0 1", [chess_opening, best_move, undo_move], "best_move", fen="8/8/8/4k3/8/8/4P3/4K3 w - - 0 1"),
    due("Deal me 5 cards", [deal_cards, shuffle_deck], "deal_cards", count=5),
    due("what has Thalia got in her bag", [inventory, give_item], "inventory", player="Thalia"),
    due("how many points is quixotic in scrabble?", [syllables, rhymes, scrabble_score], "scrabble_score", word="quixotic"),
    due("bundesliga standings", [league_table], "league_table", league="bundesliga"),
    due("Who leads the Serie A?", [race_results, league_table], "league_table", league=("Serie A", "the Serie A")),
    due("Show me the career numbers of Megan Rapinoe", [league_table, player_stats], "player_stats", athlete="Megan Rapinoe"),
    due("What is the world record in pole vault?", [player_stats, blur_faces, world_record, star_info], "world_record", discipline="pole vault"),
    due("I drew The Hermit. What does it stand for?", [deal_cards, tarot_card], "tarot_card", card=("The Hermit", "Hermit")),
    due("How much ibuprofen does one usually take?", [drug_interactions, drug_dosage], "drug_dosage", drug="ibuprofen"),
    due("what is patient 88-204 allergic to", [next_visit, lab_result, allergies], "patient_allergies", patient_id="88-204"),
    due("When is K5519 coming in next?", [allergies, next_visit], "next_visit", patient_id="K5519"),
    due("ICD code for migraine", [drug_dosage, scrabble_score, icd_code], "icd_code", diagnosis="migraine"),
    due("Is the ground in Long Acre dry?", [irrigate, soil_moisture], "soil_moisture", field="Long Acre"),
    due("How much milk did we get from Bella yesterday?", [milk_yield, icd_code, soil_moisture, wine_pairing], "milk_yield", cow="Bella"),
    due("what do they pay for barley these days", [crop_price, sowing_time], "crop_price", crop="barley"),
    due("When do parsnips go into the ground?", [sowing_time, crop_price], "sowing_time", vegetable="parsnips"),
    due("let the cows out: open the gate of the east pasture", [close_gate, open_gate], "open_gate", pasture=("east pasture", "the east pasture", "east")),
    due("Shut the gate of Miller's meadow before they run off", [open_gate, close_gate], "close_gate", pasture="Miller's meadow"),
    due("how heavy is hive 12 now?", [hive_weight, count_sheep], "hive_weight", hive=("12", "hive 12")),
    due("stop belt 3", [conveyor_speed, stop_conveyor], "stop_conveyor", belt=("3", "belt 3")),
    due("How many hours has press P2 run in total?", [machine_hours, tank_level], "machine_hours", machine=("P2", "press P2")),
    due("do we have any 77-4410 in stock?", [reorder_part, stock_level, gc_content, color_hex], "stock_level", part="77-4410"),
    due("Open valve V12, please.", [open_valve, close_valve], "open_valve", valve=("V12", "valve V12")),
    due("quick, shut the bypass valve", [open_valve, close_valve, tank_level], "close_valve", valve=("bypass", "bypass valve", "the bypass valve")),
    due("is there still something in tank T-3", [mountain_height, tank_level, open_valve], "tank_level", tank=("T-3", "tank T-3")),
    due("When do the ferries leave from Piraeus?", [ferry_times, flight_gate], "ferry_times", port="Piraeus"),
    due("gate for LH454?", [flight_gate, ferry_times], "flight_gate", flight="LH454"),
    due("Can I still park in the Opera garage?", [charging, parking_spots], "parking_spots", garage=("Opera", "Opera garage", "the Opera garage")),
    due("my car's battery is almost empty, where can i charge it in graz", [charging, parking_spots], "charging_stations", town="graz"),
    due("Summarise Marbury v. Madison", [icd_code, statute_text, case_summary], "case_summary", case="Marbury v. Madison"),
    due("Has anybody registered Bluefin as a trademark?", [trademark_check, case_summary], "trademark_check", mark="Bluefin"),
    due("who painted The Night Watch, and when?", [painting_info, artist_works], "painting_info", title=("The Night Watch", "Night Watch")),
    due("What did Frida Kahlo paint?", [create_poll, artist_works, painting_info], "artist_works", artist="Frida Kahlo"),
    due("is the Prado open today", [museum_hours, painting_info], "museum_hours", museum=("Prado", "the Prado")),
    due("hex code for turquoise", [mix_colors, color_hex, rgb_to_hex, mountain_height], "color_hex", color="turquoise"),
    due("Which notes are in Fmaj7?", [chord_notes, transpose], "chord_notes", chord="Fmaj7"),
    due("Start the metronome at 92", [metronome, note_frequency], "metronome", bpm=92),
    due("how many hertz does C#5 have", [note_frequency, chord_notes, transpose], "note_frequency", note="C#5"),
    due("What rhymes with thunder?", [rhymes, syllables, metronome], "rhymes", word="thunder"),
    due("Which book is 978-0-14-143951-8?", [renew_loan, isbn_lookup, molar_mass, deal_cards], "isbn_lookup", isbn="978-0-14-143951-8"),
    due("I haven't finished Dune yet, can I keep it longer?", [renew_loan, isbn_lookup, star_info, weekday_of], "renew_loan", title="Dune"),
]  # fmt: skip

# --- Two arguments --------------------------------------------------------------------------------------------------------

TWO_ARGUMENTS = [
    due("Water North Field for 20 minutes", [irrigate], "irrigate", field="North Field", minutes=20),
    due("give Minka 40 grams of food", [start_vacuum, feed_pet], "feed_pet", pet="Minka", grams=40),
    due("25 g for the rabbit please", [feed_pet, expiring_food], "feed_pet", pet=("rabbit", "the rabbit"), grams=25),
    due("Reserve the room Lighthouse for 14:00", [book_room, room_free], "book_room", room=("Lighthouse", "the room Lighthouse", "room Lighthouse"), hour=("14:00", "for 14:00")),
    due("I'd like to be off from 3 August to 14 August", [request_leave, vacation_days], "request_leave", first_day="3 August", last_day="14 August"),
    due("request leave, 22 Dec until 2 Jan", [clock_out, request_leave], "request_leave", first_day="22 Dec", last_day="2 Jan"),
    due("Append appendix.pdf to thesis.pdf", [merge_pdfs, extract_pages, blur_faces], "merge_pdfs", first="thesis.pdf", second="appendix.pdf"),
    due("VAT on 340 at 19 percent?", [vat, tip_amount], "vat", net=340, rate=19),
    due("Book 3.5 hours on the project Helios", [clock_in, log_hours], "log_hours", project=("Helios", "project Helios", "the project Helios"), hours=3.5),
    due("put down 6 hours for website relaunch", [request_leave, log_hours], "log_hours", project="website relaunch", hours=6),
    due("We are 4 and the bill is 96.40, what does each of us pay?", [tip_amount, split_bill], "split_bill", total=96.4, people=4),
    due("how much is a 15 percent tip on 62", [vat, split_bill, tip_amount], "tip_amount", bill=62, percent=15),
    due('Text 0664 5550123 "running late"', [send_sms, create_poll], "send_sms", number="0664 5550123", message="running late"),
    due("show me the last 50 lines of the log of postgres", [restart_service, service_log], "tail_log", service="postgres", lines=50),
    due("sha256 of 'correct horse'", [hash_text, b64_encode], "hash_text", text="correct horse", algorithm="sha256"),
    due("12 volts at 0.5 amps, what is the resistance?", [power_usage, resistance], "resistance", volts=12, amps=0.5),
    due("let Yusuf take care of issue 77", [close_issue, assign_issue], "assign_issue", issue=77, person="Yusuf"),
    due("Train bert_tiny for 3 epochs", [train_model, model_accuracy], "train_model", model="bert_tiny", epochs=3),
    due("How strongly are height and weight correlated?", [correlation, fill_missing], "correlation", x="height", y="weight"),
    due("put 0.5 wherever rainfall has gaps", [correlation, fill_missing], "fill_missing", variable="rainfall", value=0.5),
    due("Turn beach.png by 90 degrees", [rotate_photo], "rotate_photo", file="beach.png", degrees=90),
    due("spawn a level 9 troll", [give_item, spawn_monster], "spawn_monster", kind="troll", level=9),
    due("Orin shall have the silver key", [give_item, inventory, spawn_monster], "give_item", item=("silver key", "the silver key"), player="Orin"),
    due("Who won the Monaco Grand Prix in 2019?", [league_table, race_results], "race_results", race=("Monaco Grand Prix", "the Monaco Grand Prix"), year=2019),
    due("I ran 10 km in 52 minutes, what's my pace?", [log_workout, move_axis, running_pace], "running_pace", kilometres=10, minutes=52),
    due("Just did 45 minutes of rowing, write it down", [running_pace, log_workout], "log_workout", exercise="rowing", minutes=45),
    due("may one take aspirin together with warfarin", [drug_dosage, wine_pairing, drug_interactions, icd_code], "drug_interactions", drug_a="aspirin", drug_b="warfarin"),
    due("bmi for 82 kg and 1.79 m", [running_pace, bmi], "bmi", weight=82, height=1.79),
    due("What came out of the test for ferritin of patient 31-B?", [color_hex, lab_result, allergies], "lab_result", patient_id="31-B", test="ferritin"),
    due("Can somebody with B positive get blood from O negative?", [lab_result, mountain_height, blood_match], "blood_match", donor="O negative", recipient="B positive"),
    due("Run the packing belt at 0.8 metres per second", [vat, conveyor_speed, stop_conveyor], "conveyor_speed", belt=("packing", "packing belt", "the packing belt"), speed=0.8),
    due("move Z by 12.5 mm", [robot_home, move_axis], "move_axis", axis="Z", millimetres=12.5),
    due("Order 200 pieces of M8-30", [stock_level, reorder_part, icd_code, feed_pet], "reorder_part", part="M8-30", quantity=200),
    due("does an Indian citizen need a visa for Turkey?", [visa_required, holidays], "visa_required", nationality=("Indian", "an Indian"), destination="Turkey"),
    due("Where could I stay in Ghent for 2 nights?", [charging, find_hotel], "find_hotel", city="Ghent", nights=2),
    due("read me section 433 of the BGB", [statute_text], "statute_text", law=("BGB", "the BGB"), section=("433", "section 433")),
    due("I need somebody for tenancy law in Leeds", [statute_text, find_lawyer], "find_lawyer", specialty="tenancy law", town="Leeds"),
    due("who won the election in Ghana in 2020", [holidays, election_result, events_of_year], "election_result", country="Ghana", year=2020),
    due("Public holidays of Denmark in 2027, please", [holidays, weekday_of], "public_holidays", country="Denmark", year=2027),
    due("What do magenta and yellow give?", [morse_code, mix_colors, color_hex, mountain_height], "mix_colors", first="magenta", second="yellow"),
    due("transpose Am7 up by 3 semitones", [transpose, chord_notes], "transpose_chord", chord="Am7", semitones=3),
    due('New flashcard: front "der Apfel", back "the apple"', [feed_pet, merge_pdfs, quiz_me, flashcard], "add_flashcard", front="der Apfel", back="the apple"),
]  # fmt: skip

# --- Three arguments, or one that might be left out -----------------------------------------------------------------------

THREE_OR_OPTIONAL = [
    due("How much of the 10 molar stock do I take for 250 ml of 0.5 molar?", [dilute, sample_ph], "dilution_volume", stock=10, target=0.5, volume=250),
    due("What do I pay a month for 200000 at 3.5 percent over 25 years?", [vat, loan_payment], "loan_payment", principal=200000, interest=3.5, years=25),
    due("pages 4 to 9 of manual.pdf as a pdf of their own", [print_document, merge_pdfs, extract_pages], "extract_pages", file="manual.pdf", first=4, last=9),
    due("Were there earthquakes in Chile above magnitude 6?", [earthquakes, metronome, morse_code, tide_table], "recent_earthquakes", region=("Chile", "in Chile"), min_magnitude=6),
    due("add 12 eggs to the shopping list", [shopping_add, shopping_remove], "shopping_add", item="eggs", quantity=12),
    due("3 copies of agenda.docx from the printer please", [extract_pages, print_document], "print_document", file="agenda.docx", copies=3),
    due("Write Miller GmbH an invoice of 780 euros, due 30 June", [invoice_total, create_invoice, milk_yield], "create_invoice", client="Miller GmbH", amount=780, due_date="30 June"),
    due("Circle with radius 15 around 40, 60", [rotate_photo, draw_circle], "draw_circle", x=40, y=60, radius=15),
    due("rgb 34 139 87 as hex", [to_hex, color_hex, rgb_to_hex], "rgb_to_hex", red=34, green=139, blue=87),
    due("put the match down: Wolves at home against Rangers, 9 September", [schedule_match], "schedule_match", home="Wolves", away="Rangers", date="9 September"),
    due("I need a compact car in Malaga for 6 days", [rent_car, find_hotel], "rent_car", place=("Malaga", "in Malaga"), car_class=("compact", "compact car", "a compact car"), days=6),
    due("4 rows of leeks in bed 2", [plant_rows, fault_code, sowing_time], "plant_rows", vegetable="leeks", rows=4, bed=2),
    due("Prescribe patient 55-A 500 mg of amoxicillin", [fault_code, drug_dosage, prescribe], "add_prescription", patient_id="55-A", drug="amoxicillin", dose_mg=500),
    due("metronome, 120 bpm, 3 beats in a bar", [transpose, metronome], "metronome", bpm=120, beats=3),
    due("When can one get into the Louvre on Sunday?", [museum_hours, artist_works], "museum_hours", museum=("Louvre", "the Louvre"), day=("Sunday", "on Sunday")),
]  # fmt: skip

# --- No argument ----------------------------------------------------------------------------------------------------------

NO_ARGUMENT = [
    due("Where's the space station right now?", [launches, feed_pet, iss_position], "iss_position"),
    due("that's clean enough, send the vacuum home", [start_vacuum, dock_vacuum], "dock_vacuum"),
    due("Is the laundry done yet?", [start_washer, washer_status], "washer_status"),
    due("how much memory is left on the gpu", [gpu_memory], "gpu_memory"),
    due("Which docker containers are running?", [list_containers, restart_service], "list_containers"),
    due("shuffle the cards please", [deal_cards, icd_code, shuffle_deck], "shuffle_deck"),
    due("Oops, that was stupid. Take my move back", [best_move, undo_move], "undo_move"),
    due("save my game", [save_game, who_is_online], "save_game"),
    due("Is anybody else online?", [save_game, who_is_online, inventory], "who_is_online"),
    due("How many sheep are in the barn?", [milk_yield, count_sheep], "count_sheep"),
    due("robot arm to its home position", [robot_home, move_axis], "robot_home"),
    due("mute the telly", [mute_tv, tv_channel], "mute_tv"),
    due("I'm at my desk, clock me in", [clock_out, log_hours, clock_in], "clock_in"),
]  # fmt: skip

# --- Longer conversations -------------------------------------------------------------------------------------------------

MELTS = (Call("melting_point", {"substance": "tin"}), Result("melting_point", "231.9"), "Tin melts at 231.9 degrees.")
FERRIES = (Call("ferry_times", {"port": "Split"}), Result("ferry_times", "06:30, 11:00, 17:45"))
STOCK = (Call("stock_level", {"part": "B-90"}), Result("stock_level", "3"), "There are 3 pieces of B-90 left.")

CONVERSATIONS = [
    due(["hey", "Hello! How can I help you?", "which IP has example.net"], [dns_lookup, ping_host], "dnsLookup", domain="example.net"),
    due(["I'm Lena, I teach history.", "Nice to meet you, Lena.", "What happened in 1848?"], [days_until, events_of_year], "events_of_year", year=1848),
    due(["Are you there?", "Yes, I am here.", "Quiz me on volcanoes"], [flashcard, quiz_me, roman], "quiz_me", topic=("volcanoes", "on volcanoes")),
    due(["when does tin melt", *MELTS, "And lead?"], [melting_point], "melting_point", substance="lead"),
    due(["when does tin melt", *MELTS, "ok and at what temperature does mercury boil?"], [melting_point, boiling_point], "boiling_point", substance="mercury"),
    due(["Ferries from Split?", *FERRIES, "Ferries leave at 06:30, 11:00 and 17:45.", "and for Dubrovnik?"], [flight_gate, molar_mass, ferry_times, fault_code], "ferry_times", port="Dubrovnik"),
    due(["do we have B-90", *STOCK, "Then order 40 of B-90"], [reorder_part, stock_level, blur_faces], "reorder_part", part="B-90", quantity=40),
    due(["do we have B-90", *STOCK, "what about C-15?"], [kill_process, stock_level, reorder_part, morse_code], "stock_level", part="C-15"),
    due(["I am so tired today.", "I am sorry to hear that.", "how many days are left until 24 December?"], [days_until, weekday_of], "days_until", date=("24 December", "until 24 December")),
    due(["Shuffle the deck", Call("shuffle_deck"), Result("shuffle_deck", "done"), "The deck is shuffled.", "Good. Deal 7 cards"], [deal_cards, shuffle_deck], "deal_cards", count=7),
    due(["Thanks for yesterday!", "You are welcome!", "On which weekday does 2027-03-01 fall?"], [weekday_of, days_until, moon_phase], "weekday_of", date="2027-03-01"),
    due(["clock me in", Call("clock_in"), Result("clock_in", "08:02"), "You are clocked in since 08:02.", "that's it for today, I'm going home. clock me out"], [clock_out, clock_in], "clock_out"),
    due(["open valve V3", Call("open_valve", {"valve": "V3"}), Result("open_valve", "open"), "Valve V3 is open.", "there is smoke, emergency stop now!"], [open_valve, emergency_stop, feed_pet, close_valve], "emergency_stop"),
    due(["What rhymes with cat?", Call("rhymes", {"word": "cat"}), Result("rhymes", "hat, bat, mat"), "Hat, bat and mat rhyme with cat.", "how many syllables are in onomatopoeia?"], [syllables, rhymes], "count_syllables", word="onomatopoeia"),
    due(["hi, can you help with radio stuff?", "Gladly. What do you need?", "write CQ DX in morse"], [b64_encode, morse_code], "morse_code", text="CQ DX"),
]  # fmt: skip

# --- No call is due -------------------------------------------------------------------------------------------------------

SMALL_TALK = [
    none("hiya", star_info, planet_moons),
    none("Good afternoon!", book_room, room_free),
    none("hello, anybody home?", robot_home),
    none("Hey, how's it going?", running_pace, log_workout),
    none("morning", clock_in, clock_out),
    none("Greetings, little llama", count_sheep, milk_yield),
    none("Hi, it's me again.", restart_service, last_commit),
    none("Thanks a million!", loan_payment, vat),
    none("thx", b64_encode, b64_decode),
    none("Much appreciated.", prescribe, drug_dosage),
    none("Thank you, that's all for today", clock_out, save_game),
    none("Perfect!", chord_notes, note_frequency, transpose),
    none("wow, impressive", world_record, player_stats),
    none("haha", tarot_card),
    none("hmm", best_move, chess_opening),
    none("Oh no!", emergency_stop, stop_conveyor),
    none("okay then", preheat_oven, washer_status),
    none("Good job, keep it up", log_workout),
    none("See you next week!", days_until, weekday_of),
    none("good bye and take care", ferry_times, flight_gate),
    none("Sleep well.", close_blinds, dock_vacuum),
    none("Pardon me.", mute_tv, tv_channel),
    none("yes", undo_move, shuffle_deck),
    none("no, never mind", kill_process, delete_branch),
]  # fmt: skip

ABOUT_ITSELF = [
    none("what are you?", latin_name, conservation),
    none("Tell me about yourself", painting_info, artist_works),
    none("Do you have a name?", reports_to, inventory),
    none("Are you a real person?", allergies, next_visit),
    none("Which company built you?", trademark_check, find_lawyer),
    none("How big are you?", mountain_height, river_length),
    none("how many layers do you have", train_model, model_accuracy),
    none("What languages do you understand?", syllables, rhymes),
    none("What are you good at?", player_stats, quiz_me),
    none("Do you know everything?", events_of_year),
    none("Can you make mistakes?", run_tests, coverage),
    none("Do you get tired of my questions?", quiz_me, flashcard),
    none("Where do you run?", ping_host, running_pace, list_containers),
    none("Are you on the internet?", dns_lookup, ping_host),
    none("do you remember what I said yesterday?", weekday_of, service_log),
    none("Do you eat grass?", feed_pet, open_gate),
    none("How were you trained?", train_model),
    none("Have you got any tools?", fault_code, machine_hours),
    none("What is %llama?", package_version, latin_name),
    none("What does llama_nb do?", package_version, install_package),
    none("How do I ask you something from a cell?", soil_moisture, gene_lookup),
    none("how can I start a new conversation in llama_nb?", create_branch, clock_in),
    none("Does llama_nb have a chat panel?", museum_hours, color_hex),
    none("How can I give llama_nb a tool of my own?", create_poll, fault_code),
    none("Can I stop you while you are talking?", mute_tv, stop_conveyor),
    none("how do I use my own checkpoint with llama_nb", model_accuracy, train_model),
    none("Can llama_nb be used without a GPU?", gpu_memory),
]  # fmt: skip

NOT_SERVED = [
    none("Close the blinds in the bathroom", open_blinds, start_vacuum),
    none("What does zinc weigh per mole?", tide_table, ferry_times),
    none("Which of my invoices are overdue?", rotate_photo, blur_faces, morse_code),
    none("Is there a train to Vienna tonight?", ferry_times),
    none("How tall is the Eiffel Tower?", sample_ph, rhymes),
    none("Write a haiku about autumn", metronome, color_hex),
    none("why do cats purr", mute_tv, tv_channel),
    none("Bake me a cake", emergency_stop, robot_home),
    none("Explain recursion in simple words", feed_pet, irrigate),
    none("Turn the volume up", tv_channel, tune_radio),
    none("What is the melting point of iron?", boiling_point, molar_mass),
    none("restart the server please", disk_free, list_containers),
    none("Deal me three cards", shuffle_deck, undo_move),
    none("Who is the boss of Anna Schmidt?", snow_depth, avalanche),
    none("How do I get a stain of red wine out of a shirt?", gc_content, rev_comp),
    none("Run the tests", wine_pairing, mix_drink),
    none("Any good jokes?", hash_text, to_hex),
    none("What shall I give my mother for her birthday?", close_issue, assign_issue),
    none("encode hello in base64", find_hotel, rent_car),
    none("Which moons does Mars have?", planet_mass, moon_phase),
    none("Find a hotel in Bruges for 3 nights", stop_conveyor, move_axis),
    none("please write a function that sorts a list", deal_cards, scrabble_score),
    none("What's the meaning of life?", http_status, disk_free),
    none("transpose C by 2 semitones", open_valve, tank_level),
    none("Print the boarding pass", flight_gate, visa_required),
    none("Give me some advice on job interviews", morse_code, roman),
    none("Compare Python with Rust", race_results, league_table),
    none("How is patient 14-C today?", launches, moon_phase),
    none("Feed the hamster 10 grams", correlation, fill_missing),
    none("Kill process 881", museum_hours, isbn_lookup),
    none("Can you sing me something?", power_usage, expiring_food),
    none("What was the score of the match last night?", statute_text, visa_required),
    none("Summarise the plot of Hamlet", charging, parking_spots),
    none("How do I tie a bow tie?", dilute, resistance),
    none("Is it a good idea to buy a house now?", spawn_monster, give_item),
]  # fmt: skip

STATEMENTS = [
    none("I have two cats and a parrot.", feed_pet, conservation),
    none("We moved to Utrecht last spring.", find_hotel, charging),
    none("My back hurts from sitting.", drug_dosage, icd_code),
    none("I used to play chess with my uncle.", chess_opening, best_move),
    none("The printer is an awful noisy thing.", print_document),
    none("I love the smell of rain.", soil_moisture, irrigate),
    none("Our team lost again, sadly", league_table, schedule_match),
    none("I'm a nurse.", allergies, lab_result),
    none("Work was boring.", log_hours, clock_out),
    none("I passed my exam!", quiz_me, flashcard),
    none("The movie made me cry.", tv_channel, mute_tv),
    none("I have never been to a museum.", museum_hours, painting_info),
    none("That's a strange answer.", undo_move, hash_text),
    none("I was only joking.", send_sms, create_poll),
    none("Let me think for a moment.", best_move, undo_move),
    none("Python is more fun than I thought.", install_package, package_version),
    none("I'm not sure about that.", drug_interactions, blood_match),
    none("My grandfather was a beekeeper.", hive_weight),
    none("it's been a while since I did this", renew_loan, days_until),
    none("I prefer tea to coffee.", mix_drink, shopping_add),
    none("I'd rather do it myself.", start_vacuum, start_washer),
    none("I don't understand law at all.", statute_text, case_summary),
]  # fmt: skip

AFTER_A_CALL = [
    none(["when does tin melt", *MELTS, "Ah, that's lower than I thought."], melting_point, boiling_point),
    none(["when does tin melt", *MELTS, "cheers"], melting_point),
    none(["Ferries from Split?", *FERRIES, "Ferries leave at 06:30, 11:00 and 17:45.", "Wonderful, thank you."], ferry_times, flight_gate),
    none(["Ferries from Split?", *FERRIES, "Ferries leave at 06:30, 11:00 and 17:45.", "That's too early for me."], ferry_times),
    none(["do we have B-90", *STOCK, "ok, that is enough"], stock_level, reorder_part),
    none(["do we have B-90", *STOCK, "How do you know that?"], stock_level),
    none(["Deal 2 cards", Call("deal_cards", {"count": 2}), Result("deal_cards", "Q of hearts, 4 of clubs"), "You have the queen of hearts and the 4 of clubs.", "lucky!"], deal_cards, shuffle_deck),
    none(["open valve V3", Call("open_valve", {"valve": "V3"}), Result("open_valve", "open"), "Valve V3 is open.", "well done, bye"], open_valve, close_valve),
    none(["Hello", "Hello! How can I help you?", "Just testing."], run_tests, ping_host),
    none(["what can you do?", "I can call tools and talk a little.", "I see."], star_info, moon_phase),
    none(["I'm Paolo.", "Nice to meet you, Paolo.", "I grow olives near Bari."], crop_price, sowing_time),
    none(["Is the laundry done yet?", Call("washer_status"), Result("washer_status", "12 minutes left"), "It needs 12 more minutes.", "alright, I'll wait"], washer_status, start_washer),
]  # fmt: skip

# --- A result is there to be told -------------------------------------------------------------------------------------------

RESULTS = [
    told(["when does tin melt", *MELTS[:2]], [melting_point, boiling_point], "231.9"),
    told(["When do the ferries leave from Split?", *FERRIES], [ferry_times], "17:45", "11:00", "06:30", "6:30"),
    told(["how many B-90 have we got?", *STOCK[:2]], [reorder_part, stock_level], "3", "three"),
    told(["What's the height of Aconcagua?", Call("mountain_height", {"mountain": "Aconcagua"}), Result("mountain_height", '{"metres": 6961}')], [mountain_height, river_length], "6961", "6,961"),
    told(["Who is Jonas Weber's boss?", Call("reports_to", {"employee": "Jonas Weber"}), Result("reports_to", "Hanna Lindqvist")], [vacation_days, reports_to], "Hanna Lindqvist"),
    told(["1987 in roman numerals?", Call("roman_numeral", {"number": 1987}), Result("roman_numeral", "MCMLXXXVII")], [roman, to_hex], "MCMLXXXVII"),
    told(["gate for LH454?", Call("flight_gate", {"flight": "LH454"}), Result("flight_gate", '{"gate": "B22", "boarding": "13:05"}')], [flight_gate], "B22"),
    told(["bmi for 82 kg and 1.79 m", Call("bmi", {"weight": 82, "height": 1.79}), Result("bmi", "25.6")], [bmi], "25.6"),
    told(["Is the Aquarium free right now?", Call("room_free", {"room": "Aquarium"}), Result("room_free", "occupied until 15:30")], [room_free, book_room], "15:30", "occupied"),
    told(["how much memory is left on the gpu", Call("gpu_memory"), Result("gpu_memory", "11.2 GB")], [gpu_memory, disk_free], "11.2"),
    told(["Which book is 978-0-14-143951-8?", Call("isbn_lookup", {"isbn": "978-0-14-143951-8"}), Result("isbn_lookup", '{"title": "Pride and Prejudice", "author": "Jane Austen"}')], [isbn_lookup, renew_loan], "Pride and Prejudice"),
    told(["hex code for turquoise", Call("color_hex", {"color": "turquoise"}), Result("color_hex", "#40E0D0")], [color_hex, rgb_to_hex], "#40E0D0", "40E0D0"),
    told(["Run the tests of billing", Call("run_tests", {"module": "billing"}), Result("run_tests", "48 passed, 2 failed")], [run_tests, coverage], "48 passed", "2 failed", "48"),
    told(["Book the room Lighthouse for 14:00", Call("book_room", {"room": "Lighthouse", "hour": "14:00"}), Result("book_room", "Error: Lighthouse is closed for repairs")], [book_room], "closed", "repairs"),
    told(["hi", "Hello! How can I help you?", "how many sheep are in the barn", Call("count_sheep"), Result("count_sheep", "137")], [count_sheep, milk_yield], "137"),
]  # fmt: skip

DUE = [*ONE_ARGUMENT, *TWO_ARGUMENTS, *THREE_OR_OPTIONAL, *NO_ARGUMENT, *CONVERSATIONS]
NOT_DUE = [*SMALL_TALK, *ABOUT_ITSELF, *NOT_SERVED, *STATEMENTS, *AFTER_A_CALL]
CASES: list[ToolCase] = [*DUE, *NOT_DUE, *RESULTS]
