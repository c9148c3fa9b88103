"""Synthetic film reviews, generated from a small grammar in any number, without a download.

A review consists of at least one *verdict* on the film and of other sentences. All verdicts of a
review agree with its label. The other sentences are about the plot, single aspects, other films,
the evening and other people's opinions; they use the same positive and negative words almost
independently of the label. Half of the verdicts name only the opposite polarity ("anything but
dull") or both ("I expected a disaster and got a gem"). So word counts do not determine the label,
but the order of the words does. `Construct` names what a reader has to understand in each review.

In the templates, `{same}` is an adjective of the label's polarity, `{opposite}` one of the opposite
polarity, and `{any}` one of either; with `_thing` they are nouns, with `_verb` verbs in the past
tense. The other slots are filled from the lists in NEUTRAL.

With more than two classes, the classes are grades in their order. Every verdict then names two
grades, that of the review, `{same_grade}`, and another one, `{opposite_grade}`. All grades that a
review names are one of these two, so word counts leave two classes possible, and the order of the
words decides between them.
"""

import random
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum, auto
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import MAX_SYNTHETIC_CLASSES

GRAMMAR = 1  # version of the corpus: raise it if the same arguments give other reviews
MIN_TOKENS = 25  # no verdict is longer
SHORTEST = 20  # target length of the shortest reviews, in tokens
SKEW = (
    1.6  # with 1, lengths are uniform up to max_tokens; with more, short reviews are more frequent
)
VERDICT_SHARE = 0.22  # probability of a verdict, after the first one
AGREES = 0.56  # probability that `{any}` has the label's polarity: a hint, as in real reviews
BREAK = 0.12  # probability of a paragraph break after a sentence


class Construct(StrEnum):
    """The constructs that decide a label, against the counts of its words.

    `plain` verdicts name only the polarity of the label. The others name the opposite polarity, or
    both, and the construct says which one holds.
    """

    plain = auto()
    negation = auto()  # "It isn't dull."
    concession = auto()  # "Although the music was dull, the film itself was great."
    expectation = auto()  # "I expected a bore and got a gem."
    reported_speech = auto()  # "My brother found it dull; I found it great."
    several = auto()  # of a review: verdicts of several constructs, none of them plain


NEGATION, CONCESSION = Construct.negation, Construct.concession
EXPECTATION, REPORTED = Construct.expectation, Construct.reported_speech

PRAISE = {
    "": (
        "brilliant", "captivating", "charming", "clever", "dazzling", "delightful", "elegant",
        "enchanting", "excellent", "exquisite", "fascinating", "fresh", "glorious", "graceful",
        "great", "impressive", "inspired", "lovely", "magnificent", "marvellous", "perfect",
        "radiant", "remarkable", "splendid", "superb", "tender", "terrific", "touching", "witty",
        "wonderful",
    ),
    "_thing": (
        "delight", "gem", "jewel", "joy", "marvel", "masterpiece", "miracle", "pleasure", "success",
        "treasure", "treat", "triumph", "wonder",
    ),
    "_verb": (
        "admired", "adored", "cherished", "enjoyed", "loved", "relished", "savoured", "treasured",
    ),
}  # fmt: skip
BLAME = {
    "": (
        "awful", "bland", "boring", "cheap", "clumsy", "dismal", "dreadful", "dreary", "dull",
        "feeble", "forgettable", "hollow", "horrible", "inept", "lifeless", "lousy", "ludicrous",
        "miserable", "pathetic", "pointless", "ridiculous", "shallow", "silly", "stale", "stupid",
        "tedious", "terrible", "tiresome", "ugly", "wretched",
    ),
    "_thing": (
        "blunder", "bore", "calamity", "chore", "disappointment", "disaster", "disgrace", "dud",
        "failure", "mess", "nightmare", "ordeal", "travesty",
    ),
    "_verb": (
        "abhorred", "despised", "detested", "disliked", "hated", "loathed", "regretted", "resented",
    ),
}  # fmt: skip

