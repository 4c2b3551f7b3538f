"""Tokenizers: trained on a corpus, or pretrained; all of them Hugging Face fast tokenizers."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from collapse.errors import BadCorpus, BadModel, BadParameter
from collapse.language.hub import from_folder_or_hub, require_hub_access

if TYPE_CHECKING:
    import tokenizers
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"
"""Begins and ends documents; id 0 in the tokenizers trained here, 50256 in GPT-2's."""
PADDING = "<|pad|>"
UNKNOWN = "<|unk|>"

KINDS = ("bpe", "characters")
_BYTES = 256
_SPECIALS = 3  # of a tokenizer of characters: end of text, padding, unknown
SMALLEST_BPE = _BYTES + 2
"""Every byte, the end of text and the padding."""

_HUB_FILES = ("tokenizer*", "vocab*")


def train_tokenizer(
    texts: Iterable[str], *, kind: str, vocabulary_size: int | None
) -> "PreTrainedTokenizerFast":
    """Train a tokenizer; ``<|endoftext|>`` is id 0 and both bos and eos, ``<|pad|>`` is id 1.

    - ``bpe``: byte-level byte-pair encoding (Sennrich and others 2016; bytes and pre-tokens as in
      GPT-2) of exactly ``vocabulary_size`` entries. Every text survives encoding and decoding.
    - ``characters``: one entry a character of the texts, and ``<|unk|>`` (id 2) for the others.
      With a ``vocabulary_size`` smaller than that, the rarest characters become ``<|unk|>`` too.

    The result depends on the texts, not on their order, nor on the number of threads.

    Args:
        texts: training documents; passed through once.
        kind: ``bpe`` or ``characters``.
        vocabulary_size: entries, special tokens included; None only for ``characters``: all.

    Raises:
        BadParameter: the kind is unknown or the size too small for it.
        BadCorpus: there is no text, or too little for a BPE of this size.
    """
    if kind not in KINDS:
        raise BadParameter(f"tokenizer kind {kind!r} is none of {', '.join(KINDS)}")
    check_vocabulary(kind, vocabulary_size)
    if kind == "characters" or vocabulary_size is None:
        return _train_characters(texts, vocabulary_size)
    return _train_bpe(texts, vocabulary_size)


def check_vocabulary(kind: str, vocabulary_size: int | None) -> None:
    """See that a tokenizer can be trained with so few entries.

    Raises:
        BadParameter: the size, special tokens included, is too small for the kind.
    """
    if kind == "bpe" and (vocabulary_size is None or vocabulary_size < SMALLEST_BPE):
        raise BadParameter(
            f"vocabulary_size {vocabulary_size} is too small for kind 'bpe': "
            f"{_BYTES} bytes and 2 special tokens need {SMALLEST_BPE} or more"
        )
    if kind == "characters" and vocabulary_size is not None and vocabulary_size <= _SPECIALS:
        raise BadParameter(
            f"vocabulary_size {vocabulary_size} is too small for kind 'characters': "
            f"{_SPECIALS} special tokens and at least one character are needed"
        )


def load_tokenizer(name_or_path: str | Path) -> "PreTrainedTokenizerBase":
    """Load a pretrained tokenizer, and give it bos and pad where it has none.

    Args:
        name_or_path: a folder with ``tokenizer.json`` (a checkpoint's), a folder with GPT-2's
            ``vocab.json`` and ``merges.txt``, or a name on the Hugging Face Hub.

    Returns:
        The tokenizer. Where bos or pad were missing they are its eos, so that a pretrained model's
        embedding needs no new rows.

    Raises:
        BadModel: there is no such tokenizer, the Hub cannot be reached, or it has no end of text.
    """
    name = str(name_or_path)
    if not _is_folder(name):
        require_hub_access(name, kind="tokenizer", any_of=_HUB_FILES)
        return _complete(_load_automatically(name, is_local=False), name)
    folder = Path(name).expanduser()
    if _is_vocabulary_and_merges(folder) and not (folder / "tokenizer.json").is_file():
        return _load_vocabulary_and_merges(folder)
    return _complete(_load_automatically(str(folder), is_local=True), name)


def check_tokenizer(name: str) -> None:
    """See that a tokenizer can be had, in two seconds and without loading anything heavy.

    Args:
        name: one of ``KINDS``, to be trained; or what :func:`load_tokenizer` takes.

    Raises:
        BadModel: as for :func:`load_tokenizer`, as far as it shows before files are read.
    """
    if name not in KINDS and not _is_folder(name):
        require_hub_access(name, kind="tokenizer", any_of=_HUB_FILES)


