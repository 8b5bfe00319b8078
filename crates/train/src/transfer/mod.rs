//! Transfer: going on from what was learned before. Here is transfer by the model: a network that was trained on other
//! data gets a new head, and layers that stay, learn late or learn slowly.

use lepton_core::{Error, ErrorCode, Result, Seed};
use lepton_nn::{Adapter, Architecture, Layer, Network};
use serde::{Deserialize, Serialize};

/// `[train.transfer]`: how a network that was trained before goes on learning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransferSettings {
    /// Layers that stay as they are, by patterns over their names in which `*` is any text.
    pub freeze: Vec<String>,
    /// Epochs after which one more layer learns, from the head backwards (Howard and Ruder 2018); `None` lets all learn
    /// at once.
    pub unfreeze_every: Option<usize>,
    /// What remains of the learning rate from a layer to the one before it; 1 is the same for all.
    pub layer_decay: f64,
    /// The rank of adapters in place of every dense layer's weight but the head's, which then stays (LoRA).
    pub adapters: Option<usize>,
    /// Whether the head is kept, where it gives as many numbers as are predicted.
    pub keep_head: bool,
    /// Whether the same network is also trained from scratch on the same rows, to tell what transfer gained. It takes
    /// the same time again.
    pub compare: bool,
}

impl Default for TransferSettings {
    fn default() -> TransferSettings {
        TransferSettings {
            freeze: Vec::new(),
            unfreeze_every: None,
            layer_decay: 1.0,
            adapters: None,
            keep_head: false,
            compare: true,
        }
    }
}

impl TransferSettings {
    /// Checks the values.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, message: &str| {
            Err(Error::new(ErrorCode::Config, message).at_key(format!("train.transfer.{key}")))
        };
        if !(self.layer_decay > 0.0 && self.layer_decay <= 1.0) {
            return wrong("layer_decay", "must be above 0 and at most 1");
        }
        if self.unfreeze_every == Some(0) {
            return wrong("unfreeze_every", "must be at least 1");
        }
        if self.adapters == Some(0) {
            return wrong("adapters", "a rank is at least 1");
        }
        Ok(())
    }
}

/// A network to go on from, fitted to new data.
#[derive(Clone)]
pub struct Start {
    network: Network,
    /// Layers with parameters, from the first to the head.
    layers: Vec<String>,
    /// Keys of parameters that are new.
    pub fresh: Vec<String>,
    settings: TransferSettings,
}

impl Start {
    /// `trained` for rows of `input_shape` and `outputs` numbers: its last dense layer is replaced.
    ///
    /// # Errors
    /// [`ErrorCode::Unsupported`] for a network that does not end in a dense layer; [`ErrorCode::Shape`] for rows that it
    /// cannot take; [`ErrorCode::NotFound`] for a pattern that fits no layer.
    pub fn new(
        trained: &Network,
        input_shape: &[usize],
        outputs: usize,
        settings: &TransferSettings,
        seed: Seed,
    ) -> Result<Start> {
        settings.validate()?;
        let mut architecture = trained.architecture().clone();
        let head = architecture.layers.iter().rposition(|node| !matches!(node.layer, Layer::Softmax));
        let head = head.filter(|place| matches!(architecture.layers[*place].layer, Layer::Linear(_)));
        let Some(head) = head else {
            return Err(Error::new(
                ErrorCode::Unsupported,
                "only a network that ends in a dense layer gets a new head",
            )
            .at_key("train.from"));
        };
        architecture.layers.truncate(head + 1);
        if architecture.input.shape != input_shape {
            architecture.input.shape = input_shape.to_vec();
            architecture.validate().map_err(|error| {
                let was = &trained.architecture().input.shape;
                let message = format!(
                    "the network was trained on rows of {was:?} and cannot take {input_shape:?}: {}",
                    error.message()
                );
                Error::new(ErrorCode::Shape, message)
                    .at_key("train.from")
                    .fix("make rows of the same shape: recipe.height, recipe.width and recipe.channels for pictures")
            })?;
        }
        let mut renew = !settings.keep_head;
        let name = architecture.layers[head].name.clone();
        for (place, node) in architecture.layers.iter_mut().enumerate() {
            let Layer::Linear(linear) = &mut node.layer else { continue };
            if place == head {
                if linear.units != outputs {
                    if settings.keep_head {
                        let message = format!("the head gives {} numbers, {outputs} are predicted", linear.units);
                        return Err(Error::new(ErrorCode::Shape, message).at_key("train.transfer.keep_head"));
                    }
                    linear.units = outputs;
                    renew = true;
                }
            } else if let Some(rank) = settings.adapters {
                linear.adapter = Some(Adapter { rank, alpha: rank as f64 });
            }
        }
        let of_head = format!("{name}.");
        let (network, fresh) =
            Network::starting_from(&architecture, trained, |key| renew && key.starts_with(&of_head), seed)?;
        let mut layers: Vec<String> = Vec::new();
        for key in network.keys() {
            let layer = layer_of(key);
            if layers.last().is_none_or(|last| last != layer) {
                layers.push(layer.to_owned());
            }
        }
        for pattern in &settings.freeze {
            if !layers.iter().any(|layer| fits(pattern, layer)) {
                return Err(Error::new(ErrorCode::NotFound, format!("\"{pattern}\" fits no layer"))
                    .at_key("train.transfer.freeze")
                    .fix(format!("the layers are: {}", layers.join(", "))));
            }
        }
        Ok(Start { network, layers, fresh, settings: settings.clone() })
    }

