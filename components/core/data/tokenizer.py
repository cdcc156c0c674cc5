"""Loading a tokenizer: of a folder that has one, with a vocabulary, and files that the library here can read."""

import importlib.util
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from compaware.components.core.base.errors import UserError, first_line
from compaware.components.core.base.files import require_no_pointers
from compaware.components.core.base.hashing import fingerprint_files

_FILES = ("tokenizer", "vocab", "merges", "added_tokens", "special_tokens")


def read_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """Loads a tokenizer, with or without a padding token, from a folder or a hub id.

    Raises:
        UserError: There is none, its files cannot be read, or they hold no vocabulary.
    """
    folder = Path(source)
    if folder.is_dir():
        require_no_pointers(folder)
    elif str(source).startswith((".", "/", "~")):
        raise UserError(f"cannot load a tokenizer from {source}: there is no such folder")
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(source), trust_remote_code=False)
    except Exception as error:  # Files of other people, read by libraries that raise what they like.
        if any(folder.glob("*.model")) and not importlib.util.find_spec("sentencepiece"):
            raise UserError(
                f"the tokenizer of {source} is a sentencepiece model: install sentencepiece to read it"
            ) from error
        raise UserError(f"cannot load a tokenizer from {source}: {first_line(error)}") from error
    # Without files, transformers makes one of the special tokens alone.
    if not set(tokenizer.get_vocab()) - set(tokenizer.get_added_vocab()) - set(tokenizer.all_special_tokens):
        raise UserError(
            f"{source} has no tokenizer (tokenizer.json, vocab.txt or a sentencepiece model): save the one that the "
            "model was trained with beside it, or name it (tokenizer, for a student student_tokenizer)"
        )
    return tokenizer


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """Loads a tokenizer that can pad from a folder or a hub id.

    Raises:
        UserError: As `read_tokenizer`, or it has no padding token, as those of decoders often have.
    """
    tokenizer = read_tokenizer(source)
    if tokenizer.pad_token_id is None:
        raise UserError(f"the tokenizer of {source} has no padding token: set its pad_token and save it again")
    return tokenizer


def load_model_tokenizer(model: str | Path, named: str | None) -> PreTrainedTokenizerBase:
    """Loads the tokenizer of a model that is trained already.

    Args:
        model: Its folder or hub id.
        named: A tokenizer to take in place of the model's own.

    Raises:
        UserError: As `load_tokenizer`, or the named one gives most tokens other ids than the model's own.
    """
    if named is None:
        return load_tokenizer(model)
    tokenizer = load_tokenizer(named)
    try:
        own = read_tokenizer(model).get_vocab()
    except UserError:  # Which may be why another one is named.
        return tokenizer
    vocabulary = tokenizer.get_vocab()
    same = sum(own.get(token) == index for token, index in vocabulary.items())
    if same < len(vocabulary) / 2:
        raise UserError(
            f"the tokenizer {named} has another vocabulary than that of {model} ({same} of {len(vocabulary)} tokens "
            "have the same id): the model would read other words than it was trained on, so leave the tokenizer out"
        )
    return tokenizer


def tokenizer_fingerprint(folder: Path) -> str:
    """SHA-256 of a saved tokenizer's files."""
    return fingerprint_files(
        [file for file in folder.iterdir() if file.name.startswith(_FILES) or file.suffix == ".model"]
    )
