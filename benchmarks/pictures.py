# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures of docs/performance.md as SVG text, from what benchmarks/performance.py has measured.

roofline() has operations per byte against operations per second, shares() each cell beside its best peer. Both show the rows
of the largest number of threads only, have a background of their own, and no need of fonts or of anything that moves: they
are seen through <img>. The same results give the same bytes.
"""

import math
from statistics import median
from xml.sax.saxutils import escape

WIDTH = 900
INK, GREY, GRID = "#1f2328", "#59636e", "#e3e6ea"
QEFF, PEER = "#0b5cad", "#b3411e"
# Colour and shape say the same: shape(x, y) gives the path of a marker.
MARKERS = {
    "f32": ("#555555", lambda x, y: f"M{x - 5:.1f} {y:.1f}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z"),
    "bf16": ("#0072b2", lambda x, y: f"M{x - 4.5:.1f} {y - 4.5:.1f}h9v9h-9z"),
    "int8": ("#00795a", lambda x, y: f"M{x:.1f} {y - 6:.1f}l5.5 10h-11z"),
    "int4": ("#c04a00", lambda x, y: f"M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"),
}


def best_peer(row):
    return max(row["peers"], key=lambda peer: peer["tok_s"]["median"], default=None)


def text(x, y, content, anchor="start", size=13, colour=INK, more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{more}>'
            f"{escape(content)}</text>")


def line(x1, y1, x2, y2, colour, thick=1.0, more=""):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{thick:g}"{more}/>')


def svg(height, title, parts):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="Helvetica, Arial, sans-serif" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6" fill="white" stroke="#d1d9e0"/>',
        *parts, "</svg>"]) + "\n"


def spread_out(places, distance):
    """Returns the places, which ascend, moved down where they are less than a distance apart."""
    moved = []
    for place in places:
        moved.append(max(place, moved[-1] + distance) if moved else place)
    return moved


class Scale:
    """Logarithmic, from values to pixels."""

    def __init__(self, values, begin, end):
        self.low, self.high = math.log10(min(values) / 1.6), math.log10(max(values) * 1.6)
        self.begin, self.end = begin, end

    def __call__(self, value):
        return self.begin + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.begin)

    def decades(self):
        return [10.0**exponent for exponent in range(math.ceil(self.low), math.floor(self.high) + 1)]


class Cell:
    """A row of the results as a place in the roofline. The peer stands at our operations over its own time."""

    def __init__(self, row):
        operations = sum(row["operations"].values())
        per_token = operations / (row["tokens"] * row["batch"])
        peer = best_peer(row)
        self.weights, self.name = row["weights"], row["cell"]
        self.title = f"{row['model']} {row['weights']} {row['cell']}"
        self.intensity = operations / row["bytes"]
        self.rate = per_token * row["tok_s"]["median"]
        self.peer_rate = per_token * peer["tok_s"]["median"] if peer else None
        self.reading = median(sample["read_bytes_s"] for sample in row["samples"])


def roofs_of(limits, rows):
    """Returns the rate of reading memory, and name and rate of the strongest instruction for each arithmetic that the rows
    use, the slowest first."""
    used = {name for row in rows for name, count in row["operations"].items() if count > 0}
    strongest = {}
    for limit in limits:
        kind = limit["name"].split(":")[0]
        if "op_s" in limit and kind in used and limit["op_s"] > strongest.get(kind, ("", 0))[1]:
            strongest[kind] = (limit["name"], limit["op_s"])
    reading = next((limit["bytes_s"] for limit in limits if "bytes_s" in limit), None)
    return reading, sorted(strongest.values(), key=lambda roof: roof[1])


def slope(x, y, rate, top, label, above, more):
    """A line of so many bytes a second up to the rate `top`, and its label along it, above or below."""
    low, high = max(10**x.low, 10**y.low / rate), min(10**x.high, top / rate)
    x1, y1, x2, y2 = x(low), y(low * rate), x(high), y(high * rate)
    angle = math.degrees(math.atan2(y2 - y1, x2 - x1))
    parts = [line(x1, y1, x2, y2, INK, 1.5, more)]
    middle = 0.66 if above else 0.82  # right of most cells
    turn = f"translate({x1 + middle * (x2 - x1):.1f} {y1 + middle * (y2 - y1):.1f}) rotate({angle:.2f})"
    parts.append(text(0, -7 if above else 17, label, "middle", 12, INK, f' transform="{turn}"'))
    return parts


def brackets(x, cells, top):
    """Where the cells of a name are along the axis, below it; those that would overlap go into a lower lane. Returns what
    is drawn and how high that is."""
    spans = {}
    for cell in cells:
        low, high = spans.get(cell.name, (cell.intensity, cell.intensity))
        spans[cell.name] = (min(low, cell.intensity), max(high, cell.intensity))
    ends, parts = [], []
    for name, (low, high) in sorted(spans.items(), key=lambda span: (span[1], span[0])):
        x1, x2, half = x(low) - 6, x(high) + 6, 3.6 * len(name)
        begin, end = min(x1, (x1 + x2) / 2 - half), max(x2, (x1 + x2) / 2 + half)
        lane = next((i for i, taken in enumerate(ends) if begin > taken + 4), len(ends))
        ends[lane:lane + 1] = [end]
        y = top + 26 * lane
        parts.append(f'<path d="M{x1:.1f} {y:.1f}v4H{x2:.1f}v-4" fill="none" stroke="{GREY}"/>')
        parts.append(text((x1 + x2) / 2, y + 17, name, "middle", 12))
    return parts, 26 * len(ends)


def markers(x, y, cells):
    """All lines first, so that none crosses a marker; then the peers, then ours."""
    parts = []
    for cell in cells:
        if cell.peer_rate:
            px = x(cell.intensity)
            parts.append(line(px, y(cell.peer_rate), px, y(cell.rate), MARKERS[cell.weights][0], 1.2, ' stroke-opacity="0.55"'))
    for cell in cells:
        colour, shape = MARKERS[cell.weights]
        if cell.peer_rate:
            parts.append(f'<path d="{shape(x(cell.intensity), y(cell.peer_rate))}" fill="white" stroke="{colour}" '
                         f'stroke-width="1.5"><title>{escape("best peer: " + cell.title)}</title></path>')
    for cell in cells:
        colour, shape = MARKERS[cell.weights]
        parts.append(f'<path d="{shape(x(cell.intensity), y(cell.rate))}" fill="{colour}" stroke="white" '
                     f'stroke-width="0.8"><title>{escape("qeff: " + cell.title)}</title></path>')
    return parts


def roofline_legend(cells):
    parts, x = [], 76
    for weights in [name for name in MARKERS if any(cell.weights == name for cell in cells)]:
        colour, shape = MARKERS[weights]
        parts += [f'<path d="{shape(x, 50)}" fill="{colour}"/>', text(x + 11, 54.5, weights)]
        x += 66
    x += 24
    for fill, label in ((INK, "filled: qeff"), ("white", "hollow: the best peer in the same cell")):
        parts += [f'<path d="{MARKERS["bf16"][1](x, 50)}" fill="{fill}" stroke="{INK}" stroke-width="1.5"/>',
                  text(x + 11, 54.5, label)]
        x += 110
    return parts


def roofline(results):
    threads = max(row["threads"] for row in results["rows"])
    rows = [row for row in results["rows"] if row["threads"] == threads]
    cells = [Cell(row) for row in rows]
    reading, peaks = roofs_of([limit for limit in results["limits"] if limit["threads"] == threads], rows)
    left, right, top, bottom = 66, WIDTH - 168, 76, 500
    rates = [cell.rate for cell in cells] + [cell.peer_rate for cell in cells if cell.peer_rate]
    x = Scale([cell.intensity for cell in cells], left, right)
    y = Scale(rates + [rate for _, rate in peaks], bottom, top)

    title = f"What is computed against what the machine can do, {threads} thread{'s' if threads > 1 else ''}"
    parts = [text(left, 28, title, "start", 16, INK, ' font-weight="bold"'), *roofline_legend(cells)]
    for value in y.decades():
        parts += [line(left, y(value), right, y(value), GRID), text(left - 8, y(value) + 4.5, f"{value / 1e9:,g}", "end")]
    for value in x.decades():
        parts += [line(x(value), top, x(value), bottom, GRID), text(x(value), bottom + 18, f"{value:,g}", "middle")]
    parts.append(f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="{GREY}"/>')
    parts.append(text(0, 0, "GOP/s", "middle", 13, INK, f' transform="translate(20 {(top + bottom) / 2:g}) rotate(-90)"'))

    if reading:
        highest = max([rate for _, rate in peaks] or [10**y.high])
        parts += slope(x, y, reading, highest, f"reading 1 GiB: {reading / 1e9:.1f} GB/s", False, "")
        fastest = max(cells, key=lambda cell: cell.reading)
        if fastest.reading > 1.2 * reading:
            label = f"from a cache, at most: {fastest.reading / 1e9:.0f} GB/s ({fastest.title.rsplit(' ', 1)[0]})"
            parts += slope(x, y, fastest.reading, highest, label, True, ' stroke-dasharray="5 4"')
        for _, rate in peaks:
            parts.append(line(x(max(10**x.low, rate / reading)), y(rate), right, y(rate), INK, 1.5))
    for (name, rate), place in zip(reversed(peaks), spread_out([y(rate) for _, rate in reversed(peaks)], 36)):
        short = name if len(name) < 25 else name.split(",")[0] + ", .."
        parts += [text(right + 8, place - 1, short, "start", 12),
                  text(right + 8, place + 14, f"{rate / 1e9:,.0f} GOP/s", "start", 12, GREY)]
    parts += markers(x, y, cells)

    names, taken = brackets(x, cells, bottom + 28)
    axis = bottom + 28 + taken + 20
    parts += [*names, text((left + right) / 2, axis, "operations for each byte of weights, keys and values", "middle")]
    return svg(int(axis + 16), title, parts)


def shares(results, cells):
    """A line for each row: the share of its own limit, and where its best peer is. `cells` has names and what they are."""
    threads = max(row["threads"] for row in results["rows"])
    left, right, step, top = 230, 600, 18, 92
    most = max(row["share_of_limit"]["max"] for row in results["rows"])
    full = 100 if most <= 1.06 else math.ceil(most * 5) * 20  # percent

    def at(share):
        return left + share / full * 100 * (right - left)

    title = f"How near each cell is to its limit, {threads} thread{'s' if threads > 1 else ''}"
    parts, y = [], top + 8
    for cell, meaning in cells.items():
        rows = [row for row in results["rows"] if row["cell"] == cell and row["threads"] == threads]
        if not rows:
            continue
        parts.append(f'<text x="20" y="{y + 16}" font-size="12" fill="{GREY}"><tspan font-size="13" font-weight="bold" '
                     f'fill="{INK}">{cell}</tspan><tspan dx="10">{escape(meaning)}</tspan></text>')
        y += 26
        for row in rows:
            parts += share_line(row, y + step / 2, at, right)
            y += step
        y += 6
        parts.append(line(20, y, WIDTH - 20, y, GRID))
    grid = []
    for percent in range(0, full + 1, 20):
        grid += [line(at(percent / 100), top, at(percent / 100), y, INK if percent == 100 else GRID, 1.5 if percent == 100 else 1),
                 text(at(percent / 100), top - 6, f"{percent} %", "middle", 12)]
    head = [text(20, 28, title, "start", 16, INK, ' font-weight="bold"'),
            f'<circle cx="30" cy="50" r="5" fill="{QEFF}"/>', line(20, 50, 40, 50, QEFF, 2.5),
            text(48, 54.5, "qeff: median and range of its share"),
            f'<circle cx="296" cy="50" r="4.5" fill="white" stroke="{PEER}" stroke-width="1.8"/>',
            text(308, 54.5, "the best peer: the share that its speed would be"),
            text(20, top - 6, "model, weights", "start", 12, GREY), text(left - 24, top - 6, "limit", "end", 12, GREY),
            text(right + 58, top - 6, "ratio", "end", 12, GREY), text(right + 72, top - 6, "to the best peer", "start", 12, GREY),
            text(20, y + 20, "The limits are measured beside each cell; reading is that of as many bytes as the cell reads, for small "
                 "programs from a cache.", "start", 12, GREY)]
    return svg(int(y + 34), title, head + grid + parts)


def share_line(row, y, at, right):
    """The limit of a row is reading or an arithmetic. `right`: where the shares end."""
    share = row["share_of_limit"]
    middle, peer = at(share["median"]), best_peer(row)
    parts = [text(32, y + 4.5, row["model"]), text(118, y + 4.5, row["weights"]),
             text(at(0) - 24, y + 4.5, "reading" if row["bound"] == "read" else row["bound"], "end", 12, GREY)]
    if peer:
        place = at(share["median"] / peer["ratio"]["median"])
        parts += [line(place, y, middle, y, "#9aa4af", 1.2),
                  f'<circle cx="{place:.1f}" cy="{y:.1f}" r="4.5" fill="white" stroke="{PEER}" stroke-width="1.8"/>',
                  text(right + 58, y + 4.5, f"{peer['ratio']['median']:.2f}", "end", 13, INK, ' font-weight="bold"'),
                  text(right + 72, y + 4.5, peer["engine"], "start", 12)]
    return parts + [line(at(share["min"]), y, at(share["max"]), y, QEFF, 2.5),
                    f'<circle cx="{middle:.1f}" cy="{y:.1f}" r="5" fill="{QEFF}"/>']
