"""The forms that tables come in: all are read as the same text."""

import gzip
import zipfile

import pandas as pd
import pytest

from comp.errors import CompError
from comp.files.tables import pieces, read_table, table_called, tables_in

ROWS = 'id,label,note\n007,Löwe,"a, b; c"\n08,NA,\n'
TABLE = {"id": ["007", "08"], "label": ["Löwe", "NA"], "note": ["a, b; c", ""]}


def with_separator(separator, rows=ROWS):
    table = pd.DataFrame(TABLE)
    return table.to_csv(None, index=False, sep=separator)


def zipped(path, text, name="train.csv", *others):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, text)
        for other in others:
            archive.writestr(other, "x")


FORMS = {
    "plain": (ROWS.encode(), ""),
    "byte order mark": (ROWS.encode("utf-8-sig"), ""),
    "Windows lines": (ROWS.replace("\n", "\r\n").encode(), ""),
    "semicolons": (with_separator(";").encode(), "read with semicolons between values"),
    "tabs": (with_separator("\t").encode(), "read with tabs between values"),
    "bars": (with_separator("|").encode(), "read with vertical bars between values"),
    "UTF-16": (ROWS.encode("utf-16"), "read with UTF-16"),
    "UTF-16 without a mark": (ROWS.encode("utf-16-be"), "read with UTF-16"),
    "UTF-16 with tabs": (with_separator("\t").encode("utf-16"), "read with UTF-16 and tabs between values"),
    "latin-1": (ROWS.encode("latin-1"), "read with the encoding cp1252, as it is not UTF-8"),
    "gzip": (gzip.compress(ROWS.encode()), ""),
    "gzip, latin-1": (
        gzip.compress(with_separator(";").encode("latin-1")),
        "read with the encoding cp1252, as it is not UTF-8 and semicolons between values",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_table(tmp_path, form):
    data, told = FORMS[form]
    (tmp_path / "train.csv").write_bytes(data)
    table, how = read_table(tmp_path / "train.csv")
    assert table.to_dict("list") == TABLE
    assert how == told


def test_a_zip_with_one_table_is_that_table(tmp_path):
    zipped(tmp_path / "train.csv.zip", ROWS, "train.csv", "__MACOSX/._train.csv")
    assert read_table(tmp_path / "train.csv.zip")[0].to_dict("list") == TABLE


def test_parquet_is_the_text_of_a_csv(tmp_path):
    table = pd.DataFrame(
        {
            "id": ["007", "08", "NA"],
            "number": [1, 2, 3],
            "holed": [1, None, 3],
            "share": [0.5, 0.1 + 0.2, None],
            "yes": [True, False, True],
            "day": pd.to_datetime(["2026-01-02", None, "2026-01-04"]),
            "word": pd.Categorical(["a", None, "b"]),
        }
    )
    table.to_parquet(tmp_path / "train.parquet")
    read, how = read_table(tmp_path / "train.parquet")
    assert read.to_dict("list") == {
        "id": ["007", "08", "NA"],
        "number": ["1", "2", "3"],
        "holed": ["1", "", "3"],
        "share": ["0.5", "0.30000000000000004", ""],
        "yes": ["True", "False", "True"],
        "day": ["2026-01-02", "", "2026-01-04"],
        "word": ["a", "", "b"],
    }
    assert how == ""
    assert read_table(tmp_path / "train.parquet", without=["number"], rows=2)[0].shape == (2, 6)


def test_a_comma_parts_values_where_it_can(tmp_path):
    for text, columns in {
        "id,tags\n1,a;b\n2,c;d;e\n": ["id", "tags"],
        "id;tags\n1;a,b\n2;c\n": ["id", "tags"],
        "label\ncat\ndog\n": ["label"],
        "name, first;label\nLee, Ann;3\nPoe;4\n": ["name, first", "label"],
        'id,"a;b;c"\n1,2\n': ["id", "a;b;c"],
    }.items():
        (tmp_path / "t.csv").write_text(text)
        assert list(read_table(tmp_path / "t.csv")[0].columns) == columns


REFUSED = {
    "Cyrillic": ("id,label\n1,собака\n".encode("cp1251"), "save it as UTF-8"),
    "damaged UTF-8": ("id,label\n1,猫\n2,é".encode()[:-1], "save it as UTF-8"),
    "longer rows": (b"id,label\n1,cat,x\n2,dog,y\n", "more values in its rows than names in its header"),
    "empty": (b"", "is empty"),
    "a header": (b"id,label\n", "no rows"),
    "a broken gzip": (gzip.compress(ROWS.encode())[:-9], "cannot be read as a table"),
    "a broken parquet": (b"PAR1 and more", "cannot be read as a table"),
    "a broken zip": (b"PK\x03\x04 and more", "cannot be read as a table"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_no_table_is_refused_in_a_line(tmp_path, form):
    data, words = REFUSED[form]
    (tmp_path / "train.csv").write_bytes(data)
    with pytest.raises(CompError, match=words) as refused:
        read_table(tmp_path / "train.csv")
    assert "\n" not in str(refused.value)
    assert "train.csv" in str(refused.value)


def test_an_archive_of_several_files_is_no_table(tmp_path):
    zipped(tmp_path / "book.xlsx", "x", "xl/workbook.xml", "xl/styles.xml")
    with pytest.raises(CompError, match=r"is no table, but holds 'xl/workbook\.xml', 'xl/styles\.xml': save"):
        read_table(tmp_path / "book.xlsx")


def test_images_in_parquet_are_refused_by_their_column(tmp_path):
    pd.DataFrame({"id": ["1"], "image": [b"\x89PNG"]}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(CompError, match=r"column 'image' of .* holds binary, and no text"):
        read_table(tmp_path / "train.parquet")


@pytest.mark.parametrize("name", ["train.csv", "train.parquet"])
def test_a_large_table_comes_in_pieces(tmp_path, name):
    table = pd.DataFrame({"id": [f"{n:03d}" for n in range(10)], "x": range(10), "y": range(10)})
    table.to_csv(tmp_path / name, index=False) if name.endswith("csv") else table.to_parquet(tmp_path / name)
    found = list(pieces(tmp_path / name, ["id", "y"], 4))
    assert [len(each) for each in found] == [4, 4, 2]
    assert pd.concat(found)["id"].tolist() == table["id"].tolist()
    assert list(found[0].columns) == ["id", "y"]


def test_tables_are_found_in_any_form_the_plain_one_first(tmp_path):
    for name in ("Train.CSV.gz", "train.parquet", "labels.tsv", "notes.txt", "._train.csv", ".hidden.csv"):
        (tmp_path / name).touch()
    assert table_called(tmp_path, ("train", "labels")).name == "train.parquet"
    assert table_called(tmp_path, ("test",)) is None
    assert [path.name for path in tables_in(tmp_path)] == ["Train.CSV.gz", "labels.tsv", "train.parquet"]
