"""Reference values for the special functions, by mpmath at 60 digits. Writes special.json beside this file.

Every input is a double, written so that it reads back to the same double; every expected value is a decimal string with
25 significant digits. Run: python generate.py
"""

import functools
import json
import multiprocessing
import pathlib
import platform

import mpmath
from mpmath import mp, mpf
from scipy.special import betainccinv, betaincinv

mp.dps = 60


def text(value):
    return mpmath.nstr(value, 25, strip_zeros=False, min_fixed=-5, max_fixed=25)


def doubles(values):
    return sorted({float(v) for v in values})


def areas(x, a, b, y=None):
    """Lower and upper area of the beta law at x, with y = 1 - x, each to about 60 digits."""
    x, a, b = mpf(x), mpf(a), mpf(b)
    y = 1 - x if y is None else y
    with mp.workdps(360):
        if x <= 0.5 and b * x < 6000:
            lower = power_series(x, a, b)
        elif y <= 0.5 and a * y < 6000:
            lower = 1 - power_series(y, b, a)
        else:
            with mp.workdps(80):
                below_mean = x * b <= y * a
                small = positive_series(x, y, a, b) if below_mean else positive_series(y, x, b, a)
            lower = small if below_mean else 1 - small
        return lower, 1 - lower


def power_series(x, a, b):
    """DLMF 8.17.7: alternating, with terms up to exp(b x), so with digits to spare."""
    with mp.workdps(360 + int(b * x)):
        term, total, n = mpf(1), 1 / a, 0
        smallest = mpf(10) ** -(350 + int(b * x))
        while abs(term) > smallest:
            n += 1
            term *= (n - b) * x / n
            total += term / (a + n)
        return mp.exp(a * mp.log(x) - log_beta(a, b)) * total


def positive_series(x, y, a, b):
    """DLMF 8.17.8: all terms positive."""
    term, total, n = mpf(1), mpf(1), 0
    while term > total * mpf(10) ** -70:
        term *= (a + b + n) / (a + 1 + n) * x
        total += term
        n += 1
    return mp.exp(a * mp.log(x) + b * mp.log(y) - mp.log(a) - log_beta(a, b)) * total


@functools.cache
def log_beta(a, b):
    with mp.workdps(400):
        a, b = mpf(a), mpf(b)
        return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def log_gamma_cases():
    grid = [mpf(10) ** k for k in range(-300, 301, 10)]
    grid += [mpf(10) ** (mpf(k) / 5) for k in range(-60, 61)]
    grid += [c + s * mpf(2) ** -k for c in (1, 2) for s in (1, -1) for k in range(2, 52, 2)]
    grid += [mpf(k) / 4 for k in range(1, 81)] + [10 - 2.0**-40, 2.5 + 2.0**-40, 0.5 - 2.0**-40]
    return [[x, text(mp.loggamma(mpf(x)))] for x in doubles(grid) if x not in (1, 2)]


def log_beta_cases():
    shapes = [1e-300, 1e-30, 1e-8, 1e-3, 0.03, 0.4, 0.75, 1.5, 2.5, 7, 9.75, 10, 33.3, 250, 4e3, 1e5, 1e6, 3e7, 1e8]
    return [[a, b, text(log_beta(a, b))] for a in shapes for b in shapes if abs(log_beta(a, b)) > 1e-3]


def erf_cases():
    grid = doubles([mpf(10) ** k for k in range(-300, 0, 12)] + [mpf(k) / 32 for k in range(1, 200)])
    return [[x, text(mp.erf(mpf(x)))] for x in grid]


def erfc_cases():
    grid = doubles([mpf(k) / 16 for k in range(-48, 64)] + [mpf(k) / 8 + 0.01 for k in range(32, 212)])
    return [[x, text(mp.erfc(mpf(x)))] for x in grid]


def normal_cdf_cases():
    grid = doubles([mpf(k) / 8 + mpf(k) / 1000 for k in range(-298, 66)] + [-37, -36.99, -1.5, -2.12, -2.13, 1.96, 1e-9])
    return [[x, text(mp.ncdf(mpf(x)))] for x in grid if x >= -37.5]


def quantile(p, q):
    """Solves on the smaller tail, by Newton's iteration on its logarithm."""
    p = mpf(p)
    if p == 0.5:
        return mpf(0)
    if p > 0.5:
        return -quantile(q, p)
    x = -mp.sqrt(-2 * mp.log(p)) if p < 0.1 else (p - 0.5) * mp.sqrt(2 * mp.pi)
    for _ in range(60):
        cdf = mp.erfc(-x / mp.sqrt(2)) / 2
        step = (mp.log(cdf) - mp.log(p)) * cdf / mp.npdf(x)
        x -= step
        if abs(step) < abs(x) * mpf(10) ** -50:
            return x
    raise ValueError(p)


