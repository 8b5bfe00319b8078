//! Exponential smoothing against statsmodels, metrics against utilsforecast; see `data/make_reference.py`.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use lepton_forecast::{
    Cycle, Form, Parameters, Smoothing, Trend, coverage, guess_season, interval_width, mae, pinball, rmse, scaled,
    seasonal_naive, seasonal_scale, smape, weighted_quantile_loss,
};
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("data/reference.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn close(what: &str, ours: f64, theirs: f64, tolerance: f64) {
    assert!((ours - theirs).abs() <= tolerance * theirs.abs().max(1.0), "{what}: {ours} is not {theirs}");
}

#[test]
fn smoothing_is_statsmodels() {
    let reference = reference();
    let cases = reference["smoothing"].as_array().unwrap();
    assert_eq!(cases.len(), 15);
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let name = format!("{}, trend {}, season {}", text("series"), text("trend"), text("cycle"));
        let values = numbers(&reference["series"][text("series")]);
        let season = case["season"].as_u64().unwrap() as usize;
        let form = Form {
            trend: match text("trend") {
                "none" => Trend::None,
                "additive" => Trend::Additive,
                _ => Trend::Damped,
            },
            cycle: match text("cycle") {
                "none" => Cycle::None,
                "additive" => Cycle::Additive,
                _ => Cycle::Multiplicative,
            },
        };
        let first = form.first_state(&values, season).unwrap();
        let number = |key: &str| case[key].as_f64().unwrap();
        close(&name, first.level, number("level"), 1e-9);
        close(&name, first.trend, number("slope"), 1e-9);
        let parts = numbers(&case["parts"]);
        assert_eq!(first.season.len(), parts.len(), "{name}");
        first.season.iter().zip(&parts).for_each(|(ours, theirs)| close(&name, *ours, *theirs, 1e-9));
        let given = Parameters { level: 0.4, trend: 0.1, season: 0.3, damping: 0.9 };
        let run = Smoothing::run(form, given, first, &values);
        close(&name, run.squared_errors, number("squared_errors"), 1e-9);
        let ahead = run.forecast(13);
        for (step, (ours, theirs)) in ahead.iter().zip(numbers(&case["forecast"])).enumerate() {
            // For the last step of the next season statsmodels takes the part of the season before its newest update.
            if form.cycle == Cycle::None || step != season - 1 {
                close(&name, *ours, theirs, 1e-8);
            }
        }
        // The best parameters and first state are as good as theirs, and better than theirs from the first state above.
        let best = Smoothing::fit(form, &values, season).unwrap();
        for theirs in [number("fitted_squared_errors"), number("whole_squared_errors")] {
            assert!(best.squared_errors <= 1.001 * theirs, "{name}: {} against {theirs}", best.squared_errors);
        }
    }
}

#[test]
fn metrics_are_utilsforecasts() {
    let reference = reference();
    let metrics = &reference["metrics"];
    let [history, truth, levels, forecast] =
        ["history", "truth", "levels", "forecast"].map(|key| numbers(&metrics[key]));
    let season = metrics["season"].as_u64().unwrap() as usize;
    let median: Vec<f64> = forecast.iter().skip(1).step_by(levels.len()).copied().collect();
    let mase = scaled(mae(&truth, &median), seasonal_scale(&history, season).unwrap());
    for (name, ours) in [
        ("mase", mase),
        ("smape", smape(&truth, &median)),
        ("mae", mae(&truth, &median)),
        ("rmse", rmse(&truth, &median)),
        ("pinball", pinball(&truth, &forecast, &levels)),
        ("weighted_quantile_loss", weighted_quantile_loss(&truth, &forecast, &levels)),
        ("coverage", coverage(&truth, &forecast, levels.len())),
        ("interval_width", interval_width(&forecast, levels.len())),
    ] {
        close(name, ours, metrics[name].as_f64().unwrap(), 1e-9);
    }
    assert!(metrics["coverage"].as_f64().unwrap() < 1.0);
}

#[test]
fn known_series_have_their_known_seasons_and_forms() {
    let reference = reference();
    let airline = numbers(&reference["series"]["airline"]);
    let sunspots = numbers(&reference["series"]["sunspots"]);
    assert_eq!(guess_season(&airline).length, 12);
    assert!((10..=11).contains(&guess_season(&sunspots).length));
    // Passengers rise, and swing in proportion.
    let (history, ahead) = airline.split_at(132);
    let best = Smoothing::best(history, 12).unwrap();
    assert_eq!(best.form.cycle, Cycle::Multiplicative);
    assert!(mae(ahead, &best.forecast(12)) < 0.5 * mae(ahead, &seasonal_naive(history, 12, 12)));
}
