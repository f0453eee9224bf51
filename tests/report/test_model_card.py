"""Model cards: the code in them runs, the figures are the catalogue's, and what is not known is not told."""

import re

import duckdb
import open_clip
import pytest
import torch
from torch.nn import functional as F

from eiclip.errors import CorruptOutputError
from eiclip.model.entity_clip import EntityClipModel, load_checkpoint, save_checkpoint
from eiclip.model.sources import SMALL
from eiclip.model.towers import new_towers
from eiclip.model.variants import VARIANTS, get_variant
from eiclip.model.vocabulary import Vocabulary
from eiclip.report.model_card import Origin, model_card
from eiclip.report.model_card_texts import WHAT, start_of
from eiclip.settings.training import TrainingSettings
from eiclip.storage.catalogue import connect

HOSTILE = "a|b <script>"
VOCABULARY = Vocabulary({"brand": ["<unk>", "diesel"], HOSTILE: ["<unk>", "fw2016"]}, {})
DRAWN = Origin("general", embedded=True)


def checkpoint(folder, variant, **training):
    torch.manual_seed(0)
    settings = TrainingSettings(**training)
    model = EntityClipModel(new_towers(SMALL, 0), get_variant(variant), VOCABULARY, settings)
    extra = {"dataset": "fashiongen", "steps": 219, "device": "cpu", "seed": 3, "torch": "2.0"}
    extra["outcome"] = {"verdict": "still rising", "message": "validation SumR was still rising: train longer"}
    save_checkpoint(model, folder, extra | {"validation": {"i2t_r1": 33.7, "t2i_r1": 31.5, "sum_r": 357.9}})
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    plain = {name: checkpoint(root / name, name) for name in ("clip_pretrained", "clip_entities_text", "eiclip")}
    return plain | {"eiclip_plus": checkpoint(root / "eiclip_plus", "eiclip_plus", image_levels=True)}


def card(home, folders, variant, origin=DRAWN):
    with connect(home) as connection:
        return model_card(connection, folders[variant], "fashiongen", variant, origin)


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
    text = re.sub(" +", " ", card(whole_home, folders, "eiclip"))
    assert text.startswith("# EI-CLIP (row 5), trained for `fashiongen`\n")
    assert "| 5 | EI-CLIP | 27.1 [24.1, 30.1] |" in text
    assert "EI-CLIP (row 5) beats CLIP fine-tuned, entities as text (row 3). Recall@1" in text
    assert "| | chance | 0.2 | 1.2 | 2.5 |" in text
    assert "| chance | 1.0 | 1.0 | 1.0 | 1.0 |" in text, "MRR and nDCG@10"
    assert "Outcome, still rising: validation SumR was still rising: train longer." in text
    assert "| seed | 3 |" in text
    assert "SumR 357.9" in text
    assert "| test | 60 | 120 |" in text
    assert "Fingerprint of the data: `da7a`." in text
    assert "| run | run-1 |" in text
    assert "| numpy | 2.0 |" in text
    assert "## Gates by group" in text


def test_row_6_is_not_the_papers_and_more_than_its_towers(whole_home, folders):
    text = re.sub(" +", " ", card(whole_home, folders, "eiclip_plus"))
    assert text.startswith("# EI-CLIP+, our own (row 6), trained for `fashiongen`\n")
    assert "| Row of the paper’s Table 1 | none: row 6 is our own |" in text
    assert "| 6 | EI-CLIP+, our own (not in the paper) | 33.2 [30.2, 36.2] |" in text
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


def test_names_cannot_break_the_card(whole_home, folders):
    text = card(whole_home, folders, "eiclip")
    assert "a\\|b &lt;script> (1)" in text
    assert "<script>" not in text.replace("&lt;script>", "")


def test_nothing_is_made_up_where_nothing_is_known(fake, folders):
    with duckdb.connect() as connection:
        text = model_card(connection, folders["eiclip"], "fashiongen", "eiclip", DRAWN)
    assert "Nothing has been measured yet" in text
    assert "there are no intervals yet" in text
    assert "## Training data" not in text
    assert "## Gates" not in text
    assert "None" not in text


def test_every_row_has_its_words():
    assert list(WHAT) == list(VARIANTS)


@pytest.mark.parametrize(
    ("pretrained", "embedded", "said"),
    [
        ("general", True, "no one else’s weights"),
        ("openai", False, "released weights (`openai` of open_clip)"),
        ("hf-hub:shop/clip", False, "the hub repository `shop/clip`"),
        ("/home/someone/weights.safetensors", False, "local weights (`weights.safetensors`)"),
    ],
)
def test_where_the_weights_come_from(pretrained, embedded, said):
    told = start_of(pretrained, embedded=embedded)
    assert said in told
    assert "/home/" not in told
    assert ("drawn by this project" in told) == embedded


def test_a_folder_that_is_no_checkpoint(whole_home, tmp_path):
    with connect(whole_home) as connection, pytest.raises(CorruptOutputError, match=r"eiclip.json.*materialise"):
        model_card(connection, tmp_path, "fashiongen", "eiclip", DRAWN)