def encode_documents(tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]) -> list[list[int]]:
    """Encode documents, in batches, without adding any special token.

    ``<|endoftext|>`` and the like, where a document spells them, are ordinary text: only the packer
    puts the end of a document into a sequence.

    Args:
        tokenizer: any of this module's.
        texts: N documents.

    Returns:
        N lists of token ids.
    """
    if not texts:
        return []
    encoded = tokenizer(
        list(texts),
        add_special_tokens=False,
        split_special_tokens=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def _is_folder(name: str) -> bool:
    """True for a usable tokenizer folder, False for what has the form of a name on the hub."""
    folder = Path(name).expanduser()
    if name and folder.is_dir():  # Path("") is the working folder
        whole = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")
        if any((folder / file).is_file() for file in whole) or _is_vocabulary_and_merges(folder):
            return True
        raise BadModel(
            f"tokenizer folder {name!r} holds neither tokenizer.json nor vocab.json with "
            "merges.txt: give one that does"
        )
    if folder.is_file():
        raise BadModel(f"tokenizer {name!r} is a file; give the folder that holds it")
    if not name or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise BadModel(
            f"tokenizer {name!r}: there is no such folder: give one with tokenizer.json, or bpe or "
            "characters"
        )
    return False


def _is_vocabulary_and_merges(folder: Path) -> bool:
    return (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()


def _train_bpe(texts: Iterable[str], vocabulary_size: int) -> "PreTrainedTokenizerFast":
    import tokenizers

    counted = _Counted(texts)
    bare = _byte_level(tokenizers.models.BPE())
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END_OF_TEXT, PADDING],
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bare.train_from_iterator(counted, trainer)
    reached = bare.get_vocab_size()
    if reached < vocabulary_size:
        raise BadCorpus(
            f"a BPE of {vocabulary_size} entries cannot be had from {counted.documents} documents "
            f"of {counted.characters} characters: it ends at {reached}; ask for no more than that "
            f"(vocabulary_size={reached}), or give more text"
        )
    return _as_fast(bare, padding=PADDING)


def _train_characters(
    texts: Iterable[str], vocabulary_size: int | None
) -> "PreTrainedTokenizerFast":
    specials = [END_OF_TEXT, PADDING, UNKNOWN]
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    if not counts:
        raise BadCorpus("a tokenizer cannot be trained: there is no text")
    import tokenizers

    room = None if vocabulary_size is None else vocabulary_size - len(specials)
    kept = sorted(sorted(counts, key=lambda character: (-counts[character], character))[:room])
    entries = {entry: index for index, entry in enumerate([*specials, *kept])}
    # A BPE without merges has one token a character; it takes a fifth of WordLevel's time.
    bare = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocab=entries, merges=[], unk_token=UNKNOWN, fuse_unk=False)
    )
    bare.decoder = tokenizers.decoders.Fuse()
    return _as_fast(bare, padding=PADDING, unknown=UNKNOWN)


class _Counted:
    """Passes texts on and remembers how much there was, for the message when it was too little."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = texts
        self.documents = 0
        self.characters = 0

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self.documents += 1
            self.characters += len(text)
            yield text


def _byte_level(model: "tokenizers.models.BPE") -> "tokenizers.Tokenizer":
    """GPT-2's pre-tokens and bytes around a BPE."""
    import tokenizers

    bare = tokenizers.Tokenizer(model)
    bare.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = tokenizers.decoders.ByteLevel()
    return bare


def _as_fast(
    bare: "tokenizers.Tokenizer", *, padding: str, unknown: str | None = None
) -> "PreTrainedTokenizerFast":
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=bare,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=padding,
        unk_token=unknown,
        # The clean-up removes spaces before punctuation, so that text would not survive.
        clean_up_tokenization_spaces=False,
    )


def _load_vocabulary_and_merges(folder: Path) -> "PreTrainedTokenizerFast":
    """GPT-2's two files. ``merges.txt`` may or may not begin with a ``#version`` line."""
    import tokenizers

    try:
        vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise BadModel(f"tokenizer folder {str(folder)!r} cannot be read: {error}") from None
    if END_OF_TEXT not in vocabulary:
        raise BadModel(f"tokenizer folder {str(folder)!r}: vocab.json has no {END_OF_TEXT!r}")
    first = 1 if lines[0].startswith("#version") else 0
    pairs = (line.rstrip("\r").partition(" ") for line in lines[first:] if line.strip())
    merges = [(left, right) for left, _, right in pairs]
    try:
        model = tokenizers.models.BPE(vocab=vocabulary, merges=merges)
    # The library raises bare Exception for a merge that the vocabulary does not know.
    except Exception as error:
        raise BadModel(f"tokenizer folder {str(folder)!r} does not fit: {error}") from None
    return _as_fast(_byte_level(model), padding=END_OF_TEXT)


def _load_automatically(name: str, *, is_local: bool) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    def read(local_files_only: bool) -> "PreTrainedTokenizerBase":
        return AutoTokenizer.from_pretrained(
            name,
            local_files_only=local_files_only,
            trust_remote_code=False,
            clean_up_tokenization_spaces=False,
        )

    try:
        return from_folder_or_hub(read, name, is_folder=is_local, any_of=_HUB_FILES)
    # Errors of the hub's, json's and tokenizers' own unrelated classes.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadModel(f"tokenizer {name!r} cannot be loaded: {reason}") from error


def _complete(tokenizer: "PreTrainedTokenizerBase", name: str) -> "PreTrainedTokenizerBase":
    if tokenizer.eos_token is None:
        raise BadModel(f"tokenizer {name!r} has no end-of-text token (eos)")
    if tokenizer.bos_token is None:
        tokenizer.bos_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
