"""Makes breast_cancer.csv from the copy inside the package scikit-learn 1.9.1 (BSD-3-Clause):
python make_table.py  (needs scikit-learn). 569 rows, 30 measurements, the diagnosis."""

import csv
from sklearn.datasets import load_breast_cancer

data = load_breast_cancer()
with open("breast_cancer.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow([name.replace(" ", "_") for name in data.feature_names] + ["diagnosis"])
    for row, target in zip(data.data, data.target):
        writer.writerow([repr(float(value)) for value in row] + [data.target_names[target]])
