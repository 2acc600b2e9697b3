"""How tables are called, known without what reads them."""

SUFFIXES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz", ".csv.zip", ".tsv.zip")


def is_called_a_table(name: str) -> bool:
    """Text files (.txt) are lists of anything: one that is a table is named by data.train."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")
