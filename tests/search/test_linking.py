"""Entities in typed words: longest match, general words, several meanings, slips, and text made to cost time."""

import itertools
import re
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eiclip.errors import EiclipError
from eiclip.search.linking import MOST_SLIPS, MOST_WORDS, Known, Linker, TypedWords, short_names, words_of
from eiclip.storage.lake import Lake


def known(entity, *groups, tagged=90, untagged=10):
    return Known(entity, groups or ("brand",), tagged, untagged)


LEATHER = known("leather", "composition", tagged=3, untagged=7)
SHOP = [
    known("golden goose", tagged=50, untagged=1), known("golden"), known("goose", tagged=10, untagged=90),
    known("top", "subcategory", "brand", tagged=80, untagged=20), known("gap", tagged=40, untagged=60),
    known("gucci", untagged=0), known("coach"), known("rag & bone"), known("off-white"), LEATHER,
    known("sneakers", "subcategory"), known("fw2016", "season"),
]  # fmt: skip
NAMES = {"b0": "umgee usa", "b1": "golden goose"}
"""Names for the makers of the small home."""
WORDS = ["coat", "coats", "in", "black", "a", "the", "by", "from", "bone", "shirts"]


@pytest.fixture(scope="module")
def linker():
    return Linker(SHOP, WORDS, makers="brand")


def kept(linker, text, **given):
    return [(link.group, link.entity) for link in linker.link(text, **given)[0] if link.kept]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Golden Goose coat", [("brand", "golden goose")]),
        ("golden coat", [("brand", "golden")]),
        ("GOLDEN-GOOSE!", [("brand", "golden goose")]),
        ("goldengoosecoat", []),
        ("a rag & bone coat", [("brand", "rag & bone")]),
        ("a Rag and Bone coat", [("brand", "rag & bone")]),
        ("rag coat bone", []),
        ("off white coat", [("brand", "off-white")]),
        ("black sneakers, FW2016, gucci", [("subcategory", "sneakers"), ("season", "fw2016"), ("brand", "gucci")]),
        ("", []),
        ("&&& --- ...", []),
    ],
)
def test_whole_words_are_linked_longest_first(linker, text, found):
    assert kept(linker, text) == found


SPELT = {
    "levi's": ("levis", "Levi's", "LEVI’S", "levi s"),
    "chloé": ("chloe", "Chloé", "CHLOÉ", "chloe\u0301"),
    "palm angels™": ("palm angels", "Palm-Angels"),
    "l'oréal paris": ("loreal paris", "L'Oreal Paris", "l oréal paris"),
    "j.crew": ("jcrew", "J. Crew", "j.crew"),
}


@pytest.mark.parametrize(("entity", "typed"), [(name, typed) for name, ways in SPELT.items() for typed in ways])
def test_case_accents_apostrophes_and_trademark_signs_do_not_count(entity, typed):
    linker = Linker([*map(known, SPELT), *SHOP], WORDS)
    text = f"a {typed}® coat by gucci"
    link, other = linker.link(text)[0]
    assert (link.entity, link.words, link.score, link.kept) == (entity, typed, 1, True), "the catalogue's own name"
    assert text[link.start : link.end] == typed
    assert other.entity == "gucci"


def test_of_names_that_are_equal_but_for_accents_the_typed_one_is_meant():
    linker = Linker([known("chloe", tagged=50), known("chloé", tagged=90), known("levis jeans"), known("levi's")], [])
    found = {text: linker.link(text)[0][0].entity for text in ("chloe", "chloé", "chloë", "levi's jeans", "levi's")}
    assert found.pop("chloë") == "chloe", "neither as typed: the plain one"
    assert found == {"chloe": "chloe", "chloé": "chloé", "levi's jeans": "levis jeans", "levi's": "levi's"}


def test_links_say_where_their_words_stand(linker):
    text = "Ein Mantel: GOLDEN  goose, fw2016"
    links, notes = linker.link(text)
    assert [text[link.start : link.end] for link in links] == [link.words for link in links]
    assert [(link.words, link.score) for link in links] == [("GOLDEN  goose", 1.0), ("fw2016", 1.0)]
    assert notes == []


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [("gap coat", False), ("coat by gap", True), ("brand gap", True), ("from gap", False), ("leather coat", False),
     ("composition: leather", True), ("by leather", False)],
)  # fmt: skip
def test_a_general_word_is_suggested_unless_a_sign_stands_before_it(linker, text, is_kept):
    [link] = [link for link in linker.link(text)[0] if link.entity in ("gap", "leather")]
    assert (link.kept, link.ambiguous) == (is_kept, True)
    assert "general word" in link.why


