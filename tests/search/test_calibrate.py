"""An answer is told from nothing in each language by questions made from the index itself."""

from __future__ import annotations

import json
from contextlib import nullcontext

import numpy as np
import pytest
from worlds import FOLDER, World

from kb.records import MODES, Freshness, Mode, ResolvedRequest
from kb.search import confidence
from kb.search.confidence import (
    WORDS_WEIGHT,
    Background,
    Judge,
    Language,
    SampledPassage,
    UnrelatedCosines,
    both,
    calibrate_language,
    calibration_question,
    deviation,
    usual_cosine,
    without_question_words,
)
from kb.search.rank import standardised
from kb.search.search import Searcher

_THINGS = (
    "perro gato caballo vaca oveja cabra burro conejo pato gallina zorro lobo ciervo oso tigre delfín ballena pulpo "
    "cangrejo abeja hormiga mosca rana serpiente lagarto tortuga águila halcón búho cuervo paloma golondrina cigüeña "
    "garza pelícano foca morsa castor erizo topo murciélago"
)


def spanish(count: int = 40) -> World:
    """Notes in Spanish, each about an animal of its own."""
    world = World()
    for number, one in enumerate(_THINGS.split()[:count]):
        world.write(
            f"{number:02}.md",
            f"El {one} vive en la región número {number} del país desde hace mucho tiempo. Cada {one} come "
            f"hierba{number} y duerme cerca del río{number} durante toda la noche. La historia del {one} es larga y "
            "muy conocida aquí.",
        )
    world.run()
    assert {file.language for file in world.catalog.files()} == {"es"}
    return world


def searcher(world: World) -> Searcher:
    """A searcher over a world."""
    return Searcher(
        world.embedder, lambda: nullcontext(world.vectors), world.catalog, world.files, lambda: Freshness(None, 0)
    )


def test_a_language_is_measured_by_its_own_sentences() -> None:
    """The bar is that of the language; what asks of its notes is answered, and what asks of nothing in them is not."""
    world = spanish()
    measured = Background(world.embedder, world.catalog).unrelated(world.vectors)
    assert measured.languages.keys() == {"es"}
    assert measured.languages["es"].known
    asked = searcher(world)

    # The modes that leave no passages out.
    for mode in [mode for mode, traits in MODES.items() if traits.answered_by != "any hit"]:
        assert asked.search(ResolvedRequest("¿Dónde duerme la cigüeña?", mode=mode)).hits, mode
        assert not asked.search(ResolvedRequest("¿Quién inventó el telescopio refractor?", mode=mode)).hits, mode


def test_what_was_measured_is_kept_with_its_languages() -> None:
    """Another process asks the model for the question alone; what an earlier kb kept is measured anew."""
    world = spanish()
    background = Background(world.embedder, world.catalog)
    first = background.unrelated(world.vectors)
    background.keep()
    asked = len(world.embedder.questions)

    assert Background(world.embedder, world.catalog).unrelated(world.vectors) == first
    assert len(world.embedder.questions) == asked
    model = world.embedder.fingerprint
    old: dict[str, object] = {"mean": 0.1, "deviation": 0.1, "passages": 40, "fingerprint": model}
    for languages in ({}, {"languages": {"es": {"bar": 9.0, "known": True}}}):
        world.catalog.set_meta("unrelated", json.dumps(old | languages))
        assert Background(world.embedder, world.catalog).unrelated(world.vectors) == first


def test_another_model_is_measured_anew() -> None:
    """Its cosines are others; what was kept for the one before says nothing about them."""
    world = spanish()
    background = Background(world.embedder, world.catalog)
    background.unrelated(world.vectors)
    background.keep()

    world.embedder.fingerprint = "another model"

    for one in (background, Background(world.embedder, world.catalog)):
        assert one.unrelated(world.vectors).fingerprint == "another model"


def test_an_index_that_has_grown_or_shrunk_by_half_is_measured_anew() -> None:
    """With its own passages, the sample included, and not after each of them."""
    world = World()
    background = Background(world.embedder, world.catalog)
    measured = []
    for notes in (32, 48, 49, 33, 32):
        for number in range(49):
            if number < notes:
                world.write(f"{number}.md", f"note {number}")
            elif world.files.stat(FOLDER, f"{number}.md"):
                world.files.remove(FOLDER, f"{number}.md")
        world.run()
        measured.append((background.unrelated(world.vectors).passages, len(background._sampled(world.vectors).ids)))

    assert measured == [(32, 32), (32, 32), (49, 49), (49, 49), (32, 32)]


def test_without_any_vector_no_cosine_is_more_than_usual() -> None:
    """Nothing was embedded yet."""
    world = World()
    world.write("a.md", "note")
    world.run(embed=False)

    assert usual_cosine(world.embedder, world.catalog, world.vectors, Background(world.embedder, world.catalog)) == 1.0


