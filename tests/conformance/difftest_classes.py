# SPDX-License-Identifier: ISC
"""Why an answer of the engine differs from that of prometheus 2.42.

A query whose answers differ is taken apart: of the nodes of its expression
those are the roots whose own answers differ by a bit though those of their
arguments are equal. Each root must be recognised by a class of CLASSES:
its predicate computes what 2.42 and what 3.14 make of the (equal) arguments
and wants to find exactly these two answers. What no class recognises is a
bug, ours until the source of 3.14 says otherwise.
"""

import fractions
import itertools
import json
import math
import re

EPSILON = fractions.Fraction(1, 2 ** 53)
SUBQUERY_STEP = 60      # the default
PERMUTATIONS_MAX = 6    # values; of more the rounding is bounded


class Expr(str):
    """The text of an expression that knows its parts."""

    kind = "leaf"       # leaf, range, subquery, call, agg, topk, binop
    op = ""
    args = ()
    window_ms = step_ms = 0


def expr(text, kind, op="", args=(), window_ms=0, step_ms=0):
    e = Expr(text)
    e.kind, e.op, e.window_ms, e.step_ms = kind, op, window_ms, step_ms
    e.args = [a for a in args if isinstance(a, Expr)]
    return e


def resolved(e, start, end):
    """With @ start() and @ end() as times: a part does not know them."""
    text = e.replace("@ start()", "@ %d" % start).replace(
        "@ end()", "@ %d" % end)
    return expr(text, e.kind, e.op, [resolved(a, start, end)
                                     for a in e.args], e.window_ms, e.step_ms)


def duration_ms(text):
    units = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000}
    return sum(int(n) * units[u]
               for n, u in re.findall(r"(\d+)(ms|s|m|h)", text))


# --- answers ---

def bits(v):
    """Equal exactly when two values are the same float."""
    return "NaN" if math.isnan(v) else (v, math.copysign(1, v))


def table(answer):
    """{labels: {time in ms: value}} of an answer; None of an error."""
    if "error" in answer:
        return None
    if answer["resultType"] == "scalar":
        r = answer["result"]        # [time, value], here the value alone
        return {"{}": {0: float(r[-1])}}
    return {key(s): {round(t * 1000): float(v) for t, v in samples(s)}
            for s in answer["result"]}


def samples(s):
    return [s["value"]] if "value" in s else s["values"]


def key(s):
    return json.dumps(s["metric"], sort_keys=True)


def same_bits(a, b):
    if a is None or b is None:
        return a is b
    return a.keys() == b.keys() and all(
        a[k].keys() == b[k].keys() and
        all(bits(a[k][t]) == bits(b[k][t]) for t in a[k]) for k in a)


# --- what the releases compute ---

def kahan(inc, total, c):
    """kahansum.Inc of 3.14."""
    t = total + inc
    if math.isinf(t):
        return t, 0.0
    if abs(total) >= abs(inc):
        return t, c + ((total - t) + inc)
    return t, c + ((inc - t) + total)


def kahan_242(inc, total, c):
    t = total + inc
    if abs(total) >= abs(inc):
        return t, c + ((total - t) + inc)
    return t, c + ((inc - t) + total)


def sum_242(values):
    total = values[0]
    for v in values[1:]:
        total += v
    return total


def sum_314(values):
    total, c = values[0], 0.0
    for v in values[1:]:
        total, c = kahan(v, total, c)
    return total + c


def keeps_infinite_mean(mean, v):
    return math.isinf(mean) and (
        not math.isinf(v) and not math.isnan(v) or
        math.isinf(v) and (mean > 0) == (v > 0))


def avg_242(values):
    mean = values[0]
    for n, v in enumerate(values[1:], 2):
        if not keeps_infinite_mean(mean, v):
            mean += v / n - mean / n
    return mean


def avg_314(values):
    total, c, mean, incremental = values[0], 0.0, 0.0, False
    n = 1.0
    for v in values[1:]:
        n += 1
        if not incremental:
            new, new_c = kahan(v, total, c)
            if not math.isinf(new):
                total, c = new, new_c
                continue
            incremental = True
            mean = total / (n - 1)
            c /= n - 1
        q = (n - 1) / n
        mean, c = kahan(v / n, q * mean, q * c)
    return mean + c if incremental else total / n + c / n


