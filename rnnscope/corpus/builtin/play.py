"""The built-in text `play`: scenes with speakers, quoted speech, asides in parentheses and wrapped lines.

A text is drawn in three steps, and no other choice is made anywhere:
1. a scene: its place (PLACES), a cast of three to five NAMES, the number of speeches; each speech is given to one of
   the cast who did not speak last, all equally likely;
2. a speech: the symbol `speech` expanded by RULES;
3. its layout, without chance: `^` makes the next letter a capital, "a" becomes "an" before a vowel, and the lines are
   filled up to WIDTH characters.
So the text says at every position whether one is inside quotes or parentheses (both always closed, never nested in
themselves), which speaker has the word, and how far the line has run. Who is quoted speaks as people did of old
("thou shalt ..."): to write on inside quotes, a model has to know all along that it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rnnscope.corpus.builtin.grammar import Draws, Grammar, Rules, words

SEED = 1598
WIDTH = 64  # characters of a line
CAST = (3, 5)  # smallest and largest
SPEECHES = (8, 24)  # of a scene

NAMES = (
    "ALDA", "BRAM", "CORIN", "DELIA", "EDWIN", "FENNA", "GARETH", "HESTER", "IVO", "JORIS", "KATRIN", "LEWIN",
    "MARTA", "NILS", "ORLA", "PETRA", "QUINN", "ROLAND", "SELMA", "TOBIAS", "URSULA", "VERA", "WILLEM", "YSOLDE",
)  # fmt: skip
PLACES = (
    "A hall in the castle", "A garden behind the mill", "The harbour at night", "A road through the forest",
    "A kitchen", "Before the gates of the city", "A tower by the sea", "The market", "A field after the rain",
    "A ship at anchor", "The river bank", "A small room under the roof", "The bridge", "An inn",
)  # fmt: skip

RULES: Rules = {
    "speech": {
        "<sentence>": 3,
        "<sentence> <sentence>": 4,
        "<sentence> <sentence> <sentence>": 3,
        "(<manner>) <sentence>": 1,
        "(<manner>) <sentence> <sentence>": 1,
        "<sentence> <quotation> <sentence>": 3,
        "<quotation>": 3,
        "<sentence> (<manner>) <sentence>": 1,
    },
    "manner": {"aside": 5, "to <name>": 4, "reading": 1, "softly": 2, "<adverb>": 2, "<motion>": 2},
    "motion": {"rising": 2, "turning away": 2, "at the window": 1, "opening the <thing>": 1, "to the <person>": 2},
    "quotation": {
        '^the <person> told me, "^<old>."': 3,
        '^<name> said to the <person>, "^<old>, and <old>."': 2,
        '^then <pronoun> <cried>, "^<plea>! ^<old>."': 2,
        '"^<old>. ^<old>." ^so said the <person>.': 1,
        '^you have read the letter: "^<plea>! ^<old>, for <old>."': 1,
        '"^<asking>?" asked the <person>.': 2,
    },
    "old": {
        "thou <shalt> <do> <thine>": 3,
        "thou <shalt> <do> <thine> <ere>": 2,
        "thou <hast> <done> <thine>": 2,
        "ye <hath> <done> <thine>": 1,
        "<thine> is <quality> unto <thee>": 2,
        "verily, thou art <quality>": 1,
    },
    "plea": {"O <praise> <person>, hear <thee>": 2, "hark thou, <praise> <person>": 2, "fie upon <thine>": 1},
    "asking": {
        "dost thou <do> <thine>": 2,
        "wherefore hast thou <done> <thine>": 2,
        "whither goeth thy <kin>": 1,
        "art thou <quality> <ere>": 1,
    },
    "thine": {"thy <thing>": 4, "thy <quality> <thing>": 2, "thy <kin>": 2, "thy <thing> and thy <thing>": 1},
    "thee": words("thee thee thy_heart thine_eyes"),
    "shalt": words("shalt wilt canst mayst shouldst wouldst"),
    "hast": words("hast hadst"),
    "hath": words("have had"),
    "ere": words("ere_dawn ere_night anon hence evermore betimes"),
    "sentence": {
        "^<clause>.": 6,
        "^<clause>, and <clause>.": 2,
        "^<clause>, but <clause>.": 2,
        "^if <fact>, <clause>.": 1,
        "^when <fact>, <clause>.": 1,
        "^<clause> (<remark>), and <clause>.": 1,
        "^the <person> (<remark>) <did> the <thing>.": 1,
        "^<question>?": 3,
        "^<order>!": 1,
        "^<order>, <praise> <name>.": 1,
        "^<exclamation>, <clause>!": 1,
    },
    "clause": {
        "<fact>": 18,
        "I <can> <do> <object>": 3,
        "you <can> <do> <object> <when>": 1,
        "we <can> <do> <object>": 1,
        "no <person> <can> <do> <object>": 1,
    },
    "fact": {
        "<subject> <did> <object>": 5,
        "<subject> <did> <object> <where>": 3,
        "<subject> <went> <where>": 3,
        "<subject> <went> <adverb>": 1,
        "the <thing> <is> <quality>": 2,
        "the <thing> <is> <quality> <when>": 1,
        "<pronoun> <did> <object> <adverb>": 2,
        "there <was> <something> <where>": 2,
    },
    "question": {
        "who <did> <object>": 2,
        "where is <object>": 2,
        "have you <done> <object>": 2,
        "will the <person> <do> <object>": 1,
        "what <was> <where>": 1,
        "why should I <do> <object>": 1,
    },
    "order": {"<do> <object>": 3, "<do> <object> <when>": 1, "go <where>": 1, "speak <adverb>": 1, "come <where>": 1},
    "remark": {
        "I <can> <do> it": 1,
        "so they say": 2,
        "he was not alone": 1,
        "and who is not": 1,
        "for the <thing> <is> <quality>": 2,
        "as you know": 2,
        "the <praise> <person>": 1,
    },
    "exclamation": words("no yes alas listen look my_friend by_heaven good_night peace"),
    "subject": {"the <person>": 5, "the <quality> <person>": 2, "<pronoun>": 4, "<name>": 2, "my <kin>": 2},
    "object": {
        "the <thing>": 5,
        "the <quality> <thing>": 3,
        "a <quality> <thing>": 2,
        "my <thing>": 2,
        "your <kin>": 1,
        "the <person>": 1,
        "the <thing> of the <person>": 1,
    },
    "something": {"a <thing>": 2, "a <quality> <thing>": 2, "no <thing>": 1, "a <person>": 1},
    "where": {
        "<near> the <place>": 4,
        "<near> the <quality> <place>": 1,
        "<near> the <place> of the <person>": 1,
        "<near> my <place>": 1,
    },
    "pronoun": {"he": 3, "she": 3, "they": 1},
    "was": {"was": 3, "is": 2, "will be": 1},
    "is": {"was": 3, "is": 3, "will be": 1, "seems": 1},
    "can": words("will would can must shall could cannot may should"),
    "near": words("in by at under behind before beside near through over above"),
    "when": words("today tonight again now tomorrow once_more before_dawn at_last in_spring for_ever too_late"),
    "adverb": words("slowly alone quickly gladly in_silence well softly bravely sadly secretly at_once wisely early"),
    "praise": words("good dear gentle noble sweet brave honest kind"),
    "kin": words("father mother brother sister son daughter friend master wife husband child cousin"),
    "name": words(" ".join(name.capitalize() for name in NAMES)),
    "person": words(
        "king queen miller captain doctor soldier stranger prince widow sailor shepherd judge priest merchant thief "
        "servant painter fool teacher hunter baker singer guard messenger tailor old_man gardener smith nurse poet "
        "fisherman clerk witch traveller duke ferryman boy girl"
    ),
    "place": words(
        "river house garden gate tower sea hall road mill bridge forest window church market city harbour fire hill "
        "door kitchen stair wall field village well inn orchard cellar island throne roof mountain valley shore"
    ),
    "thing": words(
        "crown letter ring sword book lamp ship horse key moon song bread night candle wine stone storm gold star "
        "cloak dream name secret table word boat bell rose wind picture mirror knife tree apple bird silver promise "
        "shadow map snow basket hat rope music drum thread debt glove hammer feather coin cup chair box clock prayer "
        "owl answer oath egg arrow"
    ),
    "quality": words(
        "old dark cold little white great long broken golden empty strange lost heavy red quiet young bright deep "
        "bitter green warm wild hidden black silent poor proud tall soft sharp narrow frozen blue gentle hollow "
        "foreign wooden grey ancient early simple plain ugly open honest"
    ),
    "did": words(
        "found saw took gave_away lost heard broke carried loved sold kept feared hid knew burned followed praised "
        "bought stole called forgot painted opened blessed wanted watched hated touched brought mended raised closed "
        "remembered left cursed counted"
    ),
    "do": words(
        "find see take keep hear hide carry love sell lose break bring follow know burn praise buy steal open forget "
        "paint bless leave watch hate touch mend raise close remember fear curse count call"
    ),
    "done": words("found seen taken kept heard hidden carried lost broken brought sold known forgotten opened burned"),
    "went": words(
        "went walked stood slept ran waited sat came sang wept lay fell danced worked returned knelt rode hid lived "
        "laughed wandered died"
    ),
    "cried": words("cried answered said whispered called laughed"),
}

_GRAMMAR = Grammar(RULES)


def pieces() -> Iterator[str]:
    """Yield scenes for ever, the same on every machine."""
    draws = Draws(SEED)
    number = 0
    while True:
        number += 1
        yield _scene(number, draws)


def _scene(number: int, draws: Draws) -> str:
    place = PLACES[draws.below(len(PLACES))]
    cast = _cast(_between(*CAST, draws), draws)
    enter = ", ".join(cast[:-1]) + " and " + cast[-1]
    parts = [f"SCENE {number}. {place}.\n\n({enter} enter.)\n"]
    speaker = ""
    for _ in range(_between(*SPEECHES, draws)):
        others = [name for name in cast if name != speaker]
        speaker = others[draws.below(len(others))]
        parts.append(f"{speaker}:\n{_filled(_capitals(_GRAMMAR.sample('speech', draws)))}\n")
    return "\n".join(parts) + "\n"


def _cast(size: int, draws: Draws) -> list[str]:
    left = list(NAMES)
    return [left.pop(draws.below(len(left))) for _ in range(size)]


def _between(smallest: int, largest: int, draws: Draws) -> int:
    return smallest + draws.below(largest - smallest + 1)


def _capitals(text: str) -> str:
    head, *tails = text.split("^")
    text = head + "".join([tail[:1].upper() + tail[1:] for tail in tails])
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def _filled(text: str) -> str:
    """Return `text` with spaces turned into line ends so that no line is longer than WIDTH."""
    lines = []
    start = 0
    while len(text) - start > WIDTH:
        end = text.rindex(" ", start, start + WIDTH + 1)
        lines.append(text[start:end])
        start = end + 1
    return "\n".join([*lines, text[start:]])