def test_few_passages_of_a_language_are_no_measure() -> None:
    """They are judged as English ones are, by the probes."""
    world = spanish(8)

    assert Background(world.embedder, world.catalog).unrelated(world.vectors).languages == {}


def test_text_in_no_calibrated_language_is_judged_by_the_usual_one() -> None:
    """A note whose language was not told, or taken for another, is no way around the threshold; English is itself."""
    world = spanish()
    world.write("codes.md", "4711 0815 42 1234 5678 90")
    world.run()
    vector = world.embedder.embed_query("¿Quién inventó el telescopio refractor?")
    judge = Background(world.embedder, world.catalog).judge(world.vectors, vector, world.catalog.count())

    assert {file.language for file in world.catalog.files()} == {"es", ""}
    assert [judge.calibrated(code) for code in ("es", "", "gl", "en")] == ["es", "es", "es", ""]
    for words in (0.0, 0.1, 0.5):
        assert judge.evidence("", 0.5, words) == judge.evidence("gl", 0.5, words) == judge.evidence("es", 0.5, words)
    assert judge.evidence("en", 0.5, 0.1) == judge.unrelated.evidence(0.5, 0.1, world.catalog.count())


def test_no_language_is_usual_where_none_has_more_than_half() -> None:
    """Among as many English notes as Spanish ones, a text in no language is judged by the probes."""
    world = spanish()
    for number, one in enumerate(_THINGS.split()[:40]):
        world.write(
            f"english-{number}.md",
            f"The animal number {number} with the Spanish name {one} lives near the river and sleeps through the whole "
            f"night. The history of the animal number {number} is long and well known around here.",
        )
    world.run()
    vector = world.embedder.embed_query("Who invented the refracting telescope?")
    judge = Background(world.embedder, world.catalog).judge(world.vectors, vector, world.catalog.count())

    assert (judge.calibrated("es"), judge.calibrated(""), judge.calibrated("en")) == ("es", "", "")


class Blind:
    """A model that says nothing: every question has a direction of its own, whatever its words."""

    def __init__(self, world: World) -> None:
        self._embedder = world.embedder
        self.fingerprint = "blind"
        self.dimension = world.embedder.dimension

    def embed_query(self, text: str) -> np.ndarray:
        """A direction by chance, the same one for the same text."""
        found = np.random.default_rng(len(text) * 7919 + sum(map(ord, text))).standard_normal(self.dimension)
        return (found / np.linalg.norm(found)).astype(np.float32)

    def question_parts(self, text: str) -> int:
        """It reads any question whole."""
        return int(bool(text))


def test_a_model_that_does_not_know_the_language_says_so() -> None:
    """In cosine mode nothing is held back and the language is named; the other modes judge by the words."""
    world = spanish()
    asked = Searcher(
        Blind(world),  # type: ignore[arg-type]  # all that a search asks of a model
        lambda: nullcontext(world.vectors),
        world.catalog,
        world.files,
        lambda: Freshness(None, 0),
    )

    answer = asked.search(ResolvedRequest("¿Quién inventó el telescopio refractor?"))
    assert (answer.unfamiliar, answer.weak) == ("es", False)
    assert answer.hits
    for mode in (Mode.HYBRID, Mode.KEYWORD):
        assert asked.search(ResolvedRequest("¿Dónde duerme la cigüeña?", mode=mode)).hits
        refused = asked.search(ResolvedRequest("¿Quién inventó el telescopio refractor?", mode=mode))
        assert (refused.hits, refused.unfamiliar) == ((), "")


@pytest.mark.parametrize(("of_ten", "known"), [(3, False), (8, True)])
def test_a_model_knows_a_language_whose_sentences_it_mostly_finds(of_ten: int, *, known: bool) -> None:
    """Of ten sentences, it finds the passages of some; for the others it has a direction by chance."""
    world = spanish()
    asked = iter(range(1000))

    class Partly(Blind):
        def embed_query(self, text: str) -> np.ndarray:
            return world.embedder.embed_query(text) if next(asked) % 10 < of_ten else super().embed_query(text)

    passages = world.catalog.passages(world.catalog.sample(100))
    vectors = world.vectors.vectors(list(passages))
    sample = [SampledPassage(id_, one.text, vectors[id_].astype(np.float64)) for id_, one in passages.items()]
    found = calibrate_language(world.catalog, Partly(world), world.vectors, sample)  # type: ignore[arg-type]  # all it asks

    assert found is not None
    assert found.known is known


def test_passages_of_its_own_file_do_not_count_as_unrelated_to_a_sentence() -> None:
    """They are about the same, and would make the threshold that of an answer."""
    world = spanish()
    sentence = "Cada cuervo come hierba35 y duerme cerca del río35"
    world.write("cuervo.md", f"# Cuervo\n\n{sentence}.\n\n# Más\n\n{sentence} también.\n")
    world.run()
    one, _ = (passage for passage in world.catalog.all_passages() if passage.file.path == "cuervo.md")

    others = confidence._others(world.catalog, sentence, one.id)

    paths = {passage.file.path for passage in world.catalog.passages(list(others)).values()}
    assert "35.md" in paths
    assert "cuervo.md" not in paths