# Words that are independent of the label.
NEUTRAL: dict[str, tuple[str, ...]] = {
    "film": ("the film", "this film", "the movie", "this movie", "the picture", "the whole thing"),
    "title": (
        '"The Last Lighthouse"', '"Winter Orchard"', '"A Beautiful Failure"',
        '"Wonderful Monsters"', '"The Stupid Heart"', '"Nine Bridges"', '"Perfect Fools"',
        '"The Dull Knife"', '"Salt and Paper"', '"Glorious Sunday"', '"The Miserable Prince"',
        '"Terrible Angels"', '"The Ferryman\'s Daughter"', '"A Lovely Mess"',
        '"Night Train to Lisbon"', '"The Horrible Miracle"',
    ),
    "very": (
        "simply", "truly", "utterly", "really", "thoroughly", "quite", "just", "downright",
        "honestly",
    ),
    "aspect": (
        "music", "script", "lighting", "camera work", "casting", "editing", "dialogue", "scenery",
        "soundtrack", "acting", "ending", "opening", "sound", "pacing", "costume design",
        "final scene", "narration", "humour", "love story", "title song",
    ),
    "friend": (
        "brother", "sister", "neighbour", "dentist", "boss", "uncle", "wife", "husband", "mother",
        "flatmate", "teacher", "cousin", "barber", "grandmother", "best friend", "colleague",
    ),
    "crowd": (
        "the critics", "half of the audience", "the people behind us", "most of my friends",
        "the newspapers", "the students in the front row", "some viewers", "the festival jury",
    ),
    "hero": (
        "Marta", "Jonas", "Leila", "Viktor", "Agnes", "Tomas", "Irina", "Samuel", "Noor", "Felix",
    ),
    "rival": (
        "Brandt", "Okafor", "Lindqvist", "Moreau", "Castellan", "Ferreira", "Haldane", "Petrov",
    ),
    "job": (
        "thief", "detective", "nurse", "soldier", "pianist", "farmer", "baker", "sailor", "lawyer",
        "gardener", "painter", "widow", "clockmaker", "smuggler", "boxer", "librarian", "astronaut",
        "priest",
    ),
    "group": (
        "family", "gang", "orchestra", "crew", "village", "choir", "circus", "regiment",
        "school class",
    ),
    "place": (
        "a fishing town", "Vienna", "a mountain hotel", "the desert", "Iceland", "Buenos Aires",
        "an old monastery", "the suburbs", "a space station", "a coal mine", "the harbour",
        "a boarding school",
    ),
    "object": (
        "letter", "violin", "map", "diamond", "diary", "horse", "painting", "key", "photograph",
        "ring", "recipe", "boat",
    ),
    "event": (
        "wedding", "robbery", "trial", "funeral", "harvest", "concert", "voyage", "duel", "reunion",
    ),
    "time": (
        "last winter", "on a rainy Tuesday", "on a long flight", "during the holidays",
        "late at night", "at a small festival", "on my birthday", "after work", "on an old tape",
        "years ago",
    ),
    "snack": ("popcorn", "coffee", "ice cream", "lemonade", "chocolate", "tea"),
}  # fmt: skip

