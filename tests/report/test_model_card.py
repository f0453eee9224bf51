"""Model cards: the code in them runs, the figures are the catalogue's, and what is not known is not told."""

import json
import re

import duckdb
import open_clip
import pyarrow as pa
import pytest
import torch
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from torch.nn import functional as F

from eiclip.errors import CorruptOutputError
from eiclip.model.entity_clip import EntityClipModel, load_checkpoint, save_checkpoint
from eiclip.model.sources import SMALL
from eiclip.model.towers import new_towers
from eiclip.model.variants import CROSS_VARIANTS, VARIANTS, get_variant
from eiclip.model.vocabulary import Vocabulary
from eiclip.report.model_card import Origin, model_card
from eiclip.settings.training import TrainingSettings
from eiclip.storage.catalogue import connect

HOSTILE = """a|b <script>alert(1)</script> `c` ``d [x](y) *e* \\ &lt; $f$ ~~g~~
---
# h: {i}, 'j' "k" {{ l }} <"""
VOCABULARY = Vocabulary({"brand": ["<unk>", "diesel"], "season": ["<unk>", "fw2016"]}, {})
DRAWN = Origin("general", embedded=True)


def checkpoint(folder, variant, vocabulary=VOCABULARY, **training):
    torch.manual_seed(0)
    settings = TrainingSettings(**training)
    model = EntityClipModel(new_towers(SMALL, 0), get_variant(variant), vocabulary, settings)
    extra = {"dataset": "fashiongen", "steps": 219, "device": "cpu", "seed": 3, "torch": "2.0"}
    extra["outcome"] = {"verdict": "still rising", "message": "validation SumR was still rising: train longer"}
    save_checkpoint(model, folder, extra | {"validation": {"i2t_r1": 33.7, "t2i_r1": 31.5, "sum_r": 357.9}})
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    levels = {"eiclip_plus": {"image_levels": True}}
    return {name: checkpoint(root / name, name, **levels.get(name, {})) for name in VARIANTS}


@pytest.fixture(scope="module")
def cross_folders(tmp_path_factory):
    root, small = tmp_path_factory.mktemp("cross"), {"width": 16, "heads": 2, "layers": 1}
    return {name: checkpoint(root / name, name, cross=small) for name in CROSS_VARIANTS}


def card(home, folders, variant, origin=DRAWN):
    """The card's text, as it stands after the metadata."""
    with connect(home) as connection:
        return ModelCard(model_card(connection, folders[variant], "fashiongen", variant, origin)).text.lstrip()


def code_of(text):
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("variant", "blocks"), [("clip_pretrained", 1), ("clip_entities_text", 2), ("eiclip", 2), ("eiclip_plus", 2)]
)
def test_the_code_of_a_card_runs_where_the_card_lies(whole_home, folders, variant, blocks, monkeypatch, capsys):
    code = code_of(card(whole_home, folders, variant))
    assert len(code) == blocks
    monkeypatch.chdir(folders[variant])
    for block in code:
        exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert printed.startswith("tensor([[")
    if blocks > 1:
        assert f"[{{'brand': ['some name of it']}}] (1, {SMALL['embed_dim']})" in printed


def test_figures_are_the_catalogues(whole_home, folders):
    text = card(whole_home, folders, "eiclip")
    assert text.startswith("# EI-CLIP (row 5), trained for `fashiongen`\n")
    assert "| recall@1 from photo to text | 27.1 | 24.1 to 30.1 | 0.2 | 25.7 |" in text
    assert "| SumR | 340.6 | 337.6 to 343.6 | 8.0 | 302 |" in text
    assert "EI-CLIP (row 5) beats CLIP fine-tuned, entities as text (row 3). Recall@1" in text
    assert "| MRR from photo to text | 43.4 | 40.4 to 46.4 | 1.0 | – |" in text
    assert "| recall@1 from photo to text | 43.4 | 40.4 to 46.4 | 0.4 |\n" in text, "sample-100: nothing printed"
    assert "Outcome, still rising: validation SumR was still rising: train longer." in text
    assert "| seed | 3 |" in text
    assert "SumR 357.9" in text
    assert "| test | 60 | 120 |" in text
    assert "Fingerprint of the data: `da7a`." in text
    assert "| run | run-1 |" in text
    assert "| numpy | 2.0 |" in text
    assert "## Gates by group" in text


