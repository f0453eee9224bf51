"""Printed figures as data, to stand beside this project's: the EI-CLIP paper's Table 1 and entity counts, its peers.

EI-CLIP: CVPR 2022, doi 10.1109/CVPR52688.2022.01752. Recalls in percent over all candidates of the real Fashion-Gen,
with OpenAI's CLIP ViT-B. The printed SumR is rounded to whole points.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperRow:
    """One row as printed: recall at 1, 5 and 10 from image to text and from text to image, and their sum."""

    i2t: tuple[float, float, float]
    t2i: tuple[float, float, float]
    sum_r: float

    def numbers(self) -> dict[str, float]:
        """The seven numbers by column of the leaderboard."""
        ways = {"i2t": self.i2t, "t2i": self.t2i}
        recalls = {
            f"{way}_r{k}": value for way, three in ways.items() for k, value in zip((1, 5, 10), three, strict=True)
        }
        return recalls | {"sum_r": self.sum_r}


TABLE_1: dict[int, PaperRow] = {
    1: PaperRow((9.4, 24.5, 33.5), (10.7, 26.8, 35.8), 141),
    2: PaperRow((22.5, 49.5, 62.0), (24.5, 51.1, 63.6), 273),
    3: PaperRow((23.3, 51.5, 64.6), (25.7, 53.9, 66.5), 285),
    4: PaperRow((25.2, 52.6, 64.8), (28.2, 56.6, 68.4), 296),
    5: PaperRow((25.7, 54.5, 66.8), (28.4, 57.1, 69.4), 302),
}

PEERS_SAMPLE100: dict[str, PaperRow] = {
    "FashionBERT (SIGIR 2020)": PaperRow((23.96, 46.31, 52.12), (26.75, 46.48, 55.74), 251.36),
    "Kaleido-BERT (CVPR 2021)": PaperRow((27.99, 60.09, 68.37), (33.88, 60.60, 68.59), 319.52),
}
"""Other methods on the real Fashion-Gen, 1 right item among 101 of its subcategory, as printed in Kaleido-BERT's table
of retrieval results (arXiv 2103.16110). The paper's own Table 2 is known here from quotations alone: it is left out."""

PAPER_ENTITIES: dict[str, dict[str, int]] = {
    "fashiongen": {"brand": 570, "subcategory": 122, "season": 10, "composition": 16_844},
    "amazon": {"brand": 184},
}
"""By kind of dataset: how many entities of each group the paper counts in the data it was run on."""


def peers(dataset: str, protocol: str) -> dict[str, PaperRow]:
    """Other methods' printed numbers that can stand below a leaderboard."""
    return PEERS_SAMPLE100 if (dataset, protocol) == ("fashiongen", "sample100") else {}


def paper_row(dataset: str, protocol: str, row: int | None) -> PaperRow | None:
    """What the paper printed for a row, where it printed anything that can be compared."""
    return TABLE_1.get(row or 0) if (dataset, protocol) == ("fashiongen", "full") else None