@pytest.mark.parametrize("tagged", [49, 50, 51])
def test_the_line_is_the_majority_of_uses(tagged):
    linker = Linker([known("needles", tagged=tagged, untagged=100 - tagged)], [])
    assert bool(kept(linker, "needles coat")) == (tagged >= 50)


def test_an_entity_of_several_groups_is_of_the_likeliest_not_removed(linker):
    assert kept(linker, "a top") == [("subcategory", "top")]
    assert kept(linker, "a top", unlink=("subcategory=top",)) == [("brand", "top")]
    assert kept(linker, "a top", unlink=("top",)) == []
    assert kept(linker, "a top", unlink=("subcategory=Top", "brand=top")) == []
    [link] = linker.link("a top", unlink=("top",))[0]
    assert (link.ambiguous, link.why) == (True, "removed by you")


def test_a_text_may_name_several_entities_of_a_group(linker):
    first, second = linker.link("gucci for coach")[0]
    assert (first.kept, first.alternative, second.kept, second.alternative) == (True, False, True, False)
    assert linker.link("gucci", given={"brand": ["coach"]})[0][0].why == "the brand is 'coach' already"
    assert kept(linker, "gucci coat", given={"brand": "coach"}) == []
    assert kept(linker, "gucci coat", given={"brand": "gucci"}) == [("brand", "gucci")], "its words leave the text"


@pytest.mark.parametrize(
    ("text", "alternatives"),
    [
        ("gucci or coach coat", ["coach"]), ("coats, gucci, coach or golden goose", ["coach", "golden goose"]),
        ("gucci/coach", ["coach"]), ("gucci and coach", ["coach"]), ("gucci & coach", ["coach"]),
        ("gucci, and coach, or gucci", ["coach", "gucci"]), ("gucci coach", []), ("gucci. coach", []),
        ("gucci coat or coach", []), ("red or blue coat", ["blue"]), ("red/blue", ["blue"]), ("red and blue", []),
        ("red, blue", []), ("red coat or blue", []), ("gucci or red", []), ("gucci by gucci", []),
    ],
)  # fmt: skip
def test_alternatives_of_groups_of_one_and_of_several_entities(text, alternatives):
    names = [known(name) for name in ("gucci", "coach", "golden goose")] + [known(c, "colour") for c in ("red", "blue")]
    links = Linker(names, WORDS, makers="brand").link(text)[0]
    assert [link.entity for link in links if link.alternative] == alternatives
    assert all(link.kept for link in links if link.alternative)


def test_alternatives_to_an_entity_given_are_suggestions(linker):
    links = linker.link("gucci or coach", {"brand": ["gucci"]})[0]
    assert [(link.entity, link.kept) for link in links] == [("gucci", True), ("coach", False)]


@pytest.mark.parametrize("typed", ["us polo assn", "u s polo assn", "U.S. Polo Assn.", "US polo", "u.s. polo shirt"])
def test_initials_may_be_written_as_one_word(typed):
    names = [known("u.s. polo assn."), known("shirt", "kind")]
    short = {phrase: replace(own, short=True) for phrase, (own, _) in short_names(names, "brand").items()}
    linker = Linker(names, ["polo"], makers="brand", short_names=short)
    assert ("brand", "u.s. polo assn.") in kept(linker, typed)


@pytest.mark.parametrize(
    ("text", "entity"),
    [
        *((text, "gucci") for text in ("guci coat", "gcuci coat", "guccci", "GÚCI coat")),
        *((f"golden{end}", "golden goose") for end in (" gose coat", "goose coat", " goosee")),
        ("goldne goose", "golden goose"),
        ("sneaker", "sneakers"),
        *((text, "gucci") for text in ("ucci", "xgucci", "ugcci coat")),
        *((f"{begins}golden goose", "golden goose") for begins in ("x",)),
        ("holden goose", "golden goose"),
        *((text, None) for text in ("xucci", "xucc", "gxcxi", "gop", "fw2015", "coat55")),
    ],
)
def test_slips_of_a_letter_in_five_are_mended(linker, text, entity):
    links = [link for link in linker.link(text)[0] if link.score < 1]
    assert [link.entity for link in links] == ([] if entity is None else [entity])
    assert all(link.score >= 0.8 and "no word of the catalogue" in link.why for link in links)


