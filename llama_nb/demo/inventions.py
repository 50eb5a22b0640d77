"""Tools that nobody knows, made of a verb or a property and a thing, half of them invented words.

The model must read what is offered, for it cannot know these.
"""

from __future__ import annotations

import re
from random import Random

from llama_nb.demo import copied, words
from llama_nb.demo.families import Family, Parameter
from llama_nb.demo.values import INTEGERS

_VERBS = """
open close start stop check find show count measure move lift paint wash order send lock unlock activate clean build
rotate inspect launch archive publish approve reject tag label pin merge split sort filter compare verify sign print
scan copy delete restore refresh reset calibrate charge freeze heat cool fill drain pack unpack load unload weigh tune
repair paint polish water plant harvest mix grind slice fetch register cancel confirm extend pause resume mute enable
disable assign invite promote block rent sell buy trade ship track locate report log record play draw analyze squawk
test update upgrade install remove add create rename edit review release park ring wake hire fire teach train feed bake
cook wrap hang climb visit rescue protect guard hide dig pour spray cut fold knit sew grow pick collect gather donate
lend borrow return schedule postpone book order rate subscribe deposit withdraw insure audit file stamp post deliver
collect evacuate dispatch route tow refuel recharge dock undock anchor steer brake accelerate tilt raise lower stack
shake stir squeeze press pull push throw catch kick shoot chase greet thank
""".split()
# Of one meaning: a tool may be named and described by one, and be asked for by another.
_SYNONYMS = tuple(
    tuple(group.split(","))
    for group in (
        "delete,remove,erase,get rid of,throw away,wipe|create,make,add,set up,build,generate|show,display,list,print,"
        "view,bring up|start,launch,begin,run,turn on,activate,switch on,fire up|stop,halt,end,turn off,shut down,"
        "switch off,deactivate|send,transmit,deliver,dispatch,forward|get,fetch,retrieve,obtain,look up,find|fix,repair,"
        "mend,restore|buy,purchase,order,get me,acquire|change,modify,update,edit,alter,adjust|check,verify,inspect,"
        "test,examine,look at|move,shift,relocate,transfer,bring|open,unlock|close,shut,lock|book,reserve,arrange,"
        "schedule|find,search,locate,look for,track down|increase,raise,boost,turn up|decrease,lower,reduce,turn down|"
        "heat,warm up|cool,chill|clean,wash,tidy up,scrub|cancel,call off,revoke,annul|write,compose,draft|"
        "pay,settle|measure,gauge,determine|count,tally,number|choose,select,pick|record,log,note,register,enter|"
        "postpone,delay,put off,push back|invite,ask over|hire,employ,recruit|fire,dismiss,lay off|rent,lease|"
        "lend,loan|fill,top up,refill|empty,drain|water,irrigate|translate,render|reset,clear|approve,accept,confirm|"
        "reject,decline,refuse,turn down|assign,allocate,give|share,give access to|block,ban,bar|mute,silence|"
        "play,put on|save,store,keep|rename,call|split,divide|merge,combine,join,unite|extend,prolong,lengthen|"
        "announce,publish,post,make public|calculate,compute,work out,figure out|estimate,guess,predict|"
        "notify,inform,alert,tell|lift,hoist,raise|release,let go,free|feed,give food to|ship,mail,send off"
    ).split("|")
)
_ALIKE: dict[str, tuple[str, ...]] = {}
for _group in _SYNONYMS:
    for _one in _group:
        _ALIKE[_one] = (*_ALIKE.get(_one, ()), *(other for other in _group if other != _one))
