"""Reads every #include and every kvroute_library() of the tree and says what breaks the tables of rules.py."""

import os
import re

import rules

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
LIBRARY = re.compile(r"^kvroute_library\(([^)]*)\)", re.MULTILINE)
KEYWORDS = {"NAME", "SOURCES", "DEPS", "PRIVATE_DEPS", "FILE_BY_FILE"}


def within(path, folder):
    return path == folder or path.startswith(folder + "/")


def room_of(path):
    """The most particular row of BELOW that holds the path, or None."""
    rooms = [room for room in rules.BELOW if within(path, room)]
    return max(rooms, key=len) if rooms else None


def below(room):
    """Every room and file that code of the room may include; "folder/**" stands for all rooms of a folder."""
    found, waiting = set(), [room]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            if name == room or not within(name, "test"):
                waiting.extend(rules.BELOW.get(name, ()))
    return found


def may_include(includer, included):
    allowed = below(room_of(includer))
    if includer.endswith("_test.cc"):
        allowed |= set(rules.BELOW_UNIT_TESTS)
    folders = [name[:-len("/**")] for name in allowed if name.endswith("/**")]
    room = room_of(included)
    return room is not None and (room in allowed or included in allowed or any(within(included, folder) for folder in folders))


def is_our_file(included):
    return included.split("/")[0] in rules.ROOTS


def sees(room_or_file, holders):
    is_test = room_or_file.endswith("_test.cc")
    return any(within(room_or_file, holder) for holder in holders) or (is_test and "test" in holders)


def problems_of_file(path, text):
    """(what is included, what is wrong) for each #include that breaks a rule."""
    if room_of(path) is None:
        return [("", f"{path} is in no room of test/structure/rules.py")]
    found = []
    for included in INCLUDE.findall(text):
        if is_our_file(included) and not may_include(path, included):
            found.append((included, f"{path} includes {included}, which is not below {room_of(path)}"))
        for name, (pattern, _, holders) in rules.LIBRARIES.items():
            own = is_our_file(included) and within(path, room_of(included) or "")
            if re.fullmatch(pattern, included) and not own and not sees(path, holders):
                found.append((included, f"{path} includes {included}: {name} is for {', '.join(holders)} only"))
        if included in rules.FACADES and room_of(path) == room_of(included):
            is_own = os.path.basename(path).startswith(os.path.basename(included)[:-2])
            if not is_own and not path.endswith("_test.cc"):
                found.append((included, f"{path} includes {included}, the facade of what it is a part of"))
    return found


def libraries_of(folder, text):
    """{library: (folder, everything it links)} of one CMakeLists.txt."""
    found = {}
    for call in LIBRARY.findall(re.sub(r"#.*", "", text)):
        words, links, taking = call.split(), [], ""
        name = words[words.index("NAME") + 1]
        for word in words:
            if word in KEYWORDS:
                taking = word
            elif taking in ("DEPS", "PRIVATE_DEPS"):
                links.append(word)
        found[name] = (folder, links)
    return found


def may_link(folder, linked):
    """Whether a library of one folder may link one of another: its room is below, or a file of it is."""
    return may_include(folder, linked) or any(os.path.dirname(name) == linked for name in below(room_of(folder)))


def problems_of_libraries(libraries):
    """(library, what it links, what is wrong): a library links only what its folder may include."""
    found = []
    for library, (folder, links) in sorted(libraries.items()):
        for link in links:
            if link in libraries and not may_link(folder, libraries[link][0]):
                found.append((library, link, f"{library} links {link}, which is not below {room_of(folder)}"))
            for name, (_, pattern, holders) in rules.LIBRARIES.items():
                if re.fullmatch(pattern, link) and not any(within(h, folder) or within(folder, h) for h in holders):
                    found.append((library, link, f"{library} links {link}: {name} is for {', '.join(holders)} only"))
    return found


def tree():
    """Every file below ROOTS as (path, text)."""
    for root in rules.ROOTS:
        for folder, _, names in os.walk(os.path.join(SOURCE, root)):
            for name in sorted(names):
                if name.endswith((".cc", ".h", ".h.in")) or name == "CMakeLists.txt":
                    full = os.path.join(folder, name)
                    with open(full, encoding="utf-8") as file:
                        yield os.path.relpath(full, SOURCE), file.read()


def problems_of_tree():
    """{(file or library, what it includes or links): what is wrong} of everything there is."""
    found, libraries = {}, {}
    for path, text in tree():
        if path.endswith("CMakeLists.txt"):
            libraries.update(libraries_of(os.path.dirname(path), text))
            continue
        for included, problem in problems_of_file(path, text):
            found[path, included] = problem
    for library, link, problem in problems_of_libraries(libraries):
        found[library, link] = problem
    return found
