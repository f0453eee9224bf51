"""Asset checks that are steps of their own."""

import dagster as dg

from assets.common import Project
from assets.shards import damage_of
from pipelines.factory import readable


def shards_match_manifest(project: Project, name: str) -> dg.AssetChecksDefinition:
    """Blocking: nothing is trained on shards that are not what their manifest says."""

    @dg.asset_check(
        asset=[name, "shards"],
        name="shards_match_manifest",
        blocking=True,
        additional_deps=[[name, "images"]],
        description="Every shard and its index are there, with the size, checksum and number of photos the manifest "
        "says, and every photo of a product that is not excluded is in one. With corrupt_samples: quarantine, damage "
        "outside the test split is a warning, and training goes on without those samples.",
    )
    def check() -> dg.AssetCheckResult:
        problems, spared, facts = damage_of(project, name)
        severity = dg.AssetCheckSeverity.WARN if spared else dg.AssetCheckSeverity.ERROR
        metadata = {key: readable(value) for key, value in facts.items()}
        return dg.AssetCheckResult(passed=not problems, severity=severity, metadata=metadata)

    return check