def test_row_6_is_not_the_papers_and_more_than_its_towers(whole_home, folders):
    text = card(whole_home, folders, "eiclip_plus")
    assert text.startswith("# EI-CLIP+, our own (row 6), trained for `fashiongen`\n")
    assert "| Row of the paper’s Table 1 | none: row 6 is our own |" in text
    assert "| recall@1 from photo to text | 33.2 | 30.2 to 36.2 | 0.2 |\n" in text, "the paper has no such row"
    assert "EI-CLIP+, our own (row 6) beats EI-CLIP (row 5). Recall@1" in text
    assert "without what the head in `levels.safetensors` adds to them:" in text
    assert "entity encoders and gates and the head over the image tower’s levels, by this project" in text
    assert "Gates of row 6" in text
    assert "| brand | 7 | 400 | 0.86 |" in text, "its own gates, not row 5's"
    assert "levels.safetensors" not in card(whole_home, folders, "eiclip")


def test_what_open_clip_loads_of_row_6_is_its_towers_alone(folders):
    photos = torch.rand(2, 3, SMALL["vision_cfg"]["image_size"], SMALL["vision_cfg"]["image_size"])
    for variant, alone in (("eiclip", True), ("eiclip_plus", False)):
        towers = open_clip.create_model(f"local-dir:{folders[variant]}").eval()
        with torch.inference_mode():
            ours, theirs = load_checkpoint(folders[variant]).encode_image(photos), towers.encode_image(photos)
        assert torch.allclose(F.normalize(ours, dim=-1), F.normalize(theirs, dim=-1), atol=1e-5) == alone


