-- photos_are_usable: one row: what became of a dataset's photos.
-- Source: records, photos.
-- photos: number of listings, each with a photo
-- usable: those whose photo can be used
-- other_names: those found under another name than the raw file gives
-- other_name: an example: the name given, and the file
-- shared: files that several names of the raw files were found to mean, not all exactly
-- sharing: two names of the first such file, and the file
-- further_photos: photos left out because their row names others
-- kind: the most common kind of reason why one cannot be used
-- of_kind: how many photos it is given for
-- example: the first of them: its row, its name in the raw file, and the whole reason
WITH outcomes AS (
    SELECT
        listings.photo AS given,
        listings.source,
        listings.place,
        photos.photo,
        photos.reason,
        photos.other_name,
        photos.further_photos,
        split_part(photos.reason, ':', 1) AS kind
    FROM photos
    JOIN listings USING (source, place)
),
kinds AS (
    SELECT
        kind,
        count(*) AS of_kind,
        min_by({source: source, place: place, given: given, reason: reason}, (source, place)) AS example
    FROM outcomes
    WHERE reason IS NOT NULL
    GROUP BY kind
    ORDER BY of_kind DESC, kind
    LIMIT 1
),
shared AS (
    SELECT photo, min(left(given, 80)) AS first_name, max(left(given, 80)) AS last_name
    FROM outcomes
    WHERE reason IS NULL
    GROUP BY photo
    HAVING bool_or(other_name) AND first_name <> last_name
)
SELECT
    count(*) AS photos,
    count(*) FILTER (reason IS NULL) AS usable,
    count(*) FILTER (other_name) AS other_names,
    min_by({given: left(given, 80), photo: photo}, (source, place)) FILTER (other_name) AS other_name,
    (SELECT count(*) FROM shared) AS shared,
    (SELECT min_by({first: first_name, last: last_name, photo: photo}, photo) FROM shared) AS sharing,
    coalesce(sum(further_photos), 0)::BIGINT AS further_photos,
    (SELECT kind FROM kinds) AS kind,
    (SELECT of_kind FROM kinds) AS of_kind,
    (SELECT example FROM kinds) AS example
FROM outcomes
