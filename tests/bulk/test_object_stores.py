"""Runs that read from and write to file systems without a rename: in memory, and S3's own protocol on this machine."""

import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import fsspec
import pyarrow.parquet as pq
import pytest
from narrated import content
from pyarrow import fs

from vecspeak.bulk import jobs
from vecspeak.errors import UserError

OPTIONS = {"id": "sku", "rows_per_shard": 64}


@pytest.fixture
def whole(vs, table, tmp_path):
    """What the same run writes on a disk."""
    vs.narrate(tmp_path / "whole", table, **OPTIONS)
    return said_in(content(tmp_path / "whole"))


def said_in(files):
    """Tables and manifest, without the times of the input, which every file system has its own of."""
    manifest = json.loads(files["manifest.json"])
    tables = {
        name: pq.read_table(io.BytesIO(data)).replace_schema_metadata(None)
        for name, data in files.items()
        if name.endswith(".parquet")
    }
    return tables, {name: value for name, value in manifest.items() if name != "inputs"}


def read_all(files, folder):
    """Every file below a folder of a file system of pyarrow."""
    found = files.get_file_info(fs.FileSelector(folder, recursive=True))
    paths = [one.path for one in found if one.type == fs.FileType.File]
    start = len(folder.strip("/")) + 1
    return {path.strip("/")[start:]: files.open_input_file(path).read() for path in sorted(paths)}


@pytest.fixture
def memory(table):
    """A file system in memory, with the table in it."""
    found = fsspec.filesystem("memory")
    found.store.clear()
    found.pseudo_dirs[:] = [""]
    found.makedirs("/bucket")
    found.pipe("/bucket/rows.parquet", table.read_bytes())
    return found


def test_a_file_system_of_fsspec_gets_the_same_files(vs, memory, whole):
    found = vs.narrate("/bucket/out", "/bucket/rows.parquet", filesystem=memory, **OPTIONS)
    files = fs.PyFileSystem(fs.FSSpecHandler(memory))
    assert (found.written, found.shards) == (500, 8)
    assert said_in(read_all(files, "/bucket/out")) == whole


def test_what_was_sent_in_part_is_sent_again_and_the_manifest_comes_last(vs, memory, whole, monkeypatch):
    """A store without a rename: an object that was cut has no footer."""
    write, seen = jobs.write_shard, []

    def stopped(place, found, shard):
        seen.append(place.path)
        if len(seen) == 4:
            with memory.open(place.path, "wb") as file:
                file.write(b"PAR1 and half of the rest")
            raise KeyboardInterrupt
        return write(place, found, shard)

    monkeypatch.setattr(jobs, "write_shard", stopped)
    with pytest.raises(KeyboardInterrupt):
        vs.narrate("/bucket/out", "/bucket/rows.parquet", filesystem=memory, threads=1, **OPTIONS)
    assert json.loads(memory.cat("/bucket/out/manifest.json"))["complete"] is False
    monkeypatch.setattr(jobs, "write_shard", write)
    found = vs.narrate("/bucket/out", "/bucket/rows.parquet", filesystem=memory, **OPTIONS)
    assert 3 <= found.resumed < 8  # one more may have been under way in a thread
    assert said_in(read_all(fs.PyFileSystem(fs.FSSpecHandler(memory)), "/bucket/out")) == whole


def test_a_subtree_of_a_file_system_of_pyarrow_and_a_url_of_a_file_are_places(vs, table, tmp_path, whole):
    tree = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    vs.narrate("tree", table.name, filesystem=tree, **OPTIONS)
    vs.narrate(f"file://{tmp_path}/url", f"file://{table}", **OPTIONS)
    assert said_in(content(tmp_path / "tree")) == whole == said_in(content(tmp_path / "url"))


@pytest.mark.parametrize("out", ["s4://bucket/out", "http://example.org/out"])
def test_urls_of_other_kinds_are_refused(vs, out):
    with pytest.raises(UserError, match="give a path, or a URL of one of abfs, file, gs, hdfs, s3"):
        vs.narrate(out)


@pytest.fixture
def s3(monkeypatch, tmp_path):
    """The address of a server that speaks S3, and pyarrow's file system of it."""
    pytest.importorskip("moto.server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ,
    )  # fmt: skip
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).read()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        request = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
        urllib.request.urlopen(request, timeout=30).read()
        yield f"127.0.0.1:{port}", fs.S3FileSystem(endpoint_override=f"127.0.0.1:{port}", scheme="http")
    finally:
        server.kill()
        server.wait()


def test_s3_is_read_from_and_written_to(vs, table, whole, s3):
    address, files = s3
    with files.open_output_stream("bucket/in/rows.parquet") as file:
        file.write(table.read_bytes())
    more = f"endpoint_override={address}&scheme=http"
    given = f"s3://bucket/out?{more}", f"s3://bucket/in/rows.parquet?{more}"
    assert vs.narrate(*given, **OPTIONS).written == 500
    assert said_in(read_all(files, "bucket/out")) == whole
    files.delete_file("bucket/out/words/part-00003.parquet")
    assert vs.narrate(*given, **OPTIONS).resumed == 7
    assert said_in(read_all(files, "bucket/out")) == whole
