"""All dialects, and the two ways between them and a recipe: read a text, write a run."""

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any

from projects.domain.errors import Invalid
from training.domain.dialects import yaml_text
from training.domain.dialects.axolotl import AXOLOTL
from training.domain.dialects.base import About, Dialect, Written
from training.domain.dialects.llama_factory import LLAMA_FACTORY
from training.domain.dialects.notes import Batch, Kind, Reading
from training.domain.dialects.own import LUTHIER
from training.domain.dialects.rules import Work, told
from training.domain.dialects.trl import TRL
from training.domain.knobs import KNOB, Method
from training.domain.recipe import BadRecipe, Recipe, shown
from training.domain.recipe import defaults as our_defaults

DIALECTS: dict[str, Dialect] = {one.name: one for one in (TRL, AXOLOTL, LLAMA_FACTORY, LUTHIER)}
MOST_GPUS = 1024


class UnknownDialect(Invalid):
    """Nobody knows whose words these are."""

    code = "unknown_dialect"


def dialect(name: str) -> Dialect:
    if name not in DIALECTS:
        raise UnknownDialect(f"“{shown(name)}” is none of {', '.join(DIALECTS)}.", field="dialect")
    return DIALECTS[name]


def detect(given: Mapping[str, Any]) -> Dialect:
    """Whose words these are: the dialect with the most keys that are its own."""
    keys = set(given)
    ranked = sorted(
        DIALECTS.values(), key=lambda one: (len(keys & one.signature), len(keys & set(one.rules))), reverse=True
    )
    if not keys & ranked[0].signature:
        labels = ", ".join(one.label for one in DIALECTS.values())
        raise UnknownDialect(f"None of {labels} writes specs like this one. Say whose it is.", field="dialect")
    return ranked[0]


def read(text: str, *, tool: str = "", gpus: int = 1, without: Collection[str] = ()) -> Reading:
    """What a text says, in knobs. `gpus`: on how many it ran; `without`: keys that somebody decided to leave out."""
    if not 1 <= gpus <= MOST_GPUS:
        raise Invalid(f"It ran on 1 to {MOST_GPUS:,} GPUs.", code="out_of_range", field="gpus")
    given = yaml_text.read(text)
    chosen = dialect(tool) if tool else detect(given)
    reading = Reading(chosen.name, chosen.label)
    work = Work(reading, {key: value for key, value in given.items() if key not in without}, gpus)
    for key in given:
        if key in without:
            work.ignore(key, given[key], "Left out because you decided so.")
    method = chosen.method(work)
    for key, value in work.given.items():
        rule = chosen.rules.get(key)
        if rule is None:
            _refuse_unknown(work, chosen, key, value)
        else:
            rule(work, key, value)
    chosen.check(work)
    _complete(work, chosen, method)
    return reading


def _refuse_unknown(work: Work, chosen: Dialect, key: str, value: Any) -> None:
    close = difflib.get_close_matches(key, list(chosen.rules), 1, 0.6)
    elsewhere = [one.label for one in DIALECTS.values() if key in one.rules]
    hint = f" Did you mean “{close[0]}”?" if close else ""
    if not close and elsewhere:
        hint = f" It is a word of {elsewhere[0]}."
    text = f"{chosen.label} has no setting “{shown(key)}” that is known here.{hint} Correct it, or leave it out."
    work.refuse(shown(key), value, text, "unknown_key")


def _complete(work: Work, chosen: Dialect, method: str) -> None:
    """What the text does not say is what its tool would do; then the whole is checked as every recipe is."""
    reading = work.reading
    found = reading.recipe
    found["method"] = method
    wanted = our_defaults(method) | chosen.defaults(method, work.given)
    for name, value in wanted.items():
        if name in found or Method(method) not in KNOB[name].methods:
            continue
        found[name] = value
        if chosen.name != LUTHIER.name and value != our_defaults(method)[name] and not _was_refused(reading, name):
            work.note(Kind.TRANSLATED, "", value, f"{KNOB[name].label}: {told(value)}, which is what {chosen.label} "
                      "takes when a file does not say it.", knob=name)  # fmt: skip
    if work.gpus > 1:
        steps = found["accumulation"] * work.gpus
        work.translate(
            "accumulation", "", steps, f"{work.gpus} GPUs at once are {steps} accumulated batches on one here."
        )
    _refuse_foreign(work, method)
    try:
        Recipe.read(found)
    except BadRecipe as bad:
        work.refuse(bad.field or "recipe", None, bad.message, bad.code, leave_out=False)


def _refuse_foreign(work: Work, method: str) -> None:
    """Settings of the other method: fine while they change nothing."""
    found = work.reading.recipe
    for name in [name for name in found if Method(method) not in KNOB[name].methods]:
        value, said = found.pop(name), [note.key for note in work.reading.notes if note.knob == name]
        if said and value != KNOB[name].default:
            work.reading.notes = [note for note in work.reading.notes if note.knob != name]
            text = f"{KNOB[name].label} has no place in {method.upper()}. Leave this line out."
            work.refuse(said[0], value, text, "other_method_only", leave_out=said[0] in work.given)


def _was_refused(reading: Reading, knob: str) -> bool:
    return any(note.knob == knob for note in reading.refused)


def write(tool: str, recipe: Recipe, about: About) -> Written:
    """A run in the words of a tool, with what a person has to know on top."""
    chosen = dialect(tool)
    batch = Batch(recipe.batch_size, recipe.accumulation)
    lost = chosen.lost(recipe, about)
    file_name = f"{_slug(about.name)}.{chosen.name.replace('_', '-')}.yaml"
    command = chosen.command(recipe, file_name)
    comments = [
        f"{_line(about.name)}: {recipe.method.upper()} of {_line(about.base)} on {_line(about.data)}",
        f"Start: {command}",
        f"Rows a step: {batch.sentence}. On more GPUs divide the accumulation by their number.",
        *([f"Base fingerprint: {about.fingerprint}"] if about.fingerprint else []),
        *([f"Data: {about.rows} rows, content hash {about.content_hash}"] if about.content_hash else []),
        *(_line(remark) for remark in chosen.remarks(recipe, about)),
        *(
            f"Not carried over ({KNOB[one.knob].label if one.knob in KNOB else one.knob}): {_line(one.text)}"
            for one in lost
        ),
    ]
    text = yaml_text.write(chosen.write(recipe, about), comments)
    return Written(chosen.name, chosen.label, file_name, text, batch, lost, command)


def _line(text: str) -> str:
    """On one line, so that a name cannot end the comment it stands in."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _slug(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return plain[:60] or "run"