def test_a_right_word_is_no_slip(linker):
    assert linker.link("coats for a coat")[0] == []
    assert Linker([known("coatz")], []).link("coats")[0] != []
    assert Linker([known("coatz")], ["coats"]).link("coats")[0] == []
    assert Linker([known("block")], ["black"]).link("blick")[0] == [], "as near to a word as to the entity"


def test_a_slip_of_a_general_word_stays_general():
    [link] = Linker([LEATHER], []).link("soft and lether")[0]
    assert (link.kept, link.entity) == (False, "leather")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("leather", ["leather"]), ("Leather top", ["leather", "top"]),
        ("gucci leather top", ["leather", "gucci", "top"]), ("lether top", ["leather", "top"]),
        ("leather coat", []), ("soft leather top", ["top"]), ("goose top", ["goose", "top"]),
        ("leather top, gucci fw2016", ["top", "gucci", "fw2016"]),
    ],
)  # fmt: skip
def test_a_general_word_counts_in_a_short_query_of_nothing_but_entities(linker, text, found):
    assert sorted(entity for _, entity in kept(linker, text)) == sorted(found)
    rare = Linker([known("white", "colour", tagged=4, untagged=96), known("dress", "kind")], [])
    assert kept(rare, "white dress") == [("kind", "dress")], "hardly ever a tag"


def test_names_that_differ_in_signs_alone_can_both_be_typed():
    linker = Linker([known("h.y", tagged=99), known("h#y", tagged=2), known("a", "size"), known("a+", "size")], [])
    typed = {
        text: linker.link(text)[0][0].entity for text in ("h#y coat", "(H#Y)", "h.y", "h y", "a+", "a", "grade a, b")
    }
    assert typed == {
        "h#y coat": "h#y",
        "(H#Y)": "h#y",
        "h.y": "h.y",
        "h y": "h.y",
        "a+": "a+",
        "a": "a",
        "grade a, b": "a",
    }


def test_and_may_be_written_as_a_sign():
    linker = Linker([known("gini and jony"), known("rag & bone")], [])
    for text in ("gini & jony", "gini and jony", "rag and bone", "rag&bone"):
        assert [link.words for link in linker.link(text)[0]] == [text]


def test_accents_may_be_left_out_where_the_words_are_the_catalogues_own():
    linker = Linker([known("étoile bleue")], ["etoile", "bleue", "étoile"])
    for text in ("etoile bleue", "Etoile  Bleue coat", "E\u0301toile bleue", "étoile-bleue"):
        assert kept(linker, text) == [("brand", "étoile bleue")]


@pytest.mark.parametrize(
    ("text", "found"),
    [("i'm looking", []), ("I’M looking for m", ["m"]), ("women's coat", []), ("don't", []), ("d'orsay m", ["m"]),
     ("t-shirt", ["t-shirts"]), ("t-shirts", ["t-shirts"]), ("tshirts", ["t-shirts"]), ("shirts", ["shirts"]),
     ("t shirts", ["t-shirts"]), ("T shirt", ["t-shirts"]), ("m shirts", ["m", "shirts"]),
     ("off-shirts", ["shirts"]), ("size: s.", ["s"])],
)  # fmt: skip
def test_what_a_sign_parts_from_a_word_is_no_name(text, found):
    names = [known(name, "size") for name in ("m", "s", "t", "d")] + [
        known("shirts", "kind"),
        known("t-shirts", "kind"),
    ]
    assert [link.entity for link in Linker(names, ["looking"]).link(text)[0]] == found


