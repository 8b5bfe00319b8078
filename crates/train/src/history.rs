//! What a training leaves behind of each epoch, and the learning curves drawn from it.

use lepton_core::{Figure, Metric, Metrics, Series};
use serde::{Deserialize, Serialize};

/// The figures of one epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the epoch's training rows, each taken with the weights of its step.
    pub train_loss: f64,
    /// Share of training rows that were right, taken the same way.
    pub train_accuracy: f64,
    /// Loss on the validation split after the epoch.
    pub valid_loss: f64,
    /// Metrics on the validation split after the epoch.
    pub valid: Metrics,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Wall seconds of the epoch's training steps, without validation and checkpoints.
    pub seconds: f64,
    /// Seconds of them in which the step waited for its batch.
    pub data_wait_seconds: f64,
}

/// Two charts: loss and accuracy by epoch, on training and validation rows.
pub fn learning_curves(history: &[EpochRecord]) -> Vec<Figure> {
    let series = |name: &str, value: &dyn Fn(&EpochRecord) -> Option<f64>| Series {
        name: name.to_owned(),
        points: history.iter().filter_map(|record| Some([record.epoch as f64, value(record)?])).collect(),
    };
    vec![
        Figure::Curves {
            title: "Loss by epoch".to_owned(),
            x: "epoch".to_owned(),
            y: "cross entropy (nats)".to_owned(),
            series: vec![
                series("training", &|record| Some(record.train_loss)),
                series("validation", &|record| Some(record.valid_loss)),
            ],
        },
        Figure::Curves {
            title: "Accuracy by epoch".to_owned(),
            x: "epoch".to_owned(),
            y: "share of rows that are right".to_owned(),
            series: vec![
                series("training", &|record| Some(record.train_accuracy)),
                series("validation", &|record| record.valid.get(Metric::Accuracy.name()).copied()),
            ],
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_hold_one_point_an_epoch() {
        let record = |epoch, train_loss| EpochRecord {
            epoch,
            train_loss,
            train_accuracy: 0.5,
            valid_loss: 2.0 * train_loss,
            valid: Metrics::from([("accuracy".to_owned(), 0.75)]),
            learning_rate: 0.001,
            seconds: 1.0,
            data_wait_seconds: 0.0,
        };
        let figures = learning_curves(&[record(1, 0.4), record(2, 0.2)]);
        let Figure::Curves { series, .. } = &figures[0] else { panic!("not curves") };
        assert_eq!(series[0].points, [[1.0, 0.4], [2.0, 0.2]]);
        assert_eq!(series[1].points, [[1.0, 0.8], [2.0, 0.4]]);
        let Figure::Curves { series, .. } = &figures[1] else { panic!("not curves") };
        assert_eq!(series[1].points, [[1.0, 0.75], [2.0, 0.75]]);
    }
}
