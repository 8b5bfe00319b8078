"""One look at a table by a peer: missing cells, distinct values, quantiles, mean and deviation, numbers that are far
out, most frequent values, and rows that repeat an earlier one. Prints the seconds from the first byte read (imports are
not counted), the peak of the process's memory and what was found.

    profile_table.py pandas|polars|duckdb FILE.csv|FILE.parquet
"""

import json
import resource
import sys
import time

QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)


def with_pandas(file):
    import pandas

    def look():
        table = pandas.read_csv(file) if file.endswith(".csv") else pandas.read_parquet(file)
        missing, distinct, repeats = table.isna().sum(), table.nunique(), int(table.duplicated().sum())
        numbers = table.select_dtypes("number")
        quantiles = numbers.quantile(QUANTILES)
        numbers.mean(), numbers.std()
        far = 3 * (quantiles.loc[0.75] - quantiles.loc[0.25])
        outliers = ((numbers < quantiles.loc[0.25] - far) | (numbers > quantiles.loc[0.75] + far)).sum()
        for name in table:
            table[name].value_counts().head(10)
        return len(table), dict(missing), dict(distinct), repeats, dict(outliers)

    return f"pandas {pandas.__version__}", look


def with_polars(file):
    import polars
    from polars import selectors

    def look():
        table = polars.read_csv(file, try_parse_dates=True) if file.endswith(".csv") else polars.read_parquet(file)
        missing = table.null_count().row(0, named=True)
        distinct = table.select(polars.all().drop_nulls().n_unique()).row(0, named=True)
        repeats = len(table) - table.n_unique()
        numbers = table.select(selectors.numeric())
        for share in QUANTILES:
            numbers.quantile(share)
        numbers.mean(), numbers.std()
        low, high = polars.all().quantile(0.25), polars.all().quantile(0.75)
        far = 3 * (high - low)
        outliers = numbers.select(((polars.all() < low - far) | (polars.all() > high + far)).sum()).row(0, named=True)
        for name in table.columns:
            table[name].value_counts(sort=True).head(10)
        return len(table), missing, distinct, repeats, outliers

    return f"polars {polars.__version__}", look


def with_duckdb(file):
    import duckdb

    def look():
        connection = duckdb.connect()
        connection.execute("set threads = 2")
        source = f"read_csv('{file}')" if file.endswith(".csv") else f"'{file}'"
        # column, type, min, max, approximate distinct, mean, deviation, q25, q50, q75, count, share of nulls
        summary = connection.execute(f"summarize select * from {source}").fetchall()
        rows = summary[0][10]
        missing = {line[0]: round(float(line[11]) * rows / 100) for line in summary}
        distinct = {line[0]: line[4] for line in summary}
        hashes = f"select count(*) - count(distinct hash(line)) from {source} line"
        return rows, missing, distinct, connection.execute(hashes).fetchone()[0], None

    return f"DuckDB {duckdb.__version__}", look


def main(peer, file):
    version, look = {"pandas": with_pandas, "polars": with_polars, "duckdb": with_duckdb}[peer](file)
    started = time.perf_counter()
    rows, missing, distinct, repeats, outliers = look()
    seconds = time.perf_counter() - started
    whole = lambda counts: {name: int(count) for name, count in counts.items()} if counts is not None else None
    print(json.dumps({
        "seconds": seconds,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "version": version,
        "rows": rows,
        "missing": whole(missing),
        "distinct": whole(distinct),
        "duplicate_rows": repeats,
        "outliers": whole(outliers),
    }))


if __name__ == "__main__":
    main(*sys.argv[1:3])
