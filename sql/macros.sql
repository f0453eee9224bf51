-- macros: what the views of `eiclip.duckdb` read the lake by. They name no place of this machine: a home that is copied,
-- moved or mounted elsewhere reads its own files, or none.

-- lake_files: files of the lake in the folder of the database. A view may name files by constants and settings alone, and
--   the one setting that says where a database lies is the default of `temp_directory`: `<database file>.tmp`.
CREATE MACRO lake_files(pattern) AS regexp_replace(
    CASE
        WHEN getvariable('eiclip_home') IS NOT NULL THEN getvariable('eiclip_home') || '/'
        WHEN regexp_full_match(current_setting('temp_directory'), '(.*[/\\])?eiclip\.duckdb\.tmp')
            THEN left(current_setting('temp_directory'), -length('eiclip.duckdb.tmp'))
        ELSE error('eiclip.duckdb was attached, renamed, or opened with a temp_directory of your own, and cannot tell '
            || 'where its tables lie: open the file itself, or SET VARIABLE eiclip_home = ''<the folder it lies in>''')
    END,
    '([*?[])', '[\1]', 'g'
) || pattern;

-- one_home: true, unless a second catalogue is attached, whose views would read the files of the first.
CREATE MACRO one_home() AS (
    SELECT
        CASE
            WHEN count(*) <= 1 THEN true
            ELSE error('the catalogues of ' || count(*) || ' homes are attached, and their views cannot tell their '
                || 'tables apart: open one at a time, or read the Parquet files in their folders `lake`')
        END
    FROM duckdb_databases()
    WHERE path LIKE '%eiclip.duckdb'
);