def test_of_a_makers_name_a_word_of_its_own_will_do():
    names = [
        known("umgee usa"),
        known("golden goose"),
        known("golden bear"),
        known("acme top"),
        known("blue", "colour"),
    ]
    names += [known("dresses", "kind"), known("blue sky")]
    short = short_names(names, "brand")
    assert set(short) == {"umgee", "goose", "bear", "acme", "blues", "dress"}, "golden, blue and top are not its own"
    tagged = {"umgee": 9, "goose": 8, "dress": 5}
    meant = {phrase: replace(short[phrase][0], tagged=n, untagged=10 - n, short=True) for phrase, n in tagged.items()}
    linker = Linker(names, ["umgee", "goose", "dress"], makers="brand", short_names=meant)
    links = {link.words: (link.entity, link.kept) for link in linker.link("a umgee dress with a goose on it")[0]}
    assert links == {"umgee": ("umgee usa", True), "dress": ("dresses", True), "goose": ("golden goose", False)}
    assert kept(linker, "golden goose dress") == [("brand", "golden goose"), ("kind", "dresses")], "names go first"


def test_short_names_are_counted_in_the_lakes_texts(home, tmp_path):
    shutil.copytree(home.root, tmp_path, dirs_exist_ok=True)
    lake = Lake(tmp_path)
    for table in ("entity_vocabulary", "semantic_prior", "product_entities"):
        rows = pq.read_table(lake.path(table, "shop")).to_pylist()
        lake.write(
            pa.Table.from_pylist([row | {"entity": NAMES.get(row["entity"], row["entity"])} for row in rows]),
            table,
            "shop",
        )
    rows = pq.read_table(lake.path("products", "shop")).to_pylist()
    texts = {"p0": "An UMGEE coat, for winter", "p1": "a goose. Umgéé? winter", "p2": "no umgee"}
    rows = [row | {"split": "train", "description": texts.get(row["product_id"], "")} for row in rows]
    lake.write(pa.Table.from_pylist(rows), "products", "shop")
    found = {phrase: (own.entity, own.tagged, own.untagged) for phrase, own in
             Linker.open(lake, "shop", ["brand"])._short.items()}  # fmt: skip
    tagged = [row["product_id"] for row in pq.read_table(lake.path("product_entities", "shop")).to_pylist()
              if row["entity"] == "umgee usa"]  # fmt: skip
    assert found["umgee"] == ("umgee usa", len(set(tagged) & set(texts)), 3 - len(set(tagged) & set(texts)))


@pytest.mark.parametrize(
    ("group", "name", "meant", "near"),
    [
        ("brand", "GUCCI", "gucci", ["gucci"]), ("brand", "guci", "gucci", ["gucci"]),
        ("brand", "ucci", "gucci", ["gucci"]),
        ("brand", "rag and bone", "rag & bone", ["rag & bone"]), ("subcategory", "snekers", "sneakers", ["sneakers"]),
        ("season", "fw2015", None, ["fw2016"]), ("brand", "sneakers", None, []), ("brand", "coaches", None, ["coach"]),
        ("brand", "xyzzy", None, []), ("brand", "", None, []), ("nothing", "gucci", None, []),
    ],
)  # fmt: skip
def test_a_name_given_for_an_entity_of_a_group(linker, group, name, meant, near):
    found, names = linker.meant(group, name)
    assert found == meant
    assert names[:1] == near


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("साड़ी", ["साड़ी"]), ("लाल साड़ी", ["साड़ी"]), ("सड़", []), ("赤い ドレス", ["ドレス"]), ("赤いドレス", []),
        ("rotes kleid", []), ("ein kleid in rot", ["rot"]), ("ROT", ["rot"]),
    ],
)  # fmt: skip
def test_other_scripts_and_inflection_are_read_as_they_stand(text, found):
    linker = Linker([known("साड़ी", "kind"), known("ドレス", "kind"), known("rot", "colour")], [])
    assert [entity for _, entity in kept(linker, text)] == found, "no words are parted, no endings taken off"


words = st.sampled_from(
    ["golden", "goose", "gap", "by", "coat", "gucci", "guci", "rag", "bone", "top", "xyzzy", "white", "off"]
)
texts = st.lists(st.tuples(words, st.sampled_from([" ", ", ", "-", " & "])), max_size=12).map(
    lambda parts: "".join(word + gap for word, gap in parts)
)


