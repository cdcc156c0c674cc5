"""A URI is parsed or refused with one line that shows no secret."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from compaware.components.core.base.errors import UserError
from compaware.components.storage.uri import Location, is_uri, parse

BUCKETS = st.from_regex(r"[a-z][a-z0-9.-]{1,20}[a-z0-9]", fullmatch=True)
KEY_PARTS = st.text(
    st.characters(exclude_characters="/?\0", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=12
)
KEYS = st.lists(KEY_PARTS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=4).map("/".join)
SCHEMES = st.sampled_from(["s3", "minio"])


def parsed_or_refused(uri: str) -> Path | Location | str:
    """Returns the parsed URI, or the error message."""
    try:
        return parse(uri)
    except UserError as error:
        return str(error)


@given(SCHEMES, BUCKETS, KEYS, st.booleans())
def test_bucket_and_key_are_taken_as_written(scheme: str, bucket: str, key: str, is_folder: bool) -> None:
    location = parse(f"{scheme}://{bucket}/{key}{'/' * is_folder}")
    assert isinstance(location, Location)
    assert (location.scheme, location.bucket, location.key, location.is_folder) == (scheme, bucket, key, is_folder)
    assert (location.endpoint, location.region, location.disable_tls, location.path_style) == (None, None, False, None)


@given(SCHEMES, BUCKETS, KEYS, st.booleans(), st.booleans(), st.sampled_from(["host:9000", "https://s3.example.com"]))
def test_kfp_parameters_say_how_to_reach_the_store(
    scheme: str, bucket: str, key: str, disable_tls: bool, path_style: bool, endpoint: str
) -> None:
    query = f"endpoint={quote(endpoint, safe='')}&region=eu-1&disableSSL={disable_tls}&s3ForcePathStyle={path_style}"
    location = parse(f"{scheme}://{bucket}/{key}?{query}")
    assert location == Location(
        f"{scheme}://{bucket}/{key}", scheme, bucket, key, False, endpoint, "eu-1", disable_tls, path_style
    )


@given(st.text(max_size=40))
@example("~\x00")
def test_any_text_is_a_location_or_is_refused_in_one_line(text: str) -> None:
    for uri in (text, f"s3://{text}", f"s3://bucket/{text}", f"file://{text}", f"{text}://bucket/key"):
        outcome = parsed_or_refused(uri)
        assert isinstance(outcome, Path | Location) or len(outcome.splitlines()) == 1


@given(BUCKETS, KEYS, st.sampled_from(["secretkey", "accesskey", "password"]))
def test_credentials_in_a_uri_are_refused_and_not_repeated(bucket: str, key: str, name: str) -> None:
    assume("TOPSECRET" not in bucket + key)
    for uri in (f"s3://{bucket}/{key}?{name}=TOPSECRET", f"s3://user:TOPSECRET@{bucket}/{key}"):
        with pytest.raises(UserError) as caught:
            parse(uri)
        assert "TOPSECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("file://folder/file.csv", "three slashes"),
        ("gs://bucket/key", "s3://"),
        ("s3://bucket", "BUCKET/KEY"),
        ("s3://bucket/", "BUCKET/KEY"),
        ("s3:///key", "BUCKET/KEY"),
        ("s3://bucket/a/../b", r"'\.\.'"),
        ("s3://bucket/a//b", "empty part"),
        ("s3://bucket/a?endpont=x", "unknown parameter 'endpont'"),
        ("s3://bucket/a?disableSSL=maybe", "neither true nor false"),
    ],
)
def test_an_error_says_what_to_write(uri: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        parse(uri)


def test_a_question_mark_may_be_part_of_a_key() -> None:
    location = parse("minio://bucket/odd ü #1?.csv")
    assert isinstance(location, Location) and location.key == "odd ü #1?.csv"


def test_paths_and_file_uris_are_paths(tmp_path: Path) -> None:
    file = tmp_path / "with space.csv"
    assert parse(str(file)) == parse(file.as_uri()) == file
    assert is_uri(file.as_uri()) and not is_uri(str(file))
