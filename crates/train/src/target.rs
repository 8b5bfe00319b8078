//! What is predicted: one of several classes, any of several labels, a number, or the next steps of a series.

use crate::settings::{ClassWeights, TrainSettings};
use crate::task::Task;
use lepton_core::{Activation, Decoder, Error, ErrorCode, Horizon, Result, nearest};
use lepton_nn::Loss;
use lepton_recipe::Recipe;
use serde::Serialize;

/// What the outputs of a network mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target<'a> {
    /// The logits of classes with these names, in this order.
    Classes(&'a [String]),
    /// The logits of labels with these names, in this order, of which any may hold.
    Labels(&'a [String]),
    /// A number that was standardised.
    Number {
        /// What was taken off.
        mean: f64,
        /// What it was divided by.
        deviation: f64,
    },
    /// Quantiles of the next steps of a series.
    Horizon(&'a Horizon),
}

/// The least probability of a label that is given.
pub(crate) const LABEL_THRESHOLD: f64 = 0.5;

impl Target<'_> {
    /// What a fitted recipe predicts.
    pub fn of(recipe: &Recipe) -> Target<'_> {
        match (recipe.horizon(), recipe.target_scale()) {
            (Some(horizon), _) => Target::Horizon(horizon),
            (None, Some((mean, deviation))) => Target::Number { mean, deviation },
            (None, None) if recipe.has_several_labels() => Target::Labels(recipe.labels()),
            (None, None) => Target::Classes(recipe.labels()),
        }
    }

    /// How many numbers a network gives for a row.
    pub fn outputs(&self) -> usize {
        match self {
            Target::Classes(labels) | Target::Labels(labels) => labels.len(),
            Target::Number { .. } => 1,
            Target::Horizon(horizon) => horizon.outputs(),
        }
    }

    /// Names of classes or labels; empty where a number is predicted.
    pub fn labels(&self) -> &[String] {
        match self {
            Target::Classes(labels) | Target::Labels(labels) => labels,
            Target::Number { .. } | Target::Horizon(_) => &[],
        }
    }

    /// How `output` of the ONNX file becomes an answer.
    pub fn decoder(&self, output: &str) -> Decoder {
        let output = output.to_owned();
        match *self {
            Target::Classes(labels) => {
                Decoder::Classification { output, labels: labels.to_vec(), activation: Activation::Softmax }
            }
            Target::Labels(labels) => Decoder::Labels { output, labels: labels.to_vec(), threshold: LABEL_THRESHOLD },
            Target::Number { mean, deviation } => Decoder::Regression { output, scale: deviation, offset: mean },
            Target::Horizon(horizon) => Decoder::Forecast { output, horizon: horizon.clone() },
        }
    }
}

/// The loss that `settings` ask for; `counts` are the training rows of each class.
///
/// # Errors
/// [`ErrorCode::Config`] for a loss that the task cannot take, and for weights of classes that there are not.
pub(crate) fn loss(
    task: &dyn Task,
    settings: &TrainSettings,
    target: Target<'_>,
    counts: Option<&[u64]>,
) -> Result<Loss> {
    if let Target::Horizon(horizon) = target {
        return quantile_loss(settings, horizon);
    }
    let mut loss = settings.loss.clone().unwrap_or_else(|| task.default_loss());
    loss.validate().map_err(|error| match error.place().key.clone() {
        Some(key) => error.at_key(format!("train.loss.{key}")),
        None => error.at_key("train.loss"),
    })?;
    let of_classes = matches!(loss, Loss::CrossEntropy { .. } | Loss::Focal { .. } | Loss::Ordinal);
    let of_numbers = matches!(loss, Loss::Squared | Loss::Absolute | Loss::Huber { .. });
    let (fits, wanted) = match target {
        Target::Number { .. } => (of_numbers, "squared, absolute, huber"),
        Target::Labels(_) => (matches!(loss, Loss::BinaryCrossEntropy), "binary_cross_entropy"),
        _ => (of_classes, "cross_entropy, focal, ordinal"),
    };
    if !fits {
        return Err(Error::new(ErrorCode::Config, format!("{} does not train with {}", task.kind(), loss.kind()))
            .at_key("train.loss")
            .fix(format!("the losses of this task are: {wanted}")));
    }
    if let (Loss::Ordinal, Target::Classes(labels)) = (&loss, target)
        && let Some(label) = labels.iter().find(|label| label.parse::<i64>().is_err())
    {
        let message = format!("the ordinal loss needs classes in an order, and \"{label}\" is no whole number");
        return Err(Error::new(ErrorCode::Config, message)
            .at_key("train.loss")
            .fix("number the classes in their order, or use cross_entropy"));
    }
    let Some(wanted) = &settings.class_weights else { return Ok(loss) };
    if matches!(loss, Loss::Ordinal) {
        return Err(
            Error::new(ErrorCode::Config, "the ordinal loss takes no weights of classes").at_key("train.class_weights")
        );
    }
    let (Target::Classes(labels), Some(counts)) = (target, counts) else {
        let message = match target {
            Target::Labels(_) => "labels of which several may hold have no weights".to_owned(),
            _ => format!("{} has no classes to weigh", task.kind()),
        };
        return Err(Error::new(ErrorCode::Config, message).at_key("train.class_weights"));
    };
    let weights = class_weights(wanted, labels, counts)?;
    if let Loss::CrossEntropy { class_weights, .. } | Loss::Focal { class_weights, .. } = &mut loss {
        *class_weights = weights;
    }
    Ok(loss)
}