@given(texts | st.text(max_size=60), st.sets(st.sampled_from(["gucci", "brand=golden goose", "top"])))
def test_links_never_overlap_and_are_words_of_the_text(text, unlink):
    linker = Linker(SHOP, WORDS)
    links, _ = linker.link(text, unlink=unlink)
    starts, ends = map(set, zip(*words_of(text).spans, strict=True)) if links else ((), ())
    for link, following in itertools.zip_longest(links, links[1:]):
        assert link.start in starts
        assert link.end in ends
        assert text[link.start : link.end] == link.words
        assert following is None or link.end <= following.start
    entities = {f"{link.group}={link.entity}" for link in links if link.kept}
    assert not unlink & (entities | {link.entity for link in links if link.kept})


@given(st.lists(words, min_size=1, max_size=14))
def test_exact_links_are_what_a_plain_scan_finds(typed):
    """An oracle: from the left, the longest phrase of the vocabulary that begins here."""
    phrases = {" ".join(re.findall(r"\w+", own.entity)): own.entity for own in SHOP} | {"rag and bone": "rag & bone"}
    expected, place = [], 0
    while place < len(typed):
        for length in range(MOST_WORDS, 0, -1):
            phrase = " ".join(typed[place : place + length])
            if phrase in phrases and place + length <= len(typed):
                expected.append(phrases[phrase])
                place += length
                break
        else:
            place += 1
    links, _ = Linker(SHOP, WORDS).link(" ".join(typed))
    assert [link.entity for link in links if link.score == 1] == expected


HOSTILE = ["aa " * 3333, "brand " * 1666, "brandt houze " * 770, "b" * 10_000, "brand 00001 " * 833]


@pytest.mark.parametrize("text", [*HOSTILE, "a" * 5_000 + " b" * 2_500], ids=lambda text: text[:12])
def test_work_on_ten_thousand_hostile_characters_is_bounded(text, monkeypatch):
    overlapping = [known(" ".join(["aa"] * length), tagged=length) for length in range(1, MOST_WORDS + 1)]
    linker = Linker([*overlapping, *(known(f"brand {number} project") for number in range(500))], ["project"])
    spelt, compared = [], []
    spellings = TypedWords.spellings
    monkeypatch.setattr(TypedWords, "spellings", lambda *asked: spelt.append(asked) or spellings(*asked))
    nearest = linker._slips.nearest
    monkeypatch.setattr(linker._slips, "nearest", lambda phrase: compared.append(phrase) or nearest(phrase))
    links, notes = linker.link(text)
    assert len(compared) <= MOST_SLIPS * MOST_WORDS * (MOST_WORDS + 1) // 2
    assert len(spelt) <= MOST_WORDS * len(words_of(text).words)
    assert all(following.start >= link.end for link, following in itertools.pairwise(links))
    if text.startswith("brandt"):
        assert notes == ["1,516 more unknown words were not compared with the entities"]


def test_a_vocabulary_of_nothing(tmp_path):
    assert Linker([], []).link("golden goose") == ([], [])
    assert Linker([known("&&&")], []).link("golden & goose") == ([], [])
    with pytest.raises(EiclipError, match="no table entity_vocabulary of 'shop'"):
        Linker.open(Lake(tmp_path), "shop", ["brand"])


COLOURS = [known(name, "colour") for name in ("black", "white", "off white")]


def test_a_text_names_several_colours():
    several = Linker(COLOURS, [])
    text = "black with off white dress, black"
    assert kept(several, text) == [("colour", "black"), ("colour", "off white"), ("colour", "black")]
    assert kept(several, text, unlink=("black",)) == [("colour", "off white")]
    [black, white] = several.link("black white", given={"colour": ["white", "red"]})[0]
    assert (black.kept, white.kept) == (False, True), "what is given by hand is all there is of the group"
    assert black.why == "the colour is 'white', 'red' already"


def test_the_lakes_vocabulary_is_read_by_group(home):
    both, brands = (Linker.open(home.lake, "shop", groups) for groups in (("brand", "season"), ("brand",)))
    assert kept(both, "b0 fw2016") == [("brand", "b0"), ("season", "fw2016")]
    assert kept(brands, "b0 fw2016") == [("brand", "b0")]
    [link] = brands.link("coat by the b1")[0]
    assert (link.entity, link.words) == ("b1", "the b1"), "a spelling of the raw rows"
    [general] = both.link("a b2 coat")[0]
    assert general.why == "a general word: 3 training products are tagged with it, 30 only mention it"
    assert not general.kept
