"""Generates the built-in `sample` corpus: English review sentences whose sentiment depends on their structure.

A small grammar makes every sentence, so that its label follows from the structure (negation, contrast, wishes,
intensifiers and diminishers, other people's opinions) and not from the words alone: most words of praise and blame
occur under both labels. The only source of randomness is `random.Random.random`, whose sequence Python guarantees, so
the corpus is the same on every machine.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from compaware.components.core.data.tasks import TASKS

LABEL_NAMES = TASKS["sample"].label_names
SPLIT_ROWS = {"train": 6000, "validation": 1000, "test": 1000}


class Example(NamedTuple):
    """One sentence and its class index into `LABEL_NAMES`."""

    text: str
    label: int


class Domain(NamedTuple):
    """A kind of thing to review: its name, its aspects, and adjectives of blame and of praise for them."""

    name: str
    aspects: tuple[str, ...]
    words: tuple[tuple[str, ...], tuple[str, ...]]


def _domain(name: str, aspects: str, blame: str, praise: str) -> Domain:
    return Domain(name, tuple(aspects.split()), (tuple(blame.split()), tuple(praise.split())))


DOMAINS = (
    _domain(
        "film",
        "plot acting ending dialogue pacing soundtrack cast script opening finale humour direction",
        "dull predictable clumsy boring shallow silly tedious lifeless awful confusing forgettable weak",
        "gripping moving clever funny brilliant charming original convincing superb touching memorable strong",
    ),
    _domain(
        "restaurant",
        "soup service dessert menu bread coffee salad steak sauce waiter wine pasta",
        "bland stale greasy disappointing awful mediocre slow tasteless overpriced poor sloppy dreadful",
        "delicious fresh tasty impressive superb excellent perfect pleasing satisfying good decent wonderful",
    ),
    _domain(
        "hotel",
        "room bed staff lobby breakfast view bathroom pool garden reception balcony bar",
        "dirty noisy cramped damp horrible shabby gloomy dreadful unpleasant neglected poor depressing",
        "clean quiet spacious cosy welcoming elegant bright wonderful pleasant spotless good relaxing",
    ),
    _domain(
        "phone",
        "battery screen keyboard camera speaker charger case software display microphone design manual",
        "flimsy slow fragile faulty clunky unreliable poor cheap frustrating useless ugly weak",
        "sturdy fast durable reliable smooth sharp good solid handy useful elegant strong",
    ),
    _domain(
        "book",
        "story style hero prose cover translation mystery romance chapter narrator preface conclusion",
        "dull predictable shallow confusing tedious lifeless clumsy pretentious awful forgettable silly weak",
        "gripping moving clever vivid original convincing witty brilliant elegant memorable touching strong",
    ),
)
VERBS = ("was", "seemed", "felt", "turned out to be", "proved to be", "looked")
INTENSIFIERS = ("very", "really", "truly", "so", "extremely", "absolutely", "quite", "remarkably")
DIMINISHERS = ("a little", "slightly", "somewhat", "a bit", "rather", "fairly")
NEGATIONS = (
    "was not", "was never", "was hardly", "was anything but", "was far from", "was by no means", "was not at all",
    "was not exactly", "did not feel", "never seemed", "could not be called", "was hardly ever",
)  # fmt: skip
PEOPLE = (
    "my brother", "my sister", "the critics", "our neighbours", "my boss", "a friend of mine", "the guide",
    "my parents", "the advert", "everyone else", "the magazine", "an old colleague",
)  # fmt: skip
TIMES = (
    "last week", "this time", "on our second visit", "in the end", "on monday", "in april", "after all",
    "as usual", "all things considered", "to be honest", "last summer", "at first sight",
)  # fmt: skip

# Share of clauses that state their opinion directly. The larger it is, the better a bag-of-words model does.
DIRECT = 0.86


class Writer:
    """Writes opinions about one domain, drawing from one random stream."""

    def __init__(self, rng: random.Random, domain: Domain) -> None:
        self._rng = rng
        self.domain = domain

    def pick(self, options: Sequence[str]) -> str:
        """Returns one of `options`."""
        return options[int(self._rng.random() * len(options))]

    def chance(self, probability: float) -> bool:
        """Returns True with `probability`."""
        return self._rng.random() < probability

    def thing(self) -> str:
        """Returns the subject of an opinion: an aspect or the whole."""
        return "the " + self.pick((*self.domain.aspects, self.domain.name))

    def word(self, label: int) -> str:
        """Returns an adjective of praise (1) or blame (0)."""
        return self.pick(self.domain.words[label])

    def phrase(self, label: int) -> str:
        """Returns an adjective, sometimes with an intensifier or diminisher, which does not change the label."""
        draw = self._rng.random()
        degree = f"{self.pick(INTENSIFIERS)} " if draw < 0.35 else f"{self.pick(DIMINISHERS)} " if draw < 0.5 else ""
        return degree + self.word(label)

    def clause(self, label: int) -> str:
        """Returns a clause of the opinion `label`, stated directly or by negating the opposite."""
        if self.chance(DIRECT):
            return f"{self.thing()} {self.pick(VERBS)} {self.phrase(label)}"
        return f"{self.thing()} {self.pick(NEGATIONS)} {self.word(1 - label)}"


def _plain(w: Writer, label: int) -> str:
    return w.clause(label)


def _agreement(w: Writer, label: int) -> str:
    return f"{w.clause(label)} {w.pick(('and', 'and also', 'and, what is more,'))} {w.clause(label)}"


def _contrast(w: Writer, label: int) -> str:
    """The conceded clause has the other opinion; the main clause decides."""
    conceded, main = w.clause(1 - label), w.clause(label)
    return w.pick((
        f"{conceded}, but {main}", f"{conceded}, yet {main}", f"although {conceded}, {main}",
        f"even though {conceded}, {main}", f"{main}, although {conceded}", f"{main}, even if {conceded}",
    ))  # fmt: skip


def _denied(w: Writer, label: int) -> str:
    """A frame that negates the clause inside it."""
    frame = w.pick(("nobody could say that", "i doubt that", "it is not true that", "i cannot agree that"))
    return f"{frame} {w.clause(1 - label)}"


def _wish(w: Writer, label: int) -> str:
    """A wish for a quality means that it is missing."""
    thing, word = w.thing(), w.word(1 - label)
    if label == 0:
        return w.pick((f"i wish {thing} had been {word}", f"if only {thing} had been more {word}"))
    return w.pick((f"i feared that {thing} would be {word}, wrongly", f"luckily {thing} was less {word} than feared"))


def _others(w: Writer, label: int) -> str:
    """Somebody else's opinion, before or after the writer's own; the writer's own decides."""
    theirs, mine = w.clause(int(w.chance(0.5))), w.clause(label)
    person = w.pick(PEOPLE)
    return w.pick((
        f"{person} said that {theirs}, i say {mine}", f"{person} claimed that {theirs}; for me {mine}",
        f"for me {mine}, whereas {person} said that {theirs}", f"i think {mine}, while {person} said that {theirs}",
    ))  # fmt: skip


