//! Encoders in the layout of Hugging Face's `transformers` as networks: `config.json` and `model.safetensors` of a
//! `BertModel` become embeddings, blocks and the mean of what the last block gives. Reading files is the caller's.

use super::Imported;
use crate::weights::Reader;
use crate::{
    Architecture, Dropout, Embedding, FeedForwardActivation, InputSpec, Layer, LayerNorm, Network, Node, PositionKind,
    Positions, TransformerEncoder,
};
use lepton_core::{Error, ErrorCode, Limits, Result};
use serde::Deserialize;

/// Most blocks of an encoder; the largest published ones have a few dozen.
const MOST_BLOCKS: usize = 512;

/// Turns the bytes of `config.json` and `model.safetensors` of a BERT encoder (Devlin and others 2019) into a network. It
/// takes int64 codes `[time]` of any length up to `max_position_embeddings` and gives `[hidden_size]`: the mean of the
/// last hidden states over the places up to the last code that is not `pad_token_id`, as sentence-transformers pools.
/// The mean is not scaled to length 1. Every token is of type 0, whose vector is added to the positions. Weights are
/// float32, or float16 and bfloat16, which become float32. Heads (`pooler`, `cls`) are left out with a note.
///
/// The layers are `embedding`, `positions`, `norm`, `block1` and so on, and `pool`; `dropout` where the file has some.
///
/// # Errors
/// [`ErrorCode::BadData`] for what is no such file, for a tensor that is missing or not finite; [`ErrorCode::Unsupported`]
/// for another `model_type`, activation or kind of position; [`ErrorCode::Shape`] for a tensor whose shape is not that of
/// the configuration; [`ErrorCode::Dtype`] for one that is not of floats; [`ErrorCode::TooLarge`] naming a limit.
pub fn import_encoder(config: &[u8], safetensors: &[u8], limits: &Limits) -> Result<Imported> {
    if safetensors.len() as u64 > limits.model_bytes {
        let (bytes, most) = (safetensors.len(), limits.model_bytes);
        return Err(Error::new(ErrorCode::TooLarge, format!("{bytes} bytes (limit model_bytes = {most})"))
            .in_file("model.safetensors"));
    }
    let config = Config::read(config).map_err(|error| error.in_file("config.json"))?;
    let architecture = config.architecture();
    // Everything that the configuration implies is checked before a weight is read.
    let plan = architecture.plan().map_err(|error| error.in_file("config.json"))?;
    let elements = plan.parameters().fold(0u64, |sum, spec| sum.saturating_add(spec.len() as u64));
    if elements > limits.tensor_elements {
        let limit = limits.tensor_elements;
        let message = format!("the network has {elements} weights (limit tensor_elements = {limit})");
        return Err(Error::new(ErrorCode::TooLarge, message).in_file("config.json"));
    }
    let reader = Reader::open(safetensors).map_err(|error| error.in_file("model.safetensors"))?;
    let weights = Weights::new(reader, &config);
    let network = Network::from_values(&architecture, |key| weights.of(key))
        .map_err(|error| error.in_file("model.safetensors"))?;
    let mut notes = vec!["the output is the mean over all tokens, not scaled to length 1".to_owned()];
    if config.type_vocab_size > 1 {
        notes.push("every token is taken as one of the first sentence (token type 0)".to_owned());
    }
    match weights.unused() {
        0 => {}
        unused => notes.push(format!("{unused} tensors of the file are not used and were left out")),
    }
    let (input_name, output_name) = ("input_ids".to_owned(), "sentence_embedding".to_owned());
    Ok(Imported { architecture, network, input_name, output_name, notes })
}

/// What is read of `config.json`; defaults are those of `transformers`.
#[derive(Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "tiny")]
    layer_norm_eps: f64,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    #[serde(default)]
    pad_token_id: Option<usize>,
    #[serde(default)]
    hidden_dropout_prob: f64,
    #[serde(default)]
    is_decoder: bool,
}

impl Config {
    fn read(bytes: &[u8]) -> Result<Config> {
        let broken = |source: serde_json::Error| {
            Error::new(ErrorCode::BadData, format!("not the configuration of an encoder: {source}")).caused_by(source)
        };
        let unsupported = |message: String| Error::new(ErrorCode::Unsupported, message);
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(broken)?;
        match value.get("model_type").and_then(serde_json::Value::as_str) {
            Some("bert") => {}
            Some(other) => {
                return Err(unsupported(format!("a model of type \"{}\" cannot be read", short(other)))
                    .at_key("model_type")
                    .fix("use one of type \"bert\", such as all-MiniLM-L6-v2"));
            }
            None => {
                return Err(Error::new(ErrorCode::BadData, "it does not say which kind of model it describes")
                    .at_key("model_type")
                    .fix("name a folder that transformers saved, of a model of type \"bert\""));
            }
        }
        let config: Config = serde_json::from_value(value).map_err(broken)?;
        if !matches!(config.hidden_act.as_str(), "gelu" | "relu") {
            let message = format!("the activation \"{}\" is not supported", short(&config.hidden_act));
            return Err(unsupported(message).at_key("hidden_act").fix("\"gelu\" and \"relu\" are"));
        }
        if config.position_embedding_type != "absolute" {
            let message = format!("positions of kind \"{}\" are not supported", short(&config.position_embedding_type));
            return Err(unsupported(message).at_key("position_embedding_type").fix("\"absolute\" is"));
        }
        if config.is_decoder {
            return Err(unsupported("a decoder is not supported".to_owned()).at_key("is_decoder"));
        }
        if config.num_hidden_layers > MOST_BLOCKS {
            let message = format!("{} blocks, at most {MOST_BLOCKS} are read", config.num_hidden_layers);
            return Err(Error::new(ErrorCode::TooLarge, message).at_key("num_hidden_layers"));
        }
        for (key, number) in
            [("num_hidden_layers", config.num_hidden_layers), ("type_vocab_size", config.type_vocab_size)]
        {
            if number == 0 {
                return Err(Error::new(ErrorCode::BadData, "must be at least 1").at_key(key));
            }
        }
        Ok(config)
    }