def avg_over_time_242(values):
    mean = c = 0.0
    for n, v in enumerate(values, 1):
        if not keeps_infinite_mean(mean, v):
            mean, c = kahan_242(v / n - mean / n, mean, c)
    return mean if math.isinf(mean) else mean + c


def sum_over_time_242(values):
    total = c = 0.0
    for v in values:
        total, c = kahan_242(v, total, c)
    return total if math.isinf(total) else total + c


def sum_over_time_314(values):
    total = c = 0.0
    for v in values:
        total, c = kahan(v, total, c)
    return total + c


def welford(values, first):
    mean, aux = values[0], first
    for n, v in enumerate(values[1:], 2):
        delta = v - mean
        mean += delta / n
        aux += delta * (v - mean)
    return aux / len(values)


def stdvar_242(values):
    return welford(values, 0.0)


def stdvar_314(values):
    return welford(values, 0.0 if math.isfinite(values[0]) else math.nan)


def root_of(f):
    return lambda values: math.sqrt(f(values))


AGGREGATIONS = {
    "sum": (sum_242, sum_314), "avg": (avg_242, avg_314),
    "stdvar": (stdvar_242, stdvar_314),
    "stddev": (root_of(stdvar_242), root_of(stdvar_314)),
}
OVER_TIME = {
    "sum_over_time": (sum_over_time_242, sum_over_time_314),
    "avg_over_time": (avg_over_time_242, avg_314),
}
ELEMENTARY = ("exp", "ln", "log2", "log10", "sin", "cos", "atan", "deg",
              "rad", "^")


# --- Go's container/heap, by which topk chooses among equal values ---

class Heap(list):
    def __init__(self, largest_out):
        super().__init__()
        self.largest_out = largest_out      # bottomk: the largest goes first

    def less(self, i, j):
        a, b = self[i][0], self[j][0]
        if math.isnan(a):
            return True
        return a > b if self.largest_out else a < b

    def up(self, j):
        while True:
            i = (j - 1) // 2
            if i == j or j == 0 or not self.less(j, i):
                return
            self[i], self[j] = self[j], self[i]
            j = i

    def down(self, i, n):
        while True:
            j = 2 * i + 1
            if j >= n:
                return
            if j + 1 < n and self.less(j + 1, j):
                j += 1
            if not self.less(j, i):
                return
            self[i], self[j] = self[j], self[i]
            i = j

    def push(self, x):
        self.append(x)
        self.up(len(self) - 1)

    def pop_first(self):
        n = len(self) - 1
        self[0], self[n] = self[n], self[0]
        self.down(0, n)
        self.pop()


def chosen(values, k, bottom, fix):
    """The keys that topk takes of [(value, key)] in this order. fix: as
    since #12190 (replaced in place, a NaN gives way to numbers only), else
    as in 2.42."""
    h = Heap(bottom)
    for x in values:
        if len(h) < k:
            h.push(x)
            continue
        first = h[0][0]
        better = first > x[0] if bottom else first < x[0]
        if not better and not (math.isnan(first) and
                               not (fix and math.isnan(x[0]))):
            continue
        if fix or k == 1:
            h[0] = x
            h.down(0, len(h))
        else:
            h.pop_first()
            h.push(x)
    return {x[1] for x in h}


# --- groups ---

def group_of(labels, op_text):
    """The key of the group, from the text of the aggregation's head."""
    m = re.match(r"\w+ (by|without) \(([^)]*)\)", op_text)
    ls = json.loads(labels)
    if m is None:
        return "{}"
    names = [n.strip() for n in m.group(2).split(",") if n.strip()]
    if m.group(1) == "by":
        kept = {n: v for n, v in ls.items() if n in names}
    else:
        kept = {n: v for n, v in ls.items()
                if n not in names and n != "__name__"}
    return json.dumps(kept, sort_keys=True)


def label_order(labels):
    """As labels.Compare."""
    return sorted(json.loads(labels).items())


def groups(arg, e):
    """{group: {time: [(value, labels)]}}, in the order of the labels."""
    out = {}
    for labels in sorted(arg, key=label_order):
        g = out.setdefault(group_of(labels, e), {})
        for t, v in arg[labels].items():
            g.setdefault(t, []).append((v, labels))
    return out


