"""A DuckDB file of a stranger: its tables may be views, which run when they are read."""

import pytest

from vecspeak.errors import UserError
from vecspeak.stores.registry import read_store
from vecspeak.tables.ledger import Ledger

duckdb = pytest.importorskip("duckdb")


@pytest.mark.parametrize(
    "reading",
    [
        "read_text('SECRET')",
        "read_csv('SECRET', header = false, columns = {'text': 'VARCHAR'})",
    ],
    ids=["text", "csv"],
)
def test_a_view_reads_no_other_file(reading, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("of the person who opens it\n")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE t (id VARCHAR, vector FLOAT[2])")
        connection.execute("INSERT INTO t VALUES ('a', [1, 2])")
        body = f"SELECT t.*, f.* FROM t, {reading.replace('SECRET', str(secret))} f"
        connection.execute(f"CREATE VIEW items AS {body}")
    with pytest.raises(UserError) as error:
        read_store(f"duckdb://{tmp_path}/shop.duckdb?table=items", ledger=Ledger())
    assert "person" not in str(error.value)
