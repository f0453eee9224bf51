"""Ids of entities and what an entity of several groups is mixed from, from hand-made and from real tables."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eiclip.errors import CorruptOutputError
from eiclip.model.vocabulary import UNKNOWN, UNKNOWN_ID, Vocabulary, read_vocabulary
from eiclip.storage.lake import Lake

GROUPS = ("subcategory", "composition")
VOCABULARY = Vocabulary(
    {"subcategory": [UNKNOWN, "denim", "coats"], "composition": [UNKNOWN, "wool", "denim"]},
    {"denim": {"subcategory": 0.75, "composition": 0.25}},
)


NAMES = st.lists(st.sampled_from(["denim", "coats", "wool", "new", ""]), max_size=3)


@given(st.dictionaries(st.sampled_from([*GROUPS, "brand"]), NAMES))
def test_ids_are_the_places_in_the_group_or_unknown(entities):
    for group, numbers in zip(GROUPS, VOCABULARY.encode(entities), strict=True):
        for number, name in zip(numbers, entities.get(group, []), strict=True):
            if name in VOCABULARY.names[group]:
                assert VOCABULARY.names[group][number] == name
            else:
                assert number == UNKNOWN_ID


def test_mixture_of_every_entity_sums_to_one_and_names_it_in_both_groups():
    for group in GROUPS:
        ids, priors = VOCABULARY.mixture(group)
        assert ids.shape == priors.shape == (3, 2)
        assert torch.allclose(priors.sum(dim=1), torch.ones(3))
        number = VOCABULARY.entity_id(group, "denim")
        assert ids[number].tolist() == [1, 2]
        assert priors[number].tolist() == [0.75, 0.25]
    assert VOCABULARY.mixture("subcategory")[1][2].tolist() == [1, 0], "coats has one semantics"
    assert VOCABULARY.mixture("composition")[1][0].tolist() == [0, 1], "<unk> stays in its group"


def write(folder, rows, prior=()):
    text = pa.string()
    for name, values, columns in (
        ("vocabulary", rows, {"entity_group": text, "entity_id": pa.int64(), "entity": text}),
        ("prior", prior, {"entity": text, "entity_group": text, "prior": pa.float64()}),
    ):
        found = [dict(zip(columns, row, strict=True)) for row in values]
        pq.write_table(pa.Table.from_pylist(found, schema=pa.schema(columns)), folder / f"{name}.parquet")
    return folder / "vocabulary.parquet", folder / "prior.parquet"


def test_rows_are_read_whatever_their_order_and_groups_in_the_models(tmp_path):
    rows = [("subcategory", n, name) for n, name in enumerate([UNKNOWN, "denim", "coats"])]
    rows += [("composition", n, name) for n, name in enumerate([UNKNOWN, "wool", "denim"])]
    prior = [("denim", "subcategory", 0.75), ("denim", "composition", 0.25), ("coats", "subcategory", 1.0)]
    read = read_vocabulary(GROUPS, *write(tmp_path, rows[::-1], prior))
    assert read == VOCABULARY
    assert read.groups == GROUPS


@pytest.mark.parametrize(
    ("groups", "shares"),
    [
        (("brand", "subcategory"), {"brand": 0.25, "subcategory": 0.75}),
        (("composition", "brand"), {"composition": 0.8, "brand": 0.2}),
        (("subcategory",), None),
        (("season", "brand"), None),
    ],
)
def test_some_groups_alone_share_the_priors_of_all_out_among_them(tmp_path, groups, shares):
    rows = [(g, n, name) for g in ("brand", "subcategory", "composition") for n, name in enumerate([UNKNOWN, "top"])]
    rows += [("season", 0, UNKNOWN), ("season", 1, "fw2016")]
    prior = [("top", "brand", 0.125), ("top", "subcategory", 0.375), ("top", "composition", 0.5)]
    read = read_vocabulary(groups, *write(tmp_path, rows, prior))
    assert read.groups == groups
    assert read.priors == ({"top": pytest.approx(shares)} if shares else {})
    for group in groups:
        assert torch.allclose(read.mixture(group)[1].sum(dim=1), torch.ones(2))


@pytest.mark.parametrize("ids", [[0, 2], [1, 2], [0, 1, 1]])
def test_ids_with_gaps_are_an_error_that_names_the_table(tmp_path, ids):
    rows = [("subcategory", number, UNKNOWN) for number in ids] + [("composition", 0, UNKNOWN)]
    with pytest.raises(CorruptOutputError, match=r"vocabulary\.parquet: subcategory"):
        read_vocabulary(GROUPS, *write(tmp_path, rows))


def test_a_group_without_rows_is_an_error(tmp_path):
    with pytest.raises(CorruptOutputError, match="composition"):
        read_vocabulary(GROUPS, *write(tmp_path, [("subcategory", 0, UNKNOWN)]))


def test_from_the_relations_of_a_catalogue(tmp_path):
    """Denim tagged three times as subcategory and once as composition in training; test products count for nothing."""
    tags = [{"subcategory": "denim"}] * 3 + [{"composition": "denim", "subcategory": "coats"}, {"subcategory": "coats"}]
    tags += [{"composition": "denim", "subcategory": "seen in test"}] * 2
    products = [
        {"dataset": "d", "product_id": f"p{number}", "split": split, "description": "A coat."}
        for number, split in enumerate(["train"] * 5 + ["test"] * 2)
    ]
    tagged = [
        {name: product[name] for name in ("dataset", "product_id", "split")} | {"entity_group": group, "entity": entity}
        for product, entities in zip(products, tags, strict=True)
        for group, entity in entities.items()
    ]
    lake = Lake(tmp_path)
    lake.write(pa.Table.from_pylist(products), "products", "d")
    lake.write(pa.Table.from_pylist(tagged), "tagged_entities", "d")
    for table, sources, parameters in (
        ("entity_vocabulary", ["tagged_entities"], {"dataset": "d", "groups": list(GROUPS), "minimum": 1}),
        ("semantic_prior", ["tagged_entities", "products"], {"dataset": "d"}),
    ):
        inputs = {source: [lake.path(source, "d")] for source in sources}
        lake.query(f"entities/{table}", lake.path(table, "d"), inputs, parameters)
    read = read_vocabulary(GROUPS, lake.path("entity_vocabulary", "d"), lake.path("semantic_prior", "d"))
    assert read.names == {"subcategory": [UNKNOWN, "denim", "coats"], "composition": [UNKNOWN, "denim"]}
    assert read.priors == {"denim": {"subcategory": 0.75, "composition": 0.25}}
    ids, priors = read.mixture("composition")
    assert ids[1].tolist() == [1, 1]
    assert priors[1].tolist() == [0.75, 0.25]