@pytest.mark.parametrize("narrow", [1.0, 0.1, 0.01])
def test_a_narrow_range_of_cosines_changes_no_verdict(narrow: float) -> None:
    """Some models have all cosines between 0.4 and 0.8, or closer still: only how they differ counts."""
    chance = np.random.default_rng(3)
    near = 0.6 + narrow * chance.normal(0.0, 0.1, 300)
    language = {"es": Language(threshold=9.0, known=True)}
    judge = Judge(UnrelatedCosines(0.6, narrow * 0.1, 300, "model", language), 300, {"es": near})

    far, close = 0.6 + narrow * 0.1, 0.6 + narrow * 0.6
    assert judge.evidence("es", far, 0.03) < 0 <= judge.evidence("es", close, 0.04)
    assert judge.evidence("en", far, 0.2) < 0 <= judge.evidence("en", close, 0.5)


def test_fewer_passages_are_asked_for_less() -> None:
    """The best of a few unrelated passages is not as near as the best of many; a few more are as many."""
    language = {"es": Language(threshold=9.0, known=True)}
    near = {"es": np.linspace(0.0, 0.2, 50)}
    many, few, more = (
        Judge(UnrelatedCosines(0.1, 0.1, 1000, "model", language), count, near) for count in (1000, 40, 1400)
    )

    assert more.evidence("es", 0.3, 0.1) == many.evidence("es", 0.3, 0.1)
    assert few.evidence("es", 0.3, 0.1) > many.evidence("es", 0.3, 0.1)
    assert many.evidence("es", 0.1, 0.1) == pytest.approx(WORDS_WEIGHT * 0.1 - 9.0)


def test_a_cosine_counts_by_its_square_and_not_below_the_mean() -> None:
    """A model that does not know the language adds next to nothing; one that knows it outweighs missing words."""
    near = np.array([-0.1, 0.1])

    assert both(0.2, near, 0.1) - both(0.1, near, 0.1) == pytest.approx(1.5)
    assert both(0.5, near, 0.1) - both(0.4, near, 0.1) == pytest.approx(4.5)
    assert both(-0.3, near, 0.1) == both(0.0, near, 0.1) == WORDS_WEIGHT * 0.1


def test_one_word_of_a_short_question_is_less_than_half_of_a_long_one() -> None:
    """The same share of the words: half of two may be chance, half of six hardly."""
    world = spanish()

    def best(question: str) -> float:
        found = world.catalog.keyword_matches(question, 1)
        return next(iter(found.scores.values())) / found.most

    assert 0 < best("cigüeña telescopio") < 0.8 * best("cigüeña río32 hierba32 telescopio refractor inventó")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("¿Cuántos puntos perdió la defensa de los Panthers?", "puntos perdió defensa Panthers?"),
        ("黑豹队的防守丢了多少分", "黑豹队 防守丢  分"),
        ("where is it", "where is it"),
    ],
)
def test_what_asks_is_left_out(question: str, expected: str) -> None:
    """In languages with spaces and without; where nothing is left, the question stays."""
    assert without_question_words(question) == expected


def test_a_sentence_becomes_a_question_of_usual_length() -> None:
    """From the middle of the text; what is too short gives none."""
    words = "uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece"

    assert calibration_question(f"Corto. {words}. Fin.") == words.rsplit(" ", 1)[0]
    assert calibration_question("Demasiado corto.") == ""
    assert len(calibration_question("黑豹队的防守丢了多少分这是一个很长的句子没有空格也没有标点符号所以要截断")) == 24
    assert deviation(1.0, np.zeros(3)) == 0.0


def test_equal_cosines_have_no_deviation() -> None:
    """Their mean is rounded, so that each of them is a little off it."""
    equal = np.full(50, 0.1)
    assert equal.std() > 0
    assert deviation(0.9, equal) == 0.0
    assert standardised(np.array([0.9]), equal).tolist() == [0.0]


def test_a_sentence_of_a_script_without_full_stops_ends_at_a_space() -> None:
    """The beginning of a passage names what all of its file is about, so most questions would have that in common."""
    thai = "นิโคลา เทสลาเป็นนักประดิษฐ์ชาวเซอร์เบีย เขาย้ายไปอยู่ที่สหรัฐอเมริกาเมื่ออายุยังน้อย แล้วทำงานในห้องทดลองของเอดิสัน"

    assert calibration_question(thai) == "เขาย้ายไปอยู่ที่สหรัฐอเมริกาเมื่ออายุยังน้อย"
    assert calibration_question("เทสลา 1856 เกิด") == ""
