"""English sentences without end, written for this recipe: varied sounds, no book behind them."""

from __future__ import annotations

import random

__all__ = ["sentence"]

_PEOPLE = (
    "the harbour master", "my youngest cousin", "a tired juggler", "our neighbour Thelma",
    "the village baker", "an honest lawyer", "Victor and his uncle", "the ferry captain",
    "a shy zoologist", "the night nurse", "their piano teacher", "every junior clerk",
    "the woman in yellow", "a cheerful plumber", "Judge Whitaker", "the oldest fisherman",
    "a visiting engineer", "the school choir", "young Bartholomew", "the queen's gardener",
    "two weary travellers", "the museum guide", "a boy with freckles", "the hungry shepherd",
)  # fmt: skip
_DEEDS = (
    "counted", "carried", "measured", "painted", "borrowed", "examined", "repaired", "hid",
    "polished", "weighed", "described", "photographed", "bought", "washed", "wrapped",
    "forgot", "dropped", "admired", "sketched", "delivered", "returned", "sharpened",
    "shook", "judged", "praised", "unlocked", "followed", "gathered",
)  # fmt: skip
_THINGS = (
    "silver boats", "a basket of plums", "the broken clock", "thirty wooden chairs",
    "a jar of honey", "the orange umbrella", "fifty paper lanterns", "the cathedral bells",
    "a very small violin", "three loaves of rye bread", "the blue bicycle", "an old oak table",
    "a bunch of tulips", "the emergency ladder", "some fresh oysters", "a map of the valley",
    "the heavy leather trunk", "a cheap pair of gloves", "the judge's hammer", "a yellow kite",
    "the longest rope", "two pounds of sugar", "a thick green blanket", "the missing zipper",
    "a church window", "the weather report", "half a dozen eggs", "the children's shoes",
)  # fmt: skip
_PLACES = (
    "behind the station", "on the northern shore", "in the empty theatre", "under the bridge",
    "near the fish market", "at the edge of the forest", "outside the courthouse",
    "in a draughty kitchen", "between two hills", "along the canal", "beside the vineyard",
    "in the second carriage", "above the chemist's shop", "across the frozen lake",
    "inside the lighthouse", "at the foot of the stairs", "on the roof of the garage",
)  # fmt: skip
_TIMES = (
    "before breakfast", "on Thursday evening", "just after midnight", "in early January",
    "while it was raining", "as the sun went down", "without any hurry", "for the whole summer",
    "twice a week", "when nobody was watching", "during the long strike", "at a quarter past nine",
    "until the music stopped", "with great pleasure", "in spite of the noise", "for a joke",
)  # fmt: skip
_TURNS = (
    "and then", "but", "although", "because", "so", "while", "even though", "until", "yet",
)  # fmt: skip
_ENDINGS = (
    "nobody asked why", "the weather was changing fast", "everything smelled of smoke",
    "we had no choice", "it made the dog bark", "the road was closed", "she laughed out loud",
    "the price had gone up again", "there was enough for all of us", "he never said thank you",
    "the whole street could hear it", "you would have done the same", "the engine would not start",
    "they owed us eighteen pounds", "this was the usual arrangement", "the cheese was already gone",
    "I could not believe my ears", "our visitors arrived too early", "the light was rather poor",
)  # fmt: skip
_QUESTIONS = (
    "Who told you that", "Did you know that", "Is it true that", "How often do you think",
    "Why on earth do people say that", "Can you imagine that", "Would you mind if",
)  # fmt: skip


def sentence(random_: random.Random) -> str:
    """Return a sentence of 12 to 25 words, which most voices speak in four to eight seconds."""
    pick = random_.choice
    clause = f"{pick(_PEOPLE)} {pick(_DEEDS)} {pick(_THINGS)} {pick(_PLACES)}"
    form = random_.randrange(4)
    if form == 0:
        text = f"{clause} {pick(_TIMES)}, {pick(_TURNS)} {pick(_ENDINGS)}."
    elif form == 1:
        text = f"{pick(_TIMES)}, {clause}, {pick(_TURNS)} {pick(_ENDINGS)}."
    elif form == 2:
        text = f"{pick(_QUESTIONS)} {clause} {pick(_TIMES)}? {pick(_ENDINGS)}."
    else:
        number = random_.randrange(13, 990)
        text = f"Number {number}: {clause}. {pick(_ENDINGS)}, {pick(_TURNS)} {pick(_ENDINGS)}."
    return text[0].upper() + text[1:]
