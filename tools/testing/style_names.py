# SPDX-License-Identifier: GPL-2.0-only
"""Names and words that several files have: cases of style.py."""
import re
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def text_of(name):
    return (TOP / name).read_text()


def part(name, begin, end):
    return text_of(name).split(begin)[1].split(end)[0]


def compare(what, wanted, found):
    return [f"no {what} for {name}" for name in sorted(wanted - found)] + \
        [f"{what} for {name}, which is not there" for name in sorted(found - wanted)]


# What the module says in fdinfo, where the library does the same.
OF_FDINFO = set("""frames bytes bursts burst_1 burst_2 burst_4 burst_8 burst_16
    burst_32 burst_64 kicks kicks_empty calls calls_saved errors sleeps guest_waits
    guest_wait_ns gso csum dirty_pages drop_short drop_long drop_writable drop_room
    iotlb_waits iotlb_misses""".split())
OF_MODULE = {"drop_header", "drop_refused", "drop_gone", "drop_fault", "drop_nomem"}
OF_LIBRARY = {"drop_pkt_room", "drop_offload", "drop_disabled", "drop_share",
              "iotlb_found"}


def counters_of_library():
    return set(re.findall(r"^\tuint64_t (\w+);", part(
        "tools/lib/vhx/include/vhx/stats.h", "struct vhx_queue_stats {", "};"), re.M))


def counters():
    """Those of the library, where they mean the same; with a row of the page each."""
    names = counters_of_library()
    page = part("Documentation/man/libvhx.3", ".SH COUNTERS", ".SH ")
    rows = {name for line in re.findall(r"^\.TP\n\.B (.*)$", page, re.M)
            for name in line.split(", ")}
    bad = compare("counter", OF_FDINFO | OF_LIBRARY, names)
    fdinfo = "Documentation/ABI/fdinfo.rst"
    bad += [f"{fdinfo} lacks {name}" for name in OF_FDINFO | OF_MODULE
            if not re.search(rf"\b{name}\b", text_of(fdinfo))]
    return bad + compare("row of libvhx.3", names, rows)


def trouble_causes():
    """In the words of the log, with the name of the counter."""
    page = part("Documentation/trouble.rst", ".. causes begin", ".. causes end")
    known = re.findall(r'X\(\w+, (\w+),\s*"(.*?)"\)',
                       text_of("drivers/vhost/ring/cause.h").replace("\\\n", ""))
    rows = re.findall(r"^(\S.*)\n\t``(\w+)``\. ", page, re.M)
    return compare("row", {f"{text} ({name})" for name, text in known
                           if name != "none"},
                   {f"{text} ({name})" for text, name in rows})


def trouble_drops():
    page = part("Documentation/trouble.rst", ".. counters begin", ".. counters end")
    rows = set(re.findall(r"^``(\w+)``\n\t", page, re.M))
    names = {name for name in counters_of_library() if name.startswith("drop_")}
    names |= {f"drop_{name}" for name in re.findall(
        r'\[VHX_DROP_\w+\] = "(\w+)"', text_of("drivers/vhost/stats.h"))}
    return compare("row", names | OF_MODULE, rows)


def debug_programs():
    """Each program of the selftests runs under KASAN."""
    text = text_of("tools/testing/selftests/vhost/Makefile").replace("\\\n", " ")
    programs = set(re.search(r"^TEST_GEN_PROGS := (.*)$", text, re.M)[1].split())
    shards = part("tools/testing/plans.py", '"debug": (', "),")
    return compare("place in plans.py's SHARDS", programs,
                   set(re.findall(r"\w+_test", shards)))


def version():
    """Of the whole: all else derives from it, or is compared with it here."""
    return re.search(r'^PACKAGE_VERSION="(.*)"$', text_of("dkms.conf"), re.M)[1]


def soname():
    """0.2 of 0.2.0."""
    return version().rpartition(".")[0]


def library():
    return f"libvhx.so.{soname()}"


def releases():
    """Headings of the changelog with their versions, newest first."""
    return re.findall(r"^((\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\))\n=+$",
                      text_of("CHANGELOG.rst"), re.M)


# What repeats the version, where it cannot be derived.
OF_VERSION = {
    "Documentation/library.rst": "``{library}``",
    "contrib/rpm/vhx-kmod.spec": "\nVersion:\t{version}\n",
    "contrib/rpm/vhx.spec": "\nVersion:\t{version}\n",
    "debian/changelog": "vhx ({version}) ",
    "debian/control": "\nPackage: libvhx{soname}\n",
    "debian/libvhx{soname}.symbols": "{library} libvhx{soname} ",
}


def versions():
    words = {"version": version(), "soname": soname(), "library": library()}
    wanted = [(name.format(**words), text.format(**words))
              for name, text in OF_VERSION.items()]
    bad = [f"{name} lacks {text.strip()}" for name, text in wanted
           if not (TOP / name).exists() or text not in text_of(name)]
    if [version()] != [number for _, number in releases()][:1]:
        bad.append(f"CHANGELOG.rst does not begin with {version()} (DATE)")
    return bad


CASES = {
    "style.tree.version_is_the_same_everywhere_ok": versions,
    "style.tests.each_selftest_runs_under_kasan_ok": debug_programs,
    "style.docs.counters_have_the_names_of_fdinfo_ok": counters,
    "style.docs.trouble_has_all_causes_ok": trouble_causes,
    "style.docs.trouble_has_all_drops_ok": trouble_drops,
}
