"""Jobs: what is run as one."""

import dagster as dg

full_eval = dg.define_asset_job(
    "full_eval",
    selection="*",
    description="From raw files to the report: ingest, train the five rows, embed, rank, report. What has not changed "
    "since the last run is reused.",
)

ingest = dg.define_asset_job(
    "ingest",
    selection='(+key:"*/shards" or +key:"*/data_profile" or key:"*/brand_names" or key:"*/candidate_lists")'
    ' and not key:"general/*"',
    description="From raw files to shards and the data profile: what a new catalogue is looked at with, before any "
    "training.",
)
