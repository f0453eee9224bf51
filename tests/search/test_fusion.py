"""Weights: learned ones rank and tell matches from others; a table holds them; the rest keep their defaults."""

import numpy as np
import pytest

from eiclip.search.fusion import CONSTANT, DEFAULTS, MATCH, Example, Weights, default_weight


def examples(queries=40, products=60, seed=0, informative="coverage"):
    """Queries of which one signal tells relevant products, and another is noise."""
    draw = np.random.default_rng(seed)
    for _ in range(queries):
        relevant_N = draw.random(products) < 0.15
        signal_N = (0.5 * relevant_N + draw.normal(0, 0.12, products)).astype(np.float32)
        noise_N = draw.random(products).astype(np.float32)
        others = [name for name in ("coverage", "photo") if name != informative]
        yield Example("kind", {informative: signal_N, others[0]: noise_N}, relevant_N)


@pytest.mark.parametrize("informative", ["coverage", "photo"])
def test_learned_weights_rank_and_tell_matches(informative):
    weights = Weights.learned(list(examples(informative=informative)))
    noise = ({"coverage", "photo"} - {informative}).pop()
    assert weights.weight(informative) > 4 * weights.weight(noise) >= 0
    correct = total = 0
    for one in examples(seed=1, informative=informative):
        score_N = weights.scores(one.signals)
        correct += int(((score_N >= MATCH) == one.relevant_N).sum())
        total += len(score_N)
    assert correct / total > 0.95


def test_scores_are_calibrated():
    """Of all products scored about p, the share p is relevant."""
    draw = np.random.default_rng(3)

    def drawn(queries):
        for _ in range(queries):
            signal_N = draw.normal(0, 1, 200).astype(np.float32)
            relevant_N = draw.random(200) < 1 / (1 + np.exp(3 - 1.5 * signal_N))
            yield Example("kind", {"coverage": signal_N}, relevant_N)

    weights = Weights.learned(list(drawn(60)), pull=0)
    tested = list(drawn(200))
    odds_P = np.concatenate([weights.scores(one.signals) for one in tested])
    relevant_P = np.concatenate([one.relevant_N for one in tested])
    for low, high in ((-4, -2), (-2, 0), (0, 3)):
        chosen = (odds_P > low) & (odds_P <= high)
        assert relevant_P[chosen].mean() == pytest.approx((1 / (1 + np.exp(-odds_P[chosen]))).mean(), abs=0.04)


def test_queries_of_nothing_in_the_catalogue_lower_the_scores():
    """Products that answer half of a query are no matches, once queries say so."""
    half = [Example("absent", {"coverage": np.full(60, 0.5, np.float32)}, np.zeros(60, dtype=bool)) for _ in range(20)]
    with_them = Weights.learned([*examples(), *half])
    assert (
        with_them.scores({"coverage": np.float32([0.5])})[0]
        < MATCH
        < with_them.scores({"coverage": np.float32([0.9])})[0]
    )


def test_kinds_count_equally():
    """A thousand queries of one kind outweigh not the ten of another."""
    draw = np.random.default_rng(7)

    def of(kind, signal, queries):
        for _ in range(queries):
            relevant_N = draw.random(30) < 0.2
            right_N = (relevant_N + draw.normal(0, 0.3, 30)).astype(np.float32)
            yield Example(
                kind, {signal: right_N, ({"photo", "text"} - {signal}).pop(): np.zeros(30, np.float32)}, relevant_N
            )

    weights = Weights.learned([*of("many", "photo", 1000), *of("few", "text", 100)])
    assert weights.weight("photo") == pytest.approx(weights.weight("text"), rel=0.2)


def test_a_signal_that_no_query_has_keeps_its_default_and_no_query_means_defaults():
    weights = Weights.learned(list(examples()))
    assert weights.weight("entity season") == default_weight("entity season") == DEFAULTS["entity"]
    assert Weights.learned([]) == Weights.default()
    assert Weights.default().constant == CONSTANT


def test_a_table_holds_them():
    weights = Weights.learned(list(examples()))
    assert Weights.of_table(weights.table("words"), "words") == weights
    assert Weights.of_table(weights.table("words"), "product") == Weights.default()


def test_texts_tell_where_a_match_begins_though_not_all_that_match_is_known():
    """Of a text one product is known to be meant; another that scores higher is not counted against it."""
    draw = np.random.default_rng(9)

    def texts(twin):
        for _ in range(30):
            signal_N = draw.uniform(0, 0.4, 40).astype(np.float32)
            signal_N[:2] = 0.8, twin
            yield Example("texts", {"coverage": signal_N}, np.arange(40) == 0, complete=False)

    alone, with_twin = (Weights.learned([*texts(twin)]) for twin in (0.1, 0.9))
    for weights in (alone, with_twin):
        odds = weights.scores({"coverage": np.float32([0.4, 0.8])})
        assert odds[0] < MATCH < odds[1]


def test_queries_without_a_fault_make_no_score_certain():
    """Weights stay near the defaults where they tell all apart: the scale is not that of a step function."""
    perfect = [
        Example("kind", {"coverage": np.repeat(np.float32([1, 0.5]), 20)}, np.arange(40) < 20) for _ in range(50)
    ]
    assert Weights.learned(perfect).weight("coverage") < 10 * default_weight("coverage")
