"""Small tables whose quotation marks quote or are letters, for the tests and for benchmarks/delimited.py."""

QUOTED: list[tuple[str, list[str]]] = [
    ('id\tname\na\t"Weird" tent\nb\tplain\n', ['"Weird" tent', "plain"]),
    ('id\tname\na\t"Whole"\nb\tplain\n', ['"Whole"', "plain"]),
    ('id\tname\na\t"Open\nb\t6" tin\n', ['"Open', '6" tin']),
    ('id\tname\na\t"begins\nb\tends"\n', ['"begins', 'ends"']),
    ('id\tname\na\t"with ""marks"" inside"\nb\tplain\n', ['with "marks" inside', "plain"]),
    ('id\tname\na\t"two\nlines"\nb\tplain\n', ["two\nlines", "plain"]),
    ('id,name\na,"x, y"\nb,6" tin\n', ["x, y", '6" tin']),
    ('id,name\na,"big \\"one\\", really"\nb,plain\n', ['big "one", really', "plain"]),
    ('id,name\na,"C:\\"\nb,"D:\\"\n', ["C:\\", "D:\\"]),
]
"""The file, and what its column `name` holds."""
