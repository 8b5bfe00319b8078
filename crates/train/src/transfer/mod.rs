//! Transfer: going on from what was learned before. Here is transfer by the model: a network that was trained on other
//! data gets a new head, and layers that stay, learn late or learn slowly.

mod features;

pub(crate) use features::FixedBody;

use lepton_core::{DType, Error, ErrorCode, Result, Seed};
use lepton_nn::{Adapter, Architecture, Layer, Network, Node};
use serde::{Deserialize, Serialize};

/// `[train.transfer]`: how a network that was trained before goes on learning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransferSettings {
    /// Layers that stay as they are, by patterns over their names in which `*` is any text; `["*"]` is all but a new
    /// head, which always learns. A layer that stays computes as in inference: batch norm keeps its statistics and
    /// dropout is off, in it and in front of it.
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
    /// Dropout in front of a new head; 0 is none.
    pub head_dropout: f64,
    /// Most bytes that the output of layers that never learn may take over all training and validation rows. Up to that
    /// they run once for each row, where nothing is augmented, and only the layers behind them in each step; past it, and
    /// with 0, the whole network runs in each step. The results are the same.
    pub feature_bytes: u64,
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
            head_dropout: 0.0,
            feature_bytes: 1 << 30,
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
        if !(0.0..1.0).contains(&self.head_dropout) {
            return wrong("head_dropout", "must be from 0 up and below 1");
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
    /// The head, where it is new.
    head: Option<String>,
    settings: TransferSettings,
}

impl Start {
    /// `trained` for rows of `input_shape` and `outputs` numbers: its last dense layer is replaced, and a network that ends
    /// in features, as an encoder does, gets one.
    ///
    /// # Errors
    /// [`ErrorCode::Unsupported`] for a network that ends in neither; [`ErrorCode::Shape`] for rows that it cannot take;
    /// [`ErrorCode::NotFound`] for a pattern that fits no layer; [`ErrorCode::Config`] where nothing would learn.
    pub fn new(
        trained: &Network,
        input_shape: &[usize],
        outputs: usize,
        settings: &TransferSettings,
        seed: Seed,
    ) -> Result<Start> {
        settings.validate()?;
        let (mut architecture, head, added) = with_head(trained.architecture(), outputs, settings)?;
        if architecture.input.shape != input_shape {
            architecture.input.shape = input_shape.to_vec();
            architecture.validate().map_err(|error| {
                let was = &trained.architecture().input.shape;
                let message = format!(
                    "the network was trained on rows of {was:?} and cannot take {input_shape:?}: {}",
                    error.message()
                );
                let fix = match architecture.input.dtype {
                    DType::Int64 => "it takes the codes of tokens: use it where the recipe makes them of a text",
                    _ => "make rows of the same shape: recipe.height, recipe.width and recipe.channels for pictures",
                };
                Error::new(ErrorCode::Shape, message).at_key("train.from").fix(fix)
            })?;
        }
        let mut renew = added || !settings.keep_head;
        let mut adapted = 0;
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
                adapted += 1;
            }
        }
        if settings.adapters.is_some() && adapted == 0 {
            let message = "the network has no dense layer of its own to adapt, only the head or blocks";
            return Err(Error::new(ErrorCode::Unsupported, message)
                .at_key("train.transfer.adapters")
                .fix("leave it out, and freeze layers or let them learn slowly (layer_decay)"));
        }
        let of_head = format!("{name}.");
        let (network, fresh) =
            Network::starting_from(&architecture, trained, |key| renew && key.starts_with(&of_head), seed)?;
        let is_new = |key: &&String| !key.starts_with(&of_head) && !key.contains(".lora_");
        if let (true, Some(key)) = (architecture.input.free_length, fresh.iter().find(is_new)) {
            let was = &trained.architecture().input.shape;
            let message =
                format!("the network knows sequences of up to {was:?}, not {input_shape:?}: \"{key}\" ends there");
            return Err(Error::new(ErrorCode::Shape, message).at_key("train.from").fix("make shorter sequences"));
        }
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
        let start = Start { network, layers, fresh, head: renew.then_some(name), settings: settings.clone() };
        if let Some(pattern) = settings.freeze.iter().find(|pattern| start.head.as_ref() == Some(pattern)) {
            return Err(Error::new(ErrorCode::Config, format!("the head \"{pattern}\" is new, so it has to learn"))
                .at_key("train.transfer.freeze")
                .fix("leave it out, or set train.transfer.keep_head = true"));
        }
        if start.network.keys().all(|key| start.stays(key)) {
            return Err(Error::new(ErrorCode::Config, "every layer stays as it is, so nothing would learn")
                .at_key("train.transfer.freeze")
                .fix("leave at least one layer out, or set train.transfer.keep_head = false"));
        }
        Ok(start)
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
        if self.stays(key) {
            return 0.0;
        }
        let layer = layer_of(key);
        let place = self.layers.iter().position(|known| known == layer).unwrap_or(0);
        let from_head = self.layers.len().saturating_sub(place + 1);
        if self.settings.unfreeze_every.is_some_and(|every| epoch <= every * from_head) {
            return 0.0;
        }
        self.settings.layer_decay.powi(from_head as i32)
    }

    /// Whether a parameter is frozen by its layer's name. A new head and adapters never are.
    fn stays(&self, key: &str) -> bool {
        let layer = layer_of(key);
        let learns = key.ends_with(".lora_a") || key.ends_with(".lora_b") || self.head.as_deref() == Some(layer);
        !learns && self.settings.freeze.iter().any(|pattern| fits(pattern, layer))
    }
}

