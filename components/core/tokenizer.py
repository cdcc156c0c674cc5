"""Loading a tokenizer: of a folder that has one, with a vocabulary, and files that the library here can read."""

import importlib.util
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from compaware.components.core.artifacts import fingerprint_files
from compaware.components.core.errors import UserError, first_line
from compaware.components.core.model_files import require_no_pointers

_FILES = ("tokenizer", "vocab", "merges", "added_tokens", "special_tokens")


def read_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """Loads a tokenizer, with or without a padding token, from a folder or a hub id.

    Raises:
        UserError: There is none, its files cannot be read, or they hold no vocabulary.
    """
    folder = Path(source)
    if folder.is_dir():
        require_no_pointers(folder)
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


def tokenizer_fingerprint(folder: Path) -> str:
    """SHA-256 of a saved tokenizer's files."""
    return fingerprint_files(
        [file for file in folder.iterdir() if file.name.startswith(_FILES) or file.suffix == ".model"]
    )
