"""Any bytes as a table: a table, or a line."""

from hypothesis import given
from support import damaged, gives_a_result_or_a_line

from comp.readback import read_rows
from comp.tables import read_csv

CSV = 'id,label,x\n01,cat,1.5\n02,"a ""dog"", big",\n03,猫,-1\n'.encode()


@given(damaged(CSV, b"\xef\xbb\xbf" + CSV, CSV.replace(b"\n", b"\r\n"), CSV * 3))
def test_any_table(repo, content):
    (repo / "t.csv").write_bytes(content)
    gives_a_result_or_a_line(lambda: read_csv(repo / "t.csv"))
    gives_a_result_or_a_line(lambda: read_rows(repo / "t.csv", ("id", "label"), "remove it"))