def test_a_row_without_entities_may_have_a_levels_head_too(whole_home, tmp_path, monkeypatch, capsys):
    folder = checkpoint(tmp_path / "model", "clip_description", image_levels=True)
    text = card(whole_home, {"clip_description": folder}, "clip_description")
    assert "The whole model, with the head over the image tower’s levels, by this project" in text
    monkeypatch.chdir(folder)
    exec(compile(code_of(text)[1], "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith(f"(1, {SMALL['embed_dim']})")


def test_limits_are_measured(whole_home, folders):
    limits = card(whole_home, folders, "eiclip").split("## Known limits")[1].split("## Licence")[0]
    assert "it knows nothing of real photos" in limits
    assert "recall@1 from photo to text from 24.1 to 30.1" in limits
    assert "It makes nothing of `season`" in limits
    assert "It makes nothing of `brand`" not in limits
    assert "`brand` that training saw too rarely or never: recall@1 from text to photo 21.0 over 44" in limits
    assert "One training with one seed" in limits


def test_trainings_with_other_seeds(fake, folders):
    fake.table("seed_study_summary", "fashiongen", [
        {"variant": "eiclip", "row": 5, "seeds": 3, "sum_r": 341.26, "sum_r_spread": 4.04},
        {"variant": "clip_description", "row": 2, "seeds": 1, "sum_r": 180.0, "sum_r_spread": None},
    ])  # fmt: skip
    home = fake.refresh()
    text = card(home, folders, "eiclip")
    assert "over 3 seeds its SumR is 341.3 in the mean, with a standard deviation of 4.0" in text
    assert "One training with one seed" not in text
    assert "One training with one seed" in card(home, folders, "clip_description")


def test_a_hub_reads_the_figures_from_the_metadata(whole_home, folders, tmp_path):
    with connect(whole_home) as connection:
        (tmp_path / "README.md").write_text(model_card(connection, folders["eiclip"], "fashiongen", "eiclip", DRAWN))
        found = connection.sql("FROM leaderboard WHERE variant = 'eiclip'").to_arrow_table().to_pylist()
    board = {row["protocol"]: row for row in found}
    data = ModelCard.load(tmp_path / "README.md").data
    assert data.model_name == "EI-CLIP (row 5), fashiongen"
    assert (data.library_name, data.license, data.base_model) == ("open_clip", "mit", None)
    measures = {name for name in board["full"] if name[:3] in ("i2t", "t2i", "sum")}
    assert len(measures) == 11
    results = {(result.metric_config, result.metric_type): result for result in data.eval_results}
    assert set(results) == {(protocol, name) for protocol in ("full", "sample100") for name in measures}
    for (protocol, name), result in results.items():
        assert result.metric_value == board[protocol][name]
        assert (result.dataset_name, result.dataset_split) == ("fashiongen", "test")


def read_markdown(text):
    """What a Markdown reader makes of a text: its blocks, and the lines of text in them."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [token for token in tokens if token.type != "inline"], [token for token in tokens if token.type == "inline"]


def test_names_cannot_break_the_card(tmp_path):
    vocabulary = Vocabulary({HOSTILE: ["<unk>", "fw2016"]}, {})
    folder = checkpoint(tmp_path / "model", "eiclip", vocabulary)
    tables = {
        "leaderboard": {"protocol": "full", "variant": "eiclip", "paper_row": 5}
        | {f"{way}_{name}": 1.0 for way in ("i2t", "t2i") for name in ("r1", "r5", "r10", "mrr", "ndcg10")}
        | {"sum_r": 6.0},
        "entity_shuffles": {"variant": "eiclip", "entity_group": HOSTILE, "direction": "t2i", "r1": 1.0,
                            "r1_shuffled": 1.0, "r1_lost": 0.0},
        "runs": {"run_id": HOSTILE, "data_fingerprint": HOSTILE, "versions": json.dumps({HOSTILE: HOSTILE})}
        | dict.fromkeys(("finished_at", "seed", "config_hash", "code_version", "device", "seconds")),
    }  # fmt: skip
    with duckdb.connect() as connection:
        for name, row in tables.items():
            made = pa.Table.from_pylist([{"dataset": HOSTILE} | row])
            connection.register("made", made)
            connection.execute(f"CREATE TABLE {name} AS FROM made")
        connection.execute("ALTER TABLE runs ALTER finished_at TYPE TIMESTAMP")
        (tmp_path / "README.md").write_text(
            model_card(connection, folder, HOSTILE, "eiclip", Origin(f"hf-hub:{HOSTILE}", embedded=False))
        )
    read = ModelCard.load(tmp_path / "README.md")
    assert {result.dataset_name for result in read.data.eval_results} == {HOSTILE}
    assert read.data.base_model == HOSTILE
    assert read.data.license is None, "others' weights and data"
    blocks, lines = read_markdown(read.text)
    assert {token.type for line in lines for token in line.children} <= {"text", "code_inline", "softbreak"}
    assert {token.tag for token in blocks if token.type == "heading_open"} == {"h1", "h2"}
    assert not {"html_block", "hr", "code_block"} & {token.type for token in blocks}
    name = " ".join(HOSTILE.split())
    shown = ["".join(token.content for token in line.children) for line in lines]
    assert shown[0] == f"EI-CLIP (row 5), trained for {name}"
    assert f"{name} (1)" in shown, "the entity groups"
    assert shown.count(name) == 3, "the run's id, a version and what it is of"
    assert f"Fingerprint of the data: {name}." in shown
    assert sum(line.startswith(f"It makes nothing of {name}: with") for line in shown) == 1
    assert sum(f"the hub repository {name}: this" in line for line in shown) == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_tables_are_whole(whole_home, folders, variant):
    text = card(whole_home, folders, variant)
    written = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    blocks, _ = read_markdown(text)
    assert len(written) == sum(token.type == "table_open" for token in blocks) >= 6
    for table in written:
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
        assert len({len(row) for row in rows}) == 1, table
        assert all(cell.strip() for row in rows for cell in row), table


def test_nothing_is_made_up_where_nothing_is_known(fake, folders):
    with duckdb.connect() as connection:
        text = model_card(connection, folders["eiclip"], "fashiongen", "eiclip", DRAWN)
    assert "Nothing has been measured yet" in text
    assert "there are no intervals yet" in text
    assert "## Training data" not in text
    assert "## Gates" not in text
    assert "None" not in text
    assert ModelCard(text).data.eval_results is None


def test_every_row_has_its_words(whole_home, folders):
    said = {card(whole_home, folders, name).split("\n\n")[2] for name in VARIANTS}
    assert len(said) == len(VARIANTS)


@pytest.mark.parametrize(
    ("pretrained", "embedded", "said", "licence"),
    [
        ("general", True, "no one else’s weights", "mit"),
        ("general", False, "no one else’s weights", None),
        ("openai", True, "released weights (`openai` of open_clip)", None),
        ("hf-hub:shop/clip", False, "the hub repository `shop/clip`", None),
        ("/home/someone/weights.safetensors", False, "local weights (`weights.safetensors`)", None),
    ],
)
def test_where_the_weights_come_from(folders, pretrained, embedded, said, licence):
    with duckdb.connect() as connection:
        text = model_card(connection, folders["eiclip"], "shop", "eiclip", Origin(pretrained, embedded))
    assert said in text
    assert "/home/" not in text
    assert ("The training data was drawn by this project" in text) == embedded
    data = ModelCard(text).data
    assert data.license == licence, "told only where everything is this project's own"
    assert data.base_model == ("shop/clip" if pretrained.startswith("hf-hub:") else None)


@pytest.mark.parametrize("variant", CROSS_VARIANTS)
def test_the_code_of_a_cross_encoders_card_scores_a_pair(whole_home, cross_folders, variant, monkeypatch, capsys):
    code = code_of(card(whole_home, cross_folders, variant))
    assert len(code) == (2 if variant == "eiclip_rerank" else 1)
    monkeypatch.chdir(cross_folders[variant])
    names = {}
    for block in code:
        exec(compile(block, "README.md", "exec"), names)
    printed = [float(line.strip("[]")) for line in capsys.readouterr().out.splitlines()]
    assert len(printed) == len(code)
    model = names["model"]
    assert model.variant.name == variant
    if len(code) > 1:
        of_row_5, own = model.cross.mix.tolist()
        with torch.inference_mode():
            logit = model.scale * torch.from_numpy(names["cosine"])
        assert printed[1] == pytest.approx(of_row_5 * logit.item() + own * printed[0], abs=1e-3)


def test_a_cross_encoders_figures_are_those_of_its_own_tables(whole_home, folders, cross_folders):
    text = card(whole_home, cross_folders, "eiclip_rerank")
    assert text.startswith("# EI-CLIP, its first answers re-ranked (row 14), trained for `fashiongen`\n")
    assert "| recall@1 from photo to text | 51.4 | 48.4 to 54.4 | 0.4 |\n" in text, "sample-100"
    assert "| recall@1 from photo to text | 32.1 | 29.1 to 35.1 | 0.2 |\n" in text, "all candidates"
    assert "of which row 5’s first ones are scored again and the others keep row 5’s rank:" in text
    assert "Against EI-CLIP (row 5), all candidates, points with 95 % intervals: SumR +" in text
    assert r"recall@1 from photo to text +5.0 \[+2.0, +8.0\]" in text
    limits = text.split("## Known limits")[1].split("## Licence")[0]
    assert "recall cannot be above the share of right answers among these" in limits
    assert "It reads the first 64 tokens of a text." in limits
    assert "| cross | layers 1; width 16;" in text
    assert "cross" not in card(whole_home, folders, "eiclip"), "the settings of other rows"


def test_every_cross_encoder_has_its_words_and_whole_tables(whole_home, cross_folders):
    texts = {name: card(whole_home, cross_folders, name) for name in CROSS_VARIANTS}
    assert len({text.split("\n\n")[2] for text in texts.values()}) == len(CROSS_VARIANTS)
    for name, text in texts.items():
        assert ("none: its Table 2 compares" in text) == (name != "eiclip_rerank")
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
            assert len({len(row) for row in rows}) == 1, table
            assert all(cell.strip() for row in rows for cell in row), table


def test_a_folder_that_is_no_checkpoint(whole_home, tmp_path):
    with connect(whole_home) as connection, pytest.raises(CorruptOutputError, match=r"eiclip.json.*materialise"):
        model_card(connection, tmp_path, "fashiongen", "eiclip", DRAWN)
