"""Files made by hand: every test writes the few lines it is about."""

import pytest

HEADER = (
    "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,"
    "failureMessage,bytes,sentBytes,grpThreads,allThreads,URL,Latency,IdleTime,Connect"
)


@pytest.fixture
def write(tmp_path):
    """Write text (as UTF-8, line ends untouched) or bytes to a file, and return its path."""

    def _write(content, name="results.jtl"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


@pytest.fixture
def jtl_row():
    """Make a row of JMeter's usual 17 columns; keywords replace cells by their JMeter name."""
    names = HEADER.split(",")
    usual = "1700000000000,10,GET /,200,OK,users 1-1,text,true,,290,119,2,2,http://h/,9,0,1"

    def _row(**cells):
        values = dict(zip(names, usual.split(","), strict=True)) | cells
        return ",".join(str(value) for value in values.values())

    return _row


@pytest.fixture
def jtl(write, jtl_row):
    """Write a JTL with the usual header; each argument is a row's differences from the usual."""

    def _jtl(*rows, tail="\n"):
        return write("\n".join([HEADER, *(jtl_row(**cells) for cells in rows)]) + tail)

    return _jtl
