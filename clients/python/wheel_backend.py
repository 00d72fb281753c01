"""Builds the wheel (PEP 517) with nothing but Python's standard library, out of freshly generated code: `pip wheel clients/python`, or
`python3 clients/python/wheel_backend.py FOLDER`."""

import base64
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
WHEEL = "Wheel-Version: 1.0\nGenerator: kvroute\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def _project():
    """What pyproject.toml says, in the few forms that it uses."""
    with open(os.path.join(HERE, "pyproject.toml"), encoding="utf-8") as file:
        text = file.read()
    named = dict(re.findall(r'^([\w-]+) = "([^"]*)"$', text, re.MULTILINE))
    named["dependencies"] = re.findall(r'"([^"]+)"', re.search(r"^dependencies = \[(.*)\]$", text, re.MULTILINE)[1])
    return named


def _metadata(project):
    lines = ["Metadata-Version: 2.1", "Name: " + project["name"], "Version: " + project["version"], "Summary: " + project["description"],
             "License: Apache-2.0", "Requires-Python: " + project["requires-python"]]
    return "\n".join(lines + ["Requires-Dist: " + name for name in project["dependencies"]]) + "\n"


def _files(package):
    """(path in the wheel, bytes) of the package's modules, in order."""
    for folder, folders, names in os.walk(package):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    yield os.path.relpath(path, os.path.dirname(package)).replace(os.sep, "/"), file.read()


def _add(wheel, path, data):
    entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))  # the same bytes from the same sources
    entry.external_attr = 0o644 << 16
    wheel.writestr(entry, data, zipfile.ZIP_DEFLATED)
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return "%s,sha256=%s,%d\n" % (path, digest, len(data))


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    project = _project()
    stem = "%s-%s" % (project["name"], project["version"])
    with tempfile.TemporaryDirectory() as scratch:
        package = os.path.join(scratch, "kvroute")
        os.mkdir(package)
        subprocess.run([os.path.join(HERE, os.pardir, "generate"), "python", scratch], check=True)
        files = [*_files(os.path.join(HERE, "kvroute")), *_files(package)]
    files = sorted(dict(files).items())  # the freshly generated ones win
    files += [(stem + ".dist-info/METADATA", _metadata(project).encode()), (stem + ".dist-info/WHEEL", WHEEL.encode())]
    name = stem + "-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        record = "".join(_add(wheel, path, data) for path, data in files)
        path = stem + ".dist-info/RECORD"
        _add(wheel, path, (record + path + ",,\n").encode())
    return name


if __name__ == "__main__":
    print(build_wheel(sys.argv[1]))
