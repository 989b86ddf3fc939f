"""Reference intervals for binomial rates, by statsmodels and, for Clopper-Pearson, by the beta quantiles of mpmath at 60
digits. Writes statistics.json beside this file. Run: python generate-statistics.py
"""

import json
import pathlib
import platform

import scipy
import statsmodels
from generate import beta_point, mp, mpf, text
from statsmodels.stats.proportion import proportion_confint

COUNTS = [
    (0, 1), (1, 1), (0, 10), (1, 10), (5, 10), (9, 10), (10, 10), (95, 100), (99, 100), (100, 100), (600, 1000),
    (900, 1000), (950, 1000), (990, 1000), (999, 1000), (9999, 10000), (1, 100000), (50500, 100000), (90000, 100000),
    (99999, 100000), (100000, 100000), (3, 1000000), (999999, 1000000),
]  # fmt: skip
CONFIDENCES = [0.5, 0.9, 0.95, 0.99, 0.999]


def wilson(count, total, confidence):
    """Wilson's interval at 60 digits, for the alpha that doubles give."""
    z = mp.sqrt(2) * mp.erfinv(1 - mpf(1 - confidence))
    p, n = mpf(count) / total, mpf(total)
    half = z * mp.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    middle = p + z**2 / (2 * n)
    low = mpf(0) if count == 0 else (middle - half) / (1 + z**2 / n)
    high = mpf(1) if count == total else (middle + half) / (1 + z**2 / n)
    return [text(low), text(high)]


def clopper_pearson(count, total, alpha):
    """Both bounds at the one-sided level alpha, a double."""
    low = mpf(0) if count == 0 else beta_point(alpha, count, total - count + 1)[0]
    high = mpf(1) if count == total else 1 - beta_point(alpha, total - count, count + 1)[0]
    return [text(low), text(high)]


def main():
    rows = []
    for count, total in COUNTS:
        for confidence in CONFIDENCES:
            alpha = 1 - confidence  # as a double
            rows.append({
                "count": count,
                "total": total,
                "confidence": confidence,
                "wilson": wilson(count, total, confidence),
                "wilsonByStatsmodels": list(map(float, proportion_confint(count, total, alpha, method="wilson"))),
                "clopperPearson": clopper_pearson(count, total, alpha / 2),
                "clopperPearsonByStatsmodels": list(map(float, proportion_confint(count, total, alpha, method="beta"))),
                "clopperPearsonOneSided": clopper_pearson(count, total, alpha),
            })  # fmt: skip
    by = f"statsmodels {statsmodels.__version__}, scipy {scipy.__version__}, Python {platform.python_version()}"
    path = pathlib.Path(__file__).with_name("statistics.json")
    lines = ",\n".join(json.dumps(row) for row in rows)
    path.write_text(f'{{\n"by": {json.dumps(by)},\n"rates": [\n{lines}\n]\n}}\n')
    print(len(rows))


if __name__ == "__main__":
    main()
