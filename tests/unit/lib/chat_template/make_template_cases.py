#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Records in template_cases.json what Python's Jinja2 makes of the templates in template_sources.py, in the environment in which
transformers runs chat templates. Run it with Python 3.11 and jinja2 3.1 after adding a case."""
import datetime
import json
import pathlib

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

import template_sources


class Generation(jinja2.ext.Extension):
    """The block that transformers uses to find the assistant's tokens; here only its text counts."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

    def _text(self, caller):
        return caller()


def environment(options):
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=options.get("trim_blocks", True), lstrip_blocks=options.get("lstrip_blocks", True),
        keep_trailing_newline=options.get("keep_trailing_newline", False),
        extensions=[Generation, jinja2.ext.loopcontrols])

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: datetime.datetime(2025, 7, 10, 12, 0, 0).strftime(format)
    return env


def main():
    cases = []
    for template, options in template_sources.cases():
        case = {"template": template}
        if options:
            case["options"] = options
        try:
            text = environment(options).from_string(template).render(**template_sources.CONTEXT)
            text.encode()  # half a surrogate pair has no UTF-8
            case["expected"] = text
        except Exception as error:  # whatever Python refuses, we must refuse
            case["error"] = f"{type(error).__name__}: {error}"
        if " at 0x" not in case.get("expected", ""):  # addresses are not ours to match
            cases.append(case)
    path = pathlib.Path(__file__).with_name("template_cases.json")
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    context = json.dumps(template_sources.CONTEXT, ensure_ascii=False)
    path.write_text('{"made_by": "Python Jinja2 %s",\n"context": %s,\n"cases": [\n%s\n]}\n'
                    % (jinja2.__version__, context, lines))
    print(f"{len(cases)} cases, {sum('error' in c for c in cases)} of them errors")


if __name__ == "__main__":
    main()
