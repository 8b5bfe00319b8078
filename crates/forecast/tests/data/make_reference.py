"""Makes reference.json: exponential smoothing by statsmodels, and metrics by utilsforecast, on the airline passengers
(sktime's copy) and the yearly sunspots (statsmodels').
Run: python make_reference.py Airline.csv  (statsmodels 0.15.0, utilsforecast, pandas)."""

import json
import sys
import warnings

import numpy as np
import pandas as pd
import statsmodels.api as sm
from statsmodels.tsa.exponential_smoothing.initialization import _initialization_heuristic
from statsmodels.tsa.holtwinters import ExponentialSmoothing
from utilsforecast import losses

warnings.simplefilter("ignore")
airline = pd.read_csv(sys.argv[1])["Passengers"].to_numpy(float)
sunspots = sm.datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(float)
series = {"airline": (airline, 12), "sunspots": (sunspots, 11)}
TRENDS = {"none": (None, False), "additive": ("add", False), "damped": ("add", True)}
CYCLES = {"none": None, "additive": "add", "multiplicative": "mul"}


def numbers(values):
    return [float(f"{value:.12g}") for value in np.asarray(values, float).reshape(-1)]


smoothing = []
for name, (values, season) in series.items():
    for trend, (kind, damped) in TRENDS.items():
        for cycle, seasonal in CYCLES.items():
            if seasonal == "mul" and values.min() <= 0:
                continue
            periods = season if seasonal else None
            level, slope, parts = _initialization_heuristic(values, trend=kind, seasonal=seasonal, seasonal_periods=periods)
            start = {"initial_level": level}
            if kind:
                start["initial_trend"] = slope
            if seasonal:
                start["initial_seasonal"] = parts
            model = ExponentialSmoothing(values, trend=kind, damped_trend=damped, seasonal=seasonal,
                                         seasonal_periods=periods, initialization_method="known", **start)
            given = {"smoothing_level": 0.4}
            if kind:
                given["smoothing_trend"] = 0.1
            if seasonal:
                given["smoothing_seasonal"] = 0.3
            if damped:
                given["damping_trend"] = 0.9
            run = model.fit(optimized=False, **given)
            best = model.fit(optimized=True, use_brute=True)
            free = ExponentialSmoothing(values, trend=kind, damped_trend=damped, seasonal=seasonal,
                                        seasonal_periods=periods, initialization_method="estimated")
            # From their brute-force start, from ours, and whichever of both is better.
            whole = min((free.fit(optimized=True, use_brute=brute) for brute in (True, False)), key=lambda fit: fit.sse)
            smoothing.append({
                "series": name, "season": season, "trend": trend, "cycle": cycle,
                "level": float(level), "slope": float(slope) if kind else 0.0,
                "parts": numbers(parts) if seasonal else [],
                "squared_errors": float(run.sse), "forecast": numbers(run.forecast(13)),
                "fitted_squared_errors": float(best.sse), "whole_squared_errors": float(whole.sse),
            })

rng = np.random.default_rng(5)
history = numbers(50 + 10 * np.sin(np.arange(40) * 2 * np.pi / 6) + rng.normal(size=40))
truth = numbers(50 + 10 * np.sin(np.arange(40, 50) * 2 * np.pi / 6) + rng.normal(size=10))
levels = [0.1, 0.5, 0.9]
forecast = np.array([sorted(value + 0.8 * rng.normal() + shift for shift in (-1.2, 0.0, 0.9)) for value in truth])
forecast = np.array(forecast).round(6)
frame = pd.DataFrame({"unique_id": "a", "ds": range(40, 50), "y": truth})
for place in range(3):
    frame[f"q{place}"] = forecast[:, place]
frame["model"] = forecast[:, 1]
train = pd.DataFrame({"unique_id": "a", "ds": range(40), "y": history})
one = lambda table, column="model": float(table[column].iloc[0])
quantiles = {level: {"model": f"q{place}"} for place, level in enumerate(levels)}
each = [one(losses.quantile_loss(frame, quantiles[level], q=level)) for level in levels]
weighted = [one(losses.scaled_crps(frame, {"model": ["q0", "q1", "q2"]}, quantiles=np.array(levels)))]
metrics = {
    "history": history, "truth": truth, "levels": levels, "forecast": numbers(forecast), "season": 6,
    "mase": one(losses.mase(frame, ["model"], seasonality=6, train_df=train)),
    # utilsforecast's runs from 0 to 1; sktime's, which is ours, is twice that.
    "smape": 2 * one(losses.smape(frame, ["model"])),
    "mae": one(losses.mae(frame, ["model"])), "rmse": one(losses.rmse(frame, ["model"])),
    "pinball": float(np.mean(each)), "weighted_quantile_loss": weighted[0],
    "coverage": float(np.mean([(low <= y <= high) for y, low, high in zip(truth, forecast[:, 0], forecast[:, 2])])),
    "interval_width": float(np.mean(forecast[:, 2] - forecast[:, 0])),
}
data = {name: numbers(values) for name, (values, _) in series.items()}
json.dump({"series": data, "smoothing": smoothing, "metrics": metrics}, open("reference.json", "w"), indent=1)