    /// The same architecture without adapters, to be trained from scratch.
    pub fn scratch(architecture: &Architecture) -> Architecture {
        let mut plain = architecture.clone();
        for node in &mut plain.layers {
            if let Layer::Linear(linear) = &mut node.layer {
                linear.adapter = None;
            }
        }
        plain
    }

    /// The network before its first step.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How many layers with parameters it took over.
    pub fn kept_layers(&self) -> usize {
        let fresh = |layer: &String| self.fresh.iter().any(|key| layer_of(key) == layer);
        self.layers.iter().filter(|layer| !fresh(layer)).count()
    }

    /// The factor on the learning rate of a parameter in an epoch, from 1.
    pub(crate) fn rate(&self, key: &str, epoch: usize) -> f64 {
        let layer = layer_of(key);
        let is_adapter = key.ends_with(".lora_a") || key.ends_with(".lora_b");
        if !is_adapter && self.settings.freeze.iter().any(|pattern| fits(pattern, layer)) {
            return 0.0;
        }
        let place = self.layers.iter().position(|known| known == layer).unwrap_or(0);
        let from_head = self.layers.len().saturating_sub(place + 1);
        if self.settings.unfreeze_every.is_some_and(|every| epoch <= every * from_head) {
            return 0.0;
        }
        self.settings.layer_decay.powi(from_head as i32)
    }
}

/// `conv1` of `conv1.weight`, and of the parts of a block the block.
fn layer_of(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

/// Whether a pattern in which `*` is any text fits the whole name.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|after| {
            (0..=after.len()).filter(|at| after.is_char_boundary(*at)).any(|at| fits(rest, &after[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_nn::{InputSpec, Node};

    fn trained() -> Network {
        let layers = vec![
            Node::new("conv1", Layer::conv2d(2, 3)),
            Node::new("norm1", Layer::batch_norm()),
            Node::new("flat", Layer::Flatten),
            Node::new("dense", Layer::linear(8)),
            Node::new("head", Layer::linear(10)),
        ];
        Network::new(&Architecture::new("net", InputSpec::float32([1, 6, 6]), layers), Seed(1)).unwrap()
    }

    #[test]
    fn the_head_is_new_and_the_rest_is_kept() {
        let start = Start::new(&trained(), &[1, 6, 6], 3, &TransferSettings::default(), Seed(2)).unwrap();
        assert_eq!(start.network().architecture().output_shape().unwrap(), [3]);
        assert_eq!((start.fresh.clone(), start.kept_layers()), (vec!["head.weight".into(), "head.bias".into()], 3));
        // A head of the same size is new too, unless it is asked to stay.
        let start = Start::new(&trained(), &[1, 6, 6], 10, &TransferSettings::default(), Seed(2)).unwrap();
        assert_eq!(start.fresh.len(), 2);
        let keep = TransferSettings { keep_head: true, ..TransferSettings::default() };
        assert!(Start::new(&trained(), &[1, 6, 6], 10, &keep, Seed(2)).unwrap().fresh.is_empty());
        assert_eq!(Start::new(&trained(), &[1, 6, 6], 3, &keep, Seed(2)).err().unwrap().code(), ErrorCode::Shape);
        let error = Start::new(&trained(), &[1, 8, 8], 3, &keep, Seed(2)).err().unwrap();
        assert!(error.to_string().contains("recipe.height") || error.code() == ErrorCode::Shape, "{error}");
    }

    #[test]
    fn layers_stay_learn_late_or_learn_slowly() {
        let rates = |settings: TransferSettings, epoch| {
            let start = Start::new(&trained(), &[1, 6, 6], 3, &settings, Seed(2)).unwrap();
            ["conv1.weight", "norm1.weight", "dense.weight", "head.bias"].map(|key| start.rate(key, epoch))
        };
        let usual = TransferSettings::default;
        assert_eq!(rates(usual(), 1), [1.0; 4]);
        assert_eq!(
            rates(TransferSettings { freeze: vec!["conv*".into(), "n*1".into()], ..usual() }, 9),
            [0.0, 0.0, 1.0, 1.0]
        );
        let late = TransferSettings { unfreeze_every: Some(2), ..usual() };
        assert_eq!(rates(late.clone(), 2), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(rates(late.clone(), 3), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(rates(late, 7), [1.0; 4]);
        assert_eq!(rates(TransferSettings { layer_decay: 0.5, ..usual() }, 1), [0.125, 0.25, 0.5, 1.0]);
        let unknown = TransferSettings { freeze: vec!["block*".into()], ..usual() };
        let error = Start::new(&trained(), &[1, 6, 6], 3, &unknown, Seed(2)).err().unwrap();
        assert!(error.remedy().unwrap().contains("conv1, norm1, dense, head"), "{error}");
    }

    #[test]
    fn adapters_replace_the_weights_of_dense_layers() {
        let settings = TransferSettings { adapters: Some(2), ..TransferSettings::default() };
        let start = Start::new(&trained(), &[1, 6, 6], 3, &settings, Seed(2)).unwrap();
        assert_eq!(start.fresh, ["dense.lora_a", "dense.lora_b", "head.weight", "head.bias"]);
    }
}
