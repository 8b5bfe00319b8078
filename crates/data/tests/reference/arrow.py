"""Writes one table with pyarrow in each form of Arrow IPC, and its cells as text to arrow.json.

Needs pyarrow. Run in this folder: python arrow.py
"""

import datetime
import json

import pyarrow as pa
import pyarrow.feather as feather

ROWS = 64
ids = list(range(ROWS))
when = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in ids]
city = [None if i % 10 == 9 else ["Oslo", "Zürich", "Łódź"][i % 3] for i in ids]
price = [None if i % 7 == 3 else i * 0.25 for i in ids]
ok = [i % 2 == 0 for i in ids]
table = pa.table(
    {
        "id": pa.array(ids, pa.int64()),
        "when": pa.array(when, pa.date32()),
        "city": pa.array(city).dictionary_encode(),
        "price": pa.array(price, pa.float64()),
        "ok": pa.array(ok, pa.bool_()),
    }
)
feather.write_feather(table, "lz4.feather", compression="lz4")
feather.write_feather(table, "zstd.feather", compression="zstd")
for name, new in [("plain.arrow", pa.ipc.new_file), ("stream.arrow", pa.ipc.new_stream)]:
    with new(name, table.schema) as writer:
        writer.write_table(table, max_chunksize=24)


def text(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value)


with open("arrow.json", "w", encoding="utf-8") as file:
    columns = table.to_pydict()
    json.dump([[text(columns[name][i]) for name in columns] for i in ids], file, ensure_ascii=False)
