"""Checks an encoder's folder (all-MiniLM-L6-v2, say) against transformers and, in onnxruntime, its export.

Run: python check_encoder.py FOLDER  from the root of the repository.
Needs: torch, transformers, onnxruntime, numpy."""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
import torch
from transformers import AutoTokenizer, BertModel

folder = sys.argv[1]
sentences = ["The cat sat on the mat.", "A dull film with one good joke, badly told.", "ok", "Why?",
             "Transfer learning goes on from what a network has learned before, on many more rows than are at hand, "
             "and often needs only a few labelled ones."]
tokens = AutoTokenizer.from_pretrained(folder)(sentences, padding=True, return_tensors="pt")
model = BertModel.from_pretrained(folder).eval()
with torch.no_grad():
    hidden = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state
mask = tokens["attention_mask"].unsqueeze(-1)
expected = ((hidden * mask).sum(1) / mask.sum(1)).numpy()
with tempfile.TemporaryDirectory() as scratch:
    codes, outputs, onnx = [str(pathlib.Path(scratch) / name) for name in ["codes.json", "outputs.json", "model.onnx"]]
    rows = [row[:length].tolist() for row, length in zip(tokens["input_ids"], tokens["attention_mask"].sum(1).tolist())]
    pathlib.Path(codes).write_text(json.dumps(rows))
    command = ["cargo", "run", "--release", "--offline", "-p", "lepton-nn", "--example", "encode", "--"]
    subprocess.run(command + [folder, codes, outputs, onnx], check=True)
    ours = np.array(json.loads(pathlib.Path(outputs).read_text()), "float32")
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    exported = session.run(["output"], {"input": tokens["input_ids"].numpy()})[0]
    alone = session.run(["output"], {"input": np.array([rows[0]], "int64")})[0]
for name, found, wanted in [("network", ours, expected), ("ONNX", exported, expected), ("ONNX, one row", alone, expected[:1])]:
    difference = float(np.abs(found - wanted).max())
    print(f"{name}: largest difference {difference:.2e}")
    assert difference < 1e-4, name