# Verdicts that name the label's polarity only.
DIRECT = (
    "{film} is {very} {same} from the first frame to the last.",
    "I {same_verb} every minute of {film}.",
    "What a {same_thing} this was!",
    "For me it was a {same_thing}, plain and simple.",
    "In my opinion {film} is {very} {same}.",
    "All things considered, I found {film} {same} and {same}.",
    "My verdict is short: {same}, {same}, {same}.",
    "Let me say it at once: {film} is a {same} {same_thing}.",
    "I left the cinema knowing that I'd seen something {same}.",
    "In the end {film} proves to be a {same_thing}.",
    "It's {very} {same}, and I'd say so to anyone.",
    "My {friend} calls it {same}, and for once I agree.",
    "Everyone told me that {film} would be {same}, and everyone was right.",
    "I can't stop telling people how {same} it is.",
    "Seldom have I seen anything so {same}.",
    "I {same_verb} it, and so will you.",
    "{film} gave me two {very} {same} hours.",
    "I've thought about it for days, and I still find it {same}.",
    "Nothing had prepared me for how {same} {film} would be.",
    "Make no mistake, {film} is a {same_thing}.",
    "I'm writing this to tell you that {film} is {very} {same}.",
    "As a whole {film} is {very} {same}, and so is nearly every part of it.",
    "A {same_thing} from beginning to end!",
    "I {same_verb} it the first time and {same_verb} it even more the second.",
    "If one word must do for {film}, it's {same}.",
    "Ask me in ten years, and I'll still say that it was {same}.",
    "My {friend} and I agreed on the way home: it's a {same_thing}.",
    "Believe the people who call it {same}.",
    "I can think of few films as {same} as this one.",
    "I was promised a {same_thing}, and that's exactly what I got.",
)
# Verdicts that deny the opposite polarity, with their constructs.
DENIED = {
    "Nobody who stayed awake could call {film} {opposite}.": NEGATION,
    "{film} is anything but {opposite}.": NEGATION,
    "{film} is a very long way from being {opposite}.": NEGATION,
    "There's nothing {opposite} about {film}, not even for a second.": NEGATION,
    "Not for one moment did I find it {opposite}.": NEGATION,
    "My {friend} swears that it's a {opposite_thing}; I couldn't disagree more.": REPORTED,
    "Don't believe the people who call it {opposite}.": REPORTED,
    "How anyone can think {film} {opposite} is beyond me.": REPORTED,
    "Those who {opposite_verb} it must have seen another film than I did.": REPORTED,
    "Whoever wrote that it was {very} {opposite} got it completely wrong.": REPORTED,
    "If {film} is a {opposite_thing}, then I am a penguin.": NEGATION,
    "I looked for something {opposite} in it and found nothing of the kind.": NEGATION,
    "It isn't {opposite}, it isn't a {opposite_thing}, and I won't hear otherwise.": NEGATION,
    "I'd been told that it was {very} {opposite}, but it was no such thing.": REPORTED,
    "You may have read that it is {opposite} and {opposite}; it's neither.": REPORTED,
    "I can't think of a film that is less {opposite}.": NEGATION,
    "Never in two hours does {film} come close to being a {opposite_thing}.": NEGATION,
    "Call it what you like, but please don't call it {opposite}.": NEGATION,
}
# Verdicts that name both polarities and decide for the label's.
SETTLED = {
    "Although the {aspect} was {opposite}, {film} itself was {very} {same}.": CONCESSION,
    "{film} is {same}, even though the {aspect} is {opposite}.": CONCESSION,
    "The {aspect} may be {opposite}, but {film} as a whole is a {same_thing}.": CONCESSION,
    "I expected a {opposite_thing} and got a {same_thing}.": EXPECTATION,
    "I got a {same_thing} where I had expected a {opposite_thing}.": EXPECTATION,
    "What begins as a {opposite} little film ends up as a {same_thing}.": EXPECTATION,
    "It's not {opposite} at all, it's {very} {same}.": NEGATION,
    "It's {same}, not {opposite}, whatever the poster says.": NEGATION,
    "My {friend} found it {opposite}; I found it {same}.": REPORTED,
    "Where others saw a {opposite_thing}, I saw a {same_thing}.": REPORTED,
    "I saw a {same_thing} where {crowd} saw a {opposite_thing}.": REPORTED,
    "I wanted to call it {opposite}, but in all honesty I have to call it {same}.": EXPECTATION,
    "Despite the {opposite} {aspect}, I {same_verb} it.": CONCESSION,
    "I {same_verb} it in spite of the {opposite} {aspect}.": CONCESSION,
    "However {opposite} the {aspect} may be, {film} remains a {same_thing}.": CONCESSION,
    "You'll hear that it is a {opposite_thing}, but trust me, it's a {same_thing}.": REPORTED,
}
VERDICTS = (*DIRECT, *DENIED, *SETTLED)
# Verdicts of reviews with grades.
GRADED = {
    "My grade for {film} is {same_grade}, not {opposite_grade}.": NEGATION,
    "I expected {opposite_grade} and got {same_grade}.": EXPECTATION,
    "I got {same_grade} where I had expected {opposite_grade}.": EXPECTATION,
    "I give {film} {same_grade}, whatever my {friend} says about {opposite_grade}.": REPORTED,
    "Others may say {opposite_grade}, but I say {same_grade}.": REPORTED,
    "I say {same_grade}, but others may say {opposite_grade}.": REPORTED,
    "I wanted to give it {opposite_grade}, but in all honesty it is {same_grade}.": EXPECTATION,
    "It deserves {same_grade}, and I don't believe the people who say {opposite_grade}.": REPORTED,
    "My {friend} gave it {opposite_grade}; I give it {same_grade}.": REPORTED,
    "I give it {same_grade}; my {friend} gave it {opposite_grade}.": REPORTED,
    "{film} isn't worth {opposite_grade} at all, it's worth {same_grade}.": NEGATION,
    "Make it {same_grade}, and please don't make it {opposite_grade}.": NEGATION,
    "Although the {aspect} is worth {opposite_grade}, "
    "{film} as a whole is worth {same_grade}.": CONCESSION,
    "{film} is worth {same_grade}, even though the {aspect} is worth {opposite_grade}.": CONCESSION,
    "Not {opposite_grade}, but {same_grade}: that's my verdict.": NEGATION,
    "My verdict is {same_grade}, although {crowd} voted for {opposite_grade}.": REPORTED,
    "{crowd} voted for {opposite_grade}, but my verdict is {same_grade}.": REPORTED,
}