/// The loss of a forecast: that of its quantiles, whatever else is asked for is refused.
fn quantile_loss(settings: &TrainSettings, horizon: &Horizon) -> Result<Loss> {
    let loss = Loss::Quantile { levels: horizon.quantiles.clone() };
    if settings.class_weights.is_some() {
        let message = "a forecast has no classes to weigh";
        return Err(Error::new(ErrorCode::Config, message).at_key("train.class_weights"));
    }
    match &settings.loss {
        Some(wanted) if *wanted != loss => {
            let message = format!("a forecast trains with the loss of its quantiles, {:?}", horizon.quantiles);
            Err(Error::new(ErrorCode::Config, message)
                .at_key("train.loss")
                .fix("remove it, and set forecast.quantiles where others are wanted"))
        }
        _ => Ok(loss),
    }
}

/// A weight for each class.
pub(crate) fn class_weights(wanted: &ClassWeights, labels: &[String], counts: &[u64]) -> Result<Vec<f64>> {
    match wanted {
        // As scikit-learn's "balanced": rows / (classes * rows of the class).
        ClassWeights::Balanced => {
            let rows: u64 = counts.iter().sum();
            let weight = |&count: &u64| rows as f64 / (labels.len() as f64 * count.max(1) as f64);
            Ok(counts.iter().map(weight).collect())
        }
        ClassWeights::Of(given) => {
            if let Some(name) = given.keys().find(|name| !labels.contains(name)) {
                let error = Error::new(ErrorCode::Config, format!("there is no class \"{name}\""))
                    .at_key(format!("train.class_weights.{name}"));
                return Err(match nearest(name, labels.iter().map(String::as_str)) {
                    Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                    None => error.fix(format!("the classes are: {}", labels.join(", "))),
                });
            }
            Ok(labels.iter().map(|label| given.get(label).copied().unwrap_or(1.0)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Transform;

    #[test]
    fn a_forecast_trains_with_its_own_quantiles() {
        let quantiles = vec![0.25, 0.5];
        let horizon = Horizon { steps: 3, quantiles, season: 1, transform: Transform::None, offset: 0.0, scale: 1.0 };
        let own = Loss::Quantile { levels: vec![0.25, 0.5] };
        let asked = |loss| quantile_loss(&TrainSettings { loss, ..TrainSettings::default() }, &horizon);
        assert_eq!(asked(None).unwrap(), own);
        assert_eq!(asked(Some(own.clone())).unwrap(), own);
        assert_eq!(asked(Some(Loss::Squared)).unwrap_err().place().key.as_deref(), Some("train.loss"));
        assert_eq!(Target::Horizon(&horizon).outputs(), 6);
    }

    #[test]
    fn weights_are_balanced_or_given_by_name() {
        let labels = ["no".to_owned(), "yes".to_owned()];
        assert_eq!(class_weights(&ClassWeights::Balanced, &labels, &[30, 10]).unwrap(), [40.0 / 60.0, 2.0]);
        let given = |name: &str| ClassWeights::Of([(name.to_owned(), 3.0)].into());
        assert_eq!(class_weights(&given("yes"), &labels, &[30, 10]).unwrap(), [1.0, 3.0]);
        let error = class_weights(&given("yse"), &labels, &[30, 10]).unwrap_err();
        assert_eq!(error.remedy(), Some("did you mean \"yes\"?"));
    }
}
