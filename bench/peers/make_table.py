"""Writes a table of N rows and 20 columns as CSV and as Parquet: five columns of fractions, five of whole numbers, four
of categories, two of days and times, two of texts, two of yes and no; cells are missing, numbers lie far out, and one
row in a thousand repeats an earlier one. Seeded and made a million rows at a time, so memory does not grow with N.

    make_table.py ROWS OUT.csv [OUT.parquet]
"""

import sys

import numpy
import polars

PIECE = 1_000_000
WORDS = numpy.array("amber birch cedar delta ember fjord grove haven inlet jetty kayak lunar maple north ocean prairie".split())


def piece(number, rows):
    random = numpy.random.default_rng([7, number])
    whole = lambda low, high: random.integers(low, high, rows)
    fraction = random.normal(50, 12, rows)
    fraction[random.random(rows) < 0.0005] *= 40
    letters = random.choice(WORDS, (rows, 3))
    text = numpy.char.add(numpy.char.add(letters[:, 0], " "), letters[:, 1])
    days = numpy.datetime64("2015-01-01") + whole(0, 3_650).astype("timedelta64[D]")
    seconds = numpy.datetime64("2020-01-01T00:00:00") + whole(0, 10**8).astype("timedelta64[s]")
    table = polars.DataFrame({
        "order": numpy.arange(rows) + number * PIECE,
        "customer": whole(1, 400_000),
        "quantity": whole(1, 100),
        "age": whole(18, 95),
        "zip": whole(10_000, 99_999),
        "price": numpy.round(random.lognormal(3, 1, rows), 2),
        "weight": numpy.round(fraction, 3),
        "score": random.random(rows),
        "latitude": numpy.round(random.uniform(-90, 90, rows), 6),
        "discount": numpy.round(random.choice([0, 0.05, 0.1, 0.25], rows), 2),
        "colour": random.choice(["red", "green", "blue", "black", "white"], rows),
        "country": random.choice(["DE", "FR", "IT", "ES", "PL", "SE", "NO", "FI", "DK", "NL"], rows),
        "channel": random.choice(["web", "shop", "phone"], rows, p=[0.7, 0.25, 0.05]),
        "segment": random.choice([f"segment {place:03}" for place in range(200)], rows),
        "day": days.astype(str),
        "at": seconds.astype(str),
        "product": text,
        "reference": numpy.char.add("R-", whole(0, 2**40).astype(str)),
        "paid": random.choice(["true", "false"], rows),
        "returned": random.choice(["yes", "no"], rows, p=[0.03, 0.97]),
    })
    holes = {"age": 0.05, "price": 0.01, "score": 0.1, "colour": 0.02, "day": 0.03, "product": 0.001}
    table = table.with_columns(
        polars.when(polars.Series(random.random(rows) >= share)).then(polars.col(name)).alias(name)
        for name, share in holes.items()
    )
    # Every thousandth row repeats the one before.
    at = numpy.arange(rows)
    at[999::1000] -= 1
    return table[at]


def main(rows, csv, parquet=None):
    writer = None
    with open(csv, "wb") as file:
        for number, first in enumerate(range(0, rows, PIECE)):
            part = piece(number, min(PIECE, rows - first))
            part.write_csv(file, include_header=first == 0)
            if parquet:
                import pyarrow.parquet

                table = part.to_arrow()
                writer = writer or pyarrow.parquet.ParquetWriter(parquet, table.schema, compression="zstd")
                writer.write_table(table)
    if writer:
        writer.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:4])
