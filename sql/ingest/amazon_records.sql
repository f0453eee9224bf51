-- amazon_records: one row per line of Amazon metadata that is JSON, in the columns of `records`.
-- place is empty: the row's number in the table is the line's. reason is 'retry' where the line reader has to look
-- (broken, of odd types).
-- Source: lines, the metadata as DuckDB reads it, every field as text (a list as JSON).
-- Parameters: $dataset, $source, $groups, $urls (whether photos' addresses are kept), $paper (its subset alone),
--   $max_text, $max_parts, $placeholders (texts that the line reader has to look at: truth values, and what says
--   nothing).
-- Functions of eiclip/readers/amazon/json_lines.py: described, brand_of, category_of, price_of; they see few values,
-- or few rows: what SQL can say cheaply of the plain ones is said here.
WITH typed AS (
    SELECT
        trim(coalesce(parent_asin, asin)) AS product_id,
        coalesce(title, '') AS title_raw,
        list_concat(
            CASE left(features, 1) WHEN '[' THEN coalesce(try(features::JSON::VARCHAR[]), [features]) ELSE [features] END,
            CASE left(feature, 1) WHEN '[' THEN coalesce(try(feature::JSON::VARCHAR[]), [feature]) ELSE [feature] END,
            CASE left(description, 1) WHEN '[' THEN coalesce(try(description::JSON::VARCHAR[]), [description])
                ELSE [description] END
        ) AS all_parts,
        concat(left(title, 1), left(features, 1), left(feature, 1), left(description, 1)) AS marks,
        CASE
            WHEN trim(brand) <> '' THEN brand
            -- '{' for what is not JSON (an object as Python writes it): an odd brand.
            WHEN starts_with(details, '{')
            THEN coalesce(try(coalesce(nullif(trim(details::JSON ->> '$.Brand'), ''), store, '')), '{')
            ELSE store
        END AS brand_given,
        coalesce(starts_with(details, '{') OR trim(store) <> '', false) AS has_other_brand,
        category_of(json_array(
            coalesce(nullif(main_category, ''), main_cat),
            coalesce(nullif(nullif(categories, '[]'), ''), category)
        )::VARCHAR) AS path,
        price,
        CASE WHEN regexp_full_match(price, '\$?[1-9][0-9]{0,8}(\.[0-9]+)?')
            THEN {'price': ltrim(price, '$')::DOUBLE, 'unread': NULL::VARCHAR}
            ELSE price_of(price) END AS priced,
        CASE WHEN $urls THEN list_concat(
            try(json_extract_string(images::JSON, [
                '$[0].hi_res', '$[0].large', '$[0].thumb', '$.hi_res[0]', '$.large[0]', '$.thumb[0]'])),
            list_transform(
                [imageURLHighRes, imageURL, image, imUrl],
                lambda url: trim(CASE left(url, 1) WHEN '[' THEN try(url::JSON ->> '$[0]') ELSE url END, e' \t\r\n')
            )
        ) ELSE [] END AS urls
    FROM lines
),
-- A level of its own for what later levels use more than once: within a level it would be computed each time.
parted AS (
    SELECT
        *,
        brand_of(brand_given) AS brand,
        list_filter(all_parts, lambda part: trim(part) <> '') AS parts,
        CASE WHEN contains(title_raw, 'getTime') THEN '' ELSE title_raw END AS title_plain
    FROM typed
),
flat AS (
    SELECT
        *,
        array_to_string(list_prepend(title_raw, parts), chr(10)) AS raw,
        list_filter(list_prepend(title_plain, parts), lambda part: part <> '') AS pieces
    FROM parted
),
judged AS (
    SELECT
        *,
        -- What clean_description would change; the plain looks come first, since nearly all text passes them.
        CASE WHEN contains(raw, '&') OR contains(raw, '<') OR strlen(raw) <> length(raw) THEN regexp_matches(
            raw,
            '&[#a-zA-Z]|<[/!a-zA-Z]|[\x00-\x09\x0b-\x1f\x7f-\xa0\x{ad}\x{130}\x{3a3}\x{1680}\x{2000}-\x{200f}\x{2028}-\x{202f}'
            || '\x{205f}-\x{2064}\x{3000}\x{feff}\x{fffd}]|ï¿|  |\n | \n|^ | $|[.!?:;,]\. '
        ) ELSE regexp_matches(raw, '[\x00-\x09\x0b-\x1f\x7f]|  |\n | \n|^ | $|[.!?:;,]\. ') END
            OR strlen(raw) <> strlen(replace(raw, chr(10), '')) + len(parts) AS is_dirty,
        list_transform(pieces, lambda piece: lower(piece)) AS lowered
    FROM flat
),
unique_texts AS (
    SELECT
        *,
        CASE WHEN coalesce(regexp_full_match(product_id, '[A-Z][A-Z0-9]{9}'), false) THEN false  -- nearly every id
            ELSE NOT coalesce(regexp_full_match(product_id, '[A-Za-z0-9][A-Za-z0-9._-]{0,63}'), false)
                OR regexp_full_match(product_id, 'true|false|[0-9]{18,}|[0-9]+[.eE][0-9.eE+-]*') END
            OR brand.is_odd OR path.is_odd OR (brand.is_none AND brand.name <> '' AND has_other_brand)
            OR CASE WHEN contains(price, 'e') OR contains(price, 'E')
                THEN regexp_full_match(price, '[0-9.]+[eE][0-9+-]+') ELSE false END
            OR len(parts) > $max_parts
            OR strlen(raw) + len(parts) > $max_text
            -- A number, which is a title but no description.
            OR CASE WHEN regexp_matches(marks, '[-0-9]') THEN regexp_matches(raw, '(?:^|\n)-?[0-9][0-9.eE+-]*(?:\n|$)')
                ELSE false END
            -- A list in a list, or a truth value; "[Red] Dress" is neither.
            OR CASE WHEN contains(raw, '[') OR contains(raw, '{') THEN regexp_matches(
                raw, '(?:^|\n)(?:\[\s*(?:["''\[\]{}0-9-]|true|false|null|NaN|Inf)|\{\s*["''}]|\$?\{[{%]?)'
            ) ELSE false END
            OR list_has_any(lowered, $placeholders)
            AS is_odd,
        CASE WHEN len(list_distinct(lowered)) = len(lowered) THEN pieces
            ELSE list_filter(pieces, lambda piece, place: list_position(lowered, lower(piece)) = place) END AS texts
    FROM judged
),
texts AS (
    SELECT
        *,
        CASE WHEN is_dirty AND NOT is_odd THEN described(title_raw, all_parts) END AS cleaned,
        list_has_any(
            list_transform(texts[:-2], lambda piece: right(piece, 1)), ['.', '!', '?', ':', ';', ',']
        ) AS has_sentences
    FROM unique_texts
),
described AS (
    SELECT
        *,
        nfc_normalize(coalesce(cleaned.title, title_plain)) AS title,
        nfc_normalize(coalesce(
            cleaned.description,
            CASE WHEN NOT has_sentences THEN array_to_string(texts, '. ')
            ELSE array_to_string(list_append(list_transform(
                texts[:-2],
                lambda piece: CASE WHEN right(piece, 1) IN ('.', '!', '?', ':', ';', ',') THEN piece ELSE piece || '.' END
            ), texts[-1]), ' ') END
        )) AS description
    FROM texts
),
reasoned AS (
    SELECT
        *,
        CASE
            WHEN is_odd OR NOT regexp_matches(description, '[\p{L}\p{N}]') THEN 'retry'
            WHEN $paper AND (brand.is_none OR NOT regexp_matches(path.category, '(?i)fashion|clothing|apparel'))
            THEN 'retry'  -- few lines of a fashion file, and the line reader knows how to say it
        END AS reason
    FROM described
)
SELECT
    $dataset AS dataset,
    $source AS source,
    NULL::BIGINT AS place,
    product_id,
    product_id AS photo,
    list_filter(
        urls,
        lambda url, place: regexp_matches(url, '^https?://') AND list_position(urls, url) = place
    ) AS photo_urls,
    NULL::VARCHAR AS source_split,
    title,
    description,
    coalesce(cleaned.raw, raw) AS description_raw,
    path.category AS category,
    path.subcategory AS subcategory,
    '' AS pose,
    '' AS department,
    '' AS gender,
    NULL::VARCHAR AS style,
    priced.price AS price,
    priced.unread AS price_unread,
    CASE WHEN priced.price IS NOT NULL THEN 'USD' END AS currency,
    NULL::BOOLEAN AS available,
    NULL::VARCHAR AS available_unread,
    NULL::VARCHAR AS link,
    NULL::VARCHAR AS link_unread,
    brand.raw AS brand_raw,
    CASE WHEN $groups = ['brand'] THEN map(['brand'], [[brand.name]])
        ELSE map($groups, list_transform($groups, lambda entity_group: CASE entity_group
            WHEN 'brand' THEN [brand.name] WHEN 'category' THEN [path.category_entity]
            ELSE [path.subcategory_entity] END)) END
        AS entities,
    MAP {}::MAP(VARCHAR, VARCHAR[]) AS attributes,
    reason
FROM reasoned