/// The architecture up to its head, where that stands, and whether the head was added: one that ends in a dense layer has
/// one (a softmax behind it is left out), one that ends in features gets one.
fn with_head(
    trained: &Architecture,
    outputs: usize,
    settings: &TransferSettings,
) -> Result<(Architecture, usize, bool)> {
    let Architecture { name, input, mut layers } = trained.clone();
    let refused = |message: &str| Error::new(ErrorCode::Unsupported, message).at_key("train.from");
    while layers.last().is_some_and(|node| matches!(node.layer, Layer::Softmax)) {
        layers.pop();
    }
    let added = match layers.last().map(|node| &node.layer) {
        Some(Layer::Linear(_)) => false,
        Some(
            Layer::GlobalAvgPool
            | Layer::GlobalMaxPool
            | Layer::LastStep
            | Layer::Flatten
            | Layer::LayerNorm(_)
            | Layer::BatchNorm(_)
            | Layer::Concat(_)
            | Layer::Dropout(_),
        ) => true,
        _ => return Err(refused("only a network that ends in a dense layer or in features gets a new head")),
    };
    if added {
        if settings.keep_head {
            return Err(refused("the network has no head that could be kept").at_key("train.transfer.keep_head"));
        }
        let free = !layers.iter().any(|node| node.name == "head");
        layers.push(Node::new(if free { "head" } else { "" }, Layer::linear(outputs)));
    }
    let mut head = layers.len() - 1;
    if settings.head_dropout > 0.0 && !settings.keep_head {
        let inputs = std::mem::take(&mut layers[head].inputs);
        layers.insert(head, Node { inputs, ..Node::new("", Layer::dropout(settings.head_dropout)) });
        head += 1;
    }
    let architecture = Architecture::new(name, input, layers);
    match architecture.output_shape()?[..] {
        [_] => Ok((architecture, head, added)),
        ref other => {
            Err(refused(&format!("the network gives {other:?} for a row, and only one of numbers gets a head")))
        }
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
    use lepton_core::Tensor;
    use lepton_nn::{Embedding, InputSpec, PositionKind, Positions, TransformerEncoder};

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
    fn shorter_texts_leave_the_positions_as_they_are() {
        let layers = vec![
            Node::new("codes", Embedding { vocabulary: 9, dimensions: 4, padding: Some(0) }.into()),
            Node::new("positions", Positions { encoding: PositionKind::Learned }.into()),
            Node::new("mean", Layer::GlobalAvgPool),
            Node::new("head", Layer::linear(2)),
        ];
        let of = |free_length| {
            let architecture = Architecture::new("net", InputSpec::codes(16, free_length), layers.clone());
            Network::new(&architecture, Seed(1)).unwrap()
        };
        let start = |network: &Network, length: usize| {
            Start::new(network, &[length], 2, &TransferSettings::default(), Seed(2)).unwrap().fresh
        };
        assert_eq!(start(&of(true), 5), ["head.weight", "head.bias"]);
        let longer = Start::new(&of(true), &[17], 2, &TransferSettings::default(), Seed(2)).err().unwrap();
        assert_eq!(longer.code(), ErrorCode::Shape);
        assert_eq!(start(&of(false), 5), ["head.weight", "head.bias"]);
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
        let error = Start::new(&encoder(), &[6], 3, &settings, Seed(2)).err().unwrap();
        assert_eq!(error.place().key.as_deref(), Some("train.transfer.adapters"), "{error}");
    }

    /// Codes to eight numbers, without a head.
    fn encoder() -> Network {
        let block = TransformerEncoder {
            heads: 2,
            feed_forward: 16,
            dropout: 0.1,
            activation: Default::default(),
            norm_first: false,
            causal: false,
            epsilon: 1e-12,
        };
        let layers = vec![
            Node::new("embedding", Embedding { vocabulary: 20, dimensions: 8, padding: Some(0) }.into()),
            Node::new("positions", Positions { encoding: Default::default() }.into()),
            Node::new("block1", block.into()),
            Node::new("pool", Layer::GlobalAvgPool),
        ];
        Network::new(&Architecture::new("encoder", InputSpec::codes(10, true), layers), Seed(1)).unwrap()
    }

    #[test]
    fn an_encoder_gets_a_head_that_all_patterns_leave_out() {
        let all = TransferSettings { freeze: vec!["*".into()], ..TransferSettings::default() };
        let start = Start::new(&encoder(), &[6], 3, &all, Seed(2)).unwrap();
        assert_eq!(start.network().architecture().output_shape().unwrap(), [3]);
        assert_eq!((start.fresh.clone(), start.kept_layers()), (vec!["head.weight".into(), "head.bias".into()], 3));
        let rates = ["embedding.weight", "block1.norm1.bias", "head.weight"].map(|key| start.rate(key, 1));
        assert_eq!(rates, [0.0, 0.0, 1.0]);
        // The network with its new head is that of the encoder: the same numbers for rows that are shorter.
        let codes = Tensor::int64([1, 6], vec![3, 4, 5, 6, 0, 0]).unwrap();
        let (body, _) = start.network().split(4).unwrap();
        assert_eq!(body.forward(&codes).unwrap(), encoder().forward(&codes).unwrap());
        let dropped = TransferSettings { head_dropout: 0.2, ..all.clone() };
        let start = Start::new(&encoder(), &[6], 3, &dropped, Seed(2)).unwrap();
        let kinds: Vec<_> = start.network().architecture().layers.iter().map(|node| node.layer.kind()).collect();
        assert_eq!(kinds[3..], ["global_avg_pool", "dropout", "linear"]);
        assert_eq!(start.network().fixed_layers(|key| start.rate(key, 1)), Some(4), "dropout in front of a head draws");

        let refused = |network: &Network, settings: TransferSettings, shape: &[usize]| {
            let error = Start::new(network, shape, 3, &settings, Seed(2)).err().unwrap();
            (error.code(), error.place().key.clone().unwrap_or_default())
        };
        let named = TransferSettings { freeze: vec!["head".into()], ..all.clone() };
        assert_eq!(refused(&encoder(), named, &[6]), (ErrorCode::Config, "train.transfer.freeze".into()));
        assert_eq!(refused(&encoder(), all.clone(), &[11]), (ErrorCode::Shape, "train.from".into()), "too long");
        assert_eq!(refused(&encoder(), all.clone(), &[1, 6, 6]), (ErrorCode::Shape, "train.from".into()));
        let keep = TransferSettings { keep_head: true, ..all };
        assert_eq!(refused(&encoder(), keep.clone(), &[6]).1, "train.transfer.keep_head");
        let error = Start::new(&trained(), &[1, 6, 6], 10, &keep, Seed(2)).err().unwrap();
        assert!(error.message().contains("nothing would learn"), "{error}");
        let wrong = TransferSettings { head_dropout: 1.0, ..TransferSettings::default() };
        assert_eq!(refused(&encoder(), wrong, &[6]).1, "train.transfer.head_dropout");
    }

    #[test]
    fn a_network_that_ends_in_neither_a_dense_layer_nor_features_is_refused() {
        let rows = (vec![4], vec![Layer::linear(2), Layer::Sigmoid]);
        let pictures = (vec![1, 6, 6], vec![Layer::conv2d(2, 3)]);
        for (shape, layers) in [rows, pictures] {
            let layers = layers.into_iter().map(|layer| Node::new("", layer)).collect();
            let architecture = Architecture::new("net", InputSpec::float32(shape.clone()), layers);
            let network = Network::new(&architecture, Seed(1)).unwrap();
            let error = Start::new(&network, &shape, 3, &TransferSettings::default(), Seed(2)).err().unwrap();
            assert_eq!(error.code(), ErrorCode::Unsupported, "{error}");
        }
    }
}