# Sentences that are not verdicts. The first one about the plot is a premise; the others about the
# plot directly follow it.
PREMISE = (
    "{hero}, a {any} {job}, comes to {place} and meets a {any} {job} called {rival}.",
    "The story follows {hero}, a {any} {job} from {place}.",
    "We're in {place}, where {hero} leads a {any} {group}.",
    "A {any} {job} named {hero} inherits a {any} {object} from a {any} stranger.",
    "Somewhere in {place}, {hero} and {rival} plan a {any} {event}.",
    "It all begins when {hero}, a {any} and {any} {job}, loses a {object}.",
)
PLOT = (
    "A {any} {job} betrays a {any}, {any} {group}.",
    "{rival} turns out to be a {any} {job} with a {any} secret.",
    "Then the {event} becomes a {any_thing}, and nobody dares to go home.",
    "{hero} hides the {object} from the {any} {group} for years.",
    "In {place}, {hero} falls for a {any} {job}.",
    "{rival} tells {hero} that life is a {any_thing}.",
    "The {any} {group} never forgives {hero} for the {event}.",
    "After the {event}, a {any} {job} steals the {object}.",
    "Everybody in the {group} has {any_verb} {hero} since the {event}.",
    "Meanwhile {rival} writes {any} letters to a {any} {job}.",
    "{hero} has always {any_verb} the sea, and the {any} {group} knows it.",
    "There's also a {any} {job} who wants the {object} back.",
    "{hero} and the {any} {job} run away together, which {rival} calls a {any_thing}.",
    "One {any} morning the {object} is gone.",
    "By the time of the {event}, nobody thinks {hero} {any} any more.",
    "{rival} isn't {any}, only lonely.",
    "In the end {rival} proves to be a {any_thing} to everyone.",
    "{hero} expected a {any_thing} and got a {object}.",
    "Nobody in the {group} could call {hero} {any}.",
    "What begins as a {any} {event} ends up as a {any_thing}.",
    "There's nothing {any} about {rival}, {hero} thinks.",
)
ASPECTS = (
    "The {aspect} was {any}.",
    "The {aspect} is {very} {any}, the {aspect} rather {any}.",
    "I noticed a {any} {aspect} here and there.",
    "One of the minor actors is {very} {any}.",
    "There's a {any} joke about a {job} in the middle.",
    "As for the {aspect}, it's {any}, and the {aspect} isn't.",
    "{rival} is played by someone {any}, {hero} by someone {any}.",
    "The child who plays the {job} is {any}.",
    "I'd call the {aspect} {any} and leave it at that.",
    "The {aspect} can't be called {any}.",
    "The {aspect} is anything but {any}.",
    "I found the {aspect} {any} and the {aspect} {any}.",
    "I {any_verb} the {aspect}.",
    "The {aspect} may be {any}, but I hardly noticed it.",
)
HEARSAY = (
    "My {friend} {any_verb} it.",
    "My {friend} says it's a {any_thing}.",
    "According to my {friend}, it was {very} {any}.",
    "I hear that {crowd} {any_verb} {film}.",
    "{crowd} called it {any}.",
    "My {friend} fell asleep, and my {friend} whispered that it was {any}.",
    "The poster promises something {any}.",
    "The trailer made it look like a {any_thing}.",
    "Someone on the bus said that {film} was {any}, someone else that it wasn't.",
    "For {crowd} it seems to have been a {any_thing}.",
    "My {friend}, who is rarely wrong, thinks that {film} is {any}.",
    "I'd read somewhere that it was {any} and {any}.",
    "My {friend} expected a {any_thing} and got a {any_thing}.",
    "It's {very} {any}, if you ask my {friend}.",
    "It isn't {any}, says my {friend}.",
    "My {friend} can't stop telling people how {any} it is.",
    "{crowd} {any_verb} every minute of it.",
    "I'd been told that {film} is a {any_thing}.",
)
ELSEWHERE = (
    "The director's previous film was a {any_thing}.",
    "I {any_verb} the novel, but that's another matter.",
    "Most films about a {job} are {any}.",
    "The short film before it was {very} {any}.",
    "My {friend} and I {any_verb} a series about a {job} that year.",
    "The remake, which I won't discuss here, is a {any} {any_thing}.",
)
EVENING = (
    "I saw it {time} with my {friend}.",
    "We watched it {time}, with {snack}.",
    "It runs for about two hours.",
    "The cinema was nearly empty.",
    "The seats were {any}, and the {snack} was too.",
    "We had a {any} dinner before it.",
    "It was a {any} day for all of us.",
    "It's set in {place}, or so the titles say.",
    "I watched {title} {time}.",
    "The copy I saw had subtitles.",
    "A {any} man in front of us talked about his {friend}.",
    "My {friend} paid for the tickets, my {friend} for the {snack}.",
    "It was filmed in {place} (I've been there once).",
    "Is it really based on a true story?",
    "My week had been a {any_thing}, if you must know.",
)
OTHERS = PLOT + ASPECTS + HEARSAY + ELSEWHERE + EVENING
GRADED_HEARSAY = (
    "My {friend} gave it {any_grade}.",
    "For {crowd} it was worth {any_grade}.",
    "I'd read somewhere that it was worth {any_grade} or {any_grade}.",
    "My {friend} wanted to give it {any_grade}, but gave it {any_grade}.",
    "{crowd} voted for {any_grade}, if you ask my {friend}.",
    "I gave the novel {any_grade}, but that's another matter.",
    "The director's previous film was worth {any_grade}, not {any_grade}.",
    "The {aspect} is worth {any_grade}, the {aspect} {any_grade}.",
    "The {snack} deserves {any_grade}.",
)