# How one asks for a property without naming it
_ASKED = {
    "height": "how (tall|high) is @", "weight": "(how heavy is @|how much does @ weigh|what does @ weigh)",
    "age": "how old is @", "size": "how (big|large) is @", "speed": "how fast (is @|does @ go|can @ go)",
    "status": "(how is @ doing|is @ running|is @ ok|what is going on with @|is all well with @)",
    "price": "(what does @ cost|how much does @ cost|how expensive is @|how much is @)",
    "color": "(what|which) (color|colour) (is|has) @", "length": "how long is @", "depth": "how deep is @",
    "width": "how wide is @", "capacity": "(how much fits into @|how much can @ hold|how many fit into @)",
    "temperature": "how (hot|cold|warm) is @", "pressure": "(how much pressure is in @|what pressure has @)",
    "owner": "(who owns @|to whom does @ belong|whose is @)",
    "location": "(where is @|where can I find @|where do I find @|where does @ stand|where has @ gone)",
    "population": "how many (people|inhabitants) (live in|has|are in) @", "rating": "(how good is @|is @ any good)",
    "score": "(how well did @ do|how many points has @)", "balance": "how much (money is on|is left on) @",
    "level": "(how full is @|how high is @)", "origin": "where does @ come from", "version": "which version (has|is) @",
    "number": "which number has @", "distance": "how far (away|) is @", "duration": "how long does @ take",
    "nickname": "what do they call @", "mass": "(how heavy is @|how massive is @)", "brightness": "how bright is @",
    "salary": "(how much does @ earn|what does @ earn|how much is @ paid)", "rank": "where does @ rank",
    "address": "where does @ live", "phone": "(how can I call @|how do I reach @)", "diameter": "how wide is @",
    "title": "what is @ called", "author": "(who wrote @|by whom is @|who is @ by)", "habitat": "where does @ live",
    "lifespan": "how (long does @ live|old does @ get|old can @ get)", "area": "how (big|large) is @",
    "volume": "how (loud|big) is @",
}  # fmt: skip

_THINGS = """
valve gate door window pump boiler engine turbine rocket ship boat truck crane belt tank pipe filter fan drill robot arm
sensor antenna dish mirror lens beam laser magnet coil battery panel screen shelf box crate pallet parcel ticket badge
pass card token coupon voucher contract policy claim case form report invoice ledger account branch office desk seat
table bench tent cabin bridge tunnel tower dam well farm barn field orchard hive nest cage kennel aquarium pond herd
album poster statue painting guitar drum piano costume recipe oven kettle loom wheel anchor sail map compass beacon
bottle bag suitcase bicycle scooter helmet coat jacket shoe shirt ring watch clock lamp candle mirror carpet curtain
pillow blanket towel soap brush broom bucket ladder hammer saw nail screw rope chain knife fork spoon plate bowl cup
pot pan fridge freezer stove toaster kitchen garage cellar attic roof wall fence garden lawn hedge path stair elevator
lift escalator platform runway harbor canal lake river forest mountain cave mine quarry factory plant warehouse store
shop market bakery restaurant hotel school classroom library museum theater cinema stadium gym pool hospital clinic
ward patient nurse doctor lawyer judge court prison police fire alarm siren camera microphone speaker phone tablet
laptop keyboard mouse printer scanner router server disk file folder document letter envelope package shipment cargo
container freight train wagon bus taxi van trailer plane helicopter balloon drone meeting appointment reservation
subscription membership donation payment refund discount budget loan mortgage salary tax fee fine bill receipt order
cart product review article chapter page story poem song playlist album movie episode channel game match tournament
team player coach referee lesson course exam grade homework student teacher employee shift vacation project task
milestone sprint bug feature backup snapshot key lock safe vault certificate license permit visa passport
buoy lighthouse glacier comet planet asteroid probe satellite module cluster node job queue bucket stream dashboard
widget plugin theme survey ballot quest potion dragon castle spell guild shield sword puzzle level badge trophy
""".split()
_PROPERTIES = """
height weight age size speed status price color length depth width capacity temperature pressure owner location
population rating score balance level voltage frequency origin version number position distance duration orbit
nickname mass brightness salary rank address phone diameter title author habitat lifespan area volume
""".split()
_ENTITIES = """
mountain river lake island planet star building bridge ship car train player team animal bird tree flower mineral book
movie song product machine employee student member patient room account project server city castle museum artist ship
volcano whale dinosaur cheese wine company plane router tower guest vendor supplier driver
""".split()
_CONNECTED = {
    "person": "for|to|with|by|named|called|of|and tell",
    "city": "in|for|near|from|at|to",
    "date": "on|for|until|from|before",
    "time": "at|before|by|for",
    "file": "from|to|in|with|into",
    "folder": "in|to|into|from",
    "colour": "in|as|with",
    "language": "in|to|into|for",
    "room": "in the|for the|of the",
    "code": "number|with code|for|with id|named|called|to",
    "url": "from|at|to|for",
    "email": "for|to|of",
    "message": "saying|with the text|with the words|and say|:",
    "topic": "about|on|for|regarding",
    "genre": "of type|for",
    "company": "for|at|from|of",
}
_COUNTED = "with @ #|, @ #|at @ #|, @: #|with # as @|with a @ of #|@=#|and @ #|, @ is #|to @ #"
_NAMED = "with @ #|, @ #|with the @ #|, @ is #|@=#|and use # as @|for @ #|, @: #|using @ #|where @ is #"
_POOL: tuple[tuple[str, str], ...] = (
    ("name", "person"), ("owner", "person"), ("person", "person"), ("customer", "person"), ("city", "city"),
    ("place", "city"), ("location", "city"), ("count", "count"), ("amount", "amount"), ("level", "percent"),
    ("size", "count"), ("color", "colour"), ("topic", "topic"), ("date", "date"), ("day", "date"), ("time", "time"),
    ("text", "message"), ("message", "message"), ("comment", "message"), ("id", "id"), ("code", "code"),
    ("year", "year"), ("page", "count"), ("speed", "percent"), ("mode", "word"), ("target", "code"),
    ("label", "word"), ("price", "amount"), ("file", "file"), ("folder", "folder"), ("language", "language"),
    ("word", "word"), ("width", "measure"), ("height", "measure"), ("minutes", "minutes"), ("url", "url"),
    ("email", "email"), ("room", "room"), ("priority", "enum(low/medium/high)"), ("title", "book"),
    ("type", "genre"), ("company", "company"), ("distance", "measure"), ("weight", "measure"), ("angle", "count"),
    ("temperature", "measure"), ("duration", "minutes"), ("step", "small"), ("number", "id"), ("tag", "word"),
    ("direction", "enum(left/right/up/down)"), ("state", "enum(on/off)"), ("size_class", "enum(small/medium/large)"),
    ("force", "bool(with force/without force)"), ("quiet", "bool(quietly/loudly)"),
)  # fmt: skip


