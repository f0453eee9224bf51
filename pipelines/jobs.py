"""Jobs: what is run as one."""

import dagster as dg

from eiclip.ablations.trials import ABLATIONS

# Not "* and not ...": such strings warn of a beta parameter that Dagster itself gives.
select = dg.AssetSelection.from_string

full_eval = dg.define_asset_job(
    "full_eval",
    selection=dg.AssetSelection.all() - select(" or ".join(f'key:"*/{name}"' for name in ABLATIONS)),
    description="From raw files to the report: ingest, train the five rows, embed, rank, report. What has not changed "
    "since the last run is reused.",
)

ingest = dg.define_asset_job(
    "ingest",
    selection=select('+key:"*/shards" or +key:"*/data_profile" or key:"*/brand_names" or key:"*/candidate_lists"')
    - select('key:"general/*"'),
    description="From raw files to shards and the data profile: what a new catalogue is looked at with, before any "
    "training.",
)

ablation_jobs = [
    dg.define_asset_job(
        name,
        selection=f'+key:"*/{name}" or key:"results/catalogue" or key:"results/report"',
        description=f"{ablation.question} Trains what the answer needs, for every dataset it can be asked of, after "
        "whatever of its upstream has changed, and puts it into the report.",
    )
    for name, ablation in ABLATIONS.items()
]