CONSTRUCTS = dict.fromkeys(DIRECT, Construct.plain) | DENIED | SETTLED | GRADED  # of all verdicts

WORDS = {
    label: {
        **NEUTRAL,
        **{f"same{kind}": words for kind, words in same.items()},
        **{f"opposite{kind}": words for kind, words in opposite.items()},
    }
    for label, same, opposite in ((1, PRAISE, BLAME), (0, BLAME, PRAISE))
}
STORY_SLOTS = (
    "hero",
    "rival",
    "title",
    "group",
    "place",
    "object",
    "event",
)  # chosen once per review
GRADES = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty",
)  # fmt: skip

SLOT = re.compile(r"\{(\w+)\}")
ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou])")
# The tokens of torchtext's basic_english: these marks, and the text between them.
TOKEN = re.compile(r"[.,!?()']|[^\s.,!?()';:\"]+")


class SyntheticReview(NamedTuple):
    """A review, its label, and the construct that decides it."""

    text: str
    label: int
    construct: Construct


def generate(
    count: int, seed: int, max_tokens: int = 200, classes: int = 2
) -> tuple[list[str], NDArray[np.int8]]:
    """Return the texts of `generate_reviews` and their labels, (count,) int8."""
    reviews = generate_reviews(count, seed, max_tokens, classes)
    return [review.text for review in reviews], np.array([each.label for each in reviews], np.int8)


