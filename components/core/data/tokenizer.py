"""Loads tokenizers, and checks that they have a vocabulary and a padding token."""

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
        UserError: There is no tokenizer, its files cannot be read, or they hold no vocabulary.
    """
    folder = Path(source)
    if folder.is_dir():
        require_no_pointers(folder)
    elif str(source).startswith((".", "/", "~")):
        raise UserError(f"cannot load a tokenizer from {source}: there is no such folder")
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(source), trust_remote_code=False)
    except Exception as error:  # The libraries raise many kinds of errors for damaged files.
        if any(folder.glob("*.model")) and not importlib.util.find_spec("sentencepiece"):
            raise UserError(
                f"the tokenizer of {source} is a sentencepiece model: install sentencepiece to read it"
            ) from error
        raise UserError(f"cannot load a tokenizer from {source}: {first_line(error)}") from error
    # Without files, transformers makes a tokenizer that has only the special tokens.
    if not set(tokenizer.get_vocab()) - set(tokenizer.get_added_vocab()) - set(tokenizer.all_special_tokens):
        raise UserError(
            f"{source} has no tokenizer (tokenizer.json, vocab.txt or a sentencepiece model): save the tokenizer "
            "of the model in its folder, or set tokenizer (student_tokenizer for a student)"
        )
    return tokenizer


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """Loads a tokenizer with a padding token from a folder or a hub id.

    Raises:
        UserError: As `read_tokenizer`, or it has no padding token, which is common for decoders.
    """
    tokenizer = read_tokenizer(source)
    if tokenizer.pad_token_id is None:
        raise UserError(f"the tokenizer of {source} has no padding token: set its pad_token and save it again")
    return tokenizer


def load_model_tokenizer(model: str | Path, override: str | None) -> PreTrainedTokenizerBase:
    """Loads the tokenizer of a trained model.

    Args:
        model: Folder or hub id of the model.
        override: Folder or hub id of a tokenizer to use in place of the model's own.

    Raises:
        UserError: As `load_tokenizer`, or `override` gives most tokens other ids than the model's own tokenizer.
    """
    if override is None:
        return load_tokenizer(model)
    tokenizer = load_tokenizer(override)
    try:
        own = read_tokenizer(model).get_vocab()
    except UserError:  # The model's own tokenizer may be missing.
        return tokenizer
    vocabulary = tokenizer.get_vocab()
    same = sum(own.get(token) == index for token, index in vocabulary.items())
    if same < len(vocabulary) / 2:
        raise UserError(
            f"the tokenizer {override} does not fit {model}: only {same} of its {len(vocabulary)} tokens have the same "
            "id in the model's own tokenizer. Leave the tokenizer out, so that the model's own is used"
        )
    return tokenizer


def tokenizer_fingerprint(folder: Path) -> str:
    """Returns the SHA-256 of a saved tokenizer's files."""
    return fingerprint_files(
        [file for file in folder.iterdir() if file.name.startswith(_FILES) or file.suffix == ".model"]
    )
