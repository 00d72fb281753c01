"""docs/limits.md, indexer/base/limits.h and the defaults of docs/configuration.md say the same; fields that pages name exist."""

import re
import unittest

import pages

UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "s": 1, "ms": 1}
SECTIONS = ("discovery", "grpc", "http", "ingest", "listeners[]", "log", "memory", "picker", "prompts", "readiness", "routing",
            "scrape", "shutdown")  # workers[] is also a path of /status


def constants(header):
    """{name: value} of every `inline constexpr type kName = expression;` or `kName{number}`."""
    found = {}
    declared = re.compile(r"inline constexpr [\w:]+ (k\w+)\s*(?:=([^;]*)|\{([^;]*)\});")
    for name, assigned, braced in declared.findall(re.sub(r"//.*", "", header)):
        expression = re.sub(r"\b\w+\{([^}]*)\}", r"\1", assigned or braced)  # size_t{64}
        expression = re.sub(r"(?<=\d)(u|')", "", expression)
        if not re.fullmatch(r"[\d\s<*+()-]+", expression):
            raise ValueError(f"{name}: cannot evaluate {expression!r}")
        found[name] = eval(expression)  # digits and operators alone
    return found


def number(text):
    """1,024 or 64 MiB or 1GiB."""
    match = re.fullmatch(r"([\d,]+) ?(\w*)", text)
    return int(match[1].replace(",", "")) * UNITS[match[2]]


def rows(page):
    """(limit, value) of each row that begins with a constant."""
    return re.findall(r"^\| `(k\w+)` \| ([^|]*) \|", page, re.MULTILINE)


def defaults(page):
    """{field: default} of configuration.md's table."""
    return dict(re.findall(r"^\| `([\w.\[\]]+)` \| [^|]* \| `?([^|`]*)`? \|", page, re.MULTILINE))


def constant_of(field):
    """grpc.max_memory: kMaxGrpcMemory; ingest.max_streams: kMaxStreams. Limits that share words with others have a third."""
    section, name = field.rsplit(".", 1)
    words = name.removeprefix("max_").split("_")
    owner = "Grpc" if section == "grpc" else "Picker" if section == "picker" and name != "max_body" else ""
    return "kMax" + owner + "".join(word.capitalize() for word in words)


def problems(header, limits_page, configuration):
    values, fields, listed = constants(header), defaults(configuration), rows(limits_page)
    found = [f"{name} has no row in docs/limits.md" for name in values if name not in dict(listed)]
    for name, shown in listed:
        if name not in values:
            found.append(f"{name} is no limit of limits.h")
        elif shown.startswith("`"):
            field = shown.strip("`")
            if field not in fields:
                found.append(f"{name}: there is no field {field}")
            elif number(fields[field]) != values[name]:
                found.append(f"{name} is {values[name]}, the default of {field} {fields[field]}")
            elif name.removesuffix("Bytes") != constant_of(field):
                found.append(f"{name} and {field} are two names")
        elif number(shown) != values[name]:
            found.append(f"{name} is {values[name]}, the page says {shown}")
    settable = {shown.strip("`") for _, shown in listed}
    found += [f"{field} has no row in docs/limits.md" for field in fields
              if ".max_" in field and number(fields[field]) != 0 and field not in settable]
    return found


def headers():
    return pages.read("indexer/base/limits.h") + pages.read("indexer/base/api_limits.h")


class LimitsTest(unittest.TestCase):
    def test_page_code_and_configuration_agree(self):
        self.assertEqual(problems(headers(), pages.read("docs/limits.md"), pages.read("docs/configuration.md")), [])
        self.assertGreater(len(constants(headers())), 30)

    def test_no_limit_of_the_header_is_overlooked(self):
        header = headers()
        self.assertEqual(len(constants(header)), header.count("inline constexpr"))

    def test_every_field_that_a_page_names_exists(self):
        fields = set(defaults(pages.read("docs/configuration.md")))
        field = re.compile(rf"(?:{'|'.join(map(re.escape, SECTIONS))})\.[a-z_.\[\]]+")
        found = []
        for page in pages.pages():
            for span in pages.code_spans(pages.read(page)):
                if field.fullmatch(span) and not any(name == span or name.startswith(span + ".") for name in fields):
                    found.append((page, span))
        self.assertEqual(found, [])


class PlantedTest(unittest.TestCase):
    HEADER = "inline constexpr size_t kMaxA = size_t{2} << 20;  // a\ninline constexpr std::chrono::seconds kB{1'0};\n"
    FIELDS = "| `grpc.listen` | text | `x:1` |\n"

    def test_what_differs_is_found(self):
        for page, problem in (("| `kMaxA` | 2 MiB | x |\n", "kB has no row"),
                              ("| `kMaxA` | 3 MiB | x |\n| `kB` | 10 s |\n", "the page says 3 MiB"),
                              ("| `kMaxA` | 2 MiB | x |\n| `kB` | 10 s |\n| `kC` | 1 |\n", "kC is no limit")):
            self.assertEqual(len(problems(self.HEADER, page, self.FIELDS)), 1)
            self.assertIn(problem, problems(self.HEADER, page, self.FIELDS)[0])
        self.assertEqual(problems(self.HEADER, "| `kMaxA` | 2 MiB | x |\n| `kB` | 10 s |\n", self.FIELDS), [])

    def test_a_field_of_another_value_or_name_is_found(self):
        page = "| `kMaxA` | `routing.max_{}` | x |\n| `kB` | 10 s |\n"
        fields = "| `routing.max_{}` | bytes | `{}` | any |\n"
        self.assertEqual(problems(self.HEADER, page.format("a"), fields.format("a", "2MiB")), [])
        self.assertIn("two names", problems(self.HEADER, page.format("b"), fields.format("b", "2MiB"))[0])
        self.assertIn("the default of", problems(self.HEADER, page.format("a"), fields.format("a", "1MiB"))[0])
        self.assertIn("there is no field", problems(self.HEADER, page.format("c"), self.FIELDS)[0])
        self.assertIn("routing.max_d has no row",
                      problems(self.HEADER, page.format("a"), fields.format("a", "2MiB") + fields.format("d", "7"))[0])

    def test_an_expression_that_is_no_number_is_refused(self):
        with self.assertRaises(ValueError):
            constants("inline constexpr size_t kMaxA = sizeof(int);")


if __name__ == "__main__":
    unittest.main()
