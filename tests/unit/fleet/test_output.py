"""A worker's output is kept, but not more than twice the limit."""

from __future__ import annotations

from pathlib import Path

from saker.fleet.launch.output import LAST_WORDS, OutputFile, rotated


def test_output_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "a" / "replica.log"
    for text in (b"one\n", b"two\n"):
        output = OutputFile(path)
        output.write(text)
        output.close()

    assert b"one\ntwo\n" == path.read_bytes()
    assert 0o600 == path.stat().st_mode & 0o777


def test_a_full_file_makes_room_and_the_newest_output_stays(tmp_path: Path) -> None:
    path = tmp_path / "replica.log"
    output = OutputFile(path, limit=100)
    for number in range(100):
        output.write(b"line %4d\n" % number)
    output.close()

    kept = rotated(path).read_bytes() + path.read_bytes()
    assert kept.endswith(b"line   98\nline   99\n")
    assert 100 < len(kept) <= 200


def test_one_write_larger_than_the_limit_stays_within_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "replica.log"
    output = OutputFile(path, limit=100)
    output.write(b"x" * 1050)
    output.close()

    assert 50 == path.stat().st_size
    assert 100 == rotated(path).stat().st_size


def test_the_last_line_is_found_and_shortened(tmp_path: Path) -> None:
    output = OutputFile(tmp_path / "replica.log")
    assert output.last_line() == ""

    output.write(b"first\nNo module named saker\n\n")
    assert output.last_line() == "No module named saker"

    output.write(b"y" * 5000)
    assert "y" * LAST_WORDS == output.last_line()
    output.close()
