"""Other names for a parameter, so that its name can only be read off the offer."""

from __future__ import annotations

from random import Random

from llama_nb.demo.families import Family, Parameter
from llama_nb.demo.values import DECIMALS, INTEGERS

_NUMBERS = (*INTEGERS, *DECIMALS)
# By the kind of value, where no other parameter of the tool has such a one.
_BY_KIND = {
    kind: names.split()
    for kinds, names in (
        ("city", "town place destination location municipality where area spot locality region site place_name target_city "
                 "settlement venue city city_name at_place whereabouts locale point"),
        ("person", "person who name recipient contact full_name customer user client human individual friend whom member "
                   "party someone employee to_whom"),
        ("date", "date day when on_day due deadline at_date calendar_day on which_day day_of scheduled_for start_day"),
        ("time", "time at clock hour when moment start_time o_clock at_time due_at time_of_day instant schedule"),
        ("message note subjectline",
         "text message body content words sentence statement note payload wording remark input line letter string prose"),
        ("task item event", "task item entry thing what job subject title todo label element object matter description"),
        ("topic query", "query topic subject keyword term about theme phrase what search_for q question matter keywords input"),
        ("file", "file path filename document source_file input_path attachment file_name target_file doc which_file src item"),
        ("folder", "folder directory dir path location container place root folder_name where base_path target_dir"),
        ("url", "url link address page website uri site web_page href endpoint source location"),
        ("email", "email address mail recipient to email_address mailbox contact receiver inbox"),
        ("word made", "word term expression vocable token lemma text entry string phrase input which_word item"),
        ("code id", "id code number identifier ref reference key label tag serial handle which name designation"),
        ("song book film game", "title name work piece item track which entry called label media content"),
        ("room device zone", "room place area target device zone thing space name which location unit spot appliance"),
        ("product company ticker", "name product company item symbol brand entity which article firm business subject target"),
        ("colour", "color colour shade hue tint tone paint which_color"),
        ("language", "language lang tongue to_language target_language into locale"),
        ("expression", "expression formula sum calculation equation term input math exp to_solve calc problem"),
        ("identifier username branch", "name identifier key label handle symbol variable id column field which target"),
        ("dish ingredient food", "food dish meal name item what ingredient product eaten"),
        ("#", "amount value number count quantity n size how_many figure total num level magnitude input x"),
    )
    for kind in kinds.split()
}  # fmt: skip
# By the name, whatever else the tool takes.
_ALIKE: dict[str, list[str]] = {
    name: group.split()
    for group in (
        "from source origin src start_from old departure from_where starting_at initial first_one",
        "to target destination dest goal until_where final arrival towards end_at",
        "old_name current_name source_name from_name previous_name name_before old original_name",
        "new_name to_name target_name next_name name_after renamed_to new final_name",
        "start begin from_date start_date first_day beginning starting since",
        "end until to_date end_date last_day finish ending till",
        "amount quantity sum how_much total_amount value_of",
        "count how_many number_of times quantity_of",
        "minutes duration mins length_in_minutes time_span for_minutes",
        "percent percentage pct level_percent share",
        "unit units measure_unit scale uom in_unit",
        "width w breadth wideness|height h tallness|length l extent|weight kg mass heaviness|price cost max_price amount_due",
        "mode kind type variant sort_of option style",
        "priority urgency importance rank_of prio",
        "state on_off status setting switch_to",
    )
    for part in group.split("|")
    for name in part.split()
    for group in (part,)
}
_AFFIXED = (
    "{}_name {}_value {}_text {}_input {}_param {}_arg {}_field {}_info the_{} target_{} my_{} given_{} chosen_{} wanted_{} "
    "which_{} requested_{} selected_{} {}_to_use {}_1 this_{} actual_{} user_{} in_{} {}_spec"
).split()


def name(rng: Random, family: Family, parameter: Parameter) -> str:
    kind = rng.random()
    if kind < 0.25:
        return parameter.names[0] if rng.random() < 0.4 else rng.choice(parameter.names)
    group = _group(family, parameter)
    one = rng.choice(group) if kind < 0.85 and group else rng.choice(parameter.names)
    return rng.choice(_AFFIXED).format(one) if rng.random() < 0.18 else one


def _group(family: Family, parameter: Parameter) -> list[str]:
    alike = [other for known in parameter.names[:3] for other in _ALIKE.get(known, ())]
    if len([one for one in family.parameters if _sort(one.kind) == _sort(parameter.kind)]) == 1:
        return alike + _BY_KIND.get(_sort(parameter.kind), [])
    return alike


def _sort(kind: str) -> str:
    return "#" if kind in _NUMBERS and kind != "id" else kind
