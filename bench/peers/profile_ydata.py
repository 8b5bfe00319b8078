"""ydata-profiling's minimal report of a CSV: seconds from the first byte read to the finished description, without
drawing the page; with PAGE.html, that page is drawn as well.

    profile_ydata.py FILE.csv [PAGE.html]
"""

import json
import sys
import time

import pandas
import ydata_profiling
from ydata_profiling import ProfileReport

started = time.perf_counter()
table = pandas.read_csv(sys.argv[1])
report = ProfileReport(table, minimal=True, progress_bar=False)
description = report.get_description()
if len(sys.argv) > 2:
    report.to_file(sys.argv[2], silent=True)
print(json.dumps({
    "seconds": time.perf_counter() - started,
    "version": f"ydata-profiling {ydata_profiling.__version__}",
    "rows": len(table),
    "missing": int(description.table["n_cells_missing"]),
}))
