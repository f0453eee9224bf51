"""Jobs: what is run as one."""

import dagster as dg

full_eval = dg.define_asset_job(
    "full_eval",
    selection="*",
    description="From raw files to the report: ingest, train the five rows, embed, rank, report. What has not changed "
    "since the last run is reused.",
)
