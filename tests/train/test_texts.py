"""Any text at all, read as evaluation or as training does, is embedded as open_clip itself embeds it."""

import numpy as np
import open_clip
import pyarrow as pa
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eiclip.model.inputs import ModelInputs
from eiclip.model.pretrained import resolve_towers
from eiclip.model.sources import SMALL
from eiclip.model.tokenizer import clip_tokenizer
from eiclip.model.towers import context_length, encode_text, new_towers, save_towers, tokenizer_of
from eiclip.model.variants import get_variant
from eiclip.model.vocabulary import Vocabulary
from eiclip.train.texts import Texts
from tests.kinds import KINDS, make

MARKS = ["™", "®", "–", "•", "★", "€", "/", "&", "+", "🔥", "❤️", "👩‍🔧"]
"""A "!" right before one of these is the token of id 0, which the padding is of too."""
WORDS = ["hot", "sneaker", " ", "!", "<start_of_text>", "<end_of_text>", *MARKS]
BIASED = st.lists(st.sampled_from(WORDS) | st.sampled_from(MARKS).map("!{}".format), max_size=8).map("".join)
TEXT = st.text(max_size=60) | st.builds(str.__mul__, BIASED, st.sampled_from([1, 1, 1, 30]))
"""Every character but surrogates, which the tokenizer refuses; some texts are longer than any context."""

COCA = SMALL | {
    "text_cfg": SMALL["text_cfg"] | {"context_length": 63, "embed_cls": True, "output_tokens": True},
    "vision_cfg": SMALL["vision_cfg"] | {"attentional_pool": True, "attn_pooler_heads": 4, "output_tokens": True},
    "multimodal_cfg": {"context_length": 63, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 1},
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Towers this small are quickest on one, all the more beside others' work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=["causal", "bidirectional", "coca", "siglip", "bert", "roberta", "own end"])
def towers(request, tmp_path_factory):
    """Small towers: the causal ones and those that know padding cut what they read, others read the full context."""
    if request.param in KINDS:
        folder = tmp_path_factory.mktemp("kinds") / "towers"
        make(request.param, folder)
        return resolve_towers("ignored", str(folder)).eval()
    if request.param == "coca":
        torch.manual_seed(0)
        made = open_clip.CoCa(**COCA)
        for parameter in made.parameters():  # open_clip leaves some as they lay in memory
            torch.nn.init.normal_(parameter, std=0.02)
        return made.eval()
    changed = {"no_causal_mask": request.param == "bidirectional"}
    return new_towers(SMALL | {"text_cfg": SMALL["text_cfg"] | changed}, 0).eval()


@pytest.fixture(scope="module")
def their_tokenizer(towers, tmp_path_factory):
    """open_clip's own, of the folder that these towers are saved in."""
    folder = tmp_path_factory.mktemp("saved")
    if not isinstance(getattr(towers, "config", None), dict):
        return open_clip.SimpleTokenizer()
    save_towers(towers, folder)
    return open_clip.get_tokenizer(f"local-dir:{folder}")


def read_by_training(inputs, texts):
    entities = pa.array([[]] * len(texts), pa.map_(pa.string(), pa.list_(pa.string())))
    return Texts(pa.table({"description": pa.array(texts, pa.string()), "entities": entities}), inputs)


def difference(found_BD, wanted_BD):
    """Largest difference of any number of an embedding, relative to the length of open_clip's."""
    return float(((found_BD - wanted_BD).abs().amax(dim=1) / wanted_BD.norm(dim=1)).max())


@settings(deadline=None)
@example(["hot!🔥 sneaker"])
@example(["hot!🔥 sneaker", "bag"])
@example(["<end_of_text> hot <end_of_text>!™", "!®"])
@example(["hot!🔥 sneaker " * 30, "!™" * 90, "bag"])
@given(st.lists(TEXT, min_size=1, max_size=9))
@torch.inference_mode()
def test_every_text_is_embedded_as_open_clip_does_alone_and_in_a_batch(towers, their_tokenizer, texts):
    length = context_length(towers)
    inputs = ModelInputs(
        get_variant("clip_description"), Vocabulary({"brand": ["<unk>"]}, {}), True, 64, tokenizer_of(towers)
    )
    trained = read_by_training(inputs, texts)
    theirs_BD = towers.encode_text(their_tokenizer(texts, context_length=length))
    everyone = list(range(len(texts)))
    for numbers in [everyone, *([number] for number in everyone)]:
        evaluation_BL = inputs.token_ids([texts[number] for number in numbers])
        training_BL, *_ = trained.of(np.array(numbers))
        for tokens_BL in (evaluation_BL, training_BL):
            assert difference(encode_text(towers, tokens_BL), theirs_BD[numbers]) < 1e-5


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=9))
def test_a_text_is_as_long_as_its_tokens_and_two_marks(texts):
    wanted = [min(64, clip_tokenizer().count(text) + 2) for text in texts]
    for dtype in (torch.int32, torch.int64):
        assert clip_tokenizer(64).lengths(clip_tokenizer(64).ids(texts).to(dtype)).tolist() == wanted


def test_tokens_without_an_end_mark_are_all_kept():
    assert clip_tokenizer().lengths(torch.tensor([[49406, 0, 320], [49406, 49407, 0]])).tolist() == [3, 2]