def differing(theirs, ours):
    """[(labels, time, theirs, ours)], None where one has no sample."""
    for k in theirs.keys() | ours.keys():
        a, b = theirs.get(k, {}), ours.get(k, {})
        for t in a.keys() | b.keys():
            x, y = a.get(t), b.get(t)
            if x is None or y is None or bits(x) != bits(y):
                yield k, t, x, y


# --- the classes ---

class Root:
    """A node whose answers differ though its arguments' are equal."""

    def __init__(self, ask, e, times, theirs, ours):
        self.ask, self.e, self.times = ask, e, times
        self.theirs, self.ours = theirs, ours

    def argument(self, i=-1):
        return table(self.ask.ours(self.e.args[i], *self.times))

    def both(self):
        return self.theirs is not None and self.ours is not None

    def differing(self):
        return list(differing(self.theirs, self.ours))


def rounds_to(values, op, x):
    """Whether rounding alone may make x of the finite values."""
    exact = [fractions.Fraction(v) for v in values]
    n = len(exact)
    most = max(abs(v) for v in exact)
    mean = sum(exact) / n
    far = max(abs(v - mean) for v in exact)
    got = fractions.Fraction(x)
    if op == "sum":
        return abs(got - mean * n) <= EPSILON * n * n * most
    if op == "avg":
        return abs(got - mean) <= EPSILON * 2 * n * most
    var = sum((v - mean) ** 2 for v in exact) / n
    bound = EPSILON * 4 * n * (most * far + var)
    return abs((got if op == "stdvar" else got * got) - var) <= bound


def by_some_order(values, op, f, x):
    """Whether f makes x of the values, taken in some order."""
    if len(values) <= PERMUTATIONS_MAX:
        return any(bits(f(p)) == bits(x)
                   for p in itertools.permutations(values))
    if all(math.isfinite(v) for v in values) and math.isfinite(x):
        return rounds_to(values, op, x)
    return bits(f(values)) == bits(x)


def aggregated(root, ops, order_free):
    """Whether each answer is its release's aggregation of the same values."""
    e = root.e
    if e.kind != "agg" or e.op not in ops or not root.both():
        return False
    by_group = groups(root.argument(), e)
    old, new = AGGREGATIONS[e.op]
    for k, t, x, y in root.differing():
        values = [v for v, _ in by_group.get(k, {}).get(t, [])]
        if x is None or y is None or not values:
            return False
        if order_free:
            if not (by_some_order(values, e.op, old, x) and
                    by_some_order(values, e.op, new, y)):
                return False
        elif bits(old(values)) != bits(x) or bits(new(values)) != bits(y):
            return False
    return True


def is_compensated(root):
    return aggregated(root, ("sum", "avg"), False)


def is_compensated_unordered(root):
    return aggregated(root, ("sum", "avg"), True)


def is_infinite_deviation(root):
    """Also: each group in question holds NaN or Inf."""
    if not aggregated(root, ("stddev", "stdvar"), True):
        return False
    return all(math.isnan(y) for _, _, _, y in root.differing())


def is_other_order(root):
    """The same algorithm in 2.42 and 3.14, finite values."""
    return aggregated(root, ("stddev", "stdvar"), True)


def window_values(root, labels, t):
    """What lies in the window of a function over a range at a time."""
    ranges = table(root.ask.ours(root.e.args[-1], t / 1000, t / 1000, 0))
    for k, values in (ranges or {}).items():
        ls = json.loads(k)
        ls.pop("__name__", None)
        if json.dumps(ls, sort_keys=True) == labels:
            return list(values.values())
    return []


def is_over_time(root):
    e = root.e
    if e.op not in OVER_TIME or not root.both():
        return False
    old, new = OVER_TIME[e.op]
    for k, t, x, y in root.differing():
        values = window_values(root, k, t)
        if x is None or y is None or not values or \
                bits(old(values)) != bits(x) or bits(new(values)) != bits(y):
            return False
    return True


def is_tie(root):
    e = root.e
    if e.kind != "topk" or not root.both():
        return False
    k = int(re.search(r"\((\d+), ", e).group(1))
    by_group = groups(root.argument(), e)
    times = {t for _, t, _, _ in root.differing()}
    for t in times:
        old, new = set(), set()
        for g in by_group.values():
            if t in g:
                old |= chosen(g[t], k, e.op == "bottomk", False)
                new |= chosen(g[t], k, e.op == "bottomk", True)
        if old != {n for n, v in root.theirs.items() if t in v} or \
                new != {n for n, v in root.ours.items() if t in v}:
            return False
    return True