def normal_quantile_cases():
    grid = [mpf(10) ** k for k in range(-300, 0, 4)] + [mpf(k) / 128 for k in range(1, 128)]
    grid += [1 - mpf(2) ** -k for k in range(2, 54)] + [0.5 + s * mpf(2) ** -k for s in (1, -1) for k in range(3, 53, 3)]
    grid += [0.6, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9999, 1 - 1e-16, 0.0025, 0.3, 0.399, 0.401]
    with mp.workdps(80):
        return [[p, text(quantile(p, 1 - mpf(p)))] for p in doubles(grid) if p != 0.5]


SHAPES = [1e-3, 0.02, 0.5, 1, 3.7, 12, 200, 5e3, 1e5, 1e6]
LEVELS = [1e-280, 1e-60, 1e-15, 1e-4, 0.05, 0.3, 0.5, 0.8, 0.99, 1 - 2.0**-30]


def beta_point(p, a, b):
    """x and 1 - x with lower area p, to about 60 digits, or None where x or 1 - x is below 1e-290."""
    p = mpf(p)
    q = 1 - p
    with mp.workdps(70):
        logs = mp.log(p * a) + log_beta(a, b), mp.log(q * b) + log_beta(b, a)
        if logs[0] / a < -668 or logs[1] / b < -668:
            return None
        swapped = p > areas(mpf(a) / (mpf(a) + mpf(b)), a, b)[0]
        if swapped:
            a, b, p, q = b, a, q, p
        start = betaincinv(a, b, float(p)) if p < 0.5 else betainccinv(a, b, float(q))
        s = mp.log(mpf(start)) if start > 1e-290 else logs[1 if swapped else 0] / a
        s = min(s, mp.log(mpf(a) / (mpf(a) + mpf(b))))
        for _ in range(200):
            x, y = mp.exp(s), -mp.expm1(s)
            lower, upper = areas(x, a, b, y)
            density = mp.exp(a * s + (b - 1) * mp.log(y) - log_beta(a, b))
            if p < 0.5:
                step = (mp.log(p) - mp.log(lower)) * lower / density
            else:
                step = (mp.log(upper) - mp.log(q)) * upper / density
            step = max(min(step, abs(s) / 2), -abs(s) / 2 - 1)
            s += step
            if abs(step) < abs(s) * mpf(10) ** -32:
                x, y = mp.exp(s), -mp.expm1(s)
                return (y, x) if swapped else (x, y)
    raise ValueError((p, a, b))


def beta_case(case):
    p, a, b = case
    point = beta_point(p, a, b)
    if point is None:
        return [], []
    inverse = [[p, a, b, text(point[0]), text(point[1])]]
    x = float(point[0])
    if not 0 < x < 1:
        return [], inverse
    lower, upper = areas(x, a, b)
    forward = [[x, a, b, text(lower), text(upper)]] if min(lower, upper) > mpf(10) ** -300 else []
    return forward, inverse


def beta_cases():
    """Forward [x, a, b, lower, upper] at doubles, inverse [p, a, b, x, 1 - x]."""
    cases = [(p, a, b) for a in SHAPES for b in SHAPES for p in LEVELS]
    with multiprocessing.Pool() as pool:
        results = pool.map(beta_case, cases, chunksize=7)
    return [case for forward, _ in results for case in forward], [case for _, inverse in results for case in inverse]


def check():
    """The sums above against mpmath's own function."""
    for a, b, x in [(0.5, 3, 0.2), (3.7, 12, 0.4), (0.02, 200, 1e-4), (200, 12, 0.9), (1e-3, 0.5, 0.7), (50, 80, 0.6)]:
        own = mpmath.betainc(mpf(a), mpf(b), 0, mpf(x), regularized=True)
        assert abs(areas(x, a, b)[0] / own - 1) < mpf(10) ** -50, (a, b, x)


def main():
    check()
    forward, inverse = beta_cases()
    data = {
        "by": f"mpmath {mpmath.__version__}, Python {platform.python_version()}",
        "logGamma": log_gamma_cases(),
        "logBeta": log_beta_cases(),
        "erf": erf_cases(),
        "erfc": erfc_cases(),
        "normalCdf": normal_cdf_cases(),
        "normalQuantile": normal_quantile_cases(),
        "regularizedIncompleteBeta": forward,
        "inverseRegularizedIncompleteBeta": inverse,
    }
    lines = []
    for name, cases in data.items():
        if isinstance(cases, str):
            lines.append(f'"{name}": {json.dumps(cases)}')
        else:
            lines.append(f'"{name}": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]")
            print(name, len(cases))
    path = pathlib.Path(__file__).with_name("special.json")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