    fn architecture(&self) -> Architecture {
        let padding = Some(self.pad_token_id.unwrap_or(0));
        let embedding = Embedding { vocabulary: self.vocab_size, dimensions: self.hidden_size, padding };
        let mut layers = vec![
            Node::new("embedding", embedding.into()),
            Node::new("positions", Positions { encoding: PositionKind::Learned }.into()),
            Node::new("norm", LayerNorm { epsilon: self.layer_norm_eps }.into()),
        ];
        if self.hidden_dropout_prob > 0.0 {
            layers.push(Node::new("dropout", Dropout { p: self.hidden_dropout_prob }.into()));
        }
        for block in 1..=self.num_hidden_layers {
            let encoder = TransformerEncoder {
                heads: self.num_attention_heads,
                feed_forward: self.intermediate_size,
                dropout: self.hidden_dropout_prob,
                activation: match self.hidden_act.as_str() {
                    "relu" => FeedForwardActivation::Relu,
                    _ => FeedForwardActivation::Gelu,
                },
                norm_first: false,
                causal: false,
                epsilon: self.layer_norm_eps,
            };
            layers.push(Node::new(format!("block{block}"), encoder.into()));
        }
        layers.push(Node::new("pool", Layer::GlobalAvgPool));
        Architecture::new("bert", InputSpec::codes(self.max_position_embeddings, true), layers)
    }
}

/// The tensors of the file under our own keys.
struct Weights<'a> {
    reader: Reader<'a>,
    config: &'a Config,
    /// `bert.` where the encoder is a part of a model with a head.
    prefix: &'static str,
}

impl<'a> Weights<'a> {
    fn new(reader: Reader<'a>, config: &'a Config) -> Weights<'a> {
        let inside = reader.keys().any(|key| key.starts_with("bert."));
        Weights { reader, config, prefix: if inside { "bert." } else { "" } }
    }

    /// The numbers of one parameter of the network.
    fn of(&self, key: &str) -> Result<Vec<f32>> {
        let Config { vocab_size, hidden_size, intermediate_size, max_position_embeddings, type_vocab_size, .. } =
            *self.config;
        let lost = || Error::internal(format!("no tensor of an encoder is \"{key}\""));
        let (layer, part) = key.split_once('.').ok_or_else(lost)?;
        match layer {
            "embedding" => return self.read("embeddings.word_embeddings.weight", &[vocab_size, hidden_size]),
            "positions" => {
                let shape = [max_position_embeddings, hidden_size];
                let mut positions = self.read("embeddings.position_embeddings.weight", &shape)?;
                let types = self.read("embeddings.token_type_embeddings.weight", &[type_vocab_size, hidden_size])?;
                for position in positions.chunks_exact_mut(hidden_size) {
                    position.iter_mut().zip(&types).for_each(|(value, first)| *value += first);
                }
                return Ok(positions);
            }
            "norm" => return self.read(&format!("embeddings.LayerNorm.{part}"), &[hidden_size]),
            _ => {}
        }
        let block: usize = layer.strip_prefix("block").and_then(|number| number.parse().ok()).ok_or_else(lost)?;
        let at = format!("encoder.layer.{}", block.saturating_sub(1));
        let (wide, long) = ([hidden_size, hidden_size], [hidden_size]);
        if let Some(part) = part.strip_prefix("self_attn.in_proj_") {
            let shape: &[usize] = if part == "weight" { &wide } else { &long };
            let mut all = Vec::with_capacity(3 * shape.iter().product::<usize>());
            for of in ["query", "key", "value"] {
                all.extend(self.read(&format!("{at}.attention.self.{of}.{part}"), shape)?);
            }
            return Ok(all);
        }
        let (of, kind) = part.rsplit_once('.').ok_or_else(lost)?;
        let (theirs, weight): (&str, &[usize]) = match of {
            "self_attn.out_proj" => ("attention.output.dense", &wide),
            "norm1" => ("attention.output.LayerNorm", &long),
            "linear1" => ("intermediate.dense", &[intermediate_size, hidden_size]),
            "linear2" => ("output.dense", &[hidden_size, intermediate_size]),
            "norm2" => ("output.LayerNorm", &long),
            _ => return Err(lost()),
        };
        let shape = if kind == "weight" { weight } else { &weight[..1] };
        self.read(&format!("{at}.{theirs}.{kind}"), shape)
    }

    fn read(&self, key: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let fix = "config.json and model.safetensors must be those of one model";
        self.reader.floats(&format!("{}{key}", self.prefix), shape).map_err(|error| match error.code() {
            ErrorCode::Dtype => error,
            _ => error.fix(fix),
        })
    }

    /// How many tensors no parameter is made of: those outside of embeddings and blocks.
    fn unused(&self) -> usize {
        let used = |key: &&str| {
            let own = key.strip_prefix(self.prefix).unwrap_or("");
            let is_type_or_weight = own.starts_with("embeddings.") && own != "embeddings.position_ids";
            let block = own.strip_prefix("encoder.layer.").and_then(|rest| rest.split('.').next()?.parse().ok());
            is_type_or_weight || block.is_some_and(|block: usize| block < self.config.num_hidden_layers)
        };
        self.reader.keys().filter(|key| !used(key)).count()
    }
}

/// The beginning of a text of the file, for errors.
fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

fn two() -> usize {
    2
}

fn tiny() -> f64 {
    1e-12
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn absolute() -> String {
    "absolute".to_owned()
}