def invention(rng: Random) -> Family:
    return _doing(rng) if rng.random() < 0.62 else _telling(rng)


def _word(rng: Random, known: list[str], share: float) -> str:
    return rng.choice(known) if rng.random() < share else words.made_up(rng)


def _doing(rng: Random) -> Family:
    """`frobnicate_valve(valve, level)`: its description, and the request, use the words of its name."""
    verb, thing = _word(rng, _VERBS, 0.85), some_thing(rng)
    if rng.random() < 0.35:
        verb = rng.choice(sorted(known for known in _ALIKE if " " not in known))
    return doing(rng, verb, thing, rng.choice(_ALIKE[verb]) if verb in _ALIKE and rng.random() < 0.5 else verb)


def some_thing(rng: Random) -> str:
    return _word(rng, _THINGS, 0.8) if rng.random() < 0.6 else copied.some(rng, 1)[0]


def doing(rng: Random, verb: str, thing: str, asked: str) -> Family:
    """A tool that does something with a thing, and is asked for by some verb of that meaning."""
    adjective = f"{rng.choice(words.ADJECTIVES)} " if rng.random() < 0.12 else ""
    parameters: list[Parameter] = []
    heads = [f"{asked} (the|a|my|the|this|our|) {adjective}{thing}"]
    tails: list[str] = []
    if rng.random() < 0.6:
        kind = rng.choice(("code", "person", "made", "id", "code", "city", "word", "song", "identifier"))
        key = rng.choice((thing, thing, "name", "id", f"{thing}_id", f"{thing}_name", "which", "target"))
        parameters.append(Parameter((key,), kind, (f"The {thing}", f"Name of the {thing}", f"Which {thing}", key)))
        heads = [
            f"{asked} (the|) {adjective}{thing} {{0}}",
            f"{asked} (the|a|) {adjective}{thing} (called|named|number|with the name) {{0}}",
            f"{asked} {{0}}, the {thing}",
            f"{asked} the {adjective}{thing} (:|-) {{0}}",
            f"{asked} {{0}}",
        ][: 5 if rng.random() < 0.3 else 2]
    for key, kind in rng.sample(_POOL, rng.choices((0, 1, 2, 3), (15, 42, 32, 11))[0]):
        if parameters and key in ("name", "id", "code", "target", "title", "number"):
            continue  # it would be another name of the same thing
        if key not in (parameter.names[0] for parameter in parameters):
            key = key if rng.random() < 0.85 else words.made_up(rng)
            required = rng.random() < 0.75
            tails.append(_tail(key, kind, len(parameters), required))
            parameters.append(Parameter((key,), kind, (f"The {key}", key, f"{key} of the {thing}"), required))
    ends = ["".join(tails)] if len(tails) < 2 else ["".join(tails), "".join(reversed(tails))]
    asks = [("!", head + end) for head in heads for end in ends]
    if rng.random() < 0.3:
        asks += [("-", f"(the|) {thing} {{0}}{end}: {asked} it") for end in ends if "{0}" in heads[0]]
    described = (
        f"{verb} the {thing}|{verb} a {thing}|{verb}s the {thing}|Use this to {verb} the {thing}|Can {verb} a {thing}|"
        f"{verb} {adjective}{thing}s|Lets you {verb} any {thing}"
    )
    return Family(
        key=f"{verb} {thing}",
        theme="",
        names=tuple(
            text.replace(" ", "_")
            for text in (f"{verb} {thing}", f"{verb} {thing}", f"{thing} {verb}", f"{verb} the {thing}", f"{verb} {thing}s")
        ),
        descriptions=tuple(_with_article(text[:1].upper() + text[1:]) for text in described.split("|")),
        parameters=tuple(parameters),
        asks=tuple(asks),
        results=("ok", "done", "{count}", "{message}", "{state}", "{code}", '{"ok": true}', "{word}"),
        answer="The result: {r}.",
    )


