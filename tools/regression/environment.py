"""What a result depends on besides the code: recorded with it."""

import os
import platform
import re
import subprocess


def _output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def _cached(build, name):
    match = re.search(rf"^{name}:\w+=(.*)$", _read(os.path.join(build, "CMakeCache.txt")), re.M)
    return match.group(1) if match else ""


def describe(source, build):
    cpu = re.search(r"^model name\s*:\s*(.*)$", _read("/proc/cpuinfo"), re.M)
    compiler = _cached(build, "CMAKE_CXX_COMPILER")
    build_type = _cached(build, "CMAKE_BUILD_TYPE")
    flags = (_cached(build, "CMAKE_CXX_FLAGS"),
             _cached(build, f"CMAKE_CXX_FLAGS_{build_type.upper()}"))
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "huge_pages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "compiler": _output(compiler, "--version").splitlines()[0] if _output(compiler, "--version") else "",
        "build_type": build_type,
        "flags": " ".join(flag for flag in flags if flag),
        "commit": _output("git", "-C", source, "rev-parse", "HEAD"),
        "modified": bool(_output("git", "-C", source, "status", "--porcelain", "-uno")),
        "date": _output("date", "-u", "+%Y-%m-%dT%H:%M:%SZ"),
        "load_average": os.getloadavg()[0],
    }