def _elsewhere(w: Writer, label: int) -> str:
    """An adjective for another thing, which does not count."""
    other, clause = w.phrase(int(w.chance(0.35)) ^ (1 - label)), w.clause(label)
    name = w.domain.name
    return w.pick((
        f"after the {other} {name} of last year, {clause}", f"unlike the {other} {name} next door, {clause}",
        f"{clause}, unlike the {other} {name} that we tried before",
    ))  # fmt: skip


FORMS: tuple[tuple[float, Callable[[Writer, int], str]], ...] = (
    (0.30, _plain),
    (0.30, _agreement),
    (0.14, _contrast),
    (0.05, _denied),
    (0.05, _wish),
    (0.09, _others),
    (0.07, _elsewhere),
)


def _form(draw: float) -> Callable[[Writer, int], str]:
    """Returns the form at `draw`, from 0 to 1, on the scale of the forms' shares."""
    ends = list(itertools.accumulate(share for share, _ in FORMS))
    return FORMS[bisect.bisect(ends, draw * ends[-1])][1]


def _sentence(rng: random.Random, label: int) -> str:
    writer = Writer(rng, DOMAINS[int(rng.random() * len(DOMAINS))])
    text = _form(rng.random())(writer, label)
    if writer.chance(0.25):
        text = f"{writer.pick(TIMES)}, {text}"
    return text[0].upper() + text[1:] + writer.pick((".", ".", ".", "!"))


def sample_corpus(seed: int = 20) -> dict[str, list[Example]]:
    """Generates the corpus, with balanced labels in every split.

    Args:
        seed: Seed of the sentences.

    Returns:
        Examples of each split (`SPLIT_ROWS` of each); no sentence occurs twice.
    """
    rng = random.Random(seed)
    seen: set[str] = set()
    splits: dict[str, list[Example]] = {}
    for split, rows in SPLIT_ROWS.items():
        examples: list[Example] = []
        while len(examples) < rows:
            label = len(examples) % 2
            text = _sentence(rng, label)
            if text.lower() not in seen:
                seen.add(text.lower())
                examples.append(Example(text, label))
        splits[split] = sorted(examples, key=lambda _: rng.random())
    return splits