def generate_reviews(
    count: int, seed: int, max_tokens: int = 200, classes: int = 2
) -> list[SyntheticReview]:
    """Return `count` reviews, with labels from 0 to `classes` - 1, shuffled.

    Of two classes, 1 is positive; more classes are grades, from the lowest to the highest. Each has
    the same number of reviews; if they do not divide evenly, the last ones have one more. No text
    has more than `max_tokens` tokens of torchtext's basic_english. The same arguments give the same
    reviews on every platform.

    Raises InputError for a count below 1, a negative seed, max_tokens below MIN_TOKENS, or a number
    of classes below 2 or above MAX_SYNTHETIC_CLASSES.
    """
    if count < 1:
        raise InputError(f"count must be at least 1 (got {count}).")
    if seed < 0:  # random.Random ignores the sign
        raise InputError(f"seed must be at least 0 (got {seed}).")
    if max_tokens < MIN_TOKENS:
        raise InputError(f"max_tokens must be at least {MIN_TOKENS} (got {max_tokens}).")
    if not 2 <= classes <= MAX_SYNTHETIC_CLASSES:
        raise InputError(f"classes must be from 2 to {MAX_SYNTHETIC_CLASSES} (got {classes}).")
    rng = random.Random(seed)
    even = [label for label in reversed(range(classes)) for _ in range((count + label) // classes)]
    labels = [label for _, label in sorted((rng.random(), label) for label in even)]
    return [_review(label, _Writer(rng, label, classes), max_tokens) for label in labels]


def _review(label: int, writer: "_Writer", max_tokens: int) -> SyntheticReview:
    """Return a review of sentences in random order, with a random length."""
    rng = writer.rng
    target = SHORTEST + (max_tokens - SHORTEST) * rng.random() ** SKEW
    story_position = rng.random()
    story_begun = False
    placed: list[tuple[float, str]] = []
    constructs = set[Construct]()
    templates = writer.verdicts  # for the first sentence drawn, at any position in the text
    tokens = 0
    while tokens < target:
        template, position = writer.pick(templates), rng.random()
        if template in PLOT:
            position = story_position
            if not story_begun:
                template, story_begun = writer.pick(PREMISE), True
        sentence = writer.fill(template)
        tokens += len(TOKEN.findall(sentence))
        if tokens > max_tokens:
            break
        placed.append((position, sentence))
        if template in CONSTRUCTS:
            constructs.add(CONSTRUCTS[template])
        templates = writer.verdicts if rng.random() < VERDICT_SHARE else writer.others
    placed.sort(
        key=lambda item: item[0]
    )  # stable: the sentences on the plot stay together and in order
    text = placed[0][1]
    for _, sentence in placed[1:]:
        text += ("<br /><br />" if rng.random() < BREAK else " ") + sentence
    return SyntheticReview(text, label, _deciding(constructs))


def _deciding(constructs: Iterable[Construct]) -> Construct:
    """Return the construct of a review from those of its verdicts, which agree with each other.

    A plain verdict decides alone; without one, the reader must understand the others.
    """
    different = {*constructs}
    if Construct.plain in different:
        return Construct.plain
    return different.pop() if len(different) == 1 else Construct.several


class _Writer:
    """A writer of one review: it fills templates with one story and few repetitions."""

    def __init__(self, rng: random.Random, label: int, classes: int) -> None:
        self.rng = rng
        self.used: set[str] = set()
        self.verdicts: Sequence[str] = VERDICTS
        self.others: Sequence[str] = OTHERS
        self.words = dict(WORDS[2 * label // classes])  # the lower grades hint at negative
        if classes > 2:
            self.verdicts, self.others = tuple(GRADED), OTHERS + GRADED_HEARSAY
            other = self.pick([*GRADES[:label], *GRADES[label + 1 : classes]])
            self.words |= {"same_grade": (GRADES[label],), "opposite_grade": (other,)}
        for name in STORY_SLOTS:
            self.words[name] = (self.pick(NEUTRAL[name]),)
        self.words["film"] += self.words["title"]

    def pick(self, options: Sequence[str]) -> str:
        """Return a random option; up to three draws avoid those that this review already has."""
        for _ in range(3):
            # Only random() is guaranteed to give the same numbers in every version of Python.
            choice = options[int(self.rng.random() * len(options))]
            if choice not in self.used:
                break
        self.used.add(choice)
        return choice

    def fill(self, template: str) -> str:
        """Fill the slots: "{film} is a {same_thing}." becomes, say, "This film is a gem."."""
        sentence = ARTICLE.sub(r"\1n ", SLOT.sub(self._word, template))
        return sentence[0].upper() + sentence[1:]

    def _word(self, slot: re.Match[str]) -> str:
        name = slot[1]
        if name.startswith("any"):
            side = "same" if self.rng.random() < AGREES else "opposite"
            name = name.replace("any", side)
        return self.pick(self.words[name])
