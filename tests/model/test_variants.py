"""The five rows as data, and the text that row 3 reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eiclip.errors import SettingsError
from eiclip.model.variants import VARIANTS, compose_text, get_variant

GROUPS = ("brand", "subcategory", "season")
words = st.text(alphabet="abcxyz ", min_size=1, max_size=8)
tagged = st.dictionaries(st.sampled_from([*GROUPS, "elsewhere"]), words)


def test_rows_are_the_papers_five_in_its_order():
    assert [variant.row for variant in VARIANTS.values()] == [1, 2, 3, 4, 5]
    assert all(name == variant.name for name, variant in VARIANTS.items())
    assert [v.row for v in VARIANTS.values() if not v.trained] == [1]
    assert [v.row for v in VARIANTS.values() if v.entities_as_text] == [3]
    assert [v.row for v in VARIANTS.values() if v.has_entities] == [4, 5]
    assert [v.gates for v in VARIANTS.values()] == ["none", "none", "none", "equal", "learned"]


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(SettingsError) as caught:
        get_variant("eiclip2")
    assert all(name in str(caught.value) for name in ["'eiclip2'", *VARIANTS])


@given(words, tagged, st.booleans(), st.sampled_from(["", *GROUPS]))
def test_text_is_the_description_with_the_tags_of_the_groups_in_their_order(
    description, entities, first, excluded_group
):
    text = compose_text(description, entities, GROUPS, entities_first=first, excluded_group=excluded_group)
    tags = [entities[group] for group in GROUPS if group in entities and group != excluded_group]
    assert text.endswith(description) if first or not tags else text.startswith(description)
    assert len(text) == len(description) + (len(", ".join(tags)) + 2 if tags else 0)
    places = [text.find(tag) for tag in tags]
    assert -1 not in places


@given(words, tagged, st.booleans())
def test_a_group_left_out_is_a_group_that_is_not_there(description, entities, first):
    without = {group: entity for group, entity in entities.items() if group != "season"}
    excluded_group = compose_text(description, entities, GROUPS, entities_first=first, excluded_group="season")
    assert excluded_group == compose_text(description, without, GROUPS, entities_first=first)


def test_tags_before_or_after():
    entities = {"season": "fw2016", "brand": "diesel"}
    assert compose_text("A coat.", entities, GROUPS, entities_first=True) == "diesel, fw2016. A coat."
    assert compose_text("A coat.", entities, GROUPS, entities_first=False) == "A coat. diesel, fw2016."
    assert compose_text("A coat.", {}, GROUPS, entities_first=True) == "A coat."
