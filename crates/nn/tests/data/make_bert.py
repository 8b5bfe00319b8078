"""Makes bert/ (config.json and model.safetensors of a tiny BertModel with random weights) and bert.json: token codes and
the means of the last hidden states over the tokens, as sentence-transformers pools them.
Run: python make_bert.py  (torch 2.15 CPU build, transformers, safetensors)."""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

torch.manual_seed(13)
torch.set_num_threads(1)
here = pathlib.Path(__file__).parent
folder = here / "bert"
folder.mkdir(exist_ok=True)

config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
                    max_position_embeddings=12, type_vocab_size=2, layer_norm_eps=1e-12, hidden_act="gelu",
                    pad_token_id=0)
model = BertModel(config).eval()
with torch.no_grad():
    for parameter in model.parameters():
        # Far from the small numbers of a new model, so that every part of it matters; norms stay around 1.
        parameter.add_(torch.randn_like(parameter) * 0.3)
keys = ["model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "hidden_act", "pad_token_id",
        "hidden_dropout_prob", "attention_probs_dropout_prob"]
settings = {key: config.to_dict()[key] for key in keys}
(folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")


def pooled(codes):
    mask = (codes != 0).long()
    with torch.no_grad():
        hidden = model(input_ids=codes, attention_mask=mask).last_hidden_state
    return (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)


def flat(tensor):
    kind = "int64" if tensor.dtype == torch.int64 else "float32"
    values = tensor.reshape(-1).tolist()
    if kind == "float32":
        values = [float(f"{value:.9g}") for value in values]
    return {"dtype": kind, "shape": list(tensor.shape), "values": values}


whole = torch.randint(1, 50, (3, 7))
padded = torch.randint(1, 50, (4, 12))
for row, length in enumerate([12, 5, 1, 9]):
    padded[row, length:] = 0
cases = [{"name": name, "input": flat(codes), "output": flat(pooled(codes))}
         for name, codes in [("whole", whole), ("padded", padded)]]
(here / "bert.json").write_text(json.dumps(cases) + "\n")
print(len(cases), "cases")