def is_wrong_scope(root):
    """Asked for one step alone, 2.42 says what we say for all steps."""
    e = root.e
    if e.op != "predict_linear" or " @ " not in e.args[0] or not root.both():
        return False
    for t in {t for _, t, _, _ in root.differing()}:
        want = table(root.ask.theirs(e, t / 1000, t / 1000, 0))
        got = {k: {t: v[t]} for k, v in root.ours.items() if t in v}
        if want is None or want.keys() != got.keys() or any(
                not math.isclose(want[k][t], got[k][t], rel_tol=1e-12)
                and bits(want[k][t]) != bits(got[k][t]) for k in want):
            return False
    return True


def is_duplicate_match(root):
    """An error that 2.42 gives too when nothing is filtered (bool)."""
    e = root.e
    if e.op not in ("==", "!=", "<", ">", "<=", ">=") or root.ours is not None:
        return False
    head = "(%s %s" % (e.args[0], e.op)
    ours = root.ask.ours(e, *root.times)
    theirs = root.ask.theirs(head + " bool" + e[len(head):], *root.times)
    return e.startswith(head) and root.theirs is not None and \
        theirs.get("error", "?").split("{")[0] == ours["error"].split("{")[0]


def is_last_digit(root):
    """Of functions that Go and the C library compute in their own ways."""
    if root.e.op not in ELEMENTARY or not root.both():
        return False
    return all(x is not None and y is not None and
               abs(x - y) <= 4 * math.ulp(max(abs(x), abs(y)))
               for _, _, x, y in root.differing())


# name, predicate, since, reason
CLASSES = [
    ("matches that a comparison filters", is_duplicate_match, "3.9",
     "they count when several of a group match (#17668)"),
    ("sum and avg are compensated", is_compensated, "2.54, 2.55, 3.5",
     "sum (#14074, #14362), avg (#14413, #16569, #16773) use Kahan summation: "
     "each answer is its algorithm's over the same values"),
    ("sum and avg are compensated, over values without an order",
     is_compensated_unordered, "2.54, 2.55, 3.5",
     "the same; the order of the values is that of a Go map"),
    ("sum_over_time, avg_over_time", is_over_time, "2.54, 2.55, 3.5",
     "avg_over_time divides a sum (#14413, #16569, #16773), an infinite sum "
     "has no compensation (#14362)"),
    ("stddev, stdvar of NaN or Inf", is_infinite_deviation, "3.0",
     "a group that begins with NaN or Inf gives NaN (#14941)"),
    ("topk, bottomk among equal values", is_tie, "2.44",
     "the heap's first is replaced in place (#12190), so among equal values, "
     "and NaN, others are kept"),
    ("predict_linear of a range with @", is_wrong_scope, "2.51",
     "the range is the same at every step (#13559)"),
    ("the last digit of exp, ln, sin, x ^ 0.3 …", is_last_digit, "",
     "Go's functions and the C library's round differently; the digit decides "
     "in floor, %, a comparison"),
    ("stddev, stdvar in another order", is_other_order, "",
     "both sum in the order of a Go map what binary operators and timestamp() "
     "return; each answer is that of some order"),
]


def roots(ask, e, times):
    """The nodes below where the answers begin to differ."""
    found = []
    start, end, step = times
    for a in e.args:
        if a.kind == "range":
            continue            # raw samples
        if a.kind == "subquery":
            first = math.floor(start - a.window_ms / 1000)
            inner = a.step_ms // 1000 or SUBQUERY_STEP
            first -= first % inner
            found += roots(ask, a.args[0], (first, end, inner))
        else:
            found += roots(ask, a, times)
    if found:
        return found
    theirs, ours = (table(x) for x in (ask.theirs(e, *times),
                                       ask.ours(e, *times)))
    if same_bits(theirs, ours):
        return []
    return [Root(ask, e, times, theirs, ours)]


def explain(ask, query, start, end, step):
    """(names of classes, text of the first root that none explains)."""
    found = roots(ask, resolved(query, start, end), (start, end, step))
    names = set()
    if not found:
        return names, "no part of it differs"
    for root in found:
        name = next((c[0] for c in CLASSES if c[1](root)), None)
        if name is None:
            return names, str(root.e)
        names.add(name)
    return names, None
