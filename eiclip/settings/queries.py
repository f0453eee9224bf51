"""Settings of judged queries: the shop's own, from a file, and those that are made of its catalogue."""

from pydantic import Field, model_validator

from eiclip.settings.same_style import Location
from eiclip.settings.section import Section


class QueryColumns(Section):
    """Which columns of a table of queries hold what. BEIR's (`query-id`, `corpus-id`, `score`) need no names."""

    query: str = "query"  # its words; with `texts` its id
    product_id: str = "product_id"
    grade: str = "grade"  # how relevant, a whole number from 0: not at all; where there is no such column, 1


class QuerySettings(Section):
    """What search is measured with. Without a `file` that is the generated queries alone."""

    file: Location | None = None
    """A table (CSV, JSON, Parquet) of queries and products, BEIR's JSON {query: {product_id: grade}}, TREC qrels."""
    texts: Location | None = None
    """The queries' words, where `file` has their ids: lines of `id<TAB>words`, or JSON lines of `_id` and `text`."""
    log: bool = False
    """Whether `file` is a search log: a row a click (or `grade` clicks), and more clicks are a higher grade."""
    columns: QueryColumns = QueryColumns()
    encoding: str | None = None
    """Of the files, such as `cp1252`; None: UTF-8, or of a CSV file what most of its lines are in."""
    most_of_file: int = Field(5000, ge=1)  # queries of the file that are measured, drawn by the digest of their words
    minimum: int = Field(10, ge=1)  # products that a kind (or brand + kind, colour + kind) needs to be asked for
    most: int = Field(40, ge=0)  # generated queries of each of these
    most_products: int = Field(200, ge=0)  # and names, and descriptions, of test products

    @model_validator(mode="after")
    def _whole(self) -> "QuerySettings":
        for name in ("texts", "log"):
            if getattr(self, name) and not self.file:
                raise ValueError(f"queries.{name} is of a file of queries; name that as queries.file")
        named = list(self.columns.model_dump().values())
        if len(set(named)) < len(named):
            raise ValueError(f"queries.columns: {named} names a column twice")
        return self
