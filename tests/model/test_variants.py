"""The five rows as data."""

import pytest

from eiclip.errors import SettingsError
from eiclip.model.variants import VARIANTS, get_variant


def test_rows_are_the_papers_five_in_its_order_and_our_own():
    assert [variant.row for variant in VARIANTS.values()] == [1, 2, 3, 4, 5, 6]
    assert all(name == variant.name for name, variant in VARIANTS.items())
    assert [v.row for v in VARIANTS.values() if not v.trained] == [1]
    assert [v.row for v in VARIANTS.values() if v.entities_as_text] == [3]
    assert [v.row for v in VARIANTS.values() if v.has_entities] == [4, 5, 6]
    assert [v.gates for v in VARIANTS.values()] == ["none", "none", "none", "equal", "learned", "learned"]


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(SettingsError) as caught:
        get_variant("eiclip2")
    assert all(name in str(caught.value) for name in ["'eiclip2'", *VARIANTS])
