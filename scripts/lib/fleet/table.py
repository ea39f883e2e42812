"""What plan and status show: rows from records and reports, and their totals."""
import collections
import csv
import json
import re
import sys

from .state import FINISHED, Failed, Task, load

PLAN = ("index", "name", "source", "distribution", "kernel", "layout", "verdict", "rules", "files", "bytes", "error")
STATUS = ("index", "name", "source", "state", "rules", "output", "error", "time")
UNRECORDED = "its task ended without a word: killed, or its disk was full"
REPORT_VERSION = 1


def report_of(task, name):
    report = load(task.path(name))
    if report and report.get("schema_version") != REPORT_VERSION:
        raise Failed("%s: not a report that this version knows" % task.path(name))
    return report


def blocking(report):
    return list(collections.OrderedDict.fromkeys(finding["rule"] for finding in report.get("findings", []) if finding["blocks"]))


def status_row(state, line):
    row = {"index": line.index, "name": line.name, "source": line.source, "state": "failed", "rules": [], "output": "", "error": "", "time": ""}
    try:
        fill_status(row, Task(state, line, "run"), line)
    except (Failed, OSError) as error:
        row.update(state="failed", error=str(error))
    except (AttributeError, KeyError, TypeError) as error:
        row.update(state="failed", error="%s: record or report is not what it should be (%r)" % (Task(state, line, "run").directory, error))
    return row


def fill_status(row, task, line):
    if task.is_held():
        row["state"] = "running"
        return
    record = task.record()
    if not record or record["line"]["source"] != line.source:
        row.update(state="not-run", error="the record of this name is another source's" if record else "")
        return
    row.update(state=record["state"], output=record.get("output", ""), error=record.get("error", ""), time=record["time"])
    if record["state"] in ("running", "publishing"):
        row.update(state="interrupted", error=UNRECORDED)
    elif record["state"] in FINISHED + ("refused",):
        report = report_of(task, "report.json")
        if not report and record["state"] == "done":
            raise Failed("%s: is not there, though the line is done" % task.path("report.json"))
        row["rules"] = blocking(report) if record["state"] == "refused" else []


def plan_row(state, line):
    row = dict.fromkeys(PLAN, "")
    row.update(index=line.index, name=line.name, source=line.source, rules=[])
    try:
        fill_plan(row, state, line)
    except Failed as error:
        row.update(verdict="failed", error=str(error))
    except (AttributeError, KeyError, TypeError) as error:
        row.update(verdict="failed", error="%s: record or report is not what it should be (%r)" % (Task(state, line, "plan").directory, error))
    return row


def fill_plan(row, state, line):
    run, task, name = Task(state, line, "run"), Task(state, line, "plan"), "plan.json"
    ran = run.record()
    if ran.get("state") in FINISHED and ran.get("line") == line.words():
        task, name = run, "report.json"
    record = task.record()
    if not record or record["line"] != line.words():
        row.update(verdict="not-planned", error="planned with other settings" if record else "")
        return
    report = report_of(task, name)
    row.update(verdict=record["state"], error=record.get("error", ""), rules=blocking(report) if record["state"] == "refused" else [])
    if record["state"] == "running":
        row.update(verdict="interrupted", error=UNRECORDED)
    guest, planned = report.get("guest", {}).get("os", {}), report.get("plan", {})
    row["distribution"] = guest.get("name") or " ".join([guest.get("id", ""), guest.get("version", "")]).strip()
    if planned:
        row.update(kernel=planned.get("kernel", ""), layout=planned.get("layout", ""), bytes=report.get("changed_bytes", ""),
                   files=sum(action["kind"] in ("file", "link", "remove") for action in planned["actions"]))


def totals_of(rows, key):
    states = collections.Counter(row[key] for row in rows)
    return {"lines": len(rows), key + "s": dict(sorted(states.items())),
            "refused_by": dict(sorted(collections.Counter(rule or "no rule" for row in rows if row[key] == "refused"
                                                          for rule in row["rules"] or [""]).items()))}


def printable(text):
    return re.sub("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", lambda found: "\\x%02X" % ord(found.group()), str(text))


def cell(value):
    """For CSV: what an image says of itself must not become a spreadsheet's formula."""
    text = printable(" ".join(value) if isinstance(value, list) else value)
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def show(given, rows, columns):
    key = "verdict" if "verdict" in columns else "state"
    totals = totals_of(rows, key)
    if given.json:
        data = {"version": 1, "totals": totals}
        if not given.totals:
            data["lines"] = rows
        json.dump(data, sys.stdout, indent=1)
        print()
    elif given.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        if given.totals:
            writer.writerow(["total", "of", "count"])
            writer.writerows([what, cell(of), count] for what in (key + "s", "refused_by") for of, count in totals[what].items())
        else:
            writer.writerow(columns)
            writer.writerows([cell(row[column]) for column in columns] for row in rows)
    else:
        text(given, rows, key, totals)
    sys.stdout.flush()
    open_rows = [row for row in rows if row[key] not in FINISHED + ("ready",)]
    return 0 if not open_rows else 3 if all(row[key] == "refused" for row in open_rows) else 1


SHOWN = {"ready": "will convert", "nothing-to-do": "boots as HVM already"}


def text(given, rows, key, totals):
    shown = [[str(row["index"]), row["name"]] + extra(row, key) for row in rows]
    if not given.totals:
        head = ["INDEX", "NAME"] + (["SOURCE", "DISTRIBUTION", "KERNEL", "LAYOUT", "FILES", "BYTES"] if key == "verdict" else []) + [key.upper(), "DETAIL"]
        shown = [[printable(value) for value in row] for row in shown]
        widths = [max(len(row[i]) for row in [head] + shown) for i in range(len(head))]
        for row in [head] + shown:
            print("  ".join(value.ljust(width) for value, width in zip(row, widths)).rstrip())
        print()
    print("%d lines: %s" % (len(rows), ", ".join("%d %s" % (count, SHOWN.get(state, state)) for state, count in totals[key + "s"].items())))
    for rule, count in totals["refused_by"].items():
        print("refused by %s: %d" % (rule, count))


def extra(row, key):
    why = row["error"] if row[key] != "refused" else "by %s: %s" % (", ".join(row["rules"]), row["error"]) if row["rules"] else row["error"]
    cells = [str(row[column]) for column in ("source", "distribution", "kernel", "layout", "files", "bytes")] if key == "verdict" else []
    return cells + [SHOWN.get(row[key], row[key]), why or row.get("output", "")]
