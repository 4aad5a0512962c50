"""Files of runs for tests: a record added to one as a session adds it."""

from pathlib import Path

from bench.records.record import Record, add_line, open_records


def append_record(path: Path, record: Record) -> None:
    """Add the record's line. Raises ValueError, before the file exists, for a record that JSON cannot hold."""
    line = record.to_line()
    with open_records(path) as file:
        add_line(file, line)
