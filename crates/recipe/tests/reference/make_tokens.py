"""Makes tokens.json: vocabularies and codes by the Python package tokenizers 0.23.3 (Hugging Face).

    pip install tokenizers==0.23.3
    python make_tokens.py > tokens.json
"""

import json

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SUBJECTS = ["The phone", "This film", "Our waiter", "The battery", "My headset", "The plot", "Crust", "A café"]
VERBS = ["was", "is", "wasn't", "really felt", "stays", "has been"]
JUDGED = ["great!", "awful...", "not good.", "WONDERFUL", "too slow, sadly", "unbelievably bad?", "fine; just fine."]
TRAIN = [f"{SUBJECTS[n % 8]} {VERBS[n % 6]} {JUDGED[n % 7]}" for n in range(60)]
SERVED = [
    "The phone wasn't great.",
    "An unheard-of thing: 42% naïve 😀 reviews",
    "",
    "   ",
    "crust crust crust crust crust crust crust crust crust crust crust crust",
    "日本語 text",
    "[PAD] [UNK] [CLS]",
]
VOCABULARY, MIN_COUNT = 120, 2
LONGEST = 10
SPECIAL = ["[PAD]", "[UNK]"]


def count(pieces_of):
    counts = {}
    for text in TRAIN:
        for piece in pieces_of(text):
            counts[piece] = counts.get(piece, 0) + 1
    return counts


def pieces(tokenizer):
    def of(text):
        if tokenizer.normalizer is not None:
            text = tokenizer.normalizer.normalize_str(text)
        return [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]

    return of


def words(lowercase):
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    if lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(
        vocab_size=VOCABULARY, min_frequency=MIN_COUNT, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(TRAIN, trainer)
    return tokenizer


def wordpiece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    found = count(pieces(tokenizer))
    # The trainer numbers the letters that continue a word in the order of a hash table: they are given here.
    letters = sorted({letter for word in found for letter in word})
    later = sorted({letter for word in found for letter in word[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY,
        min_frequency=MIN_COUNT,
        special_tokens=SPECIAL + letters + ["##" + letter for letter in later],
        show_progress=False,
    )
    tokenizer.train_from_iterator(TRAIN, trainer)
    # Without the added tokens, which the trainer takes for special.
    vocabulary = tokenizer.get_vocab()
    plain = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    plain.normalizer, plain.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    return plain


def bpe():
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY + 256,
        min_frequency=MIN_COUNT,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TRAIN, trainer)
    return tokenizer


def bert():
    """A tokenizer as BERT's, with paddings and cuts of its own that are not wanted."""
    own = wordpiece()
    vocabulary = own.get_vocab()
    size = len(vocabulary)
    tokenizer = Tokenizer(models.WordPiece({**vocabulary, "[CLS]": size, "[SEP]": size + 1}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = own.normalizer, own.pre_tokenizer
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", size), ("[SEP]", size + 1)]
    )
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=7)
    return tokenizer


def unigram():
    """A tokenizer as SentencePiece makes them, whose padding has the name of RoBERTa and T5."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<unk>", "</s>", "<pad>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TRAIN, trainer)
    return tokenizer


def case(name, built, pretrained=False, **plan):
    tokenizer, document = built, json.loads(built.to_str())
    padding = next(found for found in map(built.token_to_id, ["[PAD]", "<pad>"]) if found is not None)
    tokenizer.no_padding()
    # Added tokens are matched in the text as a whole; our own vocabularies have none.
    if not pretrained:
        stripped = {**document, "added_tokens": []}
        tokenizer = Tokenizer.from_str(json.dumps(stripped))
    tokenizer.no_truncation()
    whole = [encoding.ids for encoding in tokenizer.encode_batch(TRAIN)]
    usual = sorted(map(len, whole))[-(-len(whole) * 98 // 100) - 1]
    tokenizer.enable_truncation(LONGEST)
    codes = [encoding.ids for encoding in tokenizer.encode_batch(SERVED)]
    return {
        "name": name,
        "plan": plan,
        "padding": padding,
        "usual_length": usual,
        "vocabulary": dict(sorted(tokenizer.get_vocab().items())),
        "codes": codes,
        "tokenizer": document if pretrained else None,
    }


print(
    json.dumps(
        {
            "train": TRAIN,
            "served": SERVED,
            "length": LONGEST,
            "cases": [
                case("words", words(True), tokenizer="words", vocabulary=VOCABULARY, lowercase=True),
                case("words", words(False), tokenizer="words", vocabulary=VOCABULARY, lowercase=False),
                case("wordpiece", wordpiece(), tokenizer="word_piece", vocabulary=VOCABULARY, lowercase=True),
                case("bpe", bpe(), tokenizer="bpe", vocabulary=VOCABULARY + 256, lowercase=True),
                case("bert", bert(), pretrained=True),
                case("unigram", unigram(), pretrained=True),
            ],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )
)