def _with_article(text: str) -> str:
    """
    >>> _with_article("Open a oven")
    'Open an oven'
    """
    return re.sub(r"\ba (?=[aeio])", "an ", text)


def _tail(key: str, kind: str, place: int, required: bool) -> str:
    """How a further value is said: by its name, or by what connects such a value."""
    spoken, slot = key.replace("_", " "), f"{{{place}}}"
    if kind.startswith("bool("):
        said = f" {slot}"
    elif kind in _CONNECTED:
        said = f" ({_CONNECTED[kind]}) {slot}"
    else:
        ways = _COUNTED if kind in INTEGERS else _NAMED
        said = f" ({ways.replace('@', spoken).replace('#', slot)})"
    return said if required else f"[{said}]"


def _telling(rng: Random) -> Family:
    what = _word(rng, _PROPERTIES, 0.75) if rng.random() < 0.85 else copied.some(rng, 1)[0]
    return telling(rng, what, _word(rng, _ENTITIES, 0.75) if rng.random() < 0.7 else some_thing(rng))


def telling(rng: Random, what: str, thing: str) -> Family:
    """`get_height(mountain)`: a property of a thing."""
    kind = rng.choice(("made", "person", "city", "code", "song", "word", "id", "made"))
    key = rng.choice((thing, thing, "name", "id", f"{thing}_name", "query", "which"))
    parameters = [Parameter((key,), kind, (f"The {thing}", f"Name of the {thing}", f"Which {thing}", key))]
    tail = ""
    if rng.random() < 0.5:
        extra, extra_kind = rng.choice(_POOL)
        if extra != key:
            tail = _tail(extra, extra_kind, 1, False)
            parameters.append(Parameter((extra,), extra_kind, (f"The {extra}", extra), False))
    asks = [
        ("=", f"the {what} of (the|) {thing} {{0}}{tail}"),
        ("=", f"the {what} of {{0}}{tail}"),
        ("=", f"{{0}}'s {what}{tail}"),
        ("?", f"(what|which) {what} (has|does) (the|) {thing} {{0}} (have|){tail}"),
        ("-", f"{{0}} {what}{tail}"),
        ("-", f"{what} (of|for) {{0}}{tail}"),
        ("!", f"(look up|find out|check|determine|get) the {what} (of|for) (the {thing}|) {{0}}{tail}"),
    ]
    if what in _ASKED:
        way = _ASKED[what].replace("@", f"(the {thing} {{0}}|{{0}}|{{0}}|{thing} {{0}})")
        asks += [("?", way + tail), ("?", way + tail), ("?", way)]
    return Family(
        key=f"{what} {thing}",
        theme="",
        names=(f"get_{what}", f"{thing}_{what}", f"get_{thing}_{what}", f"lookup_{what}", f"{what}_of", f"{what}_of_{thing}"),
        descriptions=(
            _with_article(f"The {what} of a {thing}"),
            _with_article(f"Returns the {what} of a {thing}"),
            f"Get the {what} of the {thing}",
            f"{thing.capitalize()} {what}",
            f"Looks up the {what} of {thing}s",
        ),
        parameters=tuple(parameters),
        asks=tuple(asks),
        results=("{amount}", "{count}", "{word}", "{person}", "{state}", '{"' + what + '": {count}}', "{city}"),
        answer=f"The {what} of {{0}} is {{r}}.",
    )
